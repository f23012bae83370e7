//! Real nodes that are steered: a race that is found, who does not come, scripts
//! of the original, and nothing that is left.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::process::Stdio;

use serde_json::json;

use crate::local::Machine;
use crate::looking_in::interrupt;
use crate::real::{Cloud as _, DockerCloud, run_at, unique};
use crate::sandbox::Sandbox;

/// Longer than any step takes on a loaded machine; only who never comes needs it.
const PATIENT: &str = "120s";

/// A server that listens before it has its data, and a client that asks it as
/// soon as it listens.
const RACE: &str = r#"infra_name: race
user_id: somebody
nodes:
  - &srv {name: srv, type: srv}
  - &cl {name: cl, type: cl}
dependencies:
  - connection: [*cl, *srv]
'node_def:srv':
  - resource: {type: local}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        write_files:
          - path: /tmp/server.pl
            content: 'use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die $!; open my $r, ">", "/tmp/listens"; close $r; while (my $c = $s->accept) { while (<$c>) { last if /^\r?$/ } my $t = -e "/tmp/data" ? "data\n" : "nothing\n"; my $h = -e "/tmp/data" ? "200 OK" : "503 Not Yet"; print $c "HTTP/1.0 $h\r\nContent-Length: ", length $t, "\r\n\r\n$t"; close $c }'
        runcmd:
          - perl /tmp/server.pl > /tmp/server.log 2>&1 &
          - while [ ! -e /tmp/listens ]; do sleep 0.1; done
          - /opt/zenekar/breakpoint listens
          - touch /tmp/data
    health_check: {ping: False, ports: [8080]}
'node_def:cl':
  - resource: {type: local}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        runcmd:
          - curl -s --fail-with-body -o /tmp/got http://{{getip('srv')}}:8080/
          - /opt/zenekar/breakpoint asked got="$(cat /tmp/got)"
    health_check: {ping: False}
"#;

const NOT_EMPTY: &str = "specification:
  variables:
    empty: { vm: cl, name: got, group: any, expected: exactly nothing }
  statements:
    - not empty
";

/// Two nodes that have nothing to do with each other; `TASK` is what they do.
const PAIR: &str = "infra_name: pair
user_id: somebody
nodes:
  - {name: a, type: task}
  - {name: b, type: task}
'node_def:task':
  - resource: {type: local}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        runcmd:
          - TASK
    health_check: {ping: False}
";

/// A machine on which instances have files of their own, and an address that
/// they reach.
pub(crate) fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    let report = machine.ok(&["doctor", "--output", "json"]).json();
    let is_apart = report["isolation"] != "plain";
    (is_apart && own_address().is_some()).then_some(machine)
}

fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

/// Finds a port that nobody listens on.
fn free_place(address: IpAddr) -> String {
    let free = TcpListener::bind((address, 0)).expect("there is a free port");
    free.local_addr().expect("it listens").to_string()
}

#[track_caller]
fn nothing_is_left(machine: &Machine) {
    let left = machine.ok(&["list", "--all", "--output", "json"]).json();
    assert_eq!(left["infrastructures"], json!([]), "{left}");
}

fn live<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["verify", file, "--live", "--deadline", PATIENT];
    arguments.extend(more);
    arguments
}

