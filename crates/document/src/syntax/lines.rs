//! What single lines give away about mistakes.

use std::ops::Range;

/// How much of a line a message quotes.
const QUOTED_CHARS_MAX: usize = 40;

/// Returns the word at a place: up to white space or a bracket or comma.
pub(crate) fn word_at(text: &str, at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or("");
    let end = rest.find(|character: char| {
        character.is_whitespace() || matches!(character, ',' | '[' | ']' | '{' | '}')
    });
    at..at + end.unwrap_or(rest.len())
}

/// Returns the width of the white space at the start of a line.
pub(crate) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Puts text in the quotes that need the fewest escapes.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains('"') && !text.contains('\'') {
        format!("'{text}'")
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Says whether a value may start after this text.
pub(crate) fn starts_value(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    let trimmed = line.trim_end();
    let after_indicator = trimmed.len() < line.len() && trimmed.ends_with([':', '-']);
    trimmed.is_empty() || trimmed.ends_with([',', '[', '{', '?']) || after_indicator
}

/// Finds a value that starts with `{{` or `{%` and runs to the end of the line.
pub(super) fn unquoted_template(line: &str) -> Option<Range<usize>> {
    let at = ["{{", "{%"]
        .iter()
        .filter_map(|opening| line.find(opening))
        .min()?;
    let before = &line[..at];
    let at_start = before.ends_with(": ") || before.ends_with("- ") || before.trim().is_empty();
    let value = line[at..].trim_end();
    at_start.then_some(at..at + value.len())
}

/// Finds the colon of `key:value`.
pub(super) fn colon_without_space(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start_matches([' ', '-']).len();
    let colon = start + line[start..].find(':')?;
    let key = &line[start..colon];
    let is_key = !key.is_empty()
        && key
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'));
    let next = line[colon + 1..].chars().next()?;
    let is_value = !next.is_whitespace() && next != ':' && !line[colon..].starts_with("://");
    (is_key && is_value && !line.contains(": ")).then_some(colon)
}

/// Finds the value of `key: value: rest`.
pub(super) fn value_with_colon(line: &str) -> Option<Range<usize>> {
    let start = line.find(": ")? + 2;
    let start = start + indentation(&line[start..]);
    let value = line[start..].trim_end();
    let plain = !value.starts_with(['"', '\'', '[', '{', '|', '>', '&', '*', '!']);
    let further = value.contains(": ") || value.ends_with(':');
    (plain && further).then_some(start..start + value.len())
}

/// Says whether a line has neither a key nor a dash.
pub(super) fn is_bare(line: &str) -> bool {
    let content = line.trim();
    !content.contains(": ")
        && !content.ends_with(':')
        && !content.starts_with("- ")
        && content != "-"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_are_seen_and_innocent_lines_are_not() {
        assert_eq!(colon_without_space("  - name:db"), Some(8));
        assert_eq!(colon_without_space("name: a:b"), None);
        assert_eq!(colon_without_space("http://x"), None);
        assert_eq!(colon_without_space("name:"), None);
        assert_eq!(unquoted_template("name: {{ x }} "), Some(6..13));
        assert_eq!(unquoted_template("name: a {{ x }}"), None);
        assert_eq!(unquoted_template("name: \"{{ x }}\""), None);
        assert_eq!(value_with_colon("a: b: c"), Some(3..7));
        assert_eq!(value_with_colon("a: 'b: c'"), None);
        assert_eq!(quoted("a\"b"), "'a\"b'");
        assert_eq!(quoted("it's \"x\""), "\"it's \\\"x\\\"\"");
    }
}
