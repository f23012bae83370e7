//! Mistakes that reviews and simulations have found once, and that stay away.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::{
    Addresses, Capabilities, ErrorClass, Fingerprint, InfrastructureId, InstanceKey, InstanceTag,
    Millis, ProbeResult, ProviderError, ResourceId, ResourceState, ResourceView, Timestamp,
};
use zenekar_engine::{
    Call, Effect, Engine, Entry, Input, Operation, Phase, Response, ScalingChange, Scope, Settings,
    State, Verdict,
};
use zenekar_explore::World;
use zenekar_model::{
    AddressChange, Definition, Implementation, Node, NodeFingerprint, Topology, TopologyParts,
};
use zenekar_simcloud::{Intervention, Quota, Settings as Cloud};

use crate::behaviour::{converge, kill, pass, scale, up, world};
use crate::build::{node, reading, topology};

fn to(node: &str, count: u32) -> ScalingChange {
    ScalingChange::To {
        node: node.to_owned(),
        count,
    }
}

/// one node over several providers
fn multi(nodes: Vec<Node>, providers: &[&str]) -> Arc<Topology> {
    let definitions = vec![Definition {
        name: "machine".into(),
        implementations: providers
            .iter()
            .map(|p| Implementation {
                provider: (*p).into(),
                ..Implementation::default()
            })
            .collect(),
    }];
    Arc::new(
        Topology::new(TopologyParts {
            name: "simulated".into(),
            definitions,
            nodes,
            ..TopologyParts::default()
        })
        .unwrap(),
    )
}
fn drain(e: &mut Engine) -> (Vec<Call>, Vec<Entry>) {
    let mut c = vec![];
    let mut p = vec![];
    while let Some(x) = e.poll() {
        match x {
            Effect::Call(y) => c.push(y),
            Effect::Persist(y) => p.push(y),
            _ => {}
        }
    }
    (c, p)
}

#[test]
fn orphans_known_before_a_crash_are_deleted_after_it() {
    let mut world = up(vec![node("worker", 1, 3)]);
    let earlier = world.journal.len();
    world.tell(scale("out", to("worker", 3)));
    converge(&mut world);
    world.journal.truncate(earlier);
    world.crash();
    while !world
        .journal
        .iter()
        .any(|e| e.record.kind() == "orphan-found")
    {
        assert!(world.step());
    }
    world.crash(); // the deletions are lost or not; here: they reached the cloud perhaps
    pass(&mut world, 3600);
    assert!(world.engine.is_converged());
}

#[test]
fn a_doomed_instance_is_not_replaced_again_after_a_crash() {
    let mut world = up(vec![node("worker", 1, 1)]);
    kill(&mut world, "worker/1");
    while !world.journal.iter().any(|e| e.record.kind() == "doomed") {
        assert!(world.step());
    }
    world.crash();
    let s = world.engine.state();
    assert_eq!(s.nodes[0].counting, 1);
}
#[test]
fn a_node_scaled_to_zero_survives_a_crash_while_a_lost_instance_goes() {
    let mut world = up(vec![node("worker", 0, 1)]);
    world.tell(scale("a", to("worker", 1)));
    converge(&mut world);
    kill(&mut world, "worker/1");
    while !world.journal.iter().any(|e| e.record.kind() == "doomed") {
        assert!(world.step());
    }
    world.tell(scale("b", to("worker", 0)));
    world.crash();
    pass(&mut world, 600);
    converge(&mut world);
}

#[test]
fn a_node_moved_to_another_provider_is_created_there() {
    let mut caps = BTreeMap::new();
    for p in ["a", "b"] {
        caps.insert(
            p.to_owned(),
            Capabilities {
                calls_in_flight_max: 1,
                ..Capabilities::default()
            },
        );
    }
    let mut e = Engine::new(
        InfrastructureId::new("x"),
        Settings {
            capabilities: caps,
            calls_in_flight_max: None,
            seed: 1,
        },
    );
    e.handle(
        Timestamp(1),
        Input::Intent(multi(vec![node("w", 4, 4)], &["a"])),
    );
    let (calls, _) = drain(&mut e);
    assert_eq!(calls.len(), 1);
    let mut n = node("w", 4, 4);
    n.fingerprints[0].resource = Fingerprint::of_text("second");
    e.handle(Timestamp(2), Input::Intent(multi(vec![n], &["b"])));
    let (calls2, _) = drain(&mut e);
    for c in &calls2 {
        println!("{} {}", c.provider, c.operation.kind());
    }
    e.handle(
        Timestamp(3),
        Input::Completion {
            call: calls[0].id,
            result: Err(ProviderError::new(ErrorClass::Retryable, "503")),
        },
    );
    let (calls3, _) = drain(&mut e);
    for c in &calls3 {
        if let Operation::Create { instance, .. } = c.operation {
            let believed =
                &e.state().providers[e.state().instances[&instance].provider.unwrap().index()];
            assert_eq!(&c.provider, believed);
        }
    }
}

