//! A small deterministic generator for simulations and jitter.
//!
//! The algorithm is `SplitMix64` (Steele, Lea, Flood: "Fast splittable
//! pseudorandom number generators", 2014). It is not for secrets.

use serde::{Deserialize, Serialize};

/// A seeded stream of numbers that can be split into independent streams, so
/// that one more draw in one place does not reshuffle all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts a stream from a seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns an independent stream for the object `key`, without drawing
    /// from this one.
    pub fn child(&self, key: u64) -> Self {
        Self {
            state: mix(self.state ^ mix(key.wrapping_add(GOLDEN_GAMMA))),
        }
    }

    /// Draws the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// Draws a number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The multiply-shift reduction; its bias is below 2^-32 for the small
        // bounds that simulations use.
        u64::try_from((u128::from(self.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// Draws a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low {
            low
        } else {
            low + self.below((high - low).saturating_add(1))
        }
    }

    /// Returns true with a probability of `parts_per_million`.
    pub fn chance(&mut self, parts_per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(parts_per_million)
    }
}

/// The odd constant of `SplitMix64`: 2^64 divided by the golden ratio.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of `SplitMix64`: a bijection that scatters its input.
pub const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // First outputs of SplitMix64 for seed 1234567, from the reference C code.
        let mut random = Random::from_seed(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn children_do_not_depend_on_draws_of_siblings() {
        let parent = Random::from_seed(7);
        let mut one = parent.child(1);
        let before = parent.child(2).next_u64();
        one.next_u64();
        assert_eq!(parent.child(2).next_u64(), before);
        assert_ne!(parent.child(1).next_u64(), before);
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::from_seed(1);
        assert!(
            (0..1000)
                .map(|_| random.between(3, 5))
                .all(|n| (3..=5).contains(&n))
        );
        assert_eq!(random.below(0), 0);
    }
}
