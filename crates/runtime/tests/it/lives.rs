//! Up, scale, heal, down.

use std::sync::Arc;

use zenekar_base::Value;
use zenekar_engine::{Input, Refusal};
use zenekar_runtime::{Cancel, Outcome, Pace, Session, Until, read_entries};
use zenekar_simcloud::{Intervention, Settings};

use crate::world::{ID, Scribe, World, block_on, id, role, scale, three_tiers, topology};

#[test]
fn an_infrastructure_comes_up_scales_heals_and_goes_down() {
    let world = World::new();
    block_on(async {
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
        let mut scribe = Scribe::new();
        let up = session
            .run(
                vec![Input::Intent(three_tiers())],
                Until::Settled,
                Cancel::never(),
                &mut scribe,
            )
            .await
            .unwrap();
        assert_eq!(up, Outcome::Converged);
        assert_eq!(
            world.machines(),
            ["application/1", "application/2", "database/1", "front/1"]
        );
        assert_eq!(scribe.count("ready"), 4);

        let scaled = session
            .run(
                vec![scale("r1", "application", 4)],
                Until::Settled,
                Cancel::never(),
                &mut scribe,
            )
            .await
            .unwrap();
        assert_eq!(scaled, Outcome::Converged);
        assert_eq!(world.machines().len(), 6);
        assert_eq!(
            scribe.shadow,
            *session.engine().state(),
            "the facts are the whole state"
        );
        session.close().unwrap();

        world.intervene("application/3", Intervention::Kill);
        assert_eq!(
            world.run(vec![Input::Resume]).await.unwrap(),
            Outcome::Converged
        );
        let healed = world.machines();
        assert_eq!(healed.len(), 6);
        assert!(
            !healed.contains(&"application/3".to_owned())
                && healed.contains(&"application/5".to_owned()),
            "{healed:?}"
        );

        assert_eq!(
            world.run(vec![Input::Teardown]).await.unwrap(),
            Outcome::Converged
        );
        assert_eq!(world.machines(), Vec::<String>::new());
        let row = world
            .host()
            .store
            .with(|store| store.infrastructure(&id()))
            .unwrap()
            .unwrap();
        assert!(row.removed_at.is_some());

        assert_eq!(
            world.run(vec![Input::Intent(three_tiers())]).await.unwrap(),
            Outcome::Converged
        );
        let row = world
            .host()
            .store
            .with(|store| store.infrastructure(&id()))
            .unwrap()
            .unwrap();
        assert_eq!(row.removed_at, None, "it is wanted again");
    });
}

#[test]
fn a_dependant_is_created_only_when_its_dependee_is_ready() {
    let world = World::new();
    block_on(world.run(vec![Input::Intent(three_tiers())])).unwrap();
    let ledger = world.ledger();
    let created = |name: &str| {
        ledger
            .iter()
            .find(|entry| entry.name == name)
            .unwrap()
            .created_at
    };
    assert!(created("database/1") < created("application/1"));
    assert!(created("application/2") < created("front/1"));
}

#[test]
fn a_hostile_cloud_is_mastered() {
    for seed in 0..6 {
        let world = World::with_settings(Settings {
            seed,
            ..Settings::hostile()
        });
        // It also checks that a snapshot holds every fact that comes up.
        let mut scribe = Scribe::new();
        block_on(async {
            for input in [Input::Intent(three_tiers()), Input::Teardown] {
                let mut outcome = world.run_observed(vec![input], &mut scribe).await.unwrap();
                // Where it gave up, a person tries again.
                for _ in 0..20 {
                    if outcome != Outcome::Converged {
                        outcome = world
                            .run_observed(vec![Input::Resume], &mut scribe)
                            .await
                            .unwrap();
                    }
                }
                assert_eq!(outcome, Outcome::Converged, "seed {seed}");
            }
            assert_eq!(world.machines(), Vec::<String>::new(), "seed {seed}");
        });
    }
}

#[test]
fn compressed_time_on_two_threads_comes_to_the_same() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let host = world.host_at(Pace::Compressed(1_000.0));
    runtime.block_on(async {
        let mut session = Session::lead(Arc::new(host), &id(), ID, "test").unwrap();
        let mut scribe = Scribe::new();
        let inputs = vec![Input::Intent(three_tiers())];
        let outcome = session
            .run(inputs, Until::Settled, Cancel::never(), &mut scribe)
            .await;
        assert_eq!(outcome.unwrap(), Outcome::Converged);
        assert_eq!(scribe.shadow, *session.engine().state());
        session.close().unwrap();
    });
    assert_eq!(world.machines().len(), 4);
}

#[test]
fn every_fact_is_in_the_journal_in_order() {
    let world = World::new();
    block_on(async {
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
        let mut scribe = Scribe::new();
        session
            .run(
                vec![Input::Intent(three_tiers())],
                Until::Settled,
                Cancel::never(),
                &mut scribe,
            )
            .await
            .unwrap();
        session.close().unwrap();
        let entries = read_entries(&world.host().store, &id(), 1).unwrap();
        let kinds: Vec<_> = entries
            .iter()
            .map(|(_, entry)| entry.record.kind())
            .collect();
        assert_eq!(kinds, scribe.kinds);
        assert!(
            entries
                .iter()
                .enumerate()
                .all(|(place, (sequence, _))| *sequence == place as u64 + 1)
        );
    });
}

#[test]
fn a_refused_input_ends_the_run_with_the_reason() {
    let world = World::new();
    block_on(async {
        assert_eq!(
            world.run(vec![Input::Teardown]).await.unwrap(),
            Outcome::Refused(Refusal::NoIntent)
        );
        world.run(vec![Input::Intent(three_tiers())]).await.unwrap();
        let outcome = world.run(vec![scale("r1", "cache", 3)]).await.unwrap();
        assert_eq!(
            outcome,
            Outcome::Refused(Refusal::UnknownNode("cache".to_owned()))
        );
    });
}

#[test]
fn time_runs_out_in_the_clocks_time() {
    let world = World::new();
    let mut slow = role("slow", 1, 1, &[]);
    slow.resource = Value::Map(vec![("boot_ms".to_owned(), Value::from(600_000))]);
    block_on(async {
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
        let within = Until::SettledWithin(zenekar_base::Millis::from_secs(60));
        let outcome = session
            .run(
                vec![Input::Intent(topology(&[slow]))],
                within,
                Cancel::never(),
                &mut Scribe::new(),
            )
            .await
            .unwrap();
        assert_eq!(outcome, Outcome::TimedOut);
        let later = session
            .run(
                Vec::new(),
                Until::Settled,
                Cancel::never(),
                &mut Scribe::new(),
            )
            .await
            .unwrap();
        assert_eq!(later, Outcome::Converged, "the same session can go on");
    });
}
