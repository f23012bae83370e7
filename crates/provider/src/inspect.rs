//! What can be asked of a cloud without changing it, and what is left over there.

use serde::{Deserialize, Serialize};
use zenekar_base::{InfrastructureId, InstanceTag, ResourceId};
use zenekar_model::Rendered;

/// Whom a cloud takes us for: the answer that shows that endpoint and
/// credentials work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The account, project or engine, as the cloud names it.
    pub account: String,
    /// What stays the same for as long as it is the same account, and nobody can
    /// choose: its number, say. `None` where there is no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// The user or role, where the cloud tells.
    pub user: Option<String>,
    /// What answered: product, version and the like.
    pub product: String,
    /// Where the adapter has found the credentials that it was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

impl Identity {
    /// What is known of a provider that does not tell whom it takes us for.
    pub fn untold(provider: &str) -> Self {
        Self {
            account: "unknown".to_owned(),
            pin: None,
            user: None,
            product: provider.to_owned(),
            credentials: None,
        }
    }
}

/// Which images are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// Only those with this text in id or name, letters of either case.
    pub text: Option<String>,
    /// How many at most.
    pub count_max: usize,
}

/// Something that instances can be made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What a descriptor names it by.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Size in bytes, where the cloud tells.
    pub size_bytes: Option<u64>,
    /// When it was made, as the cloud writes it.
    pub created: Option<String>,
}

/// A size of instances that a cloud has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What a descriptor names it by: instance type, flavour.
    pub name: String,
    /// Processor cores.
    pub cores: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Disk in GiB, where one comes with it.
    pub disk_gib: Option<u64>,
}

/// A limit of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaItem {
    /// What is limited: `instances`, `cores`, `memory_mib`, `floating_ips`…
    pub name: String,
    /// How much of it is in use.
    pub used: Option<u64>,
    /// How much there may be; none where there is no limit.
    pub limit: Option<u64>,
}

/// What a thing of ours at a cloud is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnedKind {
    /// A machine or container.
    Instance,
    /// A network.
    Network,
    /// A security group.
    SecurityGroup,
    /// A group of servers that are kept apart.
    ServerGroup,
    /// A public address.
    Address,
    /// A disk.
    Volume,
    /// A port of a network.
    Port,
}

impl OwnedKind {
    /// Returns the stable name used in outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Network => "network",
            Self::SecurityGroup => "security-group",
            Self::ServerGroup => "server-group",
            Self::Address => "address",
            Self::Volume => "volume",
            Self::Port => "port",
        }
    }
}

/// A thing at a cloud that carries a tag of ours, whichever infrastructure it is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owned {
    /// What it is.
    pub kind: OwnedKind,
    /// What the cloud calls it.
    pub id: ResourceId,
    /// The infrastructure, read from its tag.
    pub infrastructure: InfrastructureId,
    /// The instance, where it belongs to one.
    pub instance: Option<InstanceTag>,
    /// Its name for people.
    pub name: String,
    /// How far it is, in the cloud's words.
    pub state: String,
    /// When it was made, as the cloud writes it.
    pub created: Option<String>,
}

/// What is to be made, to be checked before anything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRequest {
    /// The infrastructure.
    pub infrastructure: InfrastructureId,
    /// Its nodes at this provider.
    pub nodes: Vec<CheckNode>,
}

/// One node that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckNode {
    /// Its name in the descriptor.
    pub name: String,
    /// How many instances of it are to be made now.
    pub count: u32,
    /// What one is created from, with placeholders for addresses.
    pub rendered: Rendered,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The cloud does not answer.
    Unreachable,
    /// Credentials are missing or refused.
    Credentials,
    /// It is another account than the one that has the infrastructure's things.
    Account,
    /// The credentials lack a right.
    Permission,
    /// An image is not there or does not fit.
    Image,
    /// An instance type or flavour is not there.
    InstanceType,
    /// A network or subnet is not there.
    Network,
    /// A security group is not there.
    SecurityGroup,
    /// A key pair is not there.
    KeyPair,
    /// A disk cannot be made as asked.
    Volume,
    /// The account's limits do not allow it.
    Quota,
    /// User-data is too large or of a form that the cloud does not take.
    UserData,
    /// A setting has a value that the cloud does not take, or lacks one.
    Setting,
}

/// Something that would keep instances from being created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub kind: ProblemKind,
    /// The nodes that it concerns; empty if all.
    pub nodes: Vec<String>,
    /// The key of the resource section, where one is the reason.
    pub key: Option<String>,
    /// What is wrong, in one line, without secrets.
    pub message: String,
    /// What to do, in one line.
    pub hint: Option<String>,
    /// Whether creation may still succeed.
    pub is_warning: bool,
}
