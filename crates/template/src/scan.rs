//! A first look at the text of a template, before the template library sees it.
//!
//! It finds the tags, keeps what the library would follow with the machine's
//! stack within bounds (the library bounds brackets and blocks, but not long
//! chains such as `a+a+a…`), and wraps what `set` tags assign in a filter that
//! keeps values from growing without limit (see [`crate::filters::bounded`]).

use std::ops::Range;

use crate::error::{ErrorKind, TemplateError};

/// The longest template in bytes. Rendered user data is limited by clouds to
/// tens of kilobytes, so that this leaves two orders of magnitude.
pub const SOURCE_BYTES_MAX: usize = 4 << 20;
/// How deep brackets may be nested inside one tag. With [`FRAMES_MAX`] it
/// bounds how deep a value can be nested: dropping one takes the stack.
pub const BRACKETS_MAX: usize = 16;
/// How many operators, filters and members may be chained inside one tag.
pub const CHAIN_MAX: usize = 160;
/// How many filters that put lists into lists may stand inside one tag.
pub const NESTING_FILTERS_MAX: usize = 4;
/// How deep blocks may be nested, the `elif`s of open blocks included.
pub const BLOCKS_MAX: usize = 64;
/// How deep scopes may be nested while rendering; a call of a macro counts as four.
pub const FRAMES_MAX: usize = 64;

/// The filter that `set` tags pass their value through.
pub(crate) const BOUNDED_FILTER: &str = "zenekar_bounded";

/// The text that the template library gets, and the way back to the original.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rewritten {
    /// The text with line ends as `\n` and with the insertions made.
    pub(crate) text: String,
    /// Says whether there is no tag at all.
    pub(crate) plain: bool,
    /// The tag that opens the innermost block that nothing closes, in the original source.
    pub(crate) unclosed: Option<Range<usize>>,
    /// Where the texts part: from `rewritten` on, `original` is the matching place.
    anchors: Vec<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    rewritten: usize,
    original: usize,
}

impl Rewritten {
    /// Returns the place in the original source that matches one in the rewritten text.
    pub(crate) fn original(&self, rewritten: usize) -> usize {
        let at = self
            .anchors
            .partition_point(|anchor| anchor.rewritten <= rewritten);
        let Some(anchor) = at.checked_sub(1).and_then(|index| self.anchors.get(index)) else {
            return rewritten;
        };
        let mut original = anchor.original + (rewritten - anchor.rewritten);
        if let Some(next) = self.anchors.get(at) {
            // Inside an insertion there is no matching place: its end is taken.
            original = original.min(next.original);
        }
        original
    }

    /// Returns the span of a line, counted from 1, in the original source.
    pub(crate) fn line_span(&self, line: usize) -> Range<usize> {
        let start = match line.saturating_sub(1) {
            0 => 0,
            breaks => self
                .text
                .match_indices('\n')
                .nth(breaks - 1)
                .map_or(self.text.len(), |(at, _)| at + 1),
        };
        let end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |length| start + length);
        self.original(start)..self.original(end)
    }
}

/// Looks through a template; an error names a limit that it breaks.
pub(crate) fn scan(source: &str) -> Result<Rewritten, TemplateError> {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!(
            "the template has {} bytes, which is more than the {SOURCE_BYTES_MAX} allowed",
            source.len()
        );
        return Err(TemplateError::new(ErrorKind::Syntax, message, source, 0..0));
    }
    let mut scanner = Scanner {
        source,
        at: 0,
        blocks: Vec::new(),
        insertions: Vec::new(),
        plain: true,
    };
    scanner.run()?;
    let unclosed = scanner.blocks.pop().map(|block| block.tag);
    Ok(Rewritten {
        plain: scanner.plain,
        unclosed,
        ..rewrite(source, &scanner.insertions)
    })
}

