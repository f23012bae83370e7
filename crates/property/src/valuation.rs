//! What a formula may ask about one global state, and the names that it uses.

use crate::datum::Datum;

/// A node that some property names: an index into [`PropertySet::nodes`](crate::PropertySet::nodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRef(pub u32);

/// A reported value that some property names: an index into
/// [`PropertySet::names`](crate::PropertySet::names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef(pub u32);

impl NodeRef {
    /// Returns the number as an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl NameRef {
    /// Returns the number as an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One consistent global state, as far as properties can see it.
///
/// Nodes and names come as indices, so that whoever checks millions of states
/// looks each text up once. A node that the caller does not know has no instances.
pub trait Valuation {
    /// Returns the number of instances that a node has; those of one node are
    /// numbered from zero, in an order that stays the same over a run.
    fn count(&self, node: NodeRef) -> u32;

    /// Returns how many instances of a node are ready: contextualised and found healthy.
    fn ready(&self, node: NodeRef) -> u32;

    /// Returns how many instances of a node serve: ready, and others may build on them.
    fn serving(&self, node: NodeRef) -> u32;

    /// Returns how many instances of a node have finished their contextualisation.
    fn finished(&self, node: NodeRef) -> u32;

    /// Returns the number of the breakpoint that an instance reached last, from 1; 0 before.
    fn breakpoint(&self, node: NodeRef, instance: u32) -> u32;

    /// Returns what an instance reported under a name; none if it did not yet.
    fn value(&self, node: NodeRef, instance: u32, name: NameRef) -> Option<Datum<'_>>;
}

/// The names of nodes and values, each once, in the order of their first use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbols {
    pub(crate) nodes: Vec<String>,
    pub(crate) names: Vec<String>,
}

impl Symbols {
    pub(crate) fn node(&mut self, text: &str) -> NodeRef {
        NodeRef(position_in(&mut self.nodes, text))
    }

    pub(crate) fn name(&mut self, text: &str) -> NameRef {
        NameRef(position_in(&mut self.names, text))
    }
}

/// A set has a handful of names, so that a search from the start is quick.
fn position_in(texts: &mut Vec<String>, text: &str) -> u32 {
    let at = texts
        .iter()
        .position(|known| known == text)
        .unwrap_or_else(|| {
            texts.push(text.to_owned());
            texts.len() - 1
        });
    u32::try_from(at).unwrap_or(u32::MAX)
}
