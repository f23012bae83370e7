//! `zenekar verify` from outside: races that are found, bounds that are told, exit codes.

use crate::sandbox::{Sandbox, example};

const INFRASTRUCTURE: &str = "infra_name: pair
user_id: me
nodes:
  - {name: server, type: server}
  - {name: client, type: client}
dependencies:
  - [client, server]
";

const DEFINITIONS: &str = "'node_def:server':
  - resource: {type: sim}
    contextualisation: {type: cloudinit, context_template: !yaml_import {url: file://server.yaml}}
    HEALTH
'node_def:client':
  - resource: {type: sim}
    contextualisation: {type: cloudinit, context_template: !yaml_import {url: file://client.yaml}}
";

const SERVER: &str = "#cloud-config
runcmd:
- apt-get install -y redis-server
- redis-server --port 6379 --daemonize yes
";

const CLIENT: &str = "#cloud-config
runcmd:
- redis-cli -h {{ getip('server') }} -p 6379 PING
";

/// Writes a client and a server; returns the name of the description.
fn pair(sandbox: &Sandbox, health: &str) -> &'static str {
    sandbox.write("infra.yaml", INFRASTRUCTURE);
    sandbox.write(
        "nodes/definitions.yaml",
        &DEFINITIONS.replace("HEALTH", health),
    );
    sandbox.write("nodes/server.yaml", SERVER);
    sandbox.write("nodes/client.yaml", CLIENT);
    "infra.yaml"
}

#[test]
fn a_client_that_comes_too_early_is_found_and_told() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "");
    let run = sandbox.run(&["verify", file]).expect(11);
    assert!(
        run.stdout.contains("violated needs-are-there"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("redis-cli"), "{}", run.stdout);
    // What can happen without a fault needs no fault to be shown.
    assert!(run.stdout.contains("with 0 faults"), "{}", run.stdout);
    let json = sandbox
        .run(&["verify", file, "--output", "json"])
        .expect(11);
    let json = json.json();
    assert_eq!(json["kind"], "verification");
    assert_eq!(json["violations"][0]["property"], "needs-are-there");
    assert_eq!(json["violations"][0]["faults"], 0);
    // With another number of threads it is the same.
    let again = ["verify", file, "--output", "json", "--threads", "1"];
    let again = sandbox.run(&again).expect(11).json();
    assert_eq!(json["violations"], again["violations"]);
}

#[test]
fn with_a_check_of_the_port_all_is_well() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "health_check: {ports: [6379]}");
    let calm = ["verify", file, "--faults", "0", "--exhaustive"];
    let run = sandbox.ok(&calm);
    assert!(
        run.stdout.contains("nothing found within these bounds"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("`up, down` with 0 faults, 1 delay"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("verified"), "{}", run.stdout);
}

#[test]
fn what_was_not_explored_is_told() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "health_check: {ports: [6379]}");
    let few = ["verify", file, "--states", "20"];
    let run = sandbox.ok(&few);
    assert!(
        run.stdout.contains("nothing found so far"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("no: `--states`"), "{}", run.stdout);
    let run = sandbox.run(&["verify", file, "--states", "20", "--exhaustive"]);
    let json = sandbox.ok(&["verify", file, "--states", "20", "--output", "json"]);
    run.expect(7);
    assert_eq!(json.json()["exhausted"], false);
}

#[test]
fn other_orders_of_search_find_the_same_property() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "");
    for strategy in ["depth", "random", "pct", "best"] {
        let run = sandbox.run(&["verify", file, "--strategy", strategy, "--faults", "0"]);
        let run = run.expect(11);
        assert!(
            run.stdout.contains("needs-are-there"),
            "{strategy}: {}",
            run.stdout
        );
    }
}

#[test]
fn scripts_are_read_and_mistakes_in_them_are_told() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    let verify =
        |script: &str| sandbox.run(&["verify", &file, "--faults", "0", "--script", script]);
    let run = verify("up, scale sender=3, ~down").expect(0);
    assert!(run.stdout.contains("up, scale sender=3"), "{}", run.stdout);
    let run = verify("up, scale sendr=3").expect(2);
    assert!(
        run.stderr.contains("did you mean `sender`?"),
        "{}",
        run.stderr
    );
    for script in [
        "",
        "down",
        "up, jump",
        "up, scale",
        "up, scale sender",
        "up, scale sender=-1",
    ] {
        verify(script).expect(2);
    }
    verify("up, update missing.yaml").expect(3);
    verify(&["up"; 17].join(",")).expect(2);
}

