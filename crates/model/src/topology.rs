//! The checked topology: nodes, what they are made of, and what they wait for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{Fingerprint, FingerprintBuilder, Map, Millis, Value};

use crate::graph;

/// The position of a node in [`Topology::nodes`]; valid for that topology only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// Returns the position as an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many instances a node may have; `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CountRange {
    /// The initial and the lowest count.
    pub min: u32,
    /// The highest count.
    pub max: u32,
}

impl CountRange {
    /// Returns the count within the range that is nearest to `count`.
    pub fn clamp(self, count: u32) -> u32 {
        count.clamp(self.min, self.max)
    }
}

/// What happens to a dependant when an address that it was given has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressChange {
    /// Nothing: the dependant finds out by itself.
    Ignore,
    /// It is contextualised again in place; recreated where the provider cannot.
    Restart,
    /// It is replaced by a new instance.
    Recreate,
}

/// An attribute of the dependee that the dependant is given (`mappings` of the descriptor).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mapping {
    /// Attribute of the dependee.
    pub source: String,
    /// Attribute of the dependant.
    pub destination: String,
    /// Whether the dependee counts as ready only once the attribute is set.
    pub synchronous: bool,
}

/// One node waits for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The node that has to be ready first.
    pub on: NodeIndex,
    /// What the descriptor says about changed addresses; `None` where it says
    /// nothing: then a replaced dependee restarts the dependant, and scaling does not touch it.
    pub on_address_change: Option<AddressChange>,
    /// Attributes handed over.
    pub mappings: Vec<Mapping>,
}

/// How a node's instances are replaced when its descriptor has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpdateLimits {
    /// Instances that may be missing at once while replacing; at least 1 of this and `surge_max`.
    pub unavailable_max: u32,
    /// Extra instances that may exist at once while replacing.
    pub surge_max: u32,
    /// Refuse every change that would replace instances.
    pub refuse_replacement: bool,
}

impl Default for UpdateLimits {
    /// Replaces one after another, each only after its predecessor's successor is ready.
    fn default() -> Self {
        Self {
            unavailable_max: 1,
            surge_max: 0,
            refuse_replacement: false,
        }
    }
}

/// How an instance is told its role. Templates are kept as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contextualisation {
    /// Attributes only, no user-data (`basic`, or no section).
    #[default]
    None,
    /// `basic` with attributes.
    Basic {
        /// The `attributes` section.
        attributes: Value,
    },
    /// User-data for cloud-init.
    CloudInit {
        /// The text of the template, or what `!yaml_import` or an inline mapping holds.
        template: Value,
        /// A mapping written as YAML, where its data alone do not tell how: with
        /// names for what stands at several places, or with keys that are not texts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        written: Option<String>,
        /// The `attributes` section.
        attributes: Value,
    },
    /// Environment and command of a container.
    Docker {
        /// `K=V` items.
        environment: Value,
        /// The command, text or list.
        command: Value,
        /// Extra template variables.
        context_variables: Value,
    },
}

/// A `MySQL` database to check; the texts are templates.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MysqlCheck {
    /// Database name.
    pub name: String,
    /// User name.
    pub user: String,
    /// Password; never printed.
    pub password: String,
}

impl fmt::Debug for MysqlCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MysqlCheck")
            .field("name", &self.name)
            .field("user", &self.user)
            .field("password", &"***")
            .finish()
    }
}

/// When an instance counts as healthy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Health {
    /// ICMP echo.
    pub ping: bool,
    /// TCP ports.
    pub ports: Vec<u16>,
    /// URL templates.
    pub urls: Vec<String>,
    /// Databases.
    pub mysql_databases: Vec<MysqlCheck>,
    /// How long checks may fail once the resource is up.
    pub timeout: Millis,
}

impl Default for Health {
    /// Returns Occopus's defaults: ping only, 600 s.
    fn default() -> Self {
        Self {
            ping: true,
            ports: Vec::new(),
            urls: Vec::new(),
            mysql_databases: Vec::new(),
            timeout: Millis::from_secs(600),
        }
    }
}

/// One way to realise a node at one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Implementation {
    /// The provider: the `type` of the resource section.
    pub provider: String,
    /// The raw `resource` section, templates included.
    pub resource: Value,
    /// The contextualisation.
    pub contextualisation: Contextualisation,
    /// The raw `config_management` section.
    pub config_management: Value,
    /// The health checks.
    pub health: Health,
}

