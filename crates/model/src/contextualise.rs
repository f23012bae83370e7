//! What turns a bare instance into its role, as a seam: a front-end knows how
//! to render its own templates, the runtime only asks for the result.

use std::fmt;

use serde::{Deserialize, Serialize};
use zenekar_base::{Addresses, GivenNode, InfrastructureId, InstanceTag, ProbeSpec, Value};

use crate::topology::{NodeIndex, Topology};

/// What rendering depends on besides the topology. All of it is part of the
/// durable intent, so that rendering again gives the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct RenderInput<'a> {
    /// The infrastructure.
    pub infrastructure: &'a InfrastructureId,
    /// The node to render.
    pub node: NodeIndex,
    /// Which of the node's candidates was chosen (index into [`crate::Node::candidates`]).
    pub candidate: usize,
    /// The instance to render for.
    pub instance: &'a InstanceTag,
    /// The addresses of other nodes that the instance is given.
    pub given: &'a [GivenNode],
}

/// What a provider needs to create an instance. No templates left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rendered {
    /// The provider's own settings: image, size, network…
    pub resource: Value,
    /// The user-data (cloud-init) text.
    pub user_data: Option<String>,
    /// Environment of a container: name and value.
    pub environment: Vec<(String, String)>,
    /// Command of a container.
    pub command: Option<Vec<String>>,
    /// Attributes for configuration managers.
    pub attributes: Value,
}

/// A template could not be rendered for an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError {
    /// What went wrong, in one line, with the place in the descriptor.
    pub message: String,
}

impl fmt::Display for RenderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for RenderError {}

/// Renders what instances get. Implemented by the front-ends.
pub trait Renderer: Send + Sync {
    /// Renders the resource section and the contextualisation of one instance.
    fn render(&self, topology: &Topology, input: &RenderInput<'_>)
    -> Result<Rendered, RenderError>;

    /// Renders the health checks of one running instance.
    fn probes(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
        addresses: &Addresses,
    ) -> Result<ProbeSpec, RenderError>;
}
