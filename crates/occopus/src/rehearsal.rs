//! Renders every kind of node once, before anything runs.
//!
//! The rehearsal makes up one instance of every node. It finds the mistakes in
//! templates with their places, the nodes whose addresses are read (also where
//! the name is computed), and the fingerprints of what instances are made of.
//! Nodes that cannot differ share one rehearsal.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use zenekar_base::{FingerprintBuilder, InfrastructureId, Value};
use zenekar_diagnostics::codes::template as codes;
use zenekar_diagnostics::{Code, Diagnostic, Span};
use zenekar_document::View;
use zenekar_model::{
    Definition, Dependency, Implementation, Node, NodeFingerprint, NodeIndex, TopologyParts,
};
use zenekar_template::{ErrorKind, SharedValue};

use crate::checker::Checker;
use crate::definition::PlacedDefinition;
use crate::description::PlacedNode;
use crate::options::LoadOptions;
use crate::render::{
    CallSite, Commands, Compiled, Directory, Failure, Findings, Purpose, Record, Scene, Step,
    index_of, placeholder,
};

/// The infrastructure id of all rehearsals: fingerprints must not depend on the true one.
const INFRASTRUCTURE_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Nodes looked at in search of a way from a node to one that it reads from.
/// Beyond it, missing dependencies of a huge description are neither reported nor added.
const ORDER_STEPS_MAX: usize = 2_000_000;

/// Warnings of a missing order that are listed one by one; nodes of one
/// definition all share the cause.
const ORDER_WARNINGS_MAX: usize = 20;

/// What one rehearsal found.
#[derive(Clone, Debug, Default)]
struct Outcome {
    fingerprint: NodeFingerprint,
    read: Vec<u32>,
}

/// What kinds of nodes are told apart: definition, implementation, whether it
/// is the first node (see [`Record::undefined`]), and what of the node itself counts.
type Kind = (u32, u32, bool, u128);

