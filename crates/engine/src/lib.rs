//! The deterministic orchestration engine: intent, observation, planning, life cycles.
//!
//! [`Engine::handle`] takes what happened, [`Engine::poll`] gives what to do.
//! The same engine runs in production and in the explorer.
//!
//! Architecture invariant: no I/O, no clock, no randomness, no threads, no
//! hash maps. Time, seed and inputs are arguments.

mod adopt;
mod advance;
mod backoff;
mod complete;
mod consistency;
mod crossing;
mod defect;
mod draft;
mod effect;
mod engine;
mod given;
mod instance;
mod intent;
mod likeness;
mod news;
mod node;
mod observe;
mod plan;
mod progress;
mod pump;
mod rebase;
mod record;
mod release;
mod renumber;
pub mod settings;
mod shared;
mod snapshot;
mod state;
mod status;
mod step;
mod waiting;

pub use adopt::{Adoption, ForeignInstance, LostInstance};
pub use crossing::Unreachable;
#[cfg(feature = "defects")]
pub use defect::Defect;
pub use effect::{
    Call, Effect, Input, Notice, Operation, Refusal, Response, ScalingChange, ScalingRequest, Scope,
};
pub use engine::Engine;
pub use likeness::Nameless;

pub use node::{Block, NodeState};
pub use record::{AdoptedInstance, Breakage, Doom, Entry, RECORD_VERSION, Record, SharedTopology};
pub use settings::Settings;
pub use shared::{SharedList, SharedMap};
pub use snapshot::{SNAPSHOT_VERSION, Snapshot};
pub use state::{Instance, Intent, Phase, ProviderIndex, State};
pub use status::{InstanceStatus, NodeStatus, ReleaseStatus, Status, Verdict};
pub use step::{Action, Cause, Plan, Step, When};
pub use waiting::Waiting;
