//! Breaks instances on this very machine in all ways, while `watch` looks after them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::local::{Machine, SERVER};
use crate::looking_in::interrupt;
use crate::traces::{Instance, Traces};

/// How long it may take until an instance is replaced, and its dependant knows:
/// a look every 30 s, three checks of a service, and a busy machine.
const HEAL_PATIENCE: Duration = Duration::from_secs(90);

/// When it breaks: `watch` looks closely at first, and later only now and then.
const QUIET: Duration = Duration::from_secs(5);

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How an instance breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breakage {
    InitKilled,
    ShimKilled,
    ServiceKilled,
    ServiceStopped,
    InitStopped,
    DirectoryDeleted,
}

/// A node `store` that serves, and an `app` that writes the store's address down.
fn descriptor(machine: &Machine) -> String {
    let text = format!(
        "infra_name: healed
user_id: somebody
nodes:
  - &store {{name: store, type: store}}
  - &app {{name: app, type: app}}
dependencies:
  - connection: [*app, *store]
'node_def:store':
  - resource: {{type: local}}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        write_files:
          - path: /tmp/server.pl
            content: '{server}'
        runcmd:
          - perl /tmp/server.pl store > /tmp/server.log 2>&1 &
    health_check: {{ports: [8080], timeout: 10}}
'node_def:app':
  - resource: {{type: local}}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        write_files:
          - path: /tmp/store
            content: \"{{{{getip('store')}}}}\"
",
        server = SERVER.replace('\'', "''"),
    );
    let path = machine.sandbox.write("healed.yaml", &text);
    path.display().to_string()
}

/// Ends the watching command, whatever happens.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(name: &str, pid: &str) {
    let status = Command::new("kill").args([name, "--", pid]).status();
    assert!(
        status.expect("there is a kill").success(),
        "kill {name} {pid}"
    );
}

fn instance_of(traces: &Traces, node: &str) -> Option<Instance> {
    let mut found = traces.instances();
    found.retain(|instance| instance.node() == node);
    found.pop()
}

/// Returns the process of an instance with a role.
fn process_of(traces: &Traces, role: &str, directory: &Path) -> String {
    let processes = traces.processes();
    let mut found = processes
        .iter()
        .filter(|seen| seen.is(role) && seen.directory() == Some(directory));
    let seen = found.next().expect("the instance runs");
    seen.pid.to_string()
}

fn service_of(traces: &Traces) -> String {
    let processes = traces.processes();
    let mut found = processes
        .iter()
        .filter(|seen| seen.arguments.first().is_some_and(|word| word == "perl"));
    found.next().expect("the service runs").pid.to_string()
}

fn inflict(breakage: Breakage, traces: &Traces) {
    let store = instance_of(traces, "store").expect("it is up");
    let of = |role| process_of(traces, role, &store.directory);
    match breakage {
        Breakage::InitKilled => signal("-KILL", &of("init")),
        Breakage::ShimKilled => signal("-KILL", &of("shim")),
        Breakage::InitStopped => signal("-STOP", &of("init")),
        Breakage::ServiceKilled => signal("-KILL", &service_of(traces)),
        Breakage::ServiceStopped => signal("-STOP", &service_of(traces)),
        Breakage::DirectoryDeleted => {
            // What is in use as a mount's place stays; all that describes the instance goes.
            let _ = std::fs::remove_dir_all(&store.directory);
        }
    }
}

fn address_of(machine: &Machine, node: &str) -> Option<String> {
    let status: Value = machine.ok(&["status", "--output", "json"]).json();
    let nodes = status["nodes"].as_array().expect("nodes");
    let found = nodes.iter().find(|one| one["name"] == node)?;
    let instances = found["instances"].as_array()?;
    let ready = instances.iter().find(|one| one["phase"] == "ready")?;
    ready["addresses"][0].as_str().map(str::to_owned)
}

fn told_to(traces: &Traces) -> Option<String> {
    let app = instance_of(traces, "app")?;
    std::fs::read_to_string(app.directory.join("files/tmp/store")).ok()
}

/// Waits until the store is another instance, and the app knows its address.
fn wait_until_healed(machine: &Machine, traces: &Traces, old: &Instance) -> (Duration, Duration) {
    let started_at = Instant::now();
    let mut replaced_after = None;
    loop {
        let store = instance_of(traces, "store");
        let is_new = store.is_some_and(|new| new.directory != old.directory);
        if is_new && replaced_after.is_none() {
            replaced_after = Some(started_at.elapsed());
        }
        if let Some(replaced_after) = replaced_after
            && let Some(address) = address_of(machine, "store")
            && told_to(traces).is_some_and(|told| told.trim() == address)
            && !old.directory.exists()
        {
            return (replaced_after, started_at.elapsed());
        }
        assert!(
            started_at.elapsed() < HEAL_PATIENCE,
            "replaced after {replaced_after:?}, told {:?}\n{}\n{}",
            told_to(traces),
            machine.run(&["status"]).stdout,
            machine.run(&["events", "healed"]).stdout,
        );
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Breaks the store of an infrastructure of its own.
fn heals_from(breakage: Breakage) -> Option<(Duration, Duration)> {
    let machine = Machine::new()?;
    let file = descriptor(&machine);
    let traces = Traces::of(&machine, "healed");
    machine.ok(&["up", &file, "--yes", "--timeout", "90s"]);
    let old = instance_of(&traces, "store").expect("it is up");
    assert_eq!(told_to(&traces), address_of(&machine, "store"));
    let mut command = machine.command(&["watch"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut watch = Watch(child.expect("the binary was built"));
    // This wait is the moment of the breakage, not a wait for something.
    std::thread::sleep(QUIET);
    inflict(breakage, &traces);
    let times = wait_until_healed(&machine, &traces, &old);
    interrupt(&watch.0);
    assert_eq!(watch.0.wait().expect("it is our child").code(), Some(130));
    traces.expect(&[("store", 1), ("app", 1)], &format!("{breakage:?}"));
    machine.ok(&["down", "--yes", "--timeout", "60s"]);
    traces.expect_none(&format!("{breakage:?}"));
    Some(times)
}

#[test]
fn what_breaks_is_replaced_and_dependants_are_told() {
    let breakages = [
        Breakage::InitKilled,
        Breakage::ShimKilled,
        Breakage::ServiceKilled,
        Breakage::ServiceStopped,
        Breakage::InitStopped,
        Breakage::DirectoryDeleted,
    ];
    // They mostly wait, so they do it at the same time.
    let threads: Vec<_> = breakages
        .into_iter()
        .map(|breakage| (breakage, std::thread::spawn(move || heals_from(breakage))))
        .collect();
    let mut failures = BTreeMap::new();
    for (breakage, thread) in threads {
        match thread.join() {
            Ok(None) => return,
            Ok(Some((replaced, healed))) => println!(
                "{breakage:?}: replaced after {replaced:.1?}, dependant told after {healed:.1?}"
            ),
            Err(_) => {
                failures.insert(format!("{breakage:?}"), "see above");
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}
