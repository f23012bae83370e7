//! What is between a bracket and its end, token by token.
//!
//! Only what means the same to every reader of YAML is understood. Where
//! readers differ, the scanner stops rather than to guess.

use std::ops::Range;

/// The longest key without `?`, as YAML has it.
const KEY_BYTES_MAX: usize = 1024;

/// How deep brackets are followed; the loader allows no more levels.
const DEPTH_MAX: usize = 128;

/// White space with a line break, a comment or a quoted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What stands between two tokens.
    Between(Range<usize>),
    /// What stands between two words of one text.
    Inside(Range<usize>),
    /// A text in quotes.
    Quoted(Range<usize>),
}

/// Why a text in brackets was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A key and its colon are not on the same line.
    KeyOverLines(Range<usize>),
    /// A colon in a list, with no key before it.
    NoKey(Range<usize>),
    /// A tab at the start of a line.
    Tab(Range<usize>),
    /// Readers may differ, or it is no YAML.
    Doubtful,
}

/// Brackets that were read to their end.
#[derive(Debug)]
pub(crate) struct Brackets {
    pub(crate) end: usize,
    pub(crate) pieces: Vec<Piece>,
}

/// One open bracket.
struct Level {
    is_list: bool,
    /// Where the node began that may turn out to be a key.
    node_start: Option<usize>,
    /// What is complete since the last comma or colon.
    node: Complete,
    has_colon: bool,
}

/// A node that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complete {
    Nothing,
    Quoted,
    Other,
}

struct Scanner<'t> {
    text: &'t str,
    /// The same text with all of its line breaks, byte for byte.
    lines: &'t str,
    at: usize,
    levels: Vec<Level>,
    pieces: Vec<Piece>,
}

/// Reads the brackets at a place. `lines` is the text as it was before line
/// breaks were taken out of it.
pub(crate) fn scan(
    text: &str,
    lines: &str,
    at: usize,
    length_max: usize,
) -> Result<Brackets, Problem> {
    let end = text.floor_char_boundary(at.saturating_add(length_max).min(text.len()));
    let mut scanner = Scanner {
        text: &text[..end],
        lines,
        at,
        levels: Vec::new(),
        pieces: Vec::new(),
    };
    loop {
        scanner.token()?;
        if scanner.levels.is_empty() {
            return Ok(Brackets {
                end: scanner.at,
                pieces: scanner.pieces,
            });
        }
        scanner.blanks()?;
    }
}

/// Says whether a text has a line break that not all readers take for one.
pub(crate) fn has_odd_break(text: &str) -> bool {
    let lone =
        |(at, byte): (usize, u8)| byte == b'\r' && text.as_bytes().get(at + 1) != Some(&b'\n');
    text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'])
        || text.bytes().enumerate().any(lone)
}

