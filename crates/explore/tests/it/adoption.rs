//! What another orchestrator has made, and what becomes of it here.

use std::collections::BTreeSet;
use std::sync::Arc;

use zenekar_base::{Addresses, InstanceTag, ResourceId};
use zenekar_engine::{
    Adoption, Effect, Engine, Entry, ForeignInstance, Input, LostInstance, Notice, Refusal,
    ScalingChange, Snapshot, State, Verdict,
};
use zenekar_explore::World;
use zenekar_model::{Node, Topology};
use zenekar_simcloud::{Intervention, Plant, Settings};

use crate::behaviour::{converge, kill, pass, scale, up, world};
use crate::build::{changed, node, reading, topology};

/// Puts a machine there that somebody else has made.
fn plant(world: &mut World, resource: &str) -> Addresses {
    let resource = ResourceId::new(resource);
    let planted = world.intervene(&Intervention::Plant(Box::new(Plant {
        resource: resource.clone(),
        name: String::new(),
        addresses: Addresses::default(),
    })));
    assert!(planted);
    let mut entries = world.cloud.ledger().entries();
    let found = entries.find(|entry| entry.resource == resource);
    found.expect("it was just planted").addresses
}

fn foreign(world: &mut World, node: &str, number: u32) -> ForeignInstance {
    let resource = format!("i-{node}-{number}");
    ForeignInstance {
        node: node.to_owned(),
        tag: InstanceTag::new(format!("uuid-of-{node}-{number}")),
        candidate: 0,
        addresses: plant(world, &resource),
        resource: ResourceId::new(resource),
        ready: true,
    }
}

fn adoption(topology: &Arc<Topology>, instances: Vec<ForeignInstance>) -> Adoption {
    Adoption {
        topology: Arc::clone(topology),
        targets: Vec::new(),
        instances,
        lost: Vec::new(),
    }
}

/// A world in which `counts` machines of each node were adopted, beside one
/// machine that is nobody's business.
fn adopted(nodes: Vec<Node>, counts: &[u32]) -> World {
    let mut world = world(Settings::calm());
    plant(&mut world, "not-ours");
    let topology = topology(nodes);
    let mut instances = Vec::new();
    for (node, count) in topology.nodes().iter().zip(counts) {
        for number in 1..=*count {
            instances.push(foreign(&mut world, &node.name, number));
        }
    }
    world.tell(Input::Adopt(adoption(&topology, instances)));
    world
}

fn alive(world: &World) -> BTreeSet<String> {
    let alive = world.cloud.ledger().alive();
    alive.map(|entry| entry.resource.to_string()).collect()
}

fn resources(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn refusal(world: &mut World, input: Input) -> Option<Refusal> {
    world.engine.handle(world.now, input);
    let effects: Vec<Effect> = std::iter::from_fn(|| world.engine.poll()).collect();
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Persist(_))),
        "a refused request changes nothing"
    );
    effects.into_iter().find_map(|effect| match effect {
        Effect::Notify(Notice::Refused { reason }) => Some(reason),
        _ => None,
    })
}

fn master_and_workers() -> Vec<Node> {
    vec![node("master", 1, 1), reading(node("worker", 2, 5), 0, None)]
}

#[test]
fn the_plan_after_an_adoption_is_empty_and_nothing_happens() {
    let mut world = adopted(master_and_workers(), &[1, 2]);
    assert_eq!(world.engine.plan().steps, []);
    assert_eq!(world.engine.verdict(), Verdict::Converged);
    let before = alive(&world);
    pass(&mut world, 3_600);
    assert_eq!(alive(&world), before);
    assert_eq!(world.creations, 0);
    assert_eq!(world.engine.plan().steps, []);
    let kinds: Vec<&str> = world
        .journal
        .iter()
        .map(|entry| entry.record.kind())
        .collect();
    assert_eq!(kinds, ["adopted"], "one fact, and nothing follows from it");
}

#[test]
fn what_was_adopted_is_released_when_it_is_gone() {
    let mut world = adopted(master_and_workers(), &[1, 2]);
    world.tell(Input::Teardown);
    converge(&mut world);
    assert_eq!(alive(&world), resources(&["not-ours"]));
    let kinds = world.journal.iter().map(|entry| entry.record.kind());
    let ends: Vec<&str> = kinds
        .filter(|kind| ["released", "torn-down"].contains(kind))
        .collect();
    assert_eq!(ends, ["released", "torn-down"]);
    assert!(world.engine.state().held.is_empty());
}

#[test]
fn snapshots_from_before_adoptions_were_released_say_the_same() {
    let world = adopted(master_and_workers(), &[1, 2]);
    let state = world.engine.state();
    let mut stored = serde_json::to_value(Snapshot::from(state)).expect("it is stored as JSON");
    stored["held"] = serde_json::json!([]);
    let old: Snapshot = serde_json::from_value(stored).expect("nothing may be held");
    assert_eq!(&old.restore(state.infrastructure.clone()), state);
}

