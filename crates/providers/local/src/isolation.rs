//! How far instances are kept apart from the machine and from each other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far an instance is isolated; a greater one includes the smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A directory and a process group that can write only there, with an
    /// address of the machine's own loopback network.
    Plain,
    /// Namespaces of an ordinary user: own root, processes, network and names;
    /// limits are not enforced, and files of the machine keep their owner.
    UserNamespaces,
    /// Namespaces of the machine's root, with limits where control groups are writable.
    Namespaces,
}

impl Isolation {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Plain, Self::UserNamespaces, Self::Namespaces];

    /// Returns the name that options and outputs use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::UserNamespaces => "user-namespaces",
            Self::Namespaces => "namespaces",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|isolation| isolation.name() == text)
            .ok_or_else(|| {
                format!(
                    "`{text}` is no isolation; there are `{}`",
                    Self::ALL.map(Self::name).join("`, `")
                )
            })
    }
}
