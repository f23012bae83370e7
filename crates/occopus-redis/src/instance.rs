//! Instances, and what is asked for of their counts.

use std::collections::BTreeMap;

use zenekar_base::Value;

use crate::error::one_line;
use crate::stored::{Infrastructure, Instance, RemovalRequest};

/// The sections of an implementation.
const SECTIONS: [&str; 4] = [
    "resource",
    "contextualisation",
    "config_management",
    "health_check",
];

/// Reads the stored data of an instance; the name of the field is its id.
pub(crate) fn read(node: &str, id: &str, value: &Value) -> Result<Instance, String> {
    let resolved = value
        .get("resolved_node_definition")
        .ok_or("it does not say what it was made from")?;
    let section = value
        .get("resource")
        .or_else(|| resolved.get("resource"))
        .cloned()
        .unwrap_or_default();
    let provider = section
        .get("type")
        .and_then(Value::as_str)
        .ok_or("it does not say which provider it is at")?;
    let resource = value
        .get("instance_id")
        .and_then(resource_id)
        .ok_or("it has no id at the provider")?;
    let implementation = SECTIONS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), resolved.get(name)?.clone())))
        .filter(|(_, value)| value.as_map().is_some_and(|map| !map.is_empty()))
        .collect();
    Ok(Instance {
        node: node.to_owned(),
        id: id.to_owned(),
        resource,
        provider: provider.to_owned(),
        started_at_ms: value.get("instance_start_time").map_or(0, milliseconds),
        addresses: addresses(value),
        implementation: Value::Map(implementation),
        section,
    })
}

/// Returns what the provider calls an instance. Some plugins store a mapping,
/// or what Python prints of one.
fn resource_id(stored: &Value) -> Option<String> {
    match stored {
        Value::String(text) => {
            let text = text.trim();
            let id = printed_member(text, "Id").unwrap_or(text);
            (!id.is_empty()).then(|| id.to_owned())
        }
        Value::Int(number) => Some(number.to_string()),
        Value::Map(_) => ["instance_id", "Id", "id"]
            .iter()
            .find_map(|key| resource_id(stored.get(key)?)),
        _ => None,
    }
}

/// Finds a text in what Python prints of a mapping: `{'Id': 'abc', …}`.
fn printed_member<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let (_, rest) = inside.split_once(&format!("'{key}':"))?;
    let rest = rest.trim_start().trim_start_matches('u');
    let quote = rest
        .chars()
        .next()
        .filter(|one| matches!(one, '\'' | '"'))?;
    let (id, _) = rest[1..].split_once(quote)?;
    Some(id)
}

fn milliseconds(value: &Value) -> i64 {
    let seconds = match value {
        Value::Float(seconds) => seconds.0,
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 are far below 2^53"
        )]
        Value::Int(seconds) => *seconds as f64,
        _ => return 0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the conversion keeps to the bounds of the type, and only an order follows from it"
    )]
    let milliseconds = (seconds * 1_000.0) as i64;
    milliseconds.max(0)
}

/// Returns the addresses, best first, where some version has stored them.
fn addresses(value: &Value) -> Vec<String> {
    let stored = ["resource_address", "address", "ip_address"]
        .iter()
        .find_map(|key| value.get(key));
    let texts = match stored {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::List(several)) => several
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    let mut addresses = Vec::new();
    for text in texts {
        if !text.is_empty() && !addresses.contains(&text) {
            addresses.push(text);
        }
    }
    addresses
}

/// Counts the archived instances of each node.
pub(crate) fn archived(value: &Value) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (_, data) in value.as_map().into_iter().flatten() {
        let name = data
            .get("resolved_node_definition")
            .and_then(|resolved| resolved.get("name"))
            .or_else(|| data.get("name"));
        let name = name.and_then(Value::as_str).unwrap_or("?");
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

/// Reads what is asked for of the counts.
pub(crate) fn read_scaling(found: &mut Infrastructure, fields: Vec<(String, String)>) {
    for (field, text) in fields {
        if let Some(node) = field.strip_prefix("node-count-") {
            match text.trim().parse() {
                Ok(count) => {
                    found.counts.insert(node.to_owned(), count);
                }
                Err(_) => found.note(format!(
                    "the count of node `{}` is `{}`, which is no number",
                    one_line(node),
                    one_line(&text)
                )),
            }
        } else if let Some(node) = request_of(&field, "node-create:") {
            *found.more.entry(node.to_owned()).or_default() += 1;
        } else if let Some(node) = request_of(&field, "node-destroy:") {
            let instance = Some(text).filter(|text| !text.is_empty());
            found.fewer.push(RemovalRequest {
                node: node.to_owned(),
                instance,
            });
        } else {
            found.note(format!("unknown scaling request `{}`", one_line(&field)));
        }
    }
}

/// Returns the node of `PREFIX` + `node:request`.
fn request_of<'f>(field: &'f str, prefix: &str) -> Option<&'f str> {
    let (node, _) = field.strip_prefix(prefix)?.rsplit_once(':')?;
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_in_all_forms() {
        let map = |key: &str, id: &str| Value::Map(vec![(key.to_owned(), id.into())]);
        for (stored, expected) in [
            (Value::from("i-0abc"), Some("i-0abc")),
            (Value::Int(42), Some("42")),
            (Value::from("{'Id': 'f00', 'Warnings': None}"), Some("f00")),
            (
                Value::from("{u'Warnings': None, u'Id': u'f00'}"),
                Some("f00"),
            ),
            (Value::from("{'Warnings': None, 'Id': u'f00'}"), Some("f00")),
            (map("instance_id", "vm-1"), Some("vm-1")),
            (map("other", "vm-1"), None),
            (Value::from(""), None),
            (Value::Null, None),
        ] {
            let found = resource_id(&stored);
            assert_eq!(found.as_deref(), expected, "{stored:?}");
        }
    }

    #[test]
    fn names_of_nodes_in_requests_end_at_the_last_colon() {
        assert_eq!(
            request_of("node-create:worker:abc", "node-create:"),
            Some("worker")
        );
        assert_eq!(request_of("node-create:worker", "node-create:"), None);
    }
}
