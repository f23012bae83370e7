//! The secrets of one cloud: texts by name that print nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::error::CredentialsError;
use crate::files::{self, Privacy};
use crate::kind::CloudKind;

/// Bytes of one secret: keys in PEM are a few thousand.
const SECRET_BYTES_MAX: usize = 16 << 10;
/// Bytes of an input with all secrets of a cloud, comments included.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// Secrets of one cloud: no kind has more than three.
const SECRETS_MAX: usize = 16;

/// The secrets of one cloud.
#[derive(Clone, Default)]
pub struct Secrets {
    parts: BTreeMap<String, SecretString>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets(***)")
    }
}

impl Secrets {
    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the names; they are not secret.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// Returns the secret with a name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.parts.get(name)
    }

    /// Adds a secret of a kind of cloud, under one of its names.
    pub fn add(
        &mut self,
        kind: CloudKind,
        name: &str,
        value: SecretString,
    ) -> Result<(), CredentialsError> {
        let Some(own) = kind.secret_name(name) else {
            // What is not known may be a secret at the wrong side of the sign.
            return Err(CredentialsError::Invalid(format!(
                "a name of a secret is none of those that `{kind}` has: {}",
                wanted(kind)
            )));
        };
        let text = value.expose_secret();
        let is_fine = !text.is_empty() && text.len() <= SECRET_BYTES_MAX && !text.contains('\0');
        if !is_fine {
            return Err(CredentialsError::Invalid(format!(
                "`{own}` is empty, or longer than {SECRET_BYTES_MAX} bytes, or has a zero byte"
            )));
        }
        if self.parts.insert(own.to_owned(), value).is_some() {
            return Err(CredentialsError::Invalid(format!("`{own}` is there twice")));
        }
        Ok(())
    }

    /// Reads lines `NAME=VALUE`; empty ones and those that begin with `#` are
    /// passed over.
    pub fn parse(kind: CloudKind, text: &str) -> Result<Self, CredentialsError> {
        let mut secrets = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            // The line is not quoted in messages: it may be a bare secret.
            let Some((name, value)) = line.split_once('=') else {
                return Err(CredentialsError::Invalid(format!(
                    "line {} of the secrets is not `NAME=VALUE`",
                    number + 1
                )));
            };
            let name = name.trim();
            let name = name.strip_prefix("export ").unwrap_or(name).trim();
            secrets.add(kind, name, unquoted(value.trim()).into())?;
        }
        Ok(secrets)
    }

    /// Reads lines `NAME=VALUE` to the end of a stream.
    pub fn read(kind: CloudKind, stream: &mut dyn Read) -> Result<Self, CredentialsError> {
        // Room for all of it at once: a buffer that grows would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(INPUT_BYTES_MAX + 1));
        stream
            .take(INPUT_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                CredentialsError::Invalid(format!("cannot read the secrets: {error}"))
            })?;
        Self::of_input(kind, &bytes)
    }

    /// Reads lines `NAME=VALUE` of a file that only its owner can read.
    pub fn read_file(kind: CloudKind, path: &Path) -> Result<Self, CredentialsError> {
        let bytes =
            files::read(path, INPUT_BYTES_MAX as u64, Privacy::Private)?.ok_or_else(|| {
                CredentialsError::file("read", path, std::io::ErrorKind::NotFound.into())
            })?;
        Self::of_input(kind, &bytes)
    }

    fn of_input(kind: CloudKind, bytes: &[u8]) -> Result<Self, CredentialsError> {
        if bytes.len() > INPUT_BYTES_MAX {
            return Err(CredentialsError::Invalid(format!(
                "the secrets are larger than {INPUT_BYTES_MAX} bytes"
            )));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| CredentialsError::Invalid("the secrets are no text".to_owned()))?;
        Self::parse(kind, text)
    }

    /// Fails unless the secrets are enough for a kind of cloud, and no more.
    pub fn check(&self, kind: CloudKind) -> Result<(), CredentialsError> {
        let is_complete = kind.secret_sets().iter().any(|set| {
            set.len() == self.parts.len() && set.iter().all(|name| self.parts.contains_key(*name))
        });
        if is_complete || (self.parts.is_empty() && kind.secret_sets().is_empty()) {
            return Ok(());
        }
        let has: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        let has = if has.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are {}", has.join(", "))
        };
        Err(CredentialsError::Invalid(format!(
            "`{kind}` wants {}, and {has}",
            wanted(kind)
        )))
    }

    /// Writes the secrets into a buffer that is wiped: for each its name and its
    /// text, both behind their lengths.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let texts = || {
            self.parts
                .iter()
                .flat_map(|(name, value)| [name.as_str(), value.expose_secret()])
        };
        // Room for the seal's tag too, so that the buffer never moves.
        let length: usize = texts().map(|text| text.len() + 4).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + crate::seal::TAG_BYTES));
        for text in texts() {
            let length = u32::try_from(text.len()).expect("secrets are bounded");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut parts = BTreeMap::new();
        while !bytes.is_empty() {
            let name = take_text(&mut bytes)?;
            let value = take_text(&mut bytes)?;
            parts.insert(name.to_owned(), SecretString::from(value));
            if parts.len() > SECRETS_MAX {
                return None;
            }
        }
        Some(Self { parts })
    }
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let text = rest.get(..length)?;
    *bytes = &rest[length..];
    std::str::from_utf8(text).ok()
}

/// Takes the quotes away that files for shells have around values.
fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}

/// Says which secrets a kind of cloud wants.
pub(crate) fn wanted(kind: CloudKind) -> String {
    let sets: Vec<String> = kind
        .secret_sets()
        .iter()
        .map(|set| {
            let names: Vec<String> = set.iter().map(|name| format!("`{name}`")).collect();
            names.join(" with ")
        })
        .collect();
    if sets.is_empty() {
        "no secrets".to_owned()
    } else {
        sets.join(", or ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_back_as_they_were_written() {
        let text = "# mine\nexport AWS_ACCESS_KEY_ID=\"AK\"\r\nsecretkey=a=b'c\n\n";
        let secrets = Secrets::parse(CloudKind::Ec2, text).unwrap();
        assert!(secrets.check(CloudKind::Ec2).is_ok());
        let again = Secrets::from_bytes(&secrets.to_bytes()).unwrap();
        assert_eq!(again.get("accesskey").unwrap().expose_secret(), "AK");
        assert_eq!(again.get("secretkey").unwrap().expose_secret(), "a=b'c");
        assert_eq!(format!("{again:?}"), "Secrets(***)");
        for length in 0..secrets.to_bytes().len() {
            let cut = Secrets::from_bytes(&secrets.to_bytes()[..length]);
            assert!(cut.is_none_or(|cut| cut.parts.len() < 2), "{length}");
        }
    }

    #[test]
    fn messages_quote_no_line() {
        for text in [
            "hunter2",
            "hunter2=x",
            "secretkey=",
            "secretkey=hunter2\nsecretkey=x",
        ] {
            let error = Secrets::parse(CloudKind::Ec2, text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = Secrets::parse(CloudKind::Nova, "username=me")
            .unwrap()
            .check(CloudKind::Nova)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`nova` wants `username` with `password`, or `id` with `secret`, and there are `username`"
        );
    }
}