#[test]
fn adopted_instances_are_found_by_their_old_ids() {
    let world = adopted(master_and_workers(), &[1, 2]);
    let status = world.engine.status();
    let master = &status.nodes[0].instances[0];
    assert_eq!(master.name, "master/1");
    assert_eq!(master.tag, "uuid-of-master-1");
    assert_eq!(master.phase, "ready");
    assert!(master.adopted);
    assert_eq!(
        master.resource.as_ref().map(ResourceId::as_str),
        Some("i-master-1")
    );
}

#[test]
fn a_scale_out_creates_exactly_what_is_missing() {
    let mut world = adopted(master_and_workers(), &[1, 2]);
    let to = ScalingChange::To {
        node: "worker".to_owned(),
        count: 4,
    };
    world.tell(scale("more", to));
    converge(&mut world);
    assert_eq!(world.creations, 2);
    let mut expected = resources(&["not-ours", "i-master-1", "i-worker-1", "i-worker-2"]);
    expected.extend(["sim-000004".to_owned(), "sim-000005".to_owned()]);
    assert_eq!(alive(&world), expected);
}

#[test]
fn a_named_adopted_instance_can_be_removed() {
    let nodes = vec![node("worker", 1, 5)];
    let mut world = adopted(nodes, &[2]);
    let state = world.engine.state();
    let instance = state.find_instance("worker/1").expect("adopted");
    world.tell(Input::Resume);
    world.tell(scale("less", ScalingChange::Remove { instance }));
    converge(&mut world);
    assert_eq!(alive(&world), resources(&["not-ours", "i-worker-2"]));
}

#[test]
fn a_lost_adopted_instance_is_replaced_and_those_that_knew_it_are_told() {
    let mut world = adopted(master_and_workers(), &[1, 2]);
    kill(&mut world, "master/1");
    pass(&mut world, 300);
    converge(&mut world);
    let state = world.engine.state();
    let master = state.find_instance("master/2").expect("its replacement");
    assert!(!state.instances[&master].adopted);
    let given = |name: &str| {
        let key = state.find_instance(name).expect("adopted");
        let set = state.instances[&key].given.expect("it reads addresses");
        state.given[&set].0[0].instances[0].instance.clone()
    };
    assert_eq!(given("worker/1"), state.instances[&master].tag);
    assert_eq!(given("worker/2"), state.instances[&master].tag);
    assert_eq!(
        alive(&world).len(),
        4,
        "and the old workers are still there"
    );
}

#[test]
fn what_was_lost_before_is_created_and_those_that_knew_it_are_told() {
    let mut world = world(Settings::calm());
    let topology = topology(master_and_workers());
    let instances = vec![
        foreign(&mut world, "worker", 1),
        foreign(&mut world, "worker", 2),
    ];
    let lost = LostInstance {
        node: "master".to_owned(),
        tag: InstanceTag::new("uuid-of-master-1"),
        addresses: Addresses {
            all: vec!["192.0.2.1".to_owned()],
            private: None,
        },
    };
    world.tell(Input::Adopt(Adoption {
        lost: vec![lost],
        ..adoption(&topology, instances)
    }));
    let steps = world.engine.plan().steps;
    assert_eq!(steps.len(), 1);
    assert_eq!(world.engine.state().node(steps[0].node).name, "master");
    converge(&mut world);
    pass(&mut world, 60);
    converge(&mut world);
    let state = world.engine.state();
    let worker = state.find_instance("worker/1").expect("adopted");
    assert!(state.instances[&worker].revision > 0, "it was told");
    assert_eq!(world.creations, 1);
}

#[test]
fn an_adopted_instance_that_was_unhealthy_is_checked_first() {
    let mut world = world(Settings::calm());
    let topology = topology(vec![node("worker", 1, 1)]);
    let sick = ForeignInstance {
        ready: false,
        ..foreign(&mut world, "worker", 1)
    };
    world.tell(Input::Adopt(adoption(&topology, vec![sick])));
    assert_eq!(world.engine.state().nodes[0].serving, 0);
    converge(&mut world);
    assert_eq!(world.creations, 0);
    assert_eq!(world.engine.state().nodes[0].serving, 1);
}

#[test]
fn a_changed_descriptor_replaces_adopted_instances_as_usual() {
    let mut world = adopted(vec![node("worker", 2, 2)], &[2]);
    world.tell(Input::Intent(topology(vec![changed(node("worker", 2, 2))])));
    converge(&mut world);
    assert_eq!(world.creations, 2);
    assert_eq!(
        alive(&world),
        resources(&["not-ours", "sim-000003", "sim-000004"])
    );
}

#[test]
fn counts_that_somebody_chose_outlive_the_next_descriptor() {
    let mut world = world(Settings::calm());
    let first = topology(vec![node("worker", 1, 5)]);
    let instances = (1..=3)
        .map(|number| foreign(&mut world, "worker", number))
        .collect();
    world.tell(Input::Adopt(Adoption {
        targets: vec![("worker".to_owned(), 3)],
        ..adoption(&first, instances)
    }));
    assert_eq!(world.engine.plan().steps, []);
    world.tell(Input::Intent(topology(vec![
        node("worker", 1, 5),
        node("more", 1, 1),
    ])));
    converge(&mut world);
    assert_eq!(world.cloud.ledger().alive_count(), 4);
    assert_eq!(world.creations, 1);
}

