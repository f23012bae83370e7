//! 128 bits that stand for a state.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

/// What a state is remembered by. Among a billion different states, two have
/// the same one with a chance below one in 10^20 (n² / 2^129).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint128(pub u128);

impl Fingerprint128 {
    /// Returns the fingerprint of a value, from what it gives to its hasher.
    pub fn of(value: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = Wide::new();
        value.hash(&mut hasher);
        Self(hasher.digest())
    }

    /// Returns the lower half.
    pub(crate) fn low(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or_default()
    }

    /// Returns the upper half.
    pub(crate) fn high(self) -> u64 {
        u64::try_from(self.0 >> 64).unwrap_or_default()
    }
}

impl Hash for Fingerprint128 {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // It is scattered already, and half of it is enough for a table.
        hasher.write_u64(self.low());
    }
}

/// Bytes that are collected before they are hashed: values are given in small
/// pieces, and each costs more than its bytes.
const BUFFER_BYTES: usize = 1024;

/// A hasher whose result has 128 bits.
struct Wide {
    /// What was given before the buffer, if it was more than that.
    before: Option<Box<Xxh3Default>>,
    buffer: [u8; BUFFER_BYTES],
    filled: usize,
}

impl Wide {
    fn new() -> Self {
        Self {
            before: None,
            buffer: [0; BUFFER_BYTES],
            filled: 0,
        }
    }

    fn flush(&mut self) {
        let before = self.before.get_or_insert_default();
        before.update(&self.buffer[..self.filled]);
        self.filled = 0;
    }

    fn digest(mut self) -> u128 {
        if self.before.is_none() {
            return xxh3_128(&self.buffer[..self.filled]);
        }
        self.flush();
        self.before.map_or(0, |before| before.digest128())
    }
}

impl Hasher for Wide {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if let Some(place) = self.buffer.get_mut(self.filled..self.filled + bytes.len()) {
            place.copy_from_slice(bytes);
            self.filled += bytes.len();
            return;
        }
        self.flush();
        match self.buffer.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.filled = bytes.len();
            }
            None => self.before.get_or_insert_default().update(bytes),
        }
    }

    fn finish(&self) -> u64 {
        let mut all = self.before.as_deref().cloned().unwrap_or_default();
        all.update(&self.buffer[..self.filled]);
        all.digest()
    }
}

/// The hasher of tables of fingerprints: takes the one word that it is given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_values_have_different_fingerprints() {
        let all: Vec<_> = (0..1000u32).map(|n| Fingerprint128::of(&n)).collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), all.len());
        assert_eq!(Fingerprint128::of("a"), Fingerprint128::of("a"));
    }

    #[test]
    fn pieces_make_no_difference() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5 * BUFFER_BYTES).collect();
        for (total, piece) in [(5, 2), (1024, 8), (1025, 8), (3000, 100), (5120, 1500)] {
            let mut hasher = Wide::new();
            for part in bytes[..total].chunks(piece) {
                hasher.write(part);
            }
            assert_eq!(hasher.digest(), xxh3_128(&bytes[..total]), "{total}");
        }
    }

    #[test]
    fn halves_make_the_whole() {
        let whole = Fingerprint128::of(&7u8);
        let again = (u128::from(whole.high()) << 64) | u128::from(whole.low());
        assert_eq!(whole.0, again);
    }
}
