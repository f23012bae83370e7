//! Python's `str.format`: replacement fields with names, indexes and format specifications.

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};

use crate::error::mismatch;
use crate::methods::charge;
use crate::print::{engine_repr, engine_str, float_repr};

/// The widest field.
const WIDTH_MAX: usize = 1 << 16;
/// The most digits after the point.
const PRECISION_MAX: usize = 512;

/// Fills the fields of `text`.
pub(crate) fn format(
    state: &State<'_, '_>,
    text: &str,
    positional: &[Value],
    named: &Kwargs,
) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut next = 0;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest
            .find('}')
            .filter(|_| brace == "{")
            .ok_or_else(|| mismatch("`format` was given a text with a single brace"))?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        // A field prints at most what it costs, so that many fields run out of fuel.
        let piece = fill(field, positional, named, &mut next)?;
        charge(state, 64 + piece.len())?;
        out.push_str(&piece);
    }
    out.push_str(rest);
    Ok(out)
}

fn fill(
    field: &str,
    positional: &[Value],
    named: &Kwargs,
    next: &mut usize,
) -> Result<String, Error> {
    let (name, specification) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
    let head_end = name.find(['.', '[']).unwrap_or(name.len());
    let (head, path) = name.split_at(head_end);
    let missing = || {
        mismatch(format!(
            "`format` has no argument for the field `{{{field}}}`"
        ))
    };
    let mut value = if head.is_empty() {
        *next += 1;
        positional.get(*next - 1).cloned().ok_or_else(missing)?
    } else if let Ok(index) = head.parse::<usize>() {
        positional.get(index).cloned().ok_or_else(missing)?
    } else {
        if !named.has(head) {
            return Err(missing());
        }
        named.get::<Value>(head)?
    };
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let part = part.trim_end_matches(']');
        let key = part
            .parse::<i64>()
            .map_or_else(|_| Value::from(part), Value::from);
        value = value.get_item(&key)?;
    }
    match conversion {
        "" => apply(&value, specification),
        "r" | "a" => apply(&Value::from(engine_repr(&value)), specification),
        "s" => apply(&Value::from(engine_str(&value)), specification),
        _ => Err(mismatch(format!(
            "`format` does not know the conversion `!{conversion}`"
        ))),
    }
}

/// A format specification: `[[fill]align][sign][#][0][width][,][.precision][type]`.
struct Specification {
    fill: char,
    align: Option<char>,
    sign: char,
    width: usize,
    grouped: bool,
    precision: Option<usize>,
    kind: char,
}

impl Specification {
    fn parse(text: &str) -> Option<Self> {
        let mut characters: Vec<char> = text.chars().collect();
        characters.reverse();
        let mut found = Self {
            fill: ' ',
            align: None,
            sign: '-',
            width: 0,
            grouped: false,
            precision: None,
            kind: ' ',
        };
        let is_align = |character: char| matches!(character, '<' | '>' | '^' | '=');
        let length = characters.len();
        if length > 1 && is_align(characters[length - 2]) {
            found.fill = characters.pop()?;
            found.align = characters.pop();
        } else if characters.last().copied().is_some_and(is_align) {
            found.align = characters.pop();
        }
        if let Some(sign) = characters.pop_if(|character| matches!(character, '+' | '-' | ' ')) {
            found.sign = sign;
        }
        if characters.pop_if(|character| *character == '0').is_some() && found.align.is_none() {
            found.fill = '0';
            found.align = Some('=');
        }
        found.width = digits(&mut characters).unwrap_or(0);
        found.grouped = characters.pop_if(|character| *character == ',').is_some();
        if characters.pop_if(|character| *character == '.').is_some() {
            found.precision = Some(digits(&mut characters)?);
        }
        found.kind = characters.pop().unwrap_or(' ');
        (characters.is_empty()
            && found.width <= WIDTH_MAX
            && found.precision.unwrap_or(0) <= PRECISION_MAX)
            .then_some(found)
    }
}

