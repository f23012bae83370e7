//! Graph questions about a topology: cycles, levels, heights. All linear in nodes and edges.
//!
//! A graph is an adjacency list: `edges[node]` lists what `node` depends on.

/// Finds the cycles of a graph: one path for each strongly connected
/// component that holds one, `[a, b, c]` meaning a → b → c → a.
///
/// Iterative Tarjan (1972), so that depth is bounded by memory, not by the stack.
pub fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = components(edges)
        .into_iter()
        .filter(|component| component.len() > 1 || edges[component[0]].contains(&component[0]))
        .map(|component| cycle_within(edges, &component))
        .collect();
    found.sort();
    found
}

/// Returns the strongly connected components in reverse topological order.
fn components(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let count = edges.len();
    let (mut order, mut low) = (vec![UNSEEN; count], vec![0; count]);
    let (mut on_stack, mut stack, mut result) = (vec![false; count], Vec::new(), Vec::new());
    let mut next_order = 0;
    let mut work: Vec<(usize, usize)> = Vec::new();
    for start in 0..count {
        if order[start] != UNSEEN {
            continue;
        }
        work.push((start, 0));
        while let Some((node, position)) = work.pop() {
            if position == 0 {
                (order[node], low[node]) = (next_order, next_order);
                next_order += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some(&target) = edges[node].get(position) {
                work.push((node, position + 1));
                if order[target] == UNSEEN {
                    work.push((target, 0));
                } else if on_stack[target] {
                    low[node] = low[node].min(order[target]);
                }
                continue;
            }
            if let Some(&(parent, _)) = work.last() {
                low[parent] = low[parent].min(low[node]);
            }
            if low[node] == order[node] {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member] = false;
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                component.sort_unstable();
                result.push(component);
            }
        }
    }
    result
}

/// Returns a shortest cycle through the smallest node of a component that has one.
fn cycle_within(edges: &[Vec<usize>], component: &[usize]) -> Vec<usize> {
    let start = component[0];
    let mut previous = vec![None; edges.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &target in &edges[node] {
            if target == start {
                let mut path = vec![node];
                let mut current = node;
                while current != start {
                    current = previous[current]
                        .expect("every queued node but the start has a predecessor");
                    path.push(current);
                }
                path.reverse();
                return path;
            }
            if component.binary_search(&target).is_ok() && previous[target].is_none() {
                previous[target] = Some(node);
                queue.push_back(target);
            }
        }
    }
    component.to_vec()
}

/// Returns the level of each node: zero without dependencies, else one more
/// than its highest dependency. Nodes on or behind a cycle have none.
pub fn levels(edges: &[Vec<usize>]) -> Vec<Option<usize>> {
    let reverse = reverse(edges);
    let mut open: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut level = vec![None; edges.len()];
    let mut ready: Vec<usize> = (0..edges.len()).filter(|&node| open[node] == 0).collect();
    let mut highest = vec![0; edges.len()];
    while let Some(node) = ready.pop() {
        level[node] = Some(highest[node]);
        for &dependent in &reverse[node] {
            highest[dependent] = highest[dependent].max(highest[node] + 1);
            open[dependent] -= 1;
            if open[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    level
}

/// Turns all edges round: `result[node]` lists the nodes that depend on `node`.
pub fn reverse(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut result = vec![Vec::new(); edges.len()];
    for (node, targets) in edges.iter().enumerate() {
        for &target in targets {
            result[target].push(node);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cycles_are_named_by_a_path() {
        assert_eq!(
            cycles(&[vec![1], vec![2], vec![0], vec![0]]),
            vec![vec![0, 1, 2]]
        );
        assert_eq!(cycles(&[vec![0], vec![]]), vec![vec![0]]);
        assert_eq!(cycles(&[vec![1], vec![]]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn levels_are_longest_paths() {
        assert_eq!(
            levels(&[vec![], vec![0], vec![0, 1]]),
            vec![Some(0), Some(1), Some(2)]
        );
        assert_eq!(
            levels(&[vec![1], vec![0], vec![]]),
            vec![None, None, Some(0)]
        );
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_does_not_exhaust_the_stack() {
        let edges: Vec<Vec<usize>> = (0..100_000)
            .map(|node| if node == 0 { vec![] } else { vec![node - 1] })
            .collect();
        assert!(cycles(&edges).is_empty());
        assert_eq!(levels(&edges)[99_999], Some(99_999));
    }

    proptest! {
        #[test]
        fn a_graph_has_a_level_for_every_node_or_a_true_cycle(edges in prop::collection::vec(prop::collection::vec(0..12usize, 0..4), 12)) {
            let found = cycles(&edges);
            prop_assert_eq!(found.is_empty(), levels(&edges).iter().all(Option::is_some));
            for path in found {
                for (position, &node) in path.iter().enumerate() {
                    prop_assert!(edges[node].contains(&path[(position + 1) % path.len()]));
                }
            }
        }
    }
}