#[test]
fn a_node_that_loses_an_alternative_goes_on_with_the_others() {
    let mut n = node("w", 1, 1);
    n.candidates = vec![0, 1];
    n.fingerprints = vec![
        n.fingerprints[0],
        NodeFingerprint {
            resource: Fingerprint::of_text("other"),
            context: Fingerprint::of_text("o"),
        },
    ];
    let mut world = world(Cloud {
        quota: Quota {
            instances: Some(0),
            cores: None,
        },
        ..Cloud::calm()
    });
    world.tell(Input::Intent(multi(vec![n], &["sim", "sim"])));
    while world
        .engine
        .state()
        .instances
        .values()
        .next()
        .unwrap()
        .candidate
        == 0
    {
        assert!(world.step());
    }
    world.tell(Input::Intent(multi(vec![node("w", 1, 1)], &["sim"])));
    world.intervene(&Intervention::SetQuota(Quota::default()));
    world.tell(Input::Resume);
    converge(&mut world);
}

#[test]
fn a_scale_in_takes_lost_instances_before_healthy_ones() {
    let mut world = up(vec![node("worker", 3, 8)]);
    world.tell(scale("o", to("worker", 8)));
    converge(&mut world);
    for i in 1..=7 {
        kill(&mut world, &format!("worker/{i}"));
    }
    pass(&mut world, 60);
    let alive_before: Vec<_> = world
        .cloud
        .ledger()
        .alive()
        .map(|e| e.resource.clone())
        .collect();
    world.tell(scale("i", to("worker", 4)));
    pass(&mut world, 60);
    let after: Vec<_> = world
        .cloud
        .ledger()
        .alive()
        .map(|e| e.resource.clone())
        .collect();
    assert!(
        alive_before.iter().all(|r| after.contains(r)),
        "a healthy instance went while lost ones stayed"
    );
}

#[test]
fn a_late_error_does_not_undo_what_was_seen() {
    let mut caps = BTreeMap::new();
    caps.insert(
        "sim".to_owned(),
        Capabilities {
            calls_in_flight_max: 10,
            ..Capabilities::default()
        },
    );
    let id = InfrastructureId::new("x");
    let mut e = Engine::new(
        id.clone(),
        Settings {
            capabilities: caps.clone(),
            calls_in_flight_max: None,
            seed: 1,
        },
    );
    e.handle(Timestamp(1), Input::Intent(topology(vec![node("w", 2, 2)])));
    let (calls, _) = drain(&mut e);
    let Operation::Create { tag, .. } = &calls[0].operation else {
        panic!()
    };
    let Operation::Create { tag: tag2, .. } = &calls[1].operation else {
        panic!()
    };
    let view = |tag: &InstanceTag, r: &str| ResourceView {
        resource: ResourceId::new(r),
        instance: tag.clone(),
        state: ResourceState::Pending,
        addresses: Addresses::default(),
        detail: None,
        ..view_default()
    };
    e.handle(
        Timestamp(2),
        Input::Completion {
            call: calls[1].id,
            result: Ok(Response::Created(view(tag2, "r2"))),
        },
    );
    drain(&mut e);
    // go until an ObserveAll
    let mut all = None;
    for _ in 0..200 {
        let at = e.next_deadline().unwrap();
        if at > Timestamp(170_000) {
            break;
        }
        e.handle(at, Input::Tick);
        for c in drain(&mut e).0 {
            match &c.operation {
                Operation::Observe { scope: Scope::All } => all = Some(c.id),
                Operation::Observe { .. } => {
                    e.handle(
                        at,
                        Input::Completion {
                            call: c.id,
                            result: Ok(Response::Observed(vec![view(tag2, "r2")])),
                        },
                    );
                    for c in drain(&mut e).0 {
                        if matches!(c.operation, Operation::Observe { scope: Scope::All }) {
                            all = Some(c.id)
                        }
                    }
                }
                _ => {}
            }
        }
        if all.is_some() {
            break;
        }
    }
    let now = e.now();
    e.handle(
        now,
        Input::Completion {
            call: all.expect("observe all"),
            result: Ok(Response::Observed(vec![view(tag, "r1"), view(tag2, "r2")])),
        },
    );
    drain(&mut e);
    e.handle(
        now,
        Input::Completion {
            call: calls[0].id,
            result: Err(ProviderError::new(
                ErrorClass::Retryable,
                "502 from a gateway",
            )),
        },
    );
    drain(&mut e);
    let i = e.state().instances.values().next().unwrap();
    assert_ne!(i.phase, Phase::Planned);
}
fn view_default() -> ResourceView {
    ResourceView {
        resource: ResourceId::new(""),
        instance: InstanceTag::derive(&InfrastructureId::new("x"), InstanceKey(0)),
        state: ResourceState::Pending,
        addresses: Addresses::default(),
        detail: None,
        revision: 0,
        token: None,
    }
}

