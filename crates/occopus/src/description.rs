//! The infrastructure description: its own keys, and nodes with names and counts.

use std::collections::HashMap;

use zenekar_base::Value;
use zenekar_diagnostics::codes::description as codes;
use zenekar_diagnostics::{Diagnostic, Span};
use zenekar_document::{Document, Entry, Kind, View};
use zenekar_model::{CountRange, Dependency, UpdateLimits};

use crate::annotation::{self, Annotation};
use crate::checker::{Checker, value_of};
use crate::dependency;
use crate::names;
use crate::options::{INSTANCES_MAX, NODES_MAX};

/// The prefix of keys that hold node definitions.
pub(crate) const DEFINITION_PREFIX: &str = "node_def:";

const KEYS: &[&str] = &[
    "user_id",
    "infra_name",
    "nodes",
    "dependencies",
    "variables",
];
const NODE_KEYS: &[&str] = &[
    "name",
    "type",
    "scaling",
    "filter",
    "variables",
    "update",
    annotation::KEY,
];
const SCALING_KEYS: &[&str] = &["min", "max"];
const UPDATE_KEYS: &[&str] = &["unavailable_max", "surge_max", "refuse_replacement"];

/// Keys that Occopus' code reads but its own check rejects, with what to say of each.
const REJECTED_KEYS: &[(&str, &str)] = &[
    (
        "create_timeout",
        "set `timeout` in the `health_check` of the node definition",
    ),
    ("resource_filter", "the key is called `filter`"),
    (
        "backend_selection_strategy",
        "remove it: alternatives are tried in the order of the node definition",
    ),
    (
        "attributes",
        "attributes belong into the `contextualisation` of the node definition",
    ),
    ("mappings", "mappings belong into an item of `dependencies`"),
];

/// A dependency with the place where it is written.
#[derive(Debug)]
pub(crate) struct PlacedDependency {
    pub(crate) dependency: Dependency,
    pub(crate) span: Span,
}

/// A node as it is written, checked by itself.
#[derive(Debug)]
pub(crate) struct PlacedNode<'d> {
    /// Empty if it has none; that was reported then.
    pub(crate) name: &'d str,
    pub(crate) name_span: Span,
    /// The node type, if it has a valid one.
    pub(crate) type_name: Option<&'d str>,
    pub(crate) type_span: Span,
    pub(crate) count: CountRange,
    pub(crate) variables: Option<View<'d>>,
    pub(crate) filter: Option<View<'d>>,
    pub(crate) scaling: Option<View<'d>>,
    pub(crate) update: UpdateLimits,
    pub(crate) annotation: Option<Annotation>,
    pub(crate) dependencies: Vec<PlacedDependency>,
}

/// A description, checked by itself.
#[derive(Debug, Default)]
pub(crate) struct Description<'d> {
    pub(crate) name: String,
    pub(crate) user_id: Value,
    pub(crate) variables: Value,
    pub(crate) nodes: Vec<PlacedNode<'d>>,
    /// Entries `node_def:…` that stand in the same file.
    pub(crate) definitions: Vec<Entry<'d>>,
}

/// Finds nodes by name and by identity.
#[derive(Debug, Default)]
pub(crate) struct NodeTable<'d> {
    by_name: HashMap<&'d str, u32>,
    /// Position plus one, by the id of the value in the document; 0 for values that are no nodes.
    by_id: Vec<u32>,
}

impl<'d> NodeTable<'d> {
    pub(crate) fn by_name(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn by_identity(&self, view: View<'_>) -> Option<u32> {
        self.by_id.get(view.id().index())?.checked_sub(1)
    }

    fn add(&mut self, position: u32, view: View<'d>) {
        if let Some(slot) = self.by_id.get_mut(view.id().index())
            && *slot == 0
        {
            *slot = position + 1;
        }
    }
}

/// Reads a description.
pub(crate) fn read<'d>(document: &'d Document, checker: &mut Checker) -> Description<'d> {
    let mut description = Description::default();
    let mut table = NodeTable {
        by_id: vec![0; document.node_count()],
        ..NodeTable::default()
    };
    let Some(root) = document.root() else {
        return description;
    };
    if root.kind() != Kind::Map {
        checker.wrong_type(
            &codes::WRONG_TYPE,
            "an infrastructure description",
            "a mapping",
            root,
        );
        return description;
    }
    for entry in root.entries() {
        read_entry(&mut description, entry, checker);
    }
    check_required(root, checker);
    if let Some(nodes) = root.get("nodes")
        && checker.list(&codes::WRONG_TYPE, "`nodes`", nodes)
    {
        read_nodes(&mut description, &mut table, nodes, checker);
    }
    // Without nodes that could be read, every dependency would be one more mistake.
    let are_nodes_lost = description.nodes.is_empty() && checker.errors() > 0;
    if let Some(dependencies) = root.get("dependencies")
        && !are_nodes_lost
        && checker.list(&codes::WRONG_TYPE, "`dependencies`", dependencies)
    {
        dependency::read(&mut description.nodes, &table, dependencies, checker);
    }
    description
}