/// Applies the insertions and makes all line ends `\n`, as Jinja2 does.
fn rewrite(source: &str, insertions: &[(usize, String)]) -> Rewritten {
    let mut text = String::with_capacity(source.len() + 64);
    let mut anchors = Vec::new();
    let mut pending = insertions.iter().peekable();
    let mut copied = 0;
    let bytes = source.as_bytes();
    let mut at = 0;
    loop {
        while let Some((_, inserted)) = pending.next_if(|(place, _)| *place == at) {
            text.push_str(&source[copied..at]);
            copied = at;
            text.push_str(inserted);
            anchors.push(Anchor {
                rewritten: text.len(),
                original: at,
            });
        }
        if at >= bytes.len() {
            break;
        }
        if bytes[at] == b'\r' {
            text.push_str(&source[copied..at]);
            text.push('\n');
            at += if bytes.get(at + 1) == Some(&b'\n') {
                2
            } else {
                1
            };
            copied = at;
            anchors.push(Anchor {
                rewritten: text.len(),
                original: at,
            });
        } else {
            at += 1;
        }
    }
    text.push_str(&source[copied..]);
    Rewritten {
        text,
        anchors,
        ..Rewritten::default()
    }
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    /// The open blocks, innermost last.
    blocks: Vec<Block>,
    insertions: Vec<(usize, String)>,
    plain: bool,
}

struct Block {
    /// One more than the number of its `elif`s and `else`s.
    branches: usize,
    /// The tag that opens it.
    tag: Range<usize>,
}

