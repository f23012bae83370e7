//! A cloud that a user has named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zenekar_base::{CloudKey, Map, Value};

use crate::endpoint;
use crate::error::CredentialsError;
use crate::kind::CloudKind;

/// The longest name: it is part of names of providers and files.
const NAME_BYTES_MAX: usize = 64;
/// The longest setting: addresses and paths are shorter.
const SETTING_BYTES_MAX: usize = 1024;
/// Default settings of one cloud: sections have a dozen keys.
const DEFAULTS_MAX: usize = 64;

/// Words that mean something else than a named cloud.
const RESERVED: &[&str] = &["aws", "docker", "ec2", "local", "nova", "openstack", "sim"];

/// Where the secrets of a named cloud are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretsKept {
    /// Sealed beside its description.
    Sealed,
    /// Where the cloud's own tools look: environment and their files.
    Environment,
    /// Nowhere: it needs none.
    None,
}

impl SecretsKept {
    /// Returns the stable name used in outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Environment => "environment",
            Self::None => "none",
        }
    }
}

/// A cloud that a user has named: all but its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCloud {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: CloudKind,
    /// Where it is and how it is used, by the names of [`CloudKind::settings`].
    pub settings: BTreeMap<String, String>,
    /// What resource sections get that were written for another kind of cloud.
    pub defaults: BTreeMap<String, String>,
    /// Where its secrets are.
    pub secrets: SecretsKept,
}

/// Fails unless a text can be the name of a cloud.
pub fn check_name(name: &str) -> Result<(), CredentialsError> {
    let refuse = |reason: &str| {
        let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
        let shown = shown.escape_debug();
        Err(CredentialsError::Invalid(format!(
            "`{shown}` cannot be the name of a cloud: {reason}"
        )))
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return refuse("it has to have 1 to 64 characters");
    }
    if RESERVED.contains(&name) {
        return refuse("it is the name of a kind of cloud");
    }
    let is_letter = |one: u8| one.is_ascii_alphanumeric();
    let is_fine = name.bytes().next().is_some_and(is_letter)
        && name
            .bytes()
            .all(|one| is_letter(one) || b"-_.".contains(&one));
    if is_fine {
        Ok(())
    } else {
        refuse("it has to begin with a letter or digit, and may have `-`, `_` and `.` besides")
    }
}

impl NamedCloud {
    /// Makes a cloud that is described by nothing but name and kind.
    pub fn new(name: &str, kind: CloudKind) -> Result<Self, CredentialsError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            settings: BTreeMap::new(),
            defaults: BTreeMap::new(),
            secrets: SecretsKept::None,
        })
    }

    /// Adds a setting.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), CredentialsError> {
        if CloudKind::is_secret_name(name) {
            return Err(CredentialsError::Invalid(format!(
                "`{name}` is a secret, and what is on a command line can be seen by others"
            )));
        }
        if !self.kind.settings().contains(&name) {
            return Err(CredentialsError::Invalid(format!(
                "`{}` has no setting `{}`; it has `{}`",
                self.kind,
                name.escape_debug(),
                self.kind.settings().join("`, `")
            )));
        }
        check_value(name, value)?;
        if name == "endpoint" {
            endpoint::check(self.kind, value)?;
        }
        if self
            .settings
            .insert(name.to_owned(), value.to_owned())
            .is_some()
        {
            return Err(CredentialsError::Invalid(format!(
                "`{name}` is there twice"
            )));
        }
        Ok(())
    }

    /// Adds what resource sections get that were written for another kind of cloud.
    pub fn set_default(&mut self, key: &str, value: &str) -> Result<(), CredentialsError> {
        let is_key = !key.is_empty()
            && key.len() <= NAME_BYTES_MAX
            && key
                .bytes()
                .all(|one| one.is_ascii_alphanumeric() || one == b'_');
        if !is_key {
            return Err(CredentialsError::Invalid(format!(
                "`{}` is no key of a resource section",
                key.chars()
                    .take(NAME_BYTES_MAX)
                    .collect::<String>()
                    .escape_debug()
            )));
        }
        if CloudKind::is_secret_name(key) && key != "id" {
            return Err(CredentialsError::Invalid(format!(
                "`{key}` is a secret, and default settings are not sealed"
            )));
        }
        check_value(key, value)?;
        if self.defaults.len() >= DEFAULTS_MAX {
            return Err(CredentialsError::Invalid(format!(
                "there are more than {DEFAULTS_MAX} default settings"
            )));
        }
        if self
            .defaults
            .insert(key.to_owned(), value.to_owned())
            .is_some()
        {
            return Err(CredentialsError::Invalid(format!(
                "the default of `{key}` is there twice"
            )));
        }
        Ok(())
    }

    /// Returns a setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Returns the name that the cloud's provider has in engines and journals.
    /// The endpoint is no part of it: a cloud that moves stays the same.
    pub fn key(&self) -> CloudKey {
        CloudKey {
            cloud: Some(self.name.clone()),
            region: self.setting("region").map(str::to_owned),
            ..CloudKey::of_kind(self.kind.name())
        }
    }

    /// Returns the default settings as a resource section has them; those that
    /// are numbers, truth values or lists as such.
    pub fn section_defaults(&self) -> Map {
        self.defaults
            .iter()
            .map(|(key, value)| (key.clone(), section_value(value)))
            .collect()
    }
}

