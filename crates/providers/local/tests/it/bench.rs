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

use std::fs::{self, File, OpenOptions, Permissions};
use std::future::Future;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::network::{GUEST, Instance as Guest};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zenekar_base::{
    Fingerprint, InfrastructureId, InstanceKey, InstanceTag, ProbeResult, ProbeSpec, ResourceId,
    ResourceState, ResourceView, Token, Value,
};
use zenekar_model::Rendered;
use zenekar_provider::{
    CreateRequest, Deleted, EnterRequest, LogRequest, LogSource, ObserveScope, Provider,
};
use zenekar_provider_local::{Isolation, LocalError, LocalProvider, LocalSettings};

/// Anybody but root.
const USER: u32 = 48_114;

/// How long one test may take with one isolation, on a loaded machine.
const TEST_PATIENCE: Duration = Duration::from_secs(300);

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a test looks whether something has come.
const INTERVAL: Duration = Duration::from_millis(20);

/// The provider's directory in a place.
const LOCAL: &str = "local";

/// Tells a test that starts itself again with which isolation, and where.
const ISOLATION: &str = "ZENEKAR_TEST_ISOLATION";
const DIRECTORY: &str = "ZENEKAR_TEST_DIRECTORY";

/// Runs a test with every isolation. The name is the test's own, with its module.
pub(crate) fn with_each_isolation(name: &str, test: impl FnOnce(&Bench)) {
    with(&Isolation::ALL, name, test);
}

/// Runs a test with some isolations.
pub(crate) fn with(isolations: &[Isolation], name: &str, test: impl FnOnce(&Bench)) {
    with_disk(isolations, None, name, test);
}

/// What the provider's directory is on.
#[derive(Clone, Copy)]
pub(crate) struct Disk {
    /// Options of a file system in memory.
    pub(crate) options: &'static str,
    pub(crate) is_read_only: bool,
}

