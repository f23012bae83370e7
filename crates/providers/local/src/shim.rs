//! The shim: stands beside one instance as long as it runs.
//!
//! It stays in the machine's own file system and in the infrastructure's
//! network. It starts the instance's init, gives it network and limits, writes
//! down how far it is, and answers questions from outside. As long as it holds
//! its lock, the instance runs; if it dies, the instance dies with it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use zenekar_agent::Report;
use zenekar_probe::{HostNetwork, Network};

use crate::control::{self, Link};
use crate::inside::service::MARK;
use crate::inside::{SELF, role};
use crate::layout::InstancePaths;
use crate::lock::ProcessLock;
use crate::network;
use crate::processes;
use crate::state::{
    self, Answer, Contextualisation, Description, FromInit, Phase, Question, SocketKind, Started,
    Status, ToInit,
};
use crate::{Isolation, LocalError, limits};

/// How often the shim looks whether its directory is still there, in milliseconds.
const LOOK_INTERVAL_MS: u16 = 2000;

/// How long processes without a namespace of their own may take to end.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Runs as the role `shim`: the arguments are the instance's directory, the
/// state directory's network switch (0 for none), and nothing more.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let directory = arguments.next().map(PathBuf::from);
    let switch = arguments
        .next()
        .and_then(|text| text.to_str()?.parse::<i32>().ok());
    let (Some(directory), Some(switch)) = (directory, switch) else {
        return ExitCode::FAILURE;
    };
    // The terminal of whoever started the instance must not reach it.
    let _ = nix::unistd::setsid();
    match Shim::start(InstancePaths::new(directory), switch) {
        Ok(mut shim) => {
            greet(&Started::Up);
            shim.live();
            ExitCode::SUCCESS
        }
        Err(error) => {
            greet(&Started::Failed {
                reason: error.chain(),
                lacks_space: error.lacks_space(),
            });
            ExitCode::FAILURE
        }
    }
}

