//! The key `verification`: what a person says of what instances do while they
//! are contextualised. It changes nothing about what is deployed, so it is no
//! part of the topology.

use std::collections::BTreeMap;

use zenekar_diagnostics::codes::description as codes;
use zenekar_diagnostics::{Diagnostic, Span};
use zenekar_document::{Kind, View};
use zenekar_model::{Contact, Give, Need, Quantifier, Segment};

use crate::checker::Checker;

/// The key itself.
pub(crate) const KEY: &str = "verification";

/// Segments of one annotation: each multiplies what is explored.
const SEGMENTS_MAX: usize = 64;

/// Items of one list of an annotation; nobody writes more by hand.
const ITEMS_MAX: usize = 256;

/// Bytes of a label or a name.
const NAME_BYTES_MAX: usize = 128;

const SEGMENT_KEYS: &[&str] = &[
    "label", "needs", "gives", "reads", "writes", "holds", "retries",
];
/// Keys that are about segments, and cannot stand beside `segments`.
const BESIDE: &[&str] = &["needs", "gives", "reads", "writes", "holds", "retries"];
const KEYS: &[&str] = &[
    "segments", "needs", "gives", "reads", "writes", "holds", "retries", "quorum",
];

/// A segment as a person states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedSegment {
    /// The segment, without a place.
    pub segment: Segment,
    /// Whether it retries, where something is said about that.
    pub retries: Option<bool>,
    /// Where it is written.
    pub span: Span,
    /// Where each of the needs is written.
    need_spans: Vec<Span>,
}

/// What a person states of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// All segments: what is found in the scripts does not count then.
    pub segments: Option<Vec<StatedSegment>>,
    /// What is added to what is found in the scripts.
    pub refinement: StatedSegment,
    /// Instances that the node needs to do its work, where something is said about that.
    pub quorum: Option<u32>,
}

/// What is stated, by the names of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// A node without an annotation is not here.
    pub nodes: BTreeMap<String, Annotation>,
}

/// Reads an annotation; mistakes are reported and left out.
pub(crate) fn read(view: View<'_>, checker: &mut Checker) -> Option<Annotation> {
    if !checker.mapping(&codes::INVALID_ANNOTATION, "`verification`", view) {
        return None;
    }
    for entry in view.entries() {
        if !KEYS.contains(&entry.key.text()) {
            checker.unknown_key(
                &codes::INVALID_ANNOTATION,
                "`verification`",
                (entry.key.text(), entry.key.span()),
                KEYS.iter().copied(),
            );
        }
    }
    let refinement = read_segment(view, checker);
    let segments = view
        .get_entry("segments")
        .map(|entry| read_segments(entry.value, checker));
    if let Some(entry) = view.get_entry("segments")
        && view
            .entries()
            .any(|entry| BESIDE.contains(&entry.key.text()))
    {
        let message = "`segments` replaces all that is derived, so nothing can stand beside it";
        checker.report(
            Diagnostic::error(&codes::INVALID_ANNOTATION, message)
                .at(entry.key.span())
                .help("put the other keys into an item of `segments`"),
        );
    }
    let quorum = view.get_entry("quorum");
    let quorum = quorum.and_then(|entry| read_quorum(entry.value, checker));
    Some(Annotation {
        segments,
        refinement,
        quorum,
    })
}

/// Reports needs of nodes that do not exist.
pub(crate) fn check_names<'n>(
    annotation: &Annotation,
    names: impl Iterator<Item = &'n str> + Clone,
    checker: &mut Checker,
) {
    let stated = annotation.segments.iter().flatten();
    for stated in stated.chain([&annotation.refinement]) {
        for (need, span) in stated.segment.needs.iter().zip(&stated.need_spans) {
            if names.clone().any(|name| name == need.node) {
                continue;
            }
            let message = format!("`needs` names node `{}`, which does not exist", need.node);
            let diagnostic = Diagnostic::error(&codes::UNKNOWN_NEEDED_NODE, message).at(*span);
            let diagnostic = checker.hint(diagnostic, (&need.node, None), names.clone());
            checker.report(diagnostic);
        }
    }
}

/// Reads how many instances are needed at least.
fn read_quorum(view: View<'_>, checker: &mut Checker) -> Option<u32> {
    let Kind::Int(number) = view.kind() else {
        let code = &codes::INVALID_ANNOTATION;
        checker.wrong_type(code, "`quorum`", "an integer", view);
        return None;
    };
    let quorum = u32::try_from(number).ok().filter(|quorum| *quorum > 0);
    if quorum.is_none() {
        let message = format!("a quorum of {number} instances says nothing");
        refuse(
            message,
            "write how many are needed, from 1 on",
            view,
            checker,
        );
    }
    quorum
}

