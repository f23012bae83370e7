//! Occopus's words for mistakes in descriptors, from our findings.
//!
//! Occopus checks in an order of its own and stops at the first mistake. So
//! the document is gone through in that order, and what a finding is about is
//! told by the place that it names. Findings that Occopus has no words for
//! have none here.

use std::collections::HashSet;

use zenekar_diagnostics::codes::{definition, description};
use zenekar_diagnostics::{Code, Diagnostic, Span};
use zenekar_document::{Entry, View};

use super::log::quoted;

/// What all errors begin with.
const ERROR: &str = "[SchemaCheck] ERROR";

/// What the codes of mistakes in YAML and in includes begin with.
const READING: &str = "ZK01";

/// What all warnings begin with.
const WARNING: &str = "[SchemaCheck] WARNING";

/// The characters of a name that Occopus allows before it looks which they are.
const NAME_CHARS_MAX: usize = 64;

/// The errors of a document, found by what they are and where.
struct Errors<'a> {
    places: HashSet<(&'static str, Span)>,
    all: &'a [Diagnostic],
}

impl<'a> Errors<'a> {
    fn of(diagnostics: &'a [Diagnostic]) -> Self {
        let errors = diagnostics.iter().filter(|one| one.is_error());
        Self {
            places: errors
                .filter_map(|one| Some((one.code.id, one.primary.as_ref()?.span)))
                .collect(),
            all: diagnostics,
        }
    }

    fn has(&self, code: &Code, span: Span) -> bool {
        self.places.contains(&(code.id, span))
    }

    /// Says whether the text could not be read as a whole: then Occopus checks nothing.
    fn are_about_reading(&self) -> bool {
        let mut errors = self.all.iter().filter(|one| one.is_error());
        errors.any(|one| one.code.id.starts_with(READING))
    }

    /// Says whether there is any error.
    fn are_there(&self) -> bool {
        self.all.iter().any(Diagnostic::is_error)
    }

    /// Says whether there is such an error anywhere.
    fn any(&self, code: &Code) -> bool {
        self.places.iter().any(|(id, _)| *id == code.id)
    }

    /// Returns the message of the first error at a place.
    fn message(&self, code: &Code, span: Span) -> Option<&'a str> {
        let place = |one: &&Diagnostic| one.primary.as_ref().map(|label| label.span);
        let mut found = self.all.iter().filter(|one| one.code.id == code.id);
        let found = found.find(|one| place(one) == Some(span));
        found.map(|one| one.message.as_str())
    }

    /// Returns the keys of a mapping that are errors.
    fn keys(&self, code: &Code, view: View<'_>) -> Vec<String> {
        view.entries()
            .filter(|entry| self.has(code, entry.key.span()))
            .map(|entry| entry.key.text().to_owned())
            .collect()
    }
}

/// What Occopus prints for an infrastructure description.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DescriptionTexts {
    /// The warnings before the error, or all.
    pub(crate) warnings: Vec<String>,
    /// The first error.
    pub(crate) error: Option<String>,
}

/// Words the findings in an infrastructure description.
pub(crate) fn of_description(root: View<'_>, diagnostics: &[Diagnostic]) -> DescriptionTexts {
    let errors = Errors::of(diagnostics);
    let mut texts = DescriptionTexts::default();
    if errors.are_about_reading() {
        return texts;
    }
    texts.error = description_error(root, &errors, &mut texts.warnings);
    texts
}

