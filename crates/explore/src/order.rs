//! What may be created and deleted when, as explorers check it from outside.

use zenekar_base::{InstanceTag, ResourceId, Timestamp};
use zenekar_engine::State;

/// Says what is wrong if a first attempt to create an instance is made now:
/// all that it depends on has to be ready.
pub fn early_creation(state: &State, now: Timestamp, tag: &InstanceTag) -> Option<String> {
    let instance = state.tags.get(tag).and_then(|key| state.instances.get(key));
    let instance = instance.filter(|instance| instance.phase_since == now)?;
    let intent = state.intent.as_ref()?;
    state
        .node(instance.node)
        .dependencies
        .iter()
        .find_map(|on| {
            let on = state.node(*on);
            let needed = intent.topology.node(on.index?).count.min.min(on.target);
            (on.serving < needed).then(|| {
                format!(
                    "{} is created with {} of {needed} of `{}`",
                    state.instance_name(instance),
                    on.serving,
                    on.name
                )
            })
        })
}

/// Says what is wrong if a machine is deleted now: on the way down it goes only
/// after all that depend on it.
pub fn early_deletion(state: &State, provider: &str, resource: &ResourceId) -> Option<String> {
    let instance = state.instances.values().find(|instance| {
        let place = instance.provider;
        let place = place.map(|place| state.providers[place.index()].as_str());
        instance.resource.as_ref() == Some(resource) && place == Some(provider)
    })?;
    let left = state.nodes.iter().find(|node| {
        state.teardown() && !node.instances.is_empty() && node.dependencies.contains(&instance.node)
    })?;
    Some(format!(
        "{} is deleted before `{}`",
        state.instance_name(instance),
        left.name
    ))
}