fn read_segments(view: View<'_>, checker: &mut Checker) -> Vec<StatedSegment> {
    let mut segments = Vec::new();
    for item in items(view, "`segments`", SEGMENTS_MAX, checker) {
        if item.kind() != Kind::Map {
            checker.wrong_type(
                &codes::INVALID_ANNOTATION,
                "an item of `segments`",
                "a mapping",
                item,
            );
            continue;
        }
        for entry in item.entries() {
            if !SEGMENT_KEYS.contains(&entry.key.text()) {
                checker.unknown_key(
                    &codes::INVALID_ANNOTATION,
                    "an item of `segments`",
                    (entry.key.text(), entry.key.span()),
                    SEGMENT_KEYS.iter().copied(),
                );
            }
        }
        segments.push(read_segment(item, checker));
    }
    segments
}

fn read_segment(view: View<'_>, checker: &mut Checker) -> StatedSegment {
    let mut stated = StatedSegment {
        segment: Segment::default(),
        retries: None,
        span: view.span(),
        need_spans: Vec::new(),
    };
    let segment = &mut stated.segment;
    for entry in view.entries() {
        let value = entry.value;
        match entry.key.text() {
            "label" => {
                let label = checker.text(&codes::INVALID_ANNOTATION, "`label`", value);
                if let Some(label) = label.filter(|label| is_short(label, value, checker)) {
                    label.clone_into(&mut segment.label);
                }
            }
            "needs" => {
                for item in items(value, "`needs`", ITEMS_MAX, checker) {
                    if let Some(need) = read_need(item, checker) {
                        segment.needs.push(need);
                        stated.need_spans.push(item.span());
                    }
                }
            }
            "gives" => {
                let given = items(value, "`gives`", ITEMS_MAX, checker);
                segment.gives = given
                    .into_iter()
                    .filter_map(|item| read_give(item, checker))
                    .collect();
            }
            "reads" => segment.reads = objects(value, "`reads`", checker),
            "writes" => segment.writes = objects(value, "`writes`", checker),
            "holds" => segment.holds = objects(value, "`holds`", checker),
            "retries" => {
                stated.retries = checker.truth(&codes::INVALID_ANNOTATION, "`retries`", value);
                segment.retries = stated.retries.unwrap_or_default();
            }
            _ => {}
        }
    }
    stated
}

/// Returns the items of a list that is not too long; null is an empty one.
fn items<'d>(
    view: View<'d>,
    subject: &str,
    items_max: usize,
    checker: &mut Checker,
) -> Vec<View<'d>> {
    if !checker.list(&codes::INVALID_ANNOTATION, subject, view) {
        return Vec::new();
    }
    let count = view.items().len();
    if count > items_max {
        let message = format!("{subject} has {count} items, and {items_max} are allowed");
        checker.report(Diagnostic::error(&codes::TOO_MANY, message).at(view.span()));
        return Vec::new();
    }
    view.items().collect()
}

fn is_short(text: &str, view: View<'_>, checker: &mut Checker) -> bool {
    let is_short = text.len() <= NAME_BYTES_MAX;
    if !is_short {
        let message = format!("a name or label has {NAME_BYTES_MAX} bytes at most");
        checker.report(Diagnostic::error(&codes::INVALID_ANNOTATION, message).at(view.span()));
    }
    is_short
}

/// Reads names of shared objects.
fn objects(view: View<'_>, subject: &str, checker: &mut Checker) -> Vec<String> {
    let mut names = Vec::new();
    for item in items(view, subject, ITEMS_MAX, checker) {
        let owner = format!("an item of {subject}");
        let name = checker.text(&codes::INVALID_ANNOTATION, &owner, item);
        let Some(name) = name.filter(|name| is_short(name, item, checker)) else {
            continue;
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            refuse(
                format!("{owner} must be a name without blanks, but is `{name}`"),
                "write `volume:data` or `server:/etc/hosts`, for example",
                item,
                checker,
            );
        } else {
            names.push(name.to_owned());
        }
    }
    names
}

