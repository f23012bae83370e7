//! Variables that templates read and nobody defines: `ZK0715`.

use std::collections::BTreeSet;

use zenekar_base::Value;
use zenekar_diagnostics::Diagnostic;
use zenekar_diagnostics::codes::lint as codes;
use zenekar_model::Topology;

use crate::landscape::{Landscape, Subject};
use crate::machine::next_tag;
use crate::report::Report;
use crate::text::Text;

/// Names that every template knows, in one kind of contextualisation or the other.
const NAMES: &[&str] = &[
    "variables",
    "node_id",
    "infra_id",
    "infra_name",
    "user_id",
    "name",
    "type",
    "scaling",
    "filter",
    "mappings",
    "resource",
    "contextualisation",
    "config_management",
    "health_check",
    "getip",
    "getprivip",
    "getipall",
    "find_node_id",
    "cut",
    "cmd",
    "ibget",
    "context_variables",
    "puppet",
    "ip",
    "instance_data",
    "attributes",
    "synch_attrs",
    "backend_id",
    "node_description",
    "range",
    "dict",
    "lipsum",
    "cycler",
    "joiner",
    "namespace",
    "loop",
    "self",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "caller",
    "varargs",
    "kwargs",
    "connections",
];

/// Words of the language itself.
const WORDS: &[&str] = &[
    "if",
    "else",
    "elif",
    "for",
    "in",
    "is",
    "not",
    "and",
    "or",
    "set",
    "endif",
    "endfor",
    "endset",
    "defined",
    "undefined",
    "recursive",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "with",
    "endwith",
    "raw",
    "endraw",
    "block",
    "endblock",
    "include",
    "import",
    "from",
    "as",
    "do",
    "scoped",
    "ignore",
    "missing",
    "without",
    "context",
];

pub(super) fn check(landscape: &Landscape<'_>, topology: Option<&Topology>, report: &mut Report) {
    let Some(topology) = topology else { return };
    for subject in &landscape.subjects {
        // Without a user nobody says what is defined.
        if subject.users.is_empty() {
            continue;
        }
        let scopes = scopes(subject, topology);
        let tags: Vec<(&Text<'_>, Tag<'_>)> = subject
            .machine
            .texts()
            .flat_map(|text| {
                tags_of(text.content)
                    .into_iter()
                    .map(move |tag| (text, tag))
            })
            .collect();
        let local: BTreeSet<&str> = tags.iter().flat_map(|(_, tag)| tag.defines()).collect();
        let guarded: BTreeSet<&str> = tags.iter().flat_map(|(_, tag)| tag.guarded()).collect();
        for (text, tag) in &tags {
            for path in tag.paths() {
                check_path(text, tag, &path, (&scopes, &local, &guarded), report);
            }
        }
    }
}