fn description_error(
    root: View<'_>,
    errors: &Errors<'_>,
    warnings: &mut Vec<String>,
) -> Option<String> {
    if root.get("user_id").is_none() {
        warnings.push(format!(
            "{WARNING}: user_id is not defined in infrastructure description"
        ));
    }
    // A file with definitions only has other findings.
    let is_missing = |key: &str| root.get(key).is_none() && errors.are_there();
    if is_missing("infra_name") {
        return Some(format!(
            "{ERROR}: infra_name must be defined in infrastructure description"
        ));
    }
    if let Some(fault) = root
        .get("infra_name")
        .and_then(|name| name_fault(name, errors))
    {
        return Some(format!("{ERROR}: infra_name {fault}"));
    }
    if is_missing("nodes") {
        return Some(format!(
            "{ERROR}: nodes section must be defined in infrastructure description"
        ));
    }
    let nodes = root.get("nodes").into_iter().flat_map(View::items);
    for node in nodes {
        if let Some(fault) = node_error(node, errors, warnings) {
            return Some(format!("{ERROR}: {fault}"));
        }
    }
    match root.get("dependencies") {
        None => warnings.push(format!(
            "{WARNING}: no dependencies specified - using sequential ordering"
        )),
        Some(dependencies) => {
            let mut mappings = dependencies.items().filter(|item| item.entries().len() > 0);
            if mappings.any(|item| item.get("connection").is_none())
                && errors.any(&description::INVALID_DEPENDENCY)
            {
                return Some(format!("{ERROR}: undefined connection "));
            }
        }
    }
    let unknown = errors.keys(&description::UNKNOWN_KEY, root);
    unknown.first().map(|key| {
        let key = quoted(key);
        format!("{ERROR}: unknown key {key} in infastructure description")
    })
}

fn node_error(node: View<'_>, errors: &Errors<'_>, warnings: &mut Vec<String>) -> Option<String> {
    let is_missing = |key: &str| node.get(key).is_none() && errors.any(&description::MISSING_KEY);
    if is_missing("name") {
        return Some("missing key \"name\" in node".to_owned());
    }
    let name = node.get("name")?;
    if let Some(fault) = name_fault(name, errors) {
        return Some(format!("node {fault}"));
    }
    let name = quoted(&plain(name));
    if is_missing("type") {
        return Some(format!("missing key \"type\" in node {name}"));
    }
    match node.get("scaling") {
        None => warnings.push(format!(
            "{WARNING}: missing \"scaling\" parameter in node {name}, using default scaling (single instance)"
        )),
        Some(scaling) => {
            if let Some(key) = errors.keys(&description::UNKNOWN_KEY, scaling).first() {
                let key = quoted(key);
                return Some(format!("unknown key \"{key}\" in scaling of node {name}"));
            }
        }
    }
    if node
        .get("filter")
        .is_some_and(|filter| errors.has(&description::WRONG_TYPE, filter.span()))
    {
        return Some(format!(
            "unknown type of filter in node {name} - has to be a dict!"
        ));
    }
    let unknown = errors.keys(&description::UNKNOWN_KEY, node);
    unknown.first().map(|key| {
        let key = quoted(key);
        format!("unknown key \"{key}\" in node {name}")
    })
}

/// Says in Occopus's words what is wrong with a name.
fn name_fault(name: View<'_>, errors: &Errors<'_>) -> Option<String> {
    let text = name
        .as_str()
        .filter(|_| errors.has(&description::INVALID_NAME, name.span()))?;
    let fault = if text.contains('.') {
        "cannot contain '.' character"
    } else if text.chars().count() > NAME_CHARS_MAX {
        "is too long"
    } else {
        "may contain only [a-z,0-9,-] characters"
    };
    Some(format!("\"{text}\" {fault}"))
}

/// Words the first error in a file with node definitions, if Occopus has words for it.
pub(crate) fn of_definitions(root: View<'_>, diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = Errors::of(diagnostics);
    if errors.are_about_reading() {
        return None;
    }
    root.entries()
        .find_map(|entry| definition_error(entry, &errors))
}

