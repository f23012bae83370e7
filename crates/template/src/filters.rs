//! Filters that Jinja2 has and the template library lacks, or that print differently there.

use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, State, Value};

use crate::error::mismatch;
use crate::json;
use crate::methods::charge;
use crate::print::{engine_repr, engine_str};
use crate::scan::BOUNDED_FILTER;
use crate::value::BytesObject;

/// Adds the filters to an environment.
pub(crate) fn install(environment: &mut Environment<'static>) {
    environment.add_filter(BOUNDED_FILTER, bounded);
    environment.add_filter("b64decode", b64decode);
    environment.add_filter("b64encode", b64encode);
    environment.add_filter("center", center);
    environment.add_filter("d", default);
    environment.add_filter("default", default);
    environment.add_filter("e", escape);
    environment.add_filter("escape", escape);
    environment.add_filter("forceescape", escape);
    environment.add_filter("float", float);
    environment.add_filter("indent", indent);
    environment.add_filter("int", int);
    environment.add_filter("join", join);
    environment.add_filter("pprint", |value: &Value| engine_repr(value));
    environment.add_filter("string", |value: &Value| engine_str(value));
    environment.add_filter("striptags", striptags);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("truncate", truncate);
    environment.add_filter("urlencode", urlencode);
    environment.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::String | ValueKind::Seq | ValueKind::Map
        )
    });
    environment.add_filter("wordcount", |text: &Value| {
        engine_str(text).split_whitespace().count()
    });
}

/// How deep a value may be nested that a `set` tag assigns. Dropping or printing
/// a value takes the machine's stack, some hundred bytes for each level.
const VALUE_DEPTH_MAX: usize = 256;

/// Lets a value pass that is not nested too deep, and turns lazy sequences into lists.
///
/// Without it, `{% set x = [x] %}` over and over, or `{% set n.x = n.x|reverse %}`
/// in a loop, would build values that overflow the stack when they are dropped.
pub(crate) fn bounded(
    state: &State<'_, '_>,
    value: Value,
    member: Option<bool>,
) -> Result<Value, Error> {
    let value = if value.kind() == ValueKind::Iterable {
        let mut items = Vec::new();
        for item in value.try_iter()?.checked() {
            charge(state, 64)?;
            items.push(item?);
        }
        Value::from(items)
    } else {
        value
    };
    if value.as_object().is_some() {
        measure(state, &value, 0, member.unwrap_or(false))?;
    }
    Ok(value)
}

