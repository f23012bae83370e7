//! What a node reports at a breakpoint.

use serde_json::{Map, Value};

use crate::limits::{NAME_BYTES_MAX, VARIABLES_MAX};

/// The tags that say that nothing comes after the breakpoint.
const LAST_TAGS: &[&str] = &["last", "last_bp"];

/// What a node reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The node that the instance belongs to.
    pub node_name: String,
    /// Which place of the script it is.
    pub tag: String,
    /// Which stop it is, if the script says: the same one counts once, however
    /// often it is reported.
    pub visit: Option<String>,
    /// What is reported about the process: the tag, names and ids.
    pub process_data: Map<String, Value>,
    /// What the script reports: `nodeIP`, and anything else.
    pub user_data: Map<String, Value>,
}

/// Why a report is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubmission {
    /// It is not JSON.
    #[error("the report is not JSON: {0}")]
    NotJson(String),
    /// A key is missing or has a value that it cannot have.
    #[error("`{key}` {problem}")]
    Key {
        /// The key, from the top.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Submission {
    /// Reads the body of a report.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidSubmission> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| InvalidSubmission::NotJson(error.to_string()))?;
        let process_data = section(&value, "processData")?;
        let user_data = section(&value, "userData")?;
        for key in ["infraID", "infraName", "nodeID"] {
            name(process_data, key)?;
        }
        let node_name = name(process_data, "nodeName")?;
        let tag = name(process_data, "bpTag")?;
        let visit = match process_data.get("visit") {
            None => None,
            Some(_) => Some(name(process_data, "visit")?),
        };
        if node_name.is_empty() {
            return Err(invalid("processData.nodeName", "is empty"));
        }
        if !user_data.contains_key("nodeIP") {
            return Err(invalid("userData.nodeIP", "is missing"));
        }
        if user_data.len() > VARIABLES_MAX || process_data.len() > VARIABLES_MAX {
            return Err(invalid("userData", "has too many variables"));
        }
        Ok(Self {
            node_name,
            tag,
            visit,
            process_data: process_data.clone(),
            user_data: user_data.clone(),
        })
    }

    /// Says whether its variables stay as they are while the process is held.
    pub fn is_steady(&self) -> bool {
        self.process_data.get("steady").and_then(Value::as_str) == Some("yes")
    }

    /// Says whether it is the last breakpoint of the process. A tag may have
    /// several words, of which one says so.
    pub fn is_last(&self) -> bool {
        self.tag
            .split_whitespace()
            .any(|word| LAST_TAGS.contains(&word))
    }

    /// Returns the value of a variable; those of the script come first.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.user_data
            .get(name)
            .or_else(|| self.process_data.get(name))
    }
}

fn section<'v>(value: &'v Value, key: &str) -> Result<&'v Map<String, Value>, InvalidSubmission> {
    match value.get(key) {
        Some(Value::Object(section)) => Ok(section),
        Some(_) => Err(invalid(key, "is not an object")),
        None => Err(invalid(key, "is missing")),
    }
}

/// Returns a short text; numbers are taken as they print, as scripts forget quotes.
fn name(section: &Map<String, Value>, key: &str) -> Result<String, InvalidSubmission> {
    let text = match section.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(invalid(&format!("processData.{key}"), "is not a text")),
        None => return Err(invalid(&format!("processData.{key}"), "is missing")),
    };
    if text.len() > NAME_BYTES_MAX {
        return Err(invalid(&format!("processData.{key}"), "is too long"));
    }
    Ok(text)
}

fn invalid(key: &str, problem: &'static str) -> InvalidSubmission {
    InvalidSubmission::Key {
        key: key.to_owned(),
        problem,
    }
}