/// Says how the start went, and lets go of whoever waits for it.
fn greet(started: &Started) {
    if let Ok(text) = serde_json::to_string(started) {
        let _ = writeln!(io::stdout(), "{text}");
    }
    if let Ok(null) = fs::File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

struct Shim {
    paths: InstancePaths,
    description: Description,
    init: Child,
    link: Link,
    listener: UnixListener,
    signals: SignalFd,
    status: Status,
    _lock: ProcessLock,
}

impl Shim {
    fn start(paths: InstancePaths, switch: i32) -> Result<Self, LocalError> {
        let lock_path = paths.lock();
        let lock = ProcessLock::try_take(&lock_path)
            .map_err(LocalError::file("lock", &lock_path))?
            .ok_or_else(|| LocalError::Invalid("the instance runs already".to_owned()))?;
        let path = paths.description();
        let description: Description = state::read(&path)
            .map_err(LocalError::file("read", &path))?
            .ok_or_else(|| LocalError::NotFound("the instance was deleted".to_owned()))?;
        let control_path = paths.control();
        let listener =
            control::listen(&control_path).map_err(LocalError::file("listen at", &control_path))?;
        if description.isolation != Isolation::Plain {
            network::enter(Pid::from_raw(switch), description.isolation)?;
            unshare(CloneFlags::CLONE_NEWPID)
                .map_err(LocalError::system("make a namespace of processes"))?;
        }
        if description.isolation == Isolation::Plain {
            // What leaves its parents comes here, and is found when the instance ends.
            prctl::set_child_subreaper(true)
                .map_err(LocalError::system("look after all processes"))?;
        }
        let signals = processes::block_signals()?;
        let (init, link) = start_init(&paths, &description)?;
        let mut shim = Self {
            paths,
            description,
            status: Status {
                phase: Phase::Running,
                init_pid: i32::try_from(init.id()).unwrap_or(i32::MAX),
                revision: 0,
                contextualised: None,
                detail: None,
            },
            init,
            link,
            listener,
            signals,
            _lock: lock,
        };
        match shim.bring_up() {
            Ok(()) => Ok(shim),
            Err(error) => {
                shim.end_init();
                Err(error)
            }
        }
    }

    fn bring_up(&mut self) -> Result<(), LocalError> {
        self.expect(|message| matches!(message, FromInit::Separated))?;
        let missing = limits::apply(
            &self.description.mark,
            self.description.limits,
            self.init.id(),
        );
        if !missing.is_empty() {
            self.status.detail = Some(format!("limits not enforced: {}", missing.join(", ")));
        }
        if let Some(number) = self
            .description
            .subnet
            .and_then(|subnet| subnet.number(self.description.address))
        {
            network::attach(Pid::from_raw(self.status.init_pid), number)?;
        }
        let hosts = fs::read_to_string(self.paths.root().join("hosts")).unwrap_or_default();
        self.tell(&ToInit::Go { hosts })?;
        self.expect(|message| matches!(message, FromInit::Booted))?;
        let contextualisation = self.contextualisation()?;
        self.status.revision = contextualisation.revision;
        self.write_status()?;
        self.tell(&ToInit::Contextualise(contextualisation))
    }

    fn contextualisation(&self) -> Result<Contextualisation, LocalError> {
        let path = self.paths.contextualisation();
        state::read(&path)
            .map_err(LocalError::file("read", &path))?
            .ok_or_else(|| LocalError::Invalid(format!("`{}` is broken", path.display())))
    }

    fn tell(&self, message: &ToInit) -> Result<(), LocalError> {
        self.link
            .send(message)
            .map_err(LocalError::system("talk to the instance's init"))
    }

    fn expect(&mut self, is_it: impl Fn(&FromInit) -> bool) -> Result<(), LocalError> {
        let message = self
            .link
            .next::<FromInit>()
            .map_err(LocalError::system("hear from the instance's init"))?;
        match message {
            FromInit::Failed {
                reason,
                lacks_space,
            } => Err(LocalError::start(
                "the instance's init",
                reason,
                lacks_space,
            )),
            message if is_it(&message) => Ok(()),
            other => Err(LocalError::Invalid(format!("the init said {other:?}"))),
        }
    }

    fn write_status(&self) -> Result<(), LocalError> {
        let path = self.paths.status();
        state::write(&path, &self.status).map_err(LocalError::file("write", &path))
    }

    /// Serves until the instance ends, is deleted, or is asked to end.
    fn live(&mut self) {
        loop {
            let mut descriptors = [
                PollFd::new(self.link.stream().as_fd(), PollFlags::POLLIN),
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut descriptors, PollTimeout::from(LOOK_INTERVAL_MS));
            let [spoken, asked, signalled] =
                descriptors.map(|descriptor| descriptor.any().unwrap_or(false));
            let wants_end = signalled && self.is_asked_to_end();
            if spoken && !self.listen_to_init() {
                break;
            }
            if asked && let Ok((stream, _)) = self.listener.accept() {
                let _ = self.answer(&stream);
            }
            if wants_end || !self.paths.description().exists() {
                break;
            }
            if let Ok(Some(_)) = self.init.try_wait() {
                break;
            }
        }
        let how = self.end_init();
        self.status.phase = Phase::Ended;
        self.status.detail = Some(how);
        // Whoever deletes the instance removes the directory, or has done so.
        if self.paths.description().exists() {
            let _ = self.write_status();
        }
    }

    fn is_asked_to_end(&self) -> bool {
        let mut is_asked = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            is_asked |= signal.ssi_signo == Signal::SIGTERM as u32;
        }
        is_asked
    }

    /// Takes what the init says; false when it says nothing any more.
    fn listen_to_init(&mut self) -> bool {
        loop {
            match self.link.next::<FromInit>() {
                Ok(FromInit::Contextualised { report }) => self.contextualised(&report),
                Ok(FromInit::CommandEnded { detail }) => {
                    self.status.detail = Some(detail);
                    let _ = self.write_status();
                }
                Ok(_) => {}
                Err(_) => return false,
            }
            if !self.link.has_message() {
                return true;
            }
        }
    }

    fn contextualised(&mut self, report: &Report) {
        let path = self.paths.report();
        let _ = state::write(&path, report);
        self.status.contextualised = Some(report.revision);
        let failed = report.troubles().count();
        if failed > 0 {
            self.status.detail = Some(format!(
                "{failed} of {} steps of the contextualisation did not succeed",
                report.steps.len()
            ));
        }
        let _ = self.write_status();
    }

    fn answer(&mut self, stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(control::PATIENCE))?;
        stream.set_write_timeout(Some(control::PATIENCE))?;
        let (question, _) = control::receive::<Question>(stream)?;
        let done = match question {
            Question::Contextualise => self.contextualise_again().map(|()| None),
            Question::Hosts(hosts) => self.tell(&ToInit::Hosts(hosts)).map(|()| None),
            Question::Socket(kind) => make_socket(kind).map(Some),
        };
        let (error, descriptor) = match done {
            Ok(descriptor) => (None, descriptor),
            Err(error) => (Some(error.chain()), None),
        };
        let descriptor = descriptor.as_ref().map(AsFd::as_fd);
        control::send(stream, &Answer { error }, descriptor)
    }

    fn contextualise_again(&mut self) -> Result<(), LocalError> {
        let wanted = self.contextualisation()?;
        if wanted.revision <= self.status.revision {
            return Ok(());
        }
        self.status.revision = wanted.revision;
        self.write_status()?;
        self.tell(&ToInit::Contextualise(wanted))
    }

    /// Ends all processes of the instance; returns how its init ended.
    fn end_init(&mut self) -> String {
        limits::thaw(&self.description.mark);
        let before = self.init.try_wait().ok().flatten();
        let _ = self.init.kill();
        // With its init, the kernel ends all processes of the namespace, before this returns.
        let status = self.init.wait().ok();
        if self.description.isolation == Isolation::Plain {
            end_below();
            end_marked(&self.description);
        }
        processes::wait_until(KILL_PATIENCE, || limits::remove(&self.description.mark));
        match before.or(status) {
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("its init ended with exit code {code}"),
                (None, Some(signal)) => format!("its init was ended by signal {signal}"),
                (None, None) => "its init ended".to_owned(),
            },
            None => "its init ended".to_owned(),
        }
    }
}

