//! Quoted texts and brackets whose further lines are indented less than they should be.
//!
//! Inside quotes and brackets Occopus's reader does not look at indentation;
//! our parser does. Where it stops for that reason, the line breaks in question
//! are taken out of the text that it is given, byte for byte, so that all
//! places stay where they are. What a break means for the value is left behind
//! in three characters that no descriptor has.
//!
//! A hyphen at the end of a word in brackets, as in `[tar, -]`, is another
//! thing that our parser alone stumbles over.

use std::borrow::Cow;
use std::ops::Range;

use crate::syntax::starts_value;

/// Stands where a line break or the white space around it was, and means nothing.
const FILLER: char = '\u{1c}';
/// Stands for a line break that belongs to the value.
const BREAK: char = '\u{1d}';
/// Stands for a hyphen at the end of a word in brackets.
const HYPHEN: char = '\u{1e}';
/// How the escapes begin that would give one of these characters. A text with
/// one of them is left as it is.
const ESCAPES: [&str; 3] = ["\\x1", "\\u001", "\\U0000001"];

/// How far back an open bracket is looked for; longer lists are written in block style.
const LOOK_BACK_BYTES_MAX: usize = 8 << 10;

/// How far the ends of brackets are looked for, all that are tried together:
/// longer ones are written by programs, which indent them.
const BRACKET_BYTES_MAX: usize = 1 << 20;

/// A text in which one quoted text or bracket stands on a single line.
pub(crate) struct Straightened {
    pub(crate) text: String,
    /// The part that was changed.
    pub(crate) range: Range<usize>,
}

/// Straightens what made the parser stop at byte `at`; none if it stopped for another reason.
pub(crate) fn straightened(text: &str, info: &str, at: usize) -> Option<Straightened> {
    if ESCAPES.iter().any(|escape| text.contains(escape)) {
        return None;
    }
    let range = if info.contains("invalid indentation in quoted scalar") {
        quoted_range(text, at)?
    } else if info.contains("invalid indentation") {
        bracket_range(text, at)?
    } else if info.contains("cannot start with '-'") && text[at..].starts_with('-') {
        at..at + 1
    } else {
        return None;
    };
    let part = &text[range.clone()];
    let flat = match part.as_bytes().first() {
        Some(b'"' | b'\'') => flat_quoted(part),
        Some(b'-') => HYPHEN.to_string(),
        _ => flat_brackets(part)?,
    };
    (flat != part).then(|| Straightened {
        text: [&text[..range.start], &flat, &text[range.end..]].concat(),
        range,
    })
}

