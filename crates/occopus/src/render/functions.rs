//! The functions that templates can call.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use zenekar_base::{
    Addresses, FingerprintBuilder, GivenAddress, GivenNode, InfrastructureId, InstanceTag, Value,
};
use zenekar_model::NodeIndex;
use zenekar_template::{Argument, Functions, python_str};

use super::scene::Scene;

/// The functions of user-data, containers and attributes.
pub(crate) const NAMES: &[&str] = &[
    "getip",
    "getprivip",
    "getipall",
    "find_node_id",
    "cut",
    "cmd",
    "ibget",
];
/// The functions of health checks.
const HEALTH_NAMES: &[&str] = &["ibget"];

/// What a rehearsal finds out about the calls of a template.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Nodes that were asked for.
    pub(crate) read: BTreeSet<u32>,
    /// The last name that no node has.
    pub(crate) unknown: Option<String>,
}

/// Where the addresses of other nodes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Directory<'a> {
    /// From the durable intent of the instance.
    Given(&'a [GivenNode]),
    /// Made up: one instance of every node.
    Rehearsal {
        /// Finds nodes by name.
        names: &'a HashMap<&'a str, u32>,
        /// What was asked for.
        record: &'a RefCell<Record>,
    },
}

/// Runs the commands that templates ask for by `cmd`, on this machine. That is
/// only done where the user allows it.
pub trait HostCommands: std::fmt::Debug + Send + Sync {
    /// Runs a program with its arguments and returns what it prints.
    fn run(&self, words: &[String]) -> Result<String, String>;
}

/// What becomes of commands that templates ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Commands<'a> {
    /// They are a mistake.
    Refused,
    /// Their output is made up.
    Rehearsed,
    /// They are run.
    Run(&'a dyn HostCommands),
}

/// The functions of one rendering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSite<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) node: NodeIndex,
    pub(crate) infrastructure: &'a InfrastructureId,
    pub(crate) directory: Directory<'a>,
    pub(crate) for_health: bool,
    /// Set when a function is given an undefined node.
    pub(crate) undefined: &'a Cell<bool>,
    pub(crate) commands: Commands<'a>,
}

impl Functions for CallSite<'_> {
    fn names(&self) -> &[&'static str] {
        if self.for_health { HEALTH_NAMES } else { NAMES }
    }

    fn call(
        &self,
        name: &str,
        arguments: &[Argument],
        named: &[(String, Argument)],
    ) -> Result<Value, String> {
        let argument = |position: usize, key: &str| {
            arguments.get(position).or_else(|| {
                named
                    .iter()
                    .find(|(name, _)| name == key)
                    .map(|(_, value)| value)
            })
        };
        match name {
            "getip" => self
                .one(name, argument(0, "node"))
                .map(|(_, given)| primary(&given)),
            "getprivip" => {
                let address =
                    |(_, given): (String, GivenAddress)| text_or_null(given.addresses.private());
                self.one(name, argument(0, "node")).map(address)
            }
            "getipall" => {
                let (_, instances) = self.all(name, argument(0, "node"))?;
                Ok(Value::List(instances.iter().map(primary).collect()))
            }
            "find_node_id" => self.find_node_id(argument(0, "node"), argument(1, "allnodes")),
            "cut" => cut(argument(0, "s"), argument(1, "start"), argument(2, "end")),
            "cmd" => self.cmd(argument(0, "argv")),
            "ibget" => self.ibget(arguments, named),
            _ => Err(format!("there is no function `{name}`")),
        }
    }
}

