//! Mistakes that reviews and simulations have found once, and that stay away.

use zenekar_base::Fingerprint;
use zenekar_engine::{Input, ScalingChange};
use zenekar_explore::World;
use zenekar_model::{AddressChange, NodeFingerprint};
use zenekar_simcloud::{Intervention, Quota, Settings as Cloud};

use crate::behaviour::{converge, kill, pass, scale, up, world};
use crate::build::{multi, node, reading, topology};

fn to(node: &str, count: u32) -> ScalingChange {
    ScalingChange::To {
        node: node.to_owned(),
        count,
    }
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
        .expect("it exists")
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
fn a_hung_instance_is_replaced_by_one_machine_also_across_a_crash() {
    let mut world = up(vec![node("worker", 1, 1)]);
    let resource = world
        .cloud
        .ledger()
        .alive()
        .next()
        .expect("it exists")
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
