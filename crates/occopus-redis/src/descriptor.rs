//! An infrastructure as a descriptor again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use zenekar_base::{Map, Value};

use crate::stored::{Infrastructure, Installation};

/// What definitions are called in descriptors.
const DEFINITION_PREFIX: &str = "node_def:";

impl Infrastructure {
    /// Writes the infrastructure with the node definitions that it uses as one
    /// descriptor, and names the types whose definitions were taken from
    /// running instances, because the stored ones are gone.
    pub fn descriptor(&self, installation: &Installation) -> (String, Vec<String>) {
        let mut root: Map = vec![
            ("infra_name".to_owned(), Value::String(self.name.clone())),
            ("user_id".to_owned(), self.user_id.clone()),
        ];
        if self.variables.as_map().is_some_and(|map| !map.is_empty()) {
            root.push(("variables".to_owned(), self.variables.clone()));
        }
        root.push(("nodes".to_owned(), Value::List(self.node_values())));
        if !self.dependencies.is_empty() {
            root.push(("dependencies".to_owned(), self.dependency_values()));
        }
        let mut text = document(&root);
        let (definitions, borrowed) = self.definitions(installation);
        for (name, implementations) in definitions {
            push_definition(&mut text, &name, &implementations);
        }
        (text, borrowed)
    }

    fn node_values(&self) -> Vec<Value> {
        let nodes = self.nodes.iter().map(|node| {
            let mut map: Map = vec![
                ("name".to_owned(), Value::String(node.name.clone())),
                ("type".to_owned(), Value::String(node.type_name.clone())),
            ];
            map.extend(node.keys.iter().cloned());
            Value::Map(map)
        });
        nodes.collect()
    }

    fn dependency_values(&self) -> Value {
        let dependencies = self.dependencies.iter().map(|dependency| {
            let ends = [&dependency.dependent, &dependency.dependee];
            let ends = ends.map(|name| Value::String(name.clone())).to_vec();
            let mut map: Map = vec![("connection".to_owned(), Value::List(ends))];
            map.extend(dependency.keys.iter().cloned());
            Value::Map(map)
        });
        Value::List(dependencies.collect())
    }

    /// Returns the definitions of all types, and which were borrowed from instances.
    fn definitions(&self, installation: &Installation) -> (BTreeMap<String, String>, Vec<String>) {
        let (mut definitions, mut borrowed) = (BTreeMap::new(), Vec::new());
        for node in &self.nodes {
            if definitions.contains_key(&node.type_name) {
                continue;
            }
            let stored = installation.definitions.iter().find(|definition| {
                definition.user == self.owner.user && definition.name == node.type_name
            });
            let stored = stored.and_then(|definition| definition.implementations.clone().ok());
            if let Some(implementations) = stored {
                definitions.insert(node.type_name.clone(), implementations);
                continue;
            }
            let names: Vec<&str> = self
                .nodes
                .iter()
                .filter(|other| other.type_name == node.type_name)
                .map(|other| other.name.as_str())
                .collect();
            let running = self
                .instances
                .iter()
                .rev()
                .find(|instance| names.contains(&instance.node.as_str()));
            if let Some(instance) = running {
                borrowed.push(node.type_name.clone());
                let mut list = "- ".to_owned();
                write(&mut list, &instance.implementation);
                list.push('\n');
                definitions.insert(node.type_name.clone(), list);
            }
        }
        (definitions, borrowed)
    }
}

impl crate::stored::Definition {
    /// Writes the definition as a file with this one node definition; why not,
    /// if it could not be read.
    pub fn file(&self) -> Result<String, String> {
        let mut text = String::new();
        push_definition(
            &mut text,
            &self.name,
            self.implementations.as_ref().map_err(Clone::clone)?,
        );
        Ok(text)
    }
}

fn push_definition(text: &mut String, name: &str, implementations: &str) {
    string(text, &format!("{DEFINITION_PREFIX}{name}"));
    text.push_str(":\n");
    text.push_str(implementations);
    if !implementations.ends_with('\n') {
        text.push('\n');
    }
}

/// Writes a mapping as a document: one entry of the root per line, all else in
/// flow style, which needs no rules about indentation.
fn document(root: &Map) -> String {
    let mut text = String::new();
    for (key, value) in root {
        string(&mut text, key);
        text.push_str(": ");
        write(&mut text, value);
        text.push('\n');
    }
    text
}

/// Writes a value. The recursion is bounded, because the depth of a document is.
fn write(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(text, "{number}");
        }
        Value::Float(number) if number.0.is_nan() => text.push_str(".nan"),
        Value::Float(number) if number.0.is_infinite() => {
            text.push_str(if number.0 > 0.0 { ".inf" } else { "-.inf" });
        }
        Value::Float(number) => {
            let _ = write!(text, "{:?}", number.0);
        }
        Value::String(plain) => string(text, plain),
        Value::Date(date) => text.push_str(date),
        Value::Bytes(bytes) => {
            text.push_str("!!binary \"");
            text.push_str(&BASE64_STANDARD.encode(bytes));
            text.push('"');
        }
        Value::List(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push_str(", ");
                }
                write(text, item);
            }
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            for (place, (key, item)) in entries.iter().enumerate() {
                if place > 0 {
                    text.push_str(", ");
                }
                string(text, key);
                text.push_str(": ");
                write(text, item);
            }
            text.push('}');
        }
    }
}

/// Writes text in double quotes, with everything escaped that is not plain.
fn string(text: &mut String, plain: &str) {
    text.push('"');
    for one in plain.chars() {
        match one {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' '..='~' => text.push(one),
            one => {
                let _ = write!(text, "\\U{:08X}", u32::from(one));
            }
        }
    }
    text.push('"');
}