fn digits(characters: &mut Vec<char>) -> Option<usize> {
    let mut text = String::new();
    while let Some(digit) = characters.pop_if(|character| character.is_ascii_digit()) {
        text.push(digit);
    }
    text.parse().ok()
}

fn apply(value: &Value, specification: &str) -> Result<String, Error> {
    if specification.is_empty() {
        return Ok(engine_str(value));
    }
    let refuse = || {
        mismatch(format!(
            "`format` cannot print {} as `{specification}`",
            engine_repr(value)
        ))
    };
    let parsed = Specification::parse(specification).ok_or_else(refuse)?;
    let (negative, body) = body(value, &parsed).ok_or_else(refuse)?;
    let sign = match (negative, parsed.sign) {
        (true, _) => "-",
        (false, '+') => "+",
        (false, ' ') => " ",
        _ => "",
    };
    let missing = parsed
        .width
        .saturating_sub(body.chars().count() + sign.len());
    let many = |count: usize| std::iter::repeat_n(parsed.fill, count).collect::<String>();
    let default = if value.is_number() { '>' } else { '<' };
    Ok(match parsed.align.unwrap_or(default) {
        '<' => format!("{sign}{body}{}", many(missing)),
        '^' => format!(
            "{}{sign}{body}{}",
            many(missing / 2),
            many(missing - missing / 2)
        ),
        '=' => format!("{sign}{}{body}", many(missing)),
        _ => format!("{}{sign}{body}", many(missing)),
    })
}

/// Returns whether the value is negative, and its text without a sign.
fn body(value: &Value, wanted: &Specification) -> Option<(bool, String)> {
    let integer = if value.is_integer() {
        i128::try_from(value.clone()).ok()
    } else {
        None
    };
    match (wanted.kind, integer) {
        (' ' | 'd' | 'n', Some(number)) if wanted.precision.is_none() => {
            let text = number.unsigned_abs().to_string();
            Some((number < 0, if wanted.grouped { group(&text) } else { text }))
        }
        ('x', Some(number)) => Some((number < 0, format!("{:x}", number.unsigned_abs()))),
        ('X', Some(number)) => Some((number < 0, format!("{:X}", number.unsigned_abs()))),
        ('o', Some(number)) => Some((number < 0, format!("{:o}", number.unsigned_abs()))),
        ('b', Some(number)) => Some((number < 0, format!("{:b}", number.unsigned_abs()))),
        ('f' | 'F', _) if value.is_number() => {
            let number = f64::try_from(value.clone()).ok()?;
            let text = format!("{:.*}", wanted.precision.unwrap_or(6), number.abs());
            Some((
                number < 0.0,
                if wanted.grouped { group(&text) } else { text },
            ))
        }
        ('e' | 'E', _) if value.is_number() => {
            let number = f64::try_from(value.clone()).ok()?;
            let text = format!("{:.*e}", wanted.precision.unwrap_or(6), number.abs());
            let (mantissa, exponent) = text.split_once('e')?;
            let (sign, digits) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |digits| ('-', digits));
            Some((
                number < 0.0,
                format!("{mantissa}{}{sign}{digits:0>2}", wanted.kind),
            ))
        }
        ('%', _) if value.is_number() => {
            let number = f64::try_from(value.clone()).ok()?;
            Some((
                number < 0.0,
                format!(
                    "{:.*}%",
                    wanted.precision.unwrap_or(6),
                    number.abs() * 100.0
                ),
            ))
        }
        (' ', None) if value.is_number() && wanted.precision.is_none() => {
            let number = f64::try_from(value.clone()).ok()?;
            Some((number < 0.0, float_repr(number.abs())))
        }
        (' ' | 's', None) if value.as_str().is_some() => {
            let text = value.as_str()?;
            Some((
                false,
                wanted.precision.map_or_else(
                    || text.to_owned(),
                    |limit| text.chars().take(limit).collect(),
                ),
            ))
        }
        _ => None,
    }
}

/// Puts a comma before every third digit of the whole part.
fn group(text: &str) -> String {
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}