/// The variables that the nodes of an implementation have: the node's name, and
/// the values from near to far.
type Scope<'t> = (&'t str, [&'t Value; 2]);

fn scopes<'t>(subject: &Subject<'_>, topology: &'t Topology) -> Vec<Scope<'t>> {
    let nodes = subject
        .users
        .iter()
        .filter_map(|user| topology.nodes().get(user.index));
    nodes
        .map(|node| (node.name.as_str(), [&node.variables, topology.variables()]))
        .collect()
}

fn check_path(
    text: &Text<'_>,
    tag: &Tag<'_>,
    path: &Path<'_>,
    (scopes, local, guarded): (&[Scope<'_>], &BTreeSet<&str>, &BTreeSet<&str>),
    report: &mut Report,
) {
    let Some((first, members)) = path.parts.split_first() else {
        return;
    };
    if local.contains(first) || tag.has_default() || guarded.contains(path.text) {
        return;
    }
    let place = || text.span(tag.start + path.start..tag.start + path.start + path.text.len());
    if *first != "variables" {
        if !NAMES.contains(first) && !WORDS.contains(first) {
            report.add(
                Diagnostic::warning(
                    &codes::UNDEFINED_VARIABLE,
                    format!("`{first}` is not defined and prints as nothing"),
                )
                .at(place())
                .help(format!("did you mean `variables.{first}`?")),
            );
        }
        return;
    }
    let missing = scopes
        .iter()
        .find(|(_, values)| !is_defined(values, members));
    if let Some((node, _)) = missing {
        report.add(
            Diagnostic::warning(
                &codes::UNDEFINED_VARIABLE,
                format!(
                    "`{}` is not defined for node `{node}` and prints as nothing",
                    path.text
                ),
            )
            .at(place())
            .help("define it under `variables`, or say what is meant: `| default('…')`"),
        );
    }
}

/// Says whether the way through the members leads to a value, as far as it can be known.
fn is_defined(values: &[&Value], members: &[&str]) -> bool {
    if members.is_empty() {
        return true;
    }
    values.iter().any(|value| {
        let mut value = *value;
        for member in members {
            match value {
                Value::Map(_) => match value.get(member) {
                    Some(next) => value = next,
                    // A method of mappings.
                    None => return matches!(*member, "items" | "keys" | "values" | "get"),
                },
                Value::Null => return false,
                // Members of texts and lists are methods and positions.
                _ => return true,
            }
        }
        true
    })
}

/// A tag of a template: what is inside, and where.
#[derive(Clone, Copy, Debug)]
struct Tag<'t> {
    text: &'t str,
    start: usize,
    is_statement: bool,
}

/// A name with members, as it is written.
#[derive(Clone, Debug)]
struct Path<'t> {
    text: &'t str,
    start: usize,
    parts: Vec<&'t str>,
}

/// Finds the tags of a text; what is between `raw` and `endraw` is none.
fn tags_of(text: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(start) = next_tag(&text[at..], &["{{", "{%", "{#"]) {
        let start = at + start;
        let (close, is_statement) = match &text[start..start + 2] {
            "{{" => ("}}", false),
            "{%" => ("%}", true),
            _ => ("#}", false),
        };
        let inside = start + 2;
        let Some(end) = text[inside..].find(close).map(|end| inside + end) else {
            break;
        };
        at = end + 2;
        let body = &text[inside..end];
        if close == "#}" {
            continue;
        }
        if is_statement && body.trim_matches(['-', '+', ' ']) == "raw" {
            let rest = &text[at..];
            at += rest.find("endraw").unwrap_or(rest.len());
            at += text[at..]
                .find("%}")
                .map_or(text[at..].len(), |close| close + 2);
            continue;
        }
        tags.push(Tag {
            text: body,
            start: inside,
            is_statement,
        });
    }
    tags
}

impl<'t> Tag<'t> {
    /// Returns the names that the tag itself defines.
    fn defines(&self) -> Vec<&'t str> {
        if !self.is_statement {
            return Vec::new();
        }
        let body = self.text.trim_matches(['-', '+', ' ']);
        let list = match body.split_once(' ') {
            Some(("for", rest)) => rest.split(" in ").next(),
            Some(("set" | "with", rest)) => rest.split('=').next(),
            Some(("macro", rest)) => Some(rest),
            _ => None,
        };
        list.into_iter()
            .flat_map(|list| list.split([',', '(', ')', ' ', '=']))
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// Returns what the tag asks for being defined.
    fn guarded(&self) -> Vec<&'t str> {
        let is_guard = self.is_statement
            && self.text.trim_start_matches(['-', ' ']).starts_with("if")
            || self.text.contains(" if ");
        if is_guard {
            self.paths().into_iter().map(|path| path.text).collect()
        } else {
            Vec::new()
        }
    }

    /// Says whether the tag says what is meant without a value.
    fn has_default(&self) -> bool {
        [
            "default(",
            "default (",
            " d(",
            "|d(",
            "is defined",
            "is undefined",
        ]
        .iter()
        .any(|mark| self.text.contains(mark))
    }

    /// Returns the names with their members, texts in quotes and filters left out.
    fn paths(&self) -> Vec<Path<'t>> {
        let mut paths = Vec::new();
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                quote @ (b'"' | b'\'') => {
                    let rest = &self.text[at + 1..];
                    at += rest
                        .find(char::from(quote))
                        .map_or(rest.len(), |end| end + 1)
                        + 1;
                }
                byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                    let length = self.text[at..]
                        .find(|letter: char| {
                            !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')
                        })
                        .unwrap_or(self.text.len() - at);
                    let name = self.text[at..at + length].trim_end_matches('.');
                    let behind = self.text[at + length..].trim_start();
                    let before = self.text[..at].trim_end();
                    let is_filter = before.ends_with('|') || before.ends_with('.');
                    let is_test = before.ends_with(" is") || before.ends_with(" is not");
                    let is_argument_name = behind.starts_with('=') && !behind.starts_with("==");
                    if !is_filter && !is_test && !is_argument_name {
                        let mut parts: Vec<&str> = name.split('.').collect();
                        // The last member of a call is a method.
                        if behind.starts_with('(') && parts.len() > 1 {
                            parts.pop();
                        }
                        paths.push(Path {
                            text: name,
                            start: at,
                            parts,
                        });
                    }
                    at += length;
                }
                byte if byte.is_ascii_digit() => {
                    let rest = &self.text[at..];
                    at += rest
                        .find(|letter: char| !letter.is_ascii_alphanumeric())
                        .unwrap_or(rest.len());
                }
                _ => at += 1,
            }
            while at < bytes.len() && !self.text.is_char_boundary(at) {
                at += 1;
            }
        }
        paths
    }
}
