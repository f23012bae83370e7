//! How what is ours is told from what is not.
//!
//! A server carries metadata. Ports, floating addresses, security groups and
//! server groups have no metadata everywhere, but all have a name or a
//! description of up to 255 characters, so that is where their mark is.

use std::fmt;

use sha2::{Digest, Sha256};

use zenekar_base::{InfrastructureId, InstanceTag};

/// Metadata: the infrastructure.
pub(crate) const INFRASTRUCTURE: &str = "zenekar_infrastructure";
/// Metadata: the instance.
pub(crate) const INSTANCE: &str = "zenekar_instance";
/// Metadata: the idempotency token.
pub(crate) const TOKEN: &str = "zenekar_token";
/// Metadata: the node and its number, for people.
pub(crate) const NAME: &str = "zenekar_name";
/// Metadata: the port that we made for the server.
pub(crate) const PORT: &str = "zenekar_port";
/// Metadata: the floating address that the port has.
pub(crate) const ADDRESS: &str = "zenekar_address";

/// The tag of servers of ours, where Nova has tags: only for people who list by it.
pub(crate) const SERVER_TAG: &str = "zenekar";

/// The first word of every mark.
const WORD: &str = "zenekar";

/// The longest name and description that all services take.
pub(crate) const TEXT_CHARS_MAX: usize = 255;

/// What a thing that is not a server carries in its name or description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The infrastructure.
    pub(crate) infrastructure: InfrastructureId,
    /// What it is for within the infrastructure: `instance=…` or `node=…`.
    pub(crate) purpose: Purpose,
}

/// What a marked thing is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One instance.
    Instance(InstanceTag),
    /// A node, with a fingerprint of what the thing has to be like.
    Node(String),
}

impl Mark {
    pub(crate) fn of_instance(infrastructure: &InfrastructureId, instance: &InstanceTag) -> Self {
        Self {
            infrastructure: infrastructure.clone(),
            purpose: Purpose::Instance(instance.clone()),
        }
    }

    /// Makes the mark of what the instances of a node share. Things of other
    /// contents are other things, so that a changed node does not change what
    /// its old instances stand on.
    pub(crate) fn of_node(infrastructure: &InfrastructureId, node: &str, contents: &str) -> Self {
        let node: String = node.chars().filter(|one| !one.is_whitespace()).collect();
        Self {
            infrastructure: infrastructure.clone(),
            purpose: Purpose::Node(format!("{node}.{}", digest_of(contents))),
        }
    }

    /// Reads a mark; none if the text is not one.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next()? != WORD {
            return None;
        }
        let infrastructure = InfrastructureId::new(words.next()?);
        let purpose = match words.next()?.split_once('=')? {
            ("instance", instance) => Purpose::Instance(InstanceTag::new(instance)),
            ("node", node) => Purpose::Node(node.to_owned()),
            _ => return None,
        };
        words.next().is_none().then_some(Self {
            infrastructure,
            purpose,
        })
    }

    /// Reads a mark of this infrastructure.
    pub(crate) fn read_of(text: &str, infrastructure: &InfrastructureId) -> Option<Self> {
        Self::read(text).filter(|mark| mark.infrastructure == *infrastructure)
    }

    /// Returns the instance that the thing is for.
    pub(crate) fn instance(&self) -> Option<&InstanceTag> {
        match &self.purpose {
            Purpose::Instance(instance) => Some(instance),
            Purpose::Node(_) => None,
        }
    }

    /// Says whether the services take a text of this length.
    pub(crate) fn fits(&self) -> bool {
        self.to_string().chars().count() <= TEXT_CHARS_MAX
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{WORD} {} ", self.infrastructure)?;
        match &self.purpose {
            Purpose::Instance(instance) => write!(formatter, "instance={instance}"),
            Purpose::Node(node) => write!(formatter, "node={node}"),
        }
    }
}

/// Returns eight letters that stand for a text.
pub(crate) fn digest_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let [first, second, third, fourth, ..] = digest[..] else {
        return String::new();
    };
    format!("{first:02x}{second:02x}{third:02x}{fourth:02x}")
}

/// Returns the node of an instance's name for people: `worker` of `worker/3`.
pub(crate) fn node_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(node, _)| node)
}

/// Returns the name of an instance's server: made for people, unique by what is
/// at its end, and fit to be a host name.
pub(crate) fn server_name(label: Option<&str>, name: &str, instance: &InstanceTag) -> String {
    /// What is left of the 63 letters of a host name for the label.
    const LABEL_CHARS_MAX: usize = 50;
    let label = label.unwrap_or(name);
    let mut fit = String::new();
    for one in label.chars() {
        if one.is_ascii_alphanumeric() {
            fit.push(one);
        } else if !fit.is_empty() && !fit.ends_with('-') {
            fit.push('-');
        }
        if fit.len() == LABEL_CHARS_MAX {
            break;
        }
    }
    let fit = fit.trim_end_matches('-');
    let fit = if fit.is_empty() { WORD } else { fit };
    format!("{fit}-{}", digest_of(instance.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written() {
        let infrastructure = InfrastructureId::new("shop.0123456789ab");
        let instance = InstanceTag::new("1-2");
        for mark in [
            Mark::of_instance(&infrastructure, &instance),
            Mark::of_node(&infrastructure, "data base", "80"),
        ] {
            assert_eq!(Mark::read(&mark.to_string()), Some(mark.clone()));
            assert!(mark.fits());
            assert!(Mark::read_of(&mark.to_string(), &InfrastructureId::new("shop")).is_none());
        }
        for foreign in [
            "",
            "zenekar",
            "zenekar x",
            "zenekar x y=1",
            "zenekar x node=1 more",
            "web",
        ] {
            assert_eq!(Mark::read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_are_fit_for_hosts() {
        let instance = InstanceTag::new("a");
        let end = digest_of("a");
        for (label, name, wanted) in [
            (None, "worker/3", "worker-3"),
            (Some("My server_"), "worker/3", "My-server"),
            (Some("-ű"), "worker/3", "zenekar"),
        ] {
            assert_eq!(
                server_name(label, name, &instance),
                format!("{wanted}-{end}")
            );
        }
        assert!(server_name(Some(&"x".repeat(300)), "", &instance).len() <= 63);
    }
}
