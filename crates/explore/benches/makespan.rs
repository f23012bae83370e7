//! How far the engine is from the best possible schedule, and what it costs.
//!
//! Prints, for infrastructures of ten layers on a calm simulated cloud: the
//! ratio of the makespan to the critical path of the simulated latencies
//! (boot and contextualisation of the slowest instance on the longest chain,
//! without the calls themselves), and steps of the simulation per instance.
//! Ratios and counts only: they are the same on every machine.

#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::{Fingerprint, InstanceTag, NodeKey, Timestamp, Value};
use zenekar_engine::Input;
use zenekar_explore::{Adversary, World};
use zenekar_model::{
    CountRange, Definition, Dependency, Implementation, Node, NodeFingerprint, NodeIndex, Topology,
    TopologyParts, UpdateLimits,
};
use zenekar_simcloud::Settings;

const LAYERS: u32 = 10;

fn main() {
    let sizes: Vec<u32> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![100, 1_000, 10_000]
    } else {
        sizes
    };
    for size in sizes {
        measure(size);
    }
}

fn measure(size: u32) {
    let mut world = World::new(1, Settings::calm(), Adversary::default());
    let started_at = world.now;
    world.tell(Input::Intent(layered(size)));
    let mut steps = 0u64;
    while !world.engine.is_converged() {
        assert!(world.step(), "the engine goes on until it is content");
        steps += 1;
    }
    let makespan_ms = world.now.since(started_at).0;
    let critical_ms = critical_path_ms(&world);
    let ratio = makespan_ms * 1000 / critical_ms;
    println!(
        "{size} instances in {LAYERS} layers: makespan {makespan_ms} ms / critical path {critical_ms} ms = {}.{:03}; {} steps, {} records per 100 instances",
        ratio / 1000,
        ratio % 1000,
        steps * 100 / u64::from(size),
        world.journal.len() as u64 * 100 / u64::from(size),
    );
}

/// Every node depends on one node of the layer below.
fn layered(size: u32) -> Arc<Topology> {
    let width = size / LAYERS;
    let nodes = (0..size)
        .map(|index| Node {
            name: format!("node-{index}"),
            definition: 0,
            candidates: vec![0],
            fingerprints: vec![NodeFingerprint {
                resource: Fingerprint(1),
                context: Fingerprint(1),
            }],
            count: CountRange { min: 1, max: 1 },
            variables: Value::Null,
            filter: Value::Null,
            scaling: Value::Null,
            dependencies: index
                .checked_sub(width)
                .map(|on| Dependency {
                    on: NodeIndex(on),
                    on_address_change: None,
                    mappings: Vec::new(),
                })
                .into_iter()
                .collect(),
            references: Vec::new(),
            update: UpdateLimits::default(),
        })
        .collect();
    let implementation = Implementation {
        provider: "sim".to_owned(),
        ..Implementation::default()
    };
    let definitions = vec![Definition {
        name: "machine".to_owned(),
        implementations: vec![implementation],
    }];
    let parts = TopologyParts {
        name: "layered".to_owned(),
        definitions,
        nodes,
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).expect("every node depends on an earlier one"))
}

fn critical_path_ms(world: &World) -> u64 {
    let state = world.engine.state();
    let spans: BTreeMap<InstanceTag, u64> = world
        .cloud
        .ledger()
        .entries()
        .map(|entry| {
            (
                entry.instance.clone(),
                entry.healthy_at.since(entry.created_at).0,
            )
        })
        .collect();
    let mut ready: Vec<u64> = vec![0; state.nodes.len()];
    for (index, node) in state.nodes.iter().enumerate() {
        let below = node
            .dependencies
            .iter()
            .map(|NodeKey(on)| ready[*on as usize])
            .max()
            .unwrap_or(0);
        let own = node
            .instances
            .iter()
            .filter_map(|key| state.instances.get(key))
            .filter_map(|instance| spans.get(&instance.tag))
            .max();
        ready[index] = below + own.copied().unwrap_or(0);
    }
    assert!(world.now > Timestamp::ZERO);
    ready.into_iter().max().unwrap_or(1).max(1)
}
