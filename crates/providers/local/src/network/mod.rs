//! The network of an infrastructure: a switch that connects its instances, and
//! a gateway through which they reach what the machine reaches.
//!
//! Nothing of the machine changes: no rule, no route, no setting. The switch
//! holds a network namespace (and, for an ordinary user, a user namespace), the
//! gateway is a process with ordinary sockets, and all is gone with them.

mod address;
mod gateway;
mod links;
mod namespaces;
mod role;
mod switch;
pub(crate) mod tool;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use zenekar_base::Fingerprint;

pub(crate) use address::{Subnet, plain_candidates};
pub(crate) use gateway::DNS_ADDRESS;

use crate::layout::NetworkPaths;
use crate::lock::ProcessLock;
use crate::{Isolation, LocalError, control};
use links::{Links, Peer, Place};
use role::Start;

/// The name that an instance's link has inside.
const INSTANCE_LINK: &str = "eth0";

/// The links of infrastructures begin with it in the machine's own network.
const MACHINE_LINK_PREFIX: &str = "zk-";

/// How many instances' processes a new switch is told of: one that lives suffices.
const SIBLINGS_MAX: usize = 32;

/// How long a switch that somebody else has started may take until it is ready.
const READY_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before asking it again.
const READY_PAUSE: Duration = Duration::from_millis(5);

/// Orders the threads of this process: the lock on the file orders processes only.
static ENSURING: Mutex<()> = Mutex::new(());

/// What has to be known about a network to use it.
#[derive(Clone, Debug)]
pub(crate) struct NetworkInfo {
    pub(crate) subnet: Subnet,
    /// Where instances send what goes to other networks.
    pub(crate) gateway_address: Ipv4Addr,
    /// The process in whose namespaces the network is.
    pub(crate) switch_pid: Pid,
    /// Why instances do not reach other networks, if they do not.
    pub(crate) no_outbound: Option<String>,
}

/// What is kept about a network as long as the infrastructure exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    subnet: Subnet,
    isolation: Isolation,
    /// Tells the link at the machine's end apart from those of other networks.
    link: String,
}

impl Description {
    fn read(paths: &NetworkPaths) -> Result<Self, LocalError> {
        let path = paths.description();
        let bytes = fs::read(&path).map_err(LocalError::file("read", &path))?;
        serde_json::from_slice(&bytes)
            .map_err(io::Error::from)
            .map_err(LocalError::file("understand", &path))
    }

    fn write(&self, paths: &NetworkPaths) -> Result<(), LocalError> {
        let path = paths.description();
        let new = path.with_extension("new");
        let bytes = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .map_err(LocalError::file("describe the network in", &path))?;
        fs::write(&new, bytes).map_err(LocalError::file("write", &new))?;
        fs::rename(&new, &path).map_err(LocalError::file("write", &path))
    }

    fn new(paths: &NetworkPaths, isolation: Isolation) -> Result<Self, LocalError> {
        let seed = paths.root().to_string_lossy();
        let routes = fs::read_to_string("/proc/net/route")
            .map(|text| address::parse_routes(&text))
            .unwrap_or_default();
        let subnet = Subnet::choose(&seed, |subnet| {
            routes
                .iter()
                .any(|route| !route.is_default() && subnet.overlaps(route))
        })
        .ok_or_else(|| LocalError::Invalid("the machine has routes for all networks from 10.64.0.0 to 10.127.255.255, so that none is left for instances".to_owned()))?;
        let link = Fingerprint::of_text(&seed).to_string()[..8].to_owned();
        Ok(Self {
            subnet,
            isolation,
            link,
        })
    }

    fn machine_link(&self) -> String {
        format!("{MACHINE_LINK_PREFIX}{}", self.link)
    }
}

/// Sees to it that the network's processes live, and says where it is.
///
/// `siblings` are processes in the namespaces of the switch (shims): if the
/// switch was killed, the new one joins them. It blocks for as long as two
/// processes take to start, and may be called at any time by anybody.
pub(crate) fn ensure(
    paths: &NetworkPaths,
    isolation: Isolation,
    siblings: &[Pid],
    executable: &Path,
) -> Result<NetworkInfo, LocalError> {
    if isolation == Isolation::Plain {
        return Err(LocalError::Invalid(
            "instances with isolation `plain` have no network of their own".to_owned(),
        ));
    }
    let _turn = ENSURING.lock().unwrap_or_else(PoisonError::into_inner);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(paths.root())
        .map_err(LocalError::file("make", paths.root()))?;
    let lock_path = paths.ensure_lock();
    let _lock = ProcessLock::take(&lock_path).map_err(LocalError::file("lock", &lock_path))?;
    let description = match Description::read(paths) {
        Ok(description) if description.isolation == isolation => description,
        Ok(other) => {
            return Err(LocalError::Invalid(format!(
                "the network has isolation `{}`, not `{isolation}`",
                other.isolation
            )));
        }
        Err(LocalError::File {
            operation: "read",
            path,
            source,
        }) if source.kind() != io::ErrorKind::NotFound => {
            return Err(LocalError::file("read", &path)(source));
        }
        // There is none, or the machine lost power while it was written.
        Err(_) => {
            let description = Description::new(paths, isolation)?;
            description.write(paths)?;
            description
        }
    };
    let switch_pid = ensure_switch(paths, siblings, executable)?;
    let no_outbound = ensure_gateway(paths, executable)?;
    Ok(NetworkInfo {
        subnet: description.subnet,
        gateway_address: description.subnet.gateway(),
        switch_pid,
        no_outbound,
    })
}