impl CallSite<'_> {
    fn one(
        &self,
        function: &str,
        node: Option<&Argument>,
    ) -> Result<(String, GivenAddress), String> {
        let (name, instances) = self.all(function, node)?;
        let first = instances.into_iter().next();
        first
            .map(|given| (name.clone(), given))
            .ok_or_else(|| format!("node `{name}` has no instance yet"))
    }

    /// Returns the instances of a node, oldest first, with the node's name.
    fn all(
        &self,
        function: &str,
        node: Option<&Argument>,
    ) -> Result<(String, Vec<GivenAddress>), String> {
        let name = match node {
            None => return Err(format!("`{function}` needs the name of a node")),
            Some(Argument::Undefined | Argument::Value(Value::Null)) => {
                self.first_other(function)?
            }
            Some(Argument::Value(Value::String(name))) if name.is_empty() => {
                self.first_other(function)?
            }
            Some(Argument::Value(Value::String(name))) => name.clone(),
            Some(Argument::Value(other)) => {
                return Err(format!(
                    "`{function}` needs the name of a node, but was given a value of type {}",
                    other.type_name()
                ));
            }
        };
        match &self.directory {
            Directory::Given(given) => match given.iter().find(|known| known.name == name) {
                Some(known) => Ok((name, known.instances.clone())),
                None if self.scene.nodes.iter().any(|node| node.name == name) => {
                    Ok((name, Vec::new()))
                }
                None => Err(format!("there is no node `{name}`")),
            },
            Directory::Rehearsal { names, record } => {
                let Some(&position) = names.get(name.as_str()) else {
                    record.borrow_mut().unknown = Some(name.clone());
                    return Err(format!("there is no node `{name}`"));
                };
                record.borrow_mut().read.insert(position);
                let instances = vec![placeholder(&name)];
                Ok((name, instances))
            }
        }
    }

    /// In the original an undefined name finds all nodes, of which the first is taken.
    fn first_other(&self, function: &str) -> Result<String, String> {
        self.undefined.set(true);
        let mut others = self
            .scene
            .nodes
            .iter()
            .enumerate()
            .filter(|(position, _)| *position != self.node.index());
        let (_, first) = others
            .next()
            .ok_or_else(|| format!("`{function}` was given an undefined value for a node"))?;
        Ok(first.name.clone())
    }

    /// Returns what is known of an instance. In spite of its name the original
    /// returns its data, not its id.
    fn find_node_id(
        &self,
        node: Option<&Argument>,
        all: Option<&Argument>,
    ) -> Result<Value, String> {
        let wants_all = matches!(all.and_then(Argument::value), Some(Value::Bool(true)));
        let (name, instances) = self.all("find_node_id", node)?;
        if wants_all {
            return Ok(Value::List(
                instances
                    .iter()
                    .map(|given| self.instance_data(&name, given))
                    .collect(),
            ));
        }
        match instances.first() {
            Some(given) => Ok(self.instance_data(&name, given)),
            None => Err(format!("node `{name}` has no instance yet")),
        }
    }

    fn instance_data(&self, name: &str, given: &GivenAddress) -> Value {
        let member = |key: &str, value: Value| (key.to_owned(), value);
        Value::Map(vec![
            member("node_id", given.instance.as_str().into()),
            member("infra_id", self.infrastructure.as_str().into()),
            member("infra_name", self.scene.name.into()),
            member("user_id", self.scene.user_id.clone()),
            member(
                "node_description",
                Value::Map(vec![member("name", name.into())]),
            ),
            member(
                "resource_address",
                Value::List(
                    given
                        .addresses
                        .all
                        .iter()
                        .map(|text| text.as_str().into())
                        .collect(),
                ),
            ),
            member("ip_address", text_or_null(given.addresses.private())),
        ])
    }

    /// Returns what a command prints, as text: the original prints Python's form of bytes.
    fn cmd(&self, command: Option<&Argument>) -> Result<Value, String> {
        let command = command
            .and_then(Argument::as_str)
            .ok_or("`cmd` needs a command")?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err("`cmd` needs a command".to_owned());
        }
        match self.commands {
            Commands::Refused => Err(
                "`cmd` is refused: a description may not run commands on this machine".to_owned(),
            ),
            Commands::Rehearsed => Ok("output-of-a-command".into()),
            Commands::Run(commands) => {
                let output = commands
                    .run(&words)
                    .map_err(|error| format!("`cmd` failed: {error}"))?;
                Ok(output.strip_suffix('\n').unwrap_or(&output).into())
            }
        }
    }

    /// Answers those keys of Occopus' information broker that what is given can answer.
    fn ibget(&self, arguments: &[Argument], named: &[(String, Argument)]) -> Result<Value, String> {
        let key = arguments
            .first()
            .and_then(Argument::as_str)
            .ok_or("`ibget` needs a key")?;
        let named = |name: &str| {
            named
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        match key {
            "infrastructure.name" => Ok(self.scene.name.into()),
            _ if self.for_health => Err(format!("`ibget` cannot answer `{key}` in a health check")),
            "node.find" => {
                self.find_node_id(named("name"), Some(&Argument::Value(Value::Bool(true))))
            }
            "node.find_one" => self.find_node_id(named("name"), None),
            "node.resource.address" | "node.address" => {
                member_of(key, arguments.get(1), "resource_address")
            }
            "node.resource.ip_address" => member_of(key, arguments.get(1), "ip_address"),
            _ => Err(format!(
                "`ibget` cannot answer `{key}`: templates only see the addresses of nodes"
            )),
        }
    }
}