fn read_entry<'d>(description: &mut Description<'d>, entry: Entry<'d>, checker: &mut Checker) {
    let (key, value) = (entry.key.text(), entry.value);
    match key {
        "infra_name" => {
            if let Some(name) = checker.text(&codes::WRONG_TYPE, "`infra_name`", value) {
                check_name("the infrastructure", name, value.span(), checker);
                name.clone_into(&mut description.name);
            }
        }
        "user_id" => description.user_id = value.to_value(),
        "variables" => {
            if checker.mapping(&codes::WRONG_TYPE, "`variables`", value) {
                description.variables = value.to_value();
            }
        }
        "nodes" | "dependencies" => {}
        _ if key.starts_with(DEFINITION_PREFIX) => description.definitions.push(entry),
        _ => checker.unknown_key(
            &codes::UNKNOWN_KEY,
            "an infrastructure description",
            (key, entry.key.span()),
            KEYS.iter().copied(),
        ),
    }
}

fn check_required(root: View<'_>, checker: &mut Checker) {
    // The whole document is no useful place: point at its first key.
    let place = root
        .entries()
        .next()
        .map_or(root.span(), |entry| entry.key.span());
    if root.get("infra_name").is_none() {
        checker.report(
            Diagnostic::error(
                &codes::MISSING_KEY,
                "the infrastructure has no `infra_name`",
            )
            .at(place)
            .help("add `infra_name: my-infrastructure` at the top of the file"),
        );
    }
    match root.get("nodes") {
        None => checker.report(
            Diagnostic::error(&codes::MISSING_KEY, "the infrastructure has no `nodes`")
                .at(place)
                .help("add a list `nodes` whose items have a `name` and a `type`"),
        ),
        Some(nodes)
            if nodes.kind() == Kind::Null
                || (nodes.kind() == Kind::List && nodes.items().len() == 0) =>
        {
            checker.report(
                Diagnostic::warning(&codes::NO_NODES, "the infrastructure has no nodes")
                    .at(nodes.span()),
            );
        }
        Some(_) => {}
    }
    if root.get("user_id").is_none() {
        checker.report(
            Diagnostic::error(&codes::MISSING_USER, "the infrastructure has no `user_id`")
                .at(place)
                .help("add `user_id: somebody@example.org` at the top of the file"),
        );
    }
}

fn check_name(owner: &str, name: &str, span: Span, checker: &mut Checker) {
    let Some(fault) = names::fault_of(name) else {
        return;
    };
    let mut diagnostic = Diagnostic::error(
        &codes::INVALID_NAME,
        format!("invalid name `{name}` of {owner}"),
    )
    .labelled(span, fault)
    .help("a name has 1 to 63 letters `a`-`z`, digits and `-`");
    if let Some(better) = names::suggestion_for(name) {
        diagnostic = diagnostic
            .help(format!("`{better}` would be a valid name"))
            .fix(span, better);
    }
    checker.report(diagnostic);
}

fn read_nodes<'d>(
    description: &mut Description<'d>,
    table: &mut NodeTable<'d>,
    nodes: View<'d>,
    checker: &mut Checker,
) {
    let count = nodes.items().len();
    if count > NODES_MAX {
        checker.report(
            Diagnostic::error(
                &codes::TOO_MANY,
                format!("{count} nodes are more than the limit of {NODES_MAX}"),
            )
            .at(nodes.span()),
        );
        return;
    }
    description.nodes.reserve(count);
    table.by_name.reserve(count);
    for item in nodes.items() {
        if item.kind() != Kind::Map {
            checker.wrong_type(&codes::WRONG_TYPE, "a node", "a mapping", item);
            continue;
        }
        let node = read_node(item, checker);
        let position = u32::try_from(description.nodes.len())
            .expect("the number of nodes is limited far below 2^32");
        if !node.name.is_empty()
            && let Some(&first) = table.by_name.get(node.name)
        {
            // What depends on the second one means the first one then.
            table.add(first, item);
            report_duplicate(&node, &description.nodes[first as usize], checker);
            continue;
        }
        table.add(position, item);
        table.by_name.insert(node.name, position);
        description.nodes.push(node);
    }
}