/// A named node definition: the alternatives to realise a node type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Definition {
    /// The node type.
    pub name: String,
    /// The alternatives, in the order of the file.
    pub implementations: Vec<Implementation>,
}

/// What of a node is part of its instances: if it changes, they are outdated.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeFingerprint {
    /// Provider and rendered resource section.
    pub resource: Fingerprint,
    /// Rendered contextualisation, with placeholders for ids and addresses.
    pub context: Fingerprint,
}

/// A role in the infrastructure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The name, unique in the infrastructure.
    pub name: String,
    /// Index into [`Topology::definitions`].
    pub definition: u32,
    /// The alternatives left after the filter: indices into the definition's
    /// implementations, tried in this order.
    pub candidates: Vec<u32>,
    /// One per candidate.
    pub fingerprints: Vec<NodeFingerprint>,
    /// How many instances.
    pub count: CountRange,
    /// Variables of this node alone; see [`Topology::variables_of`].
    pub variables: Value,
    /// The raw `filter` of the description.
    pub filter: Value,
    /// The raw `scaling` of the description, null if absent.
    pub scaling: Value,
    /// What it waits for, in the order of the descriptor, without duplicates.
    pub dependencies: Vec<Dependency>,
    /// Nodes whose addresses its templates read, whether it waits for them or not.
    pub references: Vec<NodeIndex>,
    /// How it is updated.
    pub update: UpdateLimits,
}

/// The unchecked parts of a topology.
#[derive(Clone, Debug, Default)]
pub struct TopologyParts {
    /// The infrastructure's name.
    pub name: String,
    /// The owner as the descriptor names it.
    pub user_id: Value,
    /// Variables that all nodes inherit.
    pub variables: Value,
    /// The definitions that nodes use.
    pub definitions: Vec<Definition>,
    /// The nodes, in the order of the descriptor.
    pub nodes: Vec<Node>,
}

/// A broken rule of [`Topology::new`]. Front-ends report these mistakes
/// themselves, with places; here they guard the boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyError {
    /// Two nodes share the name.
    DuplicateName(String),
    /// The node refers to a definition, candidate or node that does not exist.
    DanglingReference(String),
    /// The node has no candidate.
    NoCandidate(String),
    /// The node's `min` is greater than its `max`.
    EmptyCountRange(String),
    /// These nodes wait for each other.
    Cycle(Vec<String>),
}

impl fmt::Display for TopologyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName(name) => write!(formatter, "node `{name}` is defined twice"),
            Self::DanglingReference(name) => write!(
                formatter,
                "node `{name}` refers to something that does not exist"
            ),
            Self::NoCandidate(name) => write!(formatter, "node `{name}` has no implementation"),
            Self::EmptyCountRange(name) => write!(
                formatter,
                "node `{name}` has a minimum count above its maximum"
            ),
            Self::Cycle(names) => write!(
                formatter,
                "nodes wait for each other: {}",
                names.join(" -> ")
            ),
        }
    }
}

impl std::error::Error for TopologyError {}

/// A checked description of an infrastructure: names are unique, references
/// hold, nobody waits for himself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "StoredTopology", into = "StoredTopology")]
pub struct Topology {
    name: String,
    user_id: Value,
    variables: Value,
    definitions: Arc<Vec<Definition>>,
    nodes: Vec<Node>,
    levels: Vec<u32>,
    heights: Vec<u32>,
    dependents: Vec<Vec<NodeIndex>>,
    fingerprint: Fingerprint,
}

/// The form in which a topology is stored: without what can be derived.
#[derive(Serialize, Deserialize)]
struct StoredTopology {
    name: String,
    user_id: Value,
    variables: Value,
    definitions: Arc<Vec<Definition>>,
    nodes: Vec<Node>,
}

impl TryFrom<StoredTopology> for Topology {
    type Error = TopologyError;
    fn try_from(stored: StoredTopology) -> Result<Self, TopologyError> {
        let StoredTopology {
            name,
            user_id,
            variables,
            definitions,
            nodes,
        } = stored;
        Self::build(name, user_id, variables, definitions, nodes)
    }
}

