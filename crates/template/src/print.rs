//! Prints values the way Python does: `str()` and `repr()`.

use std::fmt::Write;

use minijinja::value::{Object, ObjectExt, ValueKind};
use zenekar_base::Value;

use crate::value::{BoundMethod, BytesObject, DateObject};

/// Returns what Python's `str()` gives for a value.
pub fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Date(text) => {
            crate::date::Date::parse(text).map_or_else(|| text.clone(), |date| date.to_string())
        }
        other => python_repr(other),
    }
}

/// Returns what Python's `repr()` gives for a value.
pub fn python_repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(truth) => out.push_str(bool_text(*truth)),
        Value::Int(number) => {
            write!(out, "{number}").expect("writing to a string cannot fail");
        }
        Value::Float(number) => out.push_str(&float_repr(number.0)),
        Value::String(text) => push_quoted(out, text),
        Value::Date(text) => match crate::date::Date::parse(text) {
            Some(date) => out.push_str(&date.repr()),
            None => push_quoted(out, text),
        },
        Value::Bytes(bytes) => push_bytes(out, bytes),
        Value::List(items) => {
            push_separated(out, '[', ']', items.iter(), write_repr);
        }
        Value::Map(entries) => {
            push_separated(out, '{', '}', entries.iter(), |out, (key, value)| {
                push_quoted(out, key);
                out.push_str(": ");
                write_repr(out, value);
            });
        }
    }
}

fn push_separated<T>(
    out: &mut String,
    open: char,
    close: char,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        each(out, item);
    }
    out.push(close);
}

pub(crate) fn bool_text(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// Decimal exponents from here on are written with an `e`, as Python does.
const FLOAT_EXPONENT_MAX: i32 = 16;
/// Decimal exponents below this are written with an `e`, as Python does.
const FLOAT_EXPONENT_MIN: i32 = -4;

/// Returns Python's `repr()` of a floating-point number: the shortest digits that read back.
pub(crate) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (FLOAT_EXPONENT_MIN..FLOAT_EXPONENT_MAX).contains(&exponent) {
        let mut plain = format!("{number}");
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        plain
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// Appends a text in Python's quotes: single ones, unless it holds only those.
pub(crate) fn push_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character == quote => {
                out.push('\\');
                out.push(character);
            }
            character if is_printable(character) => out.push(character),
            character => {
                let code = u32::from(character);
                let result = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                result.expect("writing to a string cannot fail");
            }
        }
    }
    out.push(quote);
}

/// Says whether Python prints the character as itself. The standard library's
/// table for `escape_debug` is made from the same Unicode categories; a letter
/// goes first, because it also escapes a combining mark that stands alone.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return (' '..='~').contains(&character);
    }
    let mut pair = String::with_capacity(5);
    pair.push('a');
    pair.push(character);
    pair.escape_debug().nth(1) == Some(character)
}

/// Appends bytes as Python's `b'…'`.
pub(crate) fn push_bytes(out: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        b'"'
    } else {
        b'\''
    };
    out.push('b');
    out.push(char::from(quote));
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if *byte == quote => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => write!(out, "\\x{byte:02x}").expect("writing to a string cannot fail"),
        }
    }
    out.push(char::from(quote));
}

/// How deep printing follows containers; what lies deeper prints as `...`, as
/// Python prints a list within itself. Keeps the machine's stack bounded.
const PRINT_DEPTH_MAX: usize = 300;

/// Returns what `{{ value }}` prints.
pub(crate) fn engine_str(value: &minijinja::Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if value.is_undefined() {
        return String::new();
    }
    if let Some(date) = value.downcast_object_ref::<DateObject>() {
        return date.0.to_string();
    }
    engine_repr(value)
}

/// Returns Python's `repr()` of a value inside a template.
pub(crate) fn engine_repr(value: &minijinja::Value) -> String {
    let mut out = String::new();
    write_engine_repr(&mut out, value, 0);
    out
}

pub(crate) fn write_engine_repr(out: &mut String, value: &minijinja::Value, depth: usize) {
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(bool_text(value.is_true())),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(number) if !value.is_integer() => out.push_str(&float_repr(number)),
            _ => out.push_str(&value.to_string()),
        },
        ValueKind::String => push_quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Bytes => push_bytes(out, value.as_bytes().unwrap_or_default()),
        _ if depth >= PRINT_DEPTH_MAX => out.push_str("..."),
        ValueKind::Seq | ValueKind::Iterable => write_sequence(out, value, depth),
        ValueKind::Map => write_mapping(out, value, depth),
        _ => write_object(out, value),
    }
}

fn write_sequence(out: &mut String, value: &minijinja::Value, depth: usize) {
    // Something that does not know its length may not end: it is not walked.
    let Some(length) = value.len() else {
        out.push_str("<generator object>");
        return;
    };
    let Ok(items) = value.try_iter() else { return };
    let (open, close) = if value.is_tuple() {
        ('(', ')')
    } else {
        ('[', ']')
    };
    push_separated(out, open, close, items, |out, item| {
        write_engine_repr(out, &item, depth + 1);
    });
    if value.is_tuple() && length == 1 {
        out.pop();
        out.push_str(",)");
    }
}

fn write_mapping(out: &mut String, value: &minijinja::Value, depth: usize) {
    let Some(pairs) = value
        .as_object()
        .and_then(minijinja::value::DynObject::try_iter_pairs)
    else {
        out.push_str("{}");
        return;
    };
    push_separated(out, '{', '}', pairs, |out, (key, value)| {
        write_engine_repr(out, &key, depth + 1);
        out.push_str(": ");
        write_engine_repr(out, &value, depth + 1);
    });
}

fn write_object(out: &mut String, value: &minijinja::Value) {
    if let Some(bytes) = value.downcast_object_ref::<BytesObject>() {
        push_bytes(out, &bytes.0);
    } else if let Some(date) = value.downcast_object_ref::<DateObject>() {
        out.push_str(&date.0.repr());
    } else if let Some(method) = value.downcast_object_ref::<BoundMethod>() {
        out.push_str(&method.to_string());
    } else {
        out.push_str(&value.to_string());
    }
}

/// Prints an object of this crate through [`engine_repr`]'s rules.
pub(crate) fn render_object<T>(
    object: &std::sync::Arc<T>,
    formatter: &mut std::fmt::Formatter<'_>,
) -> std::fmt::Result
where
    T: Object + ObjectExt + 'static,
{
    let mut out = String::new();
    let value = minijinja::Value::from_dyn_object(object.clone());
    write_engine_repr(&mut out, &value, 0);
    formatter.write_str(&out)
}
