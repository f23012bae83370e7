//! Parts of states, each stored once and known by a number.
//!
//! A state of the world is made of few large parts that change seldom (the
//! engine, the cloud) and many small ones. A large part is stored once; what
//! follows from it by a certain event is computed once, by the production
//! code, and looked up ever after.
//!
//! Numbers depend on who came first and therefore on threads; nothing but
//! lookups may depend on them. What identifies a part for good is its fingerprint.

use std::hash::Hash;

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;
use zenekar_search::Fingerprint128;

/// A table of parts of one kind.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    numbers: DashMap<Fingerprint128, u32, FxBuildHasher>,
    parts: boxcar::Vec<(Fingerprint128, T)>,
}

impl<T: Hash> Interner<T> {
    pub(crate) fn new() -> Self {
        Self {
            numbers: DashMap::with_hasher(FxBuildHasher),
            parts: boxcar::Vec::new(),
        }
    }

    /// Returns the number of a part, giving it one at first sight.
    pub(crate) fn intern(&self, part: T) -> u32 {
        let fingerprint = Fingerprint128::of(&part);
        if let Some(number) = self.numbers.get(&fingerprint) {
            return *number;
        }
        *self.numbers.entry(fingerprint).or_insert_with(|| {
            let number = self.parts.push((fingerprint, part));
            u32::try_from(number).expect("memory ends before 2^32 parts")
        })
    }

    /// Returns a part by its number.
    pub(crate) fn get(&self, number: u32) -> &T {
        &self.parts[number as usize].1
    }

    /// Returns what identifies a part for good.
    pub(crate) fn fingerprint(&self, number: u32) -> Fingerprint128 {
        self.parts[number as usize].0
    }

    /// Returns how many parts there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.count()
    }
}

/// What follows from parts, as far as it was computed.
#[derive(Debug)]
pub(crate) struct Cache<K: Eq + Hash, V> {
    known: DashMap<K, V, FxBuildHasher>,
}

impl<K: Eq + Hash, V: Copy> Cache<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            known: DashMap::with_hasher(FxBuildHasher),
        }
    }

    /// Returns what is known, or computes it. Two threads may compute the same; they agree.
    pub(crate) fn get_or(&self, key: K, compute: impl FnOnce() -> V) -> V {
        if let Some(value) = self.known.get(&key) {
            return *value;
        }
        let value = compute();
        self.known.insert(key, value);
        value
    }
}
