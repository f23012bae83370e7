//! Text blocks at the end of a file.

use std::borrow::Cow;

use saphyr_parser::ScalarStyle;

/// Takes away the line break that the parser adds to a text block whose last
/// line ends with the file: Occopus's reader adds none. `start` is the
/// first character of the block in the text of the file.
pub(super) fn without_added_break<'v>(
    value: Cow<'v, str>,
    style: ScalarStyle,
    text: &str,
    start: usize,
) -> Cow<'v, str> {
    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    if !is_block || !value.ends_with('\n') || text.ends_with(['\n', '\r']) {
        return value;
    }
    let before = text.get(..start).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |found| found + 1);
    let written = &text[line..];
    let last = written.rsplit('\n').next().unwrap_or(written);
    // A last line of blanks belongs to the text only if it is indented like it.
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let lowest = written
        .split('\n')
        .filter(|line| !line.trim().is_empty())
        .map(indentation)
        .min();
    if last.trim().is_empty() && lowest.is_some_and(|lowest| last.len() < lowest) {
        return value;
    }
    let mut value = value.into_owned();
    value.pop();
    Cow::Owned(value)
}
