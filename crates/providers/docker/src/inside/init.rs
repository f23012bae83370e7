//! The first process of a machine: lets user-data be carried out, starts what
//! an image needs, and buries the dead.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use zenekar_agent::{Report, Target, contextualise};

use super::{LOG, REPORT, TASK, Task, WORD};

/// The largest task that is read: user-data of clouds has some kilobytes.
const TASK_BYTES_MAX: u64 = 64 << 20;

/// Where programs are, for images that do not say.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often it is looked whether there are keys for the server of secure shells.
const LOOK_INTERVAL_MS: u16 = 1_000;

/// How long processes may take to end when the machine is asked to.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// The server of secure shells, where an image has one.
const SHELL_SERVER: &str = "/usr/sbin/sshd";

/// Runs as the role `init`, the first process of a container.
pub(crate) fn main() -> ExitCode {
    match Init::boot() {
        Ok(mut init) => {
            init.live();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "zenekar: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Init {
    signals: SignalFd,
    contextualising: Option<Pid>,
    has_shell_server: bool,
}

impl Init {
    fn boot() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let task = read_task()?;
        let mut init = Self {
            signals,
            contextualising: None,
            has_shell_server: false,
        };
        if let Some(words) = &task.command {
            start_command(words);
        }
        // A machine that is started again has been contextualised.
        if task.user_data.is_some() && !Path::new(REPORT).exists() {
            init.contextualising = Some(start_agent()?);
        }
        Ok(init)
    }

    /// Goes on until the machine is asked to end.
    fn live(&mut self) {
        loop {
            self.start_shell_server();
            let timeout = if self.has_shell_server {
                PollTimeout::NONE
            } else {
                PollTimeout::from(LOOK_INTERVAL_MS)
            };
            let mut polled = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let mut is_ending = false;
            while let Ok(Some(signal)) = self.signals.read_signal() {
                let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
                is_ending |= number != Signal::SIGCHLD as i32;
            }
            self.bury();
            if is_ending {
                end();
                return;
            }
        }
    }

    fn bury(&mut self) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let Some(pid) = status.pid() else {
                return;
            };
            if self.contextualising == Some(pid) {
                self.contextualising = None;
                let ended_well = matches!(status, WaitStatus::Exited(_, 0));
                let words = if ended_well {
                    "contextualisation has ended"
                } else {
                    "contextualisation was interrupted"
                };
                let _ = writeln!(io::stdout(), "zenekar: {words}");
            }
        }
    }

    /// Starts the server of secure shells once there are keys to come in with.
    fn start_shell_server(&mut self) {
        if self.has_shell_server {
            return;
        }
        if !Path::new(SHELL_SERVER).exists() && self.contextualising.is_none() {
            // It will not come any more.
            self.has_shell_server = true;
            return;
        }
        if !Path::new(SHELL_SERVER).exists() || !has_keys() || is_shell_server_there() {
            return;
        }
        self.has_shell_server = true;
        let _ = fs::create_dir_all("/run/sshd");
        let keys = Command::new("ssh-keygen").arg("-A").output();
        if let Err(error) = keys {
            let _ = writeln!(io::stderr(), "zenekar: cannot make host keys: {error}");
        }
        let started = Command::new(SHELL_SERVER)
            .args(["-D", "-e"])
            .stdin(Stdio::null())
            .spawn();
        if let Err(error) = started {
            let _ = writeln!(
                io::stderr(),
                "zenekar: cannot start `{SHELL_SERVER}`: {error}"
            );
        }
    }
}

/// Says whether anybody may come in with a key.
fn has_keys() -> bool {
    let homes = fs::read_dir("/home").into_iter().flatten().flatten();
    std::iter::once(PathBuf::from("/root"))
        .chain(homes.map(|home| home.path()))
        .any(|home| {
            fs::metadata(home.join(".ssh/authorized_keys")).is_ok_and(|keys| keys.len() > 0)
        })
}

/// User-data may have started the server itself.
fn is_shell_server_there() -> bool {
    fs::read_to_string("/run/sshd.pid")
        .is_ok_and(|pid| Path::new("/proc").join(pid.trim()).exists() && !pid.trim().is_empty())
}

/// Asks all processes to end, and kills those that do not.
fn end() {
    let all = Pid::from_raw(-1);
    let _ = kill(all, Signal::SIGTERM);
    let begun = Instant::now();
    while begun.elapsed() < END_PATIENCE {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(20)),
            Ok(_) => {}
            Err(_) => return,
        }
    }
    let _ = kill(all, Signal::SIGKILL);
}

fn read_task() -> io::Result<Task> {
    let mut text = Vec::new();
    File::open(TASK)
        .and_then(|file| file.take(TASK_BYTES_MAX).read_to_end(&mut text))
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read `{TASK}`: {error}")))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Returns how this process was started, up to the word that names roles: with
/// a loader of its own, the program's path alone would not do.
fn own_command() -> io::Result<Vec<OsString>> {
    let line = fs::read("/proc/self/cmdline")?;
    let words: Vec<OsString> = line
        .split(|one| *one == 0)
        .take_while(|word| *word != WORD.as_bytes())
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    Ok(words)
}

fn start_agent() -> io::Result<Pid> {
    let words = own_command()?;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::other("this process has no command line"))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(LOG)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args([WORD, "agent"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .env("HOME", "/root")
        .process_group(0);
    if std::env::var_os("PATH").is_none() {
        command.env("PATH", SEARCH_PATH);
    }
    let child = command.spawn()?;
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)))
}

fn start_command(words: &[String]) {
    let Some((program, arguments)) = words.split_first() else {
        return;
    };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    if let Err(error) = started {
        let _ = writeln!(io::stderr(), "zenekar: cannot run `{program}`: {error}");
    }
}

/// Runs as the role `agent`: carries user-data out, and writes down what came of it.
pub(crate) fn agent_main() -> ExitCode {
    match run_agent() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "zenekar: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_agent() -> io::Result<()> {
    let task = read_task()?;
    let log = OpenOptions::new().append(true).open(LOG)?;
    let target = Target {
        root: PathBuf::from("/"),
        instance_id: task.instance_id,
        host_name: task.host_name,
        revision: 0,
        can_administer: true,
    };
    let report = contextualise(task.user_data.unwrap_or_default().as_bytes(), &target, &log);
    write_report(&report)
}

/// Writes the report so that readers see all of it or nothing.
fn write_report(report: &Report) -> io::Result<()> {
    let new = format!("{REPORT}.new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    serde_json::to_writer(&mut file, report)?;
    file.sync_all()?;
    fs::rename(&new, REPORT)
}
