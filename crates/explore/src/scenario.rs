//! Random infrastructures and random users.

use std::sync::Arc;

use zenekar_base::random::mix;
use zenekar_base::{Fingerprint, Random, RequestId, Value};
use zenekar_engine::{Input, ScalingChange, ScalingRequest};
use zenekar_model::{
    AddressChange, CountRange, Definition, Dependency, Health, Implementation, Node,
    NodeFingerprint, NodeIndex, Topology, TopologyParts, UpdateLimits,
};

use crate::world::{PROVIDER, SECOND_PROVIDER, has_two_clouds};

/// What a simulated user does, in order, at times relative to the previous action.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The first descriptor.
    pub first: Arc<Topology>,
    /// Pause in ms before each action, and the action.
    pub actions: Vec<(u64, Action)>,
    /// Whether everything goes down in the end.
    pub ends_down: bool,
}

/// One action of a user, or of fate.
#[derive(Clone, Debug)]
pub enum Action {
    /// Tells the engine something.
    Tell(Input),
    /// Tells it twice: the user's client repeats itself.
    TellTwice(Input),
    /// Kills some machine.
    Kill(u64),
    /// Lets some machine vanish.
    Lose(u64),
    /// Lets some machine hang.
    Hang(u64),
    /// Crashes the engine.
    Crash,
    /// Breaks the cloud's interface for a while, in ms.
    Outage(u64),
}

impl Scenario {
    /// Draws a scenario.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::from_seed(seed).child(2);
        let size = random.between(1, 6);
        let two = has_two_clouds(seed);
        let first = draw(&mut random, size, 0, two);
        let mut actions = Vec::new();
        let mut version = 0;
        let mut current = Arc::clone(&first);
        for number in 0..random.below(6) {
            let pause = random.between(0, 120_000);
            let action = match random.below(10) {
                0..=2 => {
                    let request = RequestId::new(format!("request-{number}"));
                    let node = &current.nodes()
                        [usize::try_from(random.below(current.nodes().len() as u64)).unwrap_or(0)];
                    let change = if random.below(2) == 0 {
                        ScalingChange::To {
                            node: node.name.clone(),
                            count: u32::try_from(random.below(6)).unwrap_or(0),
                        }
                    } else {
                        ScalingChange::By {
                            node: node.name.clone(),
                            difference: i64::try_from(random.below(5)).unwrap_or(0) - 2,
                        }
                    };
                    Action::TellTwice(Input::Scale(ScalingRequest {
                        request,
                        changes: vec![change],
                    }))
                }
                3 | 4 => {
                    version += 1;
                    let size = random.between(1, 6);
                    current = draw(&mut random, size, version, two);
                    Action::Tell(Input::Intent(Arc::clone(&current)))
                }
                5 => Action::Kill(random.next_u64()),
                6 => Action::Lose(random.next_u64()),
                7 => Action::Hang(random.next_u64()),
                8 => Action::Crash,
                _ => Action::Outage(random.between(1_000, 60_000)),
            };
            actions.push((pause, action));
        }
        Self {
            first,
            actions,
            ends_down: random.below(2) == 0,
        }
    }
}

/// Draws an infrastructure of `size` nodes; `version` tells edited descriptors apart.
pub fn topology(random: &mut Random, size: u64, version: u64) -> Arc<Topology> {
    draw(random, size, version, false)
}

/// Which providers the alternatives of each definition are at.
const PLACES: [[&str; 2]; 4] = [
    [PROVIDER, PROVIDER],
    [SECOND_PROVIDER, SECOND_PROVIDER],
    [PROVIDER, SECOND_PROVIDER],
    [SECOND_PROVIDER, PROVIDER],
];

/// Draws an infrastructure, at one cloud or at two.
fn draw(random: &mut Random, size: u64, version: u64, two: bool) -> Arc<Topology> {
    let size = u32::try_from(size).unwrap_or(1);
    let nodes = (0..size)
        .map(|index| {
            let min = u32::try_from(random.between(0, 3)).unwrap_or(1);
            let max = min + u32::try_from(random.below(3)).unwrap_or(0);
            let mut dependencies = Vec::new();
            let mut references = Vec::new();
            for on in (0..index).map(NodeIndex) {
                if random.below(3) == 0 {
                    let on_address_change = match random.below(4) {
                        0 => None,
                        1 => Some(AddressChange::Ignore),
                        2 => Some(AddressChange::Restart),
                        _ => Some(AddressChange::Recreate),
                    };
                    dependencies.push(Dependency {
                        on,
                        on_address_change,
                        mappings: Vec::new(),
                    });
                    if random.below(2) == 0 {
                        references.push(on);
                    }
                }
            }
            // Half of the edits of a node change what its instances are made of.
            let edition = if random.below(2) == 0 { version } else { 0 };
            // With two clouds, some of these edits also move the node to another one.
            let definition = if two {
                mix(u64::from(index) << 32 | edition) % PLACES.len() as u64
            } else {
                0
            };
            let fingerprint = |provider: &str| NodeFingerprint {
                resource: Fingerprint::of_text(&format!("{index} {edition} {provider}")),
                context: Fingerprint::of_text("context"),
            };
            // Some nodes have an alternative to fall back to.
            let alternatives = 1 + u32::try_from(random.below(2)).unwrap_or(0);
            let surge_max = u32::try_from(random.below(2)).unwrap_or(0);
            let places = PLACES[usize::try_from(definition).unwrap_or(0)];
            let places = places.into_iter().take(alternatives as usize);
            Node {
                name: format!("node-{index}"),
                definition: u32::try_from(definition).unwrap_or(0),
                candidates: (0..alternatives).collect(),
                fingerprints: places.map(fingerprint).collect(),
                count: CountRange { min, max },
                variables: Value::Null,
                filter: Value::Null,
                scaling: Value::Null,
                dependencies,
                references,
                update: UpdateLimits {
                    unavailable_max: u32::try_from(random.below(3)).unwrap_or(0),
                    surge_max,
                    refuse_replacement: false,
                },
            }
        })
        .collect();
    let implementation = |provider: &str| Implementation {
        provider: provider.to_owned(),
        health: Health::default(),
        ..Implementation::default()
    };
    let definition = |places: &[&str; 2]| Definition {
        name: "machine".to_owned(),
        implementations: places.iter().map(|place| implementation(place)).collect(),
    };
    let definitions = PLACES.iter().map(definition);
    let definitions = definitions
        .take(if two { PLACES.len() } else { 1 })
        .collect();
    let parts = TopologyParts {
        name: "simulated".to_owned(),
        definitions,
        nodes,
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).expect("dependencies only point to earlier nodes"))
}
