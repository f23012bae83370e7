//! Where the key that seals secrets comes from.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::CredentialsError;
use crate::files::{self, Placing, Privacy};

/// Bytes of a key, as the cipher wants them.
pub(crate) const KEY_BYTES: usize = 32;
/// What a key file begins with; the number is the version of its format.
const KEY_PREFIX: &str = "zenekar-key-1:";
/// Bytes of a key file: prefix, key, and a line end or two.
const KEY_FILE_BYTES_MAX: u64 = 256;
/// Bytes of a file with a passphrase.
const PASSPHRASE_FILE_BYTES_MAX: u64 = 4096;
/// The shortest passphrase: anything shorter is guessed, whatever guards it.
const PASSPHRASE_BYTES_MIN: usize = 8;
/// Bytes of a salt, as Argon2 recommends.
const SALT_BYTES: usize = 16;

/// Memory that one guess of a passphrase takes, in KiB; with the passes, what
/// RFC 9106 recommends where memory is not plenty.
const MEMORY_KIB: u32 = 64 << 10;
/// Passes over it.
const PASSES: u32 = 3;
/// Lanes: one, since nothing else runs meanwhile anyway.
const LANES: u32 = 1;
/// The most that a stored file may demand, so that a forged one costs no more
/// than a few seconds.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;

/// Asks a person for the passphrase; the text says what for.
pub type AskPassphrase = Arc<dyn Fn(&str) -> io::Result<SecretString> + Send + Sync>;

/// What new secrets are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealWith {
    /// The key file; it is made if there is none.
    KeyFile,
    /// A passphrase.
    Passphrase,
}

/// How the key of sealed secrets is found again, as it is stored beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum KeyHeader {
    /// It is in the key file.
    KeyFile {
        /// Tells keys apart without telling them.
        id: String,
    },
    /// It is made from a passphrase by Argon2id.
    Passphrase {
        salt: String,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
}

/// A key that is wiped when it is dropped.
pub(crate) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Where keys come from.
pub struct Keys {
    /// The key file; none if no place for one is known.
    pub key_file: Option<PathBuf>,
    /// A file with the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// Asks for the passphrase, where somebody can be asked.
    pub ask: Option<AskPassphrase>,
    /// What somebody has answered: people are asked once.
    answer: Mutex<Option<SecretString>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Keys")
            .field("key_file", &self.key_file)
            .field("passphrase_file", &self.passphrase_file)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Says where keys come from.
    pub fn new(
        key_file: Option<PathBuf>,
        passphrase_file: Option<PathBuf>,
        ask: Option<AskPassphrase>,
    ) -> Self {
        Self {
            key_file,
            passphrase_file,
            ask,
            answer: Mutex::new(None),
        }
    }

    fn key_file(&self) -> Result<&Path, CredentialsError> {
        self.key_file.as_deref().ok_or(CredentialsError::NoKeyPlace)
    }

    /// Makes the key for new secrets.
    pub(crate) fn make(
        &self,
        cloud: &str,
        with: SealWith,
    ) -> Result<(KeyHeader, Key), CredentialsError> {
        match with {
            SealWith::KeyFile => {
                let path = self.key_file()?;
                let key = match read_key(path)? {
                    Some(key) => key,
                    None => make_key(path)?,
                };
                Ok((KeyHeader::KeyFile { id: id_of(&key) }, key))
            }
            SealWith::Passphrase => {
                let passphrase = self.passphrase(cloud)?;
                if passphrase.expose_secret().len() < PASSPHRASE_BYTES_MIN {
                    return Err(CredentialsError::Invalid(format!(
                        "the passphrase has fewer than {PASSPHRASE_BYTES_MIN} characters"
                    )));
                }
                let mut salt = [0; SALT_BYTES];
                random(&mut salt)?;
                let header = KeyHeader::Passphrase {
                    salt: BASE64_STANDARD.encode(salt),
                    memory_kib: MEMORY_KIB,
                    passes: PASSES,
                    lanes: LANES,
                };
                let key = derive(cloud, &passphrase, &salt, (MEMORY_KIB, PASSES, LANES))?;
                Ok((header, key))
            }
        }
    }

