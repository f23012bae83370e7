//! From files to a topology.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use zenekar_diagnostics::codes::{definition, description as description_codes, project};
use zenekar_diagnostics::{Diagnostic, SourceMap};
use zenekar_document::{Document, Kind, Project, load_file_in};
use zenekar_model::{Definition, Node, Topology, TopologyParts};

use crate::annotation::{self, Annotations};
use crate::checker::Checker;
use crate::definition::{PlacedDefinition, fits_filter};
use crate::dependency;
use crate::description::{self, DEFINITION_PREFIX, Description, PlacedNode};
use crate::find;
use crate::options::LoadOptions;
use crate::rehearsal;

/// What was loaded, for a line of talk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The files that were read, without those that they include.
    pub files: Vec<PathBuf>,
    /// Nodes of the description.
    pub nodes: usize,
    /// Node definitions that nodes use.
    pub definitions: usize,
    /// Dependencies between nodes.
    pub dependencies: usize,
    /// Instances to start with.
    pub instances_min: u64,
    /// Instances at most.
    pub instances_max: u64,
    /// Steps of the longest chain of dependencies.
    pub levels: u32,
}

/// A loaded description, and everything that was found out about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The topology; none if there is an error among the diagnostics.
    pub topology: Option<Topology>,
    /// The findings, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// What was loaded.
    pub summary: Summary,
    /// What the descriptor states about what its instances do.
    pub annotations: Annotations,
}

/// Loads an infrastructure description and the node definitions that it uses.
///
/// Node definitions are taken from [`LoadOptions::definitions`]; if there are
/// none, from keys `node_def:TYPE` in the description itself, from files in
/// the folder `nodes` beside it, or from `node_definitions.yaml` beside it.
/// Files are only included from within the description's folder.
pub fn load(path: &Path, options: &LoadOptions, sources: &mut SourceMap) -> Loaded {
    let project = Project {
        root: find::folder_of(path).to_path_buf(),
    };
    let mut checker = Checker::default();
    let main = load_file_in(&project, path, &options.limits, sources);
    checker.report_all(main.diagnostics);
    let mut files = vec![path.to_path_buf()];
    let mut documents = Vec::new();
    for file in definition_files(path, &main.document, options) {
        let root = project_of(&file, &project);
        let loaded = load_file_in(&root, &file, &options.limits, sources);
        checker.report_all(loaded.diagnostics);
        documents.push(loaded.document);
        files.push(file);
    }
    assemble(&main.document, &documents, files, options, checker)
}

/// Returns the folder that includes of a file with definitions must not leave:
/// the description's, unless the file was given from elsewhere.
fn project_of(file: &Path, project: &Project) -> Project {
    // What does not exist is reported when it is read.
    let is_inside = match (file.canonicalize(), project.root.canonicalize()) {
        (Ok(file), Ok(root)) => file.starts_with(root),
        _ => false,
    };
    if is_inside {
        project.clone()
    } else {
        find::project_of_definitions(file)
    }
}

/// Loads a description that is not a file: it holds its node definitions
/// itself, or they are in [`LoadOptions::definitions`].
pub fn load_text(name: &str, text: &str, options: &LoadOptions, sources: &mut SourceMap) -> Loaded {
    let mut checker = Checker::default();
    let main = zenekar_document::load_text(name, text, &options.limits, sources);
    checker.report_all(main.diagnostics);
    let documents: Vec<Document> = options
        .definitions
        .iter()
        .map(|file| {
            let project = find::project_of_definitions(file);
            let loaded = load_file_in(&project, file, &options.limits, sources);
            checker.report_all(loaded.diagnostics);
            loaded.document
        })
        .collect();
    let files = options.definitions.clone();
    assemble(&main.document, &documents, files, options, checker)
}

fn definition_files(path: &Path, document: &Document, options: &LoadOptions) -> Vec<PathBuf> {
    if options.only_definitions || !options.definitions.is_empty() {
        return options.definitions.clone();
    }
    let is_self_contained = document.root().is_some_and(|root| {
        root.entries()
            .any(|entry| entry.key.text().starts_with(DEFINITION_PREFIX))
    });
    if is_self_contained {
        Vec::new()
    } else {
        find::beside(path, options.limits.bytes_max)
    }
}

