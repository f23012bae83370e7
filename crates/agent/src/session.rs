//! One contextualisation while it runs: its steps, its log, its commands.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::limits;
use crate::place::Place;
use crate::status::Status;
use crate::{Report, StepOutcome, StepReport, Target};

/// The stages, as cloud-init names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Init,
    Config,
    Final,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Config => "config",
            Self::Final => "final",
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) outcome: StepOutcome,
    pub(crate) exit_code: Option<i32>,
    pub(crate) message: String,
}

impl Ending {
    pub(crate) fn done() -> Self {
        Self::new(StepOutcome::Done, "")
    }

    /// It was done, but there is something to say about it.
    pub(crate) fn remark(message: impl Into<String>) -> Self {
        Self::new(StepOutcome::Done, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(StepOutcome::Failed, message)
    }

    pub(crate) fn impossible(message: impl Into<String>) -> Self {
        Self::new(StepOutcome::Impossible, message)
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(StepOutcome::Unknown, message)
    }

    fn new(outcome: StepOutcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            exit_code: None,
            message: message.into(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.outcome == StepOutcome::Done
    }
}

impl From<Result<(), String>> for Ending {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::done(),
            Err(message) => Self::failed(message),
        }
    }
}

/// A contextualisation that is under way.
pub(crate) struct Session<'t> {
    pub(crate) target: &'t Target,
    pub(crate) place: Place,
    log: &'t File,
    stage: Stage,
    report: Report,
    status: Status,
    /// The log inside the node, where people look for it.
    transcript: Option<File>,
    /// The log once more, for reading.
    source: Option<File>,
    copied: u64,
}

impl<'t> Session<'t> {
    pub(crate) fn new(target: &'t Target, log: &'t File) -> Self {
        // The log's own path may not exist inside the node, and it may have
        // been opened for writing only; this way leads to the same file. A
        // pipe or terminal is not opened again: reading would take from it.
        let regular = log.metadata().is_ok_and(|metadata| metadata.is_file());
        let source = regular
            .then(|| File::open(format!("/proc/self/fd/{}", log.as_raw_fd())).ok())
            .flatten();
        let mut session = Self {
            target,
            place: Place::new(&target.root),
            log,
            stage: Stage::Init,
            report: Report {
                revision: target.revision,
                steps: Vec::new(),
            },
            status: Status::default(),
            transcript: None,
            source,
            copied: 0,
        };
        session.copied = session.log_end();
        session
    }

    /// Starts to keep a copy of the log inside the node.
    pub(crate) fn open_transcript(&mut self) -> std::io::Result<()> {
        self.transcript = Some(
            self.place
                .append_to("/var/log/cloud-init-output.log", 0o640)?,
        );
        Ok(())
    }

