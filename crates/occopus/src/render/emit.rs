//! Writes data as the emitter of ruamel.yaml 0.17 does, which Occopus uses:
//! block style, sorted keys, width 80, anchors for what stands at several places.
//!
//! Occopus writes the mapping of a cloud-init file as text *before* it renders
//! it as a template. Where lines are folded and what is escaped therefore
//! decides about what an instance gets, letter by letter.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use zenekar_base::{Float, Value};
use zenekar_document::{Kind, View, reads_as_text};

use super::style::{Style, style_of};
use super::timestamp;
use super::writer::Writer;

/// A key of this many letters is written in the explicit form `? key`; its tag counts too.
const SIMPLE_KEY_CHARS_END: usize = 128;

/// Bytes of binary data on one line, as MIME has it.
const BINARY_LINE_BYTES: usize = 57;

/// A value in the form in which it is written.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// A scalar.
    Scalar(Scalar<'a>),
    /// A list.
    List(Option<usize>, Vec<Part<'a>>),
    /// A mapping.
    Map(Option<usize>, Vec<(Scalar<'a>, Part<'a>)>),
}

/// A scalar, and of which type it is.
#[derive(Debug)]
pub(crate) struct Scalar<'a> {
    kind: ScalarKind,
    text: Cow<'a, str>,
    /// What tells it from others that are equal; only dates can be shared.
    identity: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScalarKind {
    Null,
    Bool,
    Int,
    Float,
    Date,
    Bytes,
    Text,
}

/// Returns the text of plain data, with a line end behind it.
pub(crate) fn emit(value: &Value) -> String {
    write(&part_of_value(value))
}

/// Returns the text of a value of a document, with a line end behind it. What
/// stands at several places by aliases or merges is written once and named.
pub fn yaml_text(view: View<'_>) -> String {
    write(&part_of_view(view))
}

/// Says whether the text of a value of a document is more than that of its data:
/// it has values that stand at several places, or keys that are not texts.
pub(crate) fn has_form(view: View<'_>) -> bool {
    let part = part_of_view(view);
    !anchors_of(&part).is_empty() || has_other_keys(&part)
}

fn write(part: &Part<'_>) -> String {
    let mut emitter = Emitter {
        writer: Writer::default(),
        anchors: anchors_of(part),
        written: BTreeSet::new(),
    };
    match part {
        Part::Scalar(scalar) => emitter.scalar(scalar, Context::Root),
        _ => emitter.node(part, Context::Root),
    }
    emitter.writer.finish()
}

fn has_other_keys(part: &Part<'_>) -> bool {
    match part {
        Part::Scalar(_) => false,
        Part::List(_, items) => items.iter().any(has_other_keys),
        Part::Map(_, entries) => entries
            .iter()
            .any(|(key, value)| key.kind != ScalarKind::Text || has_other_keys(value)),
    }
}

fn part_of_value(value: &Value) -> Part<'_> {
    match value {
        Value::Null => Part::Scalar(Scalar::null()),
        Value::Bool(truth) => Part::Scalar(Scalar::boolean(*truth)),
        Value::Int(number) => Part::Scalar(Scalar::integer(*number)),
        Value::Float(number) => Part::Scalar(Scalar::float(number.0)),
        Value::Date(text) => Part::Scalar(Scalar::date(text, None)),
        Value::Bytes(bytes) => Part::Scalar(Scalar::bytes(bytes)),
        Value::String(text) => Part::Scalar(Scalar::text(text)),
        Value::List(items) => Part::List(None, items.iter().map(part_of_value).collect()),
        Value::Map(entries) => Part::Map(
            None,
            sorted(
                entries
                    .iter()
                    .map(|(key, value)| (Scalar::text(key), part_of_value(value)))
                    .collect(),
            ),
        ),
    }
}