/// Rehearses all nodes and writes fingerprints and references into them.
pub(crate) fn run(
    parts: &mut TopologyParts,
    placed: &[PlacedNode<'_>],
    definitions: &[&PlacedDefinition<'_>],
    options: &LoadOptions,
    checker: &mut Checker,
) {
    let report = Report {
        placed,
        definitions,
        checker: &mut *checker,
        reported: BTreeSet::new(),
    };
    let results = Stage::new(parts, Some(report), options.allow_host_commands).all();
    let mut order = Order::new(parts);
    for (position, (fingerprints, read)) in results.into_iter().enumerate() {
        if !read.is_empty() {
            order.check(parts, position, &read, &placed[position], checker);
        }
        store(&mut parts.nodes[position], position, fingerprints, &read);
    }
    order.finish(checker);
}

/// Rehearses nodes whose templates are known to be sound, without places.
pub(crate) fn run_again(parts: &mut TopologyParts) {
    let results = Stage::new(parts, None, false).all();
    for (position, (fingerprints, read)) in results.into_iter().enumerate() {
        store(&mut parts.nodes[position], position, fingerprints, &read);
    }
}

fn store(
    node: &mut Node,
    position: usize,
    fingerprints: Vec<NodeFingerprint>,
    read: &BTreeSet<u32>,
) {
    node.fingerprints = fingerprints;
    node.references = read
        .iter()
        .filter(|other| **other as usize != position)
        .map(|other| NodeIndex(*other))
        .collect();
}

/// Where findings go, and where the parts of the descriptor are written.
struct Report<'a, 'd> {
    placed: &'a [PlacedNode<'d>],
    definitions: &'a [&'a PlacedDefinition<'d>],
    checker: &'a mut Checker,
    /// Findings that were reported already: nodes of one definition mostly share their mistakes.
    reported: BTreeSet<(&'static str, Option<Span>, String)>,
}

struct Stage<'a, 'd> {
    scene: Scene<'a>,
    /// None where nothing is to be reported.
    report: Option<Report<'a, 'd>>,
    allow_host_commands: bool,
    /// Finds nodes by name; built when the first template calls a function.
    names: HashMap<&'a str, u32>,
    inherited: SharedValue,
    infrastructure: InfrastructureId,
    compiled: Vec<Vec<Option<Compiled>>>,
    /// The same with all rendered that nodes without variables of their own
    /// share; only for templates that read other things of the node itself.
    settled: Vec<Vec<Option<Compiled>>>,
    /// What is known of nodes that have nothing of their own, by definition and implementation.
    common: Vec<Vec<Option<Outcome>>>,
    done: HashMap<Kind, Outcome>,
    /// Implementations with a template that ran out of its budget: trying them
    /// for every node would take hours and tell nothing new.
    exhausting: BTreeSet<(u32, u32)>,
    /// Implementations that were tried as the original renders them.
    compared: BTreeSet<(u32, u32)>,
}

impl<'a, 'd> Stage<'a, 'd> {
    fn new(
        parts: &'a TopologyParts,
        report: Option<Report<'a, 'd>>,
        allow_host_commands: bool,
    ) -> Self {
        let scene = Scene::from(parts);
        Self {
            scene,
            report,
            allow_host_commands,
            names: HashMap::new(),
            inherited: SharedValue::from(scene.variables),
            infrastructure: InfrastructureId::new(INFRASTRUCTURE_ID),
            compiled: slots(scene),
            settled: slots(scene),
            common: slots(scene),
            done: HashMap::new(),
            exhausting: BTreeSet::new(),
            compared: BTreeSet::new(),
        }
    }

    fn all(&mut self) -> Vec<(Vec<NodeFingerprint>, BTreeSet<u32>)> {
        (0..self.scene.nodes.len())
            .map(|position| self.node(position))
            .collect()
    }

    fn node(&mut self, position: usize) -> (Vec<NodeFingerprint>, BTreeSet<u32>) {
        let node = &self.scene.nodes[position];
        let mut fingerprints = Vec::with_capacity(node.candidates.len());
        let mut read = BTreeSet::new();
        for &candidate in &node.candidates {
            let (fingerprint, others) = self.candidate(position, node, candidate);
            fingerprints.push(fingerprint);
            read.extend(others.iter().copied());
        }
        (fingerprints, read)
    }

    fn candidate(
        &mut self,
        position: usize,
        node: &'a Node,
        candidate: u32,
    ) -> (NodeFingerprint, &[u32]) {
        let (definition, at) = (node.definition as usize, candidate as usize);
        let implementation = &self.scene.definitions[definition].implementations[at];
        let slot = &mut self.compiled[definition][at];
        let is_new = slot.is_none();
        let compiled = slot.get_or_insert_with(|| Compiled::new(implementation));
        let own = if compiled.varies_with(node) {
            own_part(node)
        } else {
            0
        };
        if is_new {
            let calls = compiled.calls_functions();
            for failure in compiled.failures.clone() {
                self.report(position, candidate, &failure, &Record::default());
            }
            if calls && self.names.is_empty() {
                let pairs = self.scene.nodes.iter().enumerate();
                self.names = pairs
                    .map(|(at, node)| (node.name.as_str(), index_of(at).0))
                    .collect();
            }
        }
        let is_common = own == 0 && position > 0;
        if is_common && self.common[definition][at].is_none() {
            let outcome = self.rehearse(position, candidate, implementation);
            self.common[definition][at] = Some(outcome);
        }
        let kind = (node.definition, candidate, position == 0, own);
        if !is_common && !self.done.contains_key(&kind) {
            let outcome = self.rehearse(position, candidate, implementation);
            self.done.insert(kind, outcome);
        }
        let common = self.common[definition][at].as_ref().filter(|_| is_common);
        let outcome = common.unwrap_or_else(|| &self.done[&kind]);
        (outcome.fingerprint, &outcome.read)
    }

    fn rehearse(
        &mut self,
        position: usize,
        candidate: u32,
        implementation: &Implementation,
    ) -> Outcome {
        let node = &self.scene.nodes[position];
        if self.exhausting.contains(&(node.definition, candidate)) {
            return Outcome::default();
        }
        let (undefined, record) = (Cell::new(false), RefCell::default());
        let calls = CallSite {
            scene: self.scene,
            node: index_of(position),
            infrastructure: &self.infrastructure,
            directory: Directory::Rehearsal {
                names: &self.names,
                record: &record,
            },
            for_health: false,
            undefined: &undefined,
            commands: if self.allow_host_commands {
                Commands::Rehearsed
            } else {
                Commands::Refused
            },
        };
        // The way in which the original writes templates differs little between
        // the nodes of one definition.
        let compares = self.report.is_some() && self.compared.insert((node.definition, candidate));
        let own = placeholder(&format!("instance of {}", implementation.provider));
        let (definition, at) = (node.definition as usize, candidate as usize);
        let Some(full) = &self.compiled[definition][at] else {
            return Outcome::default();
        };
        let compiled = if node.variables == Value::Null && full.varies_with(node) {
            let settle = || full.settled(implementation, &calls, &own.instance, &self.inherited);
            self.settled[definition][at].get_or_insert_with(settle)
        } else {
            full
        };
        let mut findings = Findings::new(&undefined);
        let performance = compiled.perform(
            implementation,
            &calls,
            &own.instance,
            &self.inherited,
            Purpose::Rehearsal { compares },
            &mut findings,
        );
        let health = CallSite {
            for_health: true,
            ..calls
        };
        let _specification = compiled.probes(
            implementation,
            &health,
            &own.instance,
            &own.addresses,
            &self.inherited,
            &mut findings,
        );
        let Findings {
            failures,
            undefined,
            ..
        } = findings;
        let record = record.into_inner();
        let outcome = Outcome {
            fingerprint: NodeFingerprint {
                resource: performance.resource_fingerprint(&implementation.provider),
                context: performance.context_fingerprint(),
            },
            read: record.read.iter().copied().collect(),
        };
        let has_failed = !(failures.is_empty() && full.failures.is_empty());
        for failure in failures {
            if matches!(
                failure.error.kind,
                ErrorKind::OutOfFuel | ErrorKind::OutputTooLarge
            ) {
                self.exhausting.insert((node.definition, candidate));
            }
            self.report(position, candidate, &failure, &record);
        }
        for path in undefined {
            self.report_undefined(position, candidate, &path);
        }
        if let Some(why) = performance.deviation.filter(|_| !has_failed) {
            self.report_deviation(position, candidate, &why);
        }
        outcome
    }

    fn view_of(&self, position: usize, candidate: u32) -> Option<View<'d>> {
        let definitions = self.report.as_ref()?.definitions;
        let definition = definitions.get(self.scene.nodes[position].definition as usize)?;
        Some(definition.implementations.get(candidate as usize)?.view)
    }

    fn report(&mut self, position: usize, candidate: u32, failure: &Failure, record: &Record) {
        let Some(view) = self.view_of(position, candidate) else {
            return;
        };
        let (span, is_exact) = span_of(view, failure);
        let message = failure.error.message.clone();
        let is_meant = |name: &&str| message.contains(&format!("`{name}`"));
        let unknown = record.unknown.as_deref().filter(is_meant);
        let code = code_of(failure, unknown.is_some());
        let mut diagnostic = Diagnostic::error(code, message.clone()).at(span);
        if !is_exact {
            diagnostic = diagnostic.help(format!("in `{}`", failure.place()));
        }
        if failure.error.kind == ErrorKind::Syntax {
            diagnostic = diagnostic
                .help("put text with braces of its own between `{% raw %}` and `{% endraw %}`");
        }
        self.push(diagnostic, position, unknown);
    }

    /// Reports user-data that the original would fail at.
    fn report_deviation(&mut self, position: usize, candidate: u32, why: &str) {
        let Some(view) = self.view_of(position, candidate) else {
            return;
        };
        let section = view.get("contextualisation");
        let entry = section.and_then(|section| section.get_entry("context_template"));
        let place = entry.map_or(view.span(), |entry| entry.key.span());
        let diagnostic = Diagnostic::note(
            &codes::ORIGINAL_FAILS,
            "Occopus could not render this user-data",
        )
        .at(place)
        .help(format!("once it is written as YAML, {why}"))
        .help("here every text is rendered by itself, so that it works");
        self.push(diagnostic, position, None);
    }

    fn report_undefined(&mut self, position: usize, candidate: u32, path: &[Step]) {
        let Some(view) = self.view_of(position, candidate) else {
            return;
        };
        let node = &self.scene.nodes[position];
        let (text, is_exact) = follow(view, path);
        let place = match text.as_str().filter(|_| is_exact).and_then(unquoted_call) {
            Some(range) => text.range_in(range.start, range.end),
            None => text.definition_span(),
        };
        let message = "a template asks for the address of an undefined node";
        let mut diagnostic = Diagnostic::warning(&codes::UNDEFINED_NODE, message).at(place);
        let compiled = self.compiled[node.definition as usize][candidate as usize].as_ref();
        let meant = compiled
            .and_then(|compiled| compiled.names().find(|name| self.names.contains_key(name)));
        if let Some(meant) = meant {
            diagnostic = diagnostic.help(format!("put quotes around the name: `getip('{meant}')`"));
        }
        let first = self
            .scene
            .nodes
            .iter()
            .enumerate()
            .find(|(at, _)| *at != position);
        if let Some((_, first)) = first {
            let help = format!(
                "as it is, it gets the address of the first node, `{}`",
                first.name
            );
            diagnostic = diagnostic.help(help);
        }
        self.push(diagnostic, position, None);
    }

    /// Reports a finding once, with hints about a name that no node has.
    fn push(&mut self, diagnostic: Diagnostic, position: usize, unknown: Option<&str>) {
        let Some(report) = &mut self.report else {
            return;
        };
        let span = diagnostic.primary.as_ref().map(|label| label.span);
        if !report
            .reported
            .insert((diagnostic.code.id, span, diagnostic.message.clone()))
        {
            return;
        }
        let placed = &report.placed[position];
        let mut diagnostic =
            diagnostic.also(placed.type_span, format!("used by node `{}`", placed.name));
        if let Some(unknown) = unknown {
            let names = self.scene.nodes.iter().map(|node| node.name.as_str());
            diagnostic = report.checker.hint(diagnostic, (unknown, None), names);
        }
        report.checker.report(diagnostic);
    }
}

/// Makes an empty place for every implementation.
fn slots<T>(scene: Scene<'_>) -> Vec<Vec<Option<T>>> {
    let empty = |definition: &Definition| definition.implementations.iter().map(|_| None).collect();
    scene.definitions.iter().map(empty).collect()
}

/// Returns a fingerprint of everything that can make a node's rendering its own.
fn own_part(node: &Node) -> u128 {
    let mut builder = FingerprintBuilder::default();
    builder.text(&node.name);
    for value in [&node.variables, &node.scaling, &node.filter] {
        value.fingerprint_into(&mut builder);
    }
    for dependency in &node.dependencies {
        builder
            .number(u64::from(dependency.on.0))
            .number(dependency.mappings.len() as u64);
    }
    // Zero stands for "nothing of its own".
    builder.finish().0.max(1)
}

fn code_of(failure: &Failure, is_unknown_node: bool) -> &'static Code {
    let message = &failure.error.message;
    match failure.error.kind {
        ErrorKind::Syntax => &codes::SYNTAX,
        ErrorKind::Undefined => &codes::UNDEFINED,
        ErrorKind::OutOfFuel | ErrorKind::OutputTooLarge => &codes::BUDGET,
        ErrorKind::Function if is_unknown_node => &codes::UNKNOWN_NODE,
        ErrorKind::Function if message.starts_with("`cmd`") => &codes::HOST_COMMAND,
        ErrorKind::Type if message.starts_with("the rendered user-data") => {
            &codes::INVALID_CLOUD_CONFIG
        }
        ErrorKind::Function | ErrorKind::Type => &codes::FUNCTION,
    }
}

