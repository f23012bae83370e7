//! Infrastructures of one name and several state directories at one cloud.

use std::sync::Arc;

use zenekar_base::{ErrorClass, InfrastructureId, Timestamp};
use zenekar_engine::Input;
use zenekar_provider::{Bindings, ObserveScope, split_scoped};
use zenekar_runtime::{Cancel, Outcome, Session, Silent, StoreBindings, Until};
use zenekar_simcloud::Intervention;

use crate::world::{ID, World, block_on, id, three_tiers};

/// Runs one command with a state directory of this name.
fn run(world: &World, state: &str, input: Input) -> Outcome {
    block_on(async {
        let host = Arc::new(world.host_beside(state));
        let mut session = Session::lead(host, &id(), ID, "test").unwrap();
        let (until, cancel) = (Until::Settled, Cancel::never());
        let outcome = session.run(vec![input], until, cancel, &mut Silent).await;
        session.close().unwrap();
        outcome.unwrap()
    })
}

/// The infrastructures that have machines, as the cloud itself knows them.
fn owners(world: &World) -> Vec<InfrastructureId> {
    let mut owners: Vec<_> = world
        .ledger()
        .into_iter()
        .map(|entry| entry.infrastructure)
        .collect();
    owners.sort();
    owners.dedup();
    owners
}

#[test]
fn two_state_directories_do_not_see_each_other() {
    let world = World::new();
    for state in ["one", "two"] {
        let up = run(&world, state, Input::Intent(three_tiers()));
        assert_eq!(up, Outcome::Converged);
    }
    assert_eq!(world.machines().len(), 8);
    let both = owners(&world);
    let names: Vec<_> = both.iter().filter_map(split_scoped).collect();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|(name, _)| *name == id()));
    assert_ne!(names[0].1, names[1].1);
    // Neither takes the other's machines for orphans, nor its losses for its own.
    world.intervene("database/1", Intervention::Kill);
    for state in ["one", "two"] {
        assert_eq!(run(&world, state, Input::Resume), Outcome::Converged);
    }
    assert_eq!(world.machines().len(), 8);
    assert_eq!(owners(&world), both);
    assert_eq!(run(&world, "one", Input::Teardown), Outcome::Converged);
    assert_eq!(world.machines().len(), 4);
    assert_eq!(run(&world, "two", Input::Resume), Outcome::Converged);
    assert_eq!(world.machines().len(), 4);
    assert_eq!(run(&world, "two", Input::Teardown), Outcome::Converged);
    assert_eq!(world.machines().len(), 0);
}

#[test]
fn without_a_state_nothing_is_asked_of_a_shared_cloud() {
    let world = World::new();
    let host = world.host_beside("one");
    let provider = &host.providers["sim"];
    block_on(async {
        let error = provider.observe(id(), ObserveScope::All).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains("has no state here"), "{error}");
    });
    let bindings = StoreBindings::new(host.store.clone());
    assert_eq!(bindings.binding(&id(), "sim"), Ok(None));
    host.store
        .with(|store| store.create_infrastructure(&id(), ID, Timestamp(1)))
        .unwrap();
    assert!(bindings.binding(&id(), "sim").unwrap().is_some());
    block_on(async {
        let seen = provider.observe(id(), ObserveScope::All).await.unwrap();
        assert!(seen.is_empty());
    });
}
