//! Real instances on this machine: logs, commands, URLs, options, remains.

#![expect(clippy::print_stderr, reason = "tests say why they are skipped")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zenekar_provider_local::Isolation;

use crate::looking_in::interrupt;
use crate::sandbox::{Run, Sandbox, run};

/// The account that owns nothing, as an ordinary user.
pub(crate) const NOBODY: u32 = 65534;

/// A server that tells its host's name over HTTP, with what every Debian has.
pub(crate) const SERVER: &str = r#"use IO::Socket::INET; use Sys::Hostname; my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die $!; while (my $c = $s->accept) { while (<$c>) { last if /^\r?$/ } my $t = "hello from $ARGV[0]\n"; print $c "HTTP/1.0 200 OK\r\nContent-Length: ", length $t, "\r\n\r\n$t"; close $c }"#;

/// A sandbox whose infrastructures on this machine are taken down at its end.
pub(crate) struct Machine {
    pub(crate) sandbox: Sandbox,
    /// A copy of the binary that the user may run, and the user.
    user: Option<(PathBuf, u32)>,
}

impl Machine {
    /// Makes a place for the user who runs the tests.
    pub(crate) fn new() -> Option<Self> {
        Self {
            sandbox: Sandbox::new(),
            user: None,
        }
        .if_possible("this user")
    }

