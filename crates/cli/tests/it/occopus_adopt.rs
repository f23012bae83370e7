//! `zenekar occopus adopt`: from a real Redis server with what Occopus 1.10
//! stores there to infrastructures that are looked after here.

#![expect(clippy::print_stdout, reason = "a test says what it left out")]

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Run, Sandbox, run};

/// The server's program: it is the server if it is called so.
const SERVER: &str = "/usr/bin/redis-check-rdb";

/// How long a server may take to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// What an installation with two users has stored.
const INSTALLATION: &str = include_str!("../../../occopus-redis/tests/it/installation.json");

const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";
const MICADO: &str = "micado_worker_infra";

/// The machines of the cluster, and one that is nobody's business.
const MACHINES: [&str; 5] = ["i-0a0001", "i-0a0002", "i-0a0003", "i-0a0004", "not-ours"];

/// What makes simulated time pass at once.
const JUMP: [&str; 2] = ["--pace", "jump"];

/// A Redis server in the sandbox, ended with the test.
struct Server {
    socket: PathBuf,
    process: Child,
}

impl Server {
    fn start(sandbox: &Sandbox, settings: &[&str]) -> Option<Self> {
        if !Path::new(SERVER).exists() {
            println!("skipped: there is no Redis server here (`redis-tools`)");
            return None;
        }
        let socket = sandbox.path("redis.socket");
        let process = Command::new(SERVER)
            .arg0("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .args(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server can be started");
        let server = Self { socket, process };
        let started = Instant::now();
        while UnixStream::connect(&server.socket).is_err() {
            assert!(started.elapsed() < START_MAX, "the server does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    fn of_occopus(sandbox: &Sandbox) -> Option<Self> {
        let server = Self::start(sandbox, &[])?;
        let commands: Vec<Vec<Value>> =
            serde_json::from_str(INSTALLATION).expect("the file holds commands");
        for command in commands {
            let words: Vec<String> = command
                .iter()
                .map(|word| {
                    word.as_str()
                        .map_or_else(|| word.to_string(), str::to_owned)
                })
                .collect();
            server.tell(&words);
        }
        Some(server)
    }

    /// Carries out a command, whose second word is the database.
    fn tell(&self, words: &[String]) {
        let told = Command::new("redis-cli")
            .arg("-s")
            .arg(&self.socket)
            .args(["-e", "-n", &words[1], &words[0]])
            .args(&words[2..])
            .output()
            .expect("it comes with the server");
        assert!(told.status.success(), "{told:?}");
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn adopt(sandbox: &Sandbox, server: &Server, more: &[&str]) -> Run {
    let url = server.url();
    sandbox.run(&[&["occopus", "adopt", "--redis", &url], more].concat())
}

/// A sandbox with a server, and the machines of the cluster in the simulated cloud.
fn installation() -> Option<(Sandbox, Server)> {
    let sandbox = Sandbox::new();
    let server = Server::of_occopus(&sandbox)?;
    sandbox.ok(&[&["sim", "plant"], &MACHINES[..]].concat());
    Some((sandbox, server))
}

fn adopted() -> Option<(Sandbox, Server)> {
    let (sandbox, server) = installation()?;
    adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(0);
    Some((sandbox, server))
}

/// Returns the ids of the machines that exist.
fn machines(sandbox: &Sandbox) -> Vec<String> {
    let cloud = sandbox.cloud();
    let machines = cloud["machines"].as_array().expect("a list of machines");
    let mut ids: Vec<String> = machines
        .iter()
        .map(|machine| machine["resource"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids
}

fn status(sandbox: &Sandbox, id: &str) -> Value {
    sandbox.ok(&["status", id, "--output", "json"]).json()
}

/// Returns names and phases of all instances.
fn phases(sandbox: &Sandbox, id: &str) -> Vec<(String, String)> {
    let status = status(sandbox, id);
    let nodes = status["nodes"].as_array().expect("a list of nodes").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    nodes
        .iter()
        .flat_map(|node| node["instances"].as_array().expect("instances").clone())
        .map(|one| (text(&one["name"]), text(&one["phase"])))
        .collect()
}

fn ready(names: &[&str]) -> Vec<(String, String)> {
    let ready = |name: &&str| ((*name).to_owned(), "ready".to_owned());
    names.iter().map(ready).collect()
}

#[test]
fn a_running_infrastructure_is_taken_over_without_touching_it() {
    let Some((sandbox, server)) = installation() else {
        return;
    };
    let shown = adopt(
        &sandbox,
        &server,
        &[CLUSTER, "--on", "sim", "--output", "json"],
    )
    .expect(0);
    let shown = &shown.json()["infrastructures"][0];
    assert_eq!(shown["outcome"], "adoptable", "looking changes nothing");
    assert_eq!(shown["steps_next"], 0, "and nothing would be left to do");
    assert_eq!(
        shown["nodes"][1]["instances"][0]["addresses"][0],
        "10.0.0.2"
    );
    assert_eq!(shown["nodes"][1]["instances"][0]["state"], "running");
    let taken = adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(0);
    for words in [
        "`cluster` of user `ada`: can be taken over",
        "after it there is nothing to do",
        "stop Occopus's own maintenance of them first",
        "4 instances",
    ] {
        assert!(taken.stderr.contains(words), "{words}:\n{}", taken.stderr);
    }
    let all = ["master/1", "worker/1", "worker/2", "worker/3"];
    assert_eq!(phases(&sandbox, CLUSTER), ready(&all));
    let status = status(&sandbox, CLUSTER);
    assert_eq!(
        status["nodes"][0]["instances"][0]["tag"], "aaaaaaaa-0000-4000-8000-000000000001",
        "it keeps the id that Occopus gave it"
    );
    sandbox.ok(&[&["watch", CLUSTER, "--once"], &JUMP[..]].concat());
    assert_eq!(
        machines(&sandbox),
        MACHINES,
        "nothing was made and nothing deleted"
    );
    let cloud = sandbox.cloud();
    assert_eq!(
        (&cloud["created"], &cloud["deleted"]),
        (&0.into(), &0.into())
    );
    let definitions = sandbox.state().join("occopus/definitions");
    assert!(definitions.join("cluster_worker.yaml").is_file());
    assert!(
        !definitions.join("micado%2Dworker.yaml").exists(),
        "bob's are not"
    );
    let events = sandbox.ok(&["events", CLUSTER]).stdout;
    assert!(events.contains("taken over with 4 instances"), "{events}");
}

#[test]
fn a_second_adoption_changes_nothing() {
    let Some((sandbox, server)) = adopted() else {
        return;
    };
    let before = status(&sandbox, CLUSTER);
    let again = adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(0);
    assert!(
        again.stderr.contains("was taken over before"),
        "{}",
        again.stderr
    );
    assert_eq!(
        status(&sandbox, CLUSTER)["generation"],
        before["generation"]
    );
    sandbox.ok(&[&["down", CLUSTER, "--yes"], &JUMP[..]].concat());
    let late = adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(9);
    assert!(late.stderr.contains("taken down since"), "{}", late.stderr);
}

#[test]
fn counts_change_by_exactly_what_is_asked_for() {
    let Some((sandbox, _server)) = adopted() else {
        return;
    };
    sandbox.ok(&[&["scale", CLUSTER, "worker=5"], &JUMP[..]].concat());
    let mut expected: Vec<&str> = MACHINES.to_vec();
    expected.extend(["sim-000005", "sim-000006"]);
    assert_eq!(machines(&sandbox), expected);
    sandbox.ok(&[&["scale", CLUSTER, "--remove", "worker/1"], &JUMP[..]].concat());
    expected.retain(|machine| *machine != "i-0a0002");
    assert_eq!(machines(&sandbox), expected, "the named one is gone");
    let left = ["master/1", "worker/2", "worker/3", "worker/4", "worker/5"];
    assert_eq!(phases(&sandbox, CLUSTER), ready(&left));
}

#[test]
fn a_machine_that_dies_is_replaced_and_the_rest_goes_down_with_the_infrastructure() {
    let Some((sandbox, _server)) = adopted() else {
        return;
    };
    sandbox.ok(&["sim", "kill", "i-0a0003"]);
    sandbox.ok(&[&["watch", CLUSTER, "--once"], &JUMP[..]].concat());
    // One look is not enough to believe that something is gone.
    for _ in 0..3 {
        if phases(&sandbox, CLUSTER)
            .iter()
            .any(|(name, _)| name == "worker/4")
        {
            break;
        }
        let minute = ["--timeout", "60s"];
        sandbox.run(&[&["watch", CLUSTER], &minute[..], &JUMP[..]].concat());
    }
    let all = ["master/1", "worker/1", "worker/3", "worker/4"];
    assert_eq!(phases(&sandbox, CLUSTER), ready(&all));
    assert_eq!(
        machines(&sandbox),
        ["i-0a0001", "i-0a0002", "i-0a0004", "not-ours", "sim-000005"]
    );
    sandbox.ok(&[&["down", CLUSTER, "--yes"], &JUMP[..]].concat());
    assert_eq!(machines(&sandbox), ["not-ours"]);
}

#[test]
fn what_is_gone_is_told_and_made_anew() {
    let Some((sandbox, server)) = installation() else {
        return;
    };
    sandbox.ok(&["sim", "kill", "i-0a0004"]);
    let told = adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(0);
    assert!(
        told.stderr.contains("gone: it is replaced"),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("1 to create"), "{}", told.stderr);
    let before = machines(&sandbox);
    assert_eq!(before, ["i-0a0001", "i-0a0002", "i-0a0003", "not-ours"]);
    sandbox.ok(&[&["watch", CLUSTER, "--once"], &JUMP[..]].concat());
    let all = ["master/1", "worker/1", "worker/2", "worker/3"];
    assert_eq!(phases(&sandbox, CLUSTER), ready(&all));
    let after = machines(&sandbox);
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
}

#[test]
fn what_cannot_be_looked_at_is_left_to_occopus() {
    let Some((sandbox, server)) = installation() else {
        return;
    };
    // Nobody may be asked who we are: there are no credentials here.
    let told = adopt(&sandbox, &server, &[CLUSTER, "--yes"]).expect(9);
    for words in [
        "cannot look at the instances of `11111111-2222-3333-4444-555555555555`",
        "cannot get credentials",
        "not looked at",
    ] {
        assert!(told.stderr.contains(words), "{words}:\n{}", told.stderr);
    }
    let unknown = sandbox.run(&["status", CLUSTER]).expect(2);
    assert!(unknown.stderr.contains("there is no"), "{}", unknown.stderr);
    assert_eq!(
        sandbox.cloud()["calls"]["observe"],
        0,
        "the machines there are others"
    );
}

#[test]
fn an_infrastructure_that_was_made_here_is_left_alone() {
    let Some((sandbox, server)) = installation() else {
        return;
    };
    sandbox.write(
        "own.yaml",
        "infra_name: own\nuser_id: me\nnodes:\n  - {name: app, type: app}\n'node_def:app':\n  - resource: {type: sim}\n",
    );
    sandbox.ok(&[&["up", "own.yaml", "--yes", "--name", CLUSTER], &JUMP[..]].concat());
    let told = adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(9);
    assert!(
        told.stderr
            .contains("an infrastructure of this id was made here"),
        "{}",
        told.stderr
    );
    assert_eq!(phases(&sandbox, CLUSTER), ready(&["app/1"]));
}

#[test]
fn the_list_of_infrastructures_says_which_are_meant() {
    let Some((sandbox, server)) = installation() else {
        return;
    };
    sandbox.write(
        ".occopus/infralist.yaml",
        &format!("- {CLUSTER}\n- forgotten\n"),
    );
    let told = adopt(&sandbox, &server, &["--on", "sim", "--yes"]).expect(0);
    assert!(
        told.stderr.contains(
            "forgotten: in the list of infrastructures, and Occopus keeps nothing about it"
        ),
        "{}",
        told.stderr
    );
    let other =
        format!("1 infrastructure in Redis and not in the list of infrastructures: `{MICADO}`");
    assert!(told.stderr.contains(&other), "{}", told.stderr);
    sandbox.run(&["status", MICADO]).expect(2);
    let list = sandbox.write("other.yaml", "[unclosed");
    let list = list.display().to_string();
    adopt(&sandbox, &server, &["--infralist", &list]).expect(2);
    let none = adopt(&sandbox, &server, &["nobody"]).expect(2);
    assert!(
        none.stderr
            .contains("keeps nothing about an infrastructure `nobody`")
    );
    let other = adopt(
        &sandbox,
        &server,
        &["--user", "carol", "--infralist", "/dev/null"],
    )
    .expect(0);
    assert!(
        other.stderr.contains("Occopus has no infrastructures"),
        "{}",
        other.stderr
    );
}

#[test]
fn a_server_that_cannot_be_used_is_told() {
    let sandbox = Sandbox::new();
    let gone = sandbox.run(&["occopus", "adopt", "--redis", "redis://:secret@127.0.0.1:1"]);
    let gone = gone.expect(5);
    assert!(
        gone.stderr.contains("cannot connect to the Redis server"),
        "{}",
        gone.stderr
    );
    assert!(!gone.stderr.contains("secret"), "{}", gone.stderr);
    let Some(server) = Server::start(&sandbox, &["--requirepass", "right"]) else {
        return;
    };
    let url = server.url() + "?pass=wrong-one";
    let wrong = sandbox
        .run(&["occopus", "adopt", "--redis", &url])
        .expect(4);
    assert!(
        wrong.stderr.contains("refuses the credentials"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("wrong-one"), "{}", wrong.stderr);
    let mut command = sandbox.command(&["occopus", "adopt"]);
    command.env("ZENEKAR_REDIS", server.url() + "?pass=right");
    let empty = run(command).expect(0);
    assert!(
        empty.stderr.contains("Occopus has no infrastructures"),
        "{}",
        empty.stderr
    );
}

/// Boundaries of one adoption; there are fewer than ten.
const BOUNDARIES_MAX: u64 = 50;

#[test]
fn whoever_is_killed_has_taken_over_all_or_nothing() {
    let mut survived = None;
    for boundary in 1..BOUNDARIES_MAX {
        let Some((sandbox, server)) = installation() else {
            return;
        };
        let url = server.url();
        let arguments = [
            "occopus", "adopt", "--redis", &url, CLUSTER, "--on", "sim", "--yes",
        ];
        let mut command = sandbox.command(&arguments);
        command.env("ZENEKAR_TEST_CRASH_AT", boundary.to_string());
        let killed = run(command);
        let found = sandbox.run(&["status", CLUSTER, "--output", "json"]);
        let instances: usize = match found.code {
            Some(0) => found.json()["nodes"].as_array().map_or(0, |nodes| {
                nodes
                    .iter()
                    .map(|node| node["instances"].as_array().map_or(0, Vec::len))
                    .sum()
            }),
            _ => 0,
        };
        assert!(
            instances == 0 || instances == 4,
            "{instances} instances after boundary {boundary}"
        );
        assert_eq!(machines(&sandbox), MACHINES, "boundary {boundary}");
        adopt(&sandbox, &server, &[CLUSTER, "--on", "sim", "--yes"]).expect(0);
        let all = ["master/1", "worker/1", "worker/2", "worker/3"];
        assert_eq!(
            phases(&sandbox, CLUSTER),
            ready(&all),
            "boundary {boundary}"
        );
        if killed.code.is_some() {
            survived = Some(boundary);
            break;
        }
    }
    let survived = survived.expect("an adoption has few boundaries");
    assert!(
        survived > 2,
        "the hook has killed it at {} boundaries",
        survived - 1
    );
}
