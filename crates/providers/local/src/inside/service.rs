//! Processes that an instance's init starts: the contextualisation and a container's command.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use zenekar_agent::{Report, Target, contextualise};

use super::confine::confine;
use super::{SELF, role};
use crate::{Isolation, LocalError};

/// Where programs are looked for inside.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Marks the processes of an instance, so that they are found again where they
/// have no namespace of their own.
pub(crate) const MARK: &str = "ZENEKAR_INSTANCE";

/// The largest report that is read back.
const REPORT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where an instance's processes run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) isolation: Isolation,
    /// The root: `/`, or a directory where the instance has no root of its own.
    pub(crate) root: PathBuf,
    pub(crate) host_name: String,
    pub(crate) instance_id: String,
    /// What its processes are marked with.
    pub(crate) mark: String,
    /// The instance's address; services without a network of their own listen on it.
    pub(crate) address: String,
}

impl Place {
    /// Returns the environment that processes inside start with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = vec![
            ("HOME", self.root.join("root").into_os_string()),
            ("LANG", "C.UTF-8".into()),
            ("LOGNAME", "root".into()),
            ("PATH", SEARCH_PATH.into()),
            ("SHELL", "/bin/sh".into()),
            ("USER", "root".into()),
            ("ZENEKAR_ADDRESS", self.address.clone().into()),
            ("ZENEKAR_ISOLATION", self.isolation.name().into()),
            (MARK, self.mark.clone().into()),
        ];
        if self.isolation == Isolation::Plain {
            environment.push(("TMPDIR", self.root.join("tmp").into_os_string()));
            environment.push(("ZENEKAR_ROOT", self.root.clone().into_os_string()));
        }
        environment
    }
}

/// What the role `agent` reads from its standard input.
#[derive(Serialize, Deserialize)]
struct Task {
    place: Place,
    revision: u32,
    user_data: String,
}

/// A contextualisation that runs.
pub(crate) struct Running {
    pub(crate) pid: i32,
    pub(crate) revision: u32,
    report: File,
}

impl Running {
    /// Starts the contextualisation in a process of its own.
    pub(crate) fn start(
        place: &Place,
        revision: u32,
        user_data: String,
        log: &File,
    ) -> Result<Self, LocalError> {
        let failed = || LocalError::system::<io::Error>("start the contextualisation");
        let task = Task {
            place: place.clone(),
            revision,
            user_data,
        };
        let mut input = memory_file("task").map_err(failed())?;
        serde_json::to_writer(&mut input, &task)
            .map_err(io::Error::from)
            .and_then(|()| input.rewind())
            .map_err(failed())?;
        let report = memory_file("report").map_err(failed())?;
        let output = report.try_clone().map_err(failed())?;
        let child = command(place, "agent")
            .stdin(input)
            .stdout(output)
            .stderr(log.try_clone().map_err(failed())?)
            .spawn()
            .map_err(failed())?;
        Ok(Self {
            pid: pid_of(&child),
            revision,
            report,
        })
    }

    /// Reads the report of a contextualisation that has ended.
    pub(crate) fn report(mut self) -> Report {
        let mut text = Vec::new();
        let read = self
            .report
            .rewind()
            .and_then(|()| (&self.report).take(REPORT_BYTES_MAX).read_to_end(&mut text));
        match read.map(|_| serde_json::from_slice(&text)) {
            Ok(Ok(report)) => report,
            _ => interrupted(self.revision),
        }
    }
}

/// Returns the report of a contextualisation that did not come to its end.
fn interrupted(revision: u32) -> Report {
    Report {
        revision,
        steps: vec![zenekar_agent::StepReport {
            stage: "final".to_owned(),
            module: "agent".to_owned(),
            subject: "contextualisation".to_owned(),
            outcome: zenekar_agent::StepOutcome::Failed,
            exit_code: None,
            message: "it was interrupted".to_owned(),
            duration_ms: 0,
            output_start: 0,
            output_end: 0,
        }],
    }
}

/// Starts a container's command. It goes on beside the contextualisation.
pub(crate) fn start_command(
    place: &Place,
    arguments: &[String],
    environment: &[(String, String)],
) -> Result<i32, LocalError> {
    let child = command(place, "run")
        .arg(place.isolation.name())
        .arg(&place.root)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        // Without it the command would not be found again.
        .env(MARK, &place.mark)
        .stdin(Stdio::null())
        .spawn()
        .map_err(LocalError::system("start the command"))?;
    Ok(pid_of(&child))
}

/// Begins a command that runs this program inside.
fn command(place: &Place, name: &str) -> Command {
    let mut command = role(SELF, name);
    command
        .env_clear()
        .envs(place.environment())
        .current_dir(&place.root)
        .process_group(0);
    command
}

fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or(i32::MAX)
}

fn memory_file(name: &str) -> io::Result<File> {
    let descriptor: OwnedFd = memfd_create(name, MemfdFlags::CLOEXEC)?;
    Ok(File::from(descriptor))
}

/// Runs as the role `agent`: the task comes in, the report goes out, and what
/// is done and printed goes to standard error.
pub(crate) fn agent_main() -> ExitCode {
    match run_agent() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "zenekar: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn run_agent() -> Result<(), LocalError> {
    let broken = || LocalError::system::<io::Error>("read what to contextualise with");
    let task: Task = serde_json::from_reader(io::stdin().lock())
        .map_err(io::Error::from)
        .map_err(broken())?;
    confine(task.place.isolation, &task.place.root)?;
    let log = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)
        .map(File::from)
        .map_err(LocalError::system("use the log"))?;
    let target = Target {
        root: task.place.root.clone(),
        instance_id: task.place.instance_id.clone(),
        host_name: task.place.host_name.clone(),
        revision: task.revision,
        can_administer: task.place.isolation != Isolation::Plain,
    };
    let report = contextualise(task.user_data.as_bytes(), &target, &log);
    serde_json::to_writer(io::stdout().lock(), &report)
        .map_err(io::Error::from)
        .map_err(LocalError::system::<io::Error>("tell what came of it"))
}

/// Runs as the role `run`: the arguments are the isolation, the root, and the command.
pub(crate) fn run_main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let isolation = arguments
        .next()
        .and_then(|text| text.to_str()?.parse::<Isolation>().ok());
    let root = arguments.next().map(PathBuf::from);
    let (Some(isolation), Some(root), Some(program)) = (isolation, root, arguments.next()) else {
        let _ = writeln!(io::stderr(), "zenekar: there is nothing to run");
        return ExitCode::from(NOT_RUNNABLE);
    };
    if let Err(error) = confine(isolation, &root) {
        let _ = writeln!(io::stderr(), "zenekar: {}", error.chain());
        return ExitCode::from(NOT_RUNNABLE);
    }
    let error = Command::new(&program).args(arguments).exec();
    let _ = writeln!(
        io::stderr(),
        "zenekar: cannot run `{}`: {error}",
        Path::new(&program).display()
    );
    ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_RUNNABLE,
    })
}

/// What shells answer when a program cannot be run.
pub(crate) const NOT_RUNNABLE: u8 = 126;
/// What shells answer when there is no such program.
pub(crate) const NOT_FOUND: u8 = 127;
