//! Goes on after a mistake in the syntax: the broken part is blanked out, and
//! the rest is read again.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use zenekar_diagnostics::{Diagnostic, Span, codes::document as codes};

use crate::compose::Pass;
use crate::load::Loader;
use crate::offsets::{Offsets, to_u32};
use crate::straighten::{Straightened, straightened};
use crate::syntax::{self, Mistake, indentation};
use crate::tree::Document;

/// How many mistakes of the syntax are looked for in one file.
const RECOVERIES_MAX: usize = 12;
/// How many bytes may be read again and again; larger files show fewer mistakes at once.
const REREAD_BYTES_MAX: usize = 32 << 20;
/// How many control characters of one file are reported.
const CONTROL_CHARACTERS_MAX: usize = 5;
/// How many quoted texts and brackets of one file may have too little
/// indentation; each costs a pass.
const STRAIGHTENED_MAX: usize = 1_000;

/// What was straightened so far in one file.
#[derive(Default)]
struct Straightening {
    /// How many more parts may be straightened.
    left: usize,
    /// The parts that were straightened.
    ranges: Vec<Range<usize>>,
    /// The text before the last part was straightened, and the end of that part.
    before: Option<(String, usize)>,
    /// Set where it did not help: the mistake is another one.
    has_failed: bool,
}

impl Straightening {
    /// Returns the text to read next, if there is something to straighten or to take back.
    fn next(&mut self, text: &str, original: &str, info: &str, at: usize) -> Option<String> {
        if let Some((before, end)) = self.before.take()
            && at < end
            && !self.has_failed
        {
            self.has_failed = true;
            self.ranges.pop();
            return Some(before);
        }
        if self.has_failed || self.left == 0 {
            return None;
        }
        let Straightened { text: flat, range } = straightened(text, original, info, at)?;
        self.left -= 1;
        self.before = Some((text.to_owned(), range.end));
        self.ranges.push(range);
        Some(flat)
    }

    /// Takes everything back, once and for all.
    fn give_up(&mut self) {
        self.has_failed = true;
        self.before = None;
        self.ranges.clear();
    }
}

/// The sizes of the arena, to which a failed pass goes back.
struct Checkpoint {
    nodes: usize,
    items: usize,
    entries: usize,
    sorted: usize,
    text: usize,
    bytes: usize,
    wide: usize,
    diagnostics: usize,
    expanded: u64,
}

impl Loader<'_> {
    /// Reads one source text; none if it is empty or nothing could be read.
    pub(crate) fn read(&mut self, source: u16) -> Option<u32> {
        let original: Arc<str> = Arc::clone(&self.document.sources[usize::from(source)].text);
        let clean = self.without_control_characters(source, &original);
        let mut text = clean.clone();
        let mut blanked: Vec<Range<usize>> = Vec::new();
        let mut found: Vec<Diagnostic> = Vec::new();
        let before = self.checkpoint();
        let passes = (REREAD_BYTES_MAX / original.len().max(1)).max(1);
        let mut recoveries = passes.min(RECOVERIES_MAX);
        let mut straight = Straightening {
            left: passes.min(STRAIGHTENED_MAX),
            ..Straightening::default()
        };
        // Every round takes from one of both budgets.
        loop {
            let pass = Pass {
                original: &original,
                text: &text,
                blanked: &blanked,
                straightened: &straight.ranges,
                source,
            };
            let error = match self.compose(pass) {
                Ok(_) if !self.has_values_at(source, before.nodes, &straight.ranges) => {
                    // What was straightened is a part of something else.
                    self.roll_back(&before);
                    straight.give_up();
                    text = clean.clone();
                    for range in &blanked {
                        text = Cow::Owned(blank(&text, range));
                    }
                    continue;
                }
                Ok(root) => {
                    self.insert_in_order(before.diagnostics, found);
                    return root;
                }
                Err(error) => error,
            };
            self.roll_back(&before);
            let at = Offsets::new(&text).byte(error.marker().index()) as usize;
            if let Some(straightened) = straight.next(&text, &original, error.info(), at) {
                text = Cow::Owned(straightened);
                continue;
            }
            if recoveries == 0 {
                break;
            }
            recoveries -= 1;
            let mistake = syntax::explain(&text, error.info(), at, self.file(source));
            let broken = broken_part(&text, &mistake, &blanked);
            // The same line again means that too little was blanked out.
            let line = line_at(&text, mistake.blame);
            if !blanked
                .iter()
                .any(|known| known.start <= line.end && line.start <= known.end)
            {
                found.push(mistake.diagnostic);
            }
            let Some(range) = broken else { break };
            text = Cow::Owned(blank(&text, &range));
            blanked.push(range);
        }
        self.insert_in_order(before.diagnostics, found);
        None
    }

    /// Says whether a value begins where each of the parts begins.
    fn has_values_at(&self, source: u16, first: usize, parts: &[Range<usize>]) -> bool {
        if parts.is_empty() {
            return true;
        }
        let nodes = &self.document.nodes[first..];
        let starts: HashSet<usize> = nodes
            .iter()
            .filter(|node| node.source == source)
            .map(|node| node.start as usize)
            .collect();
        parts.iter().all(|part| starts.contains(&part.start))
    }

    /// Reports control characters and replaces them by spaces.
    fn without_control_characters<'t>(&mut self, source: u16, original: &'t str) -> Cow<'t, str> {
        let wrong =
            |byte: u8| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7F;
        if !original.bytes().any(wrong) {
            return Cow::Borrowed(original);
        }
        let file = self.file(source);
        for (at, byte) in original
            .bytes()
            .enumerate()
            .filter(|(_, byte)| wrong(*byte))
            .take(CONTROL_CHARACTERS_MAX)
        {
            let name = if byte == 0 {
                "NUL".to_owned()
            } else {
                format!("U+{byte:04X}")
            };
            let span = Span::new(file, to_u32(at), to_u32(at + 1));
            self.report(
                Diagnostic::error(
                    &codes::CONTROL_CHARACTER,
                    format!("the control character {name} cannot stand here"),
                )
                .at(span),
            );
        }
        Cow::Owned(
            original
                .chars()
                .map(|character| {
                    if character.is_ascii() && wrong(character as u8) {
                        ' '
                    } else {
                        character
                    }
                })
                .collect(),
        )
    }

    fn checkpoint(&self) -> Checkpoint {
        let document = &self.document;
        Checkpoint {
            nodes: document.nodes.len(),
            items: document.items.len(),
            entries: document.entries.len(),
            sorted: document.sorted.len(),
            text: document.text.len(),
            bytes: document.bytes.len(),
            wide: document.wide.len(),
            diagnostics: self.diagnostics.len(),
            expanded: self.spent.expanded,
        }
    }

    /// Forgets what a failed pass made. What it spent of the budgets for
    /// values stays spent, which bounds the work of nested retries.
    fn roll_back(&mut self, checkpoint: &Checkpoint) {
        let Document {
            nodes,
            items,
            entries,
            sorted,
            text,
            bytes,
            wide,
            ..
        } = &mut self.document;
        nodes.truncate(checkpoint.nodes);
        items.truncate(checkpoint.items);
        entries.truncate(checkpoint.entries);
        sorted.truncate(checkpoint.sorted);
        text.truncate(checkpoint.text);
        bytes.truncate(checkpoint.bytes);
        wide.truncate(checkpoint.wide);
        self.diagnostics.truncate(checkpoint.diagnostics);
        self.spent.expanded = checkpoint.expanded;
    }

    /// Adds the mistakes of the syntax to those of the pass that succeeded.
    fn insert_in_order(&mut self, from: usize, found: Vec<Diagnostic>) {
        if found.is_empty() {
            return;
        }
        for diagnostic in found {
            self.report(diagnostic);
        }
        let from = from.min(self.diagnostics.len());
        self.diagnostics[from..].sort_by_key(|diagnostic| {
            diagnostic
                .primary
                .as_ref()
                .map(|label| (label.span.file, label.span.start))
        });
    }
}

