//! What rendering gives, and the form in which providers take it.

use zenekar_base::{Fingerprint, FingerprintBuilder, Value};
use zenekar_model::Rendered;
use zenekar_template::python_str;

use super::compiled::{CLOUD_CONFIG, items_of};
use super::emit::emit;

/// The longest user-data in bytes: beyond what any cloud takes, and bounded
/// because a template can repeat what it prints.
const USER_DATA_BYTES_MAX: usize = 4 << 20;

/// What rendering gives, before it is put into the form that providers take.
#[derive(Debug, Default)]
pub(crate) struct Performance {
    pub(super) resource: Value,
    pub(super) text: Option<String>,
    pub(super) mapping: Option<Value>,
    /// Why the original would fail where this does not.
    pub(crate) deviation: Option<String>,
    pub(super) environment: Value,
    pub(super) command: Value,
    pub(super) attributes: Value,
    pub(super) config_management: Value,
}

impl Performance {
    /// Returns the fingerprint of what the provider gets to make the instance from.
    pub(crate) fn resource_fingerprint(&self, provider: &str) -> Fingerprint {
        let mut builder = FingerprintBuilder::default();
        builder.text(provider);
        self.resource.fingerprint_into(&mut builder);
        builder.finish()
    }

    /// Returns the fingerprint of what makes the instance play its role: of the
    /// data, so that it does not depend on how user-data is written as text.
    pub(crate) fn context_fingerprint(&self) -> Fingerprint {
        let mut builder = FingerprintBuilder::default();
        if let Some(text) = &self.text {
            builder.text(text);
        }
        for value in [
            self.mapping.as_ref().unwrap_or(&Value::Null),
            &self.environment,
            &self.command,
            &self.attributes,
            &self.config_management,
        ] {
            value.fingerprint_into(&mut builder);
        }
        builder.finish()
    }

    /// Puts everything into the form that providers take.
    pub(crate) fn into_rendered(self, connections: Vec<Value>) -> Result<Rendered, String> {
        let user_data = match (self.text, &self.mapping) {
            (Some(text), _) => Some(text),
            (None, Some(mapping)) => Some(format!(
                "{CLOUD_CONFIG}\n{}",
                emit(mapping).trim_end_matches('\n')
            )),
            (None, None) => None,
        };
        if let Some(length) = user_data
            .as_ref()
            .map(String::len)
            .filter(|length| *length > USER_DATA_BYTES_MAX)
        {
            return Err(format!(
                "the user-data has {length} bytes, {USER_DATA_BYTES_MAX} are allowed"
            ));
        }
        let mut attributes = self.attributes;
        if !connections.is_empty() {
            let entry = ("connections".to_owned(), Value::List(connections));
            match &mut attributes {
                Value::Map(entries) => entries.push(entry),
                other => *other = Value::Map(vec![entry]),
            }
        }
        Ok(Rendered {
            resource: self.resource,
            user_data,
            environment: environment_pairs(&self.environment),
            command: command_words(&self.command)?,
            attributes,
        })
    }
}

/// Returns name and value of `NAME=value` items, or of the members of a mapping.
fn environment_pairs(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Map(entries) => entries
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    if *value == Value::Null {
                        String::new()
                    } else {
                        python_str(value)
                    },
                )
            })
            .collect(),
        _ => items_of(value)
            .iter()
            .filter_map(|item| {
                python_str(item)
                    .split_once('=')
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect(),
    }
}

/// Returns the words of a command; a text is split as a shell splits it.
fn command_words(value: &Value) -> Result<Option<Vec<String>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::List(items) => Ok(Some(items.iter().map(python_str).collect())),
        other => {
            let text = python_str(other);
            let words = shlex::split(&text);
            words
                .map(Some)
                .ok_or_else(|| format!("the command `{text}` has an open quote"))
        }
    }
}
