//! Small infrastructures to explore.

use std::sync::Arc;

use zenekar_base::{Fingerprint, Value};
use zenekar_model::behaviour::{Behaviour, Behaviours, Contact, Give, Need, Quantifier, Segment};
use zenekar_model::{
    CountRange, Definition, Dependency, Health, Implementation, Node, NodeFingerprint, NodeIndex,
    Topology, TopologyParts, UpdateLimits,
};
use zenekar_search::{Budget, Outcome, Strategy, never, search};
use zenekar_verify::{Action, Breach, Setting, World};

/// One node: its name, its count, and the places of those that it waits for.
pub(crate) type Row<'a> = (&'a str, u32, &'a [u32]);

/// Makes a topology at a provider.
pub(crate) fn topology(provider: &str, rows: &[Row<'_>]) -> Arc<Topology> {
    let implementation = Implementation {
        provider: provider.to_owned(),
        health: Health::default(),
        ..Implementation::default()
    };
    let node = |(name, count, on): &Row<'_>| Node {
        name: (*name).to_owned(),
        definition: 0,
        candidates: vec![0],
        fingerprints: vec![NodeFingerprint {
            resource: Fingerprint::of_text(name),
            context: Fingerprint::of_text("context"),
        }],
        count: CountRange {
            min: *count,
            max: *count + 1,
        },
        variables: Value::Null,
        filter: Value::Null,
        scaling: Value::Null,
        dependencies: on
            .iter()
            .map(|on| Dependency {
                on: NodeIndex(*on),
                on_address_change: None,
                mappings: Vec::new(),
            })
            .collect(),
        references: on.iter().map(|on| NodeIndex(*on)).collect(),
        update: UpdateLimits::default(),
    };
    let parts = TopologyParts {
        name: "simulated".to_owned(),
        definitions: vec![Definition {
            name: "machine".to_owned(),
            implementations: vec![implementation],
        }],
        nodes: rows.iter().map(node).collect(),
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).expect("dependencies only point to earlier nodes"))
}

/// A segment that does nothing that concerns others.
pub(crate) fn segment(label: &str) -> Segment {
    Segment {
        label: label.to_owned(),
        ..Segment::default()
    }
}

/// Needs a port of one instance of a node.
pub(crate) fn port_of(node: &str, port: u16) -> Need {
    Need {
        node: node.to_owned(),
        what: Contact::Port(port),
        quantifier: Quantifier::One,
    }
}

/// What a node does; it is healthy once it has given what `ready` says.
pub(crate) fn behaviours(nodes: Vec<(&str, Vec<Segment>, Vec<Give>)>) -> Behaviours {
    let nodes = nodes.into_iter().map(|(name, segments, ready)| {
        let behaviour = Behaviour {
            segments,
            ready,
            ..Behaviour::default()
        };
        (name.to_owned(), behaviour)
    });
    Behaviours {
        nodes: nodes.collect(),
    }
}

/// Explores everything, on so many threads.
pub(crate) fn explore(setting: Setting, threads: usize) -> Outcome<Action> {
    let budget = Budget {
        states_max: 2_000_000,
        threads,
        ..Budget::default()
    };
    search(&World::new(setting), &Strategy::Breadth, &budget, &never)
}

/// Returns the property that was found not to hold, if one was.
pub(crate) fn breach(outcome: &Outcome<Action>) -> Option<Breach> {
    let violation = outcome.violations.first()?;
    Some(Breach::numbered(violation.property).expect("ends that are stuck are judged before"))
}
