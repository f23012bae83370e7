//! Renders what instances get.

mod compiled;
mod emit;
mod functions;
mod performance;
mod piece;
mod scene;
mod style;
mod timestamp;
mod writer;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zenekar_base::{Addresses, Fingerprint, ProbeSpec, Value};
use zenekar_model::{
    Implementation, NodeIndex, RenderError, RenderInput, Rendered, Renderer, Topology,
};
use zenekar_template::SharedValue;

pub(crate) use compiled::{Compiled, Purpose};
pub(crate) use emit::has_form;
pub use emit::yaml_text;
pub use functions::HostCommands;
pub(crate) use functions::{CallSite, Commands, Directory, Record, placeholder};
pub(crate) use piece::{Failure, Findings, Step};
pub(crate) use scene::Scene;

/// Topologies whose templates are kept compiled. A process looks after few
/// infrastructures at a time; compiling again costs milliseconds.
const PREPARED_MAX: usize = 64;

/// Renders resource sections, user-data and health checks of Occopus'
/// descriptors, from the topology alone.
///
/// What it compiled is kept, so that one renderer should serve a whole process.
#[derive(Debug, Default)]
pub struct OccopusRenderer {
    prepared: Mutex<BTreeMap<Fingerprint, Arc<Prepared>>>,
    commands: Option<Arc<dyn HostCommands>>,
}

/// What is kept of one topology.
#[derive(Debug)]
struct Prepared {
    variables: Value,
    inherited: SharedValue,
    definitions: Vec<Vec<OnceLock<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    /// What was compiled, to be sure that it is what is asked for.
    implementation: Implementation,
    compiled: Compiled,
    /// The same for nodes without variables of their own, with all rendered that
    /// does not differ between them.
    settled: OnceLock<Compiled>,
    /// The result, where all instances of all nodes get the same.
    constant: OnceLock<Rendered>,
}

impl Entry {
    fn new(implementation: &Implementation) -> Self {
        let compiled = Compiled::new(implementation);
        Self {
            implementation: implementation.clone(),
            compiled,
            settled: OnceLock::new(),
            constant: OnceLock::new(),
        }
    }
}

impl Prepared {
    fn new(topology: &Topology) -> Self {
        let slots = |count: usize| (0..count).map(|_| OnceLock::new()).collect();
        Self {
            variables: topology.variables().clone(),
            inherited: SharedValue::from(topology.variables()),
            definitions: topology
                .definitions()
                .iter()
                .map(|definition| slots(definition.implementations.len()))
                .collect(),
        }
    }

    fn fits(&self, topology: &Topology) -> bool {
        self.variables == *topology.variables()
            && self.definitions.len() == topology.definitions().len()
    }

    fn entry(
        &self,
        definition: u32,
        candidate: u32,
        implementation: &Implementation,
    ) -> Option<&Entry> {
        let slot = self
            .definitions
            .get(definition as usize)?
            .get(candidate as usize)?;
        Some(slot.get_or_init(|| Entry::new(implementation)))
            .filter(|entry| entry.implementation == *implementation)
    }
}

impl OccopusRenderer {
    /// Makes a renderer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets templates run commands on this machine.
    pub fn with_host_commands(self, commands: Arc<dyn HostCommands>) -> Self {
        Self {
            commands: Some(commands),
            ..self
        }
    }

    fn commands(&self) -> Commands<'_> {
        self.commands
            .as_deref()
            .map_or(Commands::Refused, Commands::Run)
    }

    fn prepared(&self, topology: &Topology) -> Arc<Prepared> {
        let mut all = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = all
            .get(&topology.fingerprint())
            .filter(|prepared| prepared.fits(topology))
        {
            return Arc::clone(prepared);
        }
        if all.len() >= PREPARED_MAX {
            all.clear();
        }
        let prepared = Arc::new(Prepared::new(topology));
        all.insert(topology.fingerprint(), Arc::clone(&prepared));
        prepared
    }

    /// Runs `action` with the compiled implementation that an instance is made of.
    fn with_entry<R>(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
        action: impl FnOnce(&Entry, &SharedValue) -> Result<R, RenderError>,
    ) -> Result<R, RenderError> {
        let node = topology
            .nodes()
            .get(input.node.index())
            .ok_or_else(|| error("an unknown node", "it has no index in the topology"))?;
        let missing = || error(&node.name, "it has no such implementation");
        let candidate = *node.candidates.get(input.candidate).ok_or_else(missing)?;
        let implementation = topology
            .candidate(input.node, input.candidate)
            .ok_or_else(missing)?;
        let prepared = self.prepared(topology);
        match prepared.entry(node.definition, candidate, implementation) {
            Some(entry) => action(entry, &prepared.inherited),
            // Two topologies with one fingerprint but different templates: rare enough to compile anew.
            None => action(&Entry::new(implementation), &prepared.inherited),
        }
    }
}