/// Reads `master:7077`, `master.token`, `master`, `master address`, or one of
/// them behind `all`.
fn read_need(view: View<'_>, checker: &mut Checker) -> Option<Need> {
    const HELP: &str = "write `NODE:PORT`, `NODE.NAME`, `NODE` for its end or `NODE address`; `all` in front means all instances";
    let text = checker.text(&codes::INVALID_ANNOTATION, "an item of `needs`", view)?;
    if !is_short(text, view, checker) {
        return None;
    }
    let (quantifier, rest) = match text.trim().strip_prefix("all ") {
        Some(rest) => (Quantifier::All, rest.trim_start()),
        None => (Quantifier::One, text.trim()),
    };
    let end = rest.find([':', '.', ' ']).unwrap_or(rest.len());
    let (node, tail) = rest.split_at(end);
    let what = match tail.chars().next() {
        None => Some(Contact::Finished),
        Some(':') => {
            let Some(port) = port(&tail[1..]) else {
                refuse(
                    format!("there is no port `{}`", &tail[1..]),
                    "ports are numbers from 1 to 65535",
                    view,
                    checker,
                );
                return None;
            };
            Some(Contact::Port(port))
        }
        Some('.') if is_name(&tail[1..]) => Some(Contact::Name(tail[1..].to_owned())),
        Some(' ') if tail.trim() == "address" => Some(Contact::Address),
        Some(_) => None,
    };
    let Some(what) = what.filter(|_| !node.is_empty()) else {
        let message = format!("`{text}` is no need");
        refuse(message, HELP, view, checker);
        return None;
    };
    Some(Need {
        node: node.to_owned(),
        what,
        quantifier,
    })
}

/// Reads a port, as a number or as text, or a name.
fn read_give(view: View<'_>, checker: &mut Checker) -> Option<Give> {
    let text = match view.kind() {
        Kind::Int(number) => number.to_string(),
        Kind::String(text) => text.to_owned(),
        _ => {
            let wanted = "a port or a name";
            checker.wrong_type(
                &codes::INVALID_ANNOTATION,
                "an item of `gives`",
                wanted,
                view,
            );
            return None;
        }
    };
    let is_number = text
        .trim_start_matches('-')
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    match port(&text) {
        Some(port) => Some(Give::Port(port)),
        None if is_number => {
            refuse(
                format!("there is no port `{text}`"),
                "ports are numbers from 1 to 65535",
                view,
                checker,
            );
            None
        }
        None if is_short(&text, view, checker) && is_name(&text) => Some(Give::Name(text)),
        None => {
            refuse(
                format!("`{text}` is neither a port nor a name"),
                "names have letters, digits, `-`, `_`, `.` and `/`",
                view,
                checker,
            );
            None
        }
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn is_name(text: &str) -> bool {
    let is_part =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/');
    !text.is_empty() && text.chars().all(is_part)
}

fn refuse(message: String, help: &'static str, view: View<'_>, checker: &mut Checker) {
    checker.report(
        Diagnostic::error(&codes::INVALID_ANNOTATION, message)
            .at(view.span())
            .help(help),
    );
}

#[cfg(test)]
mod tests {
    use zenekar_diagnostics::SourceMap;

    use super::*;
    use crate::{LoadOptions, Loaded, load_text};

    fn loaded(own: &str, common: &str) -> Loaded {
        let text = format!(
            "user_id: u\ninfra_name: demo\nnodes:\n- name: web\n  type: plain\n{own}- {{name: db, type: plain}}\n\
             'node_def:plain':\n- resource: {{type: sim}}\n{common}"
        );
        let mut sources = SourceMap::new();
        load_text("infra.yaml", &text, &LoadOptions::default(), &mut sources)
    }

    #[test]
    fn annotations_are_no_part_of_what_is_deployed() {
        let plain = loaded("", "").topology.expect("it is valid");
        let annotated = loaded(
            "  verification: {needs: ['db:80']}\n",
            "  verification: {retries: true}\n",
        );
        assert_eq!(annotated.topology, Some(plain));
        assert_eq!(annotated.annotations.nodes.len(), 2);
    }

    #[test]
    fn the_node_counts_before_its_definition() {
        let annotations = loaded(
            "  verification: {needs: ['all db:80', db.token, db]}\n",
            "  verification: {gives: [80, token], retries: true}\n",
        )
        .annotations;
        let of = |node: &str| &annotations.nodes[node].refinement;
        let needs: Vec<String> = of("web")
            .segment
            .needs
            .iter()
            .map(Need::to_string)
            .collect();
        assert_eq!(needs, ["all db:80", "db.token", "db"]);
        assert_eq!(of("web").retries, None);
        assert_eq!(of("db").retries, Some(true));
        assert_eq!(
            of("db").segment.gives,
            [Give::Port(80), Give::Name("token".to_owned())]
        );
    }

    #[test]
    fn a_quorum_is_a_number_of_instances() {
        let quorum = |own: &str| loaded(own, "").annotations.nodes["web"].quorum;
        assert_eq!(quorum("  verification: {quorum: 3}\n"), Some(3));
        let beside = "  verification: {quorum: 2, segments: [{label: start}]}\n";
        assert_eq!(quorum(beside), Some(2));
        assert!(loaded(beside, "").topology.is_some());
        for wrong in ["0", "-1", "many", "4294967296"] {
            let loaded = loaded(&format!("  verification: {{quorum: {wrong}}}\n"), "");
            assert!(loaded.topology.is_none(), "{wrong}");
        }
    }
}
