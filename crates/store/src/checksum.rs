//! Checksums of rows and of the chain that entries form.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// A 128-bit XXH3 checksum: finds accidents, does not stop forgers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checksum(pub(crate) [u8; 16]);

impl Checksum {
    /// Parses 32 hexadecimal digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Appends a byte as two hexadecimal digits.
pub(crate) fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
    }
}

/// Adds up pieces of a row. Each piece is length-prefixed, so that no two
/// different rows collide by concatenation.
pub(crate) struct Summer {
    hasher: Xxh3,
}

impl Summer {
    /// Starts a checksum of a `domain`, so that a row of one table never
    /// passes for one of another. Stored in files: the names never change.
    pub(crate) fn new(domain: &str) -> Self {
        let mut summer = Self {
            hasher: Xxh3::new(),
        };
        summer.bytes(domain.as_bytes());
        summer
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.hasher.update(&(bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        self.hasher.update(&number.to_be_bytes());
        self
    }

    pub(crate) fn optional(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.number(1).number(number),
            None => self.number(0),
        }
    }

    pub(crate) fn finish(&self) -> Checksum {
        Checksum(self.hasher.digest128().to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_checksums_do_not_change() {
        let mut summer = Summer::new("test");
        summer.text("zenekar").number(-1).optional(None);
        assert_eq!(
            summer.finish().to_string(),
            "07246a03e2e85505df0487fdf3b0915b"
        );
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        let checksum = Summer::new("test").finish();
        assert_eq!(Checksum::from_hex(&checksum.to_string()), Some(checksum));
        assert_eq!(Checksum::from_hex("12"), None);
        assert_eq!(Checksum::from_hex(&"g".repeat(32)), None);
    }
}
