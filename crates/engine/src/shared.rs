//! Collections whose clones share what they hold until one of them changes it:
//! who explores what can happen keeps millions of engines that differ in little.

use std::collections::{BTreeMap, btree_map};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// A map in the order of its keys whose clones share values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharedMap<K, V>(BTreeMap<K, Arc<V>>);

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> SharedMap<K, V> {
    /// Makes an empty map.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the keys in order.
    pub fn keys(&self) -> btree_map::Keys<'_, K, Arc<V>> {
        self.0.keys()
    }

    /// Returns the values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.0.values().map(Arc::as_ref)
    }

    /// Returns keys and values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key, &**value))
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// Returns a value by its key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(Arc::as_ref)
    }

    /// Says whether there is a value of this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Puts a value in the place of the one of this key.
    pub fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, Arc::new(value));
    }
}

impl<K: Ord, V: Clone> SharedMap<K, V> {
    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key).map(Arc::unwrap_or_clone)
    }

    /// Returns a value that is to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(Arc::make_mut)
    }

    /// Returns all values, which are to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut().map(Arc::make_mut)
    }

    /// Takes everything out, in order.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|(key, value)| (key, Arc::unwrap_or_clone(value)))
    }
}

impl<K: Ord, V: Clone + Default> SharedMap<K, V> {
    /// Returns a value that is to be changed, and that is made if it is not there.
    pub(crate) fn get_or_default(&mut self, key: K) -> &mut V {
        Arc::make_mut(self.0.entry(key).or_default())
    }
}

impl<K: Ord, V: Clone + PartialEq> SharedMap<K, V> {
    /// Changes values, and leaves those shared that stay as they are.
    pub(crate) fn change_each(&mut self, change: impl Fn(&K, &mut V)) {
        for (key, value) in &mut self.0 {
            if let Some(own) = Arc::get_mut(value) {
                change(key, own);
                continue;
            }
            let mut changed = V::clone(value);
            change(key, &mut changed);
            if changed != **value {
                *value = Arc::new(changed);
            }
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let all = all.into_iter();
        Self(all.map(|(key, value)| (key, Arc::new(value))).collect())
    }
}

impl<K: Ord, V> Index<&K> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        &self.0[key]
    }
}

/// A list whose clones share what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharedList<T>(Vec<Arc<T>>);

impl<T> Default for SharedList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> SharedList<T> {
    /// Makes an empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns one by its place.
    pub fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place).map(Arc::as_ref)
    }

    /// Returns all in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.0.iter().map(Arc::as_ref)
    }

    pub(crate) fn push(&mut self, one: T) {
        self.0.push(Arc::new(one));
    }
}

impl<T: Clone> SharedList<T> {
    /// Returns all that are to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(Arc::make_mut)
    }
}

impl<T> Index<usize> for SharedList<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.0[place]
    }
}

impl<T: Clone> IndexMut<usize> for SharedList<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        Arc::make_mut(&mut self.0[place])
    }
}

impl<T> FromIterator<T> for SharedList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        Self(all.into_iter().map(Arc::new).collect())
    }
}

impl<'a, T> IntoIterator for &'a SharedList<T> {
    type Item = &'a T;
    type IntoIter = std::iter::Map<std::slice::Iter<'a, Arc<T>>, fn(&'a Arc<T>) -> &'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(Arc::as_ref)
    }
}

impl<'a, K, V> IntoIterator for &'a SharedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter =
        std::iter::Map<btree_map::Iter<'a, K, Arc<V>>, fn((&'a K, &'a Arc<V>)) -> (&'a K, &'a V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(key, value)| (key, &**value))
    }
}
