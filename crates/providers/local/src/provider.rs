//! The provider's calls.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zenekar_base::{
    Capabilities, InfrastructureId, Millis, ProbeResult, ProbeSpec, ProviderError, ResourceId,
    ResourceState, ResourceView, Token, Value,
};
use zenekar_probe::{HostNetwork, Network};
use zenekar_provider::{
    Call, CreateRequest, Deleted, EnterCommand, EnterRequest, LogChunk, LogRequest, LogSource,
    ObserveScope, Provider, Reach, RecontextualiseRequest,
};

use crate::control;
use crate::create::create;
use crate::delete::{self, delete};
use crate::instances::{self, Found};
use crate::layout::{InfrastructurePaths, Layout};
use crate::network;
use crate::state::{self, Answer, Contextualisation, Question, SocketKind};
use crate::survey::best;
use crate::{Isolation, LocalError, LocalSettings};

/// Instances that are created or deleted at once: each is a handful of processes that start.
const CALLS_IN_FLIGHT_MAX: u32 = 16;

/// How long a call that was cut off may still have an effect: what is asked of
/// the kernel happens at once, and starting processes takes that long at most.
const SETTLE: Millis = Millis::from_secs(2);

/// How long a connection to an instance may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a log that one call returns at most.
const LOG_BYTES_MAX: usize = 1024 * 1024;

/// Runs instances on this very machine.
#[derive(Clone, Debug)]
pub struct LocalProvider {
    inner: Arc<Inner>,
}

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) executable: PathBuf,
    isolation: Isolation,
    refusals: Vec<(Isolation, String)>,
    turn: Mutex<()>,
    starting: Mutex<BTreeMap<Token, u32>>,
}

/// Marks an instance that is being created by this process.
pub(crate) struct Starting<'a> {
    inner: &'a Inner,
    token: Token,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut starting = self.inner.lock_starting();
        if let Some(count) = starting.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                starting.remove(&self.token);
            }
        }
    }
}

