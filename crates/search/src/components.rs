//! Strongly connected components (Tarjan 1972), without recursion, because
//! graphs are deeper than stacks.

/// What is known of a node.
#[derive(Clone, Copy)]
struct Node {
    /// The order in which it was met; zero if it was not.
    met: u32,
    /// The earliest one that is known to be in its component.
    lowest: u32,
    is_open: bool,
}

/// Returns the components of a graph, each with its nodes in ascending order;
/// a component comes after all those that can be reached from it. Only nodes
/// that `is_in` counts are looked at.
pub(crate) fn components<'a, I>(
    count: usize,
    is_in: &dyn Fn(u32) -> bool,
    successors: &'a dyn Fn(u32) -> I,
) -> Vec<Vec<u32>>
where
    I: Iterator<Item = u32> + 'a,
{
    let unmet = Node {
        met: 0,
        lowest: 0,
        is_open: false,
    };
    let mut nodes = vec![unmet; count];
    let (mut clock, mut open, mut found) = (0, Vec::new(), Vec::new());
    let all = u32::try_from(count).unwrap_or(u32::MAX);
    for root in (0..all).filter(|node| is_in(*node)) {
        if nodes[root as usize].met > 0 {
            continue;
        }
        let mut way = vec![(root, successors(root))];
        meet(&mut nodes, &mut clock, &mut open, root);
        while let Some((node, rest)) = way.last_mut() {
            let node = *node;
            match rest.next() {
                Some(next) if !is_in(next) => {}
                Some(next) if nodes[next as usize].met == 0 => {
                    meet(&mut nodes, &mut clock, &mut open, next);
                    way.push((next, successors(next)));
                }
                Some(next) => {
                    if nodes[next as usize].is_open {
                        let met = nodes[next as usize].met;
                        lower(&mut nodes, node, met);
                    }
                }
                None => {
                    way.pop();
                    if let Some((before, _)) = way.last() {
                        let lowest = nodes[node as usize].lowest;
                        lower(&mut nodes, *before, lowest);
                    }
                    if nodes[node as usize].lowest == nodes[node as usize].met {
                        found.push(close(&mut nodes, &mut open, node));
                    }
                }
            }
        }
    }
    found
}

fn meet(nodes: &mut [Node], clock: &mut u32, open: &mut Vec<u32>, node: u32) {
    *clock += 1;
    nodes[node as usize] = Node {
        met: *clock,
        lowest: *clock,
        is_open: true,
    };
    open.push(node);
}

fn lower(nodes: &mut [Node], node: u32, to: u32) {
    let lowest = &mut nodes[node as usize].lowest;
    *lowest = (*lowest).min(to);
}

/// Takes a finished component from the open nodes.
fn close(nodes: &mut [Node], open: &mut Vec<u32>, root: u32) -> Vec<u32> {
    let mut component = Vec::new();
    while let Some(node) = open.pop() {
        nodes[node as usize].is_open = false;
        component.push(node);
        if node == root {
            break;
        }
    }
    component.sort_unstable();
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(edges: &[&[u32]], hidden: &[u32]) -> Vec<Vec<u32>> {
        let is_in = |node: u32| !hidden.contains(&node);
        let successors = |node: u32| edges[node as usize].iter().copied();
        components(edges.len(), &is_in, &successors)
    }

    #[test]
    fn cycles_are_components_and_the_rest_is_alone() {
        let edges: &[&[u32]] = &[&[1], &[2, 3], &[0], &[4], &[3, 5], &[]];
        assert_eq!(
            of(edges, &[]),
            [vec![5], vec![3, 4], vec![0, 1, 2]],
            "what is reached comes first"
        );
        assert_eq!(of(edges, &[2, 5]), [vec![3, 4], vec![1], vec![0]]);
    }

    #[test]
    fn long_chains_need_no_stack() {
        let count = 200_000;
        let next = |node: u32| std::iter::once((node + 1) % 200_000);
        let found = components(count, &|_| true, &next);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].len(), count);
    }
}