impl Scanner<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn is_blank(&self, at: usize) -> bool {
        self.byte(at)
            .is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
    }

    fn is_indicator(&self, at: usize) -> bool {
        self.byte(at).is_some_and(|byte| b",[]{}".contains(&byte))
    }

    /// Reads one token.
    fn token(&mut self) -> Result<(), Problem> {
        let start = self.at;
        match self.byte(start).ok_or(Problem::Doubtful)? {
            open @ (b'[' | b'{') => {
                self.node_starts()?;
                if self.levels.len() >= DEPTH_MAX {
                    return Err(Problem::Doubtful);
                }
                self.levels.push(Level {
                    is_list: open == b'[',
                    node_start: None,
                    node: Complete::Nothing,
                    has_colon: false,
                });
                self.at += 1;
            }
            close @ (b']' | b'}') => {
                let level = self.levels.pop().ok_or(Problem::Doubtful)?;
                let has_loose_properties =
                    level.node_start.is_some() && level.node == Complete::Nothing;
                if level.is_list != (close == b']') || has_loose_properties {
                    return Err(Problem::Doubtful);
                }
                self.at += 1;
                self.node_ends(Complete::Other);
            }
            b',' => self.comma()?,
            b':' => self.colon()?,
            b'"' | b'\'' => {
                self.node_starts()?;
                let length = quoted_length(&self.text[start..]).ok_or(Problem::Doubtful)?;
                self.at += length;
                if has_odd_break(&self.text[start..self.at]) {
                    return Err(Problem::Doubtful);
                }
                self.pieces.push(Piece::Quoted(start..self.at));
                self.node_ends(Complete::Quoted);
            }
            b'&' | b'!' | b'*' => self.property()?,
            b'-' if self.is_blank(start + 1) => return Err(Problem::Doubtful),
            b'?' | b'|' | b'>' | b'%' | b'@' | b'`' | b'#' | b'\t' => {
                return Err(Problem::Doubtful);
            }
            _ => {
                self.node_starts()?;
                self.words()?;
                self.node_ends(Complete::Other);
            }
        }
        Ok(())
    }

    /// Notes where a node begins; two of them do not follow each other.
    fn node_starts(&mut self) -> Result<(), Problem> {
        let at = self.at;
        match self.levels.last_mut() {
            Some(level) if level.node != Complete::Nothing => Err(Problem::Doubtful),
            Some(level) => {
                level.node_start.get_or_insert(at);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn node_ends(&mut self, node: Complete) {
        if let Some(level) = self.levels.last_mut() {
            level.node = node;
        }
    }

    fn comma(&mut self) -> Result<(), Problem> {
        self.at += 1;
        let level = self.levels.last_mut().ok_or(Problem::Doubtful)?;
        let has_node = level.node != Complete::Nothing;
        if !has_node && (level.node_start.is_some() || !level.has_colon) {
            return Err(Problem::Doubtful);
        }
        (level.node_start, level.node, level.has_colon) = (None, Complete::Nothing, false);
        Ok(())
    }

    fn colon(&mut self) -> Result<(), Problem> {
        let at = self.at;
        let is_followed = self.is_blank(at + 1);
        let is_tight = !is_followed && !self.is_indicator(at + 1);
        let level = self.levels.last_mut().ok_or(Problem::Doubtful)?;
        // `{"a":1}`, as in JSON; in a list readers differ.
        let is_json = is_tight && !level.is_list && level.node == Complete::Quoted;
        let start = level.node_start.take();
        if is_followed && level.is_list && start.is_none() {
            return Err(Problem::NoKey(at..at + 1));
        }
        if !(is_followed || is_json) || level.node == Complete::Nothing || level.has_colon {
            return Err(Problem::Doubtful);
        }
        let start = start.ok_or(Problem::Doubtful)?;
        (level.node, level.has_colon) = (Complete::Nothing, true);
        if self.lines.as_bytes()[start..at].contains(&b'\n') {
            return Err(Problem::KeyOverLines(start..at));
        }
        if at - start > KEY_BYTES_MAX {
            return Err(Problem::Doubtful);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an anchor, a tag or an alias.
    fn property(&mut self) -> Result<(), Problem> {
        self.node_starts()?;
        let start = self.at;
        let kind = self.byte(start);
        let is_tag = kind == Some(b'!');
        let is_name = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || b"-_".contains(&byte)
                || is_tag && b"!/.:".contains(&byte)
        };
        self.at += 1;
        while self.byte(self.at).is_some_and(is_name) {
            self.at += 1;
        }
        let is_alias = kind == Some(b'*');
        let is_named = is_tag || self.at > start + 1;
        let is_end = self.is_blank(self.at) || is_alias && self.is_indicator(self.at);
        if !is_named || !is_end || self.text[start..self.at].ends_with(':') {
            return Err(Problem::Doubtful);
        }
        if is_alias {
            self.node_ends(Complete::Other);
        }
        Ok(())
    }

    /// Reads a text without quotes.
    fn words(&mut self) -> Result<(), Problem> {
        loop {
            let start = self.at;
            while !self.is_blank(self.at) && !self.is_indicator(self.at) {
                if self.byte(self.at) == Some(b':') {
                    if self.is_blank(self.at + 1) {
                        break;
                    }
                    if self.is_indicator(self.at + 1) {
                        return Err(Problem::Doubtful);
                    }
                }
                self.at += 1;
            }
            if has_odd_break(&self.text[start..self.at]) {
                return Err(Problem::Doubtful);
            }
            let gap = self.white_space()?;
            let next = self.byte(self.at).ok_or(Problem::Doubtful)?;
            let is_value = next == b':' && self.is_blank(self.at + 1);
            if gap.is_empty() || self.is_indicator(self.at) || next == b'#' || is_value {
                self.keep(Piece::Between(gap));
                return Ok(());
            }
            self.keep(Piece::Inside(gap));
        }
    }

    /// Reads what stands between two tokens.
    fn blanks(&mut self) -> Result<(), Problem> {
        loop {
            let gap = self.white_space()?;
            self.keep(Piece::Between(gap));
            if self.byte(self.at) != Some(b'#') {
                return Ok(());
            }
            if !self.is_blank(self.at - 1) {
                return Err(Problem::Doubtful);
            }
            let start = self.at;
            let length = self.text[start..].find('\n').ok_or(Problem::Doubtful)?;
            let comment = &self.text[start..start + length];
            if has_odd_break(comment.strip_suffix('\r').unwrap_or(comment)) {
                return Err(Problem::Doubtful);
            }
            self.at += length;
            self.pieces.push(Piece::Between(start..self.at));
        }
    }

    /// Goes over spaces and line breaks.
    fn white_space(&mut self) -> Result<Range<usize>, Problem> {
        let start = self.at;
        loop {
            match self.byte(self.at) {
                Some(b' ') => self.at += 1,
                Some(b'\r') if self.byte(self.at + 1) == Some(b'\n') => self.at += 1,
                Some(b'\n') => {
                    self.at += 1;
                    if is_document_marker(&self.text.as_bytes()[self.at..]) {
                        return Err(Problem::Doubtful);
                    }
                }
                Some(b'\t') if self.text[start..self.at].contains('\n') => {
                    return Err(Problem::Tab(self.at..self.at + 1));
                }
                Some(b'\t' | b'\r') => return Err(Problem::Doubtful),
                _ => return Ok(start..self.at),
            }
        }
    }

    fn keep(&mut self, piece: Piece) {
        let (Piece::Between(range) | Piece::Inside(range) | Piece::Quoted(range)) = &piece;
        if self.text[range.clone()].contains('\n') {
            self.pieces.push(piece);
        }
    }
}

/// Returns the length of the quoted text at the start, quotes included; none if it is not closed.
pub(crate) fn quoted_length(text: &str) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Result<usize, Problem> {
        scan(text, text, 0, text.len()).map(|found| found.end)
    }

    #[test]
    fn brackets_are_read_to_their_end() {
        assert_eq!(end("[a, {b: ']'}] x"), Ok(13));
        assert_eq!(end("[it's, b]"), Ok(9));
        assert_eq!(end("{\"a\":1, b: c:d}"), Ok(15));
        assert_eq!(end("[!t &x {c: d\n}, *x]"), Ok(19));
        assert_eq!(end("[a, --x]"), Ok(8));
    }

    #[test]
    fn a_key_ends_on_its_line() {
        for text in ["{a b\n c: 1}", "{\"x\"\n: 1}", "[[a,\nb]: 1]", "{&x\na: 1}"] {
            assert!(matches!(end(text), Err(Problem::KeyOverLines(_))), "{text}");
        }
        assert_eq!(end("{a:\n1,\nb: 2\n}"), Ok(13));
        let text = "{ a b: 1}";
        assert!(scan(text, "{ a\nb: 1}", 0, text.len()).is_err());
    }

    #[test]
    fn what_other_readers_refuse_has_a_name() {
        assert_eq!(end("[x,\n\ty]"), Err(Problem::Tab(4..5)));
        assert_eq!(end("[a, : b]"), Err(Problem::NoKey(4..5)));
        assert_eq!(end("[a: : b]"), Err(Problem::NoKey(4..5)));
    }

    #[test]
    fn doubts_are_not_guessed_away() {
        for text in [
            "[one # c\ntwo]",
            "[a, (b}]",
            "[a",
            "[,a]",
            "[? a]",
            "[- a]",
            "[[a]#c\n]",
            "['a' b]",
            "[:x]",
            "[a:]",
            "[\"a\":b]",
            "[!!str , a]",
            "[a\n---\n]",
            "[a\rb]",
            "[a\u{85}b]",
            "{: a}",
            "{a: b: c}",
            "[|]",
            "[\"a\rb\"]",
        ] {
            assert_eq!(end(text), Err(Problem::Doubtful), "{text}");
        }
        assert!(scan("[abc]", "[abc]", 0, 3).is_err());
    }
}
