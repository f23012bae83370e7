//! Lives that begin with machines that somebody else has made.

use std::sync::Arc;

use zenekar_base::{Addresses, InstanceTag, Random, ResourceId};
use zenekar_engine::{Adoption, ForeignInstance, Input, LostInstance};
use zenekar_model::Topology;
use zenekar_simcloud::{Intervention, LedgerEntry, Plant};

use crate::world::World;

/// What the ids of machines begin with that are nobody's business.
const BYSTANDER: &str = "bystander-";

/// Machines beside the infrastructure that nobody may touch.
const BYSTANDERS: u32 = 3;

/// How often the user asks for the adoption again while the engine dies over it.
const ATTEMPTS_MAX: u32 = 100;

/// Says whether the life of a seed begins with an adoption.
pub(crate) fn is_drawn(seed: u64) -> bool {
    seed % 4 == 3
}

/// Says whether others than we have made a machine.
pub(crate) fn is_foreign(entry: &LedgerEntry) -> bool {
    entry.infrastructure.as_str().is_empty()
}

/// Says whether a machine is not to be touched.
pub(crate) fn is_bystander(entry: &LedgerEntry) -> bool {
    entry.resource.as_str().starts_with(BYSTANDER)
}

/// Plants what another orchestrator has made, and lets it be adopted; returns
/// what the engine was told.
pub(crate) fn begin(world: &mut World, topology: &Arc<Topology>) -> Input {
    let mut random = Random::from_seed(world.cloud.settings().seed).child(4);
    for number in 0..BYSTANDERS {
        plant(world, &format!("{BYSTANDER}{number}"));
    }
    let (mut instances, mut lost, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for index in topology.indices() {
        let node = topology.node(index);
        let count = random.between(0, u64::from(node.count.max) + 1);
        let target = random.between(u64::from(node.count.min), u64::from(node.count.max));
        targets.push((node.name.clone(), u32::try_from(target).unwrap_or(1)));
        for number in 0..count {
            let name = format!("{}-{number}", node.name);
            let tag = InstanceTag::new(format!("tag-of-{name}"));
            let resource = ResourceId::new(format!("foreign-{name}"));
            // Some are gone, and some of them without the other orchestrator's knowledge.
            let fate = random.below(8);
            let addresses = if fate == 0 {
                Addresses {
                    all: vec![format!("192.0.2.{number}")],
                    private: None,
                }
            } else {
                plant(world, resource.as_str());
                addresses_of(world, &resource)
            };
            if fate == 1 {
                world.intervene(&Intervention::Lose(resource.clone()));
            }
            if fate == 0 {
                lost.push(LostInstance {
                    node: node.name.clone(),
                    tag,
                    addresses,
                });
                continue;
            }
            let alternatives = node.candidates.len() as u64;
            instances.push(ForeignInstance {
                node: node.name.clone(),
                tag,
                candidate: u32::try_from(random.below(alternatives)).unwrap_or(0),
                resource,
                addresses,
                ready: fate != 2,
            });
        }
    }
    let input = Input::Adopt(Adoption {
        topology: Arc::clone(topology),
        targets,
        instances,
        lost,
    });
    for _ in 0..ATTEMPTS_MAX {
        world.tell(input.clone());
        if world.engine.state().intent.is_some() {
            break;
        }
    }
    input
}

fn plant(world: &mut World, resource: &str) {
    let plant = Plant {
        resource: ResourceId::new(resource),
        name: String::new(),
        addresses: Addresses::default(),
    };
    let planted = world.intervene(&Intervention::Plant(Box::new(plant)));
    assert!(planted, "every machine has an id of its own");
}

fn addresses_of(world: &World, resource: &ResourceId) -> Addresses {
    let mut entries = world.cloud.ledger().entries();
    let found = entries.find(|entry| entry.resource == *resource);
    found.map(|entry| entry.addresses).unwrap_or_default()
}
