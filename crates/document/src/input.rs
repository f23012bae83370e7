//! The text as the parser reads it.

use saphyr_parser::Input;

/// How far ahead the parser reads in one go. It also reserves as many bytes for
/// every scalar; with less than the 32 that a scalar has from the start, that
/// costs no second allocation.
const LOOKAHEAD_CHARS: usize = 24;

/// A text with a cursor, fast for the ASCII that descriptors mostly are.
///
/// The parser asks for the next character several times per character; its
/// own reader decodes UTF-8 each time.
#[derive(Clone, Debug)]
pub(crate) struct AsciiFirst<'t> {
    text: &'t str,
    /// The byte offset of the next character.
    at: usize,
    lookahead: usize,
}

impl<'t> AsciiFirst<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            lookahead: 0,
        }
    }

    /// Decodes the character at a byte offset beyond ASCII.
    #[cold]
    fn decode(&self, at: usize) -> char {
        self.text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or('\0')
    }

    #[inline]
    fn character(&self, at: usize) -> Option<char> {
        match self.text.as_bytes().get(at) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => Some(self.decode(at)),
            None => None,
        }
    }

    #[inline]
    fn byte(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    /// Says whether three times this byte stands here, and then nothing of a word.
    #[inline]
    fn is_marker(&self, byte: u8) -> bool {
        self.byte(0) == byte
            && self.byte(1) == byte
            && self.byte(2) == byte
            && matches!(self.byte(3), 0 | b' ' | b'\t' | b'\n' | b'\r')
    }
}

impl Input for AsciiFirst<'_> {
    #[inline]
    fn lookahead(&mut self, count: usize) {
        // The whole text is there; only the promise must be remembered.
        self.lookahead = self.lookahead.max(count);
    }

    #[inline]
    fn buflen(&self) -> usize {
        self.lookahead
    }

    #[inline]
    fn bufmaxlen(&self) -> usize {
        LOOKAHEAD_CHARS
    }

    #[inline]
    fn raw_read_ch(&mut self) -> char {
        let next = self.character(self.at);
        self.at += next.map_or(0, char::len_utf8);
        next.unwrap_or('\0')
    }

    #[inline]
    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        let next = self
            .character(self.at)
            .filter(|next| !matches!(next, '\n' | '\r' | '\0'))?;
        self.at += next.len_utf8();
        Some(next)
    }

    #[inline]
    fn skip(&mut self) {
        self.at += self.character(self.at).map_or(0, char::len_utf8);
    }

    #[inline]
    fn skip_n(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    #[inline]
    fn peek(&self) -> char {
        self.character(self.at).unwrap_or('\0')
    }

    #[inline]
    fn peek_nth(&self, n: usize) -> char {
        let mut at = self.at;
        for _ in 0..n {
            at += self.character(at).map_or(0, char::len_utf8);
        }
        self.character(at).unwrap_or('\0')
    }

    #[inline]
    fn peek_opt(&self) -> Option<char> {
        self.character(self.at)
    }

    #[inline]
    fn next_2_are(&self, one: char, two: char) -> bool {
        self.peek() == one && self.peek_nth(1) == two
    }

    #[inline]
    fn next_3_are(&self, one: char, two: char, three: char) -> bool {
        self.peek() == one && self.peek_nth(1) == two && self.peek_nth(2) == three
    }

    #[inline]
    fn next_is_document_indicator(&self) -> bool {
        self.is_marker(b'-') || self.is_marker(b'.')
    }

    #[inline]
    fn next_is_document_start(&self) -> bool {
        self.is_marker(b'-')
    }

    #[inline]
    fn next_is_document_end(&self) -> bool {
        self.is_marker(b'.')
    }
}

#[cfg(test)]
mod tests {
    use saphyr_parser::{Event, Parser, ScanError, Span};

    use super::*;

    type Seen<'t> = Vec<Result<(Event<'t>, Span), ScanError>>;

    /// Texts with every construct that the reader treats on its own.
    const TEXTS: [&str; 9] = [
        "",
        "a: b\nc: [1, é, {x: y}] # note ő\n",
        "---\na: 1\n...\n---\nb: 2",
        "---",
        "text: |\n  one\n   két\n\n  three\nfolded: >-\n  a\n  b\n",
        "q: \"a\\u00e9\\\n   b\" \nr: 'it''s'\r\ns: t\r\n",
        "- &A {a: *A}\n- !tag:x,2000:y z\n- !<v> w\n",
        "a:\tb\n\tc: d\n",
        "a: \"unclosed\nb: c",
    ];

    #[test]
    fn the_parser_sees_the_same_as_through_its_own_reader() {
        for text in TEXTS {
            let expected: Seen<'_> = events(Parser::new_from_str(text));
            let seen: Seen<'_> = events(Parser::new(AsciiFirst::new(text)));
            assert_eq!(seen, expected, "{text}");
        }
    }

    /// Returns all events up to the first error.
    fn events<T: Input>(parser: Parser<'_, T>) -> Seen<'_> {
        let mut seen = Seen::new();
        for event in parser {
            let failed = event.is_err();
            seen.push(event);
            if failed {
                break;
            }
        }
        seen
    }
}
