//! Stored texts as plain structs.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_base::Value;
use zenekar_diagnostics::{Severity, SourceMap};
use zenekar_document::{Kind, Loaded, View, load_text_with_tags};
use zenekar_occopus::yaml_text;

use crate::error::one_line;
use crate::limits::{INSTANCES_MAX, PROBLEMS_MAX, document_limits};

/// Everything that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// The node definitions, by user and type.
    pub definitions: Vec<Definition>,
    /// The infrastructures, by user and id.
    pub infrastructures: Vec<Infrastructure>,
    /// Those that are there too, and were not asked for.
    pub others: Vec<Owner>,
}

/// Whose an infrastructure is, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The login of the person who ran Occopus; empty in old installations.
    pub user: String,
    /// The id.
    pub id: String,
}

/// One node definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The login of the person who imported it.
    pub user: String,
    /// The type of node.
    pub name: String,
    /// The list of implementations as YAML, or why it cannot be read.
    pub implementations: Result<String, String>,
}

/// One infrastructure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the database that is there or is not"
)]
pub struct Infrastructure {
    /// Whose it is, and its id.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// What the description says about who wants it.
    pub user_id: Value,
    /// Its variables.
    pub variables: Value,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Which nodes depend on which.
    pub dependencies: Vec<Dependency>,
    /// Its instances, oldest first.
    pub instances: Vec<Instance>,
    /// The counts that were asked for, by node.
    pub counts: BTreeMap<String, u64>,
    /// Requests for more instances that nobody has worked off, by node.
    pub more: BTreeMap<String, u64>,
    /// Requests for fewer instances that nobody has worked off.
    pub fewer: Vec<RemovalRequest>,
    /// The ids of instances whose last check failed.
    pub failing: BTreeSet<String>,
    /// How many instances failed and were archived, by node.
    pub failed: BTreeMap<String, u64>,
    /// Whether Occopus has told that everything was there once.
    pub was_complete: bool,
    /// Whether somebody asked to be notified.
    pub has_notification: bool,
    /// Whether Occopus was told to leave it alone.
    pub suspended: bool,
    /// Whether there is a description at all.
    pub has_description: bool,
    /// Whether something is missing that nothing can be done without.
    pub unreadable: bool,
    /// What could not be understood, in words.
    pub problems: Vec<String>,
}

/// One node of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_name: String,
    /// Its keys as far as descriptors have them: `scaling`, `filter`, `variables`, ….
    pub keys: Vec<(String, Value)>,
}

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The node that waits.
    pub dependent: String,
    /// The node that is waited for.
    pub dependee: String,
    /// All other keys: `mappings`, ….
    pub keys: Vec<(String, Value)>,
}

/// A request to remove an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalRequest {
    /// The node.
    pub node: String,
    /// The id or address of the instance, if one is named.
    pub instance: Option<String>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The name of its node.
    pub node: String,
    /// What Occopus calls it.
    pub id: String,
    /// What the provider calls it.
    pub resource: String,
    /// The type of the provider.
    pub provider: String,
    /// The resource section that it was made from, rendered.
    pub section: Value,
    /// The sections of the implementation that it was made from.
    pub implementation: Value,
    /// When it was started, in ms since 1970; zero where that is not known.
    pub started_at_ms: i64,
    /// Its addresses, where they are stored.
    pub addresses: Vec<String>,
}

impl Infrastructure {
    pub(crate) fn new(owner: Owner) -> Self {
        Self {
            owner,
            name: String::new(),
            user_id: Value::Null,
            variables: Value::Null,
            nodes: Vec::new(),
            dependencies: Vec::new(),
            instances: Vec::new(),
            counts: BTreeMap::new(),
            more: BTreeMap::new(),
            fewer: Vec::new(),
            failing: BTreeSet::new(),
            failed: BTreeMap::new(),
            was_complete: false,
            has_notification: false,
            suspended: false,
            has_description: false,
            unreadable: false,
            problems: Vec::new(),
        }
    }

    /// Notes what could not be understood.
    pub(crate) fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    /// Brings what was read from several keys in order.
    pub(crate) fn settle(&mut self) {
        self.instances.sort_by(|one, other| {
            (one.started_at_ms, &one.id).cmp(&(other.started_at_ms, &other.id))
        });
        if self.instances.len() > INSTANCES_MAX {
            self.unreadable = true;
            self.note(format!("it has more than {INSTANCES_MAX} instances"));
        }
        let known: BTreeSet<&str> = self.instances.iter().map(|one| one.id.as_str()).collect();
        // Occopus forgets to remove the times of instances that are gone.
        self.failing.retain(|id| known.contains(id.as_str()));
    }
}