#[test]
fn a_teardown_deletes_exactly_the_adopted_and_the_created() {
    let mut world = adopted(master_and_workers(), &[1, 2]);
    let by = ScalingChange::By {
        node: "worker".to_owned(),
        difference: 1,
    };
    world.tell(scale("more", by));
    converge(&mut world);
    world.tell(Input::Teardown);
    converge(&mut world);
    assert_eq!(alive(&world), resources(&["not-ours"]));
    assert!(world.engine.state().torn_down);
    assert_eq!(world.disorder, None);
}

#[test]
fn another_engine_goes_on_with_what_was_adopted() {
    let mut world = adopted(master_and_workers(), &[1, 2]);
    world.crash();
    converge(&mut world);
    pass(&mut world, 600);
    assert_eq!(world.creations, 0);
    assert_eq!(world.engine.plan().steps, []);
    let state = world.engine.state();
    let stored = serde_json::to_string(&Snapshot::from(state)).expect("it can be written");
    let read: Snapshot = serde_json::from_str(&stored).expect("it can be read");
    assert_eq!(read.restore(state.infrastructure.clone()), *state);
}

#[test]
fn what_older_versions_wrote_is_read_and_they_read_what_was_not_adopted() {
    let world = up(master_and_workers());
    let state = world.engine.state();
    let stored = serde_json::to_string(&Snapshot::from(state)).expect("it can be written");
    for word in ["adopted", "taken_over"] {
        assert!(
            !stored.contains(word),
            "older versions do not know `{word}`"
        );
    }
    let read: Snapshot = serde_json::from_str(&stored).expect("it can be read");
    assert_eq!(read.restore(state.infrastructure.clone()), *state);
}

#[test]
fn an_adoption_is_read_from_the_journal_as_it_was_written() {
    let world = adopted(master_and_workers(), &[1, 2]);
    let entries = serde_json::to_string(&world.journal).expect("it can be written");
    let read: Vec<Entry> = serde_json::from_str(&entries).expect("it can be read");
    assert_eq!(read, world.journal);
    let mut state = State::new(world.engine.state().infrastructure.clone());
    for entry in &read {
        state.apply(entry);
    }
    assert_eq!(state, *world.engine.state());
}

#[test]
fn a_resource_without_a_tag_that_nobody_asked_for_is_no_orphan() {
    let mut world = adopted(vec![node("worker", 1, 3)], &[2]);
    let state = world.engine.state();
    let instance = state.find_instance("worker/2").expect("adopted");
    // Looks that are on their way still show it when it is nobody's any more.
    world.tell(scale("less", ScalingChange::Remove { instance }));
    converge(&mut world);
    pass(&mut world, 300);
    let mut kinds = world.journal.iter().map(|entry| entry.record.kind());
    assert!(kinds.all(|kind| kind != "orphan-found"));
    assert_eq!(alive(&world), resources(&["not-ours", "i-worker-1"]));
}

#[test]
fn only_a_new_infrastructure_can_be_taken_over() {
    let mut world = adopted(vec![node("worker", 1, 1)], &[1]);
    let again = adoption(&topology(vec![node("worker", 1, 1)]), Vec::new());
    assert_eq!(
        refusal(&mut world, Input::Adopt(again)),
        Some(Refusal::NotNew)
    );
}

#[test]
fn what_contradicts_itself_is_not_taken_over() {
    let described = topology(vec![node("worker", 1, 5)]);
    let mut world = world(Settings::calm());
    let one = foreign(&mut world, "worker", 1);
    let same_tag = ForeignInstance {
        resource: ResourceId::new("other"),
        ..one.clone()
    };
    let same_resource = ForeignInstance {
        tag: InstanceTag::new("other"),
        ..one.clone()
    };
    let unknown_node = ForeignInstance {
        node: "stranger".to_owned(),
        ..one.clone()
    };
    let unknown_candidate = ForeignInstance {
        candidate: 7,
        ..one.clone()
    };
    let without_tag = ForeignInstance {
        tag: InstanceTag::new(""),
        ..one.clone()
    };
    for (instances, expected) in [
        (
            vec![one.clone(), same_tag],
            "two instances are called `uuid-of-worker-1`",
        ),
        (
            vec![one.clone(), same_resource],
            "two instances are resource `i-worker-1`",
        ),
        (vec![unknown_node], "no node is named `stranger`"),
        (
            vec![unknown_candidate],
            "instance `uuid-of-worker-1` was made from an implementation that node `worker` does not have",
        ),
        (vec![without_tag], "an instance of node `worker` has no id"),
    ] {
        let input = Input::Adopt(adoption(&described, instances));
        let reason = refusal(&mut world, input).map(|reason| reason.to_string());
        assert_eq!(reason.as_deref(), Some(expected));
    }
    let engine: &Engine = &world.engine;
    assert_eq!(engine.state().intent, None);
}