fn assemble(
    main: &Document,
    others: &[Document],
    files: Vec<PathBuf>,
    options: &LoadOptions,
    mut checker: Checker,
) -> Loaded {
    let mut summary = Summary {
        files,
        ..Summary::default()
    };
    if is_definitions_only(main) {
        let place = main
            .root()
            .and_then(|root| root.entries().next())
            .map(|entry| entry.key.span());
        let diagnostic = Diagnostic::error(
            &project::NOT_A_DESCRIPTION,
            "the file holds node definitions only",
        )
        .help("give the infrastructure description that uses them");
        checker.report(match place {
            Some(span) => diagnostic.at(span),
            None => diagnostic,
        });
        return Loaded {
            topology: None,
            diagnostics: checker.finish(),
            summary,
            annotations: Annotations::default(),
        };
    }
    let description = description::read(main, &mut checker);
    let definitions = read_definitions(&description, others, options, &mut checker);
    let parts = build(&description, &definitions, main, options, &mut checker);
    let annotations = annotations(&description, &definitions, &parts, &mut checker);
    summarise(&mut summary, &parts);
    // A topology finds cycles by itself; they are only looked for where there is none.
    let topology = if checker.errors() > 0 {
        None
    } else {
        Some(Topology::new(parts))
    };
    if !matches!(topology, Some(Ok(_))) {
        dependency::check_cycles(&description.nodes, &mut checker);
    }
    if let Some(Err(error)) = &topology
        && checker.errors() == 0
    {
        // Every rule is checked above with its place; this one slipped through.
        checker.report(Diagnostic::error(
            &project::NOT_A_DESCRIPTION,
            error.to_string(),
        ));
    }
    let topology = topology.and_then(Result::ok);
    summary.levels = topology
        .as_ref()
        .and_then(|topology| {
            topology
                .indices()
                .map(|node| topology.level(node) + 1)
                .max()
        })
        .unwrap_or_default();
    Loaded {
        topology,
        diagnostics: checker.finish(),
        summary,
        annotations,
    }
}

/// Returns what is stated of the nodes: by a node itself, or else by its
/// first implementation.
fn annotations(
    description: &Description<'_>,
    definitions: &[PlacedDefinition<'_>],
    parts: &TopologyParts,
    checker: &mut Checker,
) -> Annotations {
    let by_name: HashMap<&str, &PlacedDefinition<'_>> = definitions
        .iter()
        .map(|definition| (definition.name, definition))
        .collect();
    let names = description.nodes.iter().map(|node| node.name);
    let mut annotations = Annotations::default();
    // Nodes of one definition share its annotation, and its mistakes.
    let mut checked: BTreeSet<&str> = BTreeSet::new();
    for (placed, node) in description.nodes.iter().zip(&parts.nodes) {
        let definition = placed.type_name.and_then(|name| by_name.get(name));
        let first = node.candidates.first().and_then(|candidate| {
            let implementation = definition?.implementations.get(*candidate as usize)?;
            implementation.annotation.as_ref()
        });
        let Some(annotation) = placed.annotation.as_ref().or(first) else {
            continue;
        };
        let is_own = placed.annotation.is_some();
        if is_own || checked.insert(placed.type_name.unwrap_or_default()) {
            annotation::check_names(annotation, names.clone(), checker);
        }
        annotations
            .nodes
            .insert(node.name.clone(), annotation.clone());
    }
    annotations
}

fn is_definitions_only(document: &Document) -> bool {
    let Some(root) = document.root() else {
        return false;
    };
    root.entries().len() > 0
        && root
            .entries()
            .all(|entry| entry.key.text().starts_with(DEFINITION_PREFIX))
}

fn summarise(summary: &mut Summary, parts: &TopologyParts) {
    summary.nodes = parts.nodes.len();
    summary.definitions = parts.definitions.len();
    for node in &parts.nodes {
        summary.dependencies += node.dependencies.len();
        summary.instances_min += u64::from(node.count.min);
        summary.instances_max += u64::from(node.count.max);
    }
}

/// Reads all definitions and reports types that are defined twice. Of files
/// that were given, the last one counts, as with imports in Occopus.
fn read_definitions<'d>(
    description: &Description<'d>,
    others: &'d [Document],
    options: &LoadOptions,
    checker: &mut Checker,
) -> Vec<PlacedDefinition<'d>> {
    let mut all: Vec<PlacedDefinition<'d>> = description
        .definitions
        .iter()
        .map(|entry| crate::definition::read(*entry, checker))
        .collect();
    for document in others {
        if let Some(root) = document.root() {
            all.extend(crate::definition::read_file(root, checker));
        }
    }
    let is_last_meant = !options.definitions.is_empty();
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept: Vec<PlacedDefinition<'d>> = Vec::with_capacity(all.len());
    for placed in all {
        let Some(&earlier) = first.get(placed.name) else {
            first.insert(placed.name, kept.len());
            kept.push(placed);
            continue;
        };
        report_defined_twice(&placed, &kept[earlier], is_last_meant, checker);
        if is_last_meant {
            kept[earlier] = placed;
        }
    }
    kept
}

