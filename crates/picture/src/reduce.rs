//! What of a large graph is drawn: interesting states, and as much of the rest
//! as a person can look at.

use std::collections::{BTreeMap, BTreeSet};

use crate::execution::{ExecutionGraph, NodeKind};

/// Nodes of a row at most: so many fit on a wide screen with their labels.
pub(crate) const ROW_MAX: usize = 12;

/// Rows at most: four screens.
pub(crate) const ROWS_MAX: usize = 48;

/// Steps of a chain at most that are drawn one by one.
const CHAIN_MAX: usize = 4;

/// A node of the picture.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) kind: NodeKind,
    pub(crate) label: String,
    pub(crate) row: usize,
    pub(crate) multiplicity: u64,
    /// How many nodes were merged into it; one if none.
    pub(crate) merged: u64,
    /// Whether the merged ones follow each other, instead of standing side by side.
    pub(crate) is_chain: bool,
}

/// An edge of the picture, by places of nodes.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) label: String,
    pub(crate) is_fault: bool,
    /// How many edges were merged into it.
    pub(crate) merged: u64,
}

/// What is drawn of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reduced {
    pub(crate) nodes: Vec<Shown>,
    pub(crate) lines: Vec<Line>,
    /// The layer that each row shows.
    pub(crate) row_layers: Vec<u32>,
    /// Nodes that stand in a merged one.
    pub(crate) merged: u64,
    /// The row above which others were dropped.
    pub(crate) gap: Option<usize>,
    /// Nodes in dropped rows.
    pub(crate) cut: u64,
}

/// The neighbours of nodes, by place.
struct Neighbours {
    before: Vec<BTreeSet<usize>>,
    after: Vec<BTreeSet<usize>>,
}

/// Chooses what is drawn.
pub(crate) fn reduce(graph: &ExecutionGraph) -> Reduced {
    let mut places = BTreeMap::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        places.entry(node.id).or_insert(place);
    }
    let ends = |edge: &crate::Edge| Some((*places.get(&edge.from)?, *places.get(&edge.to)?));
    let mut neighbours = Neighbours {
        before: vec![BTreeSet::new(); graph.nodes.len()],
        after: vec![BTreeSet::new(); graph.nodes.len()],
    };
    for (from, to) in graph.edges.iter().filter_map(ends) {
        neighbours.after[from].insert(to);
        neighbours.before[to].insert(from);
    }
    let mut reduced = Reduced::default();
    let mut becomes: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    let in_chain = merge_chains(graph, &neighbours, &mut reduced, &mut becomes);
    merge_rows(graph, &neighbours, &in_chain, &mut reduced, &mut becomes);
    renumber_rows(&mut reduced, &mut becomes);
    let mut lines: BTreeMap<(usize, usize, bool), Line> = BTreeMap::new();
    for edge in &graph.edges {
        let Some((from, to)) = ends(edge) else {
            continue;
        };
        let (Some(from), Some(to)) = (becomes[from], becomes[to]) else {
            continue;
        };
        if from == to && reduced.nodes[from].merged > 1 {
            continue;
        }
        let line = lines.entry((from, to, edge.is_fault)).or_insert(Line {
            from,
            to,
            label: edge.label.clone(),
            is_fault: edge.is_fault,
            merged: 0,
        });
        line.merged += 1;
    }
    reduced.lines = lines.into_values().collect();
    reduced
}

/// Merges long chains of states from which only one other can be reached, and
/// returns which nodes are in one.
fn merge_chains(
    graph: &ExecutionGraph,
    neighbours: &Neighbours,
    reduced: &mut Reduced,
    becomes: &mut [Option<usize>],
) -> Vec<bool> {
    let is_link: Vec<bool> = (0..graph.nodes.len())
        .map(|place| {
            let kind = graph.nodes[place].kind;
            matches!(kind, NodeKind::Alternative | NodeKind::Deterministic)
                && neighbours.before[place].len() == 1
                && neighbours.after[place].len() == 1
        })
        .collect();
    let next_link = |place: usize| {
        let next = neighbours.after[place].first().copied();
        next.filter(|next| is_link[*next])
    };
    let mut in_chain = vec![false; graph.nodes.len()];
    for first in 0..graph.nodes.len() {
        let before = neighbours.before[first].first();
        if !is_link[first] || before.is_some_and(|before| is_link[*before]) {
            continue;
        }
        let mut chain = vec![first];
        while let Some(next) = chain.last().and_then(|last| next_link(*last)) {
            if chain.len() > graph.nodes.len() {
                break;
            }
            chain.push(next);
        }
        if chain.len() <= CHAIN_MAX {
            continue;
        }
        // The first and the last one stay, so that one sees what it is between.
        let inner = &chain[1..chain.len() - 1];
        let place = reduced.nodes.len();
        let layer = graph.nodes[inner[0]].layer;
        reduced.nodes.push(Shown {
            kind: NodeKind::Deterministic,
            label: format!("{} steps", inner.len()),
            row: layer as usize,
            multiplicity: 1,
            merged: inner.len() as u64,
            is_chain: true,
        });
        reduced.merged += inner.len() as u64;
        for one in inner {
            in_chain[*one] = true;
            becomes[*one] = Some(place);
        }
    }
    in_chain
}