/// Ends all processes below this one.
fn end_below() {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    processes::wait_until(KILL_PATIENCE, || {
        // Those that have ended wait for this process to end too.
        let left: Vec<i32> = processes::tree(own)
            .into_iter()
            .filter(|(pid, process)| *pid != own && !matches!(process.state, 'Z' | 'X'))
            .map(|(pid, _)| pid)
            .collect();
        for pid in &left {
            let _ = processes::signal(*pid, Signal::SIGKILL);
        }
        left.is_empty()
    });
}

/// Ends the processes of an instance that have no namespace of their own, as
/// far as they have kept the environment that they were started with.
pub(crate) fn end_marked(description: &Description) {
    let variable = format!("{MARK}={}", description.mark);
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    processes::wait_until(KILL_PATIENCE, || {
        let left: Vec<i32> = processes::with_environment(&variable)
            .into_iter()
            .filter(|pid| *pid != own && processes::is_alive(*pid))
            .collect();
        for pid in &left {
            let _ = processes::signal(*pid, Signal::SIGKILL);
        }
        left.is_empty()
    });
}

fn start_init(
    paths: &InstancePaths,
    description: &Description,
) -> Result<(Child, Link), LocalError> {
    let (ours, theirs) = UnixStream::pair().map_err(LocalError::system("make a connection"))?;
    let console_path = paths.console_log();
    let console = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&console_path)
        .map_err(LocalError::file("open", &console_path))?;
    let errors = console
        .try_clone()
        .map_err(LocalError::file("open", &console_path))?;
    let init = role(SELF, "init")
        .arg(paths.root())
        .env_clear()
        .env("PATH", crate::inside::service::SEARCH_PATH)
        .env(MARK, &description.mark)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(console)
        .stderr(errors)
        .spawn()
        .map_err(LocalError::system("start the instance's init"))?;
    Ok((init, Link::new(ours)))
}

fn make_socket(kind: SocketKind) -> Result<OwnedFd, LocalError> {
    let network = HostNetwork;
    let made = match kind {
        SocketKind::Tcp => network.tcp(),
        // Root of the namespace may always; others only if the machine's settings say so.
        SocketKind::Icmp => raw_icmp().or_else(|_| network.icmp()),
    };
    made.map(OwnedFd::from).map_err(LocalError::system(
        "make a socket in the infrastructure's network",
    ))
}

fn raw_icmp() -> io::Result<socket2::Socket> {
    socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::RAW,
        Some(socket2::Protocol::ICMPV4),
    )
}
