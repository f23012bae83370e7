//! Files of earlier versions keep loading.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::ExposeSecret as _;
use zenekar_credentials::{CloudKind, Keys, Registry, SealWith};

use crate::{Desk, answering};

const PASSPHRASE: &str = "correct horse battery staple";

fn stored() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/version-1")
}

/// Copies a folder; the copies are private, which a checkout does not keep.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn version_1_is_read() {
    let desk = Desk::new();
    copy(&stored(), &desk.path("old"));
    let registry = Registry::new(desk.path("old/clouds"));
    let keys = Keys::new(
        Some(desk.path("old/key")),
        None,
        Some(answering(PASSPHRASE)),
    );
    assert_eq!(registry.names().unwrap(), ["engine", "lab", "vault"]);
    let lab = registry.get("lab").unwrap().unwrap();
    assert_eq!(lab.kind, CloudKind::Nova);
    assert_eq!(
        lab.setting("endpoint"),
        Some("https://cloud.example.org:5000/v3")
    );
    assert_eq!(lab.defaults["flavor_name"], "m1.small");
    let secrets = registry.open_secrets("lab", &keys).unwrap();
    assert_eq!(secrets.get("username").unwrap().expose_secret(), "me");
    assert_eq!(secrets.get("password").unwrap().expose_secret(), "p=ß w");
    let secrets = registry.open_secrets("vault", &keys).unwrap();
    assert_eq!(secrets.get("sessiontoken").unwrap().expose_secret(), "ST");
    assert_eq!(
        registry.sealed_with("vault").unwrap(),
        Some(SealWith::Passphrase)
    );
    assert!(registry.open_secrets("engine", &keys).unwrap().is_empty());
}
