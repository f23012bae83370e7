//! Sealing secrets: what is stored of them.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use crate::cloud::NamedCloud;
use crate::error::CredentialsError;
use crate::key::{Key, KeyHeader, Keys, SealWith, random};
use crate::secrets::Secrets;

/// The version of the format that is written; it grows when older versions of
/// Zenekar could not read the file any more.
pub(crate) const FORMAT: u32 = 2;
/// Bytes of the tag that shows that nothing was changed.
pub(crate) const TAG_BYTES: usize = 16;
/// What the sealed bytes are good for, so that they are taken for nothing else.
const PURPOSE: &[u8] = b"zenekar sealed secrets of a cloud\0";

/// What is beside the sealed bytes: anybody may read it, nobody can change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    version: u32,
    name: String,
    kind: String,
    /// Where the secrets may be sent.
    endpoint: Option<String>,
    /// Whom they may be sent to: the file with certificates that are trusted;
    /// empty if there is none. Version 1 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    cipher: String,
    key: KeyHeader,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    header: Header,
    nonce: String,
    secrets: String,
}

const CIPHER: &str = "chacha20-poly1305";

impl Header {
    /// Returns what the seal covers besides the secrets.
    fn covered(&self) -> Vec<u8> {
        let mut bytes = PURPOSE.to_vec();
        // The text is made from what was read, member by member, in one order.
        let text = serde_json::to_vec(self).expect("texts and numbers can be written");
        bytes.extend_from_slice(&text);
        bytes
    }
}

fn cipher(key: &Key) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice())
        .expect("the key is as long as the cipher wants");
    LessSafeKey::new(key)
}

/// Seals the secrets of a cloud; returns the text of their file.
pub(crate) fn seal(
    cloud: &NamedCloud,
    secrets: &Secrets,
    keys: &Keys,
    with: SealWith,
) -> Result<String, CredentialsError> {
    let (key_header, key) = keys.make(&cloud.name, with)?;
    let header = Header {
        version: FORMAT,
        name: cloud.name.clone(),
        kind: cloud.kind.name().to_owned(),
        endpoint: cloud.setting("endpoint").map(str::to_owned),
        ca_file: Some(cloud.setting("ca_file").unwrap_or_default().to_owned()),
        cipher: CIPHER.to_owned(),
        key: key_header,
    };
    // Drawn anew for each file: with a few files per key no two are ever the same.
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut bytes = secrets.to_bytes();
    cipher(&key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.covered()),
            &mut *bytes,
        )
        .expect("secrets are far shorter than what the cipher can take");
    let sealed = Sealed {
        header,
        nonce: BASE64_STANDARD.encode(nonce),
        secrets: BASE64_STANDARD.encode(&*bytes),
    };
    let mut text = serde_json::to_string_pretty(&sealed).expect("texts can be written");
    text.push('\n');
    Ok(text)
}

/// Opens the secrets of a cloud.
pub(crate) fn open(
    cloud: &NamedCloud,
    path: &Path,
    text: &[u8],
    keys: &Keys,
) -> Result<Secrets, CredentialsError> {
    let sealed = read(path, text)?;
    check_bound(cloud, &sealed.header)?;
    let damaged = || CredentialsError::malformed(path, "it is damaged");
    let nonce: [u8; NONCE_LEN] = BASE64_STANDARD
        .decode(&sealed.nonce)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(damaged)?;
    let mut bytes = Zeroizing::new(
        BASE64_STANDARD
            .decode(&sealed.secrets)
            .map_err(|_| damaged())?,
    );
    let key = keys.find(&cloud.name, &sealed.header.key)?;
    let opened = cipher(&key)
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(sealed.header.covered()),
            &mut bytes,
        )
        .map_err(|_| {
            keys.forget_answer();
            let reason = match sealed.header.key {
                KeyHeader::KeyFile { .. } => "their file was changed",
                KeyHeader::Passphrase { .. } => {
                    "the passphrase is wrong, or their file was changed"
                }
            };
            CredentialsError::WrongKey {
                cloud: cloud.name.clone(),
                reason: reason.to_owned(),
            }
        })?;
    Secrets::from_bytes(opened).ok_or_else(damaged)
}

/// Says with what a file of secrets is sealed.
pub(crate) fn sealed_with(path: &Path, text: &[u8]) -> Result<SealWith, CredentialsError> {
    Ok(match read(path, text)?.header.key {
        KeyHeader::KeyFile { .. } => SealWith::KeyFile,
        KeyHeader::Passphrase { .. } => SealWith::Passphrase,
    })
}

fn read(path: &Path, text: &[u8]) -> Result<Sealed, CredentialsError> {
    check_version(path, text, FORMAT, |value| value.pointer("/header/version"))?;
    let sealed: Sealed = serde_json::from_slice(text).map_err(|_| {
        CredentialsError::malformed(path, "it is not what Zenekar stores secrets in")
    })?;
    if sealed.header.cipher != CIPHER {
        return Err(CredentialsError::malformed(path, "its cipher is not known"));
    }
    Ok(sealed)
}

/// Fails if a file was written by a later version.
pub(crate) fn check_version(
    path: &Path,
    text: &[u8],
    known: u32,
    find: impl Fn(&serde_json::Value) -> Option<&serde_json::Value>,
) -> Result<(), CredentialsError> {
    let value: serde_json::Value = serde_json::from_slice(text)
        .map_err(|_| CredentialsError::malformed(path, "it is no JSON"))?;
    let version = find(&value)
        .and_then(serde_json::Value::as_u64)
        .and_then(|version| u32::try_from(version).ok())
        .filter(|version| *version > 0)
        .ok_or_else(|| CredentialsError::malformed(path, "it has no version"))?;
    if version > known {
        return Err(CredentialsError::NewerFormat {
            path: path.to_path_buf(),
            version,
            known,
        });
    }
    Ok(())
}

fn check_bound(cloud: &NamedCloud, header: &Header) -> Result<(), CredentialsError> {
    let none = || "none".to_owned();
    let endpoint = cloud.setting("endpoint").map(str::to_owned);
    let ca_file = cloud.setting("ca_file").map(str::to_owned);
    let sealed_ca_file = match &header.ca_file {
        Some(path) => Some(path.clone()).filter(|path| !path.is_empty()),
        // What version 1 does not cover cannot be compared.
        None => ca_file.clone(),
    };
    let parts = [
        ("the name", header.name.clone(), cloud.name.clone()),
        ("kind", header.kind.clone(), cloud.kind.name().to_owned()),
        (
            "endpoint",
            header.endpoint.clone().unwrap_or_else(none),
            endpoint.unwrap_or_else(none),
        ),
        (
            "ca_file",
            sealed_ca_file.unwrap_or_else(none),
            ca_file.unwrap_or_else(none),
        ),
    ];
    for (part, sealed, found) in parts {
        if sealed != found {
            return Err(CredentialsError::Moved {
                cloud: cloud.name.clone(),
                part,
                sealed,
                found,
            });
        }
    }
    Ok(())
}
