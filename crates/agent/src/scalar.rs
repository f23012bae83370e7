//! The types of unquoted scalars by the rules of YAML 1.1, which cloud-init's reader follows.
//!
//! `0644` is a number in octal, `yes` is a truth value, `1:30` is ninety. The
//! descriptors of infrastructures follow YAML 1.2; user-data does not.

use zenekar_base::{Float, Value};

/// Returns what an unquoted scalar is.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Float(Float(f64::NAN)),
        _ => {}
    }
    if let Some(number) = whole(text) {
        return Value::Int(number);
    }
    if let Some(number) = fraction(text) {
        return Value::Float(Float(number));
    }
    if is_date(text) {
        return Value::Date(text.to_owned());
    }
    Value::String(text.to_owned())
}

fn sign_of(text: &str) -> (i128, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

fn consists_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|byte| allowed(byte) || byte == b'_')
}

fn whole(text: &str) -> Option<i128> {
    let (sign, rest) = sign_of(text);
    let (digits, radix) = if let Some(digits) = rest.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = rest.strip_prefix("0x") {
        (digits, 16)
    } else if rest == "0" {
        return Some(0);
    } else if let Some(digits) = rest.strip_prefix('0') {
        (digits, 8)
    } else if rest.starts_with(|first: char| first.is_ascii_digit()) {
        if rest.contains(':') {
            return base_sixty(rest).map(|number| sign * number);
        }
        (rest, 10)
    } else {
        return None;
    };
    let of_radix = |byte: u8| char::from(byte).is_digit(radix);
    if !consists_of(digits, of_radix) {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() && radix == 8 {
        return Some(0);
    }
    i128::from_str_radix(&digits, radix)
        .ok()
        .map(|number| sign * number)
}

/// Reads `190:20:30`: the first number starts with 1 to 9, the others are below 60.
fn base_sixty(text: &str) -> Option<i128> {
    let mut groups = text.split(':');
    let first = groups.next()?;
    if first.starts_with('0') || !consists_of(first, |byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut number: i128 = first.replace('_', "").parse().ok()?;
    for group in groups {
        number = number
            .checked_mul(60)?
            .checked_add(i128::from(below_sixty(group)?))?;
    }
    Some(number)
}

fn below_sixty(group: &str) -> Option<u8> {
    let digits = matches!(group.len(), 1 | 2) && group.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| group.parse().ok())?
        .filter(|number| *number < 60)
}

fn fraction(text: &str) -> Option<f64> {
    let (sign, rest) = sign_of(text);
    let sign = if sign < 0 { -1.0 } else { 1.0 };
    if matches!(rest, ".inf" | ".Inf" | ".INF") {
        return Some(sign * f64::INFINITY);
    }
    let (before, after) = rest.split_once('.')?;
    if before.contains(':') {
        return sexagesimal_fraction(before, after).map(|number| sign * number);
    }
    let (digits, exponent) = match after.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent)),
        None => (after, None),
    };
    if let Some(exponent) = exponent {
        // An exponent needs its sign here, other than in YAML 1.2.
        let signed = exponent.strip_prefix(['+', '-'])?;
        if signed.is_empty() || !signed.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let of_digits = |part: &str| consists_of(part, |byte| byte.is_ascii_digit());
    let plausible = if before.is_empty() {
        // Without a digit before the point, no sign is allowed and a digit must follow.
        text.starts_with('.') && of_digits(digits) && !digits.starts_with('_')
    } else {
        of_digits(before) && !before.starts_with('_') && (digits.is_empty() || of_digits(digits))
    };
    if !plausible {
        return None;
    }
    let plain = rest.replace('_', "");
    let plain = if plain.starts_with('.') {
        format!("0{plain}")
    } else {
        plain
    };
    plain.parse::<f64>().ok().map(|number| sign * number)
}

fn sexagesimal_fraction(before: &str, after: &str) -> Option<f64> {
    if !after
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return None;
    }
    let mut groups = before.split(':');
    let first = groups.next()?;
    if first.starts_with('_') || !consists_of(first, |byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut number: f64 = first.replace('_', "").parse().ok()?;
    for group in groups {
        number = number * 60.0 + f64::from(below_sixty(group)?);
    }
    let part: f64 = format!("0.{}", after.replace('_', ""))
        .parse()
        .unwrap_or(0.0);
    Some(number + part)
}