/// Returns the value that a straightened text stands for.
pub(crate) fn restored(value: Cow<'_, str>) -> Cow<'_, str> {
    if !value.contains([FILLER, BREAK, HYPHEN]) {
        return value;
    }
    let characters = value.chars().filter(|character| *character != FILLER);
    Cow::Owned(
        characters
            .map(|character| match character {
                BREAK => '\n',
                HYPHEN => '-',
                other => other,
            })
            .collect(),
    )
}

/// Returns a quoted text with its quotes, if nothing stands behind it that
/// tells that its end was meant to be elsewhere.
fn quoted_range(text: &str, at: usize) -> Option<Range<usize>> {
    let length = quoted_length(text.get(at..)?)?;
    let rest = text[at + length..]
        .lines()
        .next()
        .unwrap_or("")
        .trim_start();
    let is_end = rest.is_empty() || rest.starts_with(['#', ',', ']', '}', ':']);
    is_end.then_some(at..at + length)
}

/// Returns the length of the quoted text at the start, quotes included; none if it is not closed.
fn quoted_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let mut at = 1;
    let mut is_line_start = false;
    while let Some(byte) = bytes.get(at) {
        if is_line_start && is_document_marker(&bytes[at..]) {
            return None;
        }
        is_line_start = *byte == b'\n';
        match byte {
            b'\\' if quote == b'"' => {
                is_line_start = bytes.get(at + 1) == Some(&b'\n');
                at += 2;
            }
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

fn is_document_marker(line: &[u8]) -> bool {
    (line.starts_with(b"---") || line.starts_with(b"..."))
        && line.get(3).is_none_or(u8::is_ascii_whitespace)
}

/// Returns the outermost bracket that is open at a place, up to its end.
fn bracket_range(text: &str, at: usize) -> Option<Range<usize>> {
    let from = text.ceil_char_boundary(at.saturating_sub(LOOK_BACK_BYTES_MAX));
    let mut start = from;
    let mut budget = BRACKET_BYTES_MAX;
    while start < at {
        start += text[start..at].find(['[', '{'])?;
        if !starts_value(without_properties(&text[from..start])) {
            start += 1;
            continue;
        }
        match bracket_length(&text[start..], &mut budget) {
            Some(length) if start + length > at => return Some(start..start + length),
            Some(length) => start += length,
            None => start += 1,
        }
    }
    None
}

/// Returns the text before the tag and the anchor that it ends with.
fn without_properties(before: &str) -> &str {
    let mut rest = before;
    loop {
        let trimmed = rest.trim_end_matches(' ');
        let word = trimmed.rsplit([' ', '\n']).next().unwrap_or(trimmed);
        if trimmed.len() == rest.len() || !word.starts_with(['!', '&']) {
            return rest;
        }
        rest = &trimmed[..trimmed.len() - word.len()];
    }
}

/// Returns the length of the brackets at the start with all that is in them;
/// none if they do not end within the budget.
fn bracket_length(text: &str, budget: &mut usize) -> Option<usize> {
    let mut open: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let part = part_at(text, at)?;
        *budget = budget.checked_sub(part.length())?;
        match part {
            Part::Quoted(length) | Part::Comment(length) | Part::Gap(length) => at += length,
            Part::Byte(byte) => {
                match byte {
                    b'[' => open.push(b']'),
                    b'{' => open.push(b'}'),
                    b']' | b'}' if open.pop() != Some(byte) => return None,
                    _ => {}
                }
                at += 1;
                if open.is_empty() {
                    return Some(at);
                }
            }
        }
    }
    None
}

/// A piece of the text inside of brackets.
enum Part {
    Quoted(usize),
    Comment(usize),
    /// White space with at least one line break.
    Gap(usize),
    Byte(u8),
}

impl Part {
    fn length(&self) -> usize {
        match self {
            Self::Quoted(length) | Self::Comment(length) | Self::Gap(length) => *length,
            Self::Byte(_) => 1,
        }
    }
}

/// Returns the piece at a place; none where a quote is not closed.
fn part_at(text: &str, at: usize) -> Option<Part> {
    let bytes = text.as_bytes();
    let byte = *bytes.get(at)?;
    let before = at.checked_sub(1).map(|before| bytes[before]);
    let after_space = before.is_some_and(|byte| byte.is_ascii_whitespace());
    match byte {
        b'"' | b'\'' if after_space || matches!(before, Some(b'[' | b'{' | b',' | b':')) => {
            quoted_length(&text[at..]).map(Part::Quoted)
        }
        b'#' if after_space => Some(Part::Comment(
            text[at..].find('\n').unwrap_or(text.len() - at),
        )),
        b' ' | b'\t' | b'\r' | b'\n' => {
            let length = text[at..]
                .bytes()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
                .count();
            let has_break = text[at..at + length].contains('\n');
            Some(if has_break {
                Part::Gap(length)
            } else {
                Part::Byte(byte)
            })
        }
        _ => Some(Part::Byte(byte)),
    }
}

/// Puts brackets on one line.
fn flat_brackets(text: &str) -> Option<String> {
    let mut flat = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match part_at(text, at)? {
            Part::Quoted(length) => {
                flat.push_str(&flat_quoted(&text[at..at + length]));
                at += length;
            }
            Part::Comment(length) => {
                flat.extend(std::iter::repeat_n(' ', length));
                at += length;
            }
            Part::Gap(length) => {
                let next = text[at + length..].chars().next();
                let is_inside_word = flat.ends_with(is_of_word) && next.is_some_and(is_of_word);
                if is_inside_word {
                    push_fold(&mut flat, &text[at..at + length]);
                } else {
                    flat.extend(std::iter::repeat_n(' ', length));
                }
                at += length;
            }
            Part::Byte(_) => {
                let character = text[at..].chars().next()?;
                flat.push(character);
                at += character.len_utf8();
            }
        }
    }
    Some(flat)
}

/// Says whether a word may end or go on with a character, in contrast to what stands between words.
fn is_of_word(character: char) -> bool {
    !character.is_whitespace() && !"[]{},:?\"'#&*!".contains(character)
}

/// Puts a quoted text on one line.
fn flat_quoted(text: &str) -> String {
    let is_double = text.starts_with('"');
    let bytes = text.as_bytes();
    let mut flat = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let gap = gap_length(&bytes[at..]);
        let is_escape = is_double && bytes[at] == b'\\';
        let escaped_gap = if is_escape {
            // Only a break that follows at once is escaped.
            match bytes.get(at + 1..) {
                Some([b'\n', ..] | [b'\r', b'\n', ..]) => gap_length(&bytes[at + 1..]),
                _ => None,
            }
        } else {
            None
        };
        if let Some(length) = escaped_gap {
            // The first break is escaped away, the others count.
            let breaks = breaks_in(&text[at + 1..=at + length]) - 1;
            push_breaks(&mut flat, breaks, 1 + length);
            at += 1 + length;
        } else if let Some(length) = gap {
            push_fold(&mut flat, &text[at..at + length]);
            at += length;
        } else {
            let characters = if is_escape { 2 } else { 1 };
            for character in text[at..].chars().take(characters) {
                flat.push(character);
                at += character.len_utf8();
            }
        }
    }
    flat
}

