//! Every exit code, produced by a real run, and the page that documents them.
//!
//! Two codes cannot be had from outside: 1 is a mistake of the program itself,
//! and 4 needs a provider with credentials, which the simulated cloud has not;
//! unit tests cover their mapping.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use crate::sandbox::{Sandbox, example, run};
use crate::stories::pair;

#[test]
fn the_codes_of_looking_and_planning() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    sandbox.run(&["validate", &file]).expect(0);
    sandbox.run(&["plan", &file]).expect(0);
    sandbox
        .run(&["plan", &file, "--detailed-exit-code"])
        .expect(10);
    sandbox.run(&["frobnicate"]).expect(2);
    sandbox.run(&["status"]).expect(2);
    sandbox.write("broken.yaml", "infra_name: [\n");
    sandbox.run(&["validate", "broken.yaml"]).expect(3);
    sandbox.run(&["plan", "broken.yaml"]).expect(3);
    sandbox.run(&["plan", "missing.yaml"]).expect(3);
    let elsewhere = pair(&sandbox, "hello", "{min: 1, max: 2}", "");
    let text = std::fs::read_to_string(&elsewhere).expect("it was written");
    let other =
        "type: cloudbroker, endpoint: e, description: {deployment_id: d, instance_type_id: i}";
    sandbox.write(
        "elsewhere.yaml",
        &text.replace("type: sim, cores: 1", other),
    );
    // A preview calls nobody; only what would has to have the provider.
    sandbox.run(&["plan", "elsewhere.yaml"]).expect(0);
    sandbox.run(&["up", "elsewhere.yaml", "--yes"]).expect(5);
    sandbox.run(&["plan", &file, "--on", "moon"]).expect(5);
}

#[test]
fn the_codes_of_capacity_and_time() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    sandbox.ok(&["sim", "quota", "--machines", "1"]);
    let up = ["up", &file, "--yes", "--pace", "jump", "--timeout", "90s"];
    sandbox.run(&up).expect(7);
    // Nobody works on it now; why it did not get further is known all the same.
    let status = sandbox.ok(&["status"]).stdout;
    assert!(status.contains("the last try failed: quota"), "{status}");
    let blocked = sandbox
        .run(&["up", &file, "--yes", "--pace", "jump"])
        .expect(6);
    assert!(blocked.stderr.contains("quota"), "{}", blocked.stderr);
    sandbox.ok(&["sim", "quota"]);
    sandbox.ok(&["up", &file, "--yes", "--pace", "jump"]);
    sandbox.ok(&["down", "--yes", "--pace", "jump"]);
    let late = sandbox
        .run(&["up", &file, "--yes", "--pace", "jump", "--timeout", "1s"])
        .expect(7);
    assert!(late.stderr.contains("continues"), "{}", late.stderr);
    sandbox.ok(&["up", &file, "--yes", "--pace", "jump"]);
    assert_eq!(sandbox.machines().len(), 2);
}

#[test]
fn the_codes_of_state_and_refusal() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    sandbox.ok(&["up", &file, "--yes", "--pace", "jump"]);
    let other = example("three-tier");
    sandbox
        .run(&["up", &other, "--yes", "--name", "hello", "--pace", "jump"])
        .expect(9);
    let pair_file = pair(&sandbox, "hello", "{min: 1, max: 2}", "");
    sandbox.ok(&["up", &pair_file, "--yes", "--pace", "jump"]);
    let text = std::fs::read_to_string(&pair_file).expect("it was written");
    let refusing = text.replace("connect {{", "disconnect {{").replace(
        "    scaling: ",
        "    update: {refuse_replacement: true}\n    scaling: ",
    );
    sandbox.write("pair.yaml", &refusing);
    let refused = sandbox
        .run(&["up", &pair_file, "--yes", "--pace", "jump"])
        .expect(9);
    assert!(
        refused.stderr.contains("refuse_replacement"),
        "{}",
        refused.stderr
    );
    sandbox.run(&["plan", &pair_file]).expect(9);
    sandbox.write("file", "not a directory");
    let blocked = sandbox.path("file").join("below").display().to_string();
    sandbox.run(&["list", "--state-dir", &blocked]).expect(8);
    sandbox
        .run(&["up", &file, "--yes", "--state-dir", &blocked])
        .expect(8);
}

#[test]
fn an_interrupt_leaves_a_state_that_can_be_continued() {
    let sandbox = Sandbox::new();
    let file = example("three-tier");
    let mut child = sandbox
        .command(&["up", &file, "--yes", "--pace", "real"])
        .spawn()
        .expect("the binary was built");
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("creating") {
        line.clear();
        assert!(
            stderr.read_line(&mut line).expect("it talks") > 0,
            "it ended before it began"
        );
    }
    // A second command cannot lead meanwhile, and says who does.
    let locked = sandbox
        .run(&["up", &file, "--yes", "--pace", "jump"])
        .expect(8);
    assert!(
        locked.stderr.contains(&format!("process {}", child.id())),
        "{}",
        locked.stderr
    );
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("there is a kill");
    assert!(status.success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("it talks");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest}");
    for words in [
        "stopped before everything was done",
        "go on running",
        "zenekar up",
    ] {
        assert!(rest.contains(words), "no `{words}` in:\n{rest}");
    }
    sandbox.ok(&["up", &file, "--yes", "--pace", "jump"]);
    assert_eq!(sandbox.machines(), ["app/1", "app/2", "db/1", "lb/1"]);
}

#[test]
fn a_full_stdout_is_told() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let sandbox = Sandbox::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("it can be opened");
    let mut command = sandbox.command(&["plan", &example("hello")]);
    let status = command.stdout(full).status().expect("the binary was built");
    assert_eq!(status.code(), Some(8));
}

#[test]
fn what_is_not_a_terminal_is_not_asked() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    let unasked = sandbox.run(&["up", &file, "--pace", "jump"]).expect(2);
    assert!(unasked.stderr.contains("`--yes`"), "{}", unasked.stderr);
    assert!(!sandbox.state().exists(), "nothing was begun");
    sandbox.ok(&["up", &file, "--yes", "--pace", "jump"]);
    sandbox.run(&["down", "--pace", "jump"]).expect(2);
    sandbox.run(&["sim", "reset"]).expect(2);
    assert_eq!(sandbox.machines().len(), 2);
}

#[test]
fn the_page_documents_every_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md");
    let page = std::fs::read_to_string(page).expect("it is part of the repository");
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130] {
        assert!(
            page.contains(&format!("| {code} |")),
            "exit code {code} is not documented"
        );
    }
}

#[test]
fn json_errors_name_the_code() {
    let sandbox = Sandbox::new();
    for (arguments, code, name) in [
        (vec!["status"], 2, "usage"),
        (vec!["frobnicate"], 2, "usage"),
        (vec!["plan", "missing.yaml"], 3, "invalid-descriptor"),
    ] {
        let mut command = sandbox.command(&arguments);
        command.args(["--output", "json"]);
        let told = run(command).expect(code);
        let last = told.stderr.lines().last().expect("it says something");
        let error: serde_json::Value = serde_json::from_str(last).expect("it is JSON");
        assert_eq!(
            (error["exit_code"].as_i64(), error["error"].as_str()),
            (Some(i64::from(code)), Some(name)),
            "{error}"
        );
        assert_eq!(
            (error["schema_version"].as_i64(), error["kind"].as_str()),
            (Some(1), Some("error"))
        );
    }
}