/// Follows a way as far as it goes; says whether that is to its end.
fn follow<'d>(implementation: View<'d>, path: &[Step]) -> (View<'d>, bool) {
    let mut view = implementation;
    for step in path {
        let next = match step {
            Step::Key(key) => view.get(key),
            Step::Item(position) => view.items().nth(*position),
        };
        match next {
            Some(next) => view = next,
            None => return (view, false),
        }
    }
    (view, true)
}

/// Finds where a template failed; says whether it is the text itself.
fn span_of(implementation: View<'_>, failure: &Failure) -> (Span, bool) {
    let (view, is_exact) = follow(implementation, &failure.path);
    let range = &failure.error.span;
    match view.as_str() {
        Some(_) if is_exact && range.end > range.start => {
            (view.range_in(range.start, range.end), true)
        }
        Some(_) if is_exact && failure.error.line > 1 => (view.position_in(range.start), true),
        Some(_) if is_exact => (view.definition_span(), true),
        // The whole mapping was one template: its lines are those of the written form.
        _ => (view.definition_span(), false),
    }
}

/// Finds the first call for an address whose argument has no quotes.
fn unquoted_call(text: &str) -> Option<Range<usize>> {
    let calls = ["getip(", "getprivip(", "getipall(", "find_node_id("];
    let starts = calls.iter().flat_map(|call| text.match_indices(call));
    let unquoted = starts.filter(|(at, call)| {
        let argument = text[at + call.len()..].trim_start();
        !argument.starts_with(['\'', '"'])
    });
    let (start, _) = unquoted.min()?;
    let length = text[start..].find(')')?;
    Some(start..start + length + 1)
}

