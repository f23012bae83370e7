//! What `GET /info/KEY` answers: how things are, never what they are made of.
//!
//! Occopus answered every key of its information broker, definitions with
//! their passwords and credentials included.

use serde_json::{Map, Value, json};
use zenekar_engine::Engine;
use zenekar_occopus_rest::{Arguments, OperationError};

use crate::occopus::report::{InstanceReport, NodeReport, Report};

/// The argument that names the infrastructure.
const INFRASTRUCTURE: &str = "infra_id";

/// The argument that names an instance.
const INSTANCE: &str = "node_id";

/// The argument that names a node.
const NODE: &str = "name";

/// Keys that Occopus answered and this service does not, with the reason.
const WITHHELD: &[(&str, &str)] = &[
    ("backends.auth_data", "credentials are not given away"),
    ("config_managers", "there are no servers of that kind"),
    (
        "infrastructure.static_description",
        "descriptions hold secrets, and are not given away",
    ),
    (
        "node.attribute",
        "attributes hold secrets, and are not given away",
    ),
    (
        "node.definition",
        "node definitions hold secrets, and are not given away",
    ),
    (
        "node.definition.all",
        "node definitions hold secrets, and are not given away",
    ),
    (
        "node.resource.cost",
        "`GET /infrastructures/ID/cost` is there for it",
    ),
];

/// A question that can be answered.
#[derive(Debug)]
pub(super) struct Question {
    key: String,
    subject: Subject,
    infrastructure: String,
    arguments: Arguments,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Name,
    IsStarted,
    State,
    IsComplete,
    Find { only_one: bool },
    InstanceState,
    Address,
    PrivateAddress,
}

/// Reads a question.
pub(super) fn read(key: &str, arguments: Arguments) -> Result<Question, OperationError> {
    let unknown = |message: &str| OperationError::UnknownKey {
        key: key.to_owned(),
        message: message.to_owned(),
    };
    let subject = match key {
        "infrastructure.name" => Subject::Name,
        "infrastructure.started" => Subject::IsStarted,
        "infrastructure.state" | "infrastructure.node_instances" => Subject::State,
        "infrastructure.finished_first_maintenance" => Subject::IsComplete,
        "node.find" => Subject::Find { only_one: false },
        "node.find_one" => Subject::Find { only_one: true },
        "node.state" | "node.resource.state" => Subject::InstanceState,
        "node.address" | "node.resource.address" => Subject::Address,
        "node.resource.ip_address" => Subject::PrivateAddress,
        _ => {
            let withheld = WITHHELD.iter().find(|(name, _)| *name == key);
            return Err(unknown(
                withheld.map_or("this service knows nothing of it", |(_, why)| why),
            ));
        }
    };
    let wrong = |message: &str| OperationError::WrongArguments {
        key: key.to_owned(),
        message: message.to_owned(),
    };
    let Some(infrastructure) = arguments.get(INFRASTRUCTURE).cloned() else {
        return Err(wrong("`infra_id` is missing"));
    };
    let is_about_instance = matches!(
        subject,
        Subject::InstanceState | Subject::Address | Subject::PrivateAddress
    );
    if is_about_instance && !arguments.contains_key(INSTANCE) {
        return Err(wrong("`node_id` is missing"));
    }
    Ok(Question {
        key: key.to_owned(),
        subject,
        infrastructure,
        arguments,
    })
}

impl Question {
    /// Returns the infrastructure that it is about.
    pub(super) fn infrastructure(&self) -> &str {
        &self.infrastructure
    }

