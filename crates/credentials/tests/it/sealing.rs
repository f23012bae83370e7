//! Secrets come back only with their key, for their cloud, and unchanged.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use zenekar_credentials::{CredentialsError, Keys, SealWith, SecretsKept};

use crate::{Desk, answering, ec2, ec2_secrets, secret_key};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+canary";

#[test]
fn secrets_come_back_and_are_nowhere_in_clear() {
    let desk = Desk::new();
    desk.add("lab", &[("region", "eu-west-1")], SECRET);
    assert_eq!(desk.secret_of("lab"), SECRET);
    let cloud = desk.registry().get("lab").unwrap().unwrap();
    assert_eq!(cloud.secrets, SecretsKept::Sealed);
    assert_eq!(cloud.setting("region"), Some("eu-west-1"));
    assert_eq!(cloud.key().to_string(), "ec2@cloud=lab,eu-west-1");
    for file in fs::read_dir(desk.path("state/clouds")).unwrap() {
        let text = fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(
            !text.contains("wJalr") && !text.contains("AKIDEXAMPLE"),
            "{text}"
        );
    }
}

#[test]
fn the_same_secrets_are_never_sealed_alike() {
    let desk = Desk::new();
    desk.add("lab", &[], SECRET);
    let first = fs::read(desk.sealed_file("lab")).unwrap();
    desk.add("lab", &[], SECRET);
    assert_ne!(first, fs::read(desk.sealed_file("lab")).unwrap());
    assert_eq!(desk.secret_of("lab"), SECRET);
}

#[test]
fn every_changed_byte_is_noticed() {
    let desk = Desk::new();
    desk.add("lab", &[("endpoint", "https://cloud.example.org")], SECRET);
    let path = desk.sealed_file("lab");
    let text = fs::read(&path).unwrap();
    let mut refused = 0;
    for position in 0..text.len() {
        let mut changed = text.clone();
        changed[position] = if changed[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        fs::write(&path, &changed).unwrap();
        match desk.registry().open_secrets("lab", &desk.keys()) {
            Err(error) => {
                refused += 1;
                let chain = format!("{error:?} {error}");
                assert!(!chain.contains(SECRET), "{chain}");
            }
            // Only blanks between the members are not covered.
            Ok(_) => panic!("byte {position}: {}", String::from_utf8_lossy(&changed)),
        }
    }
    assert_eq!(refused, text.len());
    for length in 0..text.len() - 2 {
        fs::write(&path, &text[..length]).unwrap();
        assert!(desk.registry().open_secrets("lab", &desk.keys()).is_err());
    }
}

#[test]
fn files_cannot_be_swapped() {
    let desk = Desk::new();
    let place = [("endpoint", "https://cloud.example.org")];
    desk.add("lab", &place, SECRET);
    desk.add("other", &place, "another");
    fs::copy(desk.sealed_file("lab"), desk.sealed_file("other")).unwrap();
    let error = desk
        .registry()
        .open_secrets("other", &desk.keys())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the secrets of cloud `other` were stored for the name `lab`, and not for `other`"
    );
    // Nor if somebody writes the other name into the file.
    let text = fs::read_to_string(desk.sealed_file("lab")).unwrap();
    fs::write(
        desk.sealed_file("other"),
        text.replace("\"lab\"", "\"other\""),
    )
    .unwrap();
    let error = desk
        .registry()
        .open_secrets("other", &desk.keys())
        .unwrap_err();
    assert!(
        matches!(error, CredentialsError::WrongKey { .. }),
        "{error}"
    );
}

#[test]
fn secrets_are_not_sent_elsewhere_because_a_file_was_edited() {
    let desk = Desk::new();
    desk.add("lab", &[("endpoint", "https://cloud.example.org")], SECRET);
    let path = desk.path("state/clouds/lab.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("cloud.example.org", "evil.example.org")).unwrap();
    let error = desk
        .registry()
        .open_secrets("lab", &desk.keys())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the secrets of cloud `lab` were stored for endpoint `https://cloud.example.org`, \
         and not for `https://evil.example.org`"
    );
    assert!(error.hint().unwrap().contains("--replace"));
}