fn definition_error(entry: Entry<'_>, errors: &Errors<'_>) -> Option<String> {
    let key = entry.key.text();
    let name = quoted(key.split_once(':').map_or(key, |(_, name)| name));
    let place = entry.key.span();
    if errors.has(&definition::INVALID_DEFINITION_NAME, place) {
        return Some(format!(
            "{ERROR} in node {name}: Node definition must begin with 'node_def:<nodename>'!"
        ));
    }
    if errors.has(&definition::INVALID_DEFINITION, place) {
        return Some(format!(
            "{ERROR} in node {name}: Node definition has to be a list of dictionaries!"
        ));
    }
    for (position, implementation) in entry.value.items().enumerate() {
        let sections = errors.keys(&definition::UNKNOWN_SECTION, implementation);
        if let Some(section) = sections.first() {
            let section = quoted(section);
            return Some(format!("{ERROR} in node {name}: Invalid section {section}"));
        }
        let fault = SECTIONS.iter().find_map(|section| {
            let fault = section_error(section, implementation, errors)?;
            Some(format!(
                "{ERROR} in '{section}' section of node {name}[{position}]: {fault}"
            ))
        });
        if fault.is_some() {
            return fault;
        }
    }
    None
}

/// The sections in the order in which Occopus checks them.
const SECTIONS: [&str; 4] = [
    "resource",
    "config_management",
    "contextualisation",
    "health_check",
];

fn section_error(name: &str, implementation: View<'_>, errors: &Errors<'_>) -> Option<String> {
    let Some(entry) = implementation.get_entry(name) else {
        let is_error = name == "resource" && errors.any(&definition::MISSING_RESOURCE);
        return is_error.then(|| "Missing 'resource' section!".to_owned());
    };
    let section = entry.value;
    if errors.has(&definition::MISSING_SECTION_KEY, entry.key.span()) {
        let mark = if name == "resource" { "" } else { "!" };
        return Some(format!("Missing key 'type'{mark}"));
    }
    let kind = section.get("type").map(View::span);
    let missing = kind.and_then(|place| errors.message(&definition::MISSING_SECTION_KEY, place));
    if let Some(message) = missing {
        let keys = literals(message);
        return Some(if message.contains(" lacks ") {
            format!("Missing key(s): {}", keys.join(", "))
        } else {
            let either: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
            let either = either.join(" or ");
            format!("Missing key(s): either {either} must be defined")
        });
    }
    let unknown = errors.keys(&definition::UNKNOWN_SECTION_KEY, section);
    if !unknown.is_empty() {
        return Some(format!("Unknown key(s): {}", unknown.join(", ")));
    }
    value_error(section, errors)
}

/// Words values that Occopus looks at when definitions are imported.
fn value_error(section: View<'_>, errors: &Errors<'_>) -> Option<String> {
    let is_wrong = |view: &View<'_>| errors.has(&definition::INVALID_VALUE, view.span());
    if let Some(size) = section.get("volume_size").filter(is_wrong) {
        let size = plain(size);
        return Some(format!(
            "Could not convert volume_size value \"{size}\" to integer!"
        ));
    }
    let mut ports = section.get("ports").into_iter().flat_map(View::items);
    if let Some(port) = ports.find(|port| port.as_int().is_none() && is_wrong(port)) {
        let port = match port.as_str() {
            Some(text) => quoted(text),
            None => plain(port),
        };
        return Some(format!("Invalid port {port} - must be integer"));
    }
    let timeout = section.get("timeout").filter(is_wrong)?;
    timeout
        .as_int()
        .is_none()
        .then(|| "Invalid value of 'timeout' section! Must be integer.".to_owned())
}

/// Returns what is between the backticks of a message that comes after the
/// type of the section: the keys that it is about.
fn literals(message: &str) -> Vec<String> {
    let keys = message
        .split_once(" lacks ")
        .or_else(|| message.split_once(" needs "))
        .map_or(message, |(_, keys)| keys);
    keys.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Writes a scalar as Python prints it.
fn plain(view: View<'_>) -> String {
    use zenekar_document::Kind;
    match view.kind() {
        Kind::Bool(true) => "True".to_owned(),
        Kind::Bool(false) => "False".to_owned(),
        Kind::Int(number) => number.to_string(),
        Kind::Float(number) => format!("{number:?}"),
        Kind::String(text) | Kind::Date(text) => text.to_owned(),
        _ => "None".to_owned(),
    }
}