impl Inner {
    fn lock_starting(&self) -> MutexGuard<'_, BTreeMap<Token, u32>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn to change which instances there are. An instance and
    /// the network that it needs come to exist in one turn, so that nobody
    /// else takes away a network that is about to be used.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn starting(&self, token: &Token) -> Starting<'_> {
        *self.lock_starting().entry(token.clone()).or_default() += 1;
        Starting {
            inner: self,
            token: token.clone(),
        }
    }

    pub(crate) fn is_starting(&self, token: &str) -> bool {
        self.lock_starting()
            .keys()
            .any(|starting| starting.as_str() == token)
    }

    pub(crate) fn infrastructure(
        &self,
        id: &InfrastructureId,
    ) -> Result<InfrastructurePaths, LocalError> {
        self.layout
            .infrastructure(id)
            .ok_or_else(|| LocalError::Invalid(format!("`{id}` cannot be the name of a directory")))
    }

    /// Returns all infrastructures of this state directory.
    pub(crate) fn infrastructures(&self) -> Result<Vec<InfrastructurePaths>, LocalError> {
        let names = instances::names(self.layout.root())?;
        Ok(names
            .into_iter()
            .filter_map(|name| self.layout.infrastructure(&InfrastructureId::new(name)))
            .collect())
    }

    /// Returns the isolation of an instance with that resource section.
    pub(crate) fn isolation_for(&self, resource: &Value) -> Result<Isolation, LocalError> {
        let Some(Value::String(text)) = resource.get("isolation") else {
            return Ok(self.isolation);
        };
        let required: Isolation = text.parse().map_err(LocalError::Invalid)?;
        check(required, Some(self.isolation), &self.refusals)
    }

    /// Removes what an infrastructure without instances has left.
    pub(crate) fn tidy(&self, paths: &InfrastructurePaths) -> Result<(), LocalError> {
        let _turn = self.turn();
        delete::remove_if_empty(self, paths)
    }

    /// Tells all instances the names of all nodes, one change after the other.
    pub(crate) fn tell_names(&self, paths: &InfrastructurePaths) -> Result<(), LocalError> {
        let _turn = self.turn();
        instances::tell_names(&Found::all(paths)?);
        Ok(())
    }

    fn find(&self, id: &InfrastructureId, resource: &ResourceId) -> Result<Found, LocalError> {
        Found::read(&self.infrastructure(id)?, resource)?
            .ok_or_else(|| LocalError::NotFound(format!("there is no instance `{resource}`")))
    }

    fn observe(
        &self,
        id: &InfrastructureId,
        scope: &ObserveScope,
    ) -> Result<Vec<ResourceView>, LocalError> {
        let paths = self.infrastructure(id)?;
        let found = match scope {
            ObserveScope::All => {
                let _turn = self.turn();
                delete::remove_unfinished(self, &paths)?;
                delete::remove_interrupted(self, &paths)?;
                delete::remove_if_empty(self, &paths)?;
                let found = Found::all(&paths)?;
                self.keep_network(&paths, &found);
                found
            }
            ObserveScope::Resources(resources) => {
                let mut found = Vec::new();
                for resource in resources {
                    found.extend(Found::read(&paths, resource)?);
                }
                found
            }
        };
        Ok(found
            .iter()
            .map(|one| one.view(self.is_starting(one.description.token.as_str())))
            .collect())
    }

    /// Starts the network's processes again if somebody killed them.
    fn keep_network(&self, paths: &InfrastructurePaths, all: &[Found]) {
        let siblings = instances::siblings(all);
        let living = all
            .iter()
            .find(|found| found.shim.is_some() && found.description.subnet.is_some());
        if let Some(found) = living {
            // If that fails, instances are still shown as they are; it is tried with each look.
            let _ = network::ensure(
                &paths.network(),
                found.description.isolation,
                &siblings,
                &self.executable,
            );
        }
    }

    fn recontextualise(
        &self,
        id: &InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Result<(), LocalError> {
        let found = self.find(id, &request.resource)?;
        if found
            .status
            .as_ref()
            .is_some_and(|status| status.revision >= request.revision)
        {
            return Ok(());
        }
        let wanted = Contextualisation {
            revision: request.revision,
            user_data: request.rendered.user_data,
            environment: request.rendered.environment,
            command: request.rendered.command,
        };
        let path = found.paths.contextualisation();
        state::write(&path, &wanted).map_err(LocalError::file("write", &path))?;
        ask(&found, &Question::Contextualise).map(|_| ())
    }

    /// Looks at an instance before it is checked; returns what is wrong already.
    fn prepare_probe(
        &self,
        id: &InfrastructureId,
        resource: &ResourceId,
        spec: &ProbeSpec,
    ) -> Result<(Found, Option<String>), LocalError> {
        let found = self.find(id, resource)?;
        let view = found.view(false);
        if view.state == ResourceState::Failed {
            // A check cannot be made of what is not there; whoever asks will look.
            return Err(LocalError::NotFound(
                view.detail.unwrap_or_else(|| "it does not run".to_owned()),
            ));
        }
        if view.state != ResourceState::Running {
            let why = view.detail.unwrap_or_else(|| "it does not run".to_owned());
            return Ok((found, Some(why)));
        }
        let has_services =
            !spec.ports.is_empty() || !spec.urls.is_empty() || !spec.mysql_databases.is_empty();
        let is_contextualised = found
            .status
            .as_ref()
            .is_some_and(|status| status.contextualised >= Some(status.revision));
        // Nothing else would tell that it has become what it is for.
        let trouble = (!has_services && !is_contextualised)
            .then(|| "its contextualisation is not done yet".to_owned());
        Ok((found, trouble))
    }

    fn log(&self, id: &InfrastructureId, request: &LogRequest) -> Result<LogChunk, LocalError> {
        let found = self.find(id, &request.resource)?;
        let path = match request.source {
            LogSource::Contextualisation => found.paths.contextualisation_log(),
            LogSource::Console => found.paths.console_log(),
        };
        let mut data = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(request.from))?;
            let bytes_max = request.bytes_max.min(LOG_BYTES_MAX) as u64;
            file.take(bytes_max).read_to_end(&mut data)
        });
        match read {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LocalError::file("read", &path)(error))
            }
            _ => Ok(LogChunk {
                next: request.from + data.len() as u64,
                data,
            }),
        }
    }

    fn enter(
        &self,
        id: &InfrastructureId,
        request: EnterRequest,
    ) -> Result<EnterCommand, LocalError> {
        let found = self.find(id, &request.resource)?;
        let mut arguments: Vec<OsString> = vec!["__local".into(), "enter".into()];
        arguments.push(found.paths.root().as_os_str().to_owned());
        if request.command.is_empty() {
            let shells = ["/bin/bash", "/bin/sh"];
            let shell = shells.iter().find(|path| PathBuf::from(path).exists());
            arguments.push(shell.unwrap_or(&"/bin/sh").into());
        } else {
            arguments.extend(request.command);
        }
        Ok(EnterCommand {
            program: self.executable.clone(),
            arguments,
        })
    }

    fn connect(
        &self,
        id: &InfrastructureId,
        resource: &ResourceId,
        port: u16,
    ) -> Result<TcpStream, LocalError> {
        let found = self.find(id, resource)?;
        let address = SocketAddr::new(IpAddr::V4(found.description.address), port);
        let failed = || LocalError::system(format!("connect to {address}"));
        let socket = ShimNetwork { found: &found }.tcp().map_err(failed())?;
        socket
            .connect_timeout(&address.into(), CONNECT_PATIENCE)
            .and_then(|()| socket.set_nonblocking(false))
            .map_err(failed())?;
        Ok(socket.into())
    }
}

/// Resolves links in the part of a path that exists: instances hide the
/// directory inside under the name that the kernel knows.
fn without_links(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|existing| {
            let real = existing.canonicalize().ok()?;
            let rest = path.strip_prefix(existing).ok()?;
            Some(real.join(rest))
        })
        .unwrap_or_else(|| path.to_owned())
}

