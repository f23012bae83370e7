//! What instances do while they are contextualised, as far as it concerns others.
//!
//! An instance runs its *segments* in order. Between two of them lies a
//! communication point, where the course of events may depend on what the
//! other instances have done by then: an explorer tries the orders, a debugger
//! can hold the instance there.
//!
//! How a segment runs:
//!
//! 1. It begins: its [`Segment::reads`] are read, and its [`Segment::needs`]
//!    are looked at. With a need that is not fulfilled it waits, if it
//!    [retries](Segment::retries); otherwise contextualisation has failed.
//! 2. It ends: its [`Segment::writes`] are written, and its [`Segment::gives`]
//!    are there for others from now on, for as long as the instance lives.
//!
//! After its last segment an instance is finished. It is healthy once it has
//! given what its health checks look at ([`Behaviour::ready`]), which may be
//! earlier: whoever waits for it goes on then.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the instances of all nodes of a topology do, by the name of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Behaviours {
    /// A node that is not here has nothing to do, and is finished at once.
    pub nodes: BTreeMap<String, Behaviour>,
}

impl Behaviours {
    /// Returns what the instances of a node do; no segments for a node that is not there.
    pub fn segments_of(&self, node: &str) -> &[Segment] {
        self.nodes
            .get(node)
            .map_or(&[], |behaviour| &behaviour.segments)
    }
}

/// What each instance of one node does while it is contextualised.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Behaviour {
    /// The segments, in the order in which they run.
    pub segments: Vec<Segment>,
    /// What the health checks look at, the ping aside: an instance is healthy
    /// once it has given all of this; as soon as it runs, if this is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Give>,
    /// Instances of the node that have to do their work at any time, if it is
    /// said: neither updates nor smaller counts may leave fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// Secrets of other nodes that its instances are given although nothing of
    /// the node names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_secrets: Vec<ForeignSecret>,
    /// Who says so.
    #[serde(default)]
    pub origin: Origin,
}

/// A secret that a node is given and another one uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ForeignSecret {
    /// The variable, as `db.password`.
    pub variable: String,
    /// The first node that names it.
    pub owner: String,
}

/// Who says what a node does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The scripts of the descriptor, as far as they could be understood.
    #[default]
    Derived,
    /// The scripts, with what an annotation adds to them.
    Refined,
    /// An annotation alone.
    Stated,
}

/// What an instance does from one communication point to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// A few words for people: the command at its end, or what an annotation calls it.
    pub label: String,
    /// What has to be there when the segment runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// What is there for others once the segment is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gives: Vec<Give>,
    /// Names of shared objects that it reads, as `volume:data` or `server:/etc/hosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Names of shared objects that it replaces by something that follows from
    /// what the instance read before. Of two instances that read the same
    /// object and write it afterwards, one update is lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
    /// Names of shared objects that nobody else may read or write from the
    /// beginning of the segment to its end. What two neighbouring segments
    /// hold is not let go between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
    /// Whether it tries again until its needs are fulfilled.
    #[serde(default)]
    pub retries: bool,
    /// How many items of `runcmd` have run when it ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<u32>,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A line of a file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file, as it was named when the descriptor was loaded.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Something of another node that a segment needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Need {
    /// The node. Where it is the segment's own, its *other* instances are
    /// meant, and without others the need is fulfilled.
    pub node: String,
    /// What of it.
    pub what: Contact,
    /// Of how many of its instances.
    pub quantifier: Quantifier,
}

impl fmt::Display for Need {
    /// Writes a need as in annotations: `master:7077`, `all db:3306`, `master.token`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quantifier == Quantifier::All {
            formatter.write_str("all ")?;
        }
        formatter.write_str(&self.node)?;
        match &self.what {
            Contact::Address => formatter.write_str(" address"),
            Contact::Port(port) => write!(formatter, ":{port}"),
            Contact::Name(name) => write!(formatter, ".{name}"),
            Contact::Finished => Ok(()),
        }
    }
}

/// What is needed of an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// That its address is known, and nothing else.
    Address,
    /// That it answers at this TCP port.
    Port(u16),
    /// That it has given something of this name.
    Name(String),
    /// That it has run all its segments.
    Finished,
}

/// Of how many instances something is needed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Quantifier {
    /// Of one of them. Where the instance was given the address of a certain
    /// one, of that one.
    #[default]
    One,
    /// Of all that its node has at that time.
    All,
}

/// Something that an instance has for others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Give {
    /// It answers at this TCP port.
    Port(u16),
    /// Something with a name, as a token or a file.
    Name(String),
}

impl Give {
    /// Says whether this is what a need asks for.
    pub fn fulfils(&self, contact: &Contact) -> bool {
        match (self, contact) {
            (Self::Port(given), Contact::Port(needed)) => given == needed,
            (Self::Name(given), Contact::Name(needed)) => given == needed,
            _ => false,
        }
    }
}

impl fmt::Display for Give {
    /// Writes it as in annotations: `7077` or `token`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(formatter, "{port}"),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_written_as_in_annotations() {
        let need = |what, quantifier| Need {
            node: "db".to_owned(),
            what,
            quantifier,
        };
        let written = [
            need(Contact::Port(3306), Quantifier::All),
            need(Contact::Name("token".to_owned()), Quantifier::One),
            need(Contact::Finished, Quantifier::One),
            need(Contact::Address, Quantifier::One),
        ]
        .map(|need| need.to_string());
        assert_eq!(written, ["all db:3306", "db.token", "db", "db address"]);
    }

    #[test]
    fn only_the_same_thing_fulfils_a_need() {
        let token = Contact::Name("token".to_owned());
        assert!(Give::Port(80).fulfils(&Contact::Port(80)));
        assert!(!Give::Port(80).fulfils(&Contact::Port(81)));
        assert!(Give::Name("token".to_owned()).fulfils(&token));
        assert!(!Give::Name("80".to_owned()).fulfils(&Contact::Port(80)));
        assert!(!Give::Port(80).fulfils(&Contact::Finished));
    }

    #[test]
    fn a_node_that_is_not_named_has_nothing_to_do() {
        assert!(Behaviours::default().segments_of("db").is_empty());
    }
}
