//! The types of plain scalars, by the rules of YAML 1.2 as Occopus' reader applies them.
//!
//! They differ from the core schema of the specification in details that
//! descriptors rely on: underscores in numbers, decimal numbers with leading
//! zeros, binary numbers, and dates.

use zenekar_base::{Float, Value};

/// What a plain scalar is. Text and dates keep the text as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Date,
    Text,
}

/// Returns the type and value of a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else {
        return Scalar::Null;
    };
    match first {
        b'~' | b'n' | b'N' if is_null(text) => Scalar::Null,
        b't' | b'T' | b'f' | b'F' => boolean(text).map_or(Scalar::Text, Scalar::Bool),
        b'0'..=b'9' | b'+' | b'-' | b'.' => number_or_date(text),
        _ => Scalar::Text,
    }
}

/// Says whether a text, written without quotes, reads as this text and not as
/// a number, a truth value, null, a date or a merge key.
pub fn reads_as_text(text: &str) -> bool {
    text != "<<" && resolve(text) == Scalar::Text
}

/// Returns what a text reads as if it is written without quotes.
pub fn plain_value(text: &str) -> Value {
    match resolve(text) {
        Scalar::Null => Value::Null,
        Scalar::Bool(truth) => Value::Bool(truth),
        Scalar::Int(number) => Value::Int(number),
        Scalar::Float(number) => Value::Float(Float(number)),
        Scalar::Date => Value::Date(text.to_owned()),
        Scalar::Text => Value::String(text.to_owned()),
    }
}

pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Returns the truth value that a word has for people (and had in YAML 1.1)
/// but that is a string here, for use in hints: `yes`, `no`, `on`, `off`.
pub fn boolean_word(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("yes")
        || text.eq_ignore_ascii_case("on")
        || text.eq_ignore_ascii_case("y")
    {
        Some(true)
    } else if text.eq_ignore_ascii_case("no")
        || text.eq_ignore_ascii_case("off")
        || text.eq_ignore_ascii_case("n")
    {
        Some(false)
    } else {
        None
    }
}

fn number_or_date(text: &str) -> Scalar {
    if let Some(number) = integer(text) {
        return Scalar::Int(number);
    }
    if let Some(number) = float(text) {
        return Scalar::Float(number);
    }
    if is_date(text) {
        Scalar::Date
    } else {
        Scalar::Text
    }
}

/// Splits an optional sign off.
fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = signed(text);
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'x', ..] => (16, &digits[2..]),
        _ => (10, digits),
    };
    // An underscore alone is no number, and neither is one in front.
    if radix == 10 && !digits.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let mut value: i128 = 0;
    let mut any = false;
    for byte in digits.bytes() {
        if byte == b'_' {
            continue;
        }
        let digit = char::from(byte).to_digit(radix)?;
        any = true;
        // Numbers beyond 128 bits stay text rather than become wrong numbers.
        value = value
            .checked_mul(i128::from(radix))?
            .checked_add(i128::from(digit))?;
    }
    any.then_some(if negative { -value } else { value })
}

pub(crate) fn float(text: &str) -> Option<f64> {
    let (negative, rest) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        _ if matches!(text, ".nan" | ".NaN" | ".NAN") => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if let Some(exponent) = exponent {
        let digits = signed(exponent).1;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // ruamel.yaml wants the exponent's sign where nothing is before the point.
        if mantissa.starts_with('.') && digits.len() == exponent.len() {
            return None;
        }
    }
    let (whole, fraction) = match mantissa.find('.') {
        Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
        None => (mantissa, None),
    };
    let digits_or_underscores = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let whole_fits = whole
        .bytes()
        .next()
        .is_none_or(|byte| byte.is_ascii_digit())
        && digits_or_underscores(whole);
    let fraction_fits = fraction.is_none_or(digits_or_underscores);
    let some_digit = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    let marked_as_float = fraction.is_some() || exponent.is_some();
    if !(whole_fits && fraction_fits && some_digit && marked_as_float) {
        return None;
    }
    let plain: String = rest.chars().filter(|character| *character != '_').collect();
    plain.parse::<f64>().ok().map(|number| sign * number)
}

