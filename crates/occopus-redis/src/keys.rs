//! The names of keys: whose they are, and what they hold.

use crate::limits::KEY_BYTES_MAX;
use crate::stored::Owner;

/// What a key of the database of infrastructures holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Description,
    /// The instances of a node.
    State(String),
    FailedNodes,
    FailTime,
    Scaling,
    Notification,
    FirstMaintenance,
}

/// Reads the name of a key of the database of infrastructures.
pub(crate) fn parse(key: &str) -> Option<(Owner, Content)> {
    if key.len() > KEY_BYTES_MAX {
        return None;
    }
    // Ids may hold colons, names of nodes may not.
    let (head, last) = key.rsplit_once(':')?;
    let content = match last {
        "description" => Content::Description,
        "failed_nodes" => Content::FailedNodes,
        "failtime" => Content::FailTime,
        "scaling" => Content::Scaling,
        "notification" => Content::Notification,
        "first_maint" => Content::FirstMaintenance,
        node => {
            let (owner, state) = head.rsplit_once(':')?;
            return (state == "state")
                .then(|| (Owner::parse(owner), Content::State(node.to_owned())));
        }
    };
    // A node may be called `scaling`: then the part before says what it is.
    match head.rsplit_once(':') {
        Some((owner, "state")) if !owner.is_empty() => {
            Some((Owner::parse(owner), Content::State(last.to_owned())))
        }
        _ => Some((Owner::parse(head), content)),
    }
}

impl Owner {
    /// Reads `user@id`; older versions knew no users.
    pub(crate) fn parse(text: &str) -> Self {
        let (user, id) = text.split_once('@').unwrap_or(("", text));
        Self {
            user: user.to_owned(),
            id: id.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(user: &str, id: &str) -> Owner {
        Owner {
            user: user.to_owned(),
            id: id.to_owned(),
        }
    }

    #[test]
    fn keys_tell_whose_they_are_and_what_they_hold() {
        let ada = || owner("ada", "micado_worker_infra");
        let state = |node: &str| Content::State(node.to_owned());
        for (key, expected) in [
            (
                "ada@micado_worker_infra:description",
                Some((ada(), Content::Description)),
            ),
            (
                "ada@micado_worker_infra:state:worker",
                Some((ada(), state("worker"))),
            ),
            (
                "ada@micado_worker_infra:state:scaling",
                Some((ada(), state("scaling"))),
            ),
            (
                "ada@micado_worker_infra:scaling",
                Some((ada(), Content::Scaling)),
            ),
            (
                "ada@micado_worker_infra:first_maint",
                Some((ada(), Content::FirstMaintenance)),
            ),
            (
                "old:description",
                Some((owner("", "old"), Content::Description)),
            ),
            (
                "ada@a:b:failtime",
                Some((owner("ada", "a:b"), Content::FailTime)),
            ),
            ("ada@x:other:worker", None),
            ("unrelated", None),
        ] {
            assert_eq!(parse(key), expected, "{key}");
        }
    }

    #[test]
    fn an_endless_key_is_nobodys() {
        assert_eq!(parse(&format!("{}:description", "x".repeat(5_000))), None);
    }
}
