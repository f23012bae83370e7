//! Writes data as YAML in block style with sorted keys.

use std::fmt::Write as _;

use zenekar_base::Value;

use super::style::{Style, style_of};

/// Keys longer than this are written in the explicit form `? key`, because
/// YAML readers only look so far ahead for the `:` of a simple one.
const SIMPLE_KEY_CHARS_MAX: usize = 128;

/// Returns the text of a value, without a line end behind it.
pub(crate) fn emit(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0, Place::Start);
    while out.ends_with('\n') {
        out.pop();
    }
    out
}

/// Where the writer stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    Start,
    /// Behind `- `.
    Item,
    /// Behind `key:`.
    Member,
}

fn write_value(out: &mut String, value: &Value, indent: usize, place: Place) {
    match value {
        Value::List(items) if !items.is_empty() => {
            if place == Place::Member {
                out.push('\n');
            }
            for (position, item) in items.iter().enumerate() {
                if position > 0 || place != Place::Item {
                    push_indent(out, indent);
                }
                out.push_str("- ");
                write_value(out, item, indent + 2, Place::Item);
            }
        }
        Value::Map(entries) if !entries.is_empty() => {
            if place == Place::Member {
                out.push('\n');
            }
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|one, two| one.0.cmp(&two.0));
            for (position, (key, member)) in sorted.into_iter().enumerate() {
                if position > 0 || place != Place::Item {
                    push_indent(out, indent);
                }
                write_key(out, key, indent);
                // Lists stand under their key without indentation.
                let deeper = if matches!(member, Value::List(_)) {
                    indent
                } else {
                    indent + 2
                };
                write_value(out, member, deeper, Place::Member);
            }
        }
        _ => {
            if place == Place::Member {
                out.push(' ');
            }
            write_scalar(out, value);
            out.push('\n');
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn write_key(out: &mut String, key: &str, indent: usize) {
    if key.chars().count() <= SIMPLE_KEY_CHARS_MAX && !key.contains('\n') {
        write_text(out, key);
        out.push(':');
    } else {
        out.push_str("? ");
        write_text(out, key);
        out.push('\n');
        push_indent(out, indent);
        out.push(':');
    }
}

fn write_scalar(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => {
            let _infallible = write!(out, "{number}");
        }
        Value::Float(number) => out.push_str(&float_text(number.0)),
        Value::Date(text) => out.push_str(text),
        Value::Bytes(bytes) => {
            let _infallible = write!(out, "!!binary \"{}\"", base64(bytes));
        }
        Value::String(text) => write_text(out, text),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = zenekar_template::python_str(&Value::Float(zenekar_base::Float(number)));
    // Older readers take a number with an exponent for text unless it has a point.
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        _ => text,
    }
}

fn write_text(out: &mut String, text: &str) {
    match style_of(text, zenekar_document::reads_as_text(text)) {
        Style::Plain => out.push_str(text),
        Style::Single => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        Style::Double => write_double(out, text),
    }
}

fn write_double(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        let short = match letter {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '\0' => Some("\\0"),
            '\u{7}' => Some("\\a"),
            '\u{8}' => Some("\\b"),
            '\t' => Some("\\t"),
            '\n' => Some("\\n"),
            '\u{b}' => Some("\\v"),
            '\u{c}' => Some("\\f"),
            '\r' => Some("\\r"),
            '\u{1b}' => Some("\\e"),
            '\u{85}' => Some("\\N"),
            '\u{a0}' => Some("\\_"),
            '\u{2028}' => Some("\\L"),
            '\u{2029}' => Some("\\P"),
            _ => None,
        };
        let code = u32::from(letter);
        let _infallible = match short {
            Some(escape) => out.write_str(escape),
            None if (' '..='~').contains(&letter) => out.write_char(letter),
            None if code <= 0xff => write!(out, "\\x{code:02X}"),
            None if code <= 0xffff => write!(out, "\\u{code:04X}"),
            None => write!(out, "\\U{code:08X}"),
        };
    }
    out.push('"');
}

/// Encodes bytes as RFC 4648 says.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4u32 {
            let letter = LETTERS[(group >> (18 - 6 * position) & 63) as usize];
            out.push(if position as usize <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
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
                .map(zenekar_document::View::to_value)
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

    #[test]
    fn bytes_are_encoded() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
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
