//! What calls do when nothing goes wrong.

use zenekar_base::{
    CallId, ErrorClass, Fingerprint, InfrastructureId, ProbeResult, ResourceId, ResourceState,
    Timestamp,
};
use zenekar_simcloud::{Benign, Request, Response, Scope, SimCloud};

use crate::support::{
    Caller, create, create_with, delete, describe, fixed, list, probe, recontextualise, view, views,
};

#[test]
fn an_instance_boots_gets_its_address_and_then_its_health() {
    let mut caller = Caller::new(fixed());
    let created = caller.created(1);
    assert_eq!(
        (created.state, created.addresses.primary()),
        (ResourceState::Pending, None)
    );
    caller.wait(1_000);
    let running = caller.listed().remove(0);
    assert_eq!(
        (running.state, running.addresses.primary()),
        (ResourceState::Running, Some("10.0.0.1"))
    );
    assert!(matches!(
        caller.call(probe(&running.resource)),
        Ok(Response::Probed(ProbeResult::Unhealthy(_)))
    ));
    caller.wait(2_000);
    assert_eq!(
        caller.call(probe(&running.resource)),
        Ok(Response::Probed(ProbeResult::Healthy))
    );
}

#[test]
fn the_effect_comes_half_way_to_the_reply() {
    let mut cloud = SimCloud::new(fixed());
    assert_eq!(
        cloud.submit(Timestamp(0), CallId(1), create(1), &mut Benign),
        Timestamp(100)
    );
    assert_eq!(cloud.next_event(), Some(Timestamp(50)));
    assert_eq!(cloud.advance(Timestamp(99), &mut Benign), []);
    assert_eq!(cloud.ledger().alive_count(), 1);
    assert_eq!(cloud.advance(Timestamp(100), &mut Benign).len(), 1);
}

#[test]
fn a_caller_that_dies_hears_nothing_and_its_calls_take_effect() {
    let mut cloud = SimCloud::new(fixed());
    cloud.submit(Timestamp(0), CallId(1), create(1), &mut Benign);
    cloud.submit(Timestamp(60), CallId(2), create(2), &mut Benign);
    cloud.forget_caller();
    assert_eq!(cloud.advance(Timestamp(10_000), &mut Benign), []);
    assert_eq!(cloud.ledger().alive_count(), 2);
}

#[test]
fn a_repeated_token_returns_the_same_resource_even_when_it_is_gone() {
    let mut caller = Caller::new(fixed());
    let first = caller.created(1);
    assert_eq!(caller.created(1).resource, first.resource);
    caller.call(delete(&first.resource)).expect("served");
    caller.wait(100_000);
    let again = caller.created(1);
    assert_eq!(
        (again.resource, again.state),
        (first.resource, ResourceState::Gone)
    );
    assert_eq!(
        (
            caller.cloud.ledger().entries().count(),
            caller.cloud.ledger().alive_count()
        ),
        (1, 0)
    );
}

#[test]
fn a_token_with_other_parameters_is_a_conflict() {
    let mut caller = Caller::new(fixed());
    caller.created(1);
    let other = create_with(1, 1, |request| request.fingerprint = Fingerprint(2));
    assert_eq!(
        caller.call(other).expect_err("refused").class,
        ErrorClass::Conflict
    );
    let foreign = create_with(1, 1, |request| {
        request.infrastructure = InfrastructureId::new("other");
    });
    assert_eq!(
        caller.call(foreign).expect_err("refused").class,
        ErrorClass::Conflict
    );
}

#[test]
fn deleting_takes_time_can_be_repeated_and_forgets_in_the_end() {
    let mut caller = Caller::new(fixed());
    let resource = caller.created(1).resource;
    for _ in 0..2 {
        assert_eq!(
            caller.call(delete(&resource)),
            Ok(Response::Deleted { gone: false })
        );
        assert_eq!(caller.listed()[0].state, ResourceState::Deleting);
    }
    caller.wait(500);
    assert_eq!(caller.listed()[0].state, ResourceState::Gone);
    assert_eq!(
        caller.call(delete(&resource)),
        Ok(Response::Deleted { gone: true })
    );
    caller.wait(60_000);
    assert_eq!(caller.listed(), []);
    assert_eq!(
        caller.call(delete(&resource)),
        Ok(Response::Deleted { gone: true })
    );
    assert_eq!(
        caller.call(probe(&resource)).expect_err("refused").class,
        ErrorClass::NotFound
    );
    let entry = caller
        .cloud
        .ledger()
        .entries()
        .next()
        .expect("the ledger forgets nothing");
    assert!(!entry.is_alive());
}

