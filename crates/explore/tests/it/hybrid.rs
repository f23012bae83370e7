//! One infrastructure at several providers.

use std::collections::BTreeMap;

use zenekar_base::{
    Addresses, Capabilities, ErrorClass, InstanceTag, Millis, ProbeResult, ResourceId,
    ResourceState, ResourceView, Timestamp,
};
use zenekar_engine::{Call, Input, Notice, Operation, Response, Scope, Verdict};

use crate::build::{multi, node, placed, reading};
use crate::script::{Script, error, view};

/// Clouds that do at once what they are told, each for itself.
#[derive(Default)]
struct Clouds {
    /// By provider and resource: whose it is, and where it can be reached.
    machines: BTreeMap<(String, ResourceId), (InstanceTag, Addresses)>,
    /// The addresses that machines of a provider get.
    addresses: BTreeMap<&'static str, Vec<&'static str>>,
    /// All calls: when, to whom, what.
    calls: Vec<(Timestamp, String, &'static str)>,
}

impl Clouds {
    fn shown(&self, provider: &str) -> Vec<ResourceView> {
        let here = self.machines.iter().filter(|((at, _), _)| at == provider);
        here.map(|((_, resource), (tag, addresses))| ResourceView {
            addresses: addresses.clone(),
            ..view(tag, resource.as_str(), ResourceState::Running)
        })
        .collect()
    }

    fn answer(&mut self, now: Timestamp, call: &Call) -> Response {
        let provider = call.provider.clone();
        self.calls
            .push((now, provider.clone(), call.operation.kind()));
        match &call.operation {
            Operation::Create { tag, .. } => {
                let resource = ResourceId::new(format!("{provider}-{tag}"));
                let all = self.addresses.get(provider.as_str());
                let all = all.map_or_else(|| vec!["10.0.0.1"], Clone::clone);
                let addresses = Addresses {
                    all: all.into_iter().map(str::to_owned).collect(),
                    private: None,
                };
                let machine = (tag.clone(), addresses.clone());
                self.machines.insert((provider, resource.clone()), machine);
                Response::Created(ResourceView {
                    addresses,
                    ..view(tag, resource.as_str(), ResourceState::Running)
                })
            }
            Operation::Observe { scope: Scope::All } => Response::Observed(self.shown(&provider)),
            Operation::Observe {
                scope: Scope::Instances(wanted),
            } => {
                let mut shown = self.shown(&provider);
                shown.retain(|view| wanted.iter().any(|(_, one)| *one == view.resource));
                Response::Observed(shown)
            }
            Operation::Delete { resource, .. } => {
                let machine = (provider, resource.clone());
                self.machines.remove(&machine);
                Response::Deleted { gone: true }
            }
            Operation::Recontextualise { .. } => Response::Recontextualised,
            Operation::Probe { .. } => Response::Probed(ProbeResult::Healthy),
            Operation::Release => Response::Released,
        }
    }

