//! The instances of an infrastructure as their directories show them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use nix::unistd::Pid;
use zenekar_base::{Addresses, ResourceId, ResourceState, ResourceView};

use crate::control;
use crate::layout::{InfrastructurePaths, InstancePaths};
use crate::processes;
use crate::state::{self, Description, Phase, Question, Status};
use crate::{Isolation, LocalError, limits, lock};

/// The name for a directory that is being made; it becomes an instance in one step.
pub(crate) const UNFINISHED: &str = ".new-";

/// One instance with all that its directory says.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) resource: ResourceId,
    pub(crate) paths: InstancePaths,
    pub(crate) description: Description,
    pub(crate) status: Option<Status>,
    /// The shim, if it lives.
    pub(crate) shim: Option<Pid>,
}

impl Found {
    /// Reads one instance; none if it does not exist.
    pub(crate) fn read(
        infrastructure: &InfrastructurePaths,
        resource: &ResourceId,
    ) -> Result<Option<Self>, LocalError> {
        let Some(paths) = infrastructure.instance(resource) else {
            return Ok(None);
        };
        let path = paths.description();
        let Some(description) =
            state::read::<Description>(&path).map_err(LocalError::file("read", &path))?
        else {
            return Ok(None);
        };
        let lock_path = paths.lock();
        let shim = lock::holder(&lock_path).map_err(LocalError::file("read", &lock_path))?;
        let status_path = paths.status();
        let status = state::read(&status_path).map_err(LocalError::file("read", &status_path))?;
        Ok(Some(Self {
            resource: resource.clone(),
            paths,
            description,
            status,
            shim,
        }))
    }

    /// Reads all instances of an infrastructure, in the order of their ids.
    pub(crate) fn all(infrastructure: &InfrastructurePaths) -> Result<Vec<Self>, LocalError> {
        let mut found = Vec::new();
        for name in names(&infrastructure.instances())? {
            let resource = ResourceId::new(name);
            found.extend(Self::read(infrastructure, &resource)?);
        }
        found.sort_by(|one, other| one.resource.cmp(&other.resource));
        Ok(found)
    }

    /// Returns how the instance is, in the words of all providers.
    pub(crate) fn view(&self, is_starting: bool) -> ResourceView {
        let (state, detail) = self.state(is_starting);
        ResourceView {
            instance: self.description.instance.clone(),
            resource: self.resource.clone(),
            state,
            addresses: addresses(self.description.address),
            token: Some(self.description.token.clone()),
            revision: self.status.as_ref().map_or(0, |status| status.revision),
            detail,
        }
    }

    fn state(&self, is_starting: bool) -> (ResourceState, Option<String>) {
        let broken = |why: &str| (ResourceState::Failed, Some(why.to_owned()));
        let status = match &self.status {
            _ if is_starting => return (ResourceState::Pending, None),
            // Whoever asked for it was killed; it comes up nevertheless.
            None if self.shim.is_some() => return (ResourceState::Pending, None),
            None => return broken("its start was interrupted"),
            Some(status) => status,
        };
        if status.phase == Phase::Ended {
            return (ResourceState::Failed, status.detail.clone());
        }
        let Some(shim) = self.shim else {
            return broken("its processes are gone");
        };
        if !self.paths.files().is_dir() {
            return broken("its directory is gone");
        }
        if limits::is_frozen(&self.description.mark) {
            return (ResourceState::Stopped, Some("it is frozen".to_owned()));
        }
        // Somebody who stops a program at a terminal goes on with it there.
        let stopped = processes::tree(shim.as_raw())
            .into_iter()
            .find(|(_, process)| process.state == 'T' && !process.has_terminal);
        match stopped {
            Some((pid, _)) => (
                ResourceState::Stopped,
                Some(format!("its process {pid} is stopped (SIGSTOP)")),
            ),
            None => (ResourceState::Running, status.detail.clone()),
        }
    }

    /// Sends the names of all nodes to a living instance, without waiting for an answer.
    fn tell_names(&self, hosts: &str) {
        if self.shim.is_some()
            && let Ok(stream) = control::connect(&self.paths.control())
        {
            // An instance that does not listen now gets them with the next change.
            let _ = control::send(&stream, &Question::Hosts(hosts.to_owned()), None);
        }
    }
}

/// Returns an instance's addresses.
pub(crate) fn addresses(address: Ipv4Addr) -> Addresses {
    Addresses {
        all: vec![address.to_string()],
        private: None,
    }
}

/// Returns the lines of `/etc/hosts` for all nodes: each instance has its own
/// name, and all instances of a node share the node's.
pub(crate) fn hosts(all: &[Found]) -> String {
    let mut rows: Vec<(&Description, String)> = all
        .iter()
        .map(|found| (&found.description, found.description.host_name()))
        .collect();
    // The oldest instance of a node comes first: programs that take one address take that.
    rows.sort_by_key(|(description, name)| {
        (
            description.node().to_owned(),
            description
                .name
                .rsplit('/')
                .next()
                .and_then(|number| number.parse::<u64>().ok()),
            name.clone(),
        )
    });
    let mut text = String::new();
    for (description, name) in rows {
        let node = state::host_name(description.node());
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}\t{name} {node}", description.address);
    }
    text
}

/// Tells all living instances the names of all nodes.
pub(crate) fn tell_names(all: &[Found]) {
    let hosts = hosts(all);
    for found in all {
        found.tell_names(&hosts);
    }
}

/// Returns the names of the entries of a directory, without hidden ones; a
/// directory that is not there has none.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>, LocalError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LocalError::file("list", directory)(error)),
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect())
}

/// Returns living shims with their own namespaces: the network can be found through them.
pub(crate) fn siblings(all: &[Found]) -> Vec<Pid> {
    all.iter()
        .filter(|found| found.description.isolation != Isolation::Plain)
        .filter_map(|found| found.shim)
        .filter(|shim| processes::is_alive(shim.as_raw()))
        .collect()
}