/// Returns the part to blank out for a mistake at `at`: the line with all that
/// is indented below it, without its key; if that was blank already, the whole
/// line, then the block around it.
fn broken_part(text: &str, mistake: &Mistake, blanked: &[Range<usize>]) -> Option<Range<usize>> {
    let mut line = line_at(text, mistake.blame);
    // A mistake at the end of the text belongs to the last line with content.
    while text[line.clone()].trim().is_empty() && line.start > 0 {
        line = line_at(text, line.start - 1);
    }
    // What remains of a part that was blanked out before is to blame: go outwards.
    let mut whole_lines = !mistake.keeps_key
        || blanked
            .iter()
            .any(|range| range.start >= line.start && range.start <= line.end);
    let mut outwards = false;
    loop {
        let column = indentation(&text[line.clone()]);
        // Lines that follow at the same wrong column are wrong for the same reason.
        let siblings = mistake.diagnostic.code == &codes::INDENTATION && !outwards;
        let block = block_of(text, &line, if siblings { column } else { column + 1 });
        let value = if whole_lines {
            None
        } else {
            value_start(&text[line.clone()]).map(|offset| line.start + offset)
        };
        let range = value.unwrap_or(block.start)..block.end;
        if !text[range.clone()].trim().is_empty() {
            return Some(range);
        }
        if !whole_lines {
            whole_lines = true;
            continue;
        }
        outwards = true;
        line = parent_line(text, &line)?;
    }
}

fn line_at(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    start..end.max(start)
}

/// Returns a line with the blank lines and those indented by at least `column_min` after it.
fn block_of(text: &str, line: &Range<usize>, column_min: usize) -> Range<usize> {
    let mut end = line.end;
    while end < text.len() {
        let next = line_at(text, end + 1);
        let content = &text[next.clone()];
        if !content.trim().is_empty() && indentation(content) < column_min {
            break;
        }
        end = next.end;
    }
    line.start..end
}

/// Returns where the value starts on a line: after its dashes and its key.
fn value_start(line: &str) -> Option<usize> {
    let mut at = indentation(line);
    while line[at..].starts_with("- ") {
        at += 2;
        at += indentation(&line[at..]);
    }
    let key = line[at..].find(": ").map(|found| at + found + 1);
    let dash = (at > indentation(line)).then(|| at - 1);
    key.or(dash)
}

fn parent_line(text: &str, line: &Range<usize>) -> Option<Range<usize>> {
    let column = indentation(&text[line.clone()]);
    let mut line = line.clone();
    while line.start > 0 {
        line = line_at(text, line.start - 1);
        let content = &text[line.clone()];
        if !content.trim().is_empty() && indentation(content) < column.max(1) {
            return Some(line);
        }
    }
    None
}

/// Replaces all but line breaks by spaces, character by character where they
/// are ASCII, so that offsets stay the same.
fn blank(text: &str, range: &Range<usize>) -> String {
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..range.start]);
    for character in text[range.clone()].chars() {
        if matches!(character, '\n' | '\r') {
            out.push(character);
        } else {
            out.extend(std::iter::repeat_n(' ', character.len_utf8()));
        }
    }
    out.push_str(&text[range.end..]);
    out
}
