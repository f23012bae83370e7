//! The folder with all named clouds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::cloud::{NamedCloud, SecretsKept, check_name};
use crate::error::CredentialsError;
use crate::files::{self, Placing, Privacy};
use crate::key::{Keys, SealWith, random};
use crate::kind::CloudKind;
use crate::seal;
use crate::secrets::Secrets;

/// The version of the descriptions that are written; it grows when older
/// versions of Zenekar could not read them any more.
const FORMAT: u32 = 1;
/// Bytes of a file of ours: a description with all settings at their longest.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Clouds in one folder: far more than anybody has accounts.
const CLOUDS_MAX: usize = 1000;
/// What files with descriptions end in.
const DESCRIPTION: &str = ".json";
/// What files with secrets end in.
const SEALED: &str = ".sealed";
/// Stands between a cloud's name, in which it cannot be, and a file's number.
const SEPARATOR: char = '~';
/// What half-written files begin with.
const UNFINISHED: &str = ".new-";
/// The lock of those who change the folder.
const LOCK: &str = ".lock";

/// A description as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    name: String,
    kind: String,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    defaults: BTreeMap<String, String>,
    secrets: SecretsKept,
    /// The file with the secrets. A new one is written beside the old one, and
    /// becomes the cloud's together with its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed_file: Option<String>,
}

/// All named clouds.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
}

impl Registry {
    /// Says where the clouds are; nothing is read or made yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the names of all clouds, sorted.
    pub fn names(&self) -> Result<Vec<String>, CredentialsError> {
        let fail = |error| CredentialsError::file("read", &self.folder, error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(fail)?.file_name();
            let name = file
                .to_str()
                .and_then(|name| name.strip_suffix(DESCRIPTION));
            if let Some(name) = name.filter(|name| check_name(name).is_ok()) {
                names.push(name.to_owned());
            }
            if names.len() > CLOUDS_MAX {
                return Err(CredentialsError::Invalid(format!(
                    "there are more than {CLOUDS_MAX} clouds"
                )));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the cloud with a name, if there is one.
    pub fn get(&self, name: &str) -> Result<Option<NamedCloud>, CredentialsError> {
        Ok(self.read(name)?.map(|(cloud, _)| cloud))
    }

    fn read(&self, name: &str) -> Result<Option<(NamedCloud, Option<String>)>, CredentialsError> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let path = self.description(name);
        let Some(bytes) = files::read(&path, FILE_BYTES_MAX, Privacy::Readable)? else {
            return Ok(None);
        };
        seal::check_version(&path, &bytes, FORMAT, |value| value.get("version"))?;
        let stored: Stored = serde_json::from_slice(&bytes)
            .map_err(|error| CredentialsError::malformed(&path, error.to_string()))?;
        if stored.name != name {
            return Err(CredentialsError::malformed(&path, "it is of another cloud"));
        }
        let kind = CloudKind::from_name(&stored.kind)
            .ok_or_else(|| CredentialsError::malformed(&path, "its kind is not known"))?;
        // People may have edited the file: it has to hold what `add` would take.
        let mut cloud = NamedCloud::new(name, kind)?;
        let refuse =
            |error: CredentialsError| CredentialsError::malformed(&path, error.to_string());
        for (name, value) in &stored.settings {
            cloud.set(name, value).map_err(refuse)?;
        }
        for (key, value) in &stored.defaults {
            cloud.set_default(key, value).map_err(refuse)?;
        }
        cloud.secrets = stored.secrets;
        let is_own = |file: &String| self.is_sealed_file_of(name, file);
        if !stored.sealed_file.as_ref().is_none_or(is_own) {
            return Err(CredentialsError::malformed(
                &path,
                "its secrets are in a file of another cloud",
            ));
        }
        Ok(Some((cloud, stored.sealed_file)))
    }

    #[expect(
        clippy::unused_self,
        reason = "what a folder's files are called is its affair"
    )]
    fn is_sealed_file_of(&self, name: &str, file: &str) -> bool {
        file.strip_suffix(SEALED)
            .and_then(|stem| stem.split_once(SEPARATOR))
            .is_some_and(|(owner, number)| {
                owner == name && number.bytes().all(|one| one.is_ascii_hexdigit())
            })
    }

