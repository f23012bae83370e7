//! Secrets that cannot be printed by accident.

use std::fmt;

/// The secrets of one entry of an authentication file: texts by name.
///
/// It shows nothing when it is printed for debugging, and it cannot be
/// serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    parts: Vec<(String, String)>,
}

impl Secret {
    /// Makes a secret of its parts.
    pub fn new(parts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
        }
    }

    /// Returns the part with a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.as_str())
    }

    /// Returns the names of the parts; they are not secret.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}
