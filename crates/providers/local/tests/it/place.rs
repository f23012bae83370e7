//! Places to try the provider at: one for each isolation that the machine grants.
//!
//! A test starts itself again, as whoever gets that isolation: as the same
//! user, or as an ordinary one. As root, what it starts is in a network
//! namespace that stands for the machine's network. When it has ended, nothing
//! of it may be left: no process, mount, link, control group or file; and what
//! is left by a test that failed is removed.

#![expect(
    clippy::print_stderr,
    reason = "what is skipped, and why, is for people"
)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;
use zenekar_provider_local::Isolation;

use crate::bench::Bench;

/// Anybody but root.
const USER: u32 = 48_114;

/// How long one test may take with one isolation, on a loaded machine.
const TEST_PATIENCE: Duration = Duration::from_mins(5);

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a test looks whether something has come.
const INTERVAL: Duration = Duration::from_millis(20);

/// The provider's directory in a place.
pub(crate) const LOCAL: &str = "local";

/// Tells a test that starts itself again with which isolation, and where.
pub(crate) const ISOLATION: &str = "ZENEKAR_TEST_ISOLATION";
pub(crate) const DIRECTORY: &str = "ZENEKAR_TEST_DIRECTORY";

/// Runs a test with every isolation. The name is the test's own, with its module.
pub(crate) fn with_each_isolation(name: &str, test: impl FnOnce(&Bench)) {
    with(&Isolation::ALL, name, test);
}

/// Runs a test with some isolations.
pub(crate) fn with(isolations: &[Isolation], name: &str, test: impl FnOnce(&Bench)) {
    start(isolations, Where::Temporary, name, test);
}

/// Runs a test with every isolation, with the provider's directory in one of
/// which instances have a view.
pub(crate) fn with_each_isolation_in_view(name: &str, test: impl FnOnce(&Bench)) {
    start(&Isolation::ALL, Where::View, name, test);
}

/// What the provider's directory is on.
#[derive(Clone, Copy)]
pub(crate) struct Disk {
    /// Options of a file system in memory.
    pub(crate) options: &'static str,
    pub(crate) is_read_only: bool,
}

/// Where the provider's directory is.
#[derive(Clone, Copy)]
enum Where {
    /// Where instances see nothing of it.
    Temporary,
    /// Where instances see it, if nothing hides it.
    View,
    Disk(Disk),
}

/// Runs a test with every isolation, with the provider's directory on a disk
/// of its own. Only root can have one.
pub(crate) fn with_disk(disk: Disk, name: &str, test: impl FnOnce(&Bench)) {
    start(&Isolation::ALL, Where::Disk(disk), name, test);
}

fn start(isolations: &[Isolation], whereabouts: Where, name: &str, test: impl FnOnce(&Bench)) {
    if let Some(bench) = Bench::of_this_process() {
        match bench {
            Ok(bench) => test(&bench),
            Err(reason) => eprintln!("skipped: {reason}"),
        }
        return;
    }
    for isolation in isolations {
        if *isolation == Isolation::Namespaces && !geteuid().is_root() {
            eprintln!("skipped: only root gets `{isolation}`");
            continue;
        }
        if matches!(whereabouts, Where::Disk(_)) && !geteuid().is_root() {
            eprintln!("skipped: only root can make a disk");
            continue;
        }
        let place = thread::scope(|scope| {
            let own = scope.spawn(|| {
                let place = Place::new(*isolation, whereabouts);
                if let Where::Disk(disk) = whereabouts {
                    place.mount(disk);
                }
                place.run(name);
            });
            own.join()
        });
        if let Err(panic) = place {
            eprintln!("it failed with isolation `{isolation}`");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Says whether this process is a test that was started again by itself.
pub(crate) fn is_started_again() -> bool {
    std::env::var_os(ISOLATION).is_some()
}

/// Where a test runs with one isolation.
struct Place {
    isolation: Isolation,
    /// The user that the test becomes.
    user: Option<u32>,
    directory: TempDir,
    has_own_network: bool,
    _cache: Option<Arc<TempDir>>,
}

/// What instances of ordinary users are made from takes seconds to make:
/// tests that run at the same time share it.
static CACHE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());

/// Keeps what tests share, for a test that begins many times.
pub(crate) fn keep_cache() -> Arc<TempDir> {
    cache(geteuid().is_root().then_some(USER))
}

fn cache(user: Option<u32>) -> Arc<TempDir> {
    let mut shared = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let directory = Arc::new(new_directory(&std::env::temp_dir(), user));
        *shared = Arc::downgrade(&directory);
        directory
    })
}

