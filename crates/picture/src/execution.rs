//! Which global states follow which.

use std::fmt::Write;

use crate::draw_execution;

/// What is special about a global state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// The beginning.
    Root,
    /// Several things can happen next.
    Alternative,
    /// One thing can happen next.
    Deterministic,
    /// A good end.
    Final,
    /// A property does not hold.
    Violated,
    /// Nothing can happen, and it is no good end.
    Stuck,
    /// Not gone into, because another order of the same was.
    Pruned,
}

impl NodeKind {
    /// All of them, in the order of the legend.
    pub const ALL: [Self; 7] = [
        Self::Root,
        Self::Alternative,
        Self::Deterministic,
        Self::Final,
        Self::Violated,
        Self::Stuck,
        Self::Pruned,
    ];

    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Alternative => "alternative",
            Self::Deterministic => "deterministic",
            Self::Final => "final",
            Self::Violated => "violated",
            Self::Stuck => "stuck",
            Self::Pruned => "pruned",
        }
    }
}

/// A global state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What edges name it by. If it repeats, the first node counts.
    pub id: u32,
    /// What is special about it.
    pub kind: NodeKind,
    /// What is written on it.
    pub label: String,
    /// Macrosteps from the beginning.
    pub layer: u32,
    /// How many states it stands for that differ only in who is who.
    pub multiplicity: u64,
}

/// That one global state follows another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The id of the earlier one.
    pub from: u32,
    /// The id of the later one.
    pub to: u32,
    /// What happened.
    pub label: String,
    /// Whether what happened is a fault.
    pub is_fault: bool,
}

/// Global states and what leads from one to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionGraph {
    /// The states.
    pub nodes: Vec<Node>,
    /// What leads from one to another. Those that name no node are left out.
    pub edges: Vec<Edge>,
}

impl ExecutionGraph {
    /// Draws the graph, one layer per macrostep from top to bottom. Long rows
    /// and long chains are merged, and a note says how much is not shown.
    pub fn to_svg(&self) -> String {
        draw_execution::draw(self)
    }

    /// Writes the whole graph in the language of Graphviz, nothing merged.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from(
            "digraph execution {\n  rankdir=TB;\n  node [shape=box, style=\"filled,rounded\", \
             fontname=\"sans-serif\", fontsize=10];\n  edge [fontname=\"sans-serif\", fontsize=9];\n",
        );
        // Writing to a string cannot fail.
        for node in &self.nodes {
            let mut label = node.label.clone();
            if node.multiplicity > 1 {
                let _ = write!(label, "\n×{}", node.multiplicity);
            }
            let look = draw_execution::look(node.kind);
            let dashes = if look.is_dashed { ",dashed" } else { "" };
            let _ = writeln!(
                dot,
                "  n{} [label=\"{}\", class=\"{}\", fillcolor=\"{}\", color=\"{}\", \
                 style=\"filled,rounded{dashes}\"];",
                node.id,
                quoted(&label),
                node.kind.name(),
                look.fill,
                look.border,
            );
        }
        let ids: std::collections::BTreeSet<u32> = self.nodes.iter().map(|node| node.id).collect();
        for edge in &self.edges {
            if !ids.contains(&edge.from) || !ids.contains(&edge.to) {
                continue;
            }
            let fault = if edge.is_fault {
                ", color=\"#b91c1c\", fontcolor=\"#b91c1c\", style=dashed"
            } else {
                ""
            };
            let _ = writeln!(
                dot,
                "  n{} -> n{} [label=\"{}\"{fault}];",
                edge.from,
                edge.to,
                quoted(&edge.label),
            );
        }
        dot.push_str("}\n");
        dot
    }
}

/// Writes a text so that it can stand in double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other if other.is_control() => quoted.push('\u{fffd}'),
            other => quoted.push(other),
        }
    }
    quoted
}