fn report_defined_twice(
    placed: &PlacedDefinition<'_>,
    earlier: &PlacedDefinition<'_>,
    is_last_meant: bool,
    checker: &mut Checker,
) {
    let message = format!("node type `{}` is defined twice", placed.name);
    let diagnostic = if is_last_meant {
        let message = format!("{message}; the last definition counts");
        Diagnostic::warning(&definition::DUPLICATE_DEFINITION, message)
    } else {
        Diagnostic::error(&definition::DUPLICATE_DEFINITION, message)
            .help("give the files that are meant with `--nodes FILE`")
    };
    checker.report(
        diagnostic
            .labelled(placed.name_span, "second definition")
            .also(earlier.name_span, "first definition"),
    );
}

/// Puts nodes and definitions together; what has mistakes is left out, so that
/// the result is only good for use without errors.
fn build(
    description: &Description<'_>,
    definitions: &[PlacedDefinition<'_>],
    main: &Document,
    options: &LoadOptions,
    checker: &mut Checker,
) -> TopologyParts {
    let mut linker = Linker::new(definitions);
    report_no_definitions(description, definitions, main, checker);
    let nodes: Vec<Node> = description
        .nodes
        .iter()
        .map(|node| linker.link(node, !definitions.is_empty(), checker))
        .collect();
    let used = std::mem::take(&mut linker.used);
    let mut parts = TopologyParts {
        name: description.name.clone(),
        user_id: description.user_id.clone(),
        variables: description.variables.clone(),
        definitions: used
            .iter()
            .map(|&position| Definition {
                name: definitions[position].name.to_owned(),
                implementations: definitions[position]
                    .implementations
                    .iter()
                    .map(|placed| placed.implementation.clone())
                    .collect(),
            })
            .collect(),
        nodes,
    };
    let used: Vec<&PlacedDefinition<'_>> = used
        .iter()
        .map(|&position| &definitions[position])
        .collect();
    rehearsal::run(&mut parts, &description.nodes, &used, options, checker);
    parts
}

fn report_no_definitions(
    description: &Description<'_>,
    definitions: &[PlacedDefinition<'_>],
    main: &Document,
    checker: &mut Checker,
) {
    if !definitions.is_empty() || description.nodes.is_empty() || checker.errors() > 0 {
        return;
    }
    let diagnostic = Diagnostic::error(&project::NO_DEFINITIONS, "there are no node definitions")
        .help("put them into `nodes/node_definitions.yaml` beside the description, or give `--nodes FILE`");
    let place = main
        .root()
        .and_then(|root| root.get_entry("nodes"))
        .map(|entry| entry.key.span());
    checker.report(match place {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    });
}

/// Connects nodes to their definitions.
struct Linker<'a, 'd> {
    definitions: &'a [PlacedDefinition<'d>],
    by_name: HashMap<&'a str, usize>,
    /// For each definition its position among the used ones.
    position: Vec<Option<u32>>,
    /// The used ones, in the order of their first use.
    used: Vec<usize>,
}

impl<'a, 'd> Linker<'a, 'd> {
    fn new(definitions: &'a [PlacedDefinition<'d>]) -> Self {
        let mut by_name = HashMap::with_capacity(definitions.len());
        for (position, placed) in definitions.iter().enumerate() {
            by_name.entry(placed.name).or_insert(position);
        }
        Self {
            definitions,
            by_name,
            position: vec![None; definitions.len()],
            used: Vec::new(),
        }
    }

    fn link(
        &mut self,
        placed: &PlacedNode<'_>,
        report_missing: bool,
        checker: &mut Checker,
    ) -> Node {
        let (variables, filter, scaling) = description::raw_values(placed);
        let mut node = Node {
            name: placed.name.to_owned(),
            definition: 0,
            candidates: Vec::new(),
            fingerprints: Vec::new(),
            count: placed.count,
            variables,
            filter,
            scaling,
            dependencies: placed
                .dependencies
                .iter()
                .map(|placed| placed.dependency.clone())
                .collect(),
            references: Vec::new(),
            update: placed.update,
        };
        let Some(type_name) = placed.type_name else {
            return node;
        };
        let Some(&definition) = self.by_name.get(type_name) else {
            if report_missing {
                self.report_missing(placed, type_name, checker);
            }
            return node;
        };
        node.definition = *self.position[definition].get_or_insert_with(|| {
            self.used.push(definition);
            u32::try_from(self.used.len() - 1)
                .expect("there are at most as many definitions as bytes of a document")
        });
        let implementations = &self.definitions[definition].implementations;
        let count = u32::try_from(implementations.len())
            .expect("a list is shorter than a document has bytes");
        node.candidates = (0..count)
            .filter(|&candidate| {
                placed.filter.is_none()
                    || fits_filter(
                        &implementations[candidate as usize].implementation.resource,
                        &node.filter,
                    )
            })
            .collect();
        if node.candidates.is_empty() && count > 0 {
            self.report_filter(placed, definition, checker);
        }
        node
    }

    fn report_missing(&self, placed: &PlacedNode<'_>, type_name: &str, checker: &mut Checker) {
        let message = format!("there is no node definition `{DEFINITION_PREFIX}{type_name}`");
        let diagnostic =
            Diagnostic::error(&description_codes::UNKNOWN_TYPE, message).at(placed.type_span);
        let names = self.definitions.iter().map(|definition| definition.name);
        let diagnostic = checker.hint(diagnostic, (type_name, Some(placed.type_span)), names);
        checker.report(diagnostic);
    }

    fn report_filter(&self, placed: &PlacedNode<'_>, definition: usize, checker: &mut Checker) {
        let Some(filter) = placed.filter else { return };
        let definition = &self.definitions[definition];
        let message = format!("no implementation of `{}` fits the filter", definition.name);
        let mut diagnostic = Diagnostic::error(&description_codes::FILTER_MATCHES_NOTHING, message)
            .at(filter.span());
        for entry in filter.entries() {
            let key = entry.key.text();
            let values = definition
                .implementations
                .iter()
                .filter_map(|placed| placed.implementation.resource.get(key));
            let mut texts: Vec<String> = values.map(zenekar_template::python_str).collect();
            texts.dedup();
            let wanted = entry.value.to_value();
            if matches!(entry.value.kind(), Kind::List | Kind::Map)
                || texts.contains(&zenekar_template::python_str(&wanted))
            {
                continue;
            }
            diagnostic = diagnostic.help(if texts.is_empty() {
                format!("no implementation has the key `{key}`")
            } else {
                format!(
                    "`{key}` is {} there",
                    crate::checker::list_of(texts.iter().map(String::as_str))
                )
            });
        }
        checker.report(diagnostic.also(definition.name_span, "the definition is here"));
    }
}