#[test]
fn a_run_that_was_found_happens_again() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "");
    let found = sandbox.run(&["verify", file, "--report", "run.jsonl"]);
    let found = found.expect(11);
    assert!(
        found
            .stdout
            .contains("it happens again by `zenekar replay run.jsonl`"),
        "{}",
        found.stdout
    );
    let again = sandbox.ok(&["replay", "run.jsonl"]);
    assert!(
        again.stdout.contains("the same to the last bit"),
        "{}",
        again.stdout
    );
    // The story is the same one.
    let story = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| line.contains("ms  ") || line.contains("s  "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let told = story(&again.stdout);
    assert!(told.len() > 3 && told.iter().all(|line| found.stdout.contains(line.as_str())));
    let json = sandbox
        .ok(&["replay", "run.jsonl", "--output", "json"])
        .json();
    assert_eq!(json["same"], true);
    assert_eq!(json["property"], "needs-are-there");
    // With the check of the port that was missing, it cannot happen any more.
    pair(&sandbox, "health_check: {ports: [6379]}");
    let healed = sandbox.run(&["replay", "run.jsonl"]).expect(12);
    assert!(healed.stderr.contains("ZK1006"), "{}", healed.stderr);
    assert!(healed.stderr.contains("ZK1007"), "{}", healed.stderr);
}

#[test]
fn replay_files_that_are_none_are_told() {
    let sandbox = Sandbox::new();
    sandbox.run(&["replay", "missing.jsonl"]).expect(2);
    sandbox.write("broken.jsonl", "{\"replay\":1}\nnonsense\n");
    let broken = sandbox.run(&["replay", "broken.jsonl"]).expect(3);
    assert!(broken.stderr.contains("broken.jsonl:"), "{}", broken.stderr);
}

#[test]
fn stated_properties_are_looked_at() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "health_check: {ports: [6379]}");
    sandbox.write(
        "properties.yaml",
        "properties:
  - {name: one client, always: count(client) <= 1}
  - {name: nobody serves, never: any serving(server)}
  - {name: unknown, eventually: 'any var(client, joined)'}
",
    );
    let verify = [
        "verify",
        file,
        "--faults",
        "0",
        "--property",
        "properties.yaml",
    ];
    let run = sandbox.run(&[&verify[..], &["--report", "run.jsonl"]].concat());
    let run = run.expect(11);
    assert!(
        run.stdout.contains("violated nobody serves"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr.contains("`unknown` is not looked at"),
        "{}",
        run.stderr
    );
    sandbox.ok(&["replay", "run.jsonl"]);
    sandbox.ok(&["replay", "run.jsonl", "--property", "properties.yaml"]);
    sandbox.write("wrong.yaml", "properties: ['always count(clinet) <= 1']\n");
    let wrong = sandbox.run(&["verify", file, "--property", "wrong.yaml"]);
    let wrong = wrong.expect(3);
    assert!(
        wrong.stderr.contains("did you mean `client`?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn pictures_are_drawn() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "");
    let pictures = ["--graph", "graph.svg", "--diagram", "diagram.svg"];
    sandbox
        .run(&[&["verify", file], &pictures[..]].concat())
        .expect(11);
    let svg = |name: &str| {
        let text = std::fs::read_to_string(sandbox.path(name)).expect("it was written");
        let picture = roxmltree::Document::parse(&text).expect("it is XML");
        let texts = picture.descendants().filter(roxmltree::Node::is_text);
        texts
            .filter_map(|node| node.text().map(str::to_owned))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let graph = svg("graph.svg");
    assert!(
        graph.contains("violated") && graph.contains("server/1 0"),
        "{graph}"
    );
    let diagram = svg("diagram.svg");
    for lane in ["the engine", "people", "server/1", "client/1"] {
        assert!(diagram.contains(lane), "{lane}: {diagram}");
    }
    sandbox
        .run(&["verify", file, "--graph", "graph.dot"])
        .expect(11);
    let dot = std::fs::read_to_string(sandbox.path("graph.dot")).expect("it was written");
    assert!(dot.starts_with("digraph execution {"), "{dot}");
}

#[test]
fn few_instances_come_first() {
    let sandbox = Sandbox::new();
    pair(&sandbox, "health_check: {ports: [6379]}");
    let with = |count: &str| {
        let client = format!("type: client, scaling: {{min: {count}, max: {count}}}");
        sandbox.write(
            "infra.yaml",
            &INFRASTRUCTURE.replace("type: client", &client),
        );
    };
    let calm = ["verify", "infra.yaml", "--faults", "0", "--delays", "0"];
    with("4");
    let run = sandbox.ok(&calm);
    let place = |text: &str| {
        run.stdout
            .find(text)
            .unwrap_or_else(|| panic!("{}", run.stdout))
    };
    assert!(place("at most 2 each, 0 faults") < place("\n0 faults, 0 delays"));
    // How many there could be does not matter, only how many there are.
    let client = "type: client, scaling: {min: 1, max: 1000}";
    sandbox.write(
        "infra.yaml",
        &INFRASTRUCTURE.replace("type: client", client),
    );
    sandbox.ok(&[&calm[..], &["--exhaustive"]].concat());
    let many = [&calm[..], &["--script", "up, scale client=1000"]].concat();
    let many = sandbox.run(&many).expect(2);
    assert!(many.stderr.contains("1,001 instances"), "{}", many.stderr);
    with("1000");
    let run = sandbox.ok(&calm);
    assert!(
        run.stdout.contains("1,001 instances are too many"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("nothing found so far"),
        "{}",
        run.stdout
    );
    sandbox
        .run(&[&calm[..], &["--exhaustive"]].concat())
        .expect(7);
    sandbox
        .run(&[&calm[..], &["--script", "up, down"]].concat())
        .expect(2);
}
