//! The order of nodes in their rows, so that few lines cross.

use crate::reduce::Reduced;

/// How often the order is improved, down and up in turn. It does not get better
/// after a few times.
const SWEEPS: usize = 8;

/// Positions between two nodes, so that means have something after the point.
const UNIT: usize = 1_000;

/// Returns the nodes of each row from left to right (Sugiyama and others 1981:
/// each node goes to the mean of its neighbours in the row before).
pub(crate) fn order(reduced: &Reduced) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); reduced.row_layers.len()];
    for (place, node) in reduced.nodes.iter().enumerate() {
        rows[node.row].push(place);
    }
    let mut before = vec![Vec::new(); reduced.nodes.len()];
    let mut after = vec![Vec::new(); reduced.nodes.len()];
    for line in &reduced.lines {
        before[line.to].push(line.from);
        after[line.from].push(line.to);
    }
    let mut positions = vec![0; reduced.nodes.len()];
    for row in &rows {
        remember(row, &mut positions);
    }
    for sweep in 0..SWEEPS {
        let is_down = sweep % 2 == 0;
        let neighbours = if is_down { &before } else { &after };
        let count = rows.len();
        for step in 0..count {
            let row = if is_down { step } else { count - 1 - step };
            rows[row].sort_by_key(|place| mean(&neighbours[*place], &positions, *place));
            remember(&rows[row], &mut positions);
        }
    }
    rows
}

/// Writes down where the nodes of a row are, with the row centred on zero as it
/// will be drawn.
fn remember(row: &[usize], positions: &mut [i64]) {
    let middle = row.len() * UNIT / 2;
    for (position, place) in row.iter().enumerate() {
        let from_left = position * UNIT + UNIT / 2;
        let signed = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        positions[*place] = signed(from_left) - signed(middle);
    }
}

fn mean(neighbours: &[usize], positions: &[i64], own: usize) -> i64 {
    let count = i64::try_from(neighbours.len()).unwrap_or(i64::MAX);
    let sum: i64 = neighbours.iter().map(|place| positions[*place]).sum();
    sum.checked_div(count).unwrap_or(positions[own])
}
