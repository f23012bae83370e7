//! Requests of other processes.

use std::sync::Arc;
use std::time::Duration;

use zenekar_base::RequestId;
use zenekar_engine::{Engine, Input, ScalingChange};
use zenekar_runtime::{
    Cancel, CancelHandle, InboxRequest, Observer, Outcome, Session, SharedStore, Silent, Until,
    submit, wait_applied,
};

use crate::world::{ID, World, block_on, id, role, three_tiers, topology};

fn more(node: &str, difference: i64) -> InboxRequest {
    InboxRequest::Scale(vec![ScalingChange::By {
        node: node.to_owned(),
        difference,
    }])
}

/// Another process that asks for something at the first tick, and stops the
/// leader when it is there.
struct Asker {
    store: SharedStore,
    requests: Vec<(&'static str, InboxRequest)>,
    wanted: usize,
    handle: CancelHandle,
}

impl Observer for Asker {
    fn tick(&mut self, engine: &Engine) {
        for (name, request) in self.requests.drain(..) {
            submit(&self.store, &id(), &RequestId::new(name), &request).unwrap();
        }
        if engine
            .state()
            .instances
            .values()
            .filter(|instance| instance.serves())
            .count()
            == self.wanted
            && engine.is_converged()
        {
            self.handle.cancel();
        }
    }
}

#[test]
fn requests_of_another_process_are_applied_exactly_once() {
    let world = World::new();
    block_on(async {
        world.run(vec![Input::Intent(three_tiers())]).await.unwrap();
        let asking = world.host().store;
        let (handle, cancel) = Cancel::new();
        let requests = vec![
            ("one", more("application", 2)),
            ("one", more("application", 2)),
            ("two", more("front", 1)),
            ("three", more("moon", 1)),
        ];
        let mut asker = Asker {
            store: asking.clone(),
            requests,
            wanted: 7,
            handle,
        };
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "watch").unwrap();
        let outcome = session
            .run(Vec::new(), Until::Forever, cancel, &mut asker)
            .await
            .unwrap();
        assert_eq!(outcome, Outcome::Cancelled);
        session.close().unwrap();
        assert_eq!(world.machines().len(), 7);
        let came_of = async |name: &str| {
            wait_applied(&asking, &id(), &RequestId::new(name), Duration::ZERO)
                .await
                .unwrap()
        };
        assert_eq!(came_of("one").await.as_deref(), Some("applied"));
        assert_eq!(came_of("two").await.as_deref(), Some("applied"));
        assert_eq!(
            came_of("three").await.as_deref(),
            Some("refused: no node is named `moon`")
        );
        assert_eq!(came_of("four").await, None);
    });
}

#[test]
fn a_request_that_waited_for_a_leader_is_applied_once_in_the_same_process() {
    let world = World::new();
    block_on(async {
        let roles = [role("worker", 1, 5, &[])];
        world
            .run(vec![Input::Intent(topology(&roles))])
            .await
            .unwrap();
        let host = Arc::new(world.host());
        submit(
            &host.store,
            &id(),
            &RequestId::new("one"),
            &more("worker", 1),
        )
        .unwrap();
        for _ in 0..2 {
            let (handle, cancel) = Cancel::new();
            let mut asker = Asker {
                store: host.store.clone(),
                requests: Vec::new(),
                wanted: 2,
                handle,
            };
            let mut session = Session::lead(Arc::clone(&host), &id(), ID, "watch").unwrap();
            session
                .run(Vec::new(), Until::Forever, cancel, &mut asker)
                .await
                .unwrap();
            session.close().unwrap();
        }
        assert_eq!(world.machines(), ["worker/1", "worker/2"]);
    });
}

#[test]
fn a_watched_infrastructure_can_be_taken_down_from_elsewhere() {
    let world = World::new();
    block_on(async {
        world.run(vec![Input::Intent(three_tiers())]).await.unwrap();
        let host = Arc::new(world.host());
        submit(
            &host.store,
            &id(),
            &RequestId::new("down"),
            &InboxRequest::Teardown,
        )
        .unwrap();
        let mut session = Session::lead(host, &id(), ID, "watch").unwrap();
        let outcome = session
            .run(Vec::new(), Until::Forever, Cancel::never(), &mut Silent)
            .await
            .unwrap();
        assert_eq!(outcome, Outcome::Converged);
        assert_eq!(world.machines(), Vec::<String>::new());
    });
}