    fn count(&self, provider: &str) -> usize {
        let here = self.machines.keys().filter(|(at, _)| at == provider);
        here.count()
    }
}

/// Lets time pass until `end`, answering every call at once.
fn play(script: &mut Script, clouds: &mut Clouds, end: Timestamp) {
    while script.now < end {
        for call in std::mem::take(&mut script.calls) {
            let response = clouds.answer(script.now, &call);
            script.answer(&call, Ok(response));
        }
        if script.calls.is_empty() {
            let Some(at) = script.engine.next_deadline() else {
                return;
            };
            script.now = script.now.max(at).min(end);
            script.tell(Input::Tick);
        }
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        settle: Millis::from_secs(5),
        ..Capabilities::default()
    }
}

/// What the only instance of node `web` was told of the only one of `db`.
fn told_of_database(script: &Script) -> Addresses {
    let state = script.engine.state();
    let web = state.find_instance("web/1").expect("it was created");
    let set = state.instances[&web].given.expect("it reads addresses");
    state.given[&set].0[0].instances[0].addresses.clone()
}

fn database_and_web(database_at: &str, web_at: &str, addresses: &[&'static str]) -> Script {
    let mut clouds = Clouds::default();
    for provider in ["a", "b"] {
        clouds.addresses.insert(provider, addresses.to_vec());
    }
    let mut script = Script::new(capabilities());
    script.tell(Input::Intent(placed(vec![
        (node("db", 1, 1), database_at),
        (reading(node("web", 1, 1), 0, None), web_at),
    ])));
    play(&mut script, &mut clouds, Timestamp(300_000));
    assert_eq!(script.engine.verdict(), Verdict::Converged);
    script
}

#[test]
fn public_addresses_come_first_across_providers_only() {
    let addresses = ["10.0.0.5", "db-1", "203.0.113.7", "fe80::1"];
    let within = told_of_database(&database_and_web("a", "a", &addresses));
    assert_eq!(within.all, addresses);
    let across = told_of_database(&database_and_web("a", "b", &addresses));
    assert_eq!(across.all, ["203.0.113.7", "10.0.0.5", "db-1", "fe80::1"]);
    assert_eq!(across.private(), Some("203.0.113.7"));
}

#[test]
fn what_cannot_be_reached_is_told_and_goes_on() {
    let script = database_and_web("a", "b", &["10.0.0.5"]);
    let text = "`db/1` at `a` has no address that `web` at `b` can reach";
    let told: Vec<String> = script
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Unreachable(unreachable) => Some(unreachable.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [text]);
    assert_eq!(script.engine.unreachable()[0].to_string(), text);
    let plan = script.engine.plan();
    assert!(plan.steps.is_empty() && plan.notices.len() == 1);
    for script in [
        database_and_web("a", "a", &["10.0.0.5"]),
        database_and_web("a", "b", &["203.0.113.7"]),
    ] {
        assert!(script.notices.is_empty(), "{:?}", script.notices);
        assert!(script.engine.unreachable().is_empty());
    }
}

#[test]
fn each_provider_is_looked_at_once_in_each_pass() {
    let mut clouds = Clouds::default();
    let mut script = Script::new(capabilities());
    script.tell(Input::Intent(placed(vec![
        (node("x", 20, 20), "a"),
        (node("y", 30, 30), "b"),
    ])));
    play(&mut script, &mut clouds, Timestamp(120_000));
    assert_eq!((clouds.count("a"), clouds.count("b")), (20, 30));
    let creations = |provider: &str| {
        let calls = clouds.calls.iter();
        calls
            .filter(|(_, at, kind)| at == provider && *kind == "create")
            .count()
    };
    assert_eq!((creations("a"), creations("b")), (20, 30));
    clouds.calls.clear();
    // Ten steady passes.
    play(&mut script, &mut clouds, Timestamp(420_000));
    for provider in ["a", "b"] {
        let looks = clouds
            .calls
            .iter()
            .filter(|(_, at, kind)| at == provider && *kind == "observe");
        let count = looks.count();
        assert!((9..=11).contains(&count), "{count} looks at {provider}");
    }
}

#[test]
fn a_listing_of_one_provider_says_nothing_about_another() {
    let mut clouds = Clouds::default();
    let mut script = Script::new(capabilities());
    script.tell(Input::Intent(placed(vec![
        (node("x", 2, 2), "a"),
        (node("y", 2, 2), "b"),
    ])));
    play(&mut script, &mut clouds, Timestamp(120_000));
    let of_b: Vec<_> = clouds.shown("b");
    clouds.machines.retain(|(at, _), _| at == "b");
    play(&mut script, &mut clouds, Timestamp(600_000));
    assert_eq!(clouds.shown("b"), of_b, "those at `b` are left alone");
    assert_eq!(clouds.count("a"), 2, "those at `a` are replaced");
    script.crash();
    script.tell(Input::Tick);
    play(&mut script, &mut clouds, Timestamp(900_000));
    assert_eq!(clouds.shown("b"), of_b);
    script.tell(Input::Teardown);
    play(&mut script, &mut clouds, Timestamp(1_200_000));
    assert!(script.engine.state().torn_down && clouds.machines.is_empty());
}

#[test]
fn a_stray_at_the_provider_that_was_tried_first_goes_there() {
    let mut clouds = Clouds::default();
    let mut script = Script::new(capabilities());
    let mut either = node("w", 1, 1);
    either.candidates = vec![0, 1];
    either.fingerprints = vec![either.fingerprints[0]; 2];
    script.tell(Input::Intent(multi(vec![either], &["a", "b"])));
    let first = script.calls.pop().expect("it is created");
    let Operation::Create { tag, .. } = first.operation.clone() else {
        panic!("{first:?}");
    };
    script.answer(&first, error(ErrorClass::Capacity, "none left"));
    // The first provider lied: the machine is there.
    let stray = ("a".to_owned(), ResourceId::new("stray"));
    let machine = (tag, Addresses::default());
    clouds.machines.insert(stray, machine);
    play(&mut script, &mut clouds, Timestamp(600_000));
    assert_eq!((clouds.count("a"), clouds.count("b")), (0, 1));
    assert_eq!(script.engine.verdict(), Verdict::Converged);
}
