//! An engine to try the provider at, and what is needed to look behind its back.

#![expect(
    clippy::print_stderr,
    reason = "what is skipped, and why, is for people"
)]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use zenekar_base::{
    InfrastructureId, InstanceKey, InstanceTag, ResourceState, ResourceView, Token, Value,
};
use zenekar_model::Rendered;
use zenekar_provider::{CreateRequest, LogRequest, LogSource, ObserveScope, Provider};
use zenekar_provider_docker::{DockerProvider, DockerSettings};

/// The image with which containers are made; without it there is no engine to test with.
const IMAGE: &str = "ZENEKAR_TEST_DOCKER_IMAGE";

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Tells infrastructures of one process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// One infrastructure of a test. What is left of it is removed at the end.
pub(crate) struct Bench {
    pub(crate) provider: DockerProvider,
    pub(crate) infrastructure: InfrastructureId,
    pub(crate) image: String,
    runtime: tokio::runtime::Runtime,
}

/// Settings for the engine of this machine.
pub(crate) fn settings(image: &str) -> DockerSettings {
    DockerSettings {
        name: "docker".to_owned(),
        endpoint: None,
        certificates: None,
        default_image: Some(image.to_owned()),
        default_tag: None,
        executable: PathBuf::from(env!("CARGO_BIN_EXE_zenekar-docker-process")),
    }
}

impl Bench {
    /// Returns none, and says so, where no engine is given.
    pub(crate) fn new() -> Option<Self> {
        let Ok(image) = std::env::var(IMAGE) else {
            eprintln!("skipped: `{IMAGE}` is not set");
            return None;
        };
        Some(Self::with(settings(&image), image))
    }

    pub(crate) fn with(settings: DockerSettings, image: String) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("it-{}-{number}.0123456789ab", std::process::id());
        Self {
            provider: DockerProvider::open(settings).expect("the settings are fine"),
            infrastructure: InfrastructureId::new(id),
            image,
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
        }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A request for instance `number` of node `node`, with some keys of a
    /// resource section besides the image.
    pub(crate) fn request(
        &self,
        node: &str,
        number: u32,
        keys: Vec<(&str, Value)>,
    ) -> CreateRequest {
        let mut resource = vec![("image".to_owned(), Value::from(self.image.as_str()))];
        resource.extend(keys.into_iter().map(|(key, value)| (key.to_owned(), value)));
        CreateRequest {
            infrastructure: self.infrastructure.clone(),
            instance: InstanceTag::derive(&self.infrastructure, InstanceKey(number)),
            token: Token::derive(&self.infrastructure, InstanceKey(number), 1),
            name: format!("{node}/{number}"),
            rendered: Rendered {
                resource: Value::Map(resource),
                user_data: None,
                environment: Vec::new(),
                command: None,
                attributes: Value::Null,
            },
        }
    }

    /// A request for a container that runs a line of shell.
    pub(crate) fn shell(
        &self,
        node: &str,
        number: u32,
        line: &str,
        keys: Vec<(&str, Value)>,
    ) -> CreateRequest {
        let mut request = self.request(node, number, keys);
        request.rendered.command = Some(vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()]);
        request
    }

    pub(crate) fn create(&self, request: &CreateRequest) -> ResourceView {
        self.block_on(self.provider.create(request.clone()))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn all(&self) -> Vec<ResourceView> {
        self.block_on(
            self.provider
                .observe(self.infrastructure.clone(), ObserveScope::All),
        )
        .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn delete(&self, view: &ResourceView) {
        self.block_on(
            self.provider
                .delete(self.infrastructure.clone(), view.resource.clone()),
        )
        .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Reads all output of an instance.
    pub(crate) fn log(&self, view: &ResourceView, source: LogSource) -> String {
        let request = LogRequest {
            resource: view.resource.clone(),
            source,
            from: 0,
            bytes_max: 1 << 20,
        };
        let chunk = self
            .block_on(self.provider.log(self.infrastructure.clone(), request))
            .unwrap_or_else(|error| panic!("{error}"));
        String::from_utf8_lossy(&chunk.data).into_owned()
    }

    /// Waits until the output of an instance has a text.
    pub(crate) fn wait_for_output(&self, view: &ResourceView, text: &str) -> String {
        eventually(&format!("output `{text}`"), || {
            let output = self.log(view, LogSource::Console);
            output.contains(text).then_some(output)
        })
    }

    /// Waits until an instance is in a state.
    pub(crate) fn wait_for_state(&self, view: &ResourceView, state: ResourceState) -> ResourceView {
        eventually(&format!("state {state:?}"), || {
            self.all()
                .into_iter()
                .find(|one| one.resource == view.resource && one.state == state)
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let label = format!("label=io.zenekar.infrastructure={}", self.infrastructure);
        let listed = docker(&["ps", "-aq", "--no-trunc", "--filter", &label]);
        for id in text_of(&listed).lines() {
            docker(&["rm", "-fv", id]);
        }
        let released = self.block_on(self.provider.release(self.infrastructure.clone()));
        if let Err(error) = released {
            eprintln!("something is left: {error}");
        }
    }
}

/// Waits until something is there.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks the engine as other people do.
pub(crate) fn docker(arguments: &[&str]) -> Output {
    Command::new("docker")
        .args(arguments)
        .output()
        .expect("there is a client where there is an engine")
}

pub(crate) fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a line of shell in a container.
pub(crate) fn inside(view: &ResourceView, line: &str) -> String {
    text_of(&docker(&["exec", view.resource.as_str(), "sh", "-c", line]))
}
