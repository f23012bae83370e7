//! Who may read what, and what is refused.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use zenekar_credentials::{CloudKind, CredentialsError, NamedCloud, SealWith, Secrets};

use crate::{Desk, ec2, ec2_secrets};

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    let mut options = fs::OpenOptions::new();
    let options = options.create(true).truncate(true).write(true).mode(0o600);
    options.open(path).unwrap().write_all(bytes).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_and_folders_are_their_owners_only() {
    let desk = Desk::new();
    desk.add("lab", &[], "x");
    assert_eq!(mode(&desk.path("state/clouds")), 0o700);
    assert_eq!(mode(&desk.path("state/clouds/lab.json")), 0o600);
    assert_eq!(mode(&desk.sealed_file("lab")), 0o600);
    assert_eq!(mode(&desk.path("configuration/zenekar/key")), 0o600);
    assert_eq!(mode(&desk.path("configuration/zenekar")), 0o700);
    set_mode(&desk.path("state/clouds"), 0o755);
    desk.add("more", &[], "x");
    assert_eq!(mode(&desk.path("state/clouds")), 0o700);
}

#[test]
fn what_others_can_read_is_refused() {
    let desk = Desk::new();
    desk.add("lab", &[], "x");
    for (path, bad) in [
        (desk.path("configuration/zenekar/key"), 0o640),
        (desk.sealed_file("lab"), 0o604),
        (desk.path("state/clouds/lab.json"), 0o620),
    ] {
        set_mode(&path, bad);
        let error = desk
            .registry()
            .open_secrets("lab", &desk.keys())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{}` may be used by others than you: its mode is {bad:03o}",
                path.display()
            )
        );
        assert!(error.hint().unwrap().contains("chmod go="));
        set_mode(&path, 0o600);
    }
    assert_eq!(desk.secret_of("lab"), "x");
}

#[test]
fn what_is_no_key_file_is_refused_and_not_quoted() {
    let desk = Desk::new();
    desk.add("lab", &[], "x");
    let path = desk.path("configuration/zenekar/key");
    let right = fs::read(&path).unwrap();
    for text in [
        "",
        "hunter2",
        "zenekar-key-1:",
        "zenekar-key-1:aHVudGVyMg==",
        "zenekar-key-1:***",
    ] {
        fs::write(&path, text).unwrap();
        let error = desk
            .registry()
            .open_secrets("lab", &desk.keys())
            .unwrap_err();
        assert!(
            error.to_string().ends_with("it is no key of Zenekar"),
            "{error}"
        );
    }
    fs::write(&path, "x".repeat(1000)).unwrap();
    let error = desk
        .registry()
        .open_secrets("lab", &desk.keys())
        .unwrap_err();
    assert!(
        error.to_string().contains("larger than 256 bytes"),
        "{error}"
    );
    fs::write(&path, right).unwrap();
    assert_eq!(desk.secret_of("lab"), "x");
    // A pipe in its place neither blocks nor counts.
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let error = desk
        .registry()
        .open_secrets("lab", &desk.keys())
        .unwrap_err();
    assert!(
        error.to_string().ends_with("it is no regular file"),
        "{error}"
    );
}

#[test]
fn clouds_are_listed_replaced_and_removed() {
    let desk = Desk::new();
    let registry = desk.registry();
    assert_eq!(registry.names().unwrap(), Vec::<String>::new());
    assert!(registry.get("lab").unwrap().is_none());
    desk.add("lab", &[], "x");
    let docker = NamedCloud::new("engine", CloudKind::Docker).unwrap();
    registry.add(&docker, None, false).unwrap();
    assert_eq!(registry.names().unwrap(), ["engine", "lab"]);
    assert!(
        registry
            .open_secrets("engine", &desk.keys())
            .unwrap()
            .is_empty()
    );
    let error = registry.add(&docker, None, false).unwrap_err();
    assert_eq!(error.to_string(), "there is a cloud `engine` already");
    registry.remove("lab").unwrap();
    let error = registry.remove("lab").unwrap_err();
    assert_eq!(error.to_string(), "there is no cloud `lab`");
    assert!(matches!(
        registry.remove("../x"),
        Err(CredentialsError::Unknown(_))
    ));
    let left: Vec<String> = fs::read_dir(registry.folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("lab"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "the secrets are gone too");
}

#[test]
fn a_removal_that_was_killed_leaves_no_secrets() {
    let desk = Desk::new();
    let registry = desk.registry();
    let sealed = || {
        let files = fs::read_dir(registry.folder()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".sealed")).collect();
        names.sort();
        names
    };
    // Killed in the middle: the secrets are gone, and the rest can be removed.
    desk.add("lab", &[], "x");
    fs::remove_file(desk.sealed_file("lab")).unwrap();
    assert!(registry.open_secrets("lab", &desk.keys()).is_err());
    registry.remove("lab").unwrap();
    assert_eq!(registry.names().unwrap(), Vec::<String>::new());
    // What an earlier version left behind goes with the next change.
    desk.add("lab", &[], "x");
    desk.add("lab-2", &[], "y");
    fs::remove_file(desk.path("state/clouds/lab.json")).unwrap();
    desk.add("third", &[], "z");
    let left = sealed();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].starts_with("lab-2~") && left[1].starts_with("third~"));
    assert_eq!(desk.secret_of("lab-2"), "y");
}

#[test]
fn secrets_have_to_be_enough() {
    let desk = Desk::new();
    let some = Secrets::parse(CloudKind::Ec2, "accesskey=x").unwrap();
    let keys = desk.keys();
    let added = desk.registry().add(
        &ec2("lab", &[]),
        Some((&some, &keys, SealWith::KeyFile)),
        false,
    );
    assert_eq!(
        added.unwrap_err().to_string(),
        "`ec2` wants `accesskey` with `secretkey`, or `accesskey` with `secretkey` with `sessiontoken`, \
         and there are `accesskey`"
    );
    assert!(desk.registry().names().unwrap().is_empty());
}

#[test]
fn what_was_never_finished_is_swept_away() {
    let desk = Desk::new();
    desk.add("lab", &[], "x");
    desk.add("lab-2", &[], "y");
    let folder = desk.path("state/clouds");
    write_private(&folder.join(".new-abc"), b"half");
    write_private(&folder.join("lab~00000000.sealed"), b"half");
    assert_eq!(desk.registry().names().unwrap(), ["lab", "lab-2"]);
    desk.registry()
        .add(
            &ec2("lab", &[]),
            Some((&ec2_secrets("z"), &desk.keys(), SealWith::KeyFile)),
            true,
        )
        .unwrap();
    assert!(!folder.join(".new-abc").exists());
    assert!(desk.sealed_file("lab").exists());
    assert_eq!(
        (desk.secret_of("lab"), desk.secret_of("lab-2")),
        ("z".to_owned(), "y".to_owned())
    );
}

#[test]
fn descriptions_that_people_broke_are_refused_with_the_reason() {
    let desk = Desk::new();
    desk.add("lab", &[("region", "mars")], "x");
    let path = desk.path("state/clouds/lab.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, reason) in [
        ("\"region\"", "\"password\"", "`password` is a secret"),
        ("\"region\"", "\"colour\"", "has no setting `colour`"),
        ("\"version\": 1", "\"version\": 2", "has format 2"),
        (
            "\"kind\": \"ec2\"",
            "\"kind\": \"moon\"",
            "its kind is not known",
        ),
        (
            "\"name\": \"lab\"",
            "\"name\": \"x\"",
            "it is of another cloud",
        ),
        ("lab~", "../lab~", "a file of another cloud"),
        ("{", "", "it is no JSON"),
    ] {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = desk.registry().get("lab").unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
