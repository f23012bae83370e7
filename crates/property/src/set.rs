//! The properties that were read.

use std::sync::Arc;

use zenekar_diagnostics::{Diagnostic, Span, codes::property as codes, did_you_mean};

use crate::formula::Formula;
use crate::monitor::Monitor;
use crate::valuation::{NameRef, NodeRef, Symbols};

/// Where a property comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A statement of a scenario file.
    Statement,
    /// A formula in the language of Zenekar.
    Formula,
}

/// One thing that has to be true of every run.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name, unique in its set.
    pub name: String,
    /// The formula as it was written.
    pub text: String,
    /// What it was written as.
    pub origin: Origin,
    /// Where it was written.
    pub span: Span,
    pub(crate) formula: Arc<Formula>,
}

impl Property {
    /// Makes the machine that follows runs.
    pub fn compile(&self) -> Monitor {
        Monitor::new(Arc::clone(&self.formula))
    }

    /// Returns the reported values that it looks at, and of which nodes, each once.
    pub fn values(&self) -> Vec<(NodeRef, NameRef)> {
        let mut values = Vec::new();
        self.formula
            .visit(&mut |node, name| values.push((node, name)));
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// All properties of a file or of several, with the names that they use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PropertySet {
    /// The name of the scenario, where a file has one.
    pub title: Option<String>,
    /// The properties in the order of their texts.
    pub properties: Vec<Property>,
    pub(crate) symbols: Symbols,
    pub(crate) uses: Vec<(NodeRef, Span)>,
}

impl PropertySet {
    /// Returns the nodes that the properties name, each once; a
    /// [`NodeRef`](crate::NodeRef) is an index into them.
    pub fn nodes(&self) -> &[String] {
        &self.symbols.nodes
    }

    /// Returns the names of reported values, each once; a
    /// [`NameRef`](crate::NameRef) is an index into them.
    pub fn names(&self) -> &[String] {
        &self.symbols.names
    }

    /// Finds the nodes that an infrastructure does not have, each once.
    pub fn check_nodes(&self, known: &[&str]) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for (index, name) in self.symbols.nodes.iter().enumerate() {
            if known.contains(&name.as_str()) {
                continue;
            }
            let Some((_, span)) = self.uses.iter().find(|(node, _)| node.index() == index) else {
                continue;
            };
            let message = format!("the infrastructure has no node `{name}`");
            let diagnostic = Diagnostic::error(&codes::UNKNOWN_NODE, message).at(*span);
            diagnostics.push(match did_you_mean(name, known.iter().copied()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic,
            });
        }
        diagnostics
    }
}