impl From<Topology> for StoredTopology {
    fn from(topology: Topology) -> Self {
        let Topology {
            name,
            user_id,
            variables,
            definitions,
            nodes,
            ..
        } = topology;
        Self {
            name,
            user_id,
            variables,
            definitions,
            nodes,
        }
    }
}

impl Topology {
    /// Checks the parts and derives levels, heights and dependants.
    pub fn new(parts: TopologyParts) -> Result<Self, TopologyError> {
        Self::build(
            parts.name,
            parts.user_id,
            parts.variables,
            Arc::new(parts.definitions),
            parts.nodes,
        )
    }

    /// Returns what it was made from, for those who make a slightly different one.
    pub fn to_parts(&self) -> TopologyParts {
        TopologyParts {
            name: self.name().to_owned(),
            user_id: self.user_id().clone(),
            variables: self.variables().clone(),
            definitions: self.definitions().to_vec(),
            nodes: self.nodes().to_vec(),
        }
    }

    fn build(
        name: String,
        user_id: Value,
        variables: Value,
        definitions: Arc<Vec<Definition>>,
        nodes: Vec<Node>,
    ) -> Result<Self, TopologyError> {
        check_nodes(&definitions, &nodes)?;
        let edges: Vec<Vec<usize>> = nodes
            .iter()
            .map(|node| {
                node.dependencies
                    .iter()
                    .map(|dependency| dependency.on.index())
                    .collect()
            })
            .collect();
        let levels = all_levels(&edges).ok_or_else(|| cycle_error(&edges, &nodes))?;
        let reverse = graph::reverse(&edges);
        let heights = all_levels(&reverse)
            .expect("a graph without cycles has none when its edges are turned round");
        let dependents = reverse
            .into_iter()
            .map(|list| list.into_iter().map(node_index).collect())
            .collect();
        let fingerprint = fingerprint(&name, &variables, &definitions, &nodes);
        Ok(Self {
            name,
            user_id,
            variables,
            definitions,
            nodes,
            levels,
            heights,
            dependents,
            fingerprint,
        })
    }

    /// Returns the infrastructure's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the owner as the descriptor names it.
    pub fn user_id(&self) -> &Value {
        &self.user_id
    }

    /// Returns the variables that all nodes inherit.
    pub fn variables(&self) -> &Value {
        &self.variables
    }

    /// Returns the definitions.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Returns the nodes in the order of the descriptor.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns one node.
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.index()]
    }

    /// Returns all node positions in the order of the descriptor.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len()).map(node_index)
    }

    /// Finds a node by name, in linear time.
    pub fn find(&self, name: &str) -> Option<NodeIndex> {
        self.nodes
            .iter()
            .position(|node| node.name == name)
            .map(node_index)
    }

    /// Returns the definition of a node.
    pub fn definition_of(&self, index: NodeIndex) -> &Definition {
        &self.definitions[self.node(index).definition as usize]
    }

    /// Returns a candidate implementation of a node.
    pub fn candidate(&self, index: NodeIndex, candidate: usize) -> Option<&Implementation> {
        let implementation = *self.node(index).candidates.get(candidate)?;
        self.definition_of(index)
            .implementations
            .get(implementation as usize)
    }

    /// Returns the longest chain of dependencies below a node: 0 for one that waits for nothing.
    pub fn level(&self, index: NodeIndex) -> u32 {
        self.levels[index.index()]
    }

    /// Returns the longest chain of dependants above a node: 0 for one that nobody waits for.
    pub fn height(&self, index: NodeIndex) -> u32 {
        self.heights[index.index()]
    }

    /// Returns the nodes that depend on a node.
    pub fn dependents(&self, index: NodeIndex) -> &[NodeIndex] {
        &self.dependents[index.index()]
    }

    /// Returns the fingerprint of everything that matters to instances and counts.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the variables of a node: inherited ones, deep-merged with its
    /// own; the node's value wins, lists are replaced.
    pub fn variables_of(&self, index: NodeIndex) -> Value {
        match &self.node(index).variables {
            Value::Null => self.variables.clone(),
            own => merge(&self.variables, own),
        }
    }
}

fn node_index(position: usize) -> NodeIndex {
    NodeIndex(u32::try_from(position).expect("front-ends limit the number of nodes far below 2^32"))
}

