//! What one look does not show may be gone: nobody builds on it, and nobody
//! says that all is well, until another look tells.

use zenekar_base::{Capabilities, InstanceTag, Millis, ResourceState, Timestamp};
use zenekar_engine::{Input, Operation, Response, ScalingChange, Verdict, Waiting};

use crate::behaviour::scale;
use crate::build::{node, reading, topology};
use crate::script::{Obedient, Script, view};

/// How long it may take to find out about an absence and to heal it, at a
/// cloud that answers at once: the second look comes after two seconds.
const HEALED_WITHIN: Millis = Millis::from_secs(5);

/// Lets time pass until the engine says that it is done, for a minute at most.
fn converge(script: &mut Script, cloud: &mut Obedient) -> Millis {
    let begin = script.now;
    while !script.engine.is_converged() {
        assert!(script.now.since(begin) < Millis::from_secs(60), "never");
        let step = script.now + Millis(100);
        script.play(step, |_, operation| Ok(cloud.answer(operation)));
    }
    script.now.since(begin)
}

fn lose_first(cloud: &mut Obedient) -> InstanceTag {
    let (_, tag) = cloud.machines.pop_first().expect("there is a machine");
    tag
}

#[test]
fn a_second_up_does_not_end_over_a_machine_that_is_gone() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    let wanted = topology(vec![node("w", 3, 3)]);
    script.tell(Input::Intent(wanted.clone()));
    script.play(Timestamp(600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    lose_first(&mut cloud);
    script.crash();
    script.tell(Input::Intent(wanted));
    let taken = converge(&mut script, &mut cloud);
    assert_eq!(cloud.machines.len(), 3, "after {taken}");
    assert!(taken <= HEALED_WITHIN, "after {taken}");
}

#[test]
fn a_scaling_does_not_end_over_a_machine_that_is_gone() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    script.tell(Input::Intent(topology(vec![node("w", 2, 5)])));
    script.play(Timestamp(600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    lose_first(&mut cloud);
    script.crash();
    let change = ScalingChange::To {
        node: "w".to_owned(),
        count: 3,
    };
    script.tell(scale("more", change));
    converge(&mut script, &mut cloud);
    assert_eq!(cloud.machines.len(), 3);
}

#[test]
fn what_is_shown_again_is_kept() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    let wanted = topology(vec![node("w", 2, 2)]);
    script.tell(Input::Intent(wanted.clone()));
    script.play(Timestamp(600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    script.crash();
    script.tell(Input::Intent(wanted));
    let mut looks = 0;
    let soon = script.now + Millis(1_000);
    script.play(soon, |_, operation| match operation {
        Operation::Observe { .. } if looks == 0 => {
            looks += 1;
            Ok(Response::Observed(Vec::new()))
        }
        operation => Ok(cloud.answer(operation)),
    });
    assert_eq!(looks, 1);
    assert_eq!(script.engine.verdict(), Verdict::Working);
    let status = script.engine.status();
    assert_eq!(
        status.nodes[0].serving, 0,
        "who was not shown is not counted"
    );
    assert_eq!(status.nodes[0].instances[0].waiting, Some(Waiting::Absence));
    let taken = converge(&mut script, &mut cloud);
    assert!(taken <= HEALED_WITHIN, "after {taken}");
    assert_eq!((cloud.machines.len(), cloud.deletions), (2, 0));
}

#[test]
fn nobody_is_told_the_address_of_a_machine_that_may_be_gone() {
    let mut script = Script::new(Capabilities::default());
    let mut cloud = Obedient::default();
    let nodes = |tops| vec![node("base", 1, 1), reading(node("top", tops, 2), 0, None)];
    script.tell(Input::Intent(topology(nodes(1))));
    script.play(Timestamp(600_000), |_, operation| {
        Ok(cloud.answer(operation))
    });
    let base = script.engine.state().find_instance("base/1");
    let base = script.engine.state().instances[&base.expect("it is ready")].clone();
    let resource = base.resource.expect("the provider has it");
    cloud.machines.remove(&resource).expect("it is there");
    script.crash();
    script.tell(Input::Intent(topology(nodes(2))));
    let (mut made, end) = (Vec::new(), script.now + Millis::from_secs(30));
    script.play(end, |_, operation| {
        if let Operation::Create { tag, .. } = operation {
            made.push(tag.clone());
        }
        Ok(cloud.answer(operation))
    });
    assert!(script.engine.is_converged());
    let state = script.engine.state();
    let successor = state.find_instance("base/2").expect("it was replaced");
    let successor = state.instances[&successor].tag.clone();
    assert_eq!(made[0], successor, "the base comes first");
    let told = state
        .instances
        .values()
        .filter_map(|instance| instance.given);
    for set in told {
        let (nodes, _) = &state.given[&set];
        assert_eq!(nodes[0].instances[0].instance, successor);
    }
}

#[test]
fn a_machine_lost_soon_after_its_creation_is_not_called_ready() {
    let settle = Millis::from_secs(20);
    let mut script = Script::new(Capabilities {
        settle,
        ..Capabilities::default()
    });
    let mut cloud = Obedient::default();
    let wanted = topology(vec![node("w", 1, 1)]);
    script.tell(Input::Intent(wanted.clone()));
    converge(&mut script, &mut cloud);
    let lost = lose_first(&mut cloud);
    script.crash();
    script.now += Millis(500);
    script.tell(Input::Intent(wanted));
    let taken = converge(&mut script, &mut cloud);
    let left = cloud.machines.values().next().expect("there is one again");
    assert_ne!(*left, lost);
    assert!(taken <= settle + HEALED_WITHIN, "after {taken}");
}

#[test]
fn who_never_served_holds_nobody_back() {
    let mut script = Script::new(Capabilities {
        settle: Millis::from_secs(60),
        ..Capabilities::default()
    });
    let mut cloud = Obedient::default();
    let nodes = vec![node("base", 1, 9), reading(node("top", 1, 9), 0, None)];
    script.tell(Input::Intent(topology(nodes)));
    converge(&mut script, &mut cloud);
    let before = cloud.machines.clone();
    for (request, node) in [("bases", "base"), ("tops", "top")] {
        let change = ScalingChange::To {
            node: node.to_owned(),
            count: 3,
        };
        script.tell(scale(request, change));
    }
    let (mut tops, end) = (0, script.now + Millis::from_secs(10));
    // The new bases are starting, and no list shows them yet.
    script.play(end, |_, operation| match operation {
        Operation::Create { tag, node, .. } if node.index() == 0 => {
            let resource = format!("machine-{tag}");
            let starting = view(tag, &resource, ResourceState::Pending);
            Ok(Response::Created(starting))
        }
        operation => {
            tops += u32::from(matches!(operation, Operation::Create { .. }));
            Ok(cloud.answer(operation))
        }
    });
    assert_eq!(tops, 2, "two more were wanted, and one base serves");
    assert!(
        before
            .keys()
            .all(|machine| cloud.machines.contains_key(machine))
    );
    assert!(!script.engine.is_converged(), "the bases are not there");
}