#[test]
fn secrets_are_not_sent_to_others_because_a_file_was_edited() {
    let endpoint = ("endpoint", "https://cloud.example.org");
    let (trusted, other) = (
        "\"ca_file\": \"/etc/ca.pem\"",
        "\"ca_file\": \"/srv/evil.pem\"",
    );
    let desk = Desk::new();
    let path = desk.path("state/clouds/lab.json");
    let opened = || desk.registry().open_secrets("lab", &desk.keys());
    desk.add("lab", &[endpoint, ("ca_file", "/etc/ca.pem")], SECRET);
    let text = fs::read_to_string(&path).unwrap();
    assert!(opened().is_ok());
    fs::write(&path, text.replace(trusted, other)).unwrap();
    assert_eq!(
        opened().unwrap_err().to_string(),
        "the secrets of cloud `lab` were stored for ca_file `/etc/ca.pem`, \
         and not for `/srv/evil.pem`"
    );
    desk.add("lab", &[endpoint], SECRET);
    let text = fs::read_to_string(&path).unwrap();
    assert!(opened().is_ok());
    let added = text.replace("\"settings\": {", &format!("\"settings\": {{{trusted},"));
    assert_ne!(text, added);
    fs::write(&path, added).unwrap();
    let error = opened().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("for ca_file `none`, and not for `/etc/ca.pem`"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--replace"));
}

#[test]
fn another_key_opens_nothing() {
    let desk = Desk::new();
    desk.add("lab", &[], SECRET);
    let other = Keys::new(Some(desk.path("other-key")), None, None);
    let error = desk.registry().open_secrets("lab", &other).unwrap_err();
    assert!(
        error.to_string().ends_with("other-key` is not there"),
        "{error}"
    );
    desk.registry()
        .add(
            &ec2("more", &[]),
            Some((&ec2_secrets("x"), &other, SealWith::KeyFile)),
            false,
        )
        .unwrap();
    let error = desk.registry().open_secrets("lab", &other).unwrap_err();
    assert!(
        error.to_string().contains("sealed with another key than"),
        "{error}"
    );
    assert_eq!(
        secret_key(&desk.registry().open_secrets("more", &other).unwrap()),
        "x"
    );
    let none = Keys::new(None, None, None);
    let error = desk.registry().open_secrets("lab", &none).unwrap_err();
    assert!(matches!(error, CredentialsError::NoKeyPlace));
}

#[test]
fn a_passphrase_opens_what_it_sealed() {
    let desk = Desk::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask: zenekar_credentials::AskPassphrase = Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok("correct horse battery".into())
    });
    let keys = Keys::new(None, None, Some(ask));
    let registry = desk.registry();
    registry
        .add(
            &ec2("lab", &[]),
            Some((&ec2_secrets(SECRET), &keys, SealWith::Passphrase)),
            false,
        )
        .unwrap();
    assert_eq!(
        secret_key(&registry.open_secrets("lab", &keys).unwrap()),
        SECRET
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1, "people are asked once");
    assert_eq!(
        registry.sealed_with("lab").unwrap(),
        Some(SealWith::Passphrase)
    );

    let wrong = Keys::new(None, None, Some(answering("incorrect horse")));
    let error = registry.open_secrets("lab", &wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the secrets of cloud `lab` cannot be opened: the passphrase is wrong, or their file was changed"
    );
    let nobody = Keys::new(None, None, None);
    let error = registry.open_secrets("lab", &nobody).unwrap_err();
    assert!(matches!(error, CredentialsError::NoPassphrase { .. }));
    let short = Keys::new(None, None, Some(answering("short")));
    let sealed = registry.add(
        &ec2("more", &[]),
        Some((&ec2_secrets(SECRET), &short, SealWith::Passphrase)),
        false,
    );
    assert!(
        sealed
            .unwrap_err()
            .to_string()
            .contains("fewer than 8 characters")
    );
}

#[test]
fn a_passphrase_can_be_in_a_file() {
    let desk = Desk::new();
    let path = desk.path("passphrase");
    crate::files::write_private(&path, b"correct horse battery\n");
    let keys = Keys::new(None, Some(path.clone()), None);
    let registry = desk.registry();
    registry
        .add(
            &ec2("lab", &[]),
            Some((&ec2_secrets(SECRET), &keys, SealWith::Passphrase)),
            false,
        )
        .unwrap();
    assert_eq!(
        secret_key(&registry.open_secrets("lab", &keys).unwrap()),
        SECRET
    );
    let typed = Keys::new(None, None, Some(answering("correct horse battery")));
    assert_eq!(
        secret_key(&registry.open_secrets("lab", &typed).unwrap()),
        SECRET
    );
}

#[test]
fn a_forged_file_cannot_demand_endless_work() {
    let desk = Desk::new();
    let keys = Keys::new(None, None, Some(answering("correct horse battery")));
    let registry = desk.registry();
    registry
        .add(
            &ec2("lab", &[]),
            Some((&ec2_secrets(SECRET), &keys, SealWith::Passphrase)),
            false,
        )
        .unwrap();
    let path = desk.sealed_file("lab");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("65536", "4000000000")).unwrap();
    let error = registry.open_secrets("lab", &keys).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("demands more work than is sane"),
        "{error}"
    );
}