fn measure(state: &State<'_, '_>, value: &Value, depth: usize, member: bool) -> Result<(), Error> {
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    if depth > VALUE_DEPTH_MAX {
        return Err(mismatch(format!(
            "the value is nested deeper than {VALUE_DEPTH_MAX} levels"
        )));
    }
    // The type is private to the library, which is the only one to change such objects.
    if (member || depth > 0) && object.type_name().ends_with("Namespace") {
        return Err(mismatch("a namespace cannot be part of another value"));
    }
    charge(state, 16)?;
    match value.kind() {
        ValueKind::Map => {
            for (_, item) in object.try_iter_pairs().into_iter().flatten() {
                measure(state, &item, depth + 1, member)?;
            }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()?.checked() {
                charge(state, 16)?;
                measure(state, &item?, depth + 1, member)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn join(
    state: &mut State<'_, '_>,
    items: &Value,
    separator: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let separator = match separator {
        Some(separator) => Some(separator),
        None => options.get::<Option<Value>>("d")?,
    };
    let separator = separator
        .map(|separator| engine_str(&separator))
        .unwrap_or_default();
    let attribute: Option<Value> = options.get("attribute")?;
    options.assert_all_used()?;
    if items.is_undefined() {
        return Ok(Value::from(""));
    }
    let items = match attribute {
        Some(attribute) => {
            let attribute = Kwargs::from_iter([("attribute", attribute)]);
            state.apply_filter("map", &[items.clone(), Value::from(attribute)])?
        }
        None => items.clone(),
    };
    let mut out = String::new();
    for (index, item) in items.try_iter()?.checked().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        let text = engine_str(&item?);
        charge(state, 32 + separator.len() + text.len())?;
        out.push_str(&text);
    }
    Ok(Value::from(out))
}

fn default(
    value: Value,
    fallback: Option<Value>,
    boolean: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let fallback = match fallback {
        Some(fallback) => Some(fallback),
        None => options.get("default_value")?,
    };
    let boolean = boolean.or(options.get("boolean")?).unwrap_or(false);
    options.assert_all_used()?;
    let missing = value.is_undefined() || (boolean && !value.is_true());
    Ok(if missing {
        fallback.unwrap_or_else(|| Value::from(""))
    } else {
        value
    })
}

/// Reads a whole number; what is none becomes the default, as in Jinja2.
fn int(
    value: &Value,
    fallback: Option<Value>,
    base: Option<u32>,
    options: Kwargs,
) -> Result<Value, Error> {
    let fallback = match fallback {
        Some(fallback) => Some(fallback),
        None => options.get("default")?,
    };
    let base = base.or(options.get("base")?).unwrap_or(10);
    options.assert_all_used()?;
    let number = match value.as_str() {
        Some(text) => whole_number(text, base).or_else(|| truncated(text.trim().parse().ok()?)),
        None if value.is_integer() || value.kind() == ValueKind::Bool => {
            return Ok(Value::from(i128::try_from(value.clone())?));
        }
        None if value.is_number() => truncated(f64::try_from(value.clone())?),
        None => None,
    };
    Ok(number
        .map(Value::from)
        .or(fallback)
        .unwrap_or_else(|| Value::from(0)))
}

fn whole_number(text: &str, base: u32) -> Option<i128> {
    let text = text.trim().replace('_', "");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let prefixes: &[&str] = match base {
        2 => &["0b", "0B"],
        8 => &["0o", "0O"],
        16 => &["0x", "0X"],
        _ => &[],
    };
    let digits = prefixes
        .iter()
        .find_map(|prefix| digits.strip_prefix(prefix))
        .unwrap_or(digits);
    if !(2..=36).contains(&base) || digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    Some(if negative { -number } else { number })
}

/// The largest number that is surely whole within both types.
const TRUNCATED_MAX: f64 = 1e38;

#[expect(
    clippy::cast_possible_truncation,
    reason = "the bound keeps the number within the type"
)]
fn truncated(number: f64) -> Option<i128> {
    (number.abs() < TRUNCATED_MAX).then_some(number.trunc() as i128)
}

/// Reads a number; what is none becomes the default, as in Jinja2.
fn float(value: &Value, fallback: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let fallback = match fallback {
        Some(fallback) => Some(fallback),
        None => options.get("default")?,
    };
    options.assert_all_used()?;
    let number = match value.as_str() {
        Some(text) => text.trim().replace('_', "").parse().ok(),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok(),
    };
    Ok(number
        .map(Value::from)
        .or(fallback)
        .unwrap_or_else(|| Value::from(0.0)))
}

/// Indents all lines but the first by a number of spaces or by a text.
fn indent(
    state: &State<'_, '_>,
    value: &Value,
    arguments: Rest<ValueOrKwargs>,
) -> Result<String, Error> {
    let arguments = arguments.into_values();
    let (width, first, blank, named): (Option<Value>, Option<bool>, Option<bool>, Kwargs) =
        from_args(&arguments)?;
    let width = match width {
        Some(width) => Some(width),
        None => named.get("width")?,
    };
    let first = first.or(named.get("first")?).unwrap_or(false);
    let blank = blank.or(named.get("blank")?).unwrap_or(false);
    named.assert_all_used()?;
    let padding = match width {
        None => " ".repeat(4),
        Some(width) => match width.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(width)?.min(WIDTH_MAX)),
        },
    };
    let text = engine_str(value);
    charge(
        state,
        text.matches('\n').count().saturating_mul(padding.len()),
    )?;
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if if index == 0 {
            first
        } else {
            blank || !line.is_empty()
        } {
            out.push_str(&padding);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Encodes a text for a path, or a mapping or list of pairs for a query.
fn urlencode(value: &Value) -> Result<String, Error> {
    let pairs: Vec<(Value, Value)> = match value.kind() {
        ValueKind::Map => value
            .as_object()
            .and_then(minijinja::value::DynObject::try_iter_pairs)
            .into_iter()
            .flatten()
            .collect(),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()?
            .map(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)))
            .collect::<Result<_, Error>>()?,
        _ => return Ok(percent_encode(&engine_str(value), false)),
    };
    let encode = |value: &Value| percent_encode(&engine_str(value), true);
    Ok(pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect::<Vec<_>>()
        .join("&"))
}