// The recursion is bounded, because the depth of a document is.
fn part_of_view(view: View<'_>) -> Part<'_> {
    let identity = Some(view.id().index());
    match view.kind() {
        Kind::List => Part::List(identity, view.items().map(part_of_view).collect()),
        Kind::Map => {
            let (merged, own): (Vec<_>, Vec<_>) = view.entries().partition(|entry| entry.merged);
            let entries = merged.into_iter().chain(own);
            let pairs =
                entries.map(|entry| (scalar_of_view(entry.key.view()), part_of_view(entry.value)));
            Part::Map(identity, sorted(pairs.collect()))
        }
        _ => Part::Scalar(scalar_of_view(view)),
    }
}

fn scalar_of_view(view: View<'_>) -> Scalar<'_> {
    match view.kind() {
        Kind::Bool(truth) => Scalar::boolean(truth),
        Kind::Int(number) => Scalar::integer(number),
        Kind::Float(number) => Scalar::float(number),
        Kind::Date(text) => Scalar::date(text, Some(view.id().index())),
        Kind::Bytes(bytes) => Scalar::bytes(bytes),
        Kind::String(text) => Scalar::text(text),
        Kind::Null | Kind::Invalid | Kind::List | Kind::Map => Scalar::null(),
    }
}

/// Sorts entries by their keys, unless Python could not compare them: then
/// their order stays.
fn sorted<'a>(mut entries: Vec<(Scalar<'a>, Part<'a>)>) -> Vec<(Scalar<'a>, Part<'a>)> {
    let family = |kind: ScalarKind| match kind {
        ScalarKind::Bool | ScalarKind::Int | ScalarKind::Float => ScalarKind::Int,
        other => other,
    };
    let mut families = entries.iter().map(|(key, _)| family(key.kind));
    let Some(first) = families.next() else {
        return entries;
    };
    if first == ScalarKind::Null || families.any(|other| other != first) {
        return entries;
    }
    entries.sort_by(|(one, _), (two, _)| compare(one, two));
    entries
}

fn compare(one: &Scalar<'_>, two: &Scalar<'_>) -> Ordering {
    let number = |scalar: &Scalar<'_>| match scalar.kind {
        ScalarKind::Bool => f64::from(u8::from(scalar.text == "true")),
        _ => scalar.text.parse().unwrap_or(f64::MAX),
    };
    match one.kind {
        ScalarKind::Bool | ScalarKind::Int | ScalarKind::Float => {
            number(one).total_cmp(&number(two))
        }
        _ => one.text.cmp(&two.text),
    }
}

impl<'a> Scalar<'a> {
    fn new(kind: ScalarKind, text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            kind,
            text: text.into(),
            identity: None,
        }
    }

    fn null() -> Self {
        Self::new(ScalarKind::Null, "null")
    }

    fn boolean(truth: bool) -> Self {
        Self::new(ScalarKind::Bool, if truth { "true" } else { "false" })
    }

    fn integer(number: i128) -> Self {
        Self::new(ScalarKind::Int, number.to_string())
    }

    fn float(number: f64) -> Self {
        let text = if number.is_nan() {
            ".nan".to_owned()
        } else if number.is_infinite() {
            if number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        } else {
            zenekar_template::python_str(&Value::Float(Float(number)))
        };
        Self::new(ScalarKind::Float, text)
    }

    fn date(text: &'a str, identity: Option<usize>) -> Self {
        Self {
            identity,
            ..Self::new(ScalarKind::Date, timestamp::iso_format(text))
        }
    }

    fn bytes(bytes: &[u8]) -> Self {
        let lines = bytes.chunks(BINARY_LINE_BYTES).map(|line| {
            let mut text = base64::engine::general_purpose::STANDARD.encode(line);
            text.push('\n');
            text
        });
        Self::new(ScalarKind::Bytes, lines.collect::<String>())
    }

    fn text(text: &'a str) -> Self {
        Self::new(ScalarKind::Text, text)
    }

    /// Returns the form in which it is written.
    fn style(&self) -> Style {
        match self.kind {
            // `=` would be read as the default value of a mapping.
            ScalarKind::Text => {
                let stays_text =
                    reads_as_text(&self.text) && self.text != "=" && !is_near_number(&self.text);
                style_of(&self.text, stays_text)
            }
            _ => Style::Plain,
        }
    }

    /// Says whether it can stand before a `:` on the same line.
    fn is_simple_key(&self) -> bool {
        let tag = match self.kind {
            ScalarKind::Text | ScalarKind::Int => 5,
            ScalarKind::Null | ScalarKind::Bool => 6,
            ScalarKind::Float => 7,
            ScalarKind::Bytes => 8,
            ScalarKind::Date => 11,
        };
        let is_one_line = !self.text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
        is_one_line && self.text.chars().count() + tag < SIMPLE_KEY_CHARS_END
    }
}

