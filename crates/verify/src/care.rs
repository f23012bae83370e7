//! What an engine may never do from one moment to the next, as far as its own
//! state tells, besides the order of creations and deletions.

use std::collections::BTreeMap;

use zenekar_base::{InstanceKey, NodeKey};
use zenekar_engine::{Breakage, Doom, Input, Instance, Operation, Phase, Verdict};
use zenekar_model::Behaviours;

use crate::breach::Breach;
use crate::control::Control;

/// Says what is wrong with a step of the engine.
pub(crate) fn breach_of(
    before: &Control,
    after: &Control,
    behaviours: &Behaviours,
) -> Option<Breach> {
    if removes_what_is_used(before, after) {
        Some(Breach::Order)
    } else if is_below_bounds(after) {
        Some(Breach::Bounds)
    } else if trusts_one_check(before, after) {
        Some(Breach::Absence)
    } else if leaves_too_few(before, after, behaviours) {
        Some(Breach::Quorum)
    } else {
        takes_out_too_many(before, after).then_some(Breach::Unavailable)
    }
}

/// Says whether an engine that has done everything does anything when it is
/// asked for the same once more.
pub(crate) fn is_unsettled_by(input: &Input, before: &Control, after: &Control) -> bool {
    let (Input::Intent(topology), Some(intent)) = (input, &before.state().intent) else {
        return false;
    };
    if intent.teardown || intent.topology.fingerprint() != topology.fingerprint() {
        return false;
    }
    if before.engine.verdict() != Verdict::Converged {
        return false;
    }
    let kept = |control: &Control| -> (Vec<u32>, BTreeMap<InstanceKey, Option<Doom>>) {
        let state = control.state();
        let instances = state.instances.values();
        (
            state.nodes.iter().map(|node| node.target).collect(),
            instances.map(|one| (one.key, one.doom.clone())).collect(),
        )
    };
    kept(before) != kept(after)
}

/// Says whether networks are removed at a provider that has machines of ours.
fn removes_what_is_used(before: &Control, after: &Control) -> bool {
    let released = |call: &&crate::control::Outstanding| call.operation == Operation::Release;
    let mut released = after.calls.iter().filter(released).filter(|call| {
        let mut known = before.calls.iter();
        !known.any(|old| old.operation == Operation::Release && old.place == call.place)
    });
    released.any(|call| {
        let mut instances = after.state().instances.values();
        instances.any(|instance| {
            let place = instance.provider.map(zenekar_engine::ProviderIndex::index);
            instance.resource.is_some() && place == Some(usize::from(call.place))
        })
    })
}

/// Says whether a node is to have fewer instances than it may.
fn is_below_bounds(control: &Control) -> bool {
    let state = control.state();
    let Some(intent) = state.intent.as_ref().filter(|intent| !intent.teardown) else {
        return false;
    };
    (0u32..).map(NodeKey).zip(&state.nodes).any(|(key, node)| {
        let least = node
            .index
            .map(|index| intent.topology.node(index).count.min);
        least.is_some_and(|least| state.wanted(key) < least)
    })
}

/// Says whether an instance that was ready is given up because of a single check.
fn trusts_one_check(before: &Control, after: &Control) -> bool {
    after.state().instances.values().any(|instance| {
        let was_ready = before.state().instances.get(&instance.key);
        let was_ready = was_ready.is_some_and(|known| known.phase == Phase::Ready);
        was_ready
            && instance.phase == Phase::Ready
            && matches!(instance.breakage, Some(Breakage::Unhealthy(_)))
    })
}

/// Says whether the engine takes a serving instance of a node out by its own
/// decision.
fn is_taken_out(
    before: &Control,
    after: &Control,
    node: NodeKey,
    for_this: impl Fn(&Doom) -> bool,
) -> bool {
    let goes = |instance: &Instance| {
        instance.doom.as_ref().is_some_and(&for_this) || instance.phase == Phase::Restarting
    };
    before.state().instances.values().any(|instance| {
        let now = after.state().instances.get(&instance.key);
        instance.node == node && instance.serves() && now.is_none_or(goes)
    })
}

/// Says whether an update or a smaller count leaves a node without its quorum.
fn leaves_too_few(before: &Control, after: &Control, behaviours: &Behaviours) -> bool {
    let state = after.state();
    if state.teardown() {
        return false;
    }
    (0u32..).map(NodeKey).zip(&state.nodes).any(|(key, node)| {
        let behaviour = behaviours.nodes.get(&node.name);
        let quorum = behaviour.and_then(|behaviour| behaviour.quorum);
        quorum.is_some_and(|quorum| node.index.is_some() && node.serving < quorum)
            && is_taken_out(before, after, key, |doom| {
                matches!(doom, Doom::ScaledIn | Doom::Outdated | Doom::AddressChanged)
            })
    })
}

/// Says whether the engine takes serving instances out for an update while
/// more are missing than the descriptor allows.
fn takes_out_too_many(before: &Control, after: &Control) -> bool {
    let state = after.state();
    let Some(intent) = state.intent.as_ref().filter(|intent| !intent.teardown) else {
        return false;
    };
    (0u32..).map(NodeKey).zip(&state.nodes).any(|(key, node)| {
        let Some(index) = node.index else {
            return false;
        };
        let taken = is_taken_out(before, after, key, |doom| {
            matches!(doom, Doom::Outdated | Doom::AddressChanged)
        });
        let limits = intent.topology.node(index).update;
        let missing_max = match limits.surge_max {
            0 => limits.unavailable_max.max(1),
            _ => limits.unavailable_max,
        };
        taken && node.serving + missing_max < state.wanted(key)
    })
}
