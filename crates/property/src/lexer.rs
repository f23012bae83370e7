//! Formulas as words, numbers, texts and signs.

use zenekar_diagnostics::codes::property as codes;

use crate::limits::{TEXT_BYTES_MAX, TOKENS_MAX, WITHIN_MS_MAX};
use crate::mistake::Mistake;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name or a word of the language.
    Word(String),
    Integer(i64),
    Decimal(f64),
    /// A text in quotes.
    Text(String),
    /// A span of time in milliseconds.
    Duration(u32),
    Sign(&'static str),
}

impl Token {
    /// Names the token in messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Integer(number) => format!("`{number}`"),
            Self::Decimal(number) => format!("`{number}`"),
            Self::Text(_) => "a text in quotes".to_owned(),
            Self::Duration(_) => "a span of time".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

/// A token and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Lexeme {
    pub(crate) const fn range(&self) -> (usize, usize) {
        (self.start, self.end)
    }
}

/// Longer signs first, because the first that fits is taken.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-",
];

/// The units of time, longer words first.
const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Splits a text into tokens.
pub(crate) fn split(text: &str) -> Result<Vec<Lexeme>, Mistake> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the formula is longer than {TEXT_BYTES_MAX} bytes");
        return Err(Mistake::new(&codes::TOO_LARGE, (0, text.len()), message));
    }
    let mut lexemes = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if lexemes.len() == TOKENS_MAX {
            let message = format!("the formula has more than {TOKENS_MAX} words and signs");
            return Err(Mistake::new(&codes::TOO_LARGE, (at, text.len()), message));
        }
        let (token, end) = next(text, at, first)?;
        lexemes.push(Lexeme {
            token,
            start: at,
            end,
        });
        at = end;
    }
    Ok(lexemes)
}

fn next(text: &str, at: usize, first: char) -> Result<(Token, usize), Mistake> {
    let rest = &text[at..];
    if first.is_alphabetic() || first == '_' {
        let end = at + length(rest, is_part_of_name);
        return Ok((Token::Word(text[at..end].to_owned()), end));
    }
    if first.is_ascii_digit() {
        return number(text, at);
    }
    if first == '"' || first == '\'' {
        return quoted(text, at, first);
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), at + sign.len()));
    }
    let range = (at, at + first.len_utf8());
    let mistake = Mistake::syntax(range, format!("unexpected `{first}`"));
    Err(match first {
        '&' => mistake.help("write `and`"),
        '|' => mistake.help("write `or`"),
        '!' => mistake.help("write `not`"),
        '[' | '{' => mistake.help("brackets are round: `(` and `)`"),
        _ => mistake,
    })
}

/// Names of nodes have dashes and dots inside, so that a minus needs a blank before it.
fn is_part_of_name(character: char) -> bool {
    character.is_alphanumeric() || "_-.".contains(character)
}

fn length(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is_part(character))
        .unwrap_or(text.len())
}

fn number(text: &str, at: usize) -> Result<(Token, usize), Mistake> {
    let end = at
        + length(&text[at..], |character| {
            character.is_alphanumeric() || character == '.'
        });
    let written = &text[at..end];
    let token = if written.bytes().all(|byte| byte.is_ascii_digit()) {
        written.parse().ok().map(Token::Integer)
    } else if written
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        written.parse().ok().map(Token::Decimal)
    } else {
        duration(written).map(Token::Duration)
    };
    match token {
        Some(token) => Ok((token, end)),
        None => Err(Mistake::syntax(
            (at, end),
            format!("`{written}` is neither a number nor a span of time"),
        )
        .help("a span of time is like `90s`, `5m` or `1h30m`, and at most 30 days")),
    }
}

/// Reads a span such as `5m` or `1h30m`, in milliseconds.
pub(crate) fn duration(text: &str) -> Option<u32> {
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = length(rest, |character| character.is_ascii_digit());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        sum = sum.checked_add(number.checked_mul(*factor)?)?;
    }
    u32::try_from(sum).ok().filter(|sum| *sum <= WITHIN_MS_MAX)
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), Mistake> {
    let mut content = String::new();
    let mut characters = text[at + 1..].char_indices();
    while let Some((offset, character)) = characters.next() {
        if character == quote {
            return Ok((Token::Text(content), at + 1 + offset + 1));
        }
        if character != '\\' {
            content.push(character);
            continue;
        }
        match characters.next() {
            Some((_, escaped @ ('\\' | '"' | '\''))) => content.push(escaped),
            Some((_, 'n')) => content.push('\n'),
            Some((_, 't')) => content.push('\t'),
            Some((end, other)) => {
                let range = (at + 1 + offset, at + 1 + end + other.len_utf8());
                let message = format!("unknown escape `\\{other}`");
                return Err(Mistake::syntax(range, message)
                    .help("known are `\\\\`, `\\\"`, `\\'`, `\\n` and `\\t`"));
            }
            None => break,
        }
    }
    Err(Mistake::syntax(
        (at, text.len()),
        format!("the text has no closing {quote}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_numbers_and_spans_are_told_apart() {
        let tokens: Vec<Token> = split("count(spark-worker)-1 <=0.5 'a\\'b' 1h30m")
            .expect("it is well formed")
            .into_iter()
            .map(|lexeme| lexeme.token)
            .collect();
        let word = |text: &str| Token::Word(text.to_owned());
        assert_eq!(
            tokens,
            [
                word("count"),
                Token::Sign("("),
                word("spark-worker"),
                Token::Sign(")"),
                Token::Sign("-"),
                Token::Integer(1),
                Token::Sign("<="),
                Token::Decimal(0.5),
                Token::Text("a'b".to_owned()),
                Token::Duration(5_400_000),
            ]
        );
    }

    #[test]
    fn what_no_token_begins_with_is_placed() {
        for (text, start) in [
            ("a && b", 2),
            ("a [", 2),
            ("'open", 0),
            ("5parsecs", 0),
            ("31d", 0),
            ("99999999999999999999", 0),
            ("'\\x'", 1),
            ("1.2.3", 0),
        ] {
            assert_eq!(split(text).expect_err(text).start, start, "{text}");
        }
        assert_eq!(
            split(&"a ".repeat(TOKENS_MAX + 1))
                .expect_err("too many")
                .code,
            &codes::TOO_LARGE
        );
    }
}
