//! Real scripts over real sockets, through every order: of three nodes with
//! `ZENEKAR_TEST_BUDGET=full`, otherwise of two.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use zenekar_live::instrument::Access;
use zenekar_live::{Event, Mode, Next, Outcome, ProcessName, RunId, Settings, Then, Traversal};
use zenekar_property::PropertySet;

use crate::client::Running;
use crate::instrument::install;
use crate::nodes::processes;

/// How long one event may take; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Scripts that run; what is left of them is killed.
struct Scripts(Vec<Child>);

impl Drop for Scripts {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(running: &Running, infrastructure: &str, names: &[ProcessName], query: &str) -> Scripts {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/instrumented.sh");
    let server = format!("http://{}", running.address);
    let children = names
        .iter()
        .map(|name| {
            let id = format!("{infrastructure}-{}-{}", name.node, name.number);
            let known = running
                .controller
                .with(infrastructure, |session, _| session.assign(&id, name));
            assert_eq!(known, Some(Ok(())));
            Command::new("sh")
                .arg(script)
                .args([
                    &*server,
                    infrastructure,
                    &id,
                    &name.node,
                    "3",
                    query,
                    "0.05",
                ])
                .stdin(Stdio::null())
                .spawn()
                .expect("the script starts")
        })
        .collect();
    Scripts(children)
}

/// Runs one schedule; returns how long the macrosteps took.
fn run(
    running: &Running,
    traversal: &mut Traversal,
    id: RunId,
    schedule: Vec<ProcessName>,
    names: &[ProcessName],
    query: &str,
) -> Vec<u64> {
    let infrastructure = format!("run-{}", id.0);
    let settings = Settings::new(names.to_vec(), Mode::Scheduled(schedule, Then::First));
    running
        .controller
        .open(&infrastructure, settings)
        .expect("the session opens");
    let scripts = start(running, &infrastructure, names, query);
    follow(running, traversal, id, &infrastructure, scripts)
}

/// Follows a run to its end; returns how long the macrosteps took.
fn follow(
    running: &Running,
    traversal: &mut Traversal,
    id: RunId,
    infrastructure: &str,
    mut scripts: Scripts,
) -> Vec<u64> {
    let mut took = Vec::new();
    loop {
        let event = running.runtime.block_on(async {
            let event = running.controller.next_event(infrastructure);
            tokio::time::timeout(PATIENCE, event).await
        });
        let event = event
            .expect("it comes in time")
            .expect("the session is open");
        traversal
            .observe(id, &event)
            .expect("runs are reproducible");
        match event {
            Event::Entered { took_ms, .. } => took.extend(took_ms),
            Event::Ended(outcome) => {
                assert_eq!(outcome, Outcome::Finished);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    for child in &mut scripts.0 {
        assert!(child.wait().expect("the script ends").success());
    }
    running.controller.close(infrastructure);
    took
}

/// Whether there is time for all that is worth trying.
fn is_full() -> bool {
    std::env::var_os("ZENEKAR_TEST_BUDGET")
        .is_some_and(|budget| budget == "full" || budget == "deep")
}

#[test]
fn every_order_of_the_nodes_is_run() {
    let running = Running::start(None);
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let (clients, leaves, states, distinct) = if is_full() {
        (2, 90, 271, 27)
    } else {
        (1, 6, 19, 9)
    };
    let names = processes(&[("cl", clients), ("srv", 1)]);
    let mut took = Vec::new();
    while let Next::Run(id, schedule) = traversal.begin() {
        let query = "?wait_ms=20000";
        took.extend(run(&running, &mut traversal, id, schedule, &names, query));
    }
    let tree = traversal.tree();
    assert_eq!(
        (tree.leaves(), tree.states().len(), tree.distinct()),
        (leaves, states, distinct)
    );
    // Each run was the only one of its order, and took every step.
    assert_eq!(traversal.begun(), leaves as u64);
    assert_eq!(took.len(), leaves * 2 * names.len());
    took.sort_unstable();
    let (median_ms, worst_ms) = (took[took.len() / 2], took[took.len() - 1]);
    println!("a macrostep takes {median_ms} ms in the middle and {worst_ms} ms at worst");
    // Other tests run at the same time; alone it is a tenth of this.
    assert!(median_ms <= 500, "{median_ms} ms");
}

#[test]
fn nodes_with_our_own_helper_are_quick() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(None);
    let names = processes(&[("cl", 2), ("srv", 1)]);
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let mut took = Vec::new();
    for _ in 0..3 {
        let Next::Run(id, schedule) = traversal.begin() else {
            panic!("there is more to run");
        };
        let infrastructure = format!("run-{}", id.0);
        let settings = Settings::new(names.clone(), Mode::Scheduled(schedule, Then::First));
        running
            .controller
            .open(&infrastructure, settings)
            .expect("the session opens");
        let children = names.iter().map(|name| {
            let own = folder.path().join(format!("{infrastructure}-{name}"));
            std::fs::create_dir(&own).expect("a folder");
            let access = Access {
                server: format!("http://{}", running.address),
                infrastructure: infrastructure.clone(),
                infrastructure_name: "test".to_owned(),
                node: name.to_string(),
                node_name: name.node.clone(),
                token: None,
            };
            install(&own, &access);
            let helper = own.join("breakpoint");
            let text =
                "for tag in first bp_1 'last last_bp'; do sh \"$0\" \"$tag\" role=test; done";
            Command::new("sh")
                .args(["-c", text])
                .arg(helper)
                .env("ZENEKAR_DEBUGGER", own.join("debugger"))
                .stdin(Stdio::null())
                .spawn()
                .expect("the script starts")
        });
        let scripts = Scripts(children.collect());
        took.extend(follow(
            &running,
            &mut traversal,
            id,
            &infrastructure,
            scripts,
        ));
    }
    assert_eq!(traversal.tree().leaves(), 3);
    took.sort_unstable();
    let median_ms = took[took.len() / 2];
    println!("with our own helper a macrostep takes {median_ms} ms in the middle");
    assert!(median_ms <= 500, "{median_ms} ms");
}

#[test]
fn scripts_that_only_poll_come_to_the_same_states() {
    let running = Running::start(None);
    let mut traversal = Traversal::new(PropertySet::default(), None);
    for _ in 0..3 {
        let Next::Run(id, schedule) = traversal.begin() else {
            panic!("there is more to run");
        };
        let names = processes(&[("cl", 2), ("srv", 1)]);
        run(&running, &mut traversal, id, schedule, &names, "");
    }
    assert_eq!(traversal.tree().leaves(), 3);
}