/// Occopus starts instances of both, and its next maintenance removes those of
/// the second one as surplus.
fn report_duplicate(node: &PlacedNode<'_>, first: &PlacedNode<'_>, checker: &mut Checker) {
    checker.report(
        Diagnostic::warning(
            &codes::DUPLICATE_NODE,
            format!(
                "node `{}` is defined twice; the first definition counts",
                node.name
            ),
        )
        .labelled(node.name_span, "second definition")
        .also(first.name_span, "first definition")
        .help("give it another name, or use `scaling` for more instances of one node"),
    );
}

fn read_node<'d>(view: View<'d>, checker: &mut Checker) -> PlacedNode<'d> {
    let mut node = PlacedNode {
        name: "",
        name_span: view.span(),
        type_name: None,
        type_span: view.span(),
        count: CountRange { min: 1, max: 1 },
        variables: None,
        filter: None,
        scaling: None,
        update: UpdateLimits::default(),
        annotation: None,
        dependencies: Vec::new(),
    };
    let (mut has_name, mut has_type) = (false, false);
    for entry in view.entries() {
        let value = entry.value;
        match entry.key.text() {
            "name" => {
                has_name = true;
                node.name_span = value.span();
                if let Some(name) = checker.text(&codes::WRONG_TYPE, "`name` of a node", value) {
                    check_name("a node", name, value.span(), checker);
                    node.name = name;
                }
            }
            "type" => {
                has_type = true;
                node.type_span = value.span();
                node.type_name = checker.text(&codes::WRONG_TYPE, "`type` of a node", value);
            }
            "variables" => {
                if checker.mapping(&codes::WRONG_TYPE, "`variables` of a node", value) {
                    node.variables = Some(value);
                }
            }
            "filter" => {
                if checker.mapping(&codes::WRONG_TYPE, "`filter` of a node", value) {
                    node.filter = Some(value);
                }
            }
            "scaling" => {
                if checker.mapping(&codes::WRONG_TYPE, "`scaling` of a node", value) {
                    node.scaling = Some(value);
                    node.count = read_scaling(value, checker);
                }
            }
            "update" => {
                if checker.mapping(&codes::WRONG_TYPE, "`update` of a node", value) {
                    node.update = read_update(value, checker);
                }
            }
            annotation::KEY => node.annotation = annotation::read(value, checker),
            key => unknown_node_key(key, entry.key.span(), checker),
        }
    }
    let owner = if node.name.is_empty() {
        "a node".to_owned()
    } else {
        format!("node `{}`", node.name)
    };
    for (key, present, example) in [
        ("name", has_name, "my-node"),
        ("type", has_type, "my_node_type"),
    ] {
        if !present {
            let place = view
                .entries()
                .next()
                .map_or(view.span(), |entry| entry.key.span());
            checker.report(
                Diagnostic::error(&codes::MISSING_KEY, format!("{owner} has no `{key}`"))
                    .at(place)
                    .help(format!("add `{key}: {example}`")),
            );
        }
    }
    node
}

fn unknown_node_key(key: &str, span: Span, checker: &mut Checker) {
    match REJECTED_KEYS.iter().find(|(name, _)| *name == key) {
        Some((_, advice)) => checker.report(
            Diagnostic::error(
                &codes::UNKNOWN_KEY,
                format!("unknown key `{key}` in a node"),
            )
            .at(span)
            .help(*advice),
        ),
        None => checker.unknown_key(
            &codes::UNKNOWN_KEY,
            "a node",
            (key, span),
            NODE_KEYS.iter().copied(),
        ),
    }
}

/// Reads `scaling` as Occopus does: a minimum below 1 is 1, a maximum below the minimum is the minimum.
fn read_scaling(view: View<'_>, checker: &mut Checker) -> CountRange {
    let (mut min, mut max) = (None, None);
    for entry in view.entries() {
        match entry.key.text() {
            "min" => {
                min = read_bound("`min` of `scaling`", entry.value, checker)
                    .map(|count| (count, entry.value));
            }
            "max" if is_template(entry.value) => {
                max = Some((report_template(entry.value, checker), entry.value));
            }
            "max" => {
                max = read_bound("`max` of `scaling`", entry.value, checker)
                    .map(|count| (count, entry.value));
            }
            key => checker.unknown_key(
                &codes::UNKNOWN_KEY,
                "`scaling`",
                (key, entry.key.span()),
                SCALING_KEYS.iter().copied(),
            ),
        }
    }
    if let Some((count @ ..1, place)) = min {
        checker.report(
            Diagnostic::warning(
                &codes::COUNT_ADJUSTED,
                format!("a minimum of {count} instances is raised to 1"),
            )
            .at(place.span()),
        );
    }
    let lowest = min.map_or(1, |(count, _)| count.max(1));
    let highest = max.map_or(lowest, |(count, _)| count);
    if let Some((_, place)) = max
        && highest < lowest
    {
        checker.report(
            Diagnostic::warning(
                &codes::COUNT_ADJUSTED,
                format!(
                    "a maximum of {highest} below the minimum of {lowest} is raised to {lowest}"
                ),
            )
            .at(place.span()),
        );
    }
    CountRange {
        min: lowest.unsigned_abs(),
        max: highest.max(lowest).unsigned_abs(),
    }
}

