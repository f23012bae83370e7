//! The vocabulary between the engine and the world: resources, addresses,
//! outcomes of calls and classes of errors.
//!
//! It lives on the ground floor because the engine and the providers share it
//! but may not know each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{InstanceTag, NodeKey, ResourceId, Token};
use crate::time::Millis;

/// How the engine has to react to a failed call. Adapters classify and decide nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// A passing fault (5xx, connection reset before the request was sent): it surely had no effect.
    Retryable,
    /// The provider asks for a pause; see [`ProviderError::retry_after`].
    Throttled,
    /// The provider has no such machine free now.
    Capacity,
    /// An account limit is reached.
    Quota,
    /// The token or name is in use with other parameters.
    Conflict,
    /// The subject does not exist.
    NotFound,
    /// Credentials are missing, wrong or lack a right.
    Auth,
    /// The request can never succeed as it is.
    Invalid,
    /// The call may or may not have had its effect (time-out, connection lost after sending).
    Unknown,
}

impl ErrorClass {
    /// Returns the stable name used in outputs and journals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Throttled => "throttled",
            Self::Capacity => "capacity",
            Self::Quota => "quota",
            Self::Conflict => "conflict",
            Self::NotFound => "not-found",
            Self::Auth => "auth",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A failed call to a provider, classified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProviderError {
    /// What the engine has to make of it.
    pub class: ErrorClass,
    /// What the provider said, in one line; never holds a secret.
    pub message: String,
    /// The pause that the provider asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
}

impl ProviderError {
    /// Makes an error without a requested pause.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.class)
    }
}

impl std::error::Error for ProviderError {}

/// The addresses of a running instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Addresses {
    /// All addresses under which it can be reached, best first (public name, public address, private address).
    pub all: Vec<String>,
    /// The address inside the provider's network, where it differs from the first of `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
}

impl Addresses {
    /// Returns the address that other nodes are given: Occopus's `getip`.
    pub fn primary(&self) -> Option<&str> {
        self.all.first().map(String::as_str)
    }

    /// Returns the address within the provider's network: Occopus's `getprivip`.
    pub fn private(&self) -> Option<&str> {
        self.private.as_deref().or_else(|| self.primary())
    }
}

/// How far a resource is, in the words of all providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceState {
    /// Accepted, not yet running.
    Pending,
    /// Running; its addresses are known.
    Running,
    /// Stopped but restartable: exists and may cost money.
    Stopped,
    /// Could not be started or broke down: exists until it is deleted.
    Failed,
    /// Being deleted.
    Deleting,
    /// Deleted; the provider may show it for a while.
    Gone,
}

/// One resource of ours as a provider shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceView {
    /// The instance that the resource is, read from its tag; empty if it
    /// carries no tag of ours, which only those that were asked for by their
    /// ids may do.
    pub instance: InstanceTag,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// How far it is.
    pub state: ResourceState,
    /// Its addresses, as far as known.
    pub addresses: Addresses,
    /// The idempotency token it was created with, where the provider shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The number of the last contextualisation that was applied in place (0: as created).
    #[serde(default)]
    pub revision: u32,
    /// The provider's words on why it failed or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The addresses of one instance that another was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GivenAddress {
    /// Whose addresses they are.
    pub instance: InstanceTag,
    /// The addresses.
    pub addresses: Addresses,
}

/// What an instance was told of one other node when it was contextualised.
///
/// It is part of the durable intent: a repeated create call renders exactly
/// the same user-data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GivenNode {
    /// The other node.
    pub node: NodeKey,
    /// Its name in the descriptor.
    pub name: String,
    /// Its ready instances, oldest first.
    pub instances: Vec<GivenAddress>,
}

/// What has to hold for an instance to be healthy. Rendered: no templates left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Answers one ICMP echo within a second.
    pub ping: bool,
    /// TCP ports that accept a connection.
    pub ports: Vec<u16>,
    /// URLs that answer HEAD with a status from 200 to 299.
    pub urls: Vec<String>,
    /// `MySQL` databases that accept a login: name, user, password.
    pub mysql_databases: Vec<MysqlProbe>,
}

/// A `MySQL` database that must accept a login.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MysqlProbe {
    /// Database name.
    pub name: String,
    /// User name.
    pub user: String,
    /// Password; never printed.
    pub password: String,
}

impl fmt::Debug for MysqlProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MysqlProbe")
            .field("name", &self.name)
            .field("user", &self.user)
            .field("password", &"***")
            .finish()
    }
}

/// The answer of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeResult {
    /// All checks passed.
    Healthy,
    /// A check failed; says which and how, in one line.
    Unhealthy(String),
}

/// What a provider can do and how it behaves; all bounds are the provider's own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capabilities {
    /// Calls that may be in flight at once.
    pub calls_in_flight_max: u32,
    /// Resources that one describe call may name.
    pub describe_batch_max: u32,
    /// How long a list may lag behind the truth, and how long a call of unknown
    /// outcome may still take effect. Absence is believed only after it.
    pub settle: Millis,
    /// Whether a running instance can be contextualised again in place.
    pub recontextualise: bool,
    /// Whether the provider honours idempotency tokens natively.
    pub native_tokens: bool,
    /// Bytes of user-data accepted; `None` where there is no limit.
    pub user_data_bytes_max: Option<u64>,
    /// Whether others use the same account: then what is ours has to be told
    /// apart by more than the infrastructure's name.
    #[serde(default)]
    pub is_shared: bool,
}

impl Default for Capabilities {
    /// Returns careful values for a provider of which nothing is known.
    fn default() -> Self {
        Self {
            calls_in_flight_max: 16,
            describe_batch_max: 100,
            settle: Millis::from_secs(30),
            recontextualise: false,
            native_tokens: false,
            user_data_bytes_max: None,
            is_shared: false,
        }
    }
}
