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

use crate::flow::{self, Piece};
use crate::syntax::starts_value;

/// Stands where a line break or the white space around it was, and means nothing.
const FILLER: char = '\u{1c}';
/// Stands for a line break that belongs to the value.
const BREAK: char = '\u{1d}';
/// Stands for a hyphen at the end of a word in brackets.
const HYPHEN: char = '\u{1e}';
/// How the escapes end that would give one of these characters, without their zeros.
const ESCAPES: [&str; 6] = ["1c", "1d", "1e", "1C", "1D", "1E"];

/// How far back an open bracket is looked for; longer lists are written in block style.
const LOOK_BACK_BYTES_MAX: usize = 8 << 10;

/// How far the ends of brackets are looked for, all that are tried together:
/// longer ones are written by programs, which indent them.
const BRACKET_BYTES_MAX: usize = 1 << 20;

/// What the parser says of a text in quotes that is indented less than it wants.
const QUOTED_INFOS: [&str; 2] = [
    "invalid indentation in quoted scalar",
    "tab cannot be used as indentation",
];

/// A text in which one quoted text or bracket stands on a single line.
pub(crate) struct Straightened {
    pub(crate) text: String,
    /// The part that was changed.
    pub(crate) range: Range<usize>,
}

/// Straightens what made the parser stop at byte `at`; none if it stopped for
/// another reason. `original` is the text before anything was straightened.
pub(crate) fn straightened(
    text: &str,
    original: &str,
    info: &str,
    at: usize,
) -> Option<Straightened> {
    let is_quoted = |words: &[&str]| words.iter().any(|word| info.contains(word));
    let (range, flat) = if is_quoted(&QUOTED_INFOS) {
        let range = quoted_range(text, original, at)?;
        let flat = flat_quoted(&text[range.clone()]);
        (range, flat)
    } else if info.contains("invalid indentation") {
        flat_brackets(text, original, at)?
    } else if info.contains("cannot start with '-'") && text[at..].starts_with('-') {
        (at..at + 1, HYPHEN.to_string())
    } else {
        return None;
    };
    let part = &text[range.clone()];
    (flat != part && !has_marker_escape(part)).then(|| Straightened {
        text: [&text[..range.start], &flat, &text[range.end..]].concat(),
        range,
    })
}

/// Says whether an escape gives one of the characters that stand for something else.
fn has_marker_escape(part: &str) -> bool {
    let mut rest = part;
    while let Some(at) = rest.find('\\') {
        let digits = rest[at + 1..].trim_start_matches(['x', 'u', 'U', '0']);
        if digits.len() < rest.len() - at - 1 && ESCAPES.iter().any(|end| digits.starts_with(end)) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Returns the value that a text stands for, which a straightened part may hold.
pub(crate) fn restored_within<'v>(
    value: Cow<'v, str>,
    range: &Range<usize>,
    straightened: &[Range<usize>],
) -> Cow<'v, str> {
    if !value.contains([FILLER, BREAK, HYPHEN]) {
        return value;
    }
    let has_range = |part: &Range<usize>| part.start < range.end && range.start < part.end;
    if straightened.iter().any(has_range) {
        restored(value)
    } else {
        value
    }
}