/// Says whether the original takes a text for a number that is none: a sign or
/// a base before nothing but underscores.
fn is_near_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.starts_with('_') && unsigned.len() == text.len() {
        return false;
    }
    let digits = unsigned.strip_prefix("0b");
    let digits = digits.or_else(|| unsigned.strip_prefix("0o"));
    let digits = digits.or_else(|| unsigned.strip_prefix("0x"));
    let digits = digits.or_else(|| unsigned.strip_prefix('.'));
    let digits = digits.unwrap_or(unsigned);
    !digits.is_empty() && digits.bytes().all(|byte| byte == b'_')
}

/// Finds what stands at several places, and numbers it in the order in which
/// its second place is met.
fn anchors_of(part: &Part<'_>) -> BTreeMap<usize, usize> {
    fn visit(part: &Part<'_>, seen: &mut BTreeMap<usize, Option<usize>>, last: &mut usize) {
        let identity = match part {
            Part::Scalar(scalar) => scalar.identity,
            Part::List(identity, _) | Part::Map(identity, _) => *identity,
        };
        if let Some(identity) = identity {
            if let Some(number) = seen.get_mut(&identity) {
                number.get_or_insert_with(|| {
                    *last += 1;
                    *last
                });
                return;
            }
            seen.insert(identity, None);
        }
        match part {
            Part::Scalar(_) => {}
            Part::List(_, items) => items.iter().for_each(|item| visit(item, seen, last)),
            Part::Map(_, entries) => {
                for (_, value) in entries {
                    visit(value, seen, last);
                }
            }
        }
    }
    let (mut seen, mut last) = (BTreeMap::new(), 0);
    visit(part, &mut seen, &mut last);
    seen.into_iter()
        .filter_map(|(identity, number)| Some((identity, number?)))
        .collect()
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    /// A value of a mapping.
    Member,
    /// A key before its `:` on the same line.
    SimpleKey,
}

struct Emitter {
    writer: Writer,
    anchors: BTreeMap<usize, usize>,
    written: BTreeSet<usize>,
}

impl Emitter {
    fn node(&mut self, part: &Part<'_>, context: Context) {
        match part {
            Part::Scalar(scalar) => self.scalar(scalar, context),
            Part::List(identity, items) => {
                if self.is_alias(*identity) {
                    return;
                }
                let _is_named = self.name(*identity);
                if items.is_empty() {
                    self.writer.empty("[]");
                } else {
                    self.list(items, context);
                }
            }
            Part::Map(identity, entries) => {
                if self.is_alias(*identity) {
                    return;
                }
                let _is_named = self.name(*identity);
                if entries.is_empty() {
                    self.writer.empty("{}");
                } else {
                    self.map(entries);
                }
            }
        }
    }

    /// Writes the name of what was written before; says whether it did.
    fn is_alias(&mut self, identity: Option<usize>) -> bool {
        let number = identity.and_then(|identity| {
            let number = self.anchors.get(&identity)?;
            self.written.contains(&identity).then_some(*number)
        });
        if let Some(number) = number {
            self.writer.indicator(&format!("*id{number:03}"), true);
        }
        number.is_some()
    }

    /// Gives what stands at several places its name; says whether it did.
    fn name(&mut self, identity: Option<usize>) -> bool {
        let Some((identity, number)) =
            identity.and_then(|identity| Some((identity, *self.anchors.get(&identity)?)))
        else {
            return false;
        };
        self.written.insert(identity);
        self.writer.indicator(&format!("&id{number:03}"), true);
        true
    }