fn ensure_switch(
    paths: &NetworkPaths,
    siblings: &[Pid],
    executable: &Path,
) -> Result<Pid, LocalError> {
    if let Some(process) = role::holder(&paths.switch_lock())? {
        // Whoever started it may have been killed before it was ready.
        if is_switch_ready(paths) {
            return Ok(process);
        }
        role::end_holder(&paths.switch_lock())?;
    }
    let word = Start {
        executable,
        role: "switch",
        directory: paths.root(),
        arguments: siblings
            .iter()
            .take(SIBLINGS_MAX)
            .map(ToString::to_string)
            .collect(),
        log: paths.switch_log(),
    }
    .run()?;
    if word == switch::MADE {
        // A gateway of the network before it holds on to what is gone.
        role::end_holder(&paths.gateway_lock())?;
    }
    role::holder(&paths.switch_lock())?.ok_or_else(|| LocalError::Start {
        role: "switch",
        reason: "it ended at once".to_owned(),
    })
}

fn is_switch_ready(paths: &NetworkPaths) -> bool {
    let deadline = Instant::now() + READY_PATIENCE;
    loop {
        let answer = control::ask(&paths.switch_control(), &switch::Question::Ready);
        if matches!(answer, Ok((switch::Answer::Ready, _))) {
            return true;
        }
        if Instant::now() > deadline || !matches!(role::holder(&paths.switch_lock()), Ok(Some(_))) {
            return false;
        }
        thread::sleep(READY_PAUSE);
    }
}

fn ensure_gateway(paths: &NetworkPaths, executable: &Path) -> Result<Option<String>, LocalError> {
    if role::holder(&paths.gateway_lock())?.is_some() {
        return Ok(None);
    }
    let started = Start {
        executable,
        role: "gateway",
        directory: paths.root(),
        arguments: Vec::new(),
        log: paths.gateway_log(),
    }
    .run();
    match started {
        Ok(_) => Ok(None),
        // Instances work without other networks, if need be.
        Err(LocalError::Start { reason, .. } | LocalError::Space { reason, .. }) => {
            Ok(Some(reason))
        }
        Err(error) => Err(error),
    }
}

/// Ends the network's processes, waits until they are gone, and removes what they left.
pub(crate) fn stop(paths: &NetworkPaths) -> Result<(), LocalError> {
    let _turn = ENSURING.lock().unwrap_or_else(PoisonError::into_inner);
    if !paths.root().exists() {
        return Ok(());
    }
    let lock_path = paths.ensure_lock();
    let _lock = ProcessLock::take(&lock_path).map_err(LocalError::file("lock", &lock_path))?;
    if let Ok(description) = Description::read(paths)
        && description.isolation == Isolation::Namespaces
    {
        // It vanishes with the switch anyway, but some time later.
        let _ = Links::open().and_then(|links| links.remove(&description.machine_link()));
    }
    role::end_holder(&paths.gateway_lock())?;
    role::end_holder(&paths.switch_lock())?;
    for path in [
        paths.switch_control(),
        paths.switch_lock(),
        paths.switch_log(),
        paths.gateway_lock(),
        paths.gateway_log(),
        paths.description(),
    ] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LocalError::file("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Enters the network (and the user namespace that it belongs to) of a switch,
/// or of any process in it. The caller must have a single thread.
pub(crate) fn enter(process: Pid, isolation: Isolation) -> Result<(), LocalError> {
    namespaces::enter(process, isolation)
}

/// Enters a network namespace (and a user namespace, for an ordinary user) that
/// is nobody else's. The caller must have a single thread.
pub(crate) fn separate(isolation: Isolation) -> Result<(), LocalError> {
    namespaces::create(isolation)
}

/// Connects the network namespace of a process to the switch in whose
/// namespace the caller is. The number is that of the instance's address.
pub(crate) fn attach(process: Pid, number: u16) -> Result<(), LocalError> {
    let name = format!("zki{number}");
    let links = Links::open()?;
    // One of the same name belongs to an instance whose end the kernel is still tidying up.
    links.remove(&name)?;
    let place = Place::Process(process.as_raw().unsigned_abs());
    let peer = Peer {
        name: INSTANCE_LINK,
        hardware: links::hardware(number),
        place,
    };
    links.add_pair(&name, Some(switch::BRIDGE), peer)
}

/// Gives an instance its address, from inside its network namespace, once it is attached.
pub(crate) fn configure(address: Ipv4Addr, subnet: Subnet) -> Result<(), LocalError> {
    let links = Links::open()?;
    links.up("lo")?;
    links.up(INSTANCE_LINK)?;
    links.add_address(INSTANCE_LINK, address, Subnet::PREFIX)?;
    links.add_default_route(subnet.gateway())
}

/// Runs as the switch: the arguments are the network's directory, and processes in its namespaces.
pub(crate) fn switch_main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments;
    let directory = arguments.next().map(PathBuf::from);
    let siblings: Vec<Pid> = arguments
        .filter_map(|argument| argument.to_str()?.parse().ok())
        .map(Pid::from_raw)
        .collect();
    conclude(directory, |directory| switch::run(directory, &siblings))
}

/// Runs as the gateway: the argument is the network's directory.
pub(crate) fn gateway_main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    conclude(arguments.next().map(PathBuf::from), gateway::run)
}

fn conclude(
    directory: Option<PathBuf>,
    role: impl FnOnce(PathBuf) -> Result<(), LocalError>,
) -> ExitCode {
    let outcome = match directory {
        Some(directory) => role(directory),
        None => Err(LocalError::Invalid("there is no directory".to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            role::tell_failure(&error);
            ExitCode::FAILURE
        }
    }
}
