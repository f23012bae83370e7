//! Puts YAML on lines as the emitter of ruamel.yaml 0.17 does.

/// Lines are folded at the first chance behind this column.
const WIDTH: usize = 80;

/// Columns of one level.
const INDENT: usize = 2;

/// The text so far, and where the writer stands in it.
#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    column: usize,
    /// Columns that lines start with; none outside of everything.
    indent: Option<usize>,
    /// The last thing written separates by itself.
    whitespace: bool,
    /// Only indention and indicators such as `- ` were written on this line.
    indention: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            out: String::new(),
            column: 0,
            indent: None,
            whitespace: true,
            indention: true,
        }
    }
}

/// The indention of what is around.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer(Option<usize>);

impl Writer {
    /// Ends the last line and returns the text.
    pub(super) fn finish(mut self) -> String {
        if self.column > 0 {
            self.line_break();
        }
        self.out
    }

    pub(super) fn is_at_indention(&self) -> bool {
        self.indention
    }

    /// Goes one level deeper.
    pub(super) fn increase_indent(&mut self, is_indentless: bool) -> Outer {
        let outer = Outer(self.indent);
        self.indent = match self.indent {
            None => Some(0),
            Some(indent) if is_indentless => Some(indent),
            Some(indent) => Some(indent + INDENT),
        };
        outer
    }

    /// Goes to the level of further lines of a scalar.
    pub(super) fn increase_scalar_indent(&mut self) -> Outer {
        let outer = Outer(self.indent);
        self.indent = self.indent.map(|indent| indent + INDENT);
        outer
    }

    pub(super) fn restore_indent(&mut self, outer: Outer) {
        self.indent = outer.0;
    }

    /// Starts a line, unless the writer stands at the start of one.
    pub(super) fn indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        if self.column < indent {
            self.whitespace = true;
            self.out
                .extend(std::iter::repeat_n(' ', indent - self.column));
            self.column = indent;
        }
    }

    /// Writes an indicator that more can follow on the same line: `-`, `?`, `:`.
    pub(super) fn dash(&mut self, indicator: &str) {
        let indention = self.indention;
        self.indicator(indicator, true);
        self.indention = indention;
    }

    pub(super) fn indicator(&mut self, indicator: &str, needs_space: bool) {
        if needs_space && !self.whitespace {
            self.put(" ");
        }
        self.put(indicator);
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes an empty list or mapping.
    pub(super) fn empty(&mut self, brackets: &str) {
        self.indicator(brackets, true);
        self.line_break();
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.whitespace = true;
        self.indention = true;
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    /// Writes a text without quotes.
    pub(super) fn plain(&mut self, text: &str, may_split: bool) {
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.put(" ");
        }
        self.whitespace = false;
        self.indention = false;
        self.words(text, may_split);
    }

    /// Writes a text of one line in single quotes.
    pub(super) fn single(&mut self, text: &str, may_split: bool) {
        self.indicator("'", true);
        self.words(&text.replace('\'', "''"), may_split);
        self.indicator("'", false);
    }

    /// Writes words, and goes to the next line at single spaces behind the width.
    fn words(&mut self, text: &str, may_split: bool) {
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(' ').unwrap_or(rest.len());
            self.put(&rest[..word]);
            let behind = &rest[word..];
            let spaces = behind.len() - behind.trim_start_matches(' ').len();
            let is_inner = rest.len() < text.len() || word > 0;
            let is_last = word + spaces == rest.len();
            if spaces == 1 && self.column > WIDTH && may_split && is_inner && !is_last {
                self.indent();
                self.whitespace = false;
                self.indention = false;
            } else {
                self.put(&behind[..spaces]);
            }
            rest = &behind[spaces..];
        }
    }

    /// Writes a text in double quotes; long ones are cut with `\`.
    pub(super) fn double(&mut self, text: &str, may_split: bool) {
        self.indicator("\"", true);
        let letters: Vec<char> = text.chars().collect();
        // Letters from here on are not written yet.
        let mut start = 0;
        for end in 0..=letters.len() {
            let letter = letters.get(end).copied();
            let escape = letter.and_then(escape);
            if letter.is_none() || escape.is_some() {
                self.put_letters(&letters, start, end);
                start = start.max(end);
                if let Some(escape) = escape {
                    self.put(&escape);
                    start = end + 1;
                }
            }
            let is_inner = end > 0 && end + 1 < letters.len();
            if is_inner
                && may_split
                && (letter == Some(' ') || start >= end)
                && self.column + end.saturating_sub(start) > WIDTH + start.saturating_sub(end)
            {
                self.put_letters(&letters, start, end);
                start = start.max(end);
                self.put("\\");
                self.indent();
                self.whitespace = false;
                self.indention = false;
                if letters.get(start) == Some(&' ') {
                    self.put("\\");
                }
            }
        }
        self.indicator("\"", false);
    }

    fn put_letters(&mut self, letters: &[char], start: usize, end: usize) {
        if let Some(letters) = letters.get(start..end) {
            self.out.extend(letters);
            self.column += letters.len();
        }
    }

    /// Writes a text that ends with a line end, or an empty one, as a block.
    pub(super) fn literal(&mut self, text: &str) {
        self.indicator("|", true);
        self.line_break();
        for line in text.lines() {
            self.indent();
            self.put(line);
            self.line_break();
        }
    }
}

/// Returns how a letter is written between double quotes, if not as itself.
fn escape(letter: char) -> Option<String> {
    let short = match letter {
        '"' | '\\' => letter,
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ' '..='~' => return None,
        _ => {
            let code = u32::from(letter);
            return Some(match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
        }
    };
    Some(format!("\\{short}"))
}
