//! Mistakes of the syntax in the words of people who write descriptors.
//!
//! The parser says in its own terms where it could not go on, which is often
//! behind the mistake. The text around that place mostly tells what was meant.

use std::ops::Range;

use zenekar_diagnostics::{Code, Diagnostic, FileId, Label, Span, codes::document as codes};

use crate::offsets::to_u32;

mod lines;

use lines::{colon_without_space, is_bare, shortened, unquoted_template, value_with_colon};
pub(crate) use lines::{indentation, quoted, starts_value, word_at};

/// How far back an open bracket or quote is looked for; longer lists and texts are written in block style.
const LOOK_BACK_BYTES_MAX: usize = 8 << 10;
/// The escapes of double quotes that have no digits.
const SIMPLE_ESCAPES: &str = "0abtnvfre \"/\\N_LP\t\n\r";

/// A mistake, and which line of the text has to go so that the rest can be read.
pub(crate) struct Mistake {
    pub(crate) diagnostic: Diagnostic,
    /// A place on that line.
    pub(crate) blame: usize,
    /// Says whether only the value on the line is broken, and its key is not.
    pub(crate) keeps_key: bool,
}

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
pub(crate) fn explain(text: &str, info: &str, at: usize, file: FileId) -> Mistake {
    let scene = Scene {
        text,
        info,
        at: text.floor_char_boundary(at),
        file,
    };
    let diagnostic = scene
        .by_template()
        .or_else(|| scene.by_character())
        .or_else(|| scene.by_bracket())
        .or_else(|| scene.by_quote())
        .or_else(|| scene.by_key())
        .or_else(|| scene.by_indentation())
        .unwrap_or_else(|| scene.by_words());
    let place = |label: &Label| label.span.start as usize;
    let primary = diagnostic.primary.as_ref().map_or(at, place);
    // An open bracket swallows the lines after it, so its own line is to blame.
    let opened = diagnostic
        .secondary
        .iter()
        .map(place)
        .min()
        .filter(|_| diagnostic.code == &codes::UNCLOSED_BRACKET);
    // Where the line itself is wrong, its key is no use either.
    let keeps_key = ![
        &codes::TAB_INDENTATION,
        &codes::INDENTATION,
        &codes::MISSING_SPACE,
    ]
    .contains(&diagnostic.code);
    Mistake {
        blame: opened.unwrap_or(primary),
        keeps_key,
        diagnostic,
    }
}