/// Reads a default setting: a list, truth value, whole number or text in quotes
/// as JSON has them, everything else as the text that it is.
fn section_value(text: &str) -> Value {
    serde_json::from_str(text)
        .ok()
        .and_then(of_json)
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn of_json(value: serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Bool(is_true) => Value::Bool(is_true),
        serde_json::Value::Number(number) => Value::Int(number.as_i64()?.into()),
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().map(of_json).collect::<Option<_>>()?)
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => return None,
    })
}

fn check_value(name: &str, value: &str) -> Result<(), CredentialsError> {
    let is_fine = !value.is_empty()
        && value.len() <= SETTING_BYTES_MAX
        && !value.chars().any(char::is_control);
    if is_fine {
        Ok(())
    } else {
        Err(CredentialsError::Invalid(format!(
            "the value of `{name}` is empty, longer than {SETTING_BYTES_MAX} bytes, or has control characters"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_mean_nothing_else() {
        for name in ["lab", "eu-1", "a.b_c", "7"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ec2",
            "openstack",
            "a b",
            "a@b",
            "../x",
            ".x",
            "a,b",
            "é",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name(&"x".repeat(65)).is_err());
    }

    #[test]
    fn settings_hold_no_secrets() {
        let mut cloud = NamedCloud::new("lab", CloudKind::Nova).unwrap();
        assert!(cloud.set("endpoint", "https://a:5000/v3").is_ok());
        for (name, value) in [
            ("password", "x"),
            ("endpoint", "https://b"),
            ("profile", "x"),
            ("region", ""),
            ("region", "a\nb"),
        ] {
            assert!(cloud.set(name, value).is_err(), "{name}");
        }
        let mut cloud = NamedCloud::new("lab", CloudKind::Ec2).unwrap();
        for endpoint in ["x", "https://me:hunter2@b/", "https://a,b"] {
            let error = cloud.set("endpoint", endpoint).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn defaults_are_what_they_look_like() {
        for (text, value) in [
            ("ami-1", Value::from("ami-1")),
            ("8", Value::Int(8)),
            ("\"8\"", Value::from("8")),
            ("true", Value::Bool(true)),
            ("[\"sg-1\"]", Value::List(vec![Value::from("sg-1")])),
            ("1.5", Value::from("1.5")),
            ("{", Value::from("{")),
            ("null", Value::from("null")),
        ] {
            assert_eq!(section_value(text), value, "{text}");
        }
    }
}