fn percent_encode(text: &str, query: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            byte => write!(out, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    out
}

fn escape(value: &Value) -> Value {
    let text = engine_str(value);
    if value.is_safe() {
        return value.clone();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    Value::from_safe_string(out)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes text or bytes; like Python, it gives back the type that it got.
fn b64encode(value: &Value) -> Value {
    let bytes = value.downcast_object_ref::<BytesObject>();
    let text = engine_str(value);
    let input = bytes.map_or(text.as_bytes(), |bytes| bytes.0.as_slice());
    let mut out = String::with_capacity(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            let index = (group >> (18 - 6 * position)) & 63;
            out.push(if position > chunk.len() {
                '='
            } else {
                char::from(BASE64[index as usize])
            });
        }
    }
    if bytes.is_some() {
        Value::from_object(BytesObject(out.into_bytes()))
    } else {
        Value::from(out)
    }
}

/// Decodes text to text where the result is UTF-8, and to bytes otherwise.
fn b64decode(value: &Value) -> Result<Value, Error> {
    let bytes = value.downcast_object_ref::<BytesObject>();
    let text = engine_str(value);
    let input = bytes.map_or(text.as_bytes(), |bytes| bytes.0.as_slice());
    let refuse = || mismatch("`b64decode` was given what is not base64");
    let mut digits: Vec<u32> = Vec::with_capacity(input.len());
    for byte in input
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=')
    {
        let digit = BASE64
            .iter()
            .position(|known| known == byte)
            .ok_or_else(refuse)?;
        digits.push(u32::try_from(digit).map_err(|_| refuse())?);
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        if group.len() == 1 {
            return Err(refuse());
        }
        let joined = group.iter().enumerate().fold(0, |joined, (index, digit)| {
            joined | digit << (18 - 6 * index)
        });
        let decoded = joined.to_be_bytes();
        out.extend_from_slice(&decoded[1..group.len()]);
    }
    Ok(match String::from_utf8(out) {
        Ok(text) if bytes.is_none() => Value::from(text),
        Ok(text) => Value::from_object(BytesObject(text.into_bytes())),
        Err(error) => Value::from_object(BytesObject(error.into_bytes())),
    })
}

/// The widest line that `center` makes.
const WIDTH_MAX: usize = 1 << 16;

fn center(value: &Value, width: Option<usize>) -> Result<String, Error> {
    let (text, width) = (engine_str(value), width.unwrap_or(80));
    if width > WIDTH_MAX {
        return Err(mismatch(format!(
            "`center` is limited to {WIDTH_MAX} characters"
        )));
    }
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(format!(
        "{}{text}{}",
        " ".repeat(left),
        " ".repeat(missing - left)
    ))
}

fn striptags(value: &Value) -> String {
    let text = engine_str(value);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find('<') {
        let Some(length) = rest[start..].find('>') else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shortens a text at a word's end, unless it is only a little too long.
fn truncate(value: &Value, arguments: Rest<ValueOrKwargs>) -> Result<String, Error> {
    type Positional<'a> = (
        Option<usize>,
        Option<bool>,
        Option<&'a str>,
        Option<usize>,
        Kwargs,
    );
    let arguments = arguments.into_values();
    let (length, kill_words, end, leeway, named): Positional<'_> = from_args(&arguments)?;
    let length = length.or(named.get("length")?).unwrap_or(255);
    let kill_words = kill_words.or(named.get("killwords")?).unwrap_or(false);
    let end = end.or(named.get("end")?).unwrap_or("...");
    let leeway = leeway.or(named.get("leeway")?).unwrap_or(5);
    named.assert_all_used()?;
    let text = engine_str(value);
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| mismatch("`truncate` needs a length above that of its end"))?;
    let cut: String = text.chars().take(kept).collect();
    let cut = if kill_words {
        cut.as_str()
    } else {
        cut.rsplit_once(' ')
            .map_or(cut.as_str(), |(before, _)| before)
    };
    Ok(format!("{cut}{end}"))
}