/// Returns the length of the white space at the start if it holds a line break.
fn gap_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .count();
    bytes[..length].contains(&b'\n').then_some(length)
}

fn breaks_in(gap: &str) -> usize {
    gap.bytes().filter(|byte| *byte == b'\n').count()
}

/// Writes what white space with line breaks means: one break is a space, of several all but the first count.
fn push_fold(flat: &mut String, gap: &str) {
    let breaks = breaks_in(gap);
    if breaks == 1 {
        flat.push(' ');
        flat.extend(std::iter::repeat_n(FILLER, gap.len() - 1));
    } else {
        push_breaks(flat, breaks - 1, gap.len());
    }
}

fn push_breaks(flat: &mut String, breaks: usize, length: usize) {
    flat.extend(std::iter::repeat_n(BREAK, breaks));
    flat.extend(std::iter::repeat_n(FILLER, length - breaks));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let flat = flat_quoted(text);
        assert_eq!(flat.len(), text.len(), "{text}");
        assert!(!flat.contains('\n'), "{flat}");
        restored(Cow::Owned(flat)).into_owned()
    }

    #[test]
    fn breaks_fold_as_in_any_quoted_text() {
        assert_eq!(value("\"a\nb\""), "\"a b\"");
        assert_eq!(value("\"a  \n  b\""), "\"a b\"");
        assert_eq!(value("\"a\n\n\n b\""), "\"a\n\nb\"");
        assert_eq!(value("'a\r\n\r\nit''s'"), "'a\nit''s'");
        assert_eq!(value("\"a \\\n  b\""), "\"a b\"");
        assert_eq!(value("\"a\\\n\n  b\""), "\"a\nb\"");
        assert_eq!(value("\"a\\\\\nb\""), "\"a\\\\ b\"");
        assert_eq!(value("'a\\\nb'"), "'a\\ b'");
    }

    #[test]
    fn brackets_keep_words_together_and_lose_comments() {
        let flat = |text: &str| {
            let flat = flat_brackets(text).expect("it can be straightened");
            assert_eq!(flat.len(), text.len());
            restored(Cow::Owned(flat)).into_owned()
        };
        assert_eq!(flat("[a,\nb]"), "[a, b]");
        assert_eq!(flat("[one\n  two, 'x\ny']"), "[one two, 'x y']");
        assert_eq!(flat("[ # é\n1 ]"), "[      1 ]");
        assert_eq!(flat("{a:\n1}"), "{a: 1}");
        assert_eq!(bracket_length("[a, {b: ']'}] x", &mut 100), Some(13));
        assert_eq!(bracket_length("[a, (b}]", &mut 100), None);
        assert_eq!(bracket_length("[it's, b]", &mut 100), Some(9));
        assert_eq!(bracket_length("[it's, b]", &mut 5), None);
    }

    #[test]
    fn brackets_may_have_a_tag_and_an_anchor() {
        let text = "a:\n  b: !t &x {c: d\n}\n";
        let at = text.find('}').expect("it is there");
        assert_eq!(bracket_range(text, at), Some(14..at + 1));
        assert_eq!(bracket_range("a: b {c\n}\n", 8), None);
    }

    #[test]
    fn texts_with_the_characters_in_question_are_left_alone() {
        let info = "invalid indentation in quoted scalar";
        assert!(straightened("a: \"x\ny\"\n", info, 3).is_some());
        assert!(straightened("a: \"x\ny\"\nb: \"\\x1C\"\n", info, 3).is_none());
    }

    #[test]
    fn a_quote_that_ends_elsewhere_is_left_alone() {
        let text = "a: \"x\nb: \"y\"\n";
        assert_eq!(quoted_range(text, 3), None);
        let text = "a: \"x\ny\"  # z\n";
        assert_eq!(quoted_range(text, 3), Some(3..8));
        assert_eq!(quoted_range("a: \"x\n---\ny\"\n", 3), None);
    }
}
