//! What callers ask the cloud for, and what it answers.

use serde::{Deserialize, Serialize};
use zenekar_base::{
    CallId, Fingerprint, InfrastructureId, InstanceTag, ProbeResult, ProviderError, ResourceId,
    ResourceView, Timestamp, Token,
};

use crate::choice::CallKind;
use crate::settings::SpanRange;

/// Asks for one new instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CreateInstance {
    /// The infrastructure it belongs to.
    pub infrastructure: InfrastructureId,
    /// Its tag.
    pub instance: InstanceTag,
    /// The idempotency token.
    pub token: Token,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Fingerprint of all parameters: a repeated token with another one is a conflict.
    pub fingerprint: Fingerprint,
    /// Cores, for the quota.
    pub cores: u32,
    /// How long the call takes, instead of what the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<SpanRange>,
    /// How long the boot takes, instead of what the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<SpanRange>,
    /// How long contextualisations take, instead of what the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contextualise: Option<SpanRange>,
    /// How often it fails to boot, in parts per million, instead of what the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_failure: Option<u32>,
}

/// Which resources to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of the infrastructure.
    All,
    /// These only.
    Resources(Vec<ResourceId>),
}

/// A call to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Create an instance, or return the one that the token already created.
    Create(Box<CreateInstance>),
    /// Look at resources of one infrastructure.
    Observe {
        /// The infrastructure.
        infrastructure: InfrastructureId,
        /// Which of its resources.
        scope: Scope,
    },
    /// Delete a resource.
    Delete {
        /// The infrastructure.
        infrastructure: InfrastructureId,
        /// The resource.
        resource: ResourceId,
    },
    /// Contextualise a running instance again, in place.
    Recontextualise {
        /// The infrastructure.
        infrastructure: InfrastructureId,
        /// The resource.
        resource: ResourceId,
        /// Number of this contextualisation; one that is not newer is ignored.
        revision: u32,
    },
    /// Check an instance's health.
    Probe {
        /// The infrastructure.
        infrastructure: InfrastructureId,
        /// The resource.
        resource: ResourceId,
        /// The ports that are checked; for the footprint only.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ports: Vec<u16>,
    },
    /// Remove what was made for an infrastructure besides machines.
    Release {
        /// The infrastructure.
        infrastructure: InfrastructureId,
    },
}

impl Request {
    /// Returns the kind of the call.
    pub const fn kind(&self) -> CallKind {
        match self {
            Self::Create(_) => CallKind::Create,
            Self::Observe { .. } => CallKind::Observe,
            Self::Delete { .. } => CallKind::Delete,
            Self::Recontextualise { .. } => CallKind::Recontextualise,
            Self::Probe { .. } => CallKind::Probe,
            Self::Release { .. } => CallKind::Release,
        }
    }

    /// Returns the infrastructure that the call is about.
    pub fn infrastructure(&self) -> &InfrastructureId {
        match self {
            Self::Create(create) => &create.infrastructure,
            Self::Observe { infrastructure, .. }
            | Self::Delete { infrastructure, .. }
            | Self::Recontextualise { infrastructure, .. }
            | Self::Probe { infrastructure, .. }
            | Self::Release { infrastructure } => infrastructure,
        }
    }
}

/// The answer to a call that succeeded; one variant per kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// The resource as it was when the call took effect.
    Created(ResourceView),
    /// The resources found, in the order of their creation, or of the request.
    Observed(Vec<ResourceView>),
    /// The delete call was accepted.
    Deleted {
        /// Whether the resource was gone already.
        gone: bool,
    },
    /// The contextualisation was accepted.
    Recontextualised,
    /// The health check was carried out.
    Probed(ProbeResult),
    /// Nothing but machines was left, or nothing at all.
    Released,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The call.
    pub call: CallId,
    /// When the reply arrives.
    pub at: Timestamp,
    /// What came of it.
    pub result: Result<Response, ProviderError>,
}
