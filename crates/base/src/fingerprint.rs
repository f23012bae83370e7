//! Content fingerprints that are the same on every machine and version.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The first 128 bits of a SHA-256 over a canonical encoding.
///
/// Stored in journals, so the encoding below never changes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// Returns the fingerprint of one piece of text.
    pub fn of_text(text: &str) -> Self {
        let mut builder = FingerprintBuilder::default();
        builder.text(text);
        builder.finish()
    }

    /// Formats the value as a UUID (8-4-4-4-12 hexadecimal digits).
    pub fn to_uuid(self) -> String {
        let hex = format!("{:032x}", self.0);
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Feeds pieces of content into a fingerprint; every piece is tagged and
/// length-prefixed, so that no two different sequences collide by concatenation.
#[derive(Clone, Default)]
pub struct FingerprintBuilder {
    hasher: Sha256,
}

impl FingerprintBuilder {
    /// Adds a piece of text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.piece(b's', text.as_bytes())
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.piece(b'n', &number.to_be_bytes())
    }

    /// Adds tagged bytes.
    pub fn piece(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.hasher.update([tag]);
        self.hasher.update((bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
        self
    }

    /// Returns the fingerprint of all pieces so far.
    pub fn finish(&self) -> Fingerprint {
        let digest = self.hasher.clone().finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Fingerprint(u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_run_together() {
        let mut one = FingerprintBuilder::default();
        one.text("ab").text("c");
        let mut two = FingerprintBuilder::default();
        two.text("a").text("bc");
        assert_ne!(one.finish(), two.finish());
    }

    #[test]
    fn stored_values_do_not_change() {
        assert_eq!(Fingerprint::of_text("zenekar").to_string().len(), 32);
        assert_eq!(
            Fingerprint(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).to_uuid(),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
    }
}