/// What is counted while one tag is read.
#[derive(Default)]
struct Tag<'a> {
    name: &'a str,
    /// Where the value of a `set` tag starts.
    value_at: Option<usize>,
    /// Whether the target of a `set` tag is a member of a namespace.
    member: bool,
    /// The operators so far: one count for the tag and one for each open bracket.
    chains: Vec<usize>,
    nesting_filters: usize,
    words: usize,
    after_pipe: bool,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) -> Result<(), TemplateError> {
        while let Some(found) = self.source[self.at..].find('{') {
            self.at += found;
            match self.source.as_bytes().get(self.at + 1) {
                Some(b'#') => {
                    self.plain = false;
                    let Some(end) = self.source[self.at + 2..].find("#}") else {
                        return Ok(());
                    };
                    self.at += 2 + end + 2;
                }
                Some(b'{') => self.tag(*b"}}", false)?,
                Some(b'%') => {
                    if !self.skip_raw() {
                        self.tag(*b"%}", true)?;
                    }
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    /// Skips a whole `raw` block if one starts here.
    fn skip_raw(&mut self) -> bool {
        let Some(mut end) = self.basic_tag(self.at, "raw") else {
            return false;
        };
        self.plain = false;
        while let Some(found) = self.source[end..].find("{%") {
            if let Some(closed) = self.basic_tag(end + found, "endraw") {
                self.at = closed;
                return true;
            }
            end += found + 2;
        }
        self.at = self.source.len();
        true
    }

    /// Returns the end of the tag `{% name %}` if it starts at `start`.
    fn basic_tag(&self, start: usize, name: &str) -> Option<usize> {
        let rest = self.source[start..].strip_prefix("{%")?;
        let rest = rest
            .strip_prefix(['-', '+'])
            .unwrap_or(rest)
            .trim_start()
            .strip_prefix(name)?
            .trim_start();
        let rest = rest
            .strip_prefix(['-', '+'])
            .unwrap_or(rest)
            .strip_prefix("%}")?;
        Some(self.source.len() - rest.len())
    }

    fn tag(&mut self, end: [u8; 2], statement: bool) -> Result<(), TemplateError> {
        self.plain = false;
        let start = self.at;
        self.at += 2;
        let bytes = self.source.as_bytes();
        let mut tag = Tag {
            chains: vec![0],
            ..Tag::default()
        };
        while self.at < bytes.len() {
            if tag.chains.len() == 1 && self.ends_here(end) {
                self.close(&tag, start, statement)?;
                self.at += if matches!(bytes[self.at], b'-' | b'+') {
                    3
                } else {
                    2
                };
                return Ok(());
            }
            self.token(&mut tag, statement);
            self.check(&tag, start)?;
        }
        Ok(())
    }

    fn ends_here(&self, end: [u8; 2]) -> bool {
        let rest = &self.source.as_bytes()[self.at..];
        let rest = if matches!(rest.first(), Some(b'-' | b'+')) {
            &rest[1..]
        } else {
            rest
        };
        rest.starts_with(&end)
    }

    fn token(&mut self, tag: &mut Tag<'a>, statement: bool) {
        let bytes = self.source.as_bytes();
        let byte = bytes[self.at];
        let after_pipe = tag.after_pipe;
        if !byte.is_ascii_whitespace() {
            tag.after_pipe = byte == b'|';
        }
        match byte {
            b'"' | b'\'' => return self.skip_string(byte),
            b'(' | b'[' | b'{' => {
                tag.count();
                tag.chains.push(0);
            }
            b')' | b']' | b'}' if tag.chains.len() > 1 => {
                tag.chains.pop();
            }
            b',' => {
                if let Some(count) = tag.chains.last_mut() {
                    *count = 0;
                }
            }
            b'=' => self.equals(tag),
            b'.' | b'|' | b'+' | b'-' | b'*' | b'/' | b'%' | b'~' => tag.count(),
            byte if byte == b'_' || byte.is_ascii_alphabetic() => {
                return self.word(tag, statement, after_pipe);
            }
            _ => {}
        }
        self.at += 1;
    }

    /// Notes where the value of a `set` tag starts, and passes over `==`.
    fn equals(&mut self, tag: &mut Tag<'a>) {
        if self.source.as_bytes().get(self.at + 1) == Some(&b'=') {
            self.at += 1;
        } else if tag.name == "set" && tag.chains.len() == 1 && tag.value_at.is_none() {
            tag.value_at = Some(self.at + 1);
            // A dot in front of the equal sign names a member of a namespace.
            tag.member = tag.chains[0] > 0;
        }
    }

    fn word(&mut self, tag: &mut Tag<'a>, statement: bool, after_pipe: bool) {
        let rest = &self.source[self.at..];
        let length = rest
            .find(|character: char| character != '_' && !character.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let word = &rest[..length];
        if tag.words == 0 && statement {
            tag.name = word;
        }
        tag.words += 1;
        if matches!(word, "and" | "or" | "not" | "if" | "else" | "is" | "in") {
            tag.count();
        }
        let nests = matches!(
            word,
            "batch" | "chain" | "dictsort" | "groupby" | "items" | "slice" | "zip"
        );
        if nests && (after_pipe || word == "items") {
            tag.nesting_filters += 1;
        }
        self.at += length;
    }

    fn skip_string(&mut self, quote: u8) {
        let bytes = self.source.as_bytes();
        self.at += 1;
        while self.at < bytes.len() {
            match bytes[self.at] {
                b'\\' => self.at += 2,
                byte if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = bytes.len();
    }

    fn check(&self, tag: &Tag<'a>, start: usize) -> Result<(), TemplateError> {
        let refuse = |what: &str, limit: usize| {
            let end = self.at.min(self.source.len());
            Err(TemplateError::new(
                ErrorKind::Syntax,
                format!("{what}: at most {limit} are allowed"),
                self.source,
                start..end,
            ))
        };
        if tag.chains.len() > BRACKETS_MAX + 1 {
            refuse("too many brackets within each other", BRACKETS_MAX)
        } else if tag.chains.iter().sum::<usize>() > CHAIN_MAX {
            refuse("too many operators in one expression", CHAIN_MAX)
        } else if tag.nesting_filters > NESTING_FILTERS_MAX {
            refuse(
                "too many grouping filters in one expression",
                NESTING_FILTERS_MAX,
            )
        } else {
            Ok(())
        }
    }

    fn close(&mut self, tag: &Tag<'a>, start: usize, statement: bool) -> Result<(), TemplateError> {
        if let Some(value_at) = tag.value_at {
            self.insertions.push((value_at, "(".to_owned()));
            let argument = if tag.member { "(true)" } else { "" };
            self.insertions
                .push((self.at, format!(")|{BOUNDED_FILTER}{argument}")));
        }
        if !statement {
            return Ok(());
        }
        match tag.name {
            "set" if tag.value_at.is_some() => {}
            "if" | "for" | "with" | "macro" | "call" | "filter" | "block" | "set"
            | "autoescape" => {
                self.blocks.push(Block {
                    branches: 1,
                    tag: start..self.at + 2,
                });
            }
            "elif" | "else" => {
                if let Some(block) = self.blocks.last_mut() {
                    block.branches += 1;
                }
            }
            name if name.starts_with("end") => {
                self.blocks.pop();
            }
            _ => {}
        }
        if self
            .blocks
            .iter()
            .map(|block| block.branches)
            .sum::<usize>()
            > BLOCKS_MAX
        {
            let message = format!(
                "too many blocks and branches within each other: at most {BLOCKS_MAX} are allowed"
            );
            return Err(TemplateError::new(
                ErrorKind::Syntax,
                message,
                self.source,
                start..self.at,
            ));
        }
        Ok(())
    }
}

impl Tag<'_> {
    fn count(&mut self) {
        if let Some(count) = self.chains.last_mut() {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> String {
        scan(source)
            .expect("the template is within the limits")
            .text
    }

    #[test]
    fn only_assignments_are_rewritten() {
        assert_eq!(
            rewritten("{% set a = 1 -%}"),
            "{% set a =( 1 )|zenekar_bounded-%}"
        );
        assert_eq!(
            rewritten("{% set n.a = 1 %}"),
            "{% set n.a =( 1 )|zenekar_bounded(true)%}"
        );
        for same in [
            "{% set a %}x{% endset %}",
            "{{ f(a=1) }}",
            "{% raw %}{% set a = 1 %}{% endraw %}",
            "{# {% set a = 1 %} #}",
            "a = 1",
        ] {
            assert_eq!(rewritten(same), same);
        }
    }

    #[test]
    fn tags_end_where_the_library_sees_their_end() {
        for source in [
            "{{ {'a': {'b': 1}} }}{% set a = 1 %}",
            "{{ '}}' }}{% set a = 1 %}",
            "{{ \"\\\"}}\" }}{% set a = 1 %}",
        ] {
            assert!(
                rewritten(source).ends_with("{% set a =( 1 )|zenekar_bounded%}"),
                "{source}"
            );
        }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        let source = "a\r\nb{% set x = y %}\r\nc";
        let found = scan(source).expect("the template is within the limits");
        for name in ["x", "y", "c", "b{%"] {
            let (old, new) = (
                source.find(name).expect("in the source"),
                found.text.find(name).expect("in the text"),
            );
            assert_eq!(found.original(new), old, "{name}");
        }
        assert_eq!(&source[found.line_span(3)], "c");
    }

    #[test]
    fn limits_are_named() {
        let chain = format!("{{{{ 1{} }}}}", "+1".repeat(CHAIN_MAX + 1));
        assert_eq!(
            scan(&chain).unwrap_err().message,
            "too many operators in one expression: at most 160 are allowed"
        );
        let branches = format!(
            "{{% if a %}}{}{{% endif %}}",
            "{% elif b %}".repeat(BLOCKS_MAX)
        );
        assert_eq!(
            scan(&branches).unwrap_err().message,
            "too many blocks and branches within each other: at most 64 are allowed"
        );
        let list = format!("{{{{ [{}] }}}}", "1.5, ".repeat(10_000));
        assert!(scan(&list).is_ok());
    }
}