fn is_template(view: View<'_>) -> bool {
    view.as_str().is_some_and(|text| text.contains("{{"))
}

/// Warns of a maximum that was meant to be replaced by a number, and returns
/// the highest one: whoever wrote it keeps the limit.
fn report_template(view: View<'_>, checker: &mut Checker) -> i32 {
    checker.report(
        Diagnostic::warning(
            &codes::COUNT_ADJUSTED,
            "`max` of `scaling` is a template that nothing renders, so there is no upper limit",
        )
        .at(view.span())
        .help("write a number"),
    );
    i32::try_from(INSTANCES_MAX).expect("the limit of instances is far below 2^31")
}

/// Says whether a number does not exceed the limit of instances.
fn is_countable(number: i32) -> bool {
    u32::try_from(number).is_ok_and(|count| count <= INSTANCES_MAX)
}

/// Reads a bound of `scaling`, which Occopus raises if it is too low.
fn read_bound(subject: &str, view: View<'_>, checker: &mut Checker) -> Option<i32> {
    match view.kind() {
        Kind::Int(number) if number < 0 => Some(i32::try_from(number).unwrap_or(i32::MIN)),
        Kind::String(text) if text.parse::<i32>().is_ok_and(is_countable) => {
            checker.report(
                Diagnostic::warning(
                    &codes::COUNT_ADJUSTED,
                    format!("{subject} is text that is read as a number"),
                )
                .at(view.span())
                .help("remove the quotes")
                .fix(view.span(), text),
            );
            text.parse().ok()
        }
        _ => read_count(subject, view, checker).and_then(|count| i32::try_from(count).ok()),
    }
}

/// Reads a number of instances; null means that it is not given.
fn read_count(subject: &str, view: View<'_>, checker: &mut Checker) -> Option<u32> {
    match view.kind() {
        Kind::Null => None,
        Kind::Int(number) if number < 0 => {
            let message = format!("{subject} must not be negative");
            checker.report(Diagnostic::error(&codes::INVALID_COUNT, message).at(view.span()));
            None
        }
        Kind::Int(number) => {
            let count = u32::try_from(number)
                .ok()
                .filter(|count| *count <= INSTANCES_MAX);
            if count.is_none() {
                let message = format!("{subject} exceeds the limit of {INSTANCES_MAX} instances");
                checker.report(Diagnostic::error(&codes::TOO_MANY, message).at(view.span()));
            }
            count
        }
        _ => {
            checker.wrong_type(&codes::INVALID_COUNT, subject, "an integer", view);
            None
        }
    }
}

fn read_update(view: View<'_>, checker: &mut Checker) -> UpdateLimits {
    let mut update = UpdateLimits::default();
    for entry in view.entries() {
        let value = entry.value;
        match entry.key.text() {
            "unavailable_max" => {
                update.unavailable_max =
                    read_count("`unavailable_max` of `update`", value, checker)
                        .unwrap_or(update.unavailable_max);
            }
            "surge_max" => {
                update.surge_max = read_count("`surge_max` of `update`", value, checker)
                    .unwrap_or(update.surge_max);
            }
            "refuse_replacement" => {
                let subject = "`refuse_replacement` of `update`";
                update.refuse_replacement = checker
                    .truth(&codes::WRONG_TYPE, subject, value)
                    .unwrap_or_default();
            }
            key => checker.unknown_key(
                &codes::UNKNOWN_KEY,
                "`update`",
                (key, entry.key.span()),
                UPDATE_KEYS.iter().copied(),
            ),
        }
    }
    if update.unavailable_max == 0 && update.surge_max == 0 && !update.refuse_replacement {
        checker.report(
            Diagnostic::error(
                &codes::BOTH_LIMITS_ZERO,
                "no instance could ever be replaced with these limits",
            )
            .at(view.span())
            .help("raise `unavailable_max` or `surge_max`, or say `refuse_replacement: true`"),
        );
    }
    update
}

/// Returns the raw values of a node that the model keeps.
pub(crate) fn raw_values(node: &PlacedNode<'_>) -> (Value, Value, Value) {
    (
        value_of(node.variables),
        value_of(node.filter),
        value_of(node.scaling),
    )
}
