//! Stores clouds, damages them, and looks them up.

#![allow(clippy::unwrap_used, reason = "what cannot go on in a test fails it")]

mod crashes;
mod files;
mod lookup;
mod sealing;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use zenekar_credentials::{
    AskPassphrase, CloudKind, Keys, NamedCloud, Registry, SealWith, Secrets,
};

/// A folder with clouds and a key file.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry::new(self.path("state/clouds"))
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(Some(self.path("configuration/zenekar/key")), None, None)
    }

    /// Stores an EC2 with secrets.
    pub(crate) fn add(&self, name: &str, settings: &[(&str, &str)], secret: &str) -> NamedCloud {
        let cloud = ec2(name, settings);
        let secrets = ec2_secrets(secret);
        self.registry()
            .add(
                &cloud,
                Some((&secrets, &self.keys(), SealWith::KeyFile)),
                true,
            )
            .unwrap();
        cloud
    }

    /// Returns the file with the secrets of a cloud.
    pub(crate) fn sealed_file(&self, name: &str) -> PathBuf {
        let files = std::fs::read_dir(self.path("state/clouds")).unwrap();
        let prefix = format!("{name}~");
        let mut found = files
            .map(|file| file.unwrap().path())
            .filter(|path| file_name(path).starts_with(&prefix));
        let file = found.next().unwrap();
        assert_eq!(found.next(), None, "one file for each cloud");
        file
    }

    /// Opens the secrets of a cloud and returns the secret key.
    pub(crate) fn secret_of(&self, name: &str) -> String {
        secret_key(&self.registry().open_secrets(name, &self.keys()).unwrap())
    }
}

pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

pub(crate) fn ec2(name: &str, settings: &[(&str, &str)]) -> NamedCloud {
    let mut cloud = NamedCloud::new(name, CloudKind::Ec2).unwrap();
    for (name, value) in settings {
        cloud.set(name, value).unwrap();
    }
    cloud
}

pub(crate) fn ec2_secrets(secret: &str) -> Secrets {
    Secrets::parse(
        CloudKind::Ec2,
        &format!("accesskey=AKIDEXAMPLE\nsecretkey={secret}\n"),
    )
    .unwrap()
}

pub(crate) fn secret_key(secrets: &Secrets) -> String {
    secrets.get("secretkey").unwrap().expose_secret().to_owned()
}

/// Answers every question for the passphrase.
pub(crate) fn answering(passphrase: &str) -> AskPassphrase {
    let passphrase = passphrase.to_owned();
    Arc::new(move |_| Ok(passphrase.clone().into()))
}