    /// Answers the question.
    pub(super) fn answer(&self, engine: &Engine) -> Result<Value, OperationError> {
        let report = Report::of(engine);
        Ok(match self.subject {
            Subject::Name => {
                let intent = engine.state().intent.as_ref();
                json!(intent.map(|intent| intent.topology.name()))
            }
            Subject::IsStarted => json!(engine.state().intent.is_some()),
            Subject::State => state(&report),
            Subject::IsComplete => json!(is_complete(engine)),
            Subject::Find { only_one } => self.find(&report, only_one)?,
            Subject::InstanceState => json!(self.instance(&report)?.1.state),
            Subject::Address => json!(self.instance(&report)?.1.addresses.first()),
            Subject::PrivateAddress => json!(self.instance(&report)?.1.private_address),
        })
    }

    fn missing(&self, message: String) -> OperationError {
        OperationError::UnknownKey {
            key: self.key.clone(),
            message,
        }
    }

    /// Finds instances by the name of their node, by their id, or all.
    fn find(&self, report: &Report, only_one: bool) -> Result<Value, OperationError> {
        let is_meant = |argument: &str, value: &str| {
            let wanted = self.arguments.get(argument);
            wanted.is_none_or(|wanted| wanted == value)
        };
        let mut found = instances(report)
            .filter(|(node, one)| is_meant(NODE, &node.name) && is_meant(INSTANCE, &one.id))
            .map(|(node, one)| {
                json!({
                    "infra_id": self.infrastructure,
                    "node_id": one.id,
                    "node_description": { "name": node.name },
                    "resource_address": one.addresses,
                    "state": one.state,
                })
            });
        if only_one {
            return found
                .next()
                .ok_or_else(|| self.missing("no such instance".to_owned()));
        }
        Ok(Value::Array(found.collect()))
    }

    fn instance<'a>(
        &self,
        report: &'a Report,
    ) -> Result<(&'a NodeReport, &'a InstanceReport), OperationError> {
        let wanted = self.arguments.get(INSTANCE);
        instances(report)
            .find(|(_, one)| Some(&one.id) == wanted)
            .ok_or_else(|| self.missing("no such instance".to_owned()))
    }
}

fn instances(report: &Report) -> impl Iterator<Item = (&NodeReport, &InstanceReport)> {
    let nodes = report.nodes.iter();
    nodes.flat_map(|node| node.instances.iter().map(move |one| (node, one)))
}

/// Writes how all instances are, by node and id.
fn state(report: &Report) -> Value {
    let mut nodes = Map::new();
    for (node, one) in instances(report) {
        let members = nodes.entry(node.name.clone()).or_insert_with(|| json!({}));
        if let Some(members) = members.as_object_mut() {
            let about = json!({ "resource_address": one.addresses, "state": one.state });
            members.insert(one.id.clone(), about);
        }
    }
    Value::Object(nodes)
}

/// Says whether every node has had all the instances that it needs.
fn is_complete(engine: &Engine) -> bool {
    let state = engine.state();
    state.intent.is_some()
        && state.node_keys.iter().all(|key| {
            let node = state.node(*key);
            node.serving >= state.wanted(*key)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(pairs: &[(&str, &str)]) -> Arguments {
        let owned = pairs.iter();
        owned
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn secrets_are_withheld_with_a_reason() {
        for key in [
            "node.definition.all",
            "node.definition",
            "backends.auth_data",
            "infrastructure.static_description",
        ] {
            let error = read(key, arguments(&[("infra_id", "a")])).expect_err(key);
            assert!(
                matches!(&error, OperationError::UnknownKey { message, .. } if message.contains("not given away")),
                "{key}: {error}"
            );
        }
    }

    #[test]
    fn arguments_that_are_missing_are_named() {
        for (key, pairs, missing) in [
            ("infrastructure.state", &[][..], "infra_id"),
            ("node.state", &[("infra_id", "a")][..], "node_id"),
        ] {
            let error = read(key, arguments(pairs)).expect_err(key);
            assert!(
                matches!(&error, OperationError::WrongArguments { message, .. } if message.contains(missing)),
                "{key}: {error}"
            );
        }
        assert!(read("node.find", arguments(&[("infra_id", "a")])).is_ok());
    }
}
