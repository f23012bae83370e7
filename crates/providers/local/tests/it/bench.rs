//! The provider at a place, and short forms of what tests do with it.

use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::sys::prctl;
use nix::sys::signal::Signal;
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

use crate::network::{GUEST, Instance as Guest};
use crate::place::{DIRECTORY, ISOLATION, LOCAL, PATIENCE, command_line, related, wait_until};

/// The provider at the place of this process.
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

    /// Opens the provider with another name of its directory.
    pub(crate) fn at(&self, directory: PathBuf) -> Self {
        Self::open(self.isolation, directory).expect("it opened before")
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
