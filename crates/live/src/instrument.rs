//! Breakpoints in contextualisations: where an instance may depend on what others
//! have done by then.
//!
//! A cloud-config gets a helper script (`breakpoint.sh`), a breakpoint before its
//! first command, one after each command that refers to another node, and one
//! after its last. The helper stops nowhere unless a debugger is configured, so
//! that what is instrumented can stay so: its breakpoints sleep.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;
use zenekar_base::{Map, Value};

mod refers;
mod text;

pub use refers::{commands_with_references, commands_with_words};
pub use text::{commands_at_points, equip_user_data, instrument_user_data};

/// Where the helper script is on an instance. Users call it by this name too.
pub const HELPER_PATH: &str = "/opt/zenekar/breakpoint";

/// Where an instance finds its debugger.
pub const CONFIGURATION_PATH: &str = "/etc/zenekar/debugger";

/// Breakpoints that one cloud-config gets at most. Each costs a process and two
/// requests, and no traversal gets far with more.
pub const POINTS_MAX: usize = 1_000;

/// The helper script.
const HELPER: &str = include_str!("breakpoint.sh");

/// The tag of the breakpoint before the first command.
const FIRST: &str = "first";

/// How commands call the script: instances that are only a directory of their
/// machine have their files below it.
const HELPER_CALL: &str = "${ZENEKAR_ROOT:-}/opt/zenekar/breakpoint";

/// Which debugger an instance reports to, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The address of the server, as `http://10.0.0.1:5000`.
    pub server: String,
    /// The id of the infrastructure, which is that of the session.
    pub infrastructure: String,
    /// The name of the infrastructure.
    pub infrastructure_name: String,
    /// The id of the instance.
    pub node: String,
    /// The node that it belongs to.
    pub node_name: String,
    /// The token of the server, if it has one.
    pub token: Option<String>,
}

impl Access {
    /// Writes the file that [`CONFIGURATION_PATH`] is: assignments of a shell.
    pub fn configuration(&self) -> String {
        let path = format!("{}/{}", encoded(&self.infrastructure), encoded(&self.node));
        let identity = json!({
            "infraID": self.infrastructure,
            "infraName": self.infrastructure_name,
            "nodeID": self.node,
            "nodeName": self.node_name,
        });
        // What is between the brackets, for the script to add to.
        let identity = identity.to_string();
        let identity = identity.trim_start_matches('{').trim_end_matches('}');
        let mut text = String::new();
        for (name, value) in [
            ("server", self.server.trim_end_matches('/')),
            ("path", &path),
            ("identity", identity),
            ("token", self.token.as_deref().unwrap_or("")),
        ] {
            let _ = writeln!(text, "{name}='{}'", value.replace('\'', r"'\''"));
        }
        text
    }
}

/// A breakpoint that was inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its tag: `first`, `bp_1`, …, `last last_bp`.
    pub tag: String,
    /// The index of the command in the original `runcmd` that it stands behind;
    /// none for the first breakpoint.
    pub after: Option<usize>,
}

/// Why a cloud-config cannot be instrumented.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstrumentError {
    /// A section is not a list.
    #[error("`{0}` is not a list")]
    NotAList(&'static str),
    /// It is not a cloud-config, and not a script either.
    #[error("the user-data is neither a cloud-config nor a script")]
    NotCloudConfig,
    /// It is written in a way that lines cannot be put into.
    #[error("`runcmd` or `write_files` is not written as one item per line")]
    Unusual,
    /// It has no breakpoints by itself, and gets none.
    #[error("the user-data has no breakpoints")]
    NoBreakpoints,
    /// There are too many commands that refer to other nodes.
    #[error("more than {POINTS_MAX} commands refer to other nodes")]
    TooManyPoints,
}

/// Inserts breakpoints into a cloud-config. `refers` has the commands that refer
/// to another node, by their indices: before templates are rendered those of
/// [`commands_with_references`], afterwards those of [`commands_with_words`] with
/// the addresses that the instance was given.
///
/// Commands that were instrumented already stay as they are.
pub fn instrument(
    config: &Map,
    refers: &BTreeSet<usize>,
) -> Result<(Map, Vec<Point>), InstrumentError> {
    let mut config = config.clone();
    let commands = list_of(&config, "runcmd")?.to_vec();
    let first = call(FIRST);
    if commands.first() == Some(&first) {
        return Ok((config, Vec::new()));
    }
    let mut points = vec![Point {
        tag: FIRST.to_owned(),
        after: None,
    }];
    let mut instrumented = vec![first];
    for (index, command) in commands.iter().enumerate() {
        instrumented.push(command.clone());
        // The last breakpoint stands behind the last command anyway.
        if index + 1 < commands.len() && refers.contains(&index) {
            if points.len() == POINTS_MAX {
                return Err(InstrumentError::TooManyPoints);
            }
            let tag = format!("bp_{}", points.len());
            instrumented.push(call(&tag));
            points.push(Point {
                tag,
                after: Some(index),
            });
        }
    }
    let tag = "last last_bp".to_owned();
    instrumented.push(call(&tag));
    points.push(Point {
        tag,
        after: commands.len().checked_sub(1),
    });
    set(&mut config, "runcmd", Value::List(instrumented));
    add_file(&mut config, HELPER_PATH, HELPER, "0755")?;
    Ok((config, points))
}

/// Wakes the breakpoints of an instance: tells it where its debugger is.
pub fn configure(config: &Map, access: &Access) -> Result<Map, InstrumentError> {
    let mut config = config.clone();
    // The token is in it.
    add_file(
        &mut config,
        CONFIGURATION_PATH,
        &access.configuration(),
        "0600",
    )?;
    Ok(config)
}

/// Calls the helper. Behind a command its exit status is reported: whether it
/// depends on the order of steps is worth knowing, and all commands are lines of
/// one script.
fn call(tag: &str) -> Value {
    let status = if tag == FIRST { "" } else { " status=$?" };
    let tag = if tag.contains(' ') {
        format!("'{tag}'")
    } else {
        tag.to_owned()
    };
    Value::String(format!("{HELPER_CALL} {tag}{status}"))
}

fn list_of<'m>(config: &'m Map, key: &'static str) -> Result<&'m [Value], InstrumentError> {
    match config.iter().find(|(name, _)| name == key) {
        None | Some((_, Value::Null)) => Ok(&[]),
        Some((_, Value::List(items))) => Ok(items),
        Some(_) => Err(InstrumentError::NotAList(key)),
    }
}

fn set(config: &mut Map, key: &str, value: Value) {
    match config.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value,
        None => config.push((key.to_owned(), value)),
    }
}

/// Adds a file, or replaces the one that stands at its path.
fn add_file(
    config: &mut Map,
    path: &str,
    content: &str,
    mode: &str,
) -> Result<(), InstrumentError> {
    let is_other = |file: &Value| file.get("path").and_then(Value::as_str) != Some(path);
    let mut files: Vec<Value> = list_of(config, "write_files")?
        .iter()
        .filter(|file| is_other(file))
        .cloned()
        .collect();
    let text = |text: &str| Value::String(text.to_owned());
    files.push(Value::Map(vec![
        ("path".to_owned(), text(path)),
        ("permissions".to_owned(), text(mode)),
        ("content".to_owned(), text(content)),
    ]));
    set(config, "write_files", Value::List(files));
    Ok(())
}

/// Encodes a name as a part of a path.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