fn check_nodes(definitions: &[Definition], nodes: &[Node]) -> Result<(), TopologyError> {
    let mut names = BTreeSet::new();
    for node in nodes {
        let dangling = || TopologyError::DanglingReference(node.name.clone());
        if !names.insert(node.name.as_str()) {
            return Err(TopologyError::DuplicateName(node.name.clone()));
        }
        let definition = definitions
            .get(node.definition as usize)
            .ok_or_else(dangling)?;
        if node.candidates.is_empty() || node.candidates.len() != node.fingerprints.len() {
            return Err(TopologyError::NoCandidate(node.name.clone()));
        }
        let targets = node
            .dependencies
            .iter()
            .map(|dependency| dependency.on)
            .chain(node.references.iter().copied());
        if node
            .candidates
            .iter()
            .any(|&candidate| candidate as usize >= definition.implementations.len())
            || targets
                .into_iter()
                .any(|target| target.index() >= nodes.len())
        {
            return Err(dangling());
        }
        if node.count.min > node.count.max {
            return Err(TopologyError::EmptyCountRange(node.name.clone()));
        }
    }
    Ok(())
}

fn all_levels(edges: &[Vec<usize>]) -> Option<Vec<u32>> {
    graph::levels(edges)
        .into_iter()
        .map(|level| level.and_then(|level| u32::try_from(level).ok()))
        .collect()
}

fn cycle_error(edges: &[Vec<usize>], nodes: &[Node]) -> TopologyError {
    let path = graph::cycles(edges).into_iter().next().unwrap_or_default();
    TopologyError::Cycle(
        path.into_iter()
            .map(|node| nodes[node].name.clone())
            .collect(),
    )
}

fn fingerprint(
    name: &str,
    variables: &Value,
    definitions: &[Definition],
    nodes: &[Node],
) -> Fingerprint {
    let mut builder = FingerprintBuilder::default();
    builder.text(name);
    variables.fingerprint_into(&mut builder);
    let health: Vec<Fingerprint> = definitions.iter().map(health_fingerprint).collect();
    for node in nodes {
        builder
            .text(&node.name)
            .number(u64::from(node.count.min))
            .number(u64::from(node.count.max));
        for print in &node.fingerprints {
            builder
                .piece(b'r', &print.resource.0.to_be_bytes())
                .piece(b'c', &print.context.0.to_be_bytes());
        }
        for dependency in &node.dependencies {
            builder.number(u64::from(dependency.on.0)).number(
                dependency
                    .on_address_change
                    .map_or(0, |change| change as u64 + 1),
            );
            for mapping in &dependency.mappings {
                builder
                    .text(&mapping.source)
                    .text(&mapping.destination)
                    .number(u64::from(mapping.synchronous));
            }
        }
        node.variables.fingerprint_into(&mut builder);
        builder.piece(b'h', &health[node.definition as usize].0.to_be_bytes());
        let update = node.update;
        builder
            .number(u64::from(update.unavailable_max))
            .number(u64::from(update.surge_max))
            .number(u64::from(update.refuse_replacement));
    }
    builder.finish()
}

/// Returns the fingerprint of a definition's health checks: a change of them
/// is a change of the intent, but not of the instances.
fn health_fingerprint(definition: &Definition) -> Fingerprint {
    let mut builder = FingerprintBuilder::default();
    for health in definition
        .implementations
        .iter()
        .map(|implementation| &implementation.health)
    {
        builder
            .number(u64::from(health.ping))
            .number(health.timeout.0)
            .number(health.ports.len() as u64);
        for port in &health.ports {
            builder.number(u64::from(*port));
        }
        builder.number(health.urls.len() as u64);
        for url in &health.urls {
            builder.text(url);
        }
        for database in &health.mysql_databases {
            builder
                .text(&database.name)
                .text(&database.user)
                .text(&database.password);
        }
    }
    builder.finish()
}

/// Merges `over` into `under`: mappings are merged key by key, everything else is replaced.
pub fn merge(under: &Value, over: &Value) -> Value {
    match (under, over) {
        (Value::Map(under), Value::Map(over)) => {
            let mut result: Map = under.clone();
            for (key, value) in over {
                match result.iter_mut().find(|(name, _)| name == key) {
                    Some((_, existing)) => *existing = merge(existing, value),
                    None => result.push((key.clone(), value.clone())),
                }
            }
            Value::Map(result)
        }
        (_, over) => over.clone(),
    }
}

#[cfg(test)]
mod tests;