#[test]
fn resources_of_others_do_not_exist() {
    let mut caller = Caller::new(fixed());
    let resource = caller.created(1).resource;
    let foreign = InfrastructureId::new("other");
    let calls = [
        Request::Observe {
            infrastructure: foreign.clone(),
            scope: Scope::All,
        },
        Request::Observe {
            infrastructure: foreign.clone(),
            scope: Scope::Resources(vec![resource.clone()]),
        },
    ];
    for call in calls {
        assert_eq!(caller.call(call), Ok(Response::Observed(vec![])));
    }
    let gone = caller.call(Request::Delete {
        infrastructure: foreign,
        resource,
    });
    assert_eq!(gone, Ok(Response::Deleted { gone: true }));
    assert_eq!(caller.cloud.ledger().alive_count(), 1);
}

#[test]
fn describing_keeps_the_order_asked_for_and_leaves_out_the_unknown() {
    let mut caller = Caller::new(fixed());
    let (one, two) = (caller.created(1).resource, caller.created(2).resource);
    let unknown = ResourceId::new("sim-999999");
    let found = views(caller.call(describe(&[&two, &unknown, &one])));
    assert_eq!(
        found
            .into_iter()
            .map(|view| view.resource)
            .collect::<Vec<_>>(),
        [two, one]
    );
}

#[test]
fn a_contextualisation_in_place_counts_once() {
    let mut caller = Caller::new(fixed());
    let resource = caller.created(1).resource;
    assert_eq!(
        caller
            .call(recontextualise(&resource, 1))
            .expect_err("still boots")
            .class,
        ErrorClass::Retryable
    );
    caller.wait(5_000);
    caller.call(recontextualise(&resource, 1)).expect("served");
    assert!(matches!(
        caller.call(probe(&resource)),
        Ok(Response::Probed(ProbeResult::Unhealthy(_)))
    ));
    caller.wait(2_000);
    assert_eq!(
        caller.call(probe(&resource)),
        Ok(Response::Probed(ProbeResult::Healthy))
    );
    caller.call(recontextualise(&resource, 1)).expect("ignored");
    assert_eq!(
        caller.call(probe(&resource)),
        Ok(Response::Probed(ProbeResult::Healthy))
    );
    assert_eq!(caller.listed()[0].revision, 1);
    let unknown = ResourceId::new("sim-000042");
    assert_eq!(
        caller
            .call(recontextualise(&unknown, 1))
            .expect_err("unknown")
            .class,
        ErrorClass::NotFound
    );
}

#[test]
fn quotas_count_what_exists() {
    let mut settings = fixed();
    settings.quota.instances = Some(2);
    settings.quota.cores = Some(5);
    let mut caller = Caller::new(settings);
    let resource = caller.created(1).resource;
    let big = create_with(2, 1, |request| request.cores = 4);
    let refused = caller.call(big).expect_err("six of five cores");
    assert_eq!(
        (refused.class, refused.message.as_str()),
        (ErrorClass::Quota, "quota exceeded: 2 of 5 cores in use")
    );
    caller.created(2);
    assert_eq!(
        caller.call(create(3)).expect_err("three of two").class,
        ErrorClass::Quota
    );
    caller.call(delete(&resource)).expect("served");
    assert_eq!(
        caller
            .call(create(3))
            .expect_err("still being deleted")
            .class,
        ErrorClass::Quota
    );
    caller.wait(500);
    caller.created(3);
    assert_eq!(
        (
            caller.cloud.ledger().alive_count(),
            caller.cloud.ledger().cores_count()
        ),
        (2, 4)
    );
}

#[test]
fn the_descriptor_can_say_how_long_things_take() {
    let mut caller = Caller::new(fixed());
    let request = create_with(1, 1, |request| {
        request.create = Some(zenekar_simcloud::SpanRange::fixed(10));
        request.boot = Some(zenekar_simcloud::SpanRange::fixed(20));
        request.contextualise = Some(zenekar_simcloud::SpanRange::fixed(30));
    });
    let resource = view(caller.call(request)).resource;
    assert_eq!(caller.cloud.now(), Timestamp(10));
    caller.wait(15);
    let entry = caller.cloud.ledger().entries().next().expect("created");
    assert_eq!(
        (entry.state, entry.healthy_at),
        (Some(ResourceState::Running), Timestamp(5 + 20 + 30))
    );
    caller.wait(30);
    assert_eq!(
        caller.call(probe(&resource)),
        Ok(Response::Probed(ProbeResult::Healthy))
    );
    assert_eq!(caller.call(list()).map(views_len), Ok(1));
}

fn views_len(response: Response) -> usize {
    views(Ok(response)).len()
}