#[test]
fn instances_that_get_well_again_are_kept() {
    // engine-level: 8 ready, probes fail for 11 minutes, then are healthy for good.
    let mut caps = BTreeMap::new();
    caps.insert(
        "sim".to_owned(),
        Capabilities {
            calls_in_flight_max: 10,
            ..Capabilities::default()
        },
    );
    let mut e = Engine::new(
        InfrastructureId::new("x"),
        Settings {
            capabilities: caps,
            calls_in_flight_max: None,
            seed: 1,
        },
    );
    let mut cloud: BTreeMap<ResourceId, InstanceTag> = BTreeMap::new();
    let mut now = Timestamp(1);
    let mut deletions = 0;
    e.handle(now, Input::Intent(topology(vec![node("w", 8, 8)])));
    let end = Timestamp(3 * 3_600_000);
    let mut queue = drain(&mut e).0;
    while now < end {
        let mut answers = vec![];
        for c in queue.drain(..) {
            let v = |r: &ResourceId, t: &InstanceTag| ResourceView {
                resource: r.clone(),
                instance: t.clone(),
                state: ResourceState::Running,
                addresses: Addresses::default(),
                detail: None,
                revision: 0,
                token: None,
            };
            let r = match &c.operation {
                Operation::Create { tag, .. } => {
                    let r = ResourceId::new(format!("r-{tag}"));
                    cloud.insert(r.clone(), tag.clone());
                    Response::Created(v(&r, tag))
                }
                Operation::Observe { scope: Scope::All } => {
                    Response::Observed(cloud.iter().map(|(r, t)| v(r, t)).collect())
                }
                Operation::Observe {
                    scope: Scope::Instances(l),
                } => Response::Observed(
                    l.iter()
                        .filter_map(|(_, r)| cloud.get(r).map(|t| v(r, t)))
                        .collect(),
                ),
                Operation::Delete { resource, .. } => {
                    deletions += 1;
                    cloud.remove(resource);
                    Response::Deleted { gone: true }
                }
                Operation::Recontextualise { .. } => Response::Recontextualised,
                Operation::Probe { .. } => {
                    let out = now > Timestamp(600_000) && now < Timestamp(1_300_000);
                    Response::Probed(if out {
                        ProbeResult::Unhealthy("no route".into())
                    } else {
                        ProbeResult::Healthy
                    })
                }
            };
            answers.push((c.id, r));
        }
        for (call, r) in answers {
            e.handle(
                now,
                Input::Completion {
                    call,
                    result: Ok(r),
                },
            );
            queue.extend(drain(&mut e).0);
        }
        if queue.is_empty() {
            let Some(at) = e.next_deadline() else { break };
            now = now.max(at);
            e.handle(now, Input::Tick);
            queue.extend(drain(&mut e).0);
        }
    }
    assert!(
        deletions <= 3,
        "{deletions} healthy machines were replaced; the trouble was over after 12 minutes"
    );
}

#[test]
fn each_dependency_has_its_own_policy() {
    let mut top = reading(node("top", 1, 1), 0, Some(AddressChange::Restart));
    top = reading(top, 1, Some(AddressChange::Recreate));
    let mut world = up(vec![node("a", 1, 1), node("b", 1, 1), top]);
    kill(&mut world, "a/1");
    pass(&mut world, 300);
    converge(&mut world);
    let names: Vec<_> = world
        .engine
        .state()
        .instances
        .values()
        .map(|i| world.engine.state().instance_name(i))
        .collect();
    assert!(
        names.contains(&"top/1".to_owned()),
        "an address of `a` changed: restart"
    );
}

