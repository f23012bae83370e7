//! What clouds do to the engine, and that it gets over it.

use zenekar_base::{CallId, ErrorClass, ProviderError};
use zenekar_engine::{Input, Response};
use zenekar_model::behaviour::{Behaviours, Give};
use zenekar_search::{Budget, End, Fingerprint128, Model, Strategy, never, search};
use zenekar_verify::{Action, Breach, Demand, Fault, Moment, Setting, Step, World};

use crate::setting::{behaviours, breach, explore, segment, topology};

#[test]
fn the_engine_gets_over_every_single_fault_at_every_moment() {
    for fault in Fault::ALL {
        let topology = topology("ec2", &[("server", 1, &[])]);
        let mut setting = Setting::new(topology, Behaviours::default());
        setting.allowance.delays = 0;
        setting.faults = [fault].into_iter().collect();
        let outcome = explore(setting.clone(), 2);
        let name = fault.name();
        assert_eq!(
            (outcome.end, breach(&outcome)),
            (End::Exhausted, None),
            "{name}"
        );
        setting.allowance.faults = 0;
        let calm = explore(setting, 2);
        // An instance without segments has nothing that could die, and no
        // contacts; and a creation is only repeated after another fault.
        let needs_more = [Fault::AgentDies, Fault::LateDns, Fault::RepeatedCreation];
        if !needs_more.contains(&fault) {
            assert!(outcome.unique > calm.unique, "{name} never happened");
        }
    }
}

#[test]
fn contextualisation_that_dies_is_healed() {
    let gives = zenekar_model::behaviour::Segment {
        gives: vec![Give::Port(80)],
        ..segment("serve")
    };
    let nodes = behaviours(vec![("server", vec![gives], vec![Give::Port(80)])]);
    let mut setting = Setting::new(topology("ec2", &[("server", 1, &[])]), nodes);
    setting.allowance.delays = 0;
    setting.faults = [Fault::AgentDies].into_iter().collect();
    let outcome = explore(setting, 2);
    assert_eq!((outcome.end, breach(&outcome)), (End::Exhausted, None));
    assert!(outcome.ends > 1);
}

#[test]
fn what_never_fits_into_the_quota_never_converges() {
    let topology = topology("ec2", &[("server", 2, &[])]);
    let mut setting = Setting::new(topology, Behaviours::default());
    setting.allowance.faults = 0;
    setting.allowance.delays = 0;
    setting.quota = Some(2);
    assert_eq!(breach(&explore(setting.clone(), 2)), None);
    setting.quota = Some(1);
    assert_eq!(breach(&explore(setting, 2)), Some(Breach::NotConverged));
}

#[test]
fn scaling_out_and_in_leaves_nothing_over() {
    let topology = topology("local", &[("server", 1, &[])]);
    let mut setting = Setting::new(topology, Behaviours::default());
    setting.allowance.delays = 1;
    setting.allowance.faults = 0;
    let scale = |count, waits| Step {
        demand: Demand::Scale {
            node: "server".to_owned(),
            count,
        },
        waits,
    };
    // The second demand comes while the first one is still carried out.
    setting.script.insert(1, scale(2, true));
    setting.script.insert(2, scale(1, false));
    let outcome = explore(setting, 2);
    assert_eq!((outcome.end, breach(&outcome)), (End::Exhausted, None));
}

/// A world in whose every state answers arrive once more, or too late.
struct Again(World);

impl Model for Again {
    type State = Moment;
    type Action = Action;

    fn initial(&self) -> Vec<Moment> {
        self.0.initial()
    }

    fn actions(&self, moment: &Moment, actions: &mut Vec<Action>) {
        self.0.actions(moment, actions);
    }

    fn apply(&self, moment: &Moment, action: &Action) -> Option<Moment> {
        self.0.apply(moment, action)
    }

    fn fingerprint(&self, moment: &Moment) -> Fingerprint128 {
        self.0.fingerprint(moment)
    }

    /// Whatever an answer says that nobody waits for: it changes nothing.
    fn violation(&self, moment: &Moment) -> Option<u32> {
        let before = self.0.engine(moment);
        let lost = ProviderError::new(ErrorClass::Unknown, "too late");
        let answers = [
            Ok(Response::Observed(Vec::new())),
            Ok(Response::Deleted { gone: true }),
            Ok(Response::Released),
            Err(lost),
        ];
        let changes = answers.into_iter().any(|result| {
            let mut engine = before.clone();
            let call = CallId(u64::MAX);
            engine.handle(engine.now(), Input::Completion { call, result });
            engine.poll().is_some() || engine != *before
        });
        changes.then_some(0)
    }
}

#[test]
fn answers_that_come_twice_or_too_late_change_nothing_at_any_moment() {
    let mut setting = Setting::new(
        topology("ec2", &[("server", 1, &[]), ("client", 1, &[0])]),
        Behaviours::default(),
    );
    setting.faults = [Fault::TimeoutLateEffect, Fault::EngineCrash]
        .into_iter()
        .collect();
    setting.allowance.delays = 0;
    let world = Again(World::new(setting));
    let outcome = search(&world, &Strategy::Breadth, &Budget::default(), &never);
    assert_eq!((outcome.end, outcome.violations), (End::Exhausted, vec![]));
    assert!(outcome.unique > 300, "{}", outcome.unique);
}
