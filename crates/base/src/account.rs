//! The account at a cloud that something is in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An account, project or engine at a cloud, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// What it is known by: stays the same for as long as it is the same account,
    /// and nobody can choose it.
    pub pin: String,
    /// What the cloud called it when it was seen; may change.
    pub name: String,
}

impl Account {
    /// Returns whether both are the same account.
    pub fn is_same(&self, other: &Self) -> bool {
        self.pin == other.pin
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() || self.name == self.pin {
            write!(formatter, "`{}`", self.pin)
        } else {
            write!(formatter, "`{}` (`{}`)", self.pin, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_shown_with_its_name_where_that_says_more() {
        let account = |pin: &str, name: &str| Account {
            pin: pin.to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(account("4a1f", "demo").to_string(), "`4a1f` (`demo`)");
        assert_eq!(account("12", "12").to_string(), "`12`");
        assert_eq!(account("12", "").to_string(), "`12`");
        assert!(account("12", "old").is_same(&account("12", "new")));
    }
}
