//! Properties from documents and from single formulas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_diagnostics::{Code, Diagnostic, FileId, Span, codes::property as codes, did_you_mean};
use zenekar_document::{Document, Entry, Kind, View};

use crate::limits::{FINDINGS_MAX, PROPERTIES_MAX};
use crate::mistake::Mistake;
use crate::parser::{self, Parsed, Variables};
use crate::set::{Origin, Property, PropertySet};

mod variables;

/// What a file of properties has at its top.
const SECTIONS: &[&str] = &[
    "exec-tree",
    "orchestrator",
    "properties",
    "scenario_name",
    "specification",
    "variables",
];

/// Reads properties, from one text after the other, and collects what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    set: PropertySet,
    variables: Variables,
    /// Where each variable is declared.
    declared: BTreeMap<String, Span>,
    used: BTreeSet<String>,
    names: BTreeMap<String, Span>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    /// Makes a reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole document: a scenario file, or one of our own.
    pub fn document(&mut self, document: &Document) {
        if let Some(root) = document.root() {
            self.sections(root);
        }
    }

    /// Reads the sections of a mapping; see `docs/properties.md`.
    pub fn sections(&mut self, root: View<'_>) {
        if root.is_invalid() {
            return;
        }
        if root.kind() != Kind::Map {
            self.wrong_type(root, "a file of properties is a mapping");
            return;
        }
        self.top(root);
        if let Some(section) = root.get("variables") {
            self.declare_all(section);
        }
        let specification = root.get("specification");
        if let Some(section) = specification {
            self.specification(section);
        }
        if let Some(section) = root.get("properties") {
            self.properties(section);
        }
    }

    /// Reads one formula that is in no document. `text` is the whole text of `file`.
    pub fn formula(&mut self, name: &str, text: &str, file: FileId) {
        let place = |start, end| Span::new(file, offset(start), offset(end));
        let whole = place(0, text.len());
        self.add(name.to_owned(), text, Origin::Formula, whole, &place);
    }

    /// Returns what was read, and what was wrong with it, in the order of the texts.
    pub fn finish(mut self) -> (PropertySet, Vec<Diagnostic>) {
        // What could not be read may have used them.
        let is_complete = !self.diagnostics.iter().any(Diagnostic::is_error);
        for (name, span) in &self.declared {
            if is_complete && !self.used.contains(name) {
                let message = format!("nothing uses the variable `{name}`");
                self.diagnostics
                    .push(Diagnostic::warning(&codes::UNUSED_VARIABLE, message).at(*span));
            }
        }
        self.diagnostics.sort_by_key(|diagnostic| {
            diagnostic
                .primary
                .as_ref()
                .map(|label| (label.span.file, label.span.start))
        });
        self.diagnostics.truncate(FINDINGS_MAX);
        (self.set, self.diagnostics)
    }

    fn top(&mut self, root: View<'_>) {
        let mut ignored = Vec::new();
        for entry in root.entries() {
            match entry.key.text() {
                "scenario_name" => self.set.title = entry.value.as_str().map(str::to_owned),
                "orchestrator" | "exec-tree" => ignored.push(entry.key),
                _ => self.known_key(entry, SECTIONS),
            }
        }
        let Some(first) = ignored.first() else {
            return;
        };
        let names: Vec<String> = ignored
            .iter()
            .map(|key| format!("`{}`", key.text()))
            .collect();
        let message = format!("{} without effect", names.join(" and "));
        let note = Diagnostic::note(&codes::WITHOUT_EFFECT, message).at(first.span());
        self.report(note);
    }

    fn specification(&mut self, section: View<'_>) {
        if !self.needs_map(section, "a specification") {
            return;
        }
        for entry in section.entries() {
            self.known_key(entry, &["variables", "statements"]);
        }
        if let Some(variables) = section.get("variables") {
            self.declare_all(variables);
        }
        let Some(statements) = section.get("statements") else {
            return;
        };
        if !self.needs_list(statements, "the statements") {
            return;
        }
        for (index, statement) in statements.items().enumerate() {
            let name = format!("statement {}", index + 1);
            match (statement.kind(), statement.as_str()) {
                (Kind::Invalid, _) => {}
                (_, Some(text)) => self.add_view(name, text, Origin::Statement, statement),
                // YAML takes `True` for a truth value; Python takes it for a statement.
                (Kind::Bool(truth), _) => {
                    let text = if truth { "True" } else { "False" };
                    let span = statement.span();
                    self.add(name, text, Origin::Statement, span, &|_, _| span);
                }
                _ => self.wrong_type(statement, "a statement is a text"),
            }
        }
    }

    fn properties(&mut self, section: View<'_>) {
        if !self.needs_list(section, "the properties") {
            return;
        }
        for (index, property) in section.items().enumerate() {
            let name = format!("property {}", index + 1);
            match (property.kind(), property.as_str()) {
                (Kind::Invalid, _) => {}
                (_, Some(text)) => self.add_view(name, text, Origin::Formula, property),
                (Kind::Map, _) => self.property(name, property),
                _ => self.wrong_type(property, "a property is a text or a mapping"),
            }
        }
    }

    /// Reads `{name: …, formula: …}`, or with the first word of the formula as the key.
    fn property(&mut self, default_name: String, property: View<'_>) {
        const FORMS: &[&str] = &["formula", "always", "eventually", "never"];
        let mut name = default_name;
        let mut found: Option<(Entry<'_>, &str)> = None;
        for entry in property.entries() {
            let key = entry.key.text();
            let text = entry.value.as_str();
            match (key, text) {
                ("name", Some(text)) if !text.trim().is_empty() => text.clone_into(&mut name),
                ("name", _) => self.wrong_type(entry.value, "the name of a property is a text"),
                (_, _) if !FORMS.contains(&key) => {
                    self.known_key(entry, &["name", "formula", "always", "eventually", "never"]);
                }
                (_, None) => self.wrong_type(entry.value, "a formula is a text"),
                (_, Some(_)) if found.is_some() => {
                    let message = format!("`{key}` is a second formula in one property");
                    self.report(
                        Diagnostic::error(&codes::INVALID_FILE, message)
                            .at(entry.key.span())
                            .help("make it a property of its own"),
                    );
                }
                (_, Some(text)) => found = Some((entry, text)),
            }
        }
        let Some((entry, text)) = found else {
            let has_form = property
                .entries()
                .any(|entry| FORMS.contains(&entry.key.text()));
            if !has_form {
                self.missing(property, "a property", "formula");
            }
            return;
        };
        let key = entry.key.text();
        if key == "formula" {
            self.add_view(name, text, Origin::Formula, entry.value);
            return;
        }
        let whole = format!("{key} {text}");
        let before = key.len() + 1;
        let place = |start: usize, end: usize| {
            if end <= before {
                entry.key.span()
            } else {
                let start = start.saturating_sub(before);
                entry.value.range_in(start, end - before)
            }
        };
        let span = entry.value.definition_span();
        self.add(name, &whole, Origin::Formula, span, &place);
    }

    fn add_view(&mut self, name: String, text: &str, origin: Origin, view: View<'_>) {
        let place = |start, end| view.range_in(start, end);
        self.add(name, text, origin, view.definition_span(), &place);
    }

    fn add(
        &mut self,
        name: String,
        text: &str,
        origin: Origin,
        span: Span,
        place: &dyn Fn(usize, usize) -> Span,
    ) {
        if self.set.properties.len() == PROPERTIES_MAX {
            let message = format!("there are more than {PROPERTIES_MAX} properties");
            self.report_once(Diagnostic::error(&codes::TOO_LARGE, message).at(span));
            return;
        }
        if let Some(other) = self.names.insert(name.clone(), span) {
            let message = format!("two properties are named `{name}`");
            let diagnostic = Diagnostic::error(&codes::DUPLICATE_NAME, message)
                .at(span)
                .also(other, "the other one");
            self.report(diagnostic);
            return;
        }
        let read = match origin {
            Origin::Statement => parser::statement,
            Origin::Formula => parser::formula,
        };
        match read(text, &self.variables, &mut self.set.symbols) {
            Ok(Parsed {
                formula,
                variables,
                nodes,
            }) => {
                self.used.extend(variables);
                let uses = nodes
                    .into_iter()
                    .map(|(node, (start, end))| (node, place(start, end)));
                self.set.uses.extend(uses);
                self.set.properties.push(Property {
                    name,
                    text: text.trim().to_owned(),
                    origin,
                    span,
                    formula: Arc::new(formula),
                });
            }
            Err(mistake) => self.mistake(mistake, place),
        }
    }

    fn mistake(&mut self, mistake: Mistake, place: &dyn Fn(usize, usize) -> Span) {
        self.report(mistake.into_diagnostic(place));
    }

    fn needs_map(&mut self, view: View<'_>, what: &str) -> bool {
        if view.kind() != Kind::Map {
            self.wrong_type(view, &format!("{what} is a mapping"));
        }
        view.kind() == Kind::Map
    }

    fn needs_list(&mut self, view: View<'_>, what: &str) -> bool {
        if view.kind() != Kind::List {
            self.wrong_type(view, &format!("{what} are a list"));
        }
        view.kind() == Kind::List
    }

    fn wrong_type(&mut self, view: View<'_>, rule: &str) {
        // What could not be read was reported by the document.
        if !view.is_invalid() {
            let message = format!("{rule}, and this is of type {}", view.type_name());
            self.report(Diagnostic::error(&codes::INVALID_FILE, message).at(view.span()));
        }
    }

    fn missing(&mut self, view: View<'_>, what: &str, key: &str) {
        let message = format!("{what} lacks `{key}`");
        self.report(Diagnostic::error(&codes::MISSING_KEY, message).at(view.span()));
    }

    fn known_key(&mut self, entry: Entry<'_>, known: &[&str]) {
        let key = entry.key.text();
        if known.contains(&key) {
            return;
        }
        let diagnostic = Diagnostic::error(&codes::UNKNOWN_KEY, format!("unknown key `{key}`"))
            .at(entry.key.span());
        self.report(match did_you_mean(key, known.iter().copied()) {
            Some(near) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(entry.key.span(), near),
            None => diagnostic.help(format!("known are `{}`", known.join("`, `"))),
        });
    }

    fn report_once(&mut self, diagnostic: Diagnostic) {
        let is_told = |code: &Code| self.diagnostics.iter().any(|told| told.code == code);
        if !is_told(diagnostic.code) {
            self.report(diagnostic);
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < FINDINGS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }
}

fn offset(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}
