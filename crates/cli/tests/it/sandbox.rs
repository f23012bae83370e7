//! A place of its own for each test: state, cloud, files, environment.

use std::fmt::Write as _;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with everything that a test leaves behind.
pub(crate) struct Sandbox {
    directory: TempDir,
}

/// What a run of the command said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Fails the test if the command did not end with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Reads stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }

    /// Returns both streams with times and paths replaced, for snapshots.
    pub(crate) fn filtered(&self) -> String {
        let mut text = format!("exit code {}\n", self.code.unwrap_or(-1));
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "--- {name}\n{}", filter(stream));
            }
        }
        text
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().expect("the system has a place for temporary files"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a file, folders included.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("the sandbox is above"))
            .expect("the sandbox can be written");
        std::fs::write(&path, text).expect("the sandbox can be written");
        path
    }

    /// Returns the command, ready to be started in this place only.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zenekar"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("TZ", "UTC")
            .env("ZENEKAR_STATE_DIR", self.state())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    /// Runs the command, which has to succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).expect(0)
    }

    /// Returns what is truly in the simulated cloud.
    pub(crate) fn cloud(&self) -> Value {
        self.ok(&["sim", "show", "--output", "json"]).json()
    }

    /// Returns the names of the machines that exist, sorted.
    pub(crate) fn machines(&self) -> Vec<String> {
        let cloud = self.cloud();
        let machines = cloud["machines"].as_array().expect("a list of machines");
        let mut names: Vec<String> = machines
            .iter()
            .map(|machine| machine["name"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    }
}

/// Runs a prepared command to its end.
pub(crate) fn run(mut command: Command) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary was built");
    Run {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Returns the path of an example of the repository, or of a descriptor that
/// these tests have for themselves: `hello` as machines of the simulated cloud.
pub(crate) fn example(name: &str) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/descriptors");
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let folder = if own.join(name).is_dir() { own } else { public };
    folder
        .join(name)
        .join("infrastructure.yaml")
        .display()
        .to_string()
}

/// Replaces what differs from run to run: times, spans of time, paths.
pub(crate) fn filter(text: &str) -> String {
    let mut filtered = String::new();
    for line in text.split_inclusive('\n') {
        let words: Vec<String> = line.split(' ').map(filter_word).collect();
        let line = words.join(" ").replace("[date] [clock]", "[time]");
        let trimmed = line.trim_start();
        filtered.push_str(if trimmed.starts_with("[span]") {
            trimmed
        } else {
            &line
        });
    }
    filtered
}

fn filter_word(word: &str) -> String {
    let core = word
        .trim_matches(|letter: char| matches!(letter, '`' | ',' | '.' | ';' | '\n' | '(' | ')'));
    let replacement = if is_span(core) {
        "[span]"
    } else if is_shape(core, "0000-00-00") {
        "[date]"
    } else if is_shape(core, "00:00:00") {
        "[clock]"
    } else if let Some(end) = core.strip_prefix(env!("CARGO_MANIFEST_DIR")) {
        return word.replace(core, &format!("[crate]{end}"));
    } else {
        return word.to_owned();
    };
    word.replace(core, replacement)
}

fn is_shape(word: &str, shape: &str) -> bool {
    word.len() == shape.len()
        && word.bytes().zip(shape.bytes()).all(|(one, pattern)| {
            if pattern == b'0' {
                one.is_ascii_digit()
            } else {
                one == pattern
            }
        })
}

/// Recognises `380ms`, `13.1s`, `1m05s`, `2h03m`.
fn is_span(word: &str) -> bool {
    let units = word.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let starts_with_digit = word.starts_with(|letter: char| letter.is_ascii_digit());
    let rest: String = units
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect();
    starts_with_digit && matches!(rest.as_str(), "ms" | "s" | "m" | "h" | "hm")
        || (starts_with_digit && rest == "ms" && word.contains('m'))
}

#[test]
fn the_filter_knows_times() {
    assert_eq!(
        filter("  380ms  a, after 1m05s of 2h03m\n"),
        "[span]  a, after [span] of [span]\n"
    );
    assert_eq!(
        filter("2026-11-23 03:02:07  x 10.0.0.1 3 15\n"),
        "[time]  x 10.0.0.1 3 15\n"
    );
}
