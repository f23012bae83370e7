//! Tasks in a process of their own: this test binary runs itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use zenekar_store::{HolderInfo, StoreError};

use crate::support::{NOW, TTL, append_numbered, id, open};

const TASK: &str = "ZENEKAR_STORE_TEST_TASK";
const DIRECTORY: &str = "ZENEKAR_STORE_TEST_DIRECTORY";

/// How a task ended.
pub(crate) enum Outcome {
    Done(String),
    Skipped(String),
}

/// Prepares this binary to run one task.
pub(crate) fn command(task: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child::task", "--exact", "--nocapture"])
        .env(TASK, task)
        .env(DIRECTORY, directory);
    command
}

/// Runs a task to its end as a user whom permissions bind.
pub(crate) fn run_unprivileged(task: &str, directory: &Path) -> Outcome {
    let mut command = command(task, directory);
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    match command.output() {
        Ok(output) => {
            let text =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "the task failed: {text}");
            Outcome::Done(text)
        }
        Err(error) => Outcome::Skipped(format!(
            "another user cannot run this test binary ({error})"
        )),
    }
}

/// Not a test of its own: what the child processes do.
#[test]
fn task() {
    let (Ok(task), Some(directory)) = (std::env::var(TASK), std::env::var_os(DIRECTORY)) else {
        return;
    };
    let directory = Path::new(&directory);
    match task.as_str() {
        "append" => append_until_killed(directory),
        "hold" => hold_until_told(directory),
        "read-only-directory" => crate::limits::use_read_only_directory(directory),
        other => panic!("there is no task `{other}`"),
    }
    say("done");
}

fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{text}").unwrap();
    output.flush().unwrap();
}

/// Appends for ever and says each confirmed number.
fn append_until_killed(directory: &Path) {
    let mut store = open(directory);
    let this = HolderInfo::this_process("append");
    let lease = store
        .acquire(&id("demo"), &this, NOW, TTL, &HolderInfo::is_alive_here)
        .unwrap();
    let first = store.load(&id("demo")).unwrap().last_sequence + 1;
    for number in first..first + 100_000 {
        append_numbered(&mut store, &lease, number, number);
        say(&format!("confirmed {number}"));
        if number % 50 == 0 {
            store
                .write_snapshot(&lease, number, 1, format!("state {number}").as_bytes())
                .unwrap();
        }
    }
}

/// Holds the lease until its input ends.
fn hold_until_told(directory: &Path) {
    let mut store = open(directory);
    let this = HolderInfo::this_process("hold");
    store
        .acquire(&id("demo"), &this, NOW, TTL, &HolderInfo::is_alive_here)
        .unwrap();
    say("held");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_process_keeps_others_out_until_it_dies() {
    let (directory, mut store) = crate::support::store_with_demo();
    let mut holder = command("hold", directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(
        lines.map_while(Result::ok).any(|line| line == "held"),
        "the child never got the lease"
    );
    let this = HolderInfo::this_process("test");
    let mut try_it = || store.acquire(&id("demo"), &this, NOW, TTL, &HolderInfo::is_alive_here);
    let error = try_it().unwrap_err();
    assert!(
        matches!(&error, StoreError::LeaseHeld { holder: held, .. } if held.pid == holder.id()),
        "{error:?}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(
        try_it().unwrap().fence(),
        2,
        "taken over at once, without waiting for the time to live"
    );
}
