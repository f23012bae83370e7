//! What the processes of a network have in common: how they are started, how they are stopped, and when they end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::inside::role;
use crate::{LocalError, lock};

/// How long a process may take until it is ready; a loaded machine takes a tenth of a second.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// How long the kernel may take to end a process that cannot refuse.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A log that is longer is begun anew at the next start.
const LOG_BYTES_MAX: u64 = 256 * 1024;

/// The longest first line of a process that starts.
const GREETING_BYTES_MAX: u64 = 16 * 1024;

/// Tells apart what a process says first.
const READY: &str = "ready: ";

/// Tells what a process says that fails for want of space.
const LACKS_SPACE: &str = "lacks space: ";

/// A process to start.
pub(super) struct Start<'a> {
    pub(super) executable: &'a Path,
    /// The hidden role that it has.
    pub(super) role: &'static str,
    pub(super) directory: &'a Path,
    pub(super) arguments: Vec<String>,
    pub(super) log: PathBuf,
}

impl Start<'_> {
    /// Starts the process and waits until it says that it is ready; returns what it adds to that.
    pub(super) fn run(self) -> Result<String, LocalError> {
        let log = open_log(&self.log).map_err(LocalError::file("open", &self.log))?;
        let mut child = role(self.executable, self.role)
            .arg(self.directory)
            .args(&self.arguments)
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(LocalError::file("start", self.executable))?;
        let greeting = read_greeting(&mut child);
        if let Some(word) = greeting.trim_end().strip_prefix(READY) {
            let word = word.to_owned();
            reap(child);
            return Ok(word);
        }
        // It said why, or said nothing in time; in both cases it is of no use.
        let _ = child.kill();
        let reason = match child.wait() {
            Ok(status) if greeting.is_empty() => format!("it ended without a word ({status})"),
            _ => greeting.trim_end().to_owned(),
        };
        let (reason, lacks_space) = match reason.strip_prefix(LACKS_SPACE) {
            Some(rest) => (rest.to_owned(), true),
            None => (reason, false),
        };
        Err(LocalError::start(self.role, reason, lacks_space))
    }
}

/// Reads until the process closes its output; nothing if that takes too long.
fn read_greeting(child: &mut Child) -> String {
    let Some(output) = child.stdout.take() else {
        return String::new();
    };
    let deadline = Instant::now() + START_PATIENCE;
    let mut greeting = Vec::new();
    let mut output = output.take(GREETING_BYTES_MAX);
    loop {
        let mut descriptors = [PollFd::new(output.get_ref().as_fd(), PollFlags::POLLIN)];
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut descriptors, timeout(left)) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(0) => return format!("it was not ready after {START_PATIENCE:?}"),
            _ => {}
        }
        let mut piece = [0; 1024];
        match output.read(&mut piece) {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&greeting).into_owned(),
            Ok(count) => greeting.extend_from_slice(&piece[..count]),
        }
        if greeting.ends_with(b"\n") {
            return String::from_utf8_lossy(&greeting).into_owned();
        }
    }
}

/// Waits for the process's end in the background, so that no zombie stays for as long as this process lives.
fn reap(mut child: Child) {
    let waiter = std::thread::Builder::new()
        .name("reaper".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || child.wait());
    // Without a thread the zombie stays until this process ends: no harm.
    drop(waiter);
}

fn open_log(path: &Path) -> io::Result<File> {
    let is_long = fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX);
    OpenOptions::new()
        .create(true)
        .append(!is_long)
        .write(true)
        .truncate(is_long)
        .mode(0o600)
        .open(path)
}

/// Says, as a process that [`Start`] started, that it is ready.
pub(super) fn tell_ready(word: &str) {
    greet(&format!("{READY}{word}"));
}

/// Says, as a process that [`Start`] started, why it cannot go on.
pub(super) fn tell_failure(error: &LocalError) {
    let line = error.chain();
    if error.lacks_space() {
        greet(&format!("{LACKS_SPACE}{line}"));
    } else {
        greet(&line);
    }
    log(&line);
}

/// Says the first and last word to whoever started this process.
pub(super) fn greet(line: &str) {
    let mut output = io::stdout();
    // Whoever started this process may have been killed meanwhile.
    let _ = writeln!(output, "{}", line.replace('\n', " "));
    let _ = output.flush();
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(null);
    }
}

/// Leaves the session of whoever started this process: what ends a terminal must not end a network.
pub(super) fn leave_session() {
    // It fails only for the leader of a group, which is nobody's terminal's.
    let _ = nix::unistd::setsid();
}

/// Whether the file that a process lives for is still there.
pub(super) struct Presence {
    path: PathBuf,
    identity: (u64, u64),
}

impl Presence {
    pub(super) fn of(path: &Path) -> Result<Self, LocalError> {
        let metadata = fs::metadata(path).map_err(LocalError::file("examine", path))?;
        Ok(Self {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    pub(super) fn lasts(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(metadata) => (metadata.dev(), metadata.ino()) == self.identity,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ),
        }
    }
}

/// Ends the process that holds a lock, and waits until it is gone.
///
/// It is not asked first: all that it has goes with it.
pub(super) fn end_holder(lock_path: &Path) -> Result<(), LocalError> {
    let Some(process) = holder(lock_path)? else {
        return Ok(());
    };
    let Some(raw) = rustix::process::Pid::from_raw(process.as_raw()) else {
        return Ok(());
    };
    let handle = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(handle) => handle,
        // It ended just now.
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => {
            return Err(LocalError::system(format!("watch process {process}"))(
                error,
            ));
        }
    };
    // The pid may have become another process's before the handle was opened.
    if holder(lock_path)? != Some(process) {
        return Ok(());
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => {
            return Err(LocalError::system(format!("end process {process}"))(error));
        }
    }
    let deadline = Instant::now() + KILL_PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut descriptors = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout(left)) {
            Err(nix::errno::Errno::EINTR) => {}
            Ok(0) => {
                return Err(LocalError::System {
                    operation: format!("end process {process}"),
                    source: io::ErrorKind::TimedOut.into(),
                });
            }
            _ => return Ok(()),
        }
    }
}

pub(super) fn holder(lock_path: &Path) -> Result<Option<Pid>, LocalError> {
    lock::holder(lock_path).map_err(LocalError::file("examine the lock", lock_path))
}

fn timeout(duration: Duration) -> PollTimeout {
    // One millisecond more, so that waiting never ends just before its deadline.
    PollTimeout::try_from(duration + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}

/// Writes a line to the process's log.
pub(super) fn log(line: &str) {
    // There is nobody left to tell that the log is full.
    let _ = writeln!(io::stderr(), "{line}");
}
