//! Brings instances up.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zenekar_base::{Fingerprint, ResourceId, Value};
use zenekar_provider::CreateRequest;

use crate::delete::{make_way, remove_instance};
use crate::inside::role;
use crate::instances::{self, Found, UNFINISHED};
use crate::layout::{InfrastructurePaths, InstancePaths};
use crate::network::{self, Subnet};
use crate::provider::Inner;
use crate::state::{self, Contextualisation, Description, FORMAT, Limits, Started};
use crate::{Isolation, LocalError, skeleton};

/// How long an instance may take until its processes run; a loaded machine
/// with slow disks needs some seconds.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// The longest first line of a shim.
const GREETING_BYTES_MAX: usize = 16 * 1024;

/// Creates an instance, or goes on with one that the same call began.
pub(crate) fn create(inner: &Inner, request: &CreateRequest) -> Result<Found, LocalError> {
    let infrastructure = inner.infrastructure(&request.infrastructure)?;
    let resource = ResourceId::new(request.token.as_str());
    let starting = inner.starting(&request.token);
    if let Some(found) = Found::read(&infrastructure, &resource)? {
        if found.status.is_some() {
            return Ok(found);
        }
        // Nothing of it runs, so that it can begin anew.
        remove_instance(&found)?;
    }
    let paths = infrastructure.instance(&resource).ok_or_else(|| {
        LocalError::Invalid(format!("`{resource}` cannot be the name of an instance"))
    })?;
    let isolation = inner.isolation_for(&request.rendered.resource)?;
    let (description, switch) = describe(inner, &infrastructure, request, isolation, &paths)?;
    let started = start(inner, &paths, &description, switch);
    if let Err(error) = started {
        if let Some(found) = Found::read(&infrastructure, &resource)? {
            remove_instance(&found)?;
        }
        drop(starting);
        inner.tidy(&infrastructure)?;
        return Err(error);
    }
    drop(starting);
    inner.tell_names(&infrastructure)?;
    Found::read(&infrastructure, &resource)?
        .ok_or_else(|| LocalError::NotFound(format!("`{}` was deleted meanwhile", request.name)))
}

/// Writes down what the instance is to be: from then on it exists.
fn describe(
    inner: &Inner,
    infrastructure: &InfrastructurePaths,
    request: &CreateRequest,
    isolation: Isolation,
    paths: &InstancePaths,
) -> Result<(Description, i32), LocalError> {
    // Addresses are given out one after the other.
    let _turn = inner.turn();
    let all = Found::all(infrastructure)?;
    let skeleton = if isolation == Isolation::UserNamespaces {
        make_directory(inner.layout.root())?;
        let names_in_use = || skeletons_in_use(inner);
        Some(skeleton::ensure(inner.layout.root(), names_in_use)?)
    } else {
        None
    };
    let (subnet, switch) = if isolation == Isolation::Plain {
        (None, 0)
    } else {
        let network = network::ensure(
            &infrastructure.network(),
            isolation,
            &instances::siblings(&all),
            &inner.executable,
        )?;
        (Some(network.subnet), network.switch_pid.as_raw())
    };
    let description = Description {
        format: FORMAT,
        infrastructure: request.infrastructure.clone(),
        instance: request.instance.clone(),
        token: request.token.clone(),
        mark: Fingerprint::of_text(&paths.root().to_string_lossy()).to_string(),
        name: request.name.clone(),
        isolation,
        address: free_address(inner, &all, subnet, infrastructure)?,
        subnet,
        limits: limits_of(&request.rendered.resource),
        skeleton,
    };
    write(infrastructure, paths, &description, request, &all)?;
    Ok((description, switch))
}

/// Returns the layers that instances of all infrastructures lie on.
fn skeletons_in_use(inner: &Inner) -> Result<BTreeSet<String>, LocalError> {
    let mut names = BTreeSet::new();
    for infrastructure in inner.infrastructures()? {
        let all = Found::all(&infrastructure)?;
        names.extend(
            all.into_iter()
                .filter_map(|found| found.description.skeleton),
        );
    }
    Ok(names)
}