/// Recognises `2001-01-31` and time stamps, which only need to keep their text.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    if bytes.len() == 10 {
        return digits(0..4)
            && bytes[4] == b'-'
            && digits(5..7)
            && bytes[7] == b'-'
            && digits(8..10);
    }
    let Some((day, time)) = text.split_once(['T', 't', ' ', '\t']) else {
        return false;
    };
    let day: Vec<&str> = day.split('-').collect();
    let [year, month, date] = day.as_slice() else {
        return false;
    };
    let short =
        |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
    let time = time.trim_start();
    year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && short(month)
        && short(date)
        && time.len() >= 7
        && time.bytes().filter(|byte| *byte == b':').count() >= 2
        && time
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b":.+- \tZ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_yaml_1_1_reads_them() {
        for (text, number) in [
            ("0644", 0o644),
            ("0", 0),
            ("-012", -10),
            ("0x1F", 31),
            ("0b101", 5),
            ("1_000", 1000),
            ("1:30", 90),
            ("190:20:30", 685_230),
            ("+7", 7),
        ] {
            assert_eq!(resolve(text), Value::Int(number), "{text}");
        }
        for text in [
            "0o644", "0999", "1:70", "01:30", "1e3", "-", "0x", "_1", "1.2.3",
        ] {
            assert_eq!(resolve(text), Value::String(text.to_owned()), "{text}");
        }
        for (text, number) in [
            ("1.5", 1.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("1.0e+3", 1000.0),
            ("-.inf", f64::NEG_INFINITY),
            ("20:30.15", 1230.15),
        ] {
            assert_eq!(resolve(text), Value::Float(Float(number)), "{text}");
        }
        assert_eq!(resolve("1.0e3"), Value::String("1.0e3".to_owned()));
    }

    #[test]
    fn words_are_truth_values() {
        for word in ["yes", "On", "TRUE"] {
            assert_eq!(resolve(word), Value::Bool(true), "{word}");
        }
        for word in ["no", "Off", "FALSE"] {
            assert_eq!(resolve(word), Value::Bool(false), "{word}");
        }
        for word in ["y", "n", "yEs", "none"] {
            assert_eq!(resolve(word), Value::String(word.to_owned()), "{word}");
        }
    }

    #[test]
    fn dates_keep_their_text() {
        for text in [
            "2001-01-31",
            "2001-1-1T1:00:00Z",
            "2001-12-14 21:59:43.10 -5",
        ] {
            assert_eq!(resolve(text), Value::Date(text.to_owned()), "{text}");
        }
        assert_eq!(resolve("2001-1-1"), Value::String("2001-1-1".to_owned()));
    }

    /// Prints what Python's reader of YAML makes of each line, in the form of [`printed`].
    const PYTHON: &str = r#"
import sys, yaml, datetime
for line in sys.stdin.read().split("\n"):
    try:
        value = yaml.safe_load("[" + line + "]")[0] if line else None
    except Exception:
        print("error")
        continue
    if isinstance(value, (datetime.date, datetime.datetime)):
        print("date")
    elif isinstance(value, float):
        print("float")
    else:
        print(type(value).__name__, value)
"#;

    fn printed(text: &str) -> String {
        match resolve(text) {
            Value::Null => "NoneType None".to_owned(),
            Value::Bool(truth) => format!("bool {}", if truth { "True" } else { "False" }),
            Value::Int(number) => format!("int {number}"),
            Value::Float(_) => "float".to_owned(),
            Value::Date(_) => "date".to_owned(),
            _ => format!("str {text}"),
        }
    }

    #[test]
    fn scalars_are_what_python_says() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut random = zenekar_base::Random::from_seed(7);
        let pieces = [
            "0",
            "1",
            "7",
            "8",
            "12",
            "59",
            "60",
            "2001",
            "_",
            ".",
            ":",
            "-",
            "+",
            "e",
            "E",
            "0x",
            "0b",
            "0o",
            "a",
            "F",
            "T",
            "Z",
            "yes",
            "no",
            "on",
            "Off",
            "TRUE",
            "null",
            "~",
            ".inf",
            ".NaN",
            "2001-12-14",
            "01",
        ];
        let texts: Vec<String> = (0..20_000)
            .map(|_| {
                let count = 1 + random.below(5);
                (0..count)
                    .map(|_| pieces[usize::try_from(random.below(pieces.len() as u64)).unwrap()])
                    .collect()
            })
            .collect();
        let python = Command::new("/usr/bin/python3")
            .args(["-c", PYTHON])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut python) = python else { return };
        let input = texts.join("\n");
        let mut pipe = python.stdin.take().unwrap();
        let writer = std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        let output = python.wait_with_output().unwrap();
        writer.join().unwrap();
        if !output.status.success() {
            return;
        }
        let answers = String::from_utf8(output.stdout).unwrap();
        let mut compared = 0;
        for (text, answer) in texts.iter().zip(answers.lines()) {
            // What is no scalar in a list, and days that do not exist, are mistakes elsewhere.
            if answer == "error" || answer.starts_with("dict") {
                continue;
            }
            compared += 1;
            let answer = answer
                .split(' ')
                .next()
                .filter(|kind| *kind == "float")
                .unwrap_or(answer);
            assert_eq!(printed(text), answer, "{text}");
        }
        assert!(compared > 10_000, "{compared}");
    }
}
