//! A network that loses, cuts and swallows, between the command and a cloud.
//! What the cloud lists then is asked of it directly.

use std::time::{Duration, Instant};

use zenekar_fault_proxy::{Fault, Plan, Proxy, Upstream};

use super::{Ec2Cloud, UP, describe, down, run_at, unique, verify};
use crate::kill_sweep::is_full;
use crate::sandbox::{Run, Sandbox};

/// How long bringing three machines up may take, whatever the network does.
const UP_MAX: Duration = Duration::from_mins(4);

/// The calls that must not be doubled.
const CREATING: &str = "Action=RunInstances";

/// The calls that must not be forgotten.
const DELETING: &str = "Action=TerminateInstances";

/// A cloud behind a bad network.
struct Weather {
    /// The cloud itself.
    direct: Ec2Cloud,
    /// The cloud as the command sees it.
    behind: Ec2Cloud,
    proxy: Proxy,
    sandbox: Sandbox,
    name: String,
}

impl Weather {
    fn find() -> Option<Self> {
        let (direct, mut behind) = (Ec2Cloud::find()?, Ec2Cloud::find()?);
        let upstream = direct.endpoint.trim_start_matches("http://").parse();
        let upstream = Upstream::Tcp(upstream.expect("the simulator has an address"));
        let proxy = Proxy::start(upstream, Plan::calm()).expect("a port is free");
        behind.endpoint = format!("http://{}", proxy.address());
        let (sandbox, name) = (Sandbox::new(), unique("weather"));
        describe(&sandbox, &behind, &name, 2);
        Some(Self {
            direct,
            behind,
            proxy,
            sandbox,
            name,
        })
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run_at(&self.sandbox, &self.behind, arguments)
    }

    /// Brings everything up and down under two plans; the cloud itself tells
    /// whether all is there, and whether all is gone.
    #[track_caller]
    fn survives(self, what: &str, on_the_way_up: Plan, on_the_way_down: Plan) {
        self.proxy.set_plan(on_the_way_up);
        let start = Instant::now();
        // The questions before are not repeated: they would end it.
        self.run(&[&UP[..], &["--skip-checks"]].concat()).expect(0);
        assert!(start.elapsed() < UP_MAX, "{what}: {:?}", start.elapsed());
        assert!(self.proxy.counts().faults > 0, "{what}: nothing went wrong");
        verify(&self.direct, &self.name, &[("db", 1), ("web", 2)], what);
        let before = self.proxy.counts().faults;
        self.proxy.set_plan(on_the_way_down);
        self.run(&down(&self.name)).expect(0);
        assert!(
            self.proxy.counts().faults > before,
            "{what}: nothing went wrong"
        );
        verify(&self.direct, &self.name, &[], what);
    }
}

/// Says whether there is a night's time.
fn is_deep() -> bool {
    std::env::var_os("ZENEKAR_TEST_BUDGET").is_some_and(|budget| budget == "deep")
}

fn with(fault: Fault, count: u64, what: &str) {
    if let Some(weather) = Weather::find() {
        let up = Plan::times(fault, count).only(CREATING);
        let down = Plan::times(fault, count).only(DELETING);
        weather.survives(what, up, down);
    }
}

#[test]
fn answers_that_are_lost_double_nothing() {
    with(Fault::Lose, 2, "answers are lost");
}

#[test]
fn answers_that_are_cut_double_nothing() {
    with(Fault::Cut(300), 2, "answers are cut");
}

#[test]
fn connections_that_are_refused_are_tried_again() {
    with(Fault::Refuse, 2, "connections are reset");
}

#[test]
fn slow_answers_are_waited_for() {
    with(Fault::Delay(Duration::from_secs(3)), 3, "answers are slow");
}

#[test]
fn silence_after_the_effect_ends_and_doubles_nothing() {
    if is_full() {
        with(Fault::Mute, 1, "nothing is heard any more");
    } else {
        println!("skipped: it takes a minute; the full budget has it");
    }
}

#[test]
fn a_hole_that_swallows_requests_ends() {
    if is_deep() {
        with(Fault::Swallow, 1, "requests vanish");
    } else {
        println!("skipped: it takes a minute; the deep budget has it");
    }
}

#[test]
fn one_of_three_requests_of_any_kind_may_fail() {
    let faults = [Fault::Lose, Fault::Refuse, Fault::Cut(120)];
    if let Some(weather) = Weather::find() {
        let (up, down) = (Plan::by_lot(7, 3, &faults), Plan::by_lot(11, 3, &faults));
        weather.survives("one of three fails", up, down);
    }
}

#[test]
fn a_cloud_that_is_not_there_is_told_exactly() {
    let Some(weather) = Weather::find() else {
        return;
    };
    weather.proxy.set_plan(Plan::always(Fault::Refuse));
    let told = weather.run(&["up", "real.yaml", "--yes"]).expect(5);
    let place = weather.proxy.address().to_string();
    for words in ["error[ZK0801]", place.as_str(), "nothing was changed"] {
        assert!(told.stderr.contains(words), "{words}: {}", told.stderr);
    }
    verify(&weather.direct, &weather.name, &[], "nothing was created");
}
