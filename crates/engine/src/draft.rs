//! The plan of one node in the making.

use std::collections::BTreeSet;

use zenekar_base::{InstanceKey, NodeKey};

use crate::engine::Engine;
use crate::record::Doom;
use crate::step::{Action, Cause, Step, When};

/// A node's plan in the making.
pub(crate) struct Draft {
    pub(crate) node: NodeKey,
    pub(crate) wanted: u32,
    /// Serving instances that stay so far.
    pub(crate) serving: u32,
    pub(crate) leaving: BTreeSet<InstanceKey>,
    pub(crate) steps: Vec<Step>,
}

impl Draft {
    /// Adds a step that takes an instance out of service.
    pub(crate) fn take_out(
        &mut self,
        engine: &Engine,
        key: InstanceKey,
        action: Action,
        cause: Cause,
        when: When,
    ) {
        if when == When::Now {
            if engine
                .instance(key)
                .is_some_and(|instance| engine.surely_serves(instance))
            {
                self.serving -= 1;
            }
            if action != Action::Restart {
                self.leaving.insert(key);
            }
        }
        self.steps
            .push(step(self.node, Some(key), action, cause, when));
    }
}

/// Makes a step.
pub(crate) fn step(
    node: NodeKey,
    instance: Option<InstanceKey>,
    action: Action,
    cause: Cause,
    when: When,
) -> Step {
    Step {
        node,
        instance,
        action,
        cause,
        when,
    }
}

/// Returns why an instance is to be deleted that a step deletes.
pub(crate) fn doom_of(cause: &Cause) -> Doom {
    match cause {
        Cause::Doomed(doom) => doom.clone(),
        Cause::NodeRemoved => Doom::NodeRemoved,
        Cause::Teardown => Doom::Teardown,
        Cause::Broken(breakage) => Doom::Broken(breakage.clone()),
        Cause::Outdated { .. } => Doom::Outdated,
        Cause::AddressChanged | Cause::AddressWillChange { .. } => Doom::AddressChanged,
        Cause::AboveTarget | Cause::BelowTarget | Cause::Unfinished => Doom::ScaledIn,
    }
}