    /// Stores a cloud with its secrets: both or nothing.
    pub fn add(
        &self,
        cloud: &NamedCloud,
        secrets: Option<(&Secrets, &Keys, SealWith)>,
        is_replacing: bool,
    ) -> Result<(), CredentialsError> {
        check_name(&cloud.name)?;
        files::make_folder(&self.folder)?;
        let _lock = self.lock()?;
        if !is_replacing && self.description(&cloud.name).exists() {
            return Err(CredentialsError::Exists(cloud.name.clone()));
        }
        let mut sealed_file = None;
        if let Some((secrets, keys, with)) = secrets {
            secrets.check(cloud.kind)?;
            let text = seal::seal(cloud, secrets, keys, with)?;
            let mut number = [0; 4];
            random(&mut number)?;
            let number = u32::from_be_bytes(number);
            let name = format!("{}{SEPARATOR}{number:08x}{SEALED}", cloud.name);
            files::write(&self.folder.join(&name), text.as_bytes(), Placing::Replace)?;
            sealed_file = Some(name);
        }
        let stored = Stored {
            version: FORMAT,
            name: cloud.name.clone(),
            kind: cloud.kind.name().to_owned(),
            settings: cloud.settings.clone(),
            defaults: cloud.defaults.clone(),
            secrets: match (&sealed_file, cloud.secrets) {
                (Some(_), _) => SecretsKept::Sealed,
                (None, SecretsKept::Sealed) => SecretsKept::None,
                (None, kept) => kept,
            },
            sealed_file: sealed_file.clone(),
        };
        let mut text = serde_json::to_string_pretty(&stored).expect("texts can be written");
        text.push('\n');
        files::write(
            &self.description(&cloud.name),
            text.as_bytes(),
            Placing::Replace,
        )?;
        self.sweep(&cloud.name, sealed_file.as_deref())
    }

    /// Forgets a cloud and its secrets.
    pub fn remove(&self, name: &str) -> Result<(), CredentialsError> {
        let path = self.description(name);
        if check_name(name).is_err() || !path.exists() {
            return Err(CredentialsError::Unknown(name.to_owned()));
        }
        let _lock = self.lock()?;
        // The secrets first: whoever is killed in between leaves a cloud that can
        // be removed again, and not secrets that nobody knows of.
        self.sweep(name, None)?;
        files::remove(&path)?;
        files::sync_folder(&self.folder)
    }

    /// Opens the secrets of a cloud.
    pub fn open_secrets(&self, name: &str, keys: &Keys) -> Result<Secrets, CredentialsError> {
        let (cloud, file) = self
            .read(name)?
            .ok_or_else(|| CredentialsError::Unknown(name.to_owned()))?;
        let Some(file) = file else {
            return Ok(Secrets::default());
        };
        let (path, bytes) = self.read_sealed(&file)?;
        seal::open(&cloud, &path, &bytes, keys)
    }

    /// Says with what the secrets of a cloud are sealed; none if it has none.
    pub fn sealed_with(&self, name: &str) -> Result<Option<SealWith>, CredentialsError> {
        let Some((_, Some(file))) = self.read(name)? else {
            return Ok(None);
        };
        let (path, bytes) = self.read_sealed(&file)?;
        seal::sealed_with(&path, &bytes).map(Some)
    }

    fn read_sealed(
        &self,
        file: &str,
    ) -> Result<(PathBuf, secrecy::zeroize::Zeroizing<Vec<u8>>), CredentialsError> {
        let path = self.folder.join(file);
        let bytes = files::read(&path, FILE_BYTES_MAX, Privacy::Private)?
            .ok_or_else(|| CredentialsError::file("read", &path, io::ErrorKind::NotFound.into()))?;
        Ok((path, bytes))
    }

    fn description(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{DESCRIPTION}"))
    }

    /// Waits for others who change the folder. The lock ends with the file.
    fn lock(&self) -> Result<File, CredentialsError> {
        let path = self.folder.join(LOCK);
        let fail = |error| CredentialsError::file("lock", &path, error);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| fail(error.into()))?;
        Ok(file)
    }

    /// Removes what is left of a cloud's former secrets, secrets of clouds that
    /// are not there, and what was never finished.
    fn sweep(&self, name: &str, kept: Option<&str>) -> Result<(), CredentialsError> {
        let fail = |error| CredentialsError::file("read", &self.folder, error);
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            let file = entry.map_err(fail)?.file_name();
            let Some(file) = file.to_str() else { continue };
            let is_former = self.is_sealed_file_of(name, file) && Some(file) != kept;
            let owner = file
                .strip_suffix(SEALED)
                .and_then(|stem| stem.split_once(SEPARATOR))
                .map(|(owner, _)| owner)
                .filter(|owner| *owner != name && self.is_sealed_file_of(owner, file));
            // A description that cannot be seen for another reason is there.
            let is_left = owner.is_some_and(|owner| {
                let description = fs::symlink_metadata(self.description(owner));
                description.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            });
            if is_former || is_left || file.starts_with(UNFINISHED) {
                files::remove(&self.folder.join(file))?;
            }
        }
        Ok(())
    }
}