/// Runs a test with some isolations, with the provider's directory on a disk
/// of its own. Only root can have one.
pub(crate) fn with_disk(
    isolations: &[Isolation],
    disk: Option<Disk>,
    name: &str,
    test: impl FnOnce(&Bench),
) {
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
        if disk.is_some() && !geteuid().is_root() {
            eprintln!("skipped: only root can make a disk");
            continue;
        }
        let place = thread::scope(|scope| {
            let own = scope.spawn(|| {
                let place = Place::new(*isolation);
                if let Some(disk) = disk {
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
        let directory = Arc::new(new_directory(user));
        *shared = Arc::downgrade(&directory);
        directory
    })
}

fn new_directory(user: Option<u32>) -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("zenekar-it-")
        .tempdir()
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
    fn new(isolation: Isolation) -> Self {
        let user = (geteuid().is_root() && isolation != Isolation::Namespaces).then_some(USER);
        let cache = (isolation == Isolation::UserNamespaces).then(|| cache(user));
        let place = Self {
            isolation,
            user,
            directory: new_directory(user),
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
            fs::copy(program, &copy).expect("a copy");
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
        assert_eq!(files, [PathBuf::new(); 0], "no file is left");
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
fn related(texts: &[String]) -> Vec<i32> {
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

/// The provider, and short forms of what tests do with it.
pub(crate) struct Bench {
    pub(crate) isolation: Isolation,
    /// The place: the provider's own directory is `local` in it.
    pub(crate) directory: PathBuf,
    pub(crate) provider: LocalProvider,
    runtime: Runtime,
}

impl Bench {
    /// Returns the bench that this process was started for; an error if the isolation is not granted.
    pub(crate) fn of_this_process() -> Option<Result<Self, String>> {
        let isolation: Isolation = std::env::var(ISOLATION).ok()?.parse().expect("a name");
        // Whoever started it looks at what is left: without him it is of no use.
        prctl::set_pdeathsig(Signal::SIGKILL).expect("it is a signal");
        let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("it comes with it"));
        Some(match Self::open(isolation, directory) {
            Ok(bench) => Ok(bench),
            Err(error @ LocalError::Isolation { .. }) => Err(error.to_string()),
            Err(error) => panic!("the provider does not open: {error}"),
        })
    }

    fn open(isolation: Isolation, directory: PathBuf) -> Result<Self, LocalError> {
        let provider = LocalProvider::open(LocalSettings {
            directory: directory.join(LOCAL),
            executable: directory.join("process"),
            isolation: Some(isolation),
            isolation_max: Some(isolation),
        })?;
        assert_eq!(provider.isolation(), isolation);
        Ok(Self {
            isolation,
            directory,
            provider,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
        })
    }

    /// Opens the provider again, as another process would.
    pub(crate) fn again(&self) -> Self {
        Self::open(self.isolation, self.directory.clone()).expect("it opened before")
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Returns a request for an instance `node/1`, `node/2`…
    pub(crate) fn request(infrastructure: &str, key: u32) -> CreateRequest {
        let infrastructure = InfrastructureId::new(infrastructure);
        CreateRequest {
            instance: InstanceTag::derive(&infrastructure, InstanceKey(key)),
            token: Token::derive(&infrastructure, InstanceKey(key), 1),
            infrastructure,
            name: format!("node/{key}"),
            rendered: Rendered {
                resource: Value::Map(Vec::new()),
                ..Rendered::default()
            },
        }
    }

    /// Returns a request for an instance that is contextualised with a script.
    pub(crate) fn request_script(infrastructure: &str, key: u32, script: &str) -> CreateRequest {
        let mut request = Self::request(infrastructure, key);
        request.rendered.user_data = Some(format!("#!/bin/sh\n{script}\n"));
        request
    }

    /// Writes down which instance a test is about to create, so that what is left of it is found.
    pub(crate) fn announce(&self, request: &CreateRequest) {
        let mark = self.mark(request);
        let mut marks = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("marks"))
            .expect("a file");
        marks
            .write_all(format!("{mark}\n").as_bytes())
            .expect("written");
    }

    /// Returns what an instance's processes and control groups are marked with.
    pub(crate) fn mark(&self, request: &CreateRequest) -> String {
        let path = self.instance_directory(request);
        Fingerprint::of_text(&path.to_string_lossy()).to_string()
    }

    /// Returns the processes of an instance, its shim included.
    pub(crate) fn processes(&self, request: &CreateRequest) -> Vec<i32> {
        let directory = self.instance_directory(request);
        let directory = directory.to_str().expect("it is text").to_owned();
        related(&[directory, self.mark(request)])
    }

    /// Returns the process of an instance that has a role.
    pub(crate) fn role(&self, request: &CreateRequest, role: &str) -> i32 {
        let directory = self.instance_directory(request);
        let directory = directory.to_str().expect("it is text");
        let is_it = |pid: &i32| {
            let line = command_line(*pid);
            line.contains(&format!("__local {role} ")) && line.contains(directory)
        };
        let all = self.processes(request);
        all.into_iter().find(is_it).expect("it lives")
    }

    /// Returns all processes that belong to the place, without this one.
    pub(crate) fn all_processes(&self) -> Vec<i32> {
        let marks = fs::read_to_string(self.directory.join("marks")).unwrap_or_default();
        let mut names: Vec<String> = marks.lines().map(str::to_owned).collect();
        names.push(self.directory.to_str().expect("it is text").to_owned());
        related(&names)
    }

    pub(crate) fn instance_directory(&self, request: &CreateRequest) -> PathBuf {
        self.directory
            .join(LOCAL)
            .join(request.infrastructure.as_str())
            .join("instances")
            .join(request.token.as_str())
    }

    pub(crate) fn create(&self, request: &CreateRequest) -> ResourceView {
        self.announce(request);
        let view = self
            .block_on(self.provider.create(request.clone()))
            .expect("it is created");
        assert_eq!(view.state, ResourceState::Running, "{view:?}");
        view
    }

    /// Creates an instance, and waits until its contextualisation is done.
    pub(crate) fn create_ready(&self, request: &CreateRequest) -> ResourceView {
        let view = self.create(request);
        self.wait_ready(&request.infrastructure, &view.resource);
        view
    }

    pub(crate) fn wait_ready(&self, infrastructure: &InfrastructureId, resource: &ResourceId) {
        let is_ready = wait_until(PATIENCE, || {
            self.probe(infrastructure, resource) == ProbeResult::Healthy
        });
        assert!(
            is_ready,
            "it is not contextualised: {:?}\n{}",
            self.probe(infrastructure, resource),
            self.log(infrastructure, resource)
        );
    }

    /// Checks what holds once the contextualisation is done.
    pub(crate) fn probe(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> ProbeResult {
        let spec = ProbeSpec::default();
        self.block_on(
            self.provider
                .probe(infrastructure.clone(), resource.clone(), spec),
        )
        .expect("it exists")
    }

    pub(crate) fn log(&self, infrastructure: &InfrastructureId, resource: &ResourceId) -> String {
        let request = LogRequest {
            resource: resource.clone(),
            source: LogSource::Contextualisation,
            from: 0,
            bytes_max: 100_000,
        };
        let chunk = self
            .block_on(self.provider.log(infrastructure.clone(), request))
            .expect("it exists");
        String::from_utf8_lossy(&chunk.data).into_owned()
    }

    /// Returns all instances of an infrastructure.
    pub(crate) fn all(&self, infrastructure: &str) -> Vec<ResourceView> {
        let scope = ObserveScope::All;
        self.block_on(
            self.provider
                .observe(InfrastructureId::new(infrastructure), scope),
        )
        .expect("it can be looked at")
    }

    /// Returns one instance, if it is there.
    pub(crate) fn look(&self, request: &CreateRequest) -> Option<ResourceView> {
        let scope = ObserveScope::Resources(vec![ResourceId::new(request.token.as_str())]);
        let mut views = self
            .block_on(self.provider.observe(request.infrastructure.clone(), scope))
            .expect("it can be looked at");
        assert!(views.len() <= 1, "{views:?}");
        views.pop()
    }

    /// Waits until an instance is in a state, and returns it.
    pub(crate) fn wait_state(&self, request: &CreateRequest, state: ResourceState) -> ResourceView {
        let mut seen = None;
        let is_so = wait_until(PATIENCE, || {
            seen = self.look(request);
            seen.as_ref().is_some_and(|view| view.state == state)
        });
        assert!(is_so, "it is not {state:?}: {seen:?}");
        seen.expect("it is there")
    }

    pub(crate) fn delete(&self, request: &CreateRequest) {
        let resource = ResourceId::new(request.token.as_str());
        let deleted = self.block_on(
            self.provider
                .delete(request.infrastructure.clone(), resource),
        );
        assert_eq!(deleted, Ok(Deleted::Gone));
        assert_eq!(self.look(request), None);
    }

    /// Returns the program that runs a command inside.
    pub(crate) fn enter(&self, request: &CreateRequest, command: &[&str]) -> Command {
        let enter = EnterRequest {
            resource: ResourceId::new(request.token.as_str()),
            command: command.iter().map(Into::into).collect(),
        };
        let found = self
            .block_on(self.provider.enter(request.infrastructure.clone(), enter))
            .expect("it exists");
        let mut program = Command::new(found.program);
        program.args(found.arguments).stdin(Stdio::null());
        program
    }

    /// Runs a shell's command inside, and returns what came of it.
    pub(crate) fn shell(&self, request: &CreateRequest, command: &str) -> Output {
        let program = self
            .enter(request, &["/bin/sh", "-c", command])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        finish(program)
    }

    /// Runs a shell's command inside that has to succeed, and returns what it prints.
    pub(crate) fn say(&self, request: &CreateRequest, command: &str) -> String {
        let output = self.shell(request, command);
        assert!(output.status.success(), "`{command}`: {output:?}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

impl Bench {
    /// Starts this test's program inside, to serve or to reach others.
    pub(crate) fn guest(&self, request: &CreateRequest, does: &str) -> Guest {
        let place = self.instance_directory(request).join("files/tmp/guest");
        if !place.exists() {
            fs::hard_link(self.directory.join("test"), &place).expect("the same disk");
        }
        let inside = match self.isolation {
            Isolation::Plain => place.to_str().expect("it is text"),
            _ => "/tmp/guest",
        };
        let does = format!("{GUEST}={does}");
        let command = [
            "/usr/bin/env",
            &does,
            inside,
            "--exact",
            "network::guest",
            "--ignored",
            "--nocapture",
        ];
        let mut program = self.enter(request, &command);
        Guest::start(program.stdout(Stdio::piped()))
    }
}

/// Waits for a process, but not for ever.
pub(crate) fn finish(mut process: std::process::Child) -> Output {
    let read = |source: Option<Box<dyn Read + Send>>| {
        source.map(|mut source| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = source.read_to_end(&mut bytes);
                bytes
            })
        })
    };
    let output = read(process.stdout.take().map(|it| Box::new(it) as _));
    let errors = read(process.stderr.take().map(|it| Box::new(it) as _));
    let has_ended = wait_until(PATIENCE, || {
        process.try_wait().expect("it is ours").is_some()
    });
    if !has_ended {
        let _ = process.kill();
    }
    let status = process.wait().expect("it is ours");
    assert!(has_ended, "it does not end");
    let bytes = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader.map_or_else(Vec::new, |reader| reader.join().expect("it reads"))
    };
    Output {
        status,
        stdout: bytes(output),
        stderr: bytes(errors),
    }
}