fn member_of(key: &str, data: Option<&Argument>, member: &str) -> Result<Value, String> {
    let found = data
        .and_then(Argument::value)
        .and_then(|data| data.get(member));
    found.cloned().ok_or_else(|| {
        format!("`ibget` needs the data of an instance for `{key}`, as `find_node_id` gives it")
    })
}

fn primary(given: &GivenAddress) -> Value {
    text_or_null(given.addresses.primary())
}

fn text_or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

/// Python's `s[start:end]`.
fn cut(
    text: Option<&Argument>,
    start: Option<&Argument>,
    end: Option<&Argument>,
) -> Result<Value, String> {
    let text = text.and_then(Argument::value).ok_or("`cut` needs a text")?;
    let text = python_str(text);
    let length = i128::try_from(text.chars().count()).unwrap_or(i128::MAX);
    let bound = |argument: Option<&Argument>, default: i128| match argument {
        None | Some(Argument::Undefined | Argument::Value(Value::Null)) => Ok(default),
        Some(Argument::Value(Value::Int(number))) => {
            let from_start = if *number < 0 {
                number.saturating_add(length)
            } else {
                *number
            };
            Ok(from_start.clamp(0, length))
        }
        Some(Argument::Value(other)) => Err(format!(
            "`cut` needs whole numbers, but was given a value of type {}",
            other.type_name()
        )),
    };
    let (start, end) = (bound(start, 0)?, bound(end, length)?);
    let (skip, take) = (
        usize::try_from(start),
        usize::try_from(end.saturating_sub(start).max(0)),
    );
    Ok(Value::String(
        text.chars()
            .skip(skip.unwrap_or(0))
            .take(take.unwrap_or(0))
            .collect(),
    ))
}

/// Returns the instance of a node that a rehearsal makes up. It depends on the
/// name only: other nodes and counts must not change what is rendered.
pub(crate) fn placeholder(name: &str) -> GivenAddress {
    let mut builder = FingerprintBuilder::default();
    builder.text("placeholder").text(name);
    let print = builder.finish();
    let bytes = print.0.to_be_bytes();
    let octet = |at: usize| bytes[at];
    GivenAddress {
        instance: InstanceTag::new(print.to_uuid()),
        addresses: Addresses {
            all: vec![format!("10.{}.{}.{}", octet(0), octet(1), octet(2))],
            private: Some(format!(
                "172.{}.{}.{}",
                16 + octet(3) % 16,
                octet(4),
                octet(5)
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(value: impl Into<Value>) -> Argument {
        Argument::Value(value.into())
    }

    #[test]
    fn cut_slices_as_python_does() {
        let cut_text = |start: i64, end: i64| {
            cut(
                Some(&argument("héllo")),
                Some(&argument(start)),
                Some(&argument(end)),
            )
        };
        for (start, end, text) in [
            (0, 4, "héll"),
            (1, 3, "él"),
            (-2, 99, "lo"),
            (3, 1, ""),
            (0, -1, "héll"),
            (-99, 1, "h"),
        ] {
            assert_eq!(cut_text(start, end), Ok(Value::from(text)), "{start}:{end}");
        }
        assert_eq!(
            cut(Some(&argument("abc")), Some(&argument(1)), None),
            Ok(Value::from("bc"))
        );
        assert!(cut(Some(&argument("abc")), Some(&argument("x")), None).is_err());
        assert!(cut(Some(&Argument::Undefined), None, None).is_err());
    }

    #[test]
    fn placeholders_tell_nodes_apart() {
        assert_ne!(placeholder("a"), placeholder("b"));
        let given = placeholder("a");
        assert_ne!(given.addresses.primary(), given.addresses.private());
    }
}