    /// Finds the key of stored secrets again.
    pub(crate) fn find(&self, cloud: &str, header: &KeyHeader) -> Result<Key, CredentialsError> {
        let wrong = |reason: String| CredentialsError::WrongKey {
            cloud: cloud.to_owned(),
            reason,
        };
        match header {
            KeyHeader::KeyFile { id } => {
                let path = self.key_file()?;
                let shown = path.display();
                let key = read_key(path)?
                    .ok_or_else(|| wrong(format!("the key file `{shown}` is not there")))?;
                if id_of(&key) != *id {
                    return Err(wrong(format!(
                        "they were sealed with another key than `{shown}`"
                    )));
                }
                Ok(key)
            }
            KeyHeader::Passphrase {
                salt,
                memory_kib,
                passes,
                lanes,
            } => {
                let salt = BASE64_STANDARD
                    .decode(salt)
                    .map_err(|_| wrong("their file is damaged".to_owned()))?;
                let is_bounded =
                    *memory_kib <= MEMORY_KIB_MAX && *passes <= PASSES_MAX && *lanes <= LANES_MAX;
                if !is_bounded {
                    return Err(wrong(
                        "their file demands more work than is sane".to_owned(),
                    ));
                }
                let passphrase = self.passphrase(cloud)?;
                derive(cloud, &passphrase, &salt, (*memory_kib, *passes, *lanes))
            }
        }
    }

    fn passphrase(&self, cloud: &str) -> Result<SecretString, CredentialsError> {
        if let Some(path) = &self.passphrase_file {
            let bytes = files::read(path, PASSPHRASE_FILE_BYTES_MAX, Privacy::Private)?
                .ok_or_else(|| {
                    CredentialsError::file("read", path, io::ErrorKind::NotFound.into())
                })?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| CredentialsError::malformed(path, "it is no text"))?;
            return Ok(text.trim_end_matches(['\r', '\n']).into());
        }
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*answer {
            return Ok(known.clone());
        }
        let Some(ask) = &self.ask else {
            return Err(CredentialsError::NoPassphrase {
                cloud: cloud.to_owned(),
            });
        };
        let given = ask(cloud).map_err(|error| {
            CredentialsError::Invalid(format!("cannot ask for the passphrase: {error}"))
        })?;
        *answer = Some(given.clone());
        Ok(given)
    }

    /// Forgets a passphrase that turned out wrong.
    pub(crate) fn forget_answer(&self) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Fills a buffer with what nobody can guess.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), CredentialsError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| CredentialsError::NoRandomness)
}

fn id_of(key: &Key) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"zenekar key id\0");
    context.update(key.as_slice());
    let hash = context.finish();
    let mut id = String::new();
    for byte in &hash.as_ref()[..8] {
        let _ = fmt::Write::write_fmt(&mut id, format_args!("{byte:02x}"));
    }
    id
}

fn read_key(path: &Path) -> Result<Option<Key>, CredentialsError> {
    let Some(bytes) = files::read(path, KEY_FILE_BYTES_MAX, Privacy::Private)? else {
        return Ok(None);
    };
    let refuse = || CredentialsError::malformed(path, "it is no key of Zenekar");
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse())?;
    let encoded = text
        .trim_end()
        .strip_prefix(KEY_PREFIX)
        .ok_or_else(refuse)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    // The buffer is as large as the encoding of a key could need.
    let mut decoded = Zeroizing::new([0_u8; KEY_BYTES + 4]);
    let length = BASE64_STANDARD
        .decode_slice(encoded, decoded.as_mut_slice())
        .map_err(|_| refuse())?;
    if length != KEY_BYTES {
        return Err(refuse());
    }
    key.copy_from_slice(&decoded[..KEY_BYTES]);
    Ok(Some(key))
}

fn make_key(path: &Path) -> Result<Key, CredentialsError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        files::make_folder(folder)?;
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    random(key.as_mut_slice())?;
    let mut text = Zeroizing::new(String::with_capacity(128));
    text.push_str(KEY_PREFIX);
    BASE64_STANDARD.encode_string(key.as_slice(), &mut text);
    text.push('\n');
    if files::write(path, text.as_bytes(), Placing::New)? {
        return Ok(key);
    }
    // Somebody else was first: then it is their key that counts.
    read_key(path)?.ok_or_else(|| CredentialsError::malformed(path, "it comes and goes"))
}

fn derive(
    cloud: &str,
    passphrase: &SecretString,
    salt: &[u8],
    (memory_kib, passes, lanes): (u32, u32, u32),
) -> Result<Key, CredentialsError> {
    let fail = |error: argon2::Error| CredentialsError::WrongKey {
        cloud: cloud.to_owned(),
        reason: format!("no key can be made of the passphrase: {error}"),
    };
    let params = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES)).map_err(fail)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(
            passphrase.expose_secret().as_bytes(),
            salt,
            key.as_mut_slice(),
        )
        .map_err(fail)?;
    Ok(key)
}
