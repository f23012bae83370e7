//! Tests of the checked topology.

use super::*;

fn node(name: &str, on: &[u32]) -> Node {
    Node {
        name: name.to_owned(),
        definition: 0,
        candidates: vec![0],
        fingerprints: vec![NodeFingerprint::default()],
        count: CountRange { min: 1, max: 1 },
        variables: Value::Null,
        filter: Value::Null,
        scaling: Value::Null,
        dependencies: on
            .iter()
            .map(|&on| Dependency {
                on: NodeIndex(on),
                on_address_change: None,
                mappings: vec![],
            })
            .collect(),
        references: vec![],
        update: UpdateLimits::default(),
    }
}

fn build(nodes: Vec<Node>) -> Result<Topology, TopologyError> {
    let definitions = vec![Definition {
        name: "worker".to_owned(),
        implementations: vec![Implementation::default()],
    }];
    Topology::new(TopologyParts {
        name: "demo".to_owned(),
        definitions,
        nodes,
        ..TopologyParts::default()
    })
}

#[test]
fn levels_and_heights_run_both_ways() {
    let topology = build(vec![
        node("base", &[]),
        node("middle", &[0]),
        node("top", &[1, 0]),
    ])
    .expect("valid");
    assert_eq!(
        topology
            .indices()
            .map(|node| topology.level(node))
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(
        topology
            .indices()
            .map(|node| topology.height(node))
            .collect::<Vec<_>>(),
        [2, 1, 0]
    );
    assert_eq!(
        topology.dependents(NodeIndex(0)),
        [NodeIndex(1), NodeIndex(2)]
    );
}

#[test]
fn broken_rules_are_refused_at_the_boundary() {
    assert_eq!(
        build(vec![node("a", &[]), node("a", &[])]),
        Err(TopologyError::DuplicateName("a".to_owned()))
    );
    assert_eq!(
        build(vec![node("a", &[7])]),
        Err(TopologyError::DanglingReference("a".to_owned()))
    );
    assert_eq!(
        build(vec![node("a", &[1]), node("b", &[0])]),
        Err(TopologyError::Cycle(vec!["a".to_owned(), "b".to_owned()]))
    );
}

#[test]
fn variables_merge_deeply_and_lists_are_replaced() {
    let map = |pairs: &[(&str, Value)]| {
        Value::Map(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    };
    let under = map(&[
        ("a", map(&[("x", 1.into()), ("y", 2.into())])),
        ("l", Value::List(vec![1.into()])),
    ]);
    let over = map(&[("a", map(&[("y", 3.into())])), ("l", Value::List(vec![]))]);
    let merged = map(&[
        ("a", map(&[("x", 1.into()), ("y", 3.into())])),
        ("l", Value::List(vec![])),
    ]);
    assert_eq!(merge(&under, &over), merged);
}

#[test]
fn a_stored_topology_is_checked_again() {
    let topology = build(vec![node("a", &[]), node("b", &[0])]).expect("valid");
    let stored = StoredTopology::from(topology.clone());
    assert_eq!(Topology::try_from(stored), Ok(topology));
}