impl Renderer for OccopusRenderer {
    fn render(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
    ) -> Result<Rendered, RenderError> {
        self.with_entry(topology, input, |entry, inherited| {
            let node = topology.node(input.node);
            let is_constant = entry.compiled.is_constant_for(node);
            if let Some(rendered) = entry.constant.get().filter(|_| is_constant) {
                return Ok(rendered.clone());
            }
            let undefined = Cell::new(false);
            let calls = call_site(topology, input, false, &undefined, self.commands());
            refuse(&node.name, &entry.compiled.failures)?;
            let mut findings = Findings::new(&undefined);
            let implementation = &entry.implementation;
            let settle = || {
                entry
                    .compiled
                    .settled(implementation, &calls, input.instance, inherited)
            };
            let compiled = match &node.variables {
                Value::Null => entry.settled.get_or_init(settle),
                _ => &entry.compiled,
            };
            let performance = compiled.perform(
                implementation,
                &calls,
                input.instance,
                inherited,
                Purpose::Production,
                &mut findings,
            );
            refuse(&node.name, &findings.failures)?;
            let connections = connections(topology, input);
            let rendered = performance
                .into_rendered(connections)
                .map_err(|message| error(&node.name, &message))?;
            if is_constant {
                let _already_set = entry.constant.set(rendered.clone());
            }
            Ok(rendered)
        })
    }

    fn probes(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
        addresses: &Addresses,
    ) -> Result<ProbeSpec, RenderError> {
        self.with_entry(topology, input, |entry, inherited| {
            let undefined = Cell::new(false);
            let calls = call_site(topology, input, true, &undefined, Commands::Refused);
            let mut findings = Findings::new(&undefined);
            let probes = entry.compiled.probes(
                &entry.implementation,
                &calls,
                input.instance,
                addresses,
                inherited,
                &mut findings,
            );
            refuse(&topology.node(input.node).name, &findings.failures)?;
            Ok(probes)
        })
    }
}

fn call_site<'a>(
    topology: &'a Topology,
    input: &RenderInput<'a>,
    for_health: bool,
    undefined: &'a Cell<bool>,
    commands: Commands<'a>,
) -> CallSite<'a> {
    CallSite {
        scene: Scene::from(topology),
        node: input.node,
        infrastructure: input.infrastructure,
        directory: Directory::Given(input.given),
        for_health,
        undefined,
        commands,
    }
}

/// Returns `connections` as the cookbook of Occopus reads them: one for each mapping.
fn connections(topology: &Topology, input: &RenderInput<'_>) -> Vec<Value> {
    let mut connections = Vec::new();
    for dependency in &topology.node(input.node).dependencies {
        let role = format!(
            "{}_{}",
            input.infrastructure,
            topology.node(dependency.on).name
        );
        connections.extend(dependency.mappings.iter().map(|mapping| {
            Value::Map(vec![
                ("source_role".to_owned(), role.as_str().into()),
                (
                    "source_attribute".to_owned(),
                    mapping.source.as_str().into(),
                ),
                (
                    "destination_attribute".to_owned(),
                    mapping.destination.as_str().into(),
                ),
            ])
        }));
    }
    connections
}

fn refuse(node: &str, failures: &[Failure]) -> Result<(), RenderError> {
    match failures.first() {
        None => Ok(()),
        Some(failure) => Err(error(
            node,
            &format!("{}: {}", failure.place(), failure.error),
        )),
    }
}

fn error(node: &str, message: &str) -> RenderError {
    RenderError {
        message: format!("cannot render node `{node}`: {message}"),
    }
}

/// Returns the position of a node as its index.
pub(crate) fn index_of(position: usize) -> NodeIndex {
    NodeIndex(u32::try_from(position).expect("the number of nodes is limited far below 2^32"))
}
