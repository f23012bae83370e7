//! What can happen next.

use zenekar_simcloud::Change;

use crate::network::Link;
use crate::setting::Fault;

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It takes effect and is answered.
    Served,
    /// It takes effect, and its answer takes a while.
    Postponed,
    /// It fails, or is answered wrongly, in this way.
    Faulty(Fault),
    /// It takes effect; the engine dies before the answer is durable.
    DiesBefore,
    /// It takes effect and is answered; the engine dies after so many of the
    /// calls that it makes thereupon were sent.
    DiesAfter(u8),
}

/// One thing that can happen. Numbers are places in the tables of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// People ask for the next thing.
    Demand,
    /// A call comes to its end.
    Call {
        /// The call.
        call: u8,
        /// What comes of it.
        outcome: Outcome,
    },
    /// An answer that was on its way arrives.
    Arrive {
        /// The call.
        call: u8,
    },
    /// A call takes effect that nobody waits for any more.
    LateEffect {
        /// The abandoned call.
        call: u8,
    },
    /// A creation that nobody waits for any more takes effect although the one
    /// that repeated it has.
    EffectAgain {
        /// The abandoned call.
        call: u8,
    },
    /// A call that nobody waits for any more never takes effect.
    NoEffect {
        /// The abandoned call.
        call: u8,
    },
    /// A machine changes by itself.
    Machine {
        /// The machine.
        machine: u8,
        /// How.
        change: Change,
    },
    /// An instance goes on with its contextualisation.
    Run {
        /// Its machine.
        machine: u8,
    },
    /// An instance's contextualisation dies.
    AgentDies {
        /// Its machine.
        machine: u8,
    },
    /// The network does something else for an instance from now on.
    Link {
        /// Its machine.
        machine: u8,
        /// What.
        link: Link,
    },
    /// An instance does not find the name of another one, which it looks for once.
    NameMissing {
        /// Its machine.
        machine: u8,
    },
    /// The engine dies between two inputs.
    Crash,
    /// Time passes until the engine wants to look again.
    Tick,
}

impl Action {
    /// Returns the fault that this is, if it is one.
    pub const fn fault(self) -> Option<Fault> {
        match self {
            Self::Call { outcome, .. } => match outcome {
                Outcome::Served | Outcome::Postponed => None,
                Outcome::Faulty(fault) => Some(fault),
                Outcome::DiesBefore | Outcome::DiesAfter(_) => Some(Fault::EngineCrash),
            },
            Self::Machine { change, .. } => match change {
                Change::Boots | Change::IsDeleted => None,
                Change::BootFails => Some(Fault::BootFails),
                Change::Vanishes => Some(Fault::MachineLost),
                Change::Stops => Some(Fault::MachineStopped),
                Change::Readdresses => Some(Fault::AddressChanges),
            },
            Self::AgentDies { .. } => Some(Fault::AgentDies),
            Self::EffectAgain { .. } => Some(Fault::RepeatedCreation),
            Self::Link { link, .. } => link.fault(),
            Self::NameMissing { .. } => Some(Fault::LateDns),
            Self::Crash => Some(Fault::EngineCrash),
            _ => None,
        }
    }
}