/// Checks that nodes are up before their addresses are read.
struct Order {
    steps_left: usize,
    warnings: usize,
    /// For each node the search that saw it last.
    seen: Vec<u32>,
    search: u32,
}

impl Order {
    fn new(parts: &TopologyParts) -> Self {
        Self {
            steps_left: ORDER_STEPS_MAX,
            warnings: 0,
            seen: vec![0; parts.nodes.len()],
            search: 0,
        }
    }

    fn check(
        &mut self,
        parts: &mut TopologyParts,
        position: usize,
        read: &BTreeSet<u32>,
        placed: &PlacedNode<'_>,
        checker: &mut Checker,
    ) {
        let node = &parts.nodes[position];
        let is_direct = |other: u32| {
            node.dependencies
                .iter()
                .any(|dependency| dependency.on.0 == other)
        };
        let open: Vec<u32> = read
            .iter()
            .copied()
            .filter(|other| !is_direct(*other))
            .collect();
        if open.is_empty() {
            return;
        }
        self.search += 1;
        self.visit(&parts.nodes, position);
        if self.steps_left == 0 {
            return;
        }
        for other in open {
            let diagnostic = if other as usize == position {
                Diagnostic::warning(
                    &codes::NO_ORDER,
                    format!(
                        "node `{}` asks for its own address, which is not known before it runs",
                        parts.nodes[position].name
                    ),
                )
            } else if self.seen[other as usize] == self.search {
                continue;
            } else {
                let Some(diagnostic) = self.add_order(parts, position, other) else {
                    return;
                };
                diagnostic
            };
            self.warnings += 1;
            if self.warnings <= ORDER_WARNINGS_MAX {
                checker.report(diagnostic.at(placed.name_span));
            }
        }
    }