/// Recognises `2001-01-01` and time stamps that start like it.
pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let Some((month, rest)) = digits(&text[5..], 2) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix('-') else {
        return false;
    };
    let Some((day, rest)) = digits(rest, 2) else {
        return false;
    };
    let calendar = (1..=12).contains(&month) && (1..=31).contains(&day);
    if rest.is_empty() {
        return calendar && bytes.len() == 10;
    }
    calendar && is_time(rest)
}

/// Recognises the time of day of a time stamp, with its separator in front.
fn is_time(text: &str) -> bool {
    let separated = text.strip_prefix(['T', 't']).or_else(|| {
        text.starts_with([' ', '\t'])
            .then(|| text.trim_start_matches([' ', '\t']))
    });
    let Some((hour, rest)) = separated.and_then(|rest| digits(rest, 2)) else {
        return false;
    };
    let Some((minute, rest)) = rest.strip_prefix(':').and_then(|rest| digits(rest, 2)) else {
        return false;
    };
    let Some((second, rest)) = rest.strip_prefix(':').and_then(|rest| digits(rest, 2)) else {
        return false;
    };
    if hour > 23 || minute > 59 || second > 60 {
        return false;
    }
    let rest = rest.strip_prefix('.').map_or(rest, |fraction| {
        fraction.trim_start_matches(|character: char| character.is_ascii_digit())
    });
    let zone = rest.trim_start_matches([' ', '\t']);
    if matches!(zone, "" | "Z") {
        return zone == "Z" || rest.is_empty();
    }
    let Some((_, rest)) = zone
        .strip_prefix(['+', '-'])
        .and_then(|zone| digits(zone, 2))
    else {
        return false;
    };
    rest.is_empty()
        || rest
            .strip_prefix(':')
            .and_then(|rest| digits(rest, 2))
            .is_some_and(|(_, rest)| rest.is_empty())
}

/// Reads one to `most` digits.
fn digits(text: &str, most: usize) -> Option<(u32, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let number = text[..count].parse().ok()?;
    Some((number, &text[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_table_of_the_descriptor_format_holds() {
        for text in [
            "yes", "no", "on", "off", "NO", "1:30", "-", ".", "_1", "1e", "tRue", "nil", "0x",
            "0b2", "+", "1.2.3", "12e3x",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
        for (text, number) in [
            ("0644", 644),
            ("0o644", 420),
            ("0x1F", 31),
            ("1_000", 1000),
            ("-7", -7),
            ("+7", 7),
            ("0b101", 5),
            ("-0x1f", -31),
        ] {
            assert_eq!(resolve(text), Scalar::Int(number), "{text}");
        }
        for (text, number) in [
            ("1e3", 1000.0),
            ("1.10", 1.1),
            (".5", 0.5),
            ("-1.", -1.0),
            ("1_0.5", 10.5),
            ("-.inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(resolve(text), Scalar::Float(number), "{text}");
        }
        for text in ["~", "null", "Null", "NULL", ""] {
            assert_eq!(resolve(text), Scalar::Null, "{text}");
        }
        for (text, truth) in [
            ("true", true),
            ("True", true),
            ("TRUE", true),
            ("false", false),
        ] {
            assert_eq!(resolve(text), Scalar::Bool(truth), "{text}");
        }
        for text in [
            "2001-01-01",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43.10 -5",
            "2001-1-1T1:00:00Z",
        ] {
            assert_eq!(resolve(text), Scalar::Date, "{text}");
        }
        for text in [
            "2001-13-01",
            "2001-1-1",
            "2001-01-01x",
            "2001-01-01 25:00:00",
            "20010101-",
            "é2001-01-01",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
    }

    #[test]
    fn huge_numbers_stay_text() {
        assert_eq!(resolve(&"9".repeat(60)), Scalar::Text);
    }

    #[test]
    fn words_that_look_like_truth_values_are_known() {
        assert_eq!(boolean_word("Yes"), Some(true));
        assert_eq!(boolean_word("off"), Some(false));
        assert_eq!(boolean_word("maybe"), None);
    }
}