#[test]
fn a_race_is_found_and_run_again() {
    let Some(machine) = machine() else { return };
    machine.sandbox.write("race.yaml", RACE);
    machine.sandbox.write("not-empty.yaml", NOT_EMPTY);
    let property = ["--property", "not-empty.yaml"];
    let mut all = property.to_vec();
    all.extend(["--traverse", "--parallel", "3", "--output", "json"]);
    all.extend(["--graph", "graph.dot", "--diagram", "diagram.svg"]);
    let found = machine.run(&live("race.yaml", &all)).expect(11).json();
    // The client is made once the server listens; from then on it asks (after
    // `first`), reports (`asked`) and ends, while the server gets its data.
    assert_eq!(found["outcome"], "complete", "{found}");
    assert_eq!(found["runs"], 4, "{found}");
    assert_eq!(found["ends"], 4, "{found}");
    assert_eq!(found["stuck"], json!([]), "{found}");
    let schedule = json!(["srv[1]", "cl[1]", "cl[1]"]);
    let violated = json!([{ "property": "statement 1", "schedule": schedule }]);
    assert_eq!(found["violated"], violated, "{found}");
    // Without any property, too: the command's end depends on the order.
    let endings = json!({ "0": ["srv[1]", "srv[1]", "cl[1]"], "22": ["srv[1]", "cl[1]"] });
    let matters = json!([{ "process": "cl[1]", "tag": "bp_1", "statuses": endings }]);
    assert_eq!(found["order_matters"], matters, "{found}");
    let graph = std::fs::read_to_string(machine.sandbox.path("graph.dot")).expect("it is drawn");
    assert_eq!(graph.matches("class=\"root\"").count(), 1, "{graph}");
    assert!(graph.contains("class=\"violated\""), "{graph}");
    assert!(graph.contains("label=\"srv[1]\""), "{graph}");
    let diagram = std::fs::read_to_string(machine.sandbox.path("diagram.svg"));
    let diagram = diagram.expect("it is drawn");
    assert!(
        diagram.contains("cl[1]") && diagram.contains("the engine"),
        "{diagram}"
    );
    assert!(diagram.contains("srv[1] is ready"), "{diagram}");
    let mut again = property.to_vec();
    again.extend(["--schedule", "srv[1],cl[1],cl[1]"]);
    let again = machine.run(&live("race.yaml", &again)).expect(11);
    let words = "violated: `statement 1` after 3 steps";
    assert!(again.stdout.contains(words), "{}", again.stdout);
    machine.sandbox.write("run.jsonl", &explored());
    let mut found = property.to_vec();
    found.extend(["--from-report", "run.jsonl"]);
    // Nobody has explored that: the model knows no such steps.
    let refused = machine.run(&live("race.yaml", &found)).expect(12);
    let words = "is no run of this descriptor: step 2 is not possible: srv/1 boots";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    let mut good = property.to_vec();
    good.extend(["--schedule", "srv[1],srv[1]"]);
    machine.run(&live("race.yaml", &good)).expect(0);
    nothing_is_left(&machine);
}

