//! Small infrastructures for directed tests.

use std::sync::Arc;

use zenekar_base::{Fingerprint, Value};
use zenekar_model::{
    AddressChange, CountRange, Definition, Dependency, Implementation, Node, NodeFingerprint,
    NodeIndex, Topology, TopologyParts, UpdateLimits,
};

/// Starts the description of a node.
pub(crate) fn node(name: &str, min: u32, max: u32) -> Node {
    Node {
        name: name.to_owned(),
        definition: 0,
        candidates: vec![0],
        fingerprints: vec![NodeFingerprint {
            resource: Fingerprint::of_text("first"),
            context: Fingerprint::of_text("first"),
        }],
        count: CountRange { min, max },
        variables: Value::Null,
        filter: Value::Null,
        scaling: Value::Null,
        dependencies: Vec::new(),
        references: Vec::new(),
        update: UpdateLimits::default(),
    }
}

/// Lets a node wait for another, whose addresses it reads.
pub(crate) fn reading(mut node: Node, on: u32, change: Option<AddressChange>) -> Node {
    let on = NodeIndex(on);
    node.dependencies.push(Dependency {
        on,
        on_address_change: change,
        mappings: Vec::new(),
    });
    node.references.push(on);
    node
}

/// Lets a node's instances be made of something else.
pub(crate) fn changed(mut node: Node) -> Node {
    node.fingerprints[0].context = Fingerprint::of_text("second");
    node
}

/// Builds an infrastructure.
pub(crate) fn topology(nodes: Vec<Node>) -> Arc<Topology> {
    named("simulated", nodes)
}

/// Builds an infrastructure of that name.
pub(crate) fn named(name: &str, nodes: Vec<Node>) -> Arc<Topology> {
    let implementation = Implementation {
        provider: "sim".to_owned(),
        ..Implementation::default()
    };
    let definitions = vec![Definition {
        name: "machine".to_owned(),
        implementations: vec![implementation],
    }];
    let parts = TopologyParts {
        name: name.to_owned(),
        definitions,
        nodes,
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).expect("the test describes a valid topology"))
}

/// Builds an infrastructure whose definition has one alternative per provider.
pub(crate) fn multi(nodes: Vec<Node>, providers: &[&str]) -> Arc<Topology> {
    let implementations = providers
        .iter()
        .map(|provider| Implementation {
            provider: (*provider).to_owned(),
            ..Implementation::default()
        })
        .collect();
    let definitions = vec![Definition {
        name: "machine".to_owned(),
        implementations,
    }];
    let parts = TopologyParts {
        name: "simulated".to_owned(),
        definitions,
        nodes,
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).expect("the test describes a valid topology"))
}

/// Builds an infrastructure whose nodes are each at a provider of their own.
pub(crate) fn placed(nodes: Vec<(Node, &str)>) -> Arc<Topology> {
    let definition = |provider: &str| Definition {
        name: provider.to_owned(),
        implementations: vec![Implementation {
            provider: provider.to_owned(),
            ..Implementation::default()
        }],
    };
    let definitions = nodes.iter().map(|(_, provider)| definition(provider));
    let definitions = definitions.collect();
    let nodes = (0u32..).zip(nodes).map(|(place, (node, _))| Node {
        definition: place,
        ..node
    });
    let parts = TopologyParts {
        name: "simulated".to_owned(),
        definitions,
        nodes: nodes.collect(),
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).expect("the test describes a valid topology"))
}
