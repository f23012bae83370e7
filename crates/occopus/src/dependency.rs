//! Dependencies between nodes: by alias, by name, with mappings; and cycles.

use std::collections::HashMap;

use zenekar_diagnostics::codes::description as codes;
use zenekar_diagnostics::{Diagnostic, Span};
use zenekar_document::{Kind, View};
use zenekar_model::{AddressChange, Dependency, Mapping, NodeIndex, graph};

use crate::checker::{Checker, list_of};
use crate::description::{NodeTable, PlacedDependency, PlacedNode};
use crate::options::DEPENDENCIES_MAX;

const KEYS: &[&str] = &["connection", "mappings", "on_address_change"];
const MAPPING_KEYS: &[&str] = &["attributes", "synch"];
const CHOICES: &[(&str, AddressChange)] = &[
    ("ignore", AddressChange::Ignore),
    ("restart", AddressChange::Restart),
    ("recreate", AddressChange::Recreate),
];

/// Places of one cycle that are shown; longer paths are cut in the middle.
const CYCLE_PLACES_MAX: usize = 12;

const SHAPE_HELP: &str = "write `- [ *dependent, *dependee ]` or `- connection: [ *dependent, *dependee ]`: the second one starts first";

/// Reads the list `dependencies` and hangs each one on its dependent.
pub(crate) fn read(
    nodes: &mut [PlacedNode<'_>],
    table: &NodeTable<'_>,
    list: View<'_>,
    checker: &mut Checker,
) {
    let mut reader = Reader {
        table,
        seen: HashMap::with_capacity(list.items().len()),
        by_name: None,
    };
    for item in list.items() {
        if reader.seen.len() >= DEPENDENCIES_MAX {
            let message =
                format!("there are more dependencies than the limit of {DEPENDENCIES_MAX}");
            checker.report(Diagnostic::error(&codes::TOO_MANY, message).at(item.span()));
            return;
        }
        reader.item(nodes, item, checker);
    }
    if let Some((first, count)) = reader.by_name {
        let message = match count {
            1 => "a dependency names its nodes".to_owned(),
            _ => format!("{count} dependencies name their nodes"),
        };
        checker.report(
            Diagnostic::warning(&codes::DEPENDENCY_BY_NAME, message)
                .at(first)
                .help("Zenekar honours them, Occopus ignores them; use aliases if both have to read the file"),
        );
    }
}

struct Reader<'a, 'd> {
    table: &'a NodeTable<'d>,
    /// For each pair of dependent and dependee its position among the dependent's dependencies.
    seen: HashMap<(u32, u32), usize>,
    /// The first dependency by name, and how many there are.
    by_name: Option<(Span, usize)>,
}

impl Reader<'_, '_> {
    fn item(&mut self, nodes: &mut [PlacedNode<'_>], item: View<'_>, checker: &mut Checker) {
        let (pair, mappings, on_address_change) = match item.kind() {
            Kind::List => (Some(item), Vec::new(), None),
            Kind::Map => read_mapping_form(item, checker),
            _ => {
                checker.wrong_type(
                    &codes::INVALID_DEPENDENCY,
                    "a dependency",
                    "a list or a mapping",
                    item,
                );
                return;
            }
        };
        let Some((dependent, dependee)) = pair.and_then(|pair| self.pair(nodes, pair, checker))
        else {
            return;
        };
        if dependent == dependee {
            let name = nodes[dependent as usize].name;
            checker.report(
                Diagnostic::error(
                    &codes::SELF_DEPENDENCY,
                    format!("node `{name}` depends on itself"),
                )
                .at(item.span()),
            );
            return;
        }
        let dependencies = &mut nodes[dependent as usize].dependencies;
        if let Some(&first) = self.seen.get(&(dependent, dependee)) {
            let first = &mut dependencies[first];
            first.dependency.mappings.extend(mappings);
            first.dependency.on_address_change =
                on_address_change.or(first.dependency.on_address_change);
            checker.report(
                Diagnostic::warning(
                    &codes::DUPLICATE_DEPENDENCY,
                    "the dependency is given twice",
                )
                .labelled(item.span(), "second time")
                .also(first.span, "first time"),
            );
            return;
        }
        self.seen.insert((dependent, dependee), dependencies.len());
        let dependency = Dependency {
            on: NodeIndex(dependee),
            on_address_change,
            mappings,
        };
        dependencies.push(PlacedDependency {
            dependency,
            span: item.span(),
        });
    }

    fn pair(
        &mut self,
        nodes: &[PlacedNode<'_>],
        pair: View<'_>,
        checker: &mut Checker,
    ) -> Option<(u32, u32)> {
        if pair.kind() != Kind::List {
            checker.wrong_type(
                &codes::INVALID_DEPENDENCY,
                "`connection`",
                "a list of two nodes",
                pair,
            );
            return None;
        }
        let mut items = pair.items();
        let (Some(dependent), Some(dependee), None) = (items.next(), items.next(), items.next())
        else {
            let count = pair.items().len();
            checker.report(
                Diagnostic::error(
                    &codes::INVALID_DEPENDENCY,
                    "a dependency joins exactly two nodes",
                )
                .labelled(pair.span(), format!("{count} here"))
                .help(SHAPE_HELP),
            );
            return None;
        };
        // Both are looked at, so that both mistakes are reported at once.
        let named = dependent.as_str().is_some() || dependee.as_str().is_some();
        let only_names = dependent.as_str().is_some() && dependee.as_str().is_some();
        let dependent = self.node(nodes, dependent, only_names, checker);
        let dependee = self.node(nodes, dependee, only_names, checker);
        if named && dependent.is_some() && dependee.is_some() {
            let (first, count) = self.by_name.unwrap_or((pair.span(), 0));
            self.by_name = Some((first, count + 1));
        }
        dependent.zip(dependee)
    }

    /// Finds the node that one end of a dependency means. Occopus ignores
    /// dependencies between names, so that nothing is wrong with a wrong one there.
    fn node(
        &self,
        nodes: &[PlacedNode<'_>],
        view: View<'_>,
        only_names: bool,
        checker: &mut Checker,
    ) -> Option<u32> {
        if let Some(position) = self.table.by_identity(view) {
            return Some(position);
        }
        match view.kind() {
            Kind::String(name) => {
                let found = self.table.by_name(name);
                if found.is_none() {
                    let message = format!("there is no node `{name}`");
                    let diagnostic = if only_names {
                        Diagnostic::warning(&codes::UNKNOWN_DEPENDENCY, message)
                            .help("the dependency is ignored")
                    } else {
                        Diagnostic::error(&codes::UNKNOWN_DEPENDENCY, message)
                    };
                    let diagnostic = diagnostic.at(view.span());
                    let names = nodes.iter().map(|node| node.name);
                    let diagnostic = checker.hint(diagnostic, (name, Some(view.span())), names);
                    checker.report(diagnostic);
                }
                found
            }
            Kind::Map => self.foreign(nodes, view, checker),
            _ => {
                checker.wrong_type(
                    &codes::INVALID_DEPENDENCY,
                    "an end of a dependency",
                    "an alias or name of a node",
                    view,
                );
                None
            }
        }
    }

    /// A mapping that is not an item of `nodes`: Occopus compares nodes by value, so a copy of one will do.
    fn foreign(
        &self,
        nodes: &[PlacedNode<'_>],
        view: View<'_>,
        checker: &mut Checker,
    ) -> Option<u32> {
        let name = view.get("name").and_then(View::as_str);
        let mut diagnostic = match name {
            Some(name) => Diagnostic::error(
                &codes::FOREIGN_DEPENDENCY,
                format!("`{name}` is not an item of `nodes`"),
            ),
            None => Diagnostic::error(&codes::FOREIGN_DEPENDENCY, "the alias is not one of a node"),
        }
        .at(view.span());
        if view.is_alias() {
            diagnostic = diagnostic.also(view.definition_span(), "the anchor is here");
        }
        if let Some(position) = name.and_then(|name| self.table.by_name(name)) {
            let type_name = view.get("type").and_then(View::as_str);
            if nodes[position as usize].type_name == type_name {
                return Some(position);
            }
            diagnostic = diagnostic.also(
                nodes[position as usize].name_span,
                "a node of that name is here",
            );
        }
        checker.report(
            diagnostic.help("put the anchor on the item of `nodes`: `- &anchor` before its `name`"),
        );
        None
    }
}

fn read_mapping_form<'d>(
    item: View<'d>,
    checker: &mut Checker,
) -> (Option<View<'d>>, Vec<Mapping>, Option<AddressChange>) {
    let (mut connection, mut mappings, mut change) = (None, Vec::new(), None);
    for entry in item.entries() {
        match entry.key.text() {
            "connection" => connection = Some(entry.value),
            "mappings" => {
                if checker.list(&codes::INVALID_DEPENDENCY, "`mappings`", entry.value) {
                    mappings = entry
                        .value
                        .items()
                        .filter_map(|mapping| read_mapping(mapping, checker))
                        .collect();
                }
            }
            "on_address_change" => change = read_change(entry.value, checker),
            key => {
                // Occopus takes any key here, so that this can only be a warning.
                let mut diagnostic = Diagnostic::warning(
                    &codes::UNKNOWN_KEY,
                    format!("unknown key `{key}` in a dependency is ignored"),
                )
                .at(entry.key.span());
                if let Some(meant) = checker.suggest(key, KEYS.iter().copied()) {
                    diagnostic = diagnostic
                        .help(format!("did you mean `{meant}`?"))
                        .fix(entry.key.span(), meant);
                }
                checker.report(diagnostic);
            }
        }
    }
    if connection.is_none() {
        checker.report(
            Diagnostic::error(
                &codes::INVALID_DEPENDENCY,
                "the dependency has no `connection`",
            )
            .at(item.span())
            .help(SHAPE_HELP),
        );
    }
    (connection, mappings, change)
}

fn read_change(view: View<'_>, checker: &mut Checker) -> Option<AddressChange> {
    let word = checker.text(&codes::WRONG_TYPE, "`on_address_change`", view)?;
    let choice = CHOICES
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, change)| *change);
    if choice.is_none() {
        let names = CHOICES.iter().map(|(name, _)| *name);
        let mut diagnostic = Diagnostic::error(
            &codes::INVALID_CHOICE,
            format!("`on_address_change` cannot be `{word}`"),
        )
        .at(view.span())
        .help(format!("it is one of {}", list_of(names.clone())));
        if let Some(meant) = checker.suggest(word, names) {
            diagnostic = diagnostic
                .help(format!("did you mean `{meant}`?"))
                .fix(view.span(), meant);
        }
        checker.report(diagnostic);
    }
    choice
}

/// Reads `[source, destination]` or `{attributes: [source, destination], synch: …}`.
fn read_mapping(view: View<'_>, checker: &mut Checker) -> Option<Mapping> {
    let (pair, mut synchronous) = match view.kind() {
        Kind::Map => (view.get("attributes"), false),
        _ => (Some(view), false),
    };
    for entry in view.entries() {
        match entry.key.text() {
            "attributes" => {}
            "synch" => {
                synchronous = checker
                    .truth(&codes::WRONG_TYPE, "`synch` of a mapping", entry.value)
                    .unwrap_or_default();
            }
            key => {
                let mut diagnostic = Diagnostic::warning(
                    &codes::UNKNOWN_KEY,
                    format!("unknown key `{key}` in a mapping is ignored"),
                )
                .at(entry.key.span());
                if let Some(meant) = checker.suggest(key, MAPPING_KEYS.iter().copied()) {
                    diagnostic = diagnostic.help(format!("did you mean `{meant}`?"));
                }
                checker.report(diagnostic);
            }
        }
    }
    let mut names = pair.into_iter().flat_map(View::items).map(View::as_str);
    if let (Some(Some(source)), Some(Some(destination)), None) =
        (names.next(), names.next(), names.next())
    {
        return Some(Mapping {
            source: source.to_owned(),
            destination: destination.to_owned(),
            synchronous,
        });
    }
    checker.report(
        Diagnostic::error(&codes::INVALID_DEPENDENCY, "a mapping joins two attributes by their names")
            .at(view.span())
            .help("write `- [ source, destination ]`: an attribute of the dependee, then one of the dependent"),
    );
    None
}

/// Reports every cycle with its path and the places of its edges.
pub(crate) fn check_cycles(nodes: &[PlacedNode<'_>], checker: &mut Checker) {
    let edges: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| {
            node.dependencies
                .iter()
                .map(|placed| placed.dependency.on.index())
                .collect()
        })
        .collect();
    if graph::levels(&edges).iter().all(Option::is_some) {
        return;
    }
    for cycle in graph::cycles(&edges) {
        report_cycle(nodes, &cycle, checker);
    }
}

fn report_cycle(nodes: &[PlacedNode<'_>], cycle: &[usize], checker: &mut Checker) {
    let mut names: Vec<String> = cycle
        .iter()
        .map(|&node| nodes[node].name.to_owned())
        .collect();
    names.push(names[0].clone());
    if names.len() > CYCLE_PLACES_MAX + 1 {
        let hidden = names.len() - CYCLE_PLACES_MAX;
        names.splice(
            CYCLE_PLACES_MAX - 1..names.len() - 1,
            [format!("({hidden} more)")],
        );
    }
    let path = names.join(" -> ");
    let mut diagnostic =
        Diagnostic::error(&codes::CYCLE, format!("nodes wait for each other: {path}"));
    for (position, &node) in cycle.iter().enumerate().take(CYCLE_PLACES_MAX) {
        let target = cycle[(position + 1) % cycle.len()];
        let Some(edge) = nodes[node]
            .dependencies
            .iter()
            .find(|placed| placed.dependency.on.index() == target)
        else {
            continue;
        };
        let text = format!("`{}` waits for `{}`", nodes[node].name, nodes[target].name);
        diagnostic = if position == 0 {
            diagnostic.labelled(edge.span, text)
        } else {
            diagnostic.also(edge.span, text)
        };
    }
    checker.report(diagnostic.help("remove one of these dependencies"));
}
