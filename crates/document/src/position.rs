//! From a place in the value of a scalar back to the place in its text.

use crate::tree::Style;

/// Returns the byte of `written`, the text of a scalar with its quotes but
/// without a block header, at which byte `byte` of its `value` was written.
///
/// Both texts have the same characters in the same order but for white space
/// and escapes; so the two are walked side by side, and white space is only
/// roughly placed.
pub(crate) fn find(written: &str, style: Style, value: &str, byte: usize) -> usize {
    let mut at = content_start(written, style);
    for (offset, character) in value.char_indices() {
        if offset >= byte {
            break;
        }
        at = step(written, style, at, character);
    }
    // The next character tells where white space in between was left out.
    let next = value.get(byte..).and_then(|rest| rest.chars().next());
    if next.is_some_and(|character| !character.is_whitespace()) {
        at = skip_space(written, style, at);
    }
    written.floor_char_boundary(at)
}

/// Returns where the text begins after an opening quote.
fn content_start(written: &str, style: Style) -> usize {
    match style {
        Style::SingleQuoted | Style::DoubleQuoted => written.len().min(1),
        Style::Plain | Style::Literal | Style::Folded | Style::File => 0,
    }
}

/// Moves over one character of the value.
fn step(written: &str, style: Style, at: usize, character: char) -> usize {
    if character.is_whitespace() {
        let here = written[at..].chars().next();
        return match here {
            Some(found) if found.is_whitespace() => at + found.len_utf8(),
            Some('\\') if style == Style::DoubleQuoted => at + escape_length(&written[at..]),
            _ => at,
        };
    }
    let at = skip_space(written, style, at);
    let rest = &written[at..];
    match rest.chars().next() {
        Some('\\') if style == Style::DoubleQuoted => at + escape_length(rest),
        Some('\'') if style == Style::SingleQuoted && rest.starts_with("''") => at + 2,
        Some(found) => at + found.len_utf8(),
        None => at,
    }
}

/// Moves over white space, and over escaped line breaks.
fn skip_space(written: &str, style: Style, mut at: usize) -> usize {
    loop {
        let rest = &written[at..];
        match rest.chars().next() {
            Some(found) if found.is_whitespace() => at += found.len_utf8(),
            Some('\\')
                if style == Style::DoubleQuoted
                    && rest[1..].starts_with(['\n', '\r', ' ', '\t']) =>
            {
                at += 1;
            }
            _ => return at,
        }
    }
}

/// Returns the length of an escape sequence of a double-quoted scalar.
fn escape_length(rest: &str) -> usize {
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        _ => 0,
    };
    let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
    rest.ceil_char_boundary((1 + escaped + digits).min(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        written: &str,
        style: Style,
        value: &str,
        needle_in_value: &str,
        needle_in_text: &str,
    ) {
        let byte = value
            .find(needle_in_value)
            .expect("the needle is in the value");
        let expected = written
            .find(needle_in_text)
            .expect("the needle is in the text");
        assert_eq!(find(written, style, value, byte), expected);
    }

    #[test]
    fn every_style_leads_back_to_its_text() {
        check(
            "\"a\\n{{ x }}\"",
            Style::DoubleQuoted,
            "a\n{{ x }}",
            "{{",
            "{{",
        );
        check(
            "\"\\u00e9 \\x41{{\"",
            Style::DoubleQuoted,
            "é A{{",
            "{{",
            "{{",
        );
        check(
            "\"one \\\n   two {{\"",
            Style::DoubleQuoted,
            "one two {{",
            "{{",
            "{{",
        );
        check("'it''s {{ x'", Style::SingleQuoted, "it's {{ x", "{{", "{{");
        check(
            "one\n      two\n    {{ x",
            Style::Literal,
            "one\n  two\n{{ x",
            "{{",
            "{{",
        );
        check("one\n  two {{\n", Style::Folded, "one two {{", "{{", "{{");
        check("one\n  two {{", Style::Plain, "one two {{", "two", "two");
    }

    #[test]
    fn values_and_texts_that_do_not_fit_do_no_harm() {
        for style in [
            Style::Plain,
            Style::SingleQuoted,
            Style::DoubleQuoted,
            Style::Literal,
            Style::Folded,
        ] {
            assert!(find("\"é\\", style, "entirely different é text", 17) <= 4);
            assert_eq!(find("", style, "x", 1), 0);
        }
    }
}