#[test]
fn an_edited_descriptor_is_judged_at_once() {
    let n = |c| reading(node("top", 1, 1), 0, c);
    let mut world = up(vec![node("base", 2, 2), n(Some(AddressChange::Restart))]);
    world.intervene(&Intervention::SetQuota(Quota {
        instances: Some(2),
        cores: None,
    }));
    kill(&mut world, "base/1");
    pass(&mut world, 200);
    world.tell(Input::Intent(topology(vec![
        node("base", 1, 1),
        n(Some(AddressChange::Restart)),
    ])));
    pass(&mut world, 300);
    let touched = |world: &World, from: usize| {
        let mut records = world.journal[from..].iter();
        records.any(|entry| entry.record.kind() == "recontextualise-intended")
    };
    assert!(
        touched(&world, 0),
        "`top` held the address of a lost instance"
    );
    let before = world.journal.len();
    world.crash();
    pass(&mut world, 10);
    assert!(
        !touched(&world, before),
        "a mere restart finds nothing to do"
    );
}

#[test]
fn a_deletion_that_did_not_happen_is_asked_for_again() {
    let mut caps = BTreeMap::new();
    caps.insert(
        "sim".to_owned(),
        Capabilities {
            calls_in_flight_max: 10,
            ..Capabilities::default()
        },
    );
    let mut e = Engine::new(
        InfrastructureId::new("x"),
        Settings {
            capabilities: caps,
            calls_in_flight_max: None,
            seed: 1,
        },
    );
    let mut cloud: BTreeMap<ResourceId, InstanceTag> = BTreeMap::new();
    let mut now = Timestamp(1);
    let mut deletions = 0;
    let mut down = false;
    e.handle(now, Input::Intent(topology(vec![node("w", 1, 1)])));
    let end = Timestamp(4 * 3_600_000);
    let mut queue = drain(&mut e).0;
    while now < end {
        if now > Timestamp(600_000) && !down {
            down = true;
            e.handle(now, Input::Teardown);
            queue.extend(drain(&mut e).0);
        }
        let mut answers = vec![];
        for c in queue.drain(..) {
            let v = |r: &ResourceId, t: &InstanceTag| ResourceView {
                resource: r.clone(),
                instance: t.clone(),
                state: if deletions > 0 {
                    ResourceState::Failed
                } else {
                    ResourceState::Running
                },
                addresses: Addresses::default(),
                detail: None,
                revision: 0,
                token: None,
            };
            let r = match &c.operation {
                Operation::Create { tag, .. } => {
                    let r = ResourceId::new(format!("r-{tag}"));
                    cloud.insert(r.clone(), tag.clone());
                    Response::Created(v(&r, tag))
                }
                Operation::Observe { scope: Scope::All } => {
                    Response::Observed(cloud.iter().map(|(r, t)| v(r, t)).collect())
                }
                Operation::Observe {
                    scope: Scope::Instances(l),
                } => Response::Observed(
                    l.iter()
                        .filter_map(|(_, r)| cloud.get(r).map(|t| v(r, t)))
                        .collect(),
                ),
                // the first deletion is accepted and fails inside the cloud (error-deleting)
                Operation::Delete { resource, .. } => {
                    deletions += 1;
                    if deletions > 1 {
                        cloud.remove(resource);
                    }
                    Response::Deleted {
                        gone: deletions > 1,
                    }
                }
                Operation::Recontextualise { .. } => Response::Recontextualised,
                Operation::Probe { .. } => Response::Probed(ProbeResult::Healthy),
            };
            answers.push((c.id, r));
        }
        for (call, r) in answers {
            e.handle(
                now,
                Input::Completion {
                    call,
                    result: Ok(r),
                },
            );
            queue.extend(drain(&mut e).0);
        }
        if queue.is_empty() {
            let Some(at) = e.next_deadline() else { break };
            now = now.max(at);
            e.handle(now, Input::Tick);
            queue.extend(drain(&mut e).0);
        }
    }
    assert!(cloud.is_empty());
}
#[test]
fn what_nobody_can_see_any_more_is_reported() {
    let mut e = Engine::new(
        InfrastructureId::new("x"),
        Settings {
            capabilities: BTreeMap::new(),
            calls_in_flight_max: None,
            seed: 1,
        },
    );
    e.handle(Timestamp(1), Input::Intent(topology(vec![node("w", 1, 1)])));
    let (calls, _) = drain(&mut e);
    // the creating call is never answered, the user gives up, the credentials expire
    let _ = calls;
    let mut now = Timestamp(2);
    e.handle(now, Input::Teardown);
    let mut queue = drain(&mut e).0;
    while now < Timestamp(24 * 3_600_000) {
        for c in std::mem::take(&mut queue) {
            e.handle(
                now,
                Input::Completion {
                    call: c.id,
                    result: Err(ProviderError::new(ErrorClass::Auth, "token expired")),
                },
            );
            queue.extend(drain(&mut e).0);
        }
        if queue.is_empty() {
            let Some(at) = e.next_deadline() else { break };
            now = now.max(at);
            e.handle(now, Input::Tick);
            queue.extend(drain(&mut e).0);
        }
    }
    assert!(matches!(e.verdict(), Verdict::Blocked(_)));
}
#[test]
fn a_teardown_after_a_crash_waits_for_late_effects() {
    let settle = Millis::from_secs(20);
    let mut caps = BTreeMap::new();
    caps.insert(
        "sim".to_owned(),
        Capabilities {
            calls_in_flight_max: 10,
            settle,
            ..Capabilities::default()
        },
    );
    let settings = Settings {
        capabilities: caps,
        calls_in_flight_max: None,
        seed: 1,
    };
    let id = InfrastructureId::new("x");
    let mut e = Engine::new(id.clone(), settings.clone());
    e.handle(Timestamp(1), Input::Intent(topology(vec![node("w", 1, 1)])));
    let (mut calls, mut journal) = drain(&mut e);
    // every attempt times out without effect, up to one sent at about one minute
    let mut last_call = Timestamp(1);
    while e.now() < Timestamp(60_000) {
        if let Some(c) = calls.pop() {
            last_call = e.now();
            e.handle(
                e.now() + Millis(10),
                Input::Completion {
                    call: c.id,
                    result: Err(ProviderError::new(ErrorClass::Unknown, "time-out")),
                },
            );
        } else {
            let at = e.next_deadline().unwrap();
            e.handle(at, Input::Tick);
        }
        let (c, j) = drain(&mut e);
        calls.extend(c);
        journal.extend(j);
        if e.now() > Timestamp(55_000) && !calls.is_empty() {
            last_call = e.now();
            break;
        }
    }
    // now a create call was just handed to the provider; the engine is killed; the effect comes within `settle`
    let effect_at = last_call + Millis::from_secs(15);
    let mut state = State::new(id);
    for j in &journal {
        state.apply(j);
    }
    let mut e = Engine::recover(state, settings);
    let mut now = last_call + Millis(500);
    e.handle(now, Input::Teardown);
    let mut queue = drain(&mut e).0;
    while !e.state().torn_down && now < Timestamp(3_600_000) {
        for c in std::mem::take(&mut queue) {
            assert!(matches!(c.operation, Operation::Observe { .. }), "{c:?}");
            if now >= effect_at {
                return;
            }
            e.handle(
                now,
                Input::Completion {
                    call: c.id,
                    result: Ok(Response::Observed(vec![])),
                },
            );
            queue.extend(drain(&mut e).0);
        }
        if let Some(at) = e.next_deadline() {
            now = now.max(at);
            e.handle(now, Input::Tick);
            queue.extend(drain(&mut e).0);
        } else {
            break;
        }
    }
    assert!(
        now >= effect_at,
        "torn down before the last create call could take effect"
    );
}
#[test]
fn a_pause_of_a_year_is_not_kept() {
    let mut e = Engine::new(
        InfrastructureId::new("x"),
        Settings {
            capabilities: BTreeMap::new(),
            calls_in_flight_max: None,
            seed: 1,
        },
    );
    e.handle(Timestamp(1), Input::Intent(topology(vec![node("w", 1, 1)])));
    let (calls, _) = drain(&mut e);
    let mut error = ProviderError::new(ErrorClass::Throttled, "slow down");
    error.retry_after = Some(Millis::from_secs(365 * 86_400));
    e.handle(
        Timestamp(2),
        Input::Completion {
            call: calls[0].id,
            result: Err(error),
        },
    );
    drain(&mut e);
    let mut now = Timestamp(2);
    let mut created = false;
    while now < Timestamp(7 * 86_400_000) {
        now = now + Millis::from_secs(3600);
        e.handle(now, Input::Resume);
        created |= drain(&mut e)
            .0
            .iter()
            .any(|c| matches!(c.operation, Operation::Create { .. }));
    }
    assert!(created, "verdict {:?}", e.verdict());
}
#[test]
fn a_hung_instance_is_replaced_by_one_machine_also_across_a_crash() {
    let mut world = up(vec![node("worker", 1, 1)]);
    let resource = world
        .cloud
        .ledger()
        .alive()
        .next()
        .unwrap()
        .resource
        .clone();
    world.intervene(&Intervention::Hang(resource));
    while !world.journal.iter().any(|e| e.record.kind() == "doomed") {
        assert!(world.step());
    }
    world.crash();
    pass(&mut world, 600);
    converge(&mut world);
    assert_eq!(world.cloud.ledger().entries().count(), 2);
}