    fn list(&mut self, items: &[Part<'_>], context: Context) {
        // Lists stand under their key without indentation.
        let is_indentless = context == Context::Member && !self.writer.is_at_indention();
        let outer = self.writer.increase_indent(is_indentless);
        for item in items {
            self.writer.indent();
            self.writer.dash("-");
            self.node(item, Context::Item);
        }
        self.writer.restore_indent(outer);
    }

    fn map(&mut self, entries: &[(Scalar<'_>, Part<'_>)]) {
        let outer = self.writer.increase_indent(false);
        for (key, value) in entries {
            self.writer.indent();
            if key.is_simple_key() {
                self.scalar(key, Context::SimpleKey);
                self.writer.indicator(":", false);
            } else {
                self.writer.dash("?");
                self.scalar(key, Context::Member);
                self.writer.indent();
                self.writer.dash(":");
            }
            self.node(value, Context::Member);
        }
        self.writer.restore_indent(outer);
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, context: Context) {
        if self.is_alias(scalar.identity) {
            return;
        }
        let is_named = self.name(scalar.identity);
        let is_binary = scalar.kind == ScalarKind::Bytes;
        if is_binary {
            self.writer.indicator("!!binary", true);
        }
        let outer = self.writer.increase_scalar_indent();
        if context == Context::Item && !is_named && !is_binary {
            self.writer.indent();
        }
        let may_split = context != Context::SimpleKey;
        match scalar.style() {
            _ if is_binary => self.writer.literal(&scalar.text),
            Style::Plain => self.writer.plain(&scalar.text, may_split),
            Style::Single => self.writer.single(&scalar.text, may_split),
            Style::Double => self.writer.double(&scalar.text, may_split),
        }
        self.writer.restore_indent(outer);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zenekar_base::Float;
    use zenekar_diagnostics::SourceMap;
    use zenekar_document::{Limits, load_text};

    use super::*;

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::Map(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    }

    /// Compares as readers of the text do: keys in any order.
    fn sorted(value: Value) -> Value {
        match value {
            Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
            Value::Map(mut entries) => {
                entries.sort_by(|one, two| one.0.cmp(&two.0));
                Value::Map(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key, sorted(value)))
                        .collect(),
                )
            }
            other => other,
        }
    }

    fn read_back(text: &str) -> Value {
        let mut sources = SourceMap::new();
        let loaded = load_text("emitted", text, &Limits::default(), &mut sources);
        assert!(
            loaded.diagnostics.is_empty(),
            "{text}\n{:?}",
            loaded.diagnostics
        );
        sorted(
            loaded
                .document
                .root()
                .map(View::to_value)
                .unwrap_or_default(),
        )
    }

    #[test]
    fn the_layout_is_that_of_the_original_emitter() {
        let inner = Value::List(vec![
            map(&[("b", true.into()), ("a", 1.into())]),
            Value::List(vec!["x".into(), "y".into()]),
        ]);
        let value = map(&[
            ("write_files", inner),
            ("packages", Value::List(vec![])),
            ("mode", "0644".into()),
            ("text", "it's\n".into()),
            ("nested", map(&[("k", Value::Null)])),
        ]);
        insta::assert_snapshot!(emit(&value), @r#"
        mode: '0644'
        nested:
          k: null
        packages: []
        text: "it's\n"
        write_files:
        - a: 1
          b: true
        - - x
          - y
        "#);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[ -~]{0,12}",
            "[a-z: #'\"\\\\{}\n-]{0,10}",
            any::<String>(),
            Just("0644".to_owned()),
            Just("~".to_owned())
        ]
        .prop_filter("YAML has no way to write it in a stream", |text| {
            !text.contains('\u{feff}')
        });
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            (-1e20..1e20f64).prop_map(|number| Value::Float(Float(number))),
            text.clone().prop_map(Value::String),
            Just(Value::Date("2001-01-01".to_owned())),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map("[a-z #:'-]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::Map(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(value in any_value()) {
            prop_assert_eq!(read_back(&emit(&value)), sorted(value));
        }
    }
}
