//! Where the provider keeps what: one directory for an infrastructure, one in it for each instance.

use std::path::{Path, PathBuf};

use zenekar_base::{InfrastructureId, ResourceId};

/// The longest name of a directory that is made from an id; the limit of common file systems.
const NAME_BYTES_MAX: usize = 255;

/// All infrastructures of one state directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the places of one infrastructure; none if the id cannot be a directory's name.
    pub(crate) fn infrastructure(&self, id: &InfrastructureId) -> Option<InfrastructurePaths> {
        is_plain_name(id.as_str()).then(|| InfrastructurePaths {
            root: self.root.join(id.as_str()),
        })
    }
}

/// Says whether a text names a file of a directory, and nothing else.
fn is_plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.starts_with('.')
        && !text.contains(['/', '\0'])
}

/// The places of one infrastructure.
#[derive(Clone, Debug)]
pub(crate) struct InfrastructurePaths {
    root: PathBuf,
}

impl InfrastructurePaths {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    /// Returns the places of one instance; none if no instance can have that resource id.
    pub(crate) fn instance(&self, resource: &ResourceId) -> Option<InstancePaths> {
        is_plain_name(resource.as_str()).then(|| InstancePaths {
            root: self.instances().join(resource.as_str()),
        })
    }

    pub(crate) fn network(&self) -> NetworkPaths {
        NetworkPaths {
            root: self.root.join("network"),
        }
    }
}

/// The places of one instance.
#[derive(Clone, Debug)]
pub(crate) struct InstancePaths {
    root: PathBuf,
}

impl InstancePaths {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What the instance is: written first, and removed last.
    pub(crate) fn description(&self) -> PathBuf {
        self.root.join("instance.json")
    }

    /// Held by the shim as long as the instance runs.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("shim.lock")
    }

    /// How far the instance is, written by the shim.
    pub(crate) fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// Where the shim listens.
    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    /// What the instance is contextualised with: secret.
    pub(crate) fn contextualisation(&self) -> PathBuf {
        self.root.join("contextualisation.json")
    }

    /// What contextualisation printed.
    pub(crate) fn contextualisation_log(&self) -> PathBuf {
        self.root.join("contextualisation.log")
    }

    /// What the console shows.
    pub(crate) fn console_log(&self) -> PathBuf {
        self.root.join("console.log")
    }

    /// What became of each step of the contextualisation.
    pub(crate) fn report(&self) -> PathBuf {
        self.root.join("report.json")
    }

    /// The instance's own files: what it changed of the machine's, and its own directories.
    pub(crate) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Where overlays keep their books.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where the root is put together, visible inside only.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.root.join("root")
    }
}

/// The places of an infrastructure's network.
#[derive(Clone, Debug)]
pub(crate) struct NetworkPaths {
    root: PathBuf,
}

impl NetworkPaths {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Held while somebody starts or stops the network.
    pub(crate) fn ensure_lock(&self) -> PathBuf {
        self.root.join("ensure.lock")
    }

    /// Held by the switch as long as it lives.
    pub(crate) fn switch_lock(&self) -> PathBuf {
        self.root.join("switch.lock")
    }

    /// Where the switch listens.
    pub(crate) fn switch_control(&self) -> PathBuf {
        self.root.join("switch")
    }

    pub(crate) fn switch_log(&self) -> PathBuf {
        self.root.join("switch.log")
    }

    /// Held by the gateway as long as it lives.
    pub(crate) fn gateway_lock(&self) -> PathBuf {
        self.root.join("gateway.lock")
    }

    pub(crate) fn gateway_log(&self) -> PathBuf {
        self.root.join("gateway.log")
    }

    /// The network's addresses.
    pub(crate) fn description(&self) -> PathBuf {
        self.root.join("network.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_lead_out_of_the_directory() {
        let layout = Layout::new(PathBuf::from("/state/local"));
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "a\0b"] {
            assert!(
                layout.infrastructure(&InfrastructureId::new(bad)).is_none(),
                "{bad:?}"
            );
        }
        let paths = layout
            .infrastructure(&InfrastructureId::new("demo-1"))
            .expect("a good id");
        assert_eq!(paths.root(), Path::new("/state/local/demo-1"));
        assert!(paths.instance(&ResourceId::new("../x")).is_none());
    }
}