    pub(crate) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.status.enter(&self.place, stage);
    }

    pub(crate) fn leave(&mut self) {
        self.status.leave(&self.place, self.stage);
    }

    pub(crate) fn finish(mut self) -> Report {
        self.status.finish(&self.place);
        self.copy_log();
        self.report
    }

    /// Carries a step out and reports it. Returns whether it was done.
    pub(crate) fn step(
        &mut self,
        module: &str,
        subject: impl Into<String>,
        work: impl FnOnce(&Self) -> Ending,
    ) -> bool {
        let subject = one_line(&subject.into());
        if self.report.steps.len() >= limits::STEPS_MAX {
            return false;
        }
        if self.report.steps.len() + 1 == limits::STEPS_MAX {
            let message = format!(
                "more than {} steps; the others are left out",
                limits::STEPS_MAX
            );
            self.add(
                module,
                subject,
                self.log_end(),
                Duration::ZERO,
                Ending::failed(message),
            );
            return false;
        }
        self.say(format_args!("{} {module}: {subject}", self.stage.name()));
        let start = self.log_end();
        let began = Instant::now();
        let ending = work(self);
        let done = ending.is_done();
        self.add(module, subject, start, began.elapsed(), ending);
        done
    }

    /// Reports a step that needs no work.
    pub(crate) fn note(&mut self, module: &str, subject: impl Into<String>, ending: Ending) {
        self.step(module, subject, |_| ending);
    }

    fn add(
        &mut self,
        module: &str,
        subject: String,
        output_start: u64,
        duration: Duration,
        ending: Ending,
    ) {
        let output_end = self.log_end();
        let message = one_line(&ending.message);
        let word = match ending.outcome {
            StepOutcome::Done => "note",
            StepOutcome::Failed => "failed",
            StepOutcome::Impossible => "not possible",
            StepOutcome::Unknown => "unknown",
        };
        if !message.is_empty() {
            self.say(format_args!("{word}: {message}"));
        }
        if ending.outcome == StepOutcome::Failed {
            self.status
                .add_error(self.stage, module, &subject, &message);
        }
        self.report.steps.push(StepReport {
            stage: self.stage.name().to_owned(),
            module: module.to_owned(),
            subject,
            outcome: ending.outcome,
            exit_code: ending.exit_code,
            message,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            output_start,
            output_end,
        });
        self.copy_log();
    }

    /// Writes a line to the log.
    pub(crate) fn say(&self, line: fmt::Arguments<'_>) {
        // A log that cannot be written must not stop the node from coming up.
        let _ = (&mut &*self.log).write_all(format!("[zenekar] {line}\n").as_bytes());
    }

    /// Writes text to the log as it is.
    pub(crate) fn print(&self, text: &str) {
        let _ = (&mut &*self.log).write_all(text.as_bytes());
    }

    fn log_end(&self) -> u64 {
        self.log.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Copies what was added to the log to the copy inside the node.
    fn copy_log(&mut self) {
        let (Some(source), Some(transcript)) = (&mut self.source, &mut self.transcript) else {
            return;
        };
        let copied = source
            .seek(SeekFrom::Start(self.copied))
            .and_then(|_| std::io::copy(&mut source.take(u64::MAX), transcript));
        match copied {
            Ok(count) => self.copied += count,
            // Without space inside the node the log itself is still there.
            Err(_) => self.transcript = None,
        }
    }

    /// Runs a command in the environment of the node; its output goes to the log.
    ///
    /// It inherits files and no pipe, so that what it leaves behind in the
    /// background keeps nobody waiting.
    pub(crate) fn run(&self, command: &mut Command) -> Ending {
        self.prepare(command);
        command.stdin(Stdio::null());
        match command.status() {
            Ok(status) => ending_of(status),
            Err(cause) => Ending::failed(cannot_start(command, &cause)),
        }
    }

    /// Runs a command with something on its standard input that must not be seen.
    pub(crate) fn run_with_input(&self, command: &mut Command, input: &[u8]) -> Ending {
        if input.len() > limits::INPUT_BYTES_MAX {
            return Ending::failed(format!(
                "more than {} bytes of input",
                limits::INPUT_BYTES_MAX
            ));
        }
        self.prepare(command);
        command.stdin(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(cause) => return Ending::failed(cannot_start(command, &cause)),
        };
        if let Some(mut pipe) = child.stdin.take() {
            // Who does not read it ends with a status that tells more.
            let _ = pipe.write_all(input);
        }
        match child.wait() {
            Ok(status) => ending_of(status),
            Err(cause) => Ending::failed(format!("cannot wait for it: {cause}")),
        }
    }

    fn prepare(&self, command: &mut Command) {
        let output = || {
            self.log
                .try_clone()
                .map_or_else(|_| Stdio::null(), Stdio::from)
        };
        command
            .current_dir(self.place.root())
            .stdout(output())
            .stderr(output())
            .env("INSTANCE_ID", &self.target.instance_id)
            .env("ZENEKAR_ROOT", self.place.root())
            .env("HOME", self.place.of("/root"));
        command.env("PATH", search_path());
        if !self.target.can_administer {
            command.env("TMPDIR", self.place.of("/tmp"));
        }
    }
}

/// Where programs are. Whoever started this may know more folders, and may lack
/// those for root.
const USUAL_FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

fn search_path() -> OsString {
    let given = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&given)
        .filter(|folder| folder.is_absolute())
        .collect();
    for usual in USUAL_FOLDERS.map(PathBuf::from) {
        if !folders.contains(&usual) {
            folders.push(usual);
        }
    }
    // What was split at the separator can be joined again.
    std::env::join_paths(folders).unwrap_or(given)
}

fn cannot_start(command: &Command, cause: &std::io::Error) -> String {
    format!("cannot run `{}`: {cause}", command.get_program().display())
}

fn ending_of(status: ExitStatus) -> Ending {
    let mut ending = match (status.code(), status.signal()) {
        (Some(0), _) => Ending::done(),
        (Some(code), _) => Ending::failed(format!("exit status {code}")),
        (None, Some(signal)) => Ending::failed(format!("killed by signal {signal}")),
        (None, None) => Ending::failed(format!("ended in an unknown way: {status}")),
    };
    ending.exit_code = status.code();
    ending
}

/// Returns the first line of a text, shortened if need be.
pub(crate) fn one_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or("").trim_end();
    let cut: String = first.chars().take(limits::LINE_CHARS_MAX).collect();
    if cut.len() < first.len() || lines.next().is_some() {
        format!("{cut} …")
    } else {
        cut
    }
}