fn write(
    infrastructure: &InfrastructurePaths,
    paths: &InstancePaths,
    description: &Description,
    request: &CreateRequest,
    all: &[Found],
) -> Result<(), LocalError> {
    let directory = infrastructure.instances();
    make_directory(&directory)?;
    let unfinished = directory.join(format!("{UNFINISHED}{}", request.token));
    skeleton::remove_tree(&unfinished)?;
    make_way(infrastructure, request.token.as_str())?;
    let new = InstancePaths::new(unfinished.clone());
    for path in [
        new.root().to_owned(),
        new.files(),
        new.work(),
        new.mount_point(),
    ] {
        make_directory(&path)?;
    }
    let wanted = Contextualisation {
        revision: 0,
        user_data: request.rendered.user_data.clone(),
        environment: request.rendered.environment.clone(),
        command: request.rendered.command.clone(),
    };
    let names = format!(
        "{}{}\t{} {}\n",
        instances::hosts(all),
        description.address,
        description.host_name(),
        state::host_name(description.node()),
    );
    state::write(&new.contextualisation(), &wanted)
        .and_then(|()| fs::write(new.root().join("hosts"), names))
        .and_then(|()| state::write(&new.description(), description))
        .and_then(|()| fs::rename(&unfinished, paths.root()))
        .map_err(LocalError::file("describe the instance in", paths.root()))
}

fn make_directory(path: &Path) -> Result<(), LocalError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(LocalError::file("make", path))
}

fn free_address(
    inner: &Inner,
    all: &[Found],
    subnet: Option<Subnet>,
    infrastructure: &InfrastructurePaths,
) -> Result<Ipv4Addr, LocalError> {
    let mut taken: BTreeSet<Ipv4Addr> = all.iter().map(|found| found.description.address).collect();
    let free = if let Some(subnet) = subnet {
        (Subnet::INSTANCE_FIRST..=Subnet::INSTANCE_LAST)
            .filter_map(|number| subnet.instance(number))
            .find(|address| !taken.contains(address))
    } else {
        // Without networks of their own, all infrastructures share one.
        for other in inner.infrastructures()? {
            let found = Found::all(&other)?;
            taken.extend(found.iter().map(|found| found.description.address));
        }
        network::plain_candidates(&infrastructure.root().to_string_lossy())
            .find(|address| !taken.contains(address))
    };
    free.ok_or_else(|| LocalError::System {
        operation: "find a free address for the instance".to_owned(),
        source: io::ErrorKind::QuotaExceeded.into(),
    })
}

/// Reads the limits from the resource section.
fn limits_of(resource: &Value) -> Limits {
    let number = |name: &str| match resource.get(name) {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    Limits {
        cores: number("cores"),
        memory_mb: number("memory_mb"),
    }
}

/// Starts the shim, and waits until it says that the instance runs.
fn start(
    inner: &Inner,
    paths: &InstancePaths,
    description: &Description,
    switch: i32,
) -> Result<(), LocalError> {
    let failed_for = |reason: String, lacks_space| {
        let reason = format!("{reason} (`{}`)", description.name);
        LocalError::start("the instance", reason, lacks_space)
    };
    let failed = |reason| failed_for(reason, false);
    let mut launcher = role(&inner.executable, "launch")
        .arg(paths.root())
        .arg(switch.to_string())
        .current_dir("/")
        // Whatever secrets the user's environment holds are none of the instance's.
        .env_clear()
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LocalError::file("start", &inner.executable))?;
    let greeting = launcher.stdout.take().map(read_greeting);
    let _ = launcher.wait();
    match greeting {
        Some(Ok(line)) => match serde_json::from_str::<Started>(&line) {
            Ok(Started::Up) => Ok(()),
            Ok(Started::Failed {
                reason,
                lacks_space,
            }) => Err(failed_for(reason, lacks_space)),
            Err(_) => Err(failed("its shim ended without a word".to_owned())),
        },
        Some(Err(error)) => Err(failed(error.to_string())),
        None => Err(failed("its shim cannot be heard".to_owned())),
    }
}

/// Reads a line, but not for ever.
fn read_greeting(mut output: ChildStdout) -> io::Result<String> {
    let started_at = Instant::now();
    let mut text = Vec::new();
    while !text.contains(&b'\n') {
        let left = START_PATIENCE.saturating_sub(started_at.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        let ready = match poll(&mut descriptors, timeout) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        if ready == 0 {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it did not run within {} s", START_PATIENCE.as_secs()),
            ));
        }
        let mut piece = [0; 1024];
        let count = output.read(&mut piece)?;
        if count == 0 || text.len() > GREETING_BYTES_MAX {
            break;
        }
        text.extend_from_slice(&piece[..count]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
