//! The words of a plan: what is done, why, and when.

use std::fmt;

use serde::Serialize;
use zenekar_base::{InstanceKey, NodeKey};

use crate::effect::Notice;
use crate::record::{Breakage, Doom};
use crate::waiting::Waiting;

/// What a step does to its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A new instance is created.
    Create,
    /// An instance that is on its way is brought to readiness.
    Continue,
    /// An instance is contextualised again in place.
    Restart,
    /// An instance is deleted and another takes its place.
    Replace,
    /// An instance is deleted.
    Delete,
}

/// Why a step is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The node has fewer instances than wanted.
    BelowTarget,
    /// It is not ready yet.
    Unfinished,
    /// Its deletion has begun: why.
    Doomed(Doom),
    /// The node has more instances than wanted.
    AboveTarget,
    /// The descriptor no longer has its node.
    NodeRemoved,
    /// The infrastructure goes down.
    Teardown,
    /// It broke down.
    Broken(Breakage),
    /// Its resource section or its contextualisation has changed.
    Outdated {
        /// The resource section changed.
        resource: bool,
        /// The contextualisation changed.
        context: bool,
    },
    /// An address that it was given has changed.
    AddressChanged,
    /// An address that it was given will change, once its owner is replaced.
    AddressWillChange {
        /// The owner's node.
        node: String,
    },
}

/// When a step is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// As soon as what it needs is ready.
    Now,
    /// Not before something else has happened.
    Later(Waiting),
}

/// One unit of a plan on one subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Step {
    /// The node.
    #[serde(skip)]
    pub node: NodeKey,
    /// The instance; `None` for one that does not exist yet.
    #[serde(skip)]
    pub instance: Option<InstanceKey>,
    /// What is done.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// When.
    pub when: When,
}

/// What would be done: immutable, with a parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The generation that the plan starts from.
    pub parent: u64,
    /// The generation that it leads to.
    pub generation: u64,
    /// The steps, nodes in the order of the descriptor, lost nodes first.
    pub steps: Vec<Step>,
    /// What is worth telling about the request.
    pub notices: Vec<Notice>,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowTarget => formatter.write_str("fewer instances than wanted"),
            Self::Unfinished => formatter.write_str("not ready yet"),
            Self::Doomed(doom) => doom.fmt(formatter),
            Self::AboveTarget => formatter.write_str("more instances than wanted"),
            Self::NodeRemoved => formatter.write_str("its node is no longer in the descriptor"),
            Self::Teardown => formatter.write_str("the infrastructure goes down"),
            Self::Broken(breakage) => breakage.fmt(formatter),
            Self::Outdated {
                resource: true,
                context: false,
            } => formatter.write_str("its resource section has changed"),
            Self::Outdated {
                resource: false, ..
            } => formatter.write_str("its contextualisation has changed"),
            Self::Outdated { .. } => {
                formatter.write_str("its resource section and contextualisation have changed")
            }
            Self::AddressChanged => formatter.write_str("an address that it was given has changed"),
            Self::AddressWillChange { node } => write!(
                formatter,
                "it knows addresses of `{node}`, which is replaced"
            ),
        }
    }
}
