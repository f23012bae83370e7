//! Python's methods of strings, bytes, mappings and lists.

use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use crate::error::mismatch;
use crate::print::engine_str;
use crate::python_format;
use crate::value::BytesObject;

/// The methods of mappings, which win over members of the same name.
pub(crate) const DICT_METHODS: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

/// Methods that change what they are called on; values in templates do not change.
const CHANGING_METHODS: &[&str] = &[
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
];

/// Calls the method `name` of `receiver`.
pub(crate) fn call(
    state: &mut State<'_, '_>,
    receiver: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = receiver.as_str() {
        return string_method(state, text, name, arguments);
    }
    if let Some(bytes) = receiver.downcast_object_ref::<BytesObject>() {
        return bytes_method(bytes, name, arguments);
    }
    let changes = CHANGING_METHODS.contains(&name);
    match receiver.kind() {
        ValueKind::Map if changes => Err(changing("mapping", name)),
        ValueKind::Map => dict_method(receiver, name, arguments),
        ValueKind::Seq | ValueKind::Iterable if changes => Err(changing("list", name)),
        ValueKind::Seq | ValueKind::Iterable => list_method(receiver, name, arguments),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn changing(what: &str, name: &str) -> Error {
    mismatch(format!(
        "`{name}` would change a {what}, which templates cannot: build a new one with `+` or a filter"
    ))
}

fn dict_method(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let pairs = || {
        receiver
            .as_object()
            .and_then(minijinja::value::DynObject::try_iter_pairs)
            .into_iter()
            .flatten()
    };
    match name {
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(arguments)?;
            let found = receiver
                .as_object()
                .and_then(|object| object.get_value(&key));
            Ok(found.or(default).unwrap_or_else(|| Value::from(())))
        }
        "items" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from(
                pairs()
                    .map(|(key, value)| Value::from((key, value)))
                    .collect::<Vec<_>>(),
            ))
        }
        "keys" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from(pairs().map(|(key, _)| key).collect::<Vec<_>>()))
        }
        "values" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from(
                pairs().map(|(_, value)| value).collect::<Vec<_>>(),
            ))
        }
        "copy" => {
            let (): () = from_args(arguments)?;
            Ok(receiver.clone())
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn list_method(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    match name {
        "copy" => {
            let (): () = from_args(arguments)?;
            Ok(receiver.clone())
        }
        "count" => {
            let (needle,): (Value,) = from_args(arguments)?;
            Ok(Value::from(
                receiver.try_iter()?.filter(|item| *item == needle).count(),
            ))
        }
        "index" => {
            let (needle,): (Value,) = from_args(arguments)?;
            let place = receiver.try_iter()?.position(|item| item == needle);
            place.map(Value::from).ok_or_else(|| {
                mismatch(format!(
                    "{} is not in the list",
                    crate::print::engine_repr(&needle)
                ))
            })
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn bytes_method(bytes: &BytesObject, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    match name {
        "decode" => {
            let (_, _): (Option<Value>, Kwargs) = from_args(arguments)?;
            let text = String::from_utf8(bytes.0.clone())
                .map_err(|_| mismatch("the bytes are not UTF-8"))?;
            Ok(Value::from(text))
        }
        "hex" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from(
                bytes
                    .0
                    .iter()
                    .flat_map(|byte| [byte >> 4, byte & 15])
                    .filter_map(|digit| char::from_digit(u32::from(digit), 16))
                    .collect::<String>(),
            ))
        }
        "strip" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from_object(BytesObject(
                bytes.0.trim_ascii().to_vec(),
            )))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// The longest text that padding and repeating methods make.
const PADDED_CHARACTERS_MAX: i64 = 1 << 20;

fn string_method(
    state: &mut State<'_, '_>,
    text: &str,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    match name {
        "capitalize" | "casefold" | "lower" | "swapcase" | "title" | "upper" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from(change_case(text, name)))
        }
        "strip" | "lstrip" | "rstrip" => {
            let (characters,): (Option<Value>,) = from_args(arguments)?;
            Ok(Value::from(strip(
                text,
                name,
                characters.as_ref().and_then(Value::as_str),
            )))
        }
        "split" | "rsplit" => {
            // Each piece takes a slot of the list; in the worst case there is one for each byte.
            charge(state, text.len().saturating_mul(SLOT_BYTES))?;
            split(text, name == "rsplit", arguments)
        }
        "splitlines" => {
            let (): () = from_args(arguments)?;
            Ok(Value::from(
                text.lines().map(Value::from).collect::<Vec<_>>(),
            ))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let cut = if name == "partition" {
                text.split_once(separator)
            } else {
                text.rsplit_once(separator)
            };
            Ok(match cut {
                Some((before, after)) => Value::from((before, separator, after)),
                None if name == "partition" => Value::from((text, "", "")),
                None => Value::from(("", "", text)),
            })
        }
        "join" => {
            let (items,): (Value,) = from_args(arguments)?;
            join(state, text, &items)
        }
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(arguments)?;
            let count = count
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(usize::MAX);
            let places = if old.is_empty() {
                text.len() + 1
            } else {
                text.matches(old).count()
            };
            charge(state, places.min(count).saturating_mul(new.len()))?;
            Ok(Value::from(text.replacen(old, new, count)))
        }
        "startswith" | "endswith" => {
            let (affix,): (Value,) = from_args(arguments)?;
            affix_test(text, name == "startswith", &affix)
        }
        "removeprefix" | "removesuffix" => {
            let (affix,): (&str,) = from_args(arguments)?;
            let rest = if name == "removeprefix" {
                text.strip_prefix(affix)
            } else {
                text.strip_suffix(affix)
            };
            Ok(Value::from(rest.unwrap_or(text)))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, name, arguments),
        "format" => {
            let (positional, named): (Rest<Value>, Kwargs) = from_args(arguments)?;
            python_format::format(state, text, &positional, &named).map(Value::from)
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(text, name, arguments),
        "encode" => {
            let (_,): (Option<Value>,) = from_args(arguments)?;
            Ok(Value::from_object(BytesObject(text.as_bytes().to_vec())))
        }
        _ if name.starts_with("is") => {
            let (): () = from_args(arguments)?;
            character_test(text, name).map(Value::from)
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn change_case(text: &str, name: &str) -> String {
    match name {
        "upper" => text.to_uppercase(),
        "lower" | "casefold" => text.to_lowercase(),
        "swapcase" => text
            .chars()
            .flat_map(|c| {
                if c.is_uppercase() {
                    c.to_lowercase().collect::<Vec<_>>()
                } else {
                    c.to_uppercase().collect()
                }
            })
            .collect(),
        "capitalize" => {
            let mut characters = text.chars();
            let first = characters.next().into_iter().flat_map(char::to_uppercase);
            first
                .chain(characters.as_str().to_lowercase().chars())
                .collect()
        }
        _ => {
            let mut inside = false;
            let mut out = String::with_capacity(text.len());
            for character in text.chars() {
                if inside {
                    out.extend(character.to_lowercase());
                } else {
                    out.extend(character.to_uppercase());
                }
                inside = character.is_alphabetic();
            }
            out
        }
    }
}

fn strip(text: &str, name: &str, characters: Option<&str>) -> String {
    let drop = |character: char| {
        characters.map_or(character.is_whitespace(), |set| set.contains(character))
    };
    match name {
        "lstrip" => text.trim_start_matches(drop),
        "rstrip" => text.trim_end_matches(drop),
        _ => text.trim_matches(drop),
    }
    .to_owned()
}

fn split(text: &str, from_the_right: bool, arguments: &[Value]) -> Result<Value, Error> {
    let (separator, limit, named): (Option<Value>, Option<i64>, Kwargs) = from_args(arguments)?;
    let separator = match separator {
        Some(separator) => Some(separator),
        None => named.get::<Option<Value>>("sep")?,
    };
    let limit = match limit {
        Some(limit) => Some(limit),
        None => named.get::<Option<i64>>("maxsplit")?,
    };
    named.assert_all_used()?;
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let pieces: Vec<&str> = match separator.as_ref().filter(|separator| !separator.is_none()) {
        Some(separator) => {
            let separator = separator
                .as_str()
                .filter(|text| !text.is_empty())
                .ok_or_else(|| mismatch("`split` needs a separator that is not empty"))?;
            if from_the_right {
                let mut pieces: Vec<_> = text.rsplitn(limit.saturating_add(1), separator).collect();
                pieces.reverse();
                pieces
            } else {
                text.splitn(limit.saturating_add(1), separator).collect()
            }
        }
        None => split_words(text, from_the_right, limit),
    };
    Ok(Value::from(
        pieces.into_iter().map(Value::from).collect::<Vec<_>>(),
    ))
}

/// Splits at runs of white space, at most `limit` times.
fn split_words(text: &str, from_the_right: bool, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let cut = if from_the_right {
            rest.rfind(char::is_whitespace)
        } else {
            rest.find(char::is_whitespace)
        };
        let Some(cut) = cut.filter(|_| pieces.len() < limit) else {
            break;
        };
        if from_the_right {
            pieces.push(rest[cut..].trim_start());
            rest = rest[..cut].trim_end();
        } else {
            pieces.push(&rest[..cut]);
            rest = rest[cut..].trim_start();
        }
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    if from_the_right {
        pieces.reverse();
    }
    pieces
}

/// What one item of a list counts as in bytes.
const SLOT_BYTES: usize = 32;

/// Pays for data before it is made, so that nothing larger than the fuel allows comes to be.
pub(crate) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(bytes / 64).unwrap_or(u64::MAX))
}

fn join(state: &State<'_, '_>, separator: &str, items: &Value) -> Result<Value, Error> {
    let mut out = String::new();
    for (index, item) in items.try_iter()?.checked().enumerate() {
        let item = item?;
        let text = item.as_str().ok_or_else(|| {
            mismatch(format!(
                "`join` takes strings, but item {index} is {}; the filter `join` takes anything",
                engine_str(&item)
            ))
        })?;
        charge(state, SLOT_BYTES + separator.len() + text.len())?;
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(text);
    }
    Ok(Value::from(out))
}

fn affix_test(text: &str, start: bool, affix: &Value) -> Result<Value, Error> {
    let test = |affix: &str| {
        if start {
            text.starts_with(affix)
        } else {
            text.ends_with(affix)
        }
    };
    if let Some(affix) = affix.as_str() {
        return Ok(Value::from(test(affix)));
    }
    let mut found = false;
    for one in affix.try_iter()? {
        found |= one.as_str().is_some_and(test);
    }
    Ok(Value::from(found))
}

/// Looks for a text between two places, which are counted in characters.
fn search(text: &str, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (needle, start, end): (&str, Option<i64>, Option<i64>) = from_args(arguments)?;
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let place = |number: i64| {
        let number = if number < 0 {
            number.saturating_add(length)
        } else {
            number
        };
        usize::try_from(number.clamp(0, length)).unwrap_or(0)
    };
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(length)));
    let within: String = text
        .chars()
        .skip(start)
        .take(end.saturating_sub(start))
        .collect();
    let found = match name {
        "count" if needle.is_empty() => return Ok(Value::from(within.chars().count() + 1)),
        "count" => return Ok(Value::from(within.matches(needle).count())),
        "rfind" | "rindex" => within.rfind(needle),
        _ => within.find(needle),
    };
    match found {
        Some(at) => Ok(Value::from(start + within[..at].chars().count())),
        None if name.ends_with("index") => {
            Err(mismatch("the text does not hold what `index` looks for"))
        }
        None => Ok(Value::from(-1)),
    }
}

fn pad(text: &str, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (width, fill): (i64, Option<&str>) = from_args(arguments)?;
    if width > PADDED_CHARACTERS_MAX {
        return Err(mismatch(format!(
            "`{name}` is limited to {PADDED_CHARACTERS_MAX} characters"
        )));
    }
    let fill = fill
        .and_then(|fill| fill.chars().next())
        .unwrap_or(if name == "zfill" { '0' } else { ' ' });
    let length = text.chars().count();
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(length);
    let many = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(Value::from(match name {
        "ljust" => format!("{text}{}", many(missing)),
        "rjust" => format!("{}{text}", many(missing)),
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            format!("{sign}{}{digits}", many(missing))
        }
        _ => {
            // Python puts the odd one to the left if the width is odd.
            let left = missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1);
            format!("{}{text}{}", many(left), many(missing - left))
        }
    }))
}

fn character_test(text: &str, name: &str) -> Result<bool, Error> {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    Ok(match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" | "isnumeric" => all(char::is_numeric),
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isspace" => all(char::is_whitespace),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}
