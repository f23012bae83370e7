//! Mistakes of the syntax in the words of people who write descriptors.

use std::ops::Range;

use zenekar_diagnostics::{Code, Diagnostic, FileId, Span, codes::document as codes};

use crate::offsets::to_u32;

/// The text around a mistake.
struct Scene<'t> {
    text: &'t str,
    /// What the parser said.
    info: &'t str,
    /// Where the parser stopped.
    at: usize,
    file: FileId,
}

/// Explains why the parser stopped at byte `at`.
pub(crate) fn explain(text: &str, info: &str, at: usize, file: FileId) -> Diagnostic {
    let scene = Scene {
        text,
        info,
        at: text.floor_char_boundary(at),
        file,
    };
    scene
        .by_characters()
        .or_else(|| scene.by_line())
        .or_else(|| scene.by_construct())
        .unwrap_or_else(|| scene.unexplained())
}

/// Returns the word at a place: up to white space or a bracket or comma.
pub(crate) fn word_at(text: &str, at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or("");
    let end = rest.find(|character: char| {
        character.is_whitespace() || matches!(character, ',' | '[' | ']' | '{' | '}')
    });
    at..at + end.unwrap_or(rest.len())
}

impl Scene<'_> {
    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.info.contains(word))
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.file, to_u32(range.start), to_u32(range.end))
    }

    fn error(
        &self,
        code: &'static Code,
        message: impl Into<String>,
        range: Range<usize>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.span(range))
    }

    fn line_at(&self, at: usize) -> Range<usize> {
        let start = self.text[..at].rfind('\n').map_or(0, |found| found + 1);
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |found| at + found);
        let line = &self.text[start..end];
        start..start + line.trim_end().len()
    }

    fn line_before(&self, line: &Range<usize>) -> Option<Range<usize>> {
        let mut start = line.start;
        while start > 0 {
            let before = self.line_at(start - 1);
            let content = self.text[before.clone()].trim_start();
            if !content.is_empty() && !content.starts_with('#') {
                return Some(before);
            }
            start = before.start;
        }
        None
    }

    /// Mistakes that a single character gives away.
    fn by_characters(&self) -> Option<Diagnostic> {
        let line = self.line_at(self.at);
        let content = &self.text[line.clone()];
        let indentation = content.len() - content.trim_start().len();
        if let Some(tab) = content[..indentation].find('\t') {
            let tabs = content[tab..indentation]
                .chars()
                .take_while(|character| *character == '\t')
                .count();
            let range = line.start + tab..line.start + tab + tabs;
            let diagnostic = self.error(
                &codes::TAB_INDENTATION,
                "a tab cannot indent",
                range.clone(),
            );
            return Some(diagnostic.fix(self.span(range), "  ".repeat(tabs)));
        }
        if self.says(&["byte order mark"]) {
            let end = self.text[self.at..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
            return Some(self.error(
                &codes::CONTROL_CHARACTER,
                "a byte order mark stands inside the text",
                self.at..self.at + end,
            ));
        }
        if self.says(&["recursion limit"]) {
            return Some(self.error(
                &codes::TOO_DEEP,
                "lists and mappings are nested too deeply",
                self.at..self.at + 1,
            ));
        }
        if self.says(&["unexpected character"]) {
            let character = self.text[self.at..].chars().next()?;
            let value =
                self.at..self.at + self.text[self.at..line.end.max(self.at)].trim_end().len();
            let diagnostic = self.error(
                &codes::RESERVED_CHARACTER,
                format!("`{character}` cannot start a value"),
                value.clone(),
            );
            return Some(diagnostic.fix(self.span(value.clone()), quoted(&self.text[value])));
        }
        None
    }

    /// Mistakes that a look at the line and the one before it gives away.
    fn by_line(&self) -> Option<Diagnostic> {
        let line = self.line_at(self.at);
        let before = self.line_before(&line);
        for candidate in [Some(line.clone()), before.clone()].into_iter().flatten() {
            if let Some(template) = unquoted_template(&self.text[candidate.clone()]) {
                let range = candidate.start + template.start..candidate.start + template.end;
                let diagnostic = Diagnostic::error(
                    &codes::UNQUOTED_TEMPLATE,
                    "a template at the start of a value must be quoted",
                )
                .labelled(
                    self.span(range.clone()),
                    "read as a mapping inside a mapping",
                );
                return Some(diagnostic.fix(self.span(range.clone()), quoted(&self.text[range])));
            }
        }
        let about_keys = [
            "mapping values are not allowed",
            "simple key expect",
            "did not find expected key",
            "simple key expected",
            "expected '-' indicator",
        ];
        if !self.says(&about_keys) {
            return None;
        }
        for candidate in [before.clone(), Some(line.clone())].into_iter().flatten() {
            if let Some(colon) = colon_without_space(&self.text[candidate.clone()]) {
                let at = candidate.start + colon;
                let word = self.text[candidate.clone()].trim().trim_start_matches("- ");
                let message = format!("no space after the colon in `{}`", shortened(word));
                let diagnostic = self.error(&codes::MISSING_SPACE, message, at..at + 1);
                return Some(diagnostic.fix(Span::empty(self.file, to_u32(at + 1)), " "));
            }
        }
        if self.says(&["mapping values are not allowed"])
            && let Some(value) = value_with_colon(&self.text[line.clone()])
        {
            let range = line.start + value.start..line.start + value.end;
            let diagnostic = Diagnostic::error(
                &codes::COLON_IN_VALUE,
                "a value with `: ` in it must be quoted",
            )
            .labelled(self.span(range.clone()), "looks like a further key");
            return Some(diagnostic.fix(self.span(range.clone()), quoted(&self.text[range])));
        }
        self.indentation(&line, before)
    }

    fn indentation(&self, line: &Range<usize>, before: Option<Range<usize>>) -> Option<Diagnostic> {
        let content = &self.text[line.clone()];
        let column = content.len() - content.trim_start().len();
        let (before_span, before_column) = match &before {
            Some(before) => (before.clone(), {
                let text = &self.text[before.clone()];
                text.len() - text.trim_start().len()
            }),
            None => return None,
        };
        let bare = !content.contains(": ")
            && !content.ends_with(':')
            && !content.trim_start().starts_with('-');
        if bare && self.says(&["simple key expect", "simple key expected"]) {
            return Some(self.key_without_value(line.start + column..line.end));
        }
        let before_text = self.text[before_span.clone()].trim_start();
        let before_bare = !before_text.contains(": ")
            && !before_text.ends_with(':')
            && !before_text.starts_with('-');
        if before_bare && before_column <= column && self.says(&["simple key expect"]) {
            return Some(
                self.key_without_value(before_span.start + before_column..before_span.end),
            );
        }
        if column == before_column && self.says(&["mapping values are not allowed"]) {
            return None;
        }
        let diagnostic = Diagnostic::error(
            &codes::INDENTATION,
            "the indentation of this line fits no block",
        )
        .labelled(
            self.span(line.start + column..line.end),
            format!("starts at column {}", column + 1),
        );
        let place = before_span.start + before_column..before_span.end;
        Some(diagnostic.also(
            self.span(place),
            format!("this starts at column {}", before_column + 1),
        ))
    }

    fn key_without_value(&self, range: Range<usize>) -> Diagnostic {
        let word = shortened(&self.text[range.clone()]);
        self.error(
            &codes::SYNTAX,
            format!("`{word}` is neither a key nor a value here"),
            range,
        )
        .help("a key is followed by `:` and a space")
    }

    /// Mistakes that the parser itself describes well enough.
    fn by_construct(&self) -> Option<Diagnostic> {
        let here = self.at
            ..self
                .text
                .ceil_char_boundary((self.at + 1).min(self.text.len()));
        if self.says(&[
            "quoted scalar, found unexpected",
            "invalid indentation in quoted scalar",
        ]) {
            let start = self.opening_quote().unwrap_or(self.at);
            let range = start..self.line_at(start).end.max(start);
            return Some(self.error(&codes::UNCLOSED_QUOTE, "this quote is never closed", range));
        }
        if self.says(&["trailing content after"]) {
            let range = self.at..self.line_at(self.at).end.max(self.at);
            let diagnostic = self.error(
                &codes::UNCLOSED_QUOTE,
                "text after the closing quote",
                range,
            );
            return Some(
                diagnostic
                    .help("put all of the value inside the quotes, and escape quotes inside it"),
            );
        }
        if self.says(&["escape", "hexadecimal"]) {
            let start = self.text[..self.at]
                .rfind('\\')
                .filter(|found| self.at - found <= 12)
                .unwrap_or(self.at);
            let end = self.text[start..]
                .char_indices()
                .nth(2)
                .map_or(self.text.len(), |(length, _)| start + length);
            let message = format!(
                "`{}` is not an escape",
                self.text[start..end]
                    .escape_debug()
                    .to_string()
                    .replace("\\\\", "\\")
            );
            return Some(
                self.error(&codes::INVALID_ESCAPE, message, start..end)
                    .help("write `\\\\` for a backslash, or use single quotes"),
            );
        }
        if self.says(&[
            "flow sequence",
            "flow mapping",
            "in flow construct",
            "unexpected end of plain scalar",
        ]) {
            let (start, bracket) = self.open_bracket()?;
            let closing = if bracket == '[' { ']' } else { '}' };
            let diagnostic = Diagnostic::error(
                &codes::UNCLOSED_BRACKET,
                format!("expected `,` or `{closing}`"),
            )
            .labelled(self.span(here), "found this instead")
            .also(self.span(start..start + 1), "the bracket opens here");
            return Some(diagnostic);
        }
        if self.says(&["misplaced bracket"]) {
            return Some(self.error(
                &codes::UNCLOSED_BRACKET,
                "a bracket closes that was never opened",
                here,
            ));
        }
        if self.says(&["block scalar", "wrongly indented line"]) {
            return Some(self.error(&codes::BLOCK_SCALAR, self.plain_info(), here));
        }
        if self.says(&["invalid indentation", "tab"]) {
            let line = self.line_at(self.at);
            return self.indentation(&line, self.line_before(&line));
        }
        None
    }

    fn unexplained(&self) -> Diagnostic {
        let end = self
            .text
            .ceil_char_boundary((self.at + 1).min(self.text.len()));
        self.error(&codes::SYNTAX, self.plain_info(), self.at..end)
    }

    /// Returns what the parser said without its internal surroundings.
    fn plain_info(&self) -> String {
        let info = match self.info.split_once(", ") {
            Some((context, rest)) if context.starts_with("while ") => rest,
            _ => self.info,
        };
        info.replace(['"', '\''], "`")
    }

    /// Finds the quote that opened the scalar in which the parser stopped.
    fn opening_quote(&self) -> Option<usize> {
        if self.text[self.at..].starts_with(['"', '\'']) {
            return Some(self.at);
        }
        let before = &self.text[..self.at];
        let candidates = before
            .char_indices()
            .rev()
            .filter(|(_, character)| matches!(character, '"' | '\''));
        candidates
            .map(|(at, _)| at)
            .find(|at| starts_value(&before[..*at]))
    }

    /// Finds the innermost bracket that is open where the parser stopped.
    fn open_bracket(&self) -> Option<(usize, char)> {
        let mut closed = 0usize;
        for (at, character) in self.text[..self.at].char_indices().rev() {
            match character {
                ']' | '}' => closed += 1,
                '[' | '{' if closed == 0 => return Some((at, character)),
                '[' | '{' => closed -= 1,
                _ => {}
            }
        }
        None
    }
}