/// A run that cannot have been explored: a machine boots that nobody made.
fn explored() -> String {
    let state = "0".repeat(32);
    let mut lines = vec![json!({
        "replay": 1, "engine": "0.0.0", "descriptor": { "path": "race.yaml", "digest": "sha256:0" },
        "script": [{ "demand": "up", "waits": false }],
        "allowance": { "faults": 0, "delays": 0, "patience_ms": 1000 },
        "faults": [], "beginning": state,
    })];
    for (label, step) in [
        "people ask for `up`",
        "srv/1 boots",
        "srv/1: perl /tmp/server.pl",
        "cl/1 begins: curl",
        "cl/1 ends: curl",
        "cl/1: the rest",
    ]
    .iter()
    .zip(1..)
    {
        lines.push(json!({
            "step": step, "at_ms": 0, "label": label, "pick": 0, "of": 1, "state": state,
        }));
    }
    lines.push(json!({ "verdict": "open", "minimal": false }));
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn who_does_not_come_is_stuck() {
    let Some(machine) = machine() else { return };
    // One node: of several, a slow machine would decide which is late.
    let one = PAIR.replace("  - {name: b, type: task}\n", "");
    machine
        .sandbox
        .write("pair.yaml", &one.replace("TASK", "sleep 3600"));
    let arguments = ["verify", "pair.yaml", "--live", "--deadline", "5s"];
    let stuck = machine.run(&arguments).expect(11);
    // On a machine that is very slow not even the beginning may be reached.
    assert!(
        stuck.stdout.contains("stuck: `a[1]` after"),
        "{}",
        stuck.stdout
    );
    assert!(stuck.stdout.contains("--live"), "{}", stuck.stdout);
    nothing_is_left(&machine);
}

#[test]
fn what_the_model_does_not_allow_is_told() {
    let Some(machine) = machine() else { return };
    // It is said that `a` waits for `b`, and nothing does; `c` has nothing to do.
    let bare = "'node_def:bare': [{resource: {type: local}, health_check: {ping: False}}]";
    let text = PAIR
        .replace("'node_def:task'", &format!("{bare}\n'node_def:task'"))
        .replace("nodes:\n", "nodes:\n  - {name: c, type: bare}\n")
        .replace("TASK", "'true'")
        .replace(
            "{name: a, type: task}",
            "{name: a, type: task, verification: {segments: [{label: join, needs: [b.token]}]}}",
        )
        .replace(
            "{name: b, type: task}",
            "{name: b, type: task, verification: {segments: [{label: make, gives: [token]}]}}",
        );
    machine.sandbox.write("pair.yaml", &text);
    let seen = ["--report", "seen.jsonl"];
    let told = machine.run(&live("pair.yaml", &seen)).expect(0);
    let again = machine.run(&["replay", "seen.jsonl"]).expect(12);
    let step = "a/1 fails at `join`";
    assert!(again.stdout.contains(step), "{}", again.stdout);
    let differs = "the recorded verdict is that nothing is wrong so far";
    assert!(again.stderr.contains(differs), "{}", again.stderr);
    let words = r#"model gap: `a[1]` got through `join` although `b.token` is not given at {"a":[1],"b":[1]}"#;
    assert!(told.stdout.contains(words), "{}", told.stdout);
    let warning = "node `c` is not steered: it gets no user-data";
    assert!(told.stderr.contains(warning), "{}", told.stderr);
    let schedule = ["--schedule", "b[1]", "--output", "json"];
    let other = machine.run(&live("pair.yaml", &schedule)).expect(0).json();
    assert_eq!(other["model_gaps"], json!([]), "{other}");
    let unsteered = json!({ "c": "it gets no user-data" });
    assert_eq!(other["unsteered"], unsteered, "{other}");
}

#[test]
fn scripts_of_the_original_run_unchanged() {
    let Some(machine) = machine() else { return };
    let address = own_address().expect("there was one");
    let listen = free_place(address);
    let script = include_str!("../descriptors/live/sztaki.yaml").replace("SERVER", &listen);
    machine.sandbox.write("sztaki.yaml", &script);
    let options = ["--traverse", "--no-automatic", "--listen", &listen];
    let all = machine.run(&live("sztaki.yaml", &options)).expect(0);
    let words = "live: sztaki: 2 runs, 5 states (4 different), 2 ends; every order was run";
    assert!(all.stdout.contains(words), "{}", all.stdout);
    nothing_is_left(&machine);
}

#[test]
fn a_person_chooses_and_an_interrupt_ends_it() {
    let Some(machine) = machine() else { return };
    machine
        .sandbox
        .write("pair.yaml", &PAIR.replace("TASK", "'true'"));
    let by_hand = machine.fed(&live("pair.yaml", &["--manual"]), "b\nc[1]\nstate\nnext\n");
    assert_eq!(by_hand.code, Some(0), "{}", by_hand.stderr);
    for words in [
        "who goes next: a[1], b[1]?",
        "finished: b[1],a[1]",
        "cannot let `c[1]` go",
        "b[1] finished",
    ] {
        assert!(
            by_hand.stderr.contains(words),
            "no `{words}` in {}",
            by_hand.stderr
        );
    }
    let mut command = machine.command(&live("pair.yaml", &["--manual"]));
    let child = command.stdin(Stdio::piped()).spawn();
    let mut child = child.expect("the binary was built");
    let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut lines = stderr.lines().map_while(Result::ok);
    let asks = lines.any(|line| line.contains("who goes next"));
    assert!(asks, "it asks");
    interrupt(&child);
    assert!(lines.any(|line| line.contains("ended early")));
    assert_eq!(child.wait().expect("it is our child").code(), Some(130));
    nothing_is_left(&machine);
}

#[test]
fn what_cannot_be_steered_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("race.yaml", RACE);
    let simulated = sandbox.run(&["verify", "race.yaml", "--live", "--on", "sim"]);
    let words = "nothing runs on the simulated cloud";
    assert!(simulated.expect(2).stderr.contains(words));
    sandbox
        .run(&["verify", "race.yaml", "--traverse"])
        .expect(2);
    sandbox
        .run(&["verify", "race.yaml", "--live", "--schedule", "srv[0]"])
        .expect(2);
    for wrong in [["--schedule", "cl[1],cl[2]"], ["--breakpoint", "x:first"]] {
        let refused = sandbox.run(&live("race.yaml", &wrong)).expect(2);
        assert!(refused.stderr.contains("is steered"), "{}", refused.stderr);
    }
    let by_hand = PAIR.replace("TASK", "'true'");
    sandbox.write("pair.yaml", &by_hand);
    let none = sandbox.run(&["verify", "pair.yaml", "--live", "--no-automatic"]);
    assert!(
        none.expect(2)
            .stderr
            .contains("no node of the descriptor can be steered")
    );
}

