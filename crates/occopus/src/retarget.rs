//! Moves a topology to another provider: `zenekar up --on sim`.

use zenekar_base::{Map, Value};
use zenekar_model::{Definition, Implementation, Topology, TopologyParts};

use crate::checker::value_text;
use crate::rehearsal;
use crate::schema::{self, RESOURCES, Shape};

/// A setting that the target does not know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotCarried {
    /// The node type.
    pub definition: String,
    /// Which of its implementations, from 0.
    pub implementation: usize,
    /// The key of its resource section.
    pub key: String,
    /// Why it has no counterpart.
    pub reason: String,
}

/// Settings that mean the same under another name, by the name that the target uses.
const COUNTERPARTS: &[(&str, &[&str])] = &[
    ("region", &["regionname", "region_name", "location"]),
    ("instance_type", &["flavor_name", "vm_size"]),
    ("cores", &["cpu_cores"]),
];

/// Reasons for settings that many providers share.
const REASONS: &[(&[&str], &str)] = &[
    (
        &[
            "image_id",
            "image",
            "tag",
            "origin",
            "libdrive_id",
            "publisher",
            "offer",
            "sku",
            "version",
            "os_type",
        ],
        "it has no images",
    ),
    (
        &[
            "subnet_id",
            "subnet_name",
            "network_id",
            "network_type",
            "vnet_name",
            "security_group_ids",
            "security_groups",
            "floating_ip",
            "floating_ip_pool",
            "public_ip_needed",
            "ports",
        ],
        "it has one network without rules",
    ),
    (
        &["key_name", "username", "password", "ssh_key_data"],
        "nobody logs in there",
    ),
    (
        &[
            "endpoint",
            "project_id",
            "resource_group",
            "user_domain_name",
            "tenant_name",
            "name",
        ],
        "it needs no account",
    ),
    (&["volume_size", "volume_persist"], "it has no volumes"),
    (&["server_name", "tags"], "it tags instances itself"),
];

/// Replaces the provider and the resource section of all nodes. What the target
/// knows is kept, and what has no counterpart there is listed. Contextualisation
/// and health checks stay. Implementations that are of the target's kind already
/// keep their settings. Settings that are missing then, or that were never
/// filled in, get the value among `defaults`.
pub fn retarget(
    topology: &Topology,
    provider: &str,
    defaults: &Map,
) -> (Topology, Vec<NotCarried>) {
    let mut lost = Vec::new();
    let definitions = topology.definitions().iter().map(|definition| Definition {
        name: definition.name.clone(),
        implementations: definition
            .implementations
            .iter()
            .enumerate()
            .map(|(position, implementation)| {
                let mut converted = convert(implementation, provider, |key, reason| {
                    lost.push(NotCarried {
                        definition: definition.name.clone(),
                        implementation: position,
                        key: key.to_owned(),
                        reason,
                    });
                });
                fill_in(&mut converted.resource, defaults);
                converted
            })
            .collect(),
    });
    let mut parts = TopologyParts {
        definitions: definitions.collect(),
        ..topology.to_parts()
    };
    rehearsal::run_again(&mut parts);
    lost.sort();
    (
        Topology::new(parts).expect("names, counts and dependencies are those of a valid topology"),
        lost,
    )
}

fn convert(
    implementation: &Implementation,
    provider: &str,
    mut lose: impl FnMut(&str, String),
) -> Implementation {
    if implementation.provider == provider {
        return implementation.clone();
    }
    let target = schema::find(RESOURCES, provider);
    let mut kept: Map = vec![("type".to_owned(), provider.into())];
    for (key, value) in implementation.resource.as_map().into_iter().flatten() {
        if key == "type" || *value == Value::Null {
            continue;
        }
        let name = COUNTERPARTS
            .iter()
            .find(|(_, others)| others.contains(&key.as_str()))
            .map_or(key.as_str(), |(name, _)| *name);
        let shape = target.and_then(|schema| schema.shape_of(name));
        match shape.and_then(|shape| fit(shape, value)) {
            Some(value) if kept.iter().all(|(known, _)| known != name) => {
                kept.push((name.to_owned(), value));
            }
            _ => lose(key, reason_for(provider, key)),
        }
    }
    Implementation {
        provider: provider.to_owned(),
        resource: Value::Map(kept),
        ..implementation.clone()
    }
}

/// What descriptors that are handed round have in place of settings that are
/// everybody's own.
const NOT_FILLED_IN: &str = "replace_with_";

/// Gives settings that are missing or were never filled in their default.
fn fill_in(resource: &mut Value, defaults: &Map) {
    let Value::Map(entries) = resource else {
        return;
    };
    for (key, default) in defaults {
        match entries.iter_mut().find(|(name, _)| name == key) {
            None => entries.push((key.clone(), default.clone())),
            Some((_, value)) if is_not_filled_in(value) => *value = default.clone(),
            Some(_) => {}
        }
    }
}

fn is_not_filled_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(NOT_FILLED_IN),
        Value::List(items) => !items.is_empty() && items.iter().all(is_not_filled_in),
        Value::Null => true,
        _ => false,
    }
}

/// Returns the value in the form that the target takes.
fn fit(shape: Shape, value: &Value) -> Option<Value> {
    match (shape, value) {
        (Shape::Any, _) => Some(value.clone()),
        (Shape::Scalar, Value::List(_) | Value::Map(_)) => None,
        (Shape::Scalar, _) => Some(Value::String(value_text(value))),
        (Shape::OneOf(words), Value::String(text)) if words.contains(&text.as_str()) => {
            Some(value.clone())
        }
        (Shape::AtLeast(lowest), Value::Int(number)) if *number >= lowest => Some(value.clone()),
        _ => None,
    }
}

fn reason_for(provider: &str, key: &str) -> String {
    match REASONS.iter().find(|(keys, _)| keys.contains(&key)) {
        Some((_, reason)) => format!("`{provider}`: {reason}"),
        None => format!("`{provider}` does not know it"),
    }
}