/// Reads a stored text as plain data; the tags of objects are passed over.
pub(crate) fn value(name: &str, text: &str) -> Result<Value, String> {
    let loaded = load(name, text)?;
    let root = loaded.document.root().ok_or("it is empty")?;
    Ok(root.to_value())
}

/// Writes a stored list of implementations without tags of objects. What is
/// shared stays shared: user-data shows it.
pub(crate) fn implementations(name: &str, text: &str) -> Result<String, String> {
    let loaded = load(name, text)?;
    let root = loaded.document.root().ok_or("it is empty")?;
    if root.kind() != Kind::List {
        return Err("it is no list of implementations".to_owned());
    }
    Ok(yaml_text(root))
}

fn load(name: &str, text: &str) -> Result<Loaded, String> {
    let mut sources = SourceMap::default();
    let name = one_line(name);
    let loaded = load_text_with_tags(&name, text, &document_limits(), &mut sources);
    let error = loaded
        .diagnostics
        .iter()
        .find(|diagnostic| diagnostic.severity == Severity::Error);
    match error {
        Some(error) => Err(one_line(&error.message)),
        None => Ok(loaded),
    }
}

/// The class of a stored description, whatever module it was in.
const DESCRIPTION_CLASS: &str = "StaticDescription";

/// Reads the description of an infrastructure.
pub(crate) fn describe(found: &mut Infrastructure, text: &str) -> Result<(), String> {
    let loaded = load("description", text)?;
    let root = loaded.document.root().ok_or("it is empty")?;
    let is_description = root
        .tag()
        .is_some_and(|tag| tag.rsplit('.').next() == Some(DESCRIPTION_CLASS));
    if !is_description || root.kind() != Kind::Map {
        return Err("it is not an object of Occopus's compiler".to_owned());
    }
    let nodes = root.get("nodes").ok_or("it has no nodes")?;
    found.name = text_of(root, "name").ok_or("it has no name")?;
    found.user_id = root.get("user_id").map(View::to_value).unwrap_or_default();
    found.variables = root
        .get("variables")
        .map(View::to_value)
        .unwrap_or_default();
    found.suspended = root
        .get("suspended")
        .and_then(View::as_bool)
        .unwrap_or_default();
    for node in nodes.items() {
        let node = read_node(node)?;
        found.nodes.push(node);
    }
    let dependencies = root.get("dependencies").into_iter();
    for dependency in dependencies.flat_map(View::items) {
        match read_dependency(dependency) {
            Some(dependency) => found.dependencies.push(dependency),
            None => found.note("a dependency cannot be read".to_owned()),
        }
    }
    Ok(())
}

fn text_of(view: View<'_>, key: &str) -> Option<String> {
    view.get(key)?.as_str().map(str::to_owned)
}

/// Keys that Occopus adds to every node of a description.
const ADDED_KEYS: [&str; 6] = [
    "name",
    "type",
    "infra_id",
    "infra_name",
    "user_id",
    "mappings",
];

fn read_node(view: View<'_>) -> Result<Node, String> {
    let name = text_of(view, "name").ok_or("a node has no name")?;
    let type_name = text_of(view, "type").ok_or_else(|| format!("node `{name}` has no type"))?;
    let keys = view
        .entries()
        .filter(|entry| !ADDED_KEYS.contains(&entry.key.text()))
        .map(|entry| (entry.key.text().to_owned(), entry.value.to_value()))
        .collect();
    Ok(Node {
        name,
        type_name,
        keys,
    })
}

/// Reads a dependency: a pair, or a mapping with a pair. The ends are nodes,
/// by reference; names are what Occopus took no notice of.
fn read_dependency(view: View<'_>) -> Option<Dependency> {
    let (pair, keys) = match view.kind() {
        Kind::List => (view, Vec::new()),
        Kind::Map => {
            let keys = view
                .entries()
                .filter(|entry| entry.key.text() != "connection")
                .map(|entry| (entry.key.text().to_owned(), entry.value.to_value()))
                .collect();
            (view.get("connection")?, keys)
        }
        _ => return None,
    };
    let mut ends = pair.items().map(|end| match end.kind() {
        Kind::String(name) => Some(name.to_owned()),
        _ => text_of(end, "name"),
    });
    let (dependent, dependee) = (ends.next()??, ends.next()??);
    ends.next().is_none().then_some(Dependency {
        dependent,
        dependee,
        keys,
    })
}