impl Scene<'_> {
    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.info.contains(word))
    }

    fn span(&self, range: &Range<usize>) -> Span {
        Span::new(self.file, to_u32(range.start), to_u32(range.end))
    }

    fn error(
        &self,
        code: &'static Code,
        message: impl Into<String>,
        range: &Range<usize>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.span(range))
    }

    /// Returns the text before the place at which the parser stopped, as far as it matters.
    fn before(&self) -> &str {
        let from = self
            .text
            .ceil_char_boundary(self.at.saturating_sub(LOOK_BACK_BYTES_MAX));
        &self.text[from..self.at]
    }

    /// Returns the character at which the parser stopped.
    fn here(&self) -> Range<usize> {
        let length = self.text[self.at..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        self.at..self.at + length
    }

    /// Returns the line around a place, without white space at its end.
    fn line_at(&self, at: usize) -> Range<usize> {
        let start = self.text[..at].rfind('\n').map_or(0, |found| found + 1);
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |found| at + found);
        start..start + self.text[start..end].trim_end().len()
    }

    /// Returns the last line with content before a line.
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

    /// Returns a line without its indentation.
    fn content(&self, line: &Range<usize>) -> Range<usize> {
        line.start + indentation(&self.text[line.clone()])..line.end
    }

    /// A template on this line or the one before that YAML takes for brackets.
    fn by_template(&self) -> Option<Diagnostic> {
        let line = self.line_at(self.at);
        let before = self.line_before(&line);
        [Some(line), before].into_iter().flatten().find_map(|line| {
            let template = unquoted_template(&self.text[line.clone()])?;
            let range = line.start + template.start..line.start + template.end;
            if self.content(&line) == range {
                let diagnostic = self.error(&codes::UNQUOTED_TEMPLATE, "a template cannot stand between the lines of YAML", &range);
                return Some(diagnostic.help("templates are rendered inside values only: in quotes, or in a text block after `|`"));
            }
            let diagnostic = Diagnostic::error(&codes::UNQUOTED_TEMPLATE, "a template at the start of a value must be quoted")
                .labelled(self.span(&range), "read as a mapping");
            Some(diagnostic.fix(self.span(&range), quoted(&self.text[range])))
        })
    }

    /// Returns the first tabs of the indentation of a line.
    fn tabs(&self, line: &Range<usize>) -> Option<Range<usize>> {
        let content = self.content(line);
        let start = line.start + self.text[line.start..content.start].find('\t')?;
        let count = self.text[start..content.start]
            .bytes()
            .take_while(|byte| *byte == b'\t')
            .count();
        (!content.is_empty()).then_some(start..start + count)
    }

    /// Mistakes that a single character gives away.
    fn by_character(&self) -> Option<Diagnostic> {
        let line = self.line_at(self.at);
        // A tab may also look like the continuation of the line before it.
        let next = self.text[self.at..]
            .find('\n')
            .map(|found| self.line_at(self.at + found + 1));
        if let Some(tabs) = [Some(line.clone()), next]
            .into_iter()
            .flatten()
            .find_map(|line| self.tabs(&line))
        {
            let width = "  ".repeat(tabs.len());
            return Some(
                self.error(&codes::TAB_INDENTATION, "a tab cannot indent", &tabs)
                    .fix(self.span(&tabs), width),
            );
        }
        if self.says(&["byte order mark"]) {
            return Some(self.error(
                &codes::CONTROL_CHARACTER,
                "a byte order mark stands inside the text",
                &self.here(),
            ));
        }
        if self.says(&["recursion limit"]) {
            return Some(self.error(
                &codes::TOO_DEEP,
                "lists and mappings are nested too deeply",
                &self.here(),
            ));
        }
        if self.says(&["unexpected character"]) {
            let value = self.at..line.end.max(self.at);
            let message = match self.text[self.at..].chars().next()? {
                '`' => "a backtick cannot start a value".to_owned(),
                other => format!("`{other}` cannot start a value"),
            };
            let diagnostic = self.error(&codes::RESERVED_CHARACTER, message, &value);
            return Some(diagnostic.fix(self.span(&value), quoted(&self.text[value])));
        }
        None
    }

    /// A bracket before this place that is still open, or a closing one without its partner.
    fn by_bracket(&self) -> Option<Diagnostic> {
        if self.says(&["misplaced bracket"]) {
            return Some(self.error(
                &codes::UNCLOSED_BRACKET,
                "a bracket closes that was never opened",
                &self.here(),
            ));
        }
        if self.says(&["quoted scalar", "double-quoted", "escape"]) {
            return None;
        }
        let start = self.outermost_bracket()?;
        let closing = if self.text[start..].starts_with('[') {
            ']'
        } else {
            '}'
        };
        let line = self.line_at(start);
        let opened = self.span(&(start..start + 1));
        if (line.start..line.end).contains(&self.at) {
            let diagnostic = Diagnostic::error(
                &codes::UNCLOSED_BRACKET,
                format!("expected `,` or `{closing}`"),
            );
            return Some(
                diagnostic
                    .labelled(self.span(&self.here()), "found this instead")
                    .also(opened, "the bracket opens here"),
            );
        }
        let diagnostic = self.error(
            &codes::UNCLOSED_BRACKET,
            format!("this bracket is not closed by `{closing}`"),
            &(start..line.end),
        );
        Some(diagnostic)
    }

    /// Finds the outermost bracket at the start of a value that is open where the parser stopped.
    fn outermost_bracket(&self) -> Option<usize> {
        let before = self.before();
        let mut open: Vec<usize> = Vec::new();
        let from = self.at - before.len();
        for (offset, character) in before.char_indices() {
            let at = from + offset;
            match character {
                '[' | '{' if !open.is_empty() || starts_value(&before[..offset]) => open.push(at),
                ']' | '}' => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.first().copied()
    }

    /// Quotes and the escapes inside them.
    fn by_quote(&self) -> Option<Diagnostic> {
        if self.says(&[
            "quoted scalar, found unexpected",
            "invalid indentation in quoted scalar",
        ]) {
            let start = self.opening_quote().unwrap_or(self.at);
            let range = start..self.line_at(start).end.max(start);
            if self.says(&["unknown escape"]) {
                return None;
            }
            return Some(self.error(&codes::UNCLOSED_QUOTE, "this quote is never closed", &range));
        }
        if self.says(&["trailing content after"]) {
            let range = self.at..self.line_at(self.at).end.max(self.at);
            let single = self.text[..self.at].trim_end().ends_with('\'');
            let escape = if single {
                "inside single quotes, write a quote twice: `''`"
            } else {
                "inside double quotes, write a quote as `\\\"`"
            };
            let diagnostic = self.error(
                &codes::UNCLOSED_QUOTE,
                "text after the closing quote",
                &range,
            );
            return Some(
                diagnostic
                    .help("put all of the value inside the quotes")
                    .help(escape),
            );
        }
        if self.says(&["escape", "hexadecimal"]) {
            let range = self.bad_escape().unwrap_or_else(|| self.here());
            let message = format!("`{}` is not an escape", &self.text[range.clone()]);
            return Some(
                self.error(&codes::INVALID_ESCAPE, message, &range)
                    .help("write `\\\\` for a backslash, or use single quotes"),
            );
        }
        None
    }

    /// Finds the quote that opened the scalar in which the parser stopped.
    fn opening_quote(&self) -> Option<usize> {
        if self.text[self.at..].starts_with(['"', '\'']) {
            return Some(self.at);
        }
        let before = self.before();
        let from = self.at - before.len();
        let quotes = before
            .char_indices()
            .rev()
            .filter(|(_, character)| matches!(character, '"' | '\''));
        quotes
            .map(|(at, _)| at)
            .find(|at| starts_value(&before[..*at]))
            .map(|at| from + at)
    }

    /// Finds the first escape that does not exist in the double-quoted scalar at this place.
    fn bad_escape(&self) -> Option<Range<usize>> {
        let start = self.opening_quote()?;
        let mut characters = self.text[start..].char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            if character != '\\' {
                continue;
            }
            let (escaped_at, escaped) = characters.next()?;
            let digits = match escaped {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ if SIMPLE_ESCAPES.contains(escaped) => 0,
                _ => return Some(start + offset..start + escaped_at + escaped.len_utf8()),
            };
            let rest = &self.text[start + escaped_at + 1..];
            let code: String = rest
                .chars()
                .take(digits)
                .take_while(char::is_ascii_hexdigit)
                .collect();
            let exists = code.len() == digits
                && u32::from_str_radix(&code, 16)
                    .ok()
                    .and_then(char::from_u32)
                    .is_some();
            if digits > 0 && !exists {
                let wrong = rest[code.len()..].chars().next().map_or(0, char::len_utf8);
                return Some(start + offset..start + escaped_at + 1 + code.len() + wrong);
            }
        }
        None
    }

    /// Says whether the parser missed a key or found one too many.
    fn is_about_keys(&self) -> bool {
        self.says(&[
            "mapping values are not allowed",
            "simple key expect",
            "did not find expected key",
            "expected '-' indicator",
            "sequence entries are not allowed",
        ])
    }

    /// Keys and their colons.
    fn by_key(&self) -> Option<Diagnostic> {
        if !self.is_about_keys() {
            return None;
        }
        let line = self.line_at(self.at);
        let before = self.line_before(&line);
        for candidate in [before.clone(), Some(line.clone())].into_iter().flatten() {
            if let Some(colon) = colon_without_space(&self.text[candidate.clone()]) {
                let at = candidate.start + colon;
                let word = self.text[candidate].trim().trim_start_matches("- ");
                let diagnostic = self.error(
                    &codes::MISSING_SPACE,
                    format!("no space after the colon in `{}`", shortened(word)),
                    &(at..at + 1),
                );
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
            .labelled(self.span(&range), "looks like a further key");
            return Some(diagnostic.fix(self.span(&range), quoted(&self.text[range])));
        }
        if !self.says(&["simple key expect"]) {
            return None;
        }
        let bare = [Some(line), before]
            .into_iter()
            .flatten()
            .find(|line| is_bare(&self.text[line.clone()]))?;
        let range = self.content(&bare);
        let word = shortened(&self.text[range.clone()]);
        let diagnostic = self.error(
            &codes::SYNTAX,
            format!("`{word}` is neither a key nor a value here"),
            &range,
        );
        Some(diagnostic.help("a key is followed by `:` and a space"))
    }

    /// A line whose indentation differs from all lines that it could belong to.
    fn by_indentation(&self) -> Option<Diagnostic> {
        if !self.is_about_keys() && !self.says(&["invalid indentation", "tab"]) {
            return None;
        }
        let line = self.content(&self.line_at(self.at));
        let before = self.content(&self.line_before(&self.line_at(self.at))?);
        let column = |range: &Range<usize>| range.start - self.line_at(range.start).start;
        if column(&line) == column(&before) {
            return None;
        }
        let diagnostic = Diagnostic::error(
            &codes::INDENTATION,
            "the indentation of this line fits no block",
        )
        .labelled(
            self.span(&line),
            format!("starts at column {}", column(&line) + 1),
        );
        Some(diagnostic.also(
            self.span(&before),
            format!("this starts at column {}", column(&before) + 1),
        ))
    }

    /// What the parser said, without what it says about itself.
    fn by_words(&self) -> Diagnostic {
        if self.says(&["handle wasn't declared"]) {
            let range = word_at(self.text, self.at);
            return self.error(
                &codes::UNKNOWN_TAG,
                format!("unknown tag `{}`", &self.text[range.clone()]),
                &range,
            );
        }
        let info = match self.info.split_once(", ") {
            Some((context, rest)) if context.starts_with("while ") => rest,
            _ => self.info,
        };
        let code = if self.says(&["block scalar", "wrongly indented line"]) {
            &codes::BLOCK_SCALAR
        } else {
            &codes::SYNTAX
        };
        self.error(code, info.replace(['"', '\''], "`"), &self.here())
    }
}