    /// Lets a node wait for one whose address it reads, if that one does not
    /// wait for it. Occopus starts nodes in the order of their list, so that
    /// descriptors that leave such a dependency out work there. Returns none
    /// where the search would take too long.
    fn add_order(
        &mut self,
        parts: &mut TopologyParts,
        position: usize,
        other: u32,
    ) -> Option<Diagnostic> {
        self.search += 1;
        self.visit(&parts.nodes, other as usize);
        if self.steps_left == 0 {
            return None;
        }
        let is_circular = self.seen[position] == self.search;
        let (node, name) = (
            &parts.nodes[position].name,
            &parts.nodes[other as usize].name,
        );
        let diagnostic = if is_circular {
            Diagnostic::warning(
                &codes::NO_ORDER,
                format!("node `{node}` reads the address of `{name}`, but does not wait for it"),
            )
            .help(format!("it cannot: `{name}` waits for `{node}`"))
        } else {
            Diagnostic::warning(
                &codes::NO_ORDER,
                format!(
                    "node `{node}` reads the address of `{name}`, and so waits for it, though no dependency says so"
                ),
            )
            .help(format!(
                "add the dependency of `{node}` on `{name}` to `dependencies`"
            ))
        };
        if !is_circular {
            parts.nodes[position].dependencies.push(Dependency {
                on: NodeIndex(other),
                on_address_change: None,
                mappings: Vec::new(),
            });
        }
        // What the node waits for is asked again for the next address, with the new one.
        self.search += 1;
        self.visit(&parts.nodes, position);
        Some(diagnostic)
    }

    /// Reports how many warnings were left out.
    fn finish(&self, checker: &mut Checker) {
        if let Some(more) = self
            .warnings
            .checked_sub(ORDER_WARNINGS_MAX)
            .filter(|more| *more > 0)
        {
            let message = format!("{more} more addresses are read without an order");
            checker.report(Diagnostic::warning(&codes::NO_ORDER, message));
        }
    }

    /// Marks everything that a node waits for.
    fn visit(&mut self, nodes: &[Node], start: usize) {
        let mut stack = vec![start];
        while let Some(node) = stack.pop() {
            for dependency in &nodes[node].dependencies {
                let Some(left) = self.steps_left.checked_sub(1) else {
                    return;
                };
                self.steps_left = left;
                let seen = &mut self.seen[dependency.on.index()];
                if *seen != self.search {
                    *seen = self.search;
                    stack.push(dependency.on.index());
                }
            }
        }
    }
}