#[test]
fn steps_that_have_nothing_to_do_with_each_other_have_one_order() {
    let Some(machine) = machine() else { return };
    machine
        .sandbox
        .write("pair.yaml", &PAIR.replace("TASK", "'true'"));
    let mut options = vec!["--traverse", "--output", "json"];
    let one = machine.run(&live("pair.yaml", &options)).expect(0).json();
    assert_eq!((&one["runs"], &one["reduced"]), (&json!(1), &json!(true)));
    assert_eq!(one["outcome"], "complete", "{one}");
    options.push("--every-order");
    let all = machine.run(&live("pair.yaml", &options)).expect(0).json();
    assert_eq!((&all["runs"], &all["reduced"]), (&json!(2), &json!(false)));
    // The client is made once the server listens: nobody lets it go before.
    machine.sandbox.write("race.yaml", RACE);
    let race = ["--traverse", "--parallel", "3", "--output", "json"];
    let race = machine.run(&live("race.yaml", &race)).expect(11).json();
    assert_eq!(race["outcome"], "complete", "{race}");
    assert_eq!(race["given_up"], json!([]), "{race}");
    let matters = &race["order_matters"][0]["statuses"];
    assert!(
        matters["22"].is_array() && matters["0"].is_array(),
        "{race}"
    );
    nothing_is_left(&machine);
}

#[test]
fn containers_are_steered_too() {
    let (Some(cloud), Some(_)) = (DockerCloud::find(), own_address()) else {
        return;
    };
    let sandbox = Sandbox::new();
    let name = unique("steered");
    let text = PAIR
        .replace("infra_name: pair", &format!("infra_name: {name}"))
        .replace("TASK", "'true'")
        .replace("{type: local}", &cloud.resource());
    sandbox.write("pair.yaml", &text);
    let mut options = vec!["--traverse", "--parallel", "2", "--output", "json"];
    options.push("--every-order");
    let found = run_at(&sandbox, &cloud, &live("pair.yaml", &options)).expect(0);
    let found = found.json();
    assert_eq!(found["runs"], 2, "{found}");
    assert_eq!(found["outcome"], "complete", "{found}");
    assert_eq!(found["stuck"], json!([]), "{found}");
    let listed = sandbox.ok(&["list", "--all", "--output", "json"]).json();
    assert_eq!(listed["infrastructures"], json!([]), "{listed}");
}
