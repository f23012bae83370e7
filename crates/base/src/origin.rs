//! Where an infrastructure comes from: what tells two of the same name apart.
//!
//! Infrastructures of different state directories may have the same name and
//! use the same account. Each has an origin, drawn once when its state begins
//! and kept for as long as that lives; at clouds that others use too, it is
//! part of every tag.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of an origin: with 48 bits, a million infrastructures of
/// one name in one account meet each other with a chance of one in five hundred.
pub const ORIGIN_DIGITS: usize = 12;

/// Twelve lower-case hexadecimal digits that one infrastructure has for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(Arc<str>);

impl Origin {
    /// Makes an origin of six random bytes.
    pub fn from_bytes(bytes: [u8; ORIGIN_DIGITS / 2]) -> Self {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = digits
            .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
            .collect();
        Self(text.into())
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginError;

impl fmt::Display for OriginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "an origin has {ORIGIN_DIGITS} lower-case hexadecimal digits"
        )
    }
}

impl std::error::Error for OriginError {}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == ORIGIN_DIGITS && text.bytes().all(is_digit) {
            Ok(Self(text.into()))
        } else {
            Err(OriginError)
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_they_are_written() {
        let origin = Origin::from_bytes([0x00, 0x1f, 0xa0, 0xff, 0x7e, 0x09]);
        assert_eq!(origin.as_str(), "001fa0ff7e09");
        assert_eq!(origin.to_string().parse(), Ok(origin));
        for text in [
            "",
            "001fa0ff7e0",
            "001fa0ff7e090",
            "001FA0FF7E09",
            "001fa0ff7e0é",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError), "{text:?}");
        }
    }
}
