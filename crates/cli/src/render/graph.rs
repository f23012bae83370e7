//! Graphs of nodes and dependencies, marked with what a plan does to them.

use std::collections::BTreeMap;
use std::fmt::Write;

use zenekar_base::NodeKey;
use zenekar_engine::{Action, Engine, Plan};

use crate::arguments::GraphLanguage;

/// Draws the nodes of a plan: an arrow leads from a node to what it waits for.
pub(crate) fn draw(language: GraphLanguage, name: &str, engine: &Engine, plan: &Plan) -> String {
    let mut actions: BTreeMap<NodeKey, BTreeMap<Action, usize>> = BTreeMap::new();
    for step in &plan.steps {
        *actions
            .entry(step.node)
            .or_default()
            .entry(step.action)
            .or_default() += 1;
    }
    let state = engine.state();
    let lost = actions
        .keys()
        .copied()
        .filter(|key| state.node(*key).index.is_none());
    let keys: Vec<NodeKey> = state.node_keys.iter().copied().chain(lost).collect();
    let nodes: Vec<Drawn> = keys
        .iter()
        .map(|key| {
            let node = state.node(*key);
            let what: Vec<String> = actions
                .get(key)
                .into_iter()
                .flatten()
                .map(|(action, count)| format!("{} {count}", word(*action)))
                .collect();
            let main = actions
                .get(key)
                .and_then(|counts| counts.keys().next_back().copied());
            Drawn {
                key: *key,
                name: node.name.clone(),
                wanted: state.wanted(*key),
                what: what.join(", "),
                action: main,
            }
        })
        .collect();
    let edges: Vec<(NodeKey, NodeKey)> = keys
        .iter()
        .flat_map(|key| {
            state
                .node(*key)
                .dependencies
                .iter()
                .map(|dependee| (*key, *dependee))
        })
        .collect();
    match language {
        GraphLanguage::Dot => dot(name, &nodes, &edges),
        GraphLanguage::Mermaid => mermaid(&nodes, &edges),
    }
}

struct Drawn {
    key: NodeKey,
    name: String,
    wanted: u32,
    what: String,
    action: Option<Action>,
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Continue => "continue",
        Action::Restart => "restart",
        Action::Replace => "replace",
        Action::Delete => "delete",
    }
}

const fn color(action: Option<Action>) -> &'static str {
    match action {
        None => "#9e9e9e",
        Some(Action::Create | Action::Continue) => "#2e7d32",
        Some(Action::Restart | Action::Replace) => "#ef6c00",
        Some(Action::Delete) => "#c62828",
    }
}

fn dot(name: &str, nodes: &[Drawn], edges: &[(NodeKey, NodeKey)]) -> String {
    let mut text =
        format!("digraph \"{name}\" {{\n  rankdir=BT;\n  node [shape=box, style=rounded];\n");
    for node in nodes {
        let what = if node.what.is_empty() {
            String::new()
        } else {
            format!("\\n{}", node.what)
        };
        let _ = writeln!(
            text,
            "  n{} [label=\"{} ×{}{what}\", color=\"{}\"];",
            node.key,
            node.name,
            node.wanted,
            color(node.action)
        );
    }
    for (from, to) in edges {
        let _ = writeln!(text, "  n{from} -> n{to};");
    }
    text.push_str("}\n");
    text
}

fn mermaid(nodes: &[Drawn], edges: &[(NodeKey, NodeKey)]) -> String {
    let mut text = "flowchart BT\n".to_owned();
    for node in nodes {
        let what = if node.what.is_empty() {
            String::new()
        } else {
            format!("<br/>{}", node.what)
        };
        let _ = writeln!(
            text,
            "  n{}[\"{} ×{}{what}\"]",
            node.key, node.name, node.wanted
        );
        let _ = writeln!(text, "  style n{} stroke:{}", node.key, color(node.action));
    }
    for (from, to) in edges {
        let _ = writeln!(text, "  n{from} --> n{to}");
    }
    text
}
