//! What the world and the user get wrong.

use std::sync::Arc;

use zenekar_base::{
    Capabilities, ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ResourceId, ResourceView,
    Value,
};
use zenekar_engine::{Engine, Entry, Input};
use zenekar_provider::{
    Call, CreateRequest, Deleted, ObserveScope, Provider, RecontextualiseRequest,
};
use zenekar_runtime::{
    Cancel, Observer, Outcome, Pace, RuntimeError, Session, SharedStore, Silent, Until,
};
use zenekar_store::{HolderInfo, StoreError, StoreOptions};

use crate::world::{ID, World, block_on, id, role, topology};

async fn causes(world: &World, roles: &[crate::world::Role]) -> Vec<(String, ErrorClass, String)> {
    match world
        .run(vec![Input::Intent(topology(roles))])
        .await
        .unwrap()
    {
        Outcome::Blocked(causes) => causes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_provider_blocks_its_node_only_and_says_what_to_do() {
    let world = World::new();
    let mut elsewhere = role("elsewhere", 1, 1, &[]);
    elsewhere.provider = "moonbase";
    let causes = block_on(causes(&world, &[role("here", 1, 1, &[]), elsewhere]));
    assert_eq!(causes.len(), 1);
    assert_eq!(
        (causes[0].0.as_str(), causes[0].1),
        ("elsewhere", ErrorClass::Invalid)
    );
    assert!(
        causes[0].2.contains("`moonbase`") && causes[0].2.contains("--on"),
        "{}",
        causes[0].2
    );
    assert_eq!(world.machines(), ["here/1"]);
}

#[test]
fn a_template_that_cannot_be_rendered_blocks_its_node() {
    let world = World::new();
    let mut broken = role("broken", 1, 1, &[]);
    broken.resource = Value::Map(vec![("fail".to_owned(), Value::from(true))]);
    let causes = block_on(causes(&world, &[broken]));
    assert_eq!(
        causes,
        [(
            "broken".to_owned(),
            ErrorClass::Invalid,
            "variable `colour` is undefined (hello.yaml:3)".to_owned()
        )]
    );
    assert_eq!(world.machines(), Vec::<String>::new());
}

/// The simulated provider with a small bound on user-data.
struct Narrow(Arc<dyn Provider>);

impl Provider for Narrow {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            user_data_bytes_max: Some(16),
            ..self.0.capabilities()
        }
    }
    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        self.0.create(request)
    }
    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        self.0.observe(infrastructure, scope)
    }
    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        self.0.delete(infrastructure, resource)
    }
    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        self.0.recontextualise(infrastructure, request)
    }
    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        self.0.probe(infrastructure, resource, spec)
    }
}

#[test]
fn user_data_that_is_too_large_is_refused_with_both_sizes() {
    let world = World::new();
    let mut wordy = role("wordy", 1, 1, &[]);
    wordy.resource = Value::Map(vec![(
        "user_data".to_owned(),
        Value::from("seventeen letters"),
    )]);
    block_on(async {
        let mut host = world.host();
        let sim = host.providers.remove("sim").unwrap();
        host.providers
            .insert("sim".to_owned(), Arc::new(Narrow(sim)));
        let mut session = Session::lead(Arc::new(host), &id(), ID, "test").unwrap();
        let outcome = session
            .run(
                vec![Input::Intent(topology(&[wordy]))],
                Until::Settled,
                Cancel::never(),
                &mut Silent,
            )
            .await
            .unwrap();
        let Outcome::Blocked(causes) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            causes[0].2.contains("17 bytes") && causes[0].2.contains("at most 16"),
            "{}",
            causes[0].2
        );
    });
}

#[test]
fn a_full_disk_starts_no_call_and_loses_nothing() {
    let world = World::new();
    let roles = [role("worker", 400, 400, &[])];
    block_on(async {
        let host = world.host_with(
            StoreOptions {
                bytes_max: Some(180_000),
                ..StoreOptions::read_write()
            },
            Pace::Jump,
        );
        let mut session = Session::lead(Arc::new(host), &id(), ID, "test").unwrap();
        let error = session
            .run(
                vec![Input::Intent(topology(&roles))],
                Until::Settled,
                Cancel::never(),
                &mut Silent,
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error, RuntimeError::Store(StoreError::DiskFull { .. })),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("free space"));
        drop(session);
        // Every machine that exists was announced in the journal before.
        let announced = Session::read(&world.host(), &id()).unwrap();
        let intended = announced
            .state()
            .instances
            .values()
            .filter(|instance| instance.attempt > 0)
            .count();
        assert!(
            world.machines().len() <= intended,
            "{} machines, {intended} announced",
            world.machines().len()
        );
        assert_eq!(
            world
                .run(vec![Input::Intent(topology(&roles))])
                .await
                .unwrap(),
            Outcome::Converged
        );
        assert_eq!(world.machines().len(), 400);
    });
}

/// Lets another process take the lease over in the middle.
struct Usurper {
    store: SharedStore,
    after: usize,
}

impl Observer for Usurper {
    fn entry(&mut self, _: &Engine, _: &Entry) {
        self.after = self.after.saturating_sub(1);
        if self.after == 1 {
            let usurper = HolderInfo {
                start_time: 1,
                ..HolderInfo::this_process("usurper")
            };
            let now = zenekar_base::Timestamp(i64::MAX / 2);
            self.store
                .with(|store| {
                    store.acquire(&id(), &usurper, now, zenekar_base::Millis(1), &|_| false)
                })
                .unwrap();
        }
    }
}

#[test]
fn a_session_that_lost_its_lease_stops_at_once() {
    let world = World::new();
    let roles = [role("database", 1, 1, &[]), role("application", 3, 3, &[0])];
    block_on(async {
        let mut session = Session::lead(Arc::new(world.host()), &id(), ID, "test").unwrap();
        let mut usurper = Usurper {
            store: world.host().store,
            after: 8,
        };
        let error = session
            .run(
                vec![Input::Intent(topology(&roles))],
                Until::Settled,
                Cancel::never(),
                &mut usurper,
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error, RuntimeError::Store(StoreError::Fenced { .. })),
            "{error:?}"
        );
        let machines = world.machines().len();
        let again = session
            .run(Vec::new(), Until::Settled, Cancel::never(), &mut Silent)
            .await;
        assert!(matches!(again, Err(RuntimeError::SessionOver { .. })));
        assert!(
            session.close().is_err(),
            "the lease is not ours to give back"
        );
        assert_eq!(world.machines().len(), machines);
    });
}