/// Returns the value that a straightened text stands for.
fn restored(value: Cow<'_, str>) -> Cow<'_, str> {
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
fn quoted_range(text: &str, original: &str, at: usize) -> Option<Range<usize>> {
    // Where a tab is what the parser stops at, it names that place.
    let at = if text[at..].starts_with(['"', '\'']) {
        at
    } else {
        quote_before(text, at)?
    };
    let length = flow::quoted_length(&text[at..])?;
    let rest = text[at + length..]
        .lines()
        .next()
        .unwrap_or("")
        .trim_start();
    let is_end = rest.is_empty() || rest.starts_with(['#', ',', ']', '}']);
    // A key has to be on one line.
    let is_key = rest.starts_with(':') && !original[at..at + length].contains('\n');
    let is_odd = flow::has_odd_break(&text[at..at + length]);
    ((is_end || is_key) && !is_odd).then_some(at..at + length)
}

/// Returns the start of the quoted text that a place is in.
fn quote_before(text: &str, at: usize) -> Option<usize> {
    let from = text.ceil_char_boundary(at.saturating_sub(LOOK_BACK_BYTES_MAX));
    let mut start = from;
    while start < at {
        start += text[start..at].find(['"', '\''])?;
        if !starts_value(without_properties(&text[from..start])) {
            start += 1;
            continue;
        }
        match flow::quoted_length(&text[start..]) {
            Some(length) if start + length > at => return Some(start),
            Some(length) => start += length,
            None => start += 1,
        }
    }
    None
}

/// Returns the outermost brackets that are open at a place, up to their end,
/// and what they are on one line.
fn flat_brackets(text: &str, original: &str, at: usize) -> Option<(Range<usize>, String)> {
    let from = text.ceil_char_boundary(at.saturating_sub(LOOK_BACK_BYTES_MAX));
    let mut start = from;
    let mut budget = BRACKET_BYTES_MAX;
    while start < at {
        start += text[start..at].find(['[', '{'])?;
        if !starts_value(without_properties(&text[from..start])) {
            start += 1;
            continue;
        }
        let found = flow::scan(text, original, start, budget);
        let length = found.as_ref().map_or(at - start, |found| found.end - start);
        budget = budget.checked_sub(length)?;
        match found {
            Ok(found) if found.end > at => {
                let range = start..found.end;
                let is_key = text[found.end..].trim_start_matches(' ').starts_with(':')
                    && original[range.clone()].contains('\n');
                return (!is_key).then(|| (range, flat_pieces(text, start, &found)));
            }
            Ok(found) => start = found.end,
            Err(_) => start += 1,
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

/// Puts brackets on one line.
fn flat_pieces(text: &str, start: usize, found: &flow::Brackets) -> String {
    let mut flat = String::with_capacity(found.end - start);
    let mut at = start;
    for piece in &found.pieces {
        let (Piece::Between(range) | Piece::Inside(range) | Piece::Quoted(range)) = piece;
        flat.push_str(&text[at..range.start]);
        let part = &text[range.clone()];
        match piece {
            Piece::Between(_) => flat.extend(std::iter::repeat_n(' ', part.len())),
            Piece::Inside(_) => push_fold(&mut flat, part),
            Piece::Quoted(_) => flat.push_str(&flat_quoted(part)),
        }
        at = range.end;
    }
    flat.push_str(&text[at..found.end]);
    flat
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

    /// Returns what stands in the brackets that are open at the last byte.
    fn brackets(text: &str) -> Option<(usize, String)> {
        let at = text.trim_end().len() - 1;
        let (range, flat) = flat_brackets(text, text, at)?;
        assert_eq!(flat.len(), range.len());
        assert!(!flat.contains('\n'), "{flat}");
        Some((range.start, restored(Cow::Owned(flat)).into_owned()))
    }

    #[test]
    fn brackets_keep_words_together_and_lose_comments() {
        let flat = |text: &str| brackets(text).map(|(_, flat)| flat);
        assert_eq!(flat("[a,\nb]").as_deref(), Some("[a, b]"));
        assert_eq!(
            flat("[one\n  two, 'x\ny']").as_deref(),
            Some("[one two, 'x y']")
        );
        assert_eq!(flat("[ # é\n1 ]").as_deref(), Some("[      1 ]"));
        assert_eq!(flat("{a:\n1}").as_deref(), Some("{a: 1}"));
        let text = "{k0:\nsay \"hi\" \n  it's\n}";
        assert_eq!(flat(text).as_deref(), Some("{k0: say \"hi\" it's }"));
        assert_eq!(flat("[x!\n\na&b # c\n]").as_deref(), Some("[x!\na&b     ]"));
    }

    #[test]
    fn what_other_readers_refuse_is_left_alone() {
        for text in ["[one # c\ntwo]", "{a b\nc: 1}", "{\"x\"\n: 1}", "[x,\n\ty]"] {
            assert_eq!(brackets(text), None, "{text}");
        }
    }

    #[test]
    fn brackets_may_have_a_tag_and_an_anchor() {
        let text = "a:\n  b: !t &x {c: d\n}\n";
        assert_eq!(brackets(text).map(|(start, _)| start), Some(14));
        assert_eq!(brackets("a: b {c\n}\n"), None);
    }

    #[test]
    fn only_the_part_in_question_has_to_be_free_of_some_escapes() {
        let info = "invalid indentation in quoted scalar";
        let is_taken = |text: &str| straightened(text, text, info, 3).is_some();
        assert!(is_taken("a: \"x\ny\"\nb: \"\\x1C \\u001d\"\n"));
        assert!(is_taken("a: \"\\x1b[\ny\"\n"));
        for escape in ["\\x1C", "\\u001d", "\\U0000001e"] {
            assert!(!is_taken(&format!("a: \"x\n{escape}y\"\n")), "{escape}");
        }
    }

    #[test]
    fn a_quote_that_ends_elsewhere_is_left_alone() {
        let range = |text: &str| quoted_range(text, text, 3);
        assert_eq!(range("a: \"x\nb: \"y\"\n"), None);
        assert_eq!(range("a: \"x\ny\"  # z\n"), Some(3..8));
        assert_eq!(range("a: \"x\n---\ny\"\n"), None);
        assert_eq!(range("a: \"x\ny\": z\n"), None);
    }
}
