//! Sessions that end in the middle, and their successors.

use std::sync::Arc;

use zenekar_engine::{Engine, Entry, Input};
use zenekar_runtime::{
    Cancel, CancelHandle, Observer, Outcome, RuntimeError, Session, Silent, Until,
};
use zenekar_simcloud::Settings;
use zenekar_store::StoreError;

use crate::world::{ID, World, block_on, id, role, scale, three_tiers, topology};

/// Cancels after so many facts, once or twice.
struct Canceller {
    handle: CancelHandle,
    after: usize,
    times: usize,
}

impl Observer for Canceller {
    fn entry(&mut self, _: &Engine, _: &Entry) {
        self.after = self.after.saturating_sub(1);
        if self.after == 0 && self.times > 0 {
            self.times -= 1;
            self.handle.cancel();
        }
    }
}

#[test]
fn a_cancelled_session_is_resumed_wherever_it_was() {
    for after in (1..40).step_by(3) {
        for times in [1, 2] {
            let world = World::with_settings(Settings {
                seed: after as u64,
                ..Settings::typical()
            });
            block_on(async {
                let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
                let (handle, cancel) = Cancel::new();
                let mut canceller = Canceller {
                    handle,
                    after,
                    times,
                };
                let first = session
                    .run(
                        vec![Input::Intent(three_tiers())],
                        Until::Settled,
                        cancel,
                        &mut canceller,
                    )
                    .await
                    .unwrap();
                if first == Outcome::Cancelled {
                    let again = session
                        .run(Vec::new(), Until::Settled, Cancel::never(), &mut Silent)
                        .await;
                    assert!(
                        matches!(again, Err(RuntimeError::SessionOver { .. })),
                        "{again:?}"
                    );
                }
                session.close().unwrap();
                let second = world.run(vec![Input::Resume]).await.unwrap();
                assert_eq!(
                    second,
                    Outcome::Converged,
                    "after {after} facts, {times} times"
                );
                assert_eq!(
                    world.machines().len(),
                    4,
                    "after {after} facts, {times} times: {:?}",
                    world.machines()
                );
            });
        }
    }
}

#[test]
fn a_session_that_is_dropped_in_the_middle_leaves_nothing_behind() {
    let world = World::new();
    block_on(async {
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
        let (handle, cancel) = Cancel::new();
        let mut canceller = Canceller {
            handle,
            after: 5,
            times: 2,
        };
        session
            .run(
                vec![Input::Intent(three_tiers())],
                Until::Settled,
                cancel,
                &mut canceller,
            )
            .await
            .unwrap();
        drop(session);
        assert_eq!(
            world.run(vec![Input::Teardown]).await.unwrap(),
            Outcome::Converged
        );
        assert_eq!(world.machines(), Vec::<String>::new());
    });
}

#[test]
fn a_snapshot_and_the_rest_of_the_journal_make_the_same_state() {
    let world = World::new();
    let many = topology(&[role("worker", 1_100, 2_000, &[])]);
    block_on(async {
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
        session
            .run(
                vec![Input::Intent(many)],
                Until::Settled,
                Cancel::never(),
                &mut Silent,
            )
            .await
            .unwrap();
        let before = session.engine().state().clone();
        session.close().unwrap();
        let host = world.host();
        let loaded = host.store.with(|store| store.load(&id())).unwrap();
        assert!(loaded.snapshot.is_some(), "5,500 facts make a snapshot due");
        assert_eq!(*Session::read(&host, &id()).unwrap().state(), before);
        world.run(vec![scale("r1", "worker", 1_101)]).await.unwrap();
        assert_eq!(world.machines().len(), 1_101);
    });
}

#[test]
fn only_one_session_leads() {
    let world = World::new();
    block_on(async {
        let first = Session::lead(Arc::new(world.host()), &id(), ID, "first command").unwrap();
        let second = Session::lead(Arc::new(world.host()), &id(), ID, "second command").map(drop);
        let Err(RuntimeError::Store(StoreError::LeaseHeld { holder, .. })) = second else {
            panic!("{second:?}")
        };
        assert_eq!(holder.command, "first command");
        first.close().unwrap();
        Session::lead(Arc::new(world.host()), &id(), ID, "third command")
            .unwrap()
            .close()
            .unwrap();
    });
}
