//! Texts, places in them, and how people count those places.

use std::sync::{Arc, OnceLock};

/// Identifies one text of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A half-open range of byte offsets in one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub file: FileId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// Makes a span from byte offsets.
    pub const fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// Makes an empty span: a place between two bytes.
    pub const fn empty(file: FileId, offset: u32) -> Self {
        Self {
            file,
            start: offset,
            end: offset,
        }
    }

    /// Returns the length in bytes.
    pub const fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Says whether the span holds no byte.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// Where a span begins and ends for people: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line of the first character.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// The line of the place after the last character.
    pub end_line: usize,
    /// The column of the place after the last character.
    pub end_column: usize,
}

#[derive(Clone, Debug)]
struct SourceFile {
    name: String,
    text: Arc<str>,
    /// Byte offsets at which lines start; built when the first diagnostic asks,
    /// because most texts never have one.
    line_starts: OnceLock<Vec<u32>>,
}

impl SourceFile {
    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let mut starts = vec![0];
            let breaks = self
                .text
                .bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n');
            starts.extend(breaks.map(|(at, _)| clamp_to_u32(at + 1)));
            starts
        })
    }

    /// Returns the index of the line that holds a byte offset.
    fn line_index(&self, offset: u32) -> usize {
        self.line_starts()
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let index = self.line_index(clamp_to_u32(offset));
        let start = self.line_starts()[index] as usize;
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count());
        (index + 1, column + 1)
    }
}

fn clamp_to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// All texts that diagnostics may point into.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Makes an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that messages use for it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        let id = FileId(clamp_to_u32(self.files.len()));
        self.files.push(SourceFile {
            name: name.into(),
            text: text.into(),
            line_starts: OnceLock::new(),
        });
        id
    }

    /// Returns the ids of all texts, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..clamp_to_u32(self.files.len())).map(FileId)
    }

    /// Returns the name of a text.
    pub fn name(&self, file: FileId) -> &str {
        self.files
            .get(file.0 as usize)
            .map_or("<unknown>", |source| &source.name)
    }

    /// Returns a text; empty for an id of another map.
    pub fn text(&self, file: FileId) -> &str {
        self.files
            .get(file.0 as usize)
            .map_or("", |source| &source.text)
    }

    /// Returns a text that can be kept without copying.
    pub fn shared_text(&self, file: FileId) -> Arc<str> {
        self.files
            .get(file.0 as usize)
            .map_or_else(|| Arc::from(""), |source| Arc::clone(&source.text))
    }

    /// Puts asterisks in the place of all visible ASCII characters of a span,
    /// and of every byte of others, so that no finding can show them.
    pub fn mask(&mut self, span: Span) {
        let (start, end) = self.clamp(span);
        let Some(source) = self.files.get_mut(span.file.0 as usize) else {
            return;
        };
        let mut text = String::with_capacity(source.text.len());
        text.push_str(&source.text[..start]);
        for character in source.text[start..end].chars() {
            if character.is_ascii_whitespace() {
                text.push(character);
            } else {
                text.extend(std::iter::repeat_n('*', character.len_utf8()));
            }
        }
        text.push_str(&source.text[end..]);
        source.text = text.into();
    }

    /// Returns where a span is, for people.
    pub fn position(&self, span: Span) -> Position {
        let Some(source) = self.files.get(span.file.0 as usize) else {
            return Position {
                line: 1,
                column: 1,
                end_line: 1,
                end_column: 1,
            };
        };
        let (start, end) = self.clamp(span);
        let (line, column) = source.line_and_column(start);
        let (end_line, end_column) = source.line_and_column(end);
        Position {
            line,
            column,
            end_line,
            end_column,
        }
    }

    /// Returns the bytes of a span, moved inside its text and onto character
    /// boundaries, so that no renderer can fail on a wrong span.
    pub(crate) fn clamp(&self, span: Span) -> (usize, usize) {
        let text = self.text(span.file);
        let start = text.floor_char_boundary(span.start as usize);
        let end = text.ceil_char_boundary(span.end as usize).max(start);
        (start, end)
    }

    /// Returns the byte range of the lines from the one that holds `start` to
    /// the one that holds `end`, with `context` more on both sides, and the
    /// number of its first line.
    pub(crate) fn window(
        &self,
        file: FileId,
        start: usize,
        end: usize,
        context: usize,
    ) -> (std::ops::Range<usize>, usize) {
        let Some(source) = self.files.get(file.0 as usize) else {
            return (0..0, 1);
        };
        let starts = source.line_starts();
        let first = source
            .line_index(clamp_to_u32(start))
            .saturating_sub(context);
        let after = source.line_index(clamp_to_u32(end)) + context + 1;
        let until = starts
            .get(after)
            .map_or(source.text.len(), |next| *next as usize);
        (starts[first] as usize..until, first + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let mut sources = SourceMap::new();
        let file = sources.add("a.yaml", "é: 1\nb: ű\n");
        let position = sources.position(Span::new(file, 9, 11));
        assert_eq!(
            position,
            Position {
                line: 2,
                column: 4,
                end_line: 2,
                end_column: 5
            }
        );
    }

    #[test]
    fn masked_texts_keep_their_lines_and_places() {
        let mut sources = SourceMap::new();
        let file = sources.add("a.yaml", "a: sé\n  t\nb: 1\n");
        let before = sources.position(Span::new(file, 11, 12));
        sources.mask(Span::new(file, 3, 10));
        assert_eq!(sources.text(file), "a: ***\n  *\nb: 1\n");
        assert_eq!(sources.position(Span::new(file, 11, 12)), before);
        sources.mask(Span::new(FileId(9), 0, 5));
    }

    #[test]
    fn wrong_spans_are_moved_inside() {
        let mut sources = SourceMap::new();
        let file = sources.add("a.yaml", "é");
        assert_eq!(sources.clamp(Span::new(file, 1, 900)), (0, 2));
        assert_eq!(sources.position(Span::new(file, 900, 901)).column, 2);
        assert_eq!(sources.position(Span::new(FileId(7), 1, 2)).line, 1);
    }
}