/// Keeps the most interesting nodes of each layer, and merges the others.
fn merge_rows(
    graph: &ExecutionGraph,
    neighbours: &Neighbours,
    in_chain: &[bool],
    reduced: &mut Reduced,
    becomes: &mut [Option<usize>],
) {
    let leads = leads_to_trouble(graph, neighbours);
    let mut layers: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        if !in_chain[place] {
            layers.entry(node.layer).or_default().push(place);
        }
    }
    for (layer, mut all) in layers {
        if all.len() > ROW_MAX {
            all.sort_by_key(|place| (rank(graph.nodes[*place].kind, leads[*place]), *place));
        }
        let kept = if all.len() > ROW_MAX {
            ROW_MAX - 1
        } else {
            all.len()
        };
        for place in &all[..kept] {
            let node = &graph.nodes[*place];
            becomes[*place] = Some(reduced.nodes.len());
            reduced.nodes.push(Shown {
                kind: node.kind,
                label: node.label.clone(),
                row: layer as usize,
                multiplicity: node.multiplicity.max(1),
                merged: 1,
                is_chain: false,
            });
        }
        let rest = &all[kept..];
        if rest.is_empty() {
            continue;
        }
        for place in rest {
            becomes[*place] = Some(reduced.nodes.len());
        }
        reduced.merged += rest.len() as u64;
        let of_nodes = rest
            .iter()
            .map(|place| graph.nodes[*place].multiplicity.max(1));
        let kinds = rest.iter().map(|place| graph.nodes[*place].kind);
        let kind = kinds.min_by_key(|kind| rank(*kind, false));
        reduced.nodes.push(Shown {
            kind: kind.unwrap_or(NodeKind::Alternative),
            label: format!("{} more", rest.len()),
            row: layer as usize,
            multiplicity: of_nodes.fold(0, u64::saturating_add),
            merged: rest.len() as u64,
            is_chain: false,
        });
    }
}

/// How early a node of a full row is left out.
fn rank(kind: NodeKind, leads_to_trouble: bool) -> u8 {
    match kind {
        NodeKind::Violated => 0,
        NodeKind::Stuck => 1,
        _ if leads_to_trouble => 2,
        NodeKind::Root => 3,
        NodeKind::Final => 4,
        NodeKind::Alternative => 5,
        NodeKind::Deterministic => 6,
        NodeKind::Pruned => 7,
    }
}

/// Says of each node whether something wrong can follow it.
fn leads_to_trouble(graph: &ExecutionGraph, neighbours: &Neighbours) -> Vec<bool> {
    let is_wrong = |place: &usize| {
        matches!(
            graph.nodes[*place].kind,
            NodeKind::Violated | NodeKind::Stuck
        )
    };
    let mut leads = vec![false; graph.nodes.len()];
    let mut waiting: Vec<usize> = (0..graph.nodes.len()).filter(is_wrong).collect();
    while let Some(place) = waiting.pop() {
        if !std::mem::replace(&mut leads[place], true) {
            waiting.extend(&neighbours.before[place]);
        }
    }
    leads
}

/// Closes the gaps that merged chains leave, and drops the rows in the middle
/// that are too many: how it begins and how it ends is what people look for.
fn renumber_rows(reduced: &mut Reduced, becomes: &mut [Option<usize>]) {
    let used: BTreeSet<usize> = reduced.nodes.iter().map(|node| node.row).collect();
    let layers: Vec<usize> = used.into_iter().collect();
    let too_many = layers.len().saturating_sub(ROWS_MAX);
    let gap = ROWS_MAX / 2;
    let is_kept = |place: &usize| too_many == 0 || *place < gap || *place >= gap + too_many;
    let kept_layers: Vec<usize> = (0..layers.len())
        .filter(is_kept)
        .map(|place| layers[place])
        .collect();
    reduced.gap = (too_many > 0).then_some(gap);
    let rows: BTreeMap<usize, usize> = kept_layers.iter().copied().zip(0..).collect();
    let mut places = vec![None; reduced.nodes.len()];
    let mut kept = Vec::new();
    for (place, mut node) in std::mem::take(&mut reduced.nodes).into_iter().enumerate() {
        if let Some(row) = rows.get(&node.row) {
            node.row = *row;
            places[place] = Some(kept.len());
            kept.push(node);
        } else {
            reduced.cut += node.merged;
            reduced.merged -= if node.merged > 1 { node.merged } else { 0 };
        }
    }
    reduced.nodes = kept;
    reduced.row_layers = kept_layers
        .into_iter()
        .map(|layer| u32::try_from(layer).unwrap_or(u32::MAX))
        .collect();
    for place in becomes.iter_mut() {
        *place = place.and_then(|old| places[old]);
    }
}