/// Refuses an isolation that is better than the best there is.
fn check(
    required: Isolation,
    best: Option<Isolation>,
    refusals: &[(Isolation, String)],
) -> Result<Isolation, LocalError> {
    match best {
        Some(best) if best >= required => Ok(best),
        _ => Err(LocalError::Isolation {
            required,
            best,
            reason: refusals
                .iter()
                .find(|(isolation, _)| *isolation == required)
                .map_or_else(String::new, |(_, reason)| reason.clone()),
        }),
    }
}

/// Asks an instance's shim.
fn ask(found: &Found, question: &Question) -> Result<Option<OwnedFd>, LocalError> {
    let failed = || LocalError::system(format!("ask `{}`", found.description.name));
    let (answer, descriptor) =
        control::ask::<_, Answer>(&found.paths.control(), question).map_err(failed())?;
    match answer.error {
        None => Ok(descriptor),
        Some(error) => Err(failed()(io::Error::other(error))),
    }
}

/// The network that an instance is in, seen from beside it.
struct ShimNetwork<'a> {
    found: &'a Found,
}

impl ShimNetwork<'_> {
    fn socket(&self, kind: SocketKind) -> io::Result<socket2::Socket> {
        ask(self.found, &Question::Socket(kind))
            .map_err(|error| io::Error::other(error.chain()))?
            .map(socket2::Socket::from)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Network for ShimNetwork<'_> {
    fn tcp(&self) -> io::Result<socket2::Socket> {
        if self.found.description.isolation == Isolation::Plain {
            return HostNetwork.tcp();
        }
        self.socket(SocketKind::Tcp)
    }

    fn icmp(&self) -> io::Result<socket2::Socket> {
        if self.found.description.isolation == Isolation::Plain {
            return HostNetwork.icmp();
        }
        self.socket(SocketKind::Icmp)
    }
}

impl LocalProvider {
    /// Finds out which isolation the machine grants, and refuses less than what is required.
    pub fn open(settings: LocalSettings) -> Result<Self, LocalError> {
        // Switch and gateway outlive this process; files that its caller left
        // open for it would stay open with them.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        // Processes of instances start in another directory.
        let directory = std::path::absolute(&settings.directory)
            .map_err(LocalError::file("find", &settings.directory))?;
        let directory = without_links(&directory);
        let most = settings.isolation_max;
        let (best, refusals) = best(&settings.executable, &directory, most);
        let required = settings.isolation.unwrap_or(Isolation::Plain);
        let isolation = check(required, best, &refusals)?;
        Ok(Self {
            inner: Arc::new(Inner {
                layout: Layout::new(directory),
                executable: settings.executable,
                isolation,
                refusals,
                turn: Mutex::default(),
                starting: Mutex::default(),
            }),
        })
    }

    /// Returns the isolation that new instances get.
    pub fn isolation(&self) -> Isolation {
        self.inner.isolation
    }

    /// Runs a call on a thread of its own: it starts processes and waits for them.
    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, LocalError> + Send + 'static,
    ) -> Call<'_, T> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&inner)).await;
            match done {
                Ok(result) => result.map_err(ProviderError::from),
                Err(error) => Err(ProviderError::new(
                    zenekar_base::ErrorClass::Unknown,
                    format!("the call was cut off: {error}"),
                )),
            }
        })
    }
}

impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        self.call(move |inner| {
            let found = create(inner, &request)?;
            Ok(found.view(false))
        })
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        self.call(move |inner| inner.observe(&infrastructure, &scope))
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        self.call(move |inner| delete(inner, &infrastructure, &resource).map(|()| Deleted::Gone))
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        self.call(move |inner| inner.recontextualise(&infrastructure, request))
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(async move {
            let looked_for = spec.clone();
            let (found, trouble) = self
                .call(move |inner| inner.prepare_probe(&infrastructure, &resource, &looked_for))
                .await?;
            if let Some(trouble) = trouble {
                return Ok(ProbeResult::Unhealthy(trouble));
            }
            let address = found.description.address.to_string();
            // A shim that runs makes a socket in microseconds, so that this may wait for it.
            let network = ShimNetwork { found: &found };
            Ok(zenekar_probe::check(&network, &address, &spec).await)
        })
    }

    fn log(&self, infrastructure: InfrastructureId, request: LogRequest) -> Call<'_, LogChunk> {
        self.call(move |inner| inner.log(&infrastructure, &request))
    }

    fn enter(
        &self,
        infrastructure: InfrastructureId,
        request: EnterRequest,
    ) -> Call<'_, EnterCommand> {
        self.call(move |inner| inner.enter(&infrastructure, request))
    }

    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        self.call(move |inner| {
            let found = inner.find(&infrastructure, &resource)?;
            Ok(match found.description.isolation {
                Isolation::UserNamespaces => Reach::Through,
                Isolation::Namespaces | Isolation::Plain => {
                    Reach::Direct(SocketAddr::new(IpAddr::V4(found.description.address), port))
                }
            })
        })
    }

    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, TcpStream> {
        self.call(move |inner| inner.connect(&infrastructure, &resource, port))
    }
}

/// Says what the provider can do, without opening it.
pub fn capabilities() -> Capabilities {
    Capabilities {
        calls_in_flight_max: CALLS_IN_FLIGHT_MAX,
        settle: SETTLE,
        recontextualise: true,
        ..Capabilities::default()
    }
}
