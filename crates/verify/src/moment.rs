//! One state of the world.

use smallvec::SmallVec;

use crate::agent::Agent;
use crate::breach::Breach;
use crate::watched::Memory;

/// A state of the world: numbers of large parts, and the small ones themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The engine and its calls.
    pub(crate) control: u32,
    /// The clouds.
    pub(crate) cloud: u32,
    /// How long nothing has happened that takes time to deal with, in ms.
    pub(crate) calm_ms: u64,
    /// Steps of the script that are done.
    pub(crate) script: u8,
    /// Faults that happened.
    pub(crate) faults: u8,
    /// Times that the world was slower than the engine.
    pub(crate) delays: u8,
    /// Whether the engine has only looked since all was quiet, and learned nothing.
    pub(crate) is_uneventful: bool,
    /// The engine after looks of which nobody will learn anything, and the time
    /// that they take, in ms. It follows from all else.
    pub(crate) pause: Option<(u32, u32)>,
    /// What is wrong.
    pub(crate) breach: Option<Breach>,
    /// How far each machine of the cloud is, in the cloud's order.
    pub(crate) agents: SmallVec<[Agent; 8]>,
    /// What the monitors of stated properties remember.
    pub(crate) memory: Memory,
}
