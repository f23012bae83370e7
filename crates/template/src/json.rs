//! The filter `tojson`.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, Value};

use crate::error::mismatch;
use crate::print::{engine_str, float_repr};
use crate::value::{BytesObject, DateObject};

/// The deepest value that becomes JSON.
const JSON_DEPTH_MAX: usize = 128;
/// The widest indentation of JSON.
const JSON_INDENT_MAX: usize = 16;

/// Writes JSON as Python does for Jinja2: sorted keys, ASCII only, safe inside HTML.
pub(crate) fn tojson(
    value: &Value,
    indent: Option<usize>,
    options: Kwargs,
) -> Result<Value, Error> {
    let indent = indent
        .or(options.get("indent")?)
        .map(|indent| indent.min(JSON_INDENT_MAX));
    options.assert_all_used()?;
    let mut out = String::new();
    write_json(&mut out, value, indent, 0)?;
    Ok(Value::from_safe_string(out))
}

fn write_json(
    out: &mut String,
    value: &Value,
    indent: Option<usize>,
    depth: usize,
) -> Result<(), Error> {
    if depth > JSON_DEPTH_MAX {
        return Err(mismatch(format!(
            "`tojson` was given a value nested deeper than {JSON_DEPTH_MAX} levels"
        )));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => {
            let text = float_repr(f64::try_from(value.clone())?);
            out.push_str(match text.as_str() {
                "nan" => "NaN",
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                other => other,
            });
        }
        ValueKind::String => push_json_string(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
            write_json_items(out, ['[', ']'], indent, depth, &items, |out, item| {
                write_json(out, item, indent, depth + 1)
            })?;
        }
        ValueKind::Map => {
            let pairs = value
                .as_object()
                .and_then(minijinja::value::DynObject::try_iter_pairs)
                .into_iter()
                .flatten();
            let mut pairs: Vec<_> = pairs
                .map(|(key, value)| (engine_str(&key), value))
                .collect();
            pairs.sort_by(|one, two| one.0.cmp(&two.0));
            write_json_items(
                out,
                ['{', '}'],
                indent,
                depth,
                &pairs,
                |out, (key, item)| {
                    push_json_string(out, key);
                    out.push_str(": ");
                    write_json(out, item, indent, depth + 1)
                },
            )?;
        }
        _ => {
            let what = if value.is_undefined() {
                "an undefined value"
            } else if value.downcast_object_ref::<BytesObject>().is_some() {
                "bytes"
            } else if value.downcast_object_ref::<DateObject>().is_some() {
                "a date"
            } else {
                "what is not data"
            };
            return Err(mismatch(format!("`tojson` cannot write {what}")));
        }
    }
    Ok(())
}

fn write_json_items<T>(
    out: &mut String,
    [open, close]: [char; 2],
    indent: Option<usize>,
    depth: usize,
    items: &[T],
    mut each: impl FnMut(&mut String, &T) -> Result<(), Error>,
) -> Result<(), Error> {
    let new_line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent.filter(|_| !items.is_empty()) {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        new_line(out, depth + 1);
        each(out, item)?;
    }
    new_line(out, depth);
    out.push(close);
    Ok(())
}

fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' if !matches!(character, '<' | '>' | '&' | '\'') => out.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail");
                }
            }
        }
    }
    out.push('"');
}