    /// Makes a place for an ordinary user; only root can.
    pub(crate) fn of_ordinary_user() -> Option<Self> {
        let sandbox = Sandbox::new();
        let binary = sandbox.path("zenekar");
        std::fs::copy(env!("CARGO_BIN_EXE_zenekar"), &binary).expect("the binary was built");
        for path in [&sandbox.path(""), &binary] {
            if let Err(error) = std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)) {
                eprintln!("skipped: cannot give files to an ordinary user: {error}");
                return None;
            }
        }
        Self {
            sandbox,
            user: Some((binary, NOBODY)),
        }
        .if_possible("an ordinary user")
    }

    fn if_possible(self, who: &str) -> Option<Self> {
        let report = self.run(&["doctor", "--output", "json"]).json();
        if report["isolation"].is_null() {
            eprintln!("skipped: this machine cannot run instances for {who}: {report}");
            return None;
        }
        Some(self)
    }

    /// Returns the command, ready to be started by the user of this place.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_zenekar"));
        let binary = self.user.as_ref().map_or(own, |(binary, _)| binary);
        self.as_user(&binary.display().to_string(), arguments)
    }

    /// Returns another program, ready to be started by the user of this place.
    pub(crate) fn as_user(&self, program: &str, arguments: &[&str]) -> Command {
        let model = self.sandbox.command(&[]);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.sandbox.path(""))
            .env_clear()
            .envs(
                model
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some((_, user)) = &self.user {
            command.uid(*user).gid(*user);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).expect(0)
    }

    /// Runs a command with this input, which ends there.
    #[track_caller]
    pub(crate) fn fed(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        let child = command.stdin(Stdio::piped()).spawn();
        let mut child = child.expect("the binary was built");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("it listens");
        drop(stdin);
        let output = child.wait_with_output().expect("it is our child");
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns the processes that know this place.
    fn processes(&self) -> Vec<String> {
        let place = self.sandbox.path("").display().to_string();
        let place = place.trim_end_matches('/').as_bytes().to_vec();
        let own = std::process::id();
        let entries = std::fs::read_dir("/proc").expect("there is a /proc");
        let numbers = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut found = Vec::new();
        for number in numbers.filter(|number| *number != own) {
            let line = std::fs::read(Path::new("/proc").join(number.to_string()).join("cmdline"));
            let line = line.unwrap_or_default();
            if line.windows(place.len()).any(|window| window == place) {
                found.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        found
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let entries = std::fs::read_dir(self.sandbox.state().join("local"));
        for entry in entries.into_iter().flatten().flatten() {
            let infrastructure = entry.file_name().to_string_lossy().into_owned();
            let down = self.run(&["down", &infrastructure, "--yes", "--timeout", "60s"]);
            if down.code != Some(0) {
                eprintln!("`{infrastructure}` is not down: {}", down.stderr);
            }
        }
        let left = self.processes();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let place = self.sandbox.path("").display().to_string();
        let is_mounted = mounts.contains(place.trim_end_matches('/'));
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left over: {left:#?}");
            assert!(!is_mounted, "left over mounts:\n{mounts}");
        }
    }
}

/// Writes a descriptor: a node `store`, and `app`s that know its address.
fn descriptor(machine: &Machine, name: &str, apps: u32) -> String {
    let text = format!(
        "infra_name: {name}
user_id: somebody
nodes:
  - &store {{name: store, type: store}}
  - &app {{name: app, type: app, scaling: {{min: {apps}, max: 4}}}}
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
          - echo the store is set up
          - perl /tmp/server.pl store > /tmp/server.log 2>&1 &
    health_check: {{ports: [8080]}}
'node_def:app':
  - resource: {{type: local}}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        runcmd:
          - echo line one
          - echo \"the store is at {{{{getip('store')}}}}\"
          - echo line three
",
        server = SERVER.replace('\'', "''"),
    );
    let path = machine.sandbox.write(&format!("{name}.yaml"), &text);
    path.display().to_string()
}

/// Brings the pair up, looks into it in all ways, and takes it down.
fn the_whole_story(machine: &Machine) {
    let file = descriptor(machine, "pair", 2);
    let up = machine.ok(&["up", &file, "--yes", "--timeout", "90s"]);
    assert!(
        up.stderr.contains("3 of 3 instances ready"),
        "{}",
        up.stderr
    );
    assert!(!up.stderr.contains("simulated"), "{}", up.stderr);
    assert_eq!(
        up.stderr.matches("isolation: `").count(),
        1,
        "{}",
        up.stderr
    );
    the_logs(machine);
    the_commands(machine);
    the_url(machine);
    the_addresses(machine);
    machine.run(&["watch", "--once", "--pace", "60"]).expect(2);
    machine.ok(&["watch", "--once", "--pace", "real", "--timeout", "90s"]);
    the_log_is_followed_to_its_end(machine);
    assert!(machine.processes().is_empty(), "{:#?}", machine.processes());
    let gone = machine
        .run(&["exec", "pair", "store", "--", "true"])
        .expect(2);
    assert_eq!(gone.stdout, "");
}

fn the_logs(machine: &Machine) {
    let store = machine.ok(&["logs", "store"]).stdout;
    assert!(store.contains("the store is set up"), "{store}");
    let apps = machine.ok(&["logs", "app"]).stdout;
    for prefix in ["app/1 | line one", "app/2 | line three"] {
        assert!(apps.contains(prefix), "no `{prefix}` in:\n{apps}");
    }
    let status = machine.ok(&["status", "--output", "json"]).json();
    let address = status["nodes"][0]["instances"][0]["addresses"][0].clone();
    let address = address.as_str().expect("the store has an address");
    let one = machine.ok(&["logs", "app/1"]).stdout;
    assert!(one.contains(&format!("the store is at {address}")), "{one}");
    assert!(!one.contains("app/1 |"), "{one}");
    let lines: Vec<&str> = one.lines().collect();
    let latest = machine.ok(&["logs", "pair", "app/1", "-n", "2"]).stdout;
    assert_eq!(latest.lines().collect::<Vec<_>>(), lines[lines.len() - 2..]);
    let json = machine.ok(&["logs", "app/2", "--output", "json"]).stdout;
    let is_told = json.lines().any(|line| {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        value["kind"] == "log"
            && value["instance"] == "app/2"
            && value["source"] == "contextualisation"
            && value["text"] == "line one"
    });
    assert!(is_told, "{json}");
}

fn the_commands(machine: &Machine) {
    let exec = |command: &[&str]| {
        let arguments = [&["exec", "app/1", "--"], command].concat();
        machine.run(&arguments)
    };
    let said = exec(&["sh", "-c", "echo out; echo err >&2; exit 7"]).expect(7);
    assert_eq!((&*said.stdout, &*said.stderr), ("out\n", "err\n"));
    exec(&["true"]).expect(0);
    exec(&["no-such-command"]).expect(127);
    exec(&["/etc/passwd"]).expect(126);
    exec(&["/no/such/command"]).expect(127);
    let arguments = exec(&["printf", "%s|", "a b", "", "--", "ä"]).expect(0);
    assert_eq!(arguments.stdout, "a b||--|ä|");
    let fed = machine
        .fed(&["exec", "app/1", "--", "cat"], "one\ntwo\n")
        .expect(0);
    assert_eq!(fed.stdout, "one\ntwo\n");
    let first = machine.ok(&["exec", "app", "--", "true"]);
    assert!(first.stderr.contains("this is `app/1`"), "{}", first.stderr);
    let shell = machine.fed(&["shell", "store/1"], "echo in a shell\nexit 3\n");
    let shell = shell.expect(3);
    assert!(shell.stdout.contains("in a shell"), "{shell:?}");
}

/// Asks the server behind a URL.
fn fetch(url: &str) -> String {
    let rest = url.trim().strip_prefix("http://").expect("it is HTTP");
    let (address, path) = rest.split_once('/').expect("it has a path");
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn the_url(machine: &Machine) {
    let arguments = ["open", "store", "8080", "--listen", "0", "--path", "/x?y=1"];
    let child = machine.command(&arguments).spawn();
    let mut child = child.expect("the binary was built");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut url = String::new();
    stdout.read_line(&mut url).expect("it talks");
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/x?y=1\n"),
        "{url}"
    );
    for _ in 0..3 {
        assert!(fetch(&url).ends_with("hello from store\n"));
    }
    interrupt(&child);
    assert_eq!(child.wait().expect("it is our child").code(), Some(130));
    if machine.user.is_none() {
        let direct = machine.ok(&["open", "store", "8080", "--output", "json"]);
        let direct = direct.json();
        assert_eq!(direct["reach"], "direct", "{direct}");
        let url = direct["url"].as_str().expect("a URL");
        assert!(fetch(url).ends_with("hello from store\n"));
    }
}

fn the_addresses(machine: &Machine) {
    let status = machine.ok(&["status"]).stdout;
    let json = machine.ok(&["status", "--output", "json"]).json();
    let nodes = json["nodes"].as_array().expect("nodes");
    let mut addresses = Vec::new();
    for instance in nodes.iter().flat_map(|node| {
        let instances = node["instances"].as_array();
        instances.expect("instances")
    }) {
        let address = instance["addresses"][0].as_str().expect("an address");
        assert!(status.contains(address), "no `{address}` in:\n{status}");
        addresses.push(address.to_owned());
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "{status}");
}

/// Follows a log while its instance prints, goes, and is gone.
fn the_log_is_followed_to_its_end(machine: &Machine) {
    let follow = machine.command(&["logs", "store", "-f"]).spawn();
    let mut follow = follow.expect("the binary was built");
    let mut lines = BufReader::new(follow.stdout.take().expect("it is piped")).lines();
    let is_there = lines.any(|line| line.expect("it is text").contains("the store is set up"));
    assert!(is_there, "nothing is shown");
    machine.ok(&["down", "--yes", "--timeout", "60s"]);
    assert_eq!(follow.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn root_or_not_the_story_is_the_same() {
    if let Some(machine) = Machine::new() {
        the_whole_story(&machine);
    }
}

#[test]
fn an_ordinary_user_has_the_same_story() {
    if let Some(machine) = Machine::of_ordinary_user() {
        the_whole_story(&machine);
    }
}

#[test]
fn descriptors_take_every_isolation_that_there_is() {
    let sandbox = Sandbox::new();
    for isolation in Isolation::ALL {
        let name = isolation.name();
        let text = format!(
            "infra_name: one\nuser_id: me\nnodes: [{{name: n, type: n}}]\n'node_def:n':\n  - resource: {{type: local, isolation: {name}}}\n    contextualisation: {{type: cloudinit, context_template: 'runcmd: [[date]]'}}\n"
        );
        let file = sandbox.write(&format!("{name}.yaml"), &text);
        sandbox.ok(&["validate", &file.display().to_string()]);
    }
}

#[test]
fn an_isolation_is_required_or_refused() {
    let Some(machine) = Machine::of_ordinary_user() else {
        return;
    };
    let file = descriptor(&machine, "pair", 1);
    let refused = machine.run(&["up", &file, "--yes", "--isolation", "namespaces"]);
    let refused = refused.expect(5);
    assert!(
        refused.stderr.contains("`namespaces`") && refused.stderr.contains("zenekar doctor"),
        "{}",
        refused.stderr
    );
    let up = [
        "up",
        &file,
        "--yes",
        "--isolation",
        "plain",
        "--timeout",
        "90s",
    ];
    let up = machine
        .ok(&[&up[..], &["--output", "json"]].concat())
        .json();
    let report = machine.ok(&["doctor", "--output", "json"]).json();
    assert_eq!(
        up["isolation"], report["isolation"],
        "at least means the best"
    );
}

#[test]
fn two_infrastructures_live_side_by_side() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for name in ["pair", "other"] {
        let file = descriptor(&machine, name, 1);
        machine.ok(&["up", &file, "--yes", "--timeout", "90s"]);
    }
    let unclear = machine.run(&["exec", "store", "--", "true"]).expect(2);
    assert!(unclear.stderr.contains("`other`"), "{}", unclear.stderr);
    machine.ok(&["exec", "pair", "store", "--", "touch", "/tmp/mark"]);
    machine
        .run(&["exec", "other", "store", "--", "ls", "/tmp/mark"])
        .expect(2);
    machine.ok(&["down", "other", "--yes", "--timeout", "60s"]);
    machine.ok(&["exec", "store", "--", "ls", "/tmp/mark"]);
}

#[test]
fn an_infrastructure_moves_from_simulation_to_this_machine() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let file = descriptor(&machine, "pair", 1);
    let simulated = ["up", &file, "--on", "sim", "--yes", "--pace", "jump"];
    machine.ok(&simulated);
    assert_eq!(machine.sandbox.machines(), ["app/1", "store/1"]);
    machine.ok(&["up", &file, "--yes", "--timeout", "90s"]);
    assert!(machine.sandbox.machines().is_empty());
    machine.ok(&["exec", "store", "--", "true"]);
}