/// Says whether a value may start after this text.
fn starts_value(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    let trimmed = line.trim_end();
    trimmed.is_empty()
        || trimmed.ends_with([',', '[', '{', '?'])
        || (trimmed.len() < line.len() && trimmed.ends_with([':', '-']))
}

/// Finds a value that starts with `{{` or `{%` and runs to the end of the line.
fn unquoted_template(line: &str) -> Option<Range<usize>> {
    let at = ["{{", "{%"]
        .iter()
        .filter_map(|opening| line.find(opening))
        .min()?;
    let before = &line[..at];
    let at_start = before.ends_with(": ")
        || before.ends_with("- ")
        || (before.trim().is_empty() && line[at..].starts_with("{{"));
    let value = line[at..].trim_end();
    at_start.then_some(at..at + value.len())
}

/// Finds the colon of `key:value`.
fn colon_without_space(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start_matches([' ', '-']).len();
    let colon = start + line[start..].find(':')?;
    let key = &line[start..colon];
    let is_key = !key.is_empty()
        && key
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'));
    let next = line[colon + 1..].chars().next()?;
    (is_key
        && !next.is_whitespace()
        && next != ':'
        && !line[colon..].starts_with("://")
        && !line.contains(": "))
    .then_some(colon)
}

/// Finds the value of `key: value: rest`.
fn value_with_colon(line: &str) -> Option<Range<usize>> {
    let start = line.find(": ")? + 2;
    let value = line[start..].trim();
    let plain = !value.starts_with(['"', '\'', '[', '{', '|', '>', '&', '*', '!']);
    let further = value.contains(": ") || value.ends_with(':');
    let start = start + (line[start..].len() - line[start..].trim_start().len());
    (plain && further).then_some(start..start + value.len())
}

/// Puts text in the quotes that need the fewest escapes.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains('"') && !text.contains('\'') {
        format!("'{text}'")
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// How much of a line a message quotes.
const QUOTED_CHARS_MAX: usize = 40;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