fn new_directory(parent: &Path, user: Option<u32>) -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("zenekar-it-")
        .tempdir_in(parent)
        .expect("a directory");
    let mode = Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), mode).expect("it is ours");
    if let Some(user) = user {
        chown(directory.path(), Some(user), Some(user)).expect("root may");
    }
    directory
}

impl Place {
    /// Makes a place. The calling thread enters its network.
    fn new(isolation: Isolation, whereabouts: Where) -> Self {
        let user = (geteuid().is_root() && isolation != Isolation::Namespaces).then_some(USER);
        let is_in_view = matches!(whereabouts, Where::View);
        let directory = if is_in_view {
            new_directory(Path::new("/var/tmp"), user)
        } else {
            new_directory(&std::env::temp_dir(), user)
        };
        // What is in view has all that belongs to it there.
        let shares = isolation == Isolation::UserNamespaces && !is_in_view;
        let cache = shares.then(|| cache(user));
        let place = Self {
            isolation,
            user,
            directory,
            has_own_network: geteuid().is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok(),
            _cache: cache.clone(),
        };
        if let Some(cache) = cache {
            symlink(cache.path(), place.path().join("local-cache")).expect("it is new");
        }
        let own = std::env::current_exe().expect("a test has a program");
        for (name, program) in [
            (
                "process",
                Path::new(env!("CARGO_BIN_EXE_zenekar-local-process")),
            ),
            ("test", &own),
        ] {
            // Where programs are built may be closed to others.
            let copy = place.path().join(name);
            copy_program(program, &copy);
            chown(&copy, user, user).expect("root may");
        }
        if place.has_own_network {
            let done = Command::new(place.path().join("process"))
                .args(["__local", "network", "loopback", "/"])
                .status();
            assert!(done.expect("it runs").success());
        }
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts the provider's directory on a disk of its own, which only this thread sees.
    fn mount(&self, disk: Disk) {
        let all = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        unshare(CloneFlags::CLONE_NEWNS).expect("root may");
        mount(None::<&str>, "/", None::<&str>, all, None::<&str>).expect("root may");
        let local = self.path().join(LOCAL);
        fs::create_dir(&local).expect("it is new");
        let user = self.user.unwrap_or(0);
        let options = format!("{},uid={user},gid={user},mode=755", disk.options);
        let flags = if disk.is_read_only {
            MsFlags::MS_RDONLY
        } else {
            MsFlags::empty()
        };
        let kind = Some("tmpfs");
        mount(kind, &local, kind, flags, Some(options.as_str())).expect("root may");
    }

    /// Runs the test, and looks at what is left of it.
    fn run(&self, name: &str) {
        let log_path = self.path().join("log");
        let log = File::create(&log_path).expect("a file");
        let mut command = Command::new(self.path().join("test"));
        command
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(ISOLATION, self.isolation.name())
            .env(DIRECTORY, self.path())
            .env("RUST_BACKTRACE", "0")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let started_at = Instant::now();
        let mut child = command.spawn().expect("it runs");
        let has_ended = wait_until(TEST_PATIENCE, || {
            child.try_wait().expect("it is ours").is_some()
        });
        if !has_ended {
            let _ = child.kill();
        }
        let status = child.wait().expect("it is ours");
        let log = fs::read_to_string(&log_path).unwrap_or_default();
        let took = started_at.elapsed();
        assert!(
            status.success(),
            "{name}, `{}`, {took:?}: {status}\n{log}",
            self.isolation
        );
        assert!(log.contains("1 passed"), "there is no test `{name}`: {log}");
        for line in log
            .lines()
            .filter(|line| line.contains("skipped: ") || line.contains("measured: "))
        {
            eprintln!("{}: {line}", self.isolation);
        }
        eprintln!("{name}: {} in {took:?}", self.isolation);
        self.assert_nothing_left();
    }

    fn assert_nothing_left(&self) {
        let names = self.names();
        // The kernel tidies up behind processes that have ended.
        wait_until(PATIENCE, || related(&names).is_empty());
        let processes: Vec<String> = related(&names)
            .into_iter()
            .map(|pid| format!("{pid}: {}", command_line(pid)))
            .collect();
        assert_eq!(processes, [""; 0], "no process is left");
        let groups = self.groups();
        assert!(groups.is_empty(), "control groups are left: {groups:?}");
        if self.has_own_network {
            let links = || fs::read_to_string("/proc/thread-self/net/dev").expect("it is there");
            wait_until(PATIENCE, || !links().contains("zk-"));
            assert!(!links().contains("zk-"), "a link is left: {}", links());
        }
        let local = self.path().join(LOCAL);
        let is_empty = || fs::read_dir(&local).is_ok_and(|mut files| files.next().is_none());
        if is_empty() && umount2(&local, MntFlags::MNT_DETACH).is_ok() {
            fs::remove_dir(&local).expect("it was made for the disk");
        }
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("it is there");
        assert!(!mounts.contains(&names[0]), "a mount is left: {mounts}");
        let kept = ["local-cache", "log", "marks", "process", "test"];
        let files: Vec<PathBuf> = fs::read_dir(self.path())
            .expect("it is there")
            .map(|entry| entry.expect("it is readable").path())
            .filter(|path| !kept.iter().any(|name| path.ends_with(name)))
            .collect();
        assert!(files.is_empty(), "files are left: {files:?}");
    }

    /// Returns the texts that tell the test's processes and groups from those of all others.
    fn names(&self) -> Vec<String> {
        let marks = fs::read_to_string(self.path().join("marks")).unwrap_or_default();
        let path = self.path().to_str().expect("it is text").to_owned();
        let own = marks.lines().map(str::to_owned);
        std::iter::once(path).chain(own).collect()
    }

    fn groups(&self) -> Vec<PathBuf> {
        let marks = self.names();
        let trees = fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let parents = trees.flatten().map(|tree| tree.path().join("zenekar"));
        parents
            .chain([PathBuf::from("/sys/fs/cgroup/zenekar")])
            .flat_map(|parent| marks[1..].iter().map(move |mark| parent.join(mark)))
            .filter(|group| group.exists())
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = umount2(&self.path().join(LOCAL), MntFlags::MNT_DETACH);
        let names = self.names();
        for group in self.groups() {
            let _ = fs::write(group.join("freezer.state"), "THAWED");
            let _ = fs::write(group.join("cgroup.freeze"), "0");
        }
        wait_until(PATIENCE, || {
            let left = related(&names);
            for pid in &left {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            left.is_empty()
        });
        for group in self.groups() {
            let _ = fs::remove_dir(group);
        }
    }
}

/// Returns the processes with any of these texts in their command line or environment.
pub(crate) fn related(texts: &[String]) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).expect("pids are small");
    let has = |file: String| {
        fs::read(file).is_ok_and(|bytes| {
            let read = String::from_utf8_lossy(&bytes);
            texts.iter().any(|text| read.contains(text))
        })
    };
    fs::read_dir("/proc")
        .expect("it is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| has(format!("/proc/{pid}/cmdline")) || has(format!("/proc/{pid}/environ")))
        .collect()
}

pub(crate) fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Says something to whoever runs the tests.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Waits until something holds, but not for ever. Returns whether it does.
pub(crate) fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let started_at = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if started_at.elapsed() >= patience {
            return false;
        }
        thread::sleep(INTERVAL);
    }
}

/// Copies a program. Another process does it: whoever starts a process here at
/// the same moment would give it the copy open for writing, and what is being
/// written cannot be run.
pub(crate) fn copy_program(program: &Path, copy: &Path) {
    let copied = Command::new("cp").arg(program).arg(copy).status();
    assert!(copied.expect("every system has `cp`").success());
}
