//! `logs`, `exec`, `shell`, `open`, `doctor` and the options of instances on
//! this machine: what they refuse, and how.

use std::process::{Child, Command, Stdio};

use crate::sandbox::{Sandbox, example};
use crate::stories::pair;

/// Starts the command and ends it by an interrupt once it has printed something.
pub(crate) fn interrupted(sandbox: &Sandbox, arguments: &[&str]) -> Option<i32> {
    let mut command = sandbox.command(arguments);
    let child = command.stderr(Stdio::inherit()).spawn();
    let mut child = child.expect("the binary was built");
    let mut stdout = child.stdout.take().expect("it is piped");
    // The signal must not come before the command listens for it: it prints first.
    let mut first = [0; 1];
    let read = std::io::Read::read(&mut stdout, &mut first).expect("it talks");
    assert_eq!(read, 1, "{arguments:?} ended without a word");
    interrupt(&child);
    child.wait().expect("it is our child").code()
}

pub(crate) fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
    status.expect("there is a kill");
}

#[test]
fn a_simulated_machine_cannot_be_looked_into() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    for arguments in [
        &["logs", "sender"][..],
        &["logs", "sender/1", "-f"],
        &["logs", "hello", "sender/1", "--console"],
        &["exec", "sender", "--", "true"],
        &["exec", "hello", "sender/1", "--", "true"],
        &["shell", "sender/1"],
        &["open", "sender", "80"],
        &["open", "hello", "sender/1", "80", "--browser"],
    ] {
        let told = sandbox.run(arguments).expect(5);
        assert_eq!(told.stdout, "", "{arguments:?}");
        assert!(
            told.stderr.contains("provider `sim` cannot") && told.stderr.contains("--on local"),
            "{arguments:?}:\n{}",
            told.stderr
        );
    }
    sandbox.ok(&["down", "--yes", "--pace", "jump"]);
    let gone = sandbox.run(&["logs", "hello", "sender/1"]).expect(2);
    assert!(gone.stderr.contains("sender"), "{}", gone.stderr);
}

#[test]
fn what_is_not_there_is_refused_with_a_hint() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["logs", "app"][..],
        &["exec", "app", "--", "true"],
        &["shell", "app"],
        &["open", "app", "80"],
    ] {
        let told = sandbox.run(arguments).expect(2);
        assert!(
            told.stderr.contains("there is no infrastructure"),
            "{arguments:?}:\n{}",
            told.stderr
        );
    }
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    for (arguments, words) in [
        (&["logs", "sendr"][..], "did you mean `sender`?"),
        (&["logs", "helo", "sender"], "did you mean `hello`?"),
        (&["logs", "sender/7"], "there is no node or instance"),
        (&["logs", "sender", "-n", "many"], "invalid value"),
        (&["logs"], "required"),
        (&["exec", "sender/0", "--", "ls"], "there is no node"),
        (&["exec", "sender"], "COMMAND"),
        (&["exec", "sender", "--"], "COMMAND"),
        (&["exec", "--", "ls"], "required"),
        (&["shell", "a", "b", "c"], "unexpected"),
        (&["open", "sender"], "2 values"),
        (&["open", "sender", "0"], "from 1 to 65535"),
        (&["open", "sender", "65536"], "from 1 to 65535"),
        (&["open", "sender", "http"], "from 1 to 65535"),
        (&["open", "80", "sender"], "from 1 to 65535"),
        (&["open", "sender", "80", "--path", "/a b"], "not allowed"),
        (&["open", "sender", "80", "--listen", "here"], "127.0.0.1"),
        (&["doctor", "extra"], "unexpected"),
    ] {
        let told = sandbox.run(arguments).expect(2);
        assert_eq!(told.stdout, "", "{arguments:?}");
        assert!(
            told.stderr.contains(words),
            "{arguments:?}:\n{}",
            told.stderr
        );
    }
}

#[test]
fn options_that_cannot_do_what_they_say_are_refused() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    for (options, words) in [
        (
            &["--on", "local", "--pace", "60"][..],
            "`--pace` is for simulated time",
        ),
        (
            &["--on", "local", "--pace", "jump"],
            "`--pace` is for simulated time",
        ),
        (
            &["--on", "local", "--sim-profile", "calm"],
            "`--sim-profile` is for the simulated cloud",
        ),
        (
            &["--on", "sim", "--isolation", "plain"],
            "`--isolation` is for instances on this machine",
        ),
        (
            &["--on", "local", "--isolation", "perfect"],
            "user-namespaces",
        ),
    ] {
        let arguments = [&["up", &file, "--yes"], options].concat();
        let told = sandbox.run(&arguments).expect(2);
        assert!(
            told.stderr.contains(words),
            "{arguments:?}:\n{}",
            told.stderr
        );
    }
    let text =
        std::fs::read_to_string(pair(&sandbox, "hello", "{min: 1}", "")).expect("it was written");
    sandbox.write(
        "mixed.yaml",
        &text.replace("type: sim, cores: 1", "type: local"),
    );
    let mixed = sandbox.run(&["up", "mixed.yaml", "--yes", "--pace", "60"]);
    let mixed = mixed.expect(2);
    assert!(mixed.stderr.contains("`local` is real"), "{}", mixed.stderr);
    assert!(!sandbox.state().exists(), "nothing was begun");
}

#[test]
fn what_has_no_end_ends_by_an_interrupt_with_a_code() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    for arguments in [&["events", "--follow"][..], &["status", "--watch"]] {
        assert_eq!(interrupted(&sandbox, arguments), Some(130), "{arguments:?}");
    }
}

#[test]
fn the_doctor_looks_and_changes_nothing() {
    let sandbox = Sandbox::new();
    let told = sandbox.run(&["doctor"]);
    let report = sandbox.run(&["doctor", "--output", "json"]);
    assert_eq!(told.code, report.code);
    let json = report.json();
    assert_eq!(
        (json["schema_version"].as_i64(), json["kind"].as_str()),
        (Some(1), Some("doctor"))
    );
    match json["isolation"].as_str() {
        Some(isolation) => {
            assert_eq!(report.code, Some(0), "{json}");
            assert!(told.stdout.contains(isolation), "{}", told.stdout);
            let facts = json["facts"].as_array().expect("a list of facts");
            assert!(!facts.is_empty(), "{json}");
            for fact in facts {
                let name = fact["name"].as_str().expect("a fact has a name");
                assert!(told.stdout.contains(name), "{name}:\n{}", told.stdout);
                let is_less = fact["standing"].as_str() != Some("good");
                assert!(
                    !is_less || fact["remedy"].is_string(),
                    "nothing to do: {fact}"
                );
            }
        }
        None => assert_eq!(report.code, Some(5), "{json}"),
    }
    assert!(!sandbox.state().exists(), "looking makes no state");
}
