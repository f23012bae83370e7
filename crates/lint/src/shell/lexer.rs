//! From text to commands.

use std::ops::Range;

use super::{
    COMMANDS_MAX, Command, Link, Loop, NESTING_MAX, Redirect, RedirectKind, Script, Where, Word,
};

/// Reads the part of a text that is a script.
pub fn read(text: &str, range: Range<usize>) -> Script {
    let mut script = Script::default();
    read_into(text, range, Where::Here, 0, &mut script);
    script
}

/// Reads a script inside a script.
fn read_into(text: &str, range: Range<usize>, place: Where, depth: usize, script: &mut Script) {
    if depth > NESTING_MAX {
        return;
    }
    let end = range.end.min(text.len());
    let mut reader = Reader {
        text,
        at: range.start.min(end),
        end,
        place,
        depth,
        command: Command::default(),
        before: Link::End,
        documents: Vec::new(),
        loops: Vec::new(),
        conditions: 0,
        script,
    };
    reader.run();
}

/// A loop that is not closed yet.
struct OpenLoop {
    index: usize,
}

struct Reader<'t, 's> {
    text: &'t str,
    at: usize,
    end: usize,
    place: Where,
    depth: usize,
    /// The command that is being read.
    command: Command,
    before: Link,
    /// Here-documents that begin at the next line: end mark, whether tabs are
    /// cut, and the command, none for the one being read.
    documents: Vec<(String, bool, Option<usize>)>,
    loops: Vec<OpenLoop>,
    /// Conditions of `if`, `while` and `until` that are open.
    conditions: usize,
    script: &'s mut Script,
}

impl<'t> Reader<'t, '_> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..self.end).unwrap_or("")
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.rest().starts_with(prefix)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn run(&mut self) {
        while let Some(next) = self.peek() {
            if self.script.commands.len() >= COMMANDS_MAX {
                return;
            }
            match next {
                '\n' => {
                    self.at += 1;
                    self.finish(Link::End);
                    self.read_documents();
                }
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.starts_with("\\\n") => self.at += 2,
                '#' => self.skip_line(),
                '{' if self.starts_with("{%") => self.skip_past("%}"),
                '{' if self.starts_with("{#") => self.skip_past("#}"),
                '&' | '|' => self.read_link(),
                '(' if self.starts_with("((") && self.is_at_start() => self.skip_past("))"),
                ';' | '(' | ')' => {
                    self.at += 1;
                    self.finish(Link::End);
                }
                '<' | '>' => self.read_redirect(None),
                _ => self.read_word_or_keyword(),
            }
        }
        self.finish(Link::End);
        let end = self.end;
        for open in std::mem::take(&mut self.loops) {
            self.script.loops[open.index].range.end = end;
        }
    }

    fn is_at_start(&self) -> bool {
        self.command.words.is_empty()
            && self.command.assignments.is_empty()
            && self.command.redirects.is_empty()
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn skip_past(&mut self, mark: &str) {
        let rest = self.rest();
        self.at += rest.find(mark).map_or(rest.len(), |at| at + mark.len());
    }

    fn read_link(&mut self) {
        let (link, length) = if self.starts_with("&&") {
            (Link::And, 2)
        } else if self.starts_with("||") {
            (Link::Or, 2)
        } else if self.starts_with("&>") {
            return self.read_redirect(None);
        } else if self.starts_with("|&") {
            (Link::Pipe, 2)
        } else if self.starts_with("|") {
            (Link::Pipe, 1)
        } else {
            (Link::Background, 1)
        };
        self.at += length;
        self.finish(link);
    }

    /// Ends the command that is being read, if there is one.
    fn finish(&mut self, link: Link) {
        if self.is_at_start() {
            // `a &&` at the end of a line goes on in the next one.
            if link != Link::End {
                self.before = link;
            }
            return;
        }
        let mut command = std::mem::take(&mut self.command);
        command.before = self.before;
        command.after = link;
        command.place = self.place;
        command.in_loop = self.loops.last().map(|open| open.index);
        command.is_condition = self.conditions > 0;
        self.before = match link {
            Link::Background => Link::End,
            other => other,
        };
        let index = self.script.commands.len();
        for document in &mut self.documents {
            document.2.get_or_insert(index);
        }
        let inner = self.inner_scripts(&command);
        self.script.commands.push(command);
        for (range, place) in inner {
            read_into(self.text, range, place, self.depth + 1, self.script);
        }
    }

    /// Finds the scripts inside the words of a command.
    fn inner_scripts(&self, command: &Command) -> Vec<(Range<usize>, Where)> {
        let mut inner = Vec::new();
        let targets = command.redirects.iter().map(|redirect| &redirect.target);
        let words = command
            .words
            .iter()
            .chain(&command.assignments)
            .chain(targets);
        for word in words {
            let source = self.text.get(word.range.clone()).unwrap_or("");
            inner.extend(substitutions(source).into_iter().map(|range| {
                let range = range.start + word.range.start..range.end + word.range.start;
                (range, Where::Substitution)
            }));
        }
        if let Some((words, place)) = command.script_argument()
            && let [first, .., last] | [first @ last] = &command.words[words]
        {
            let quote = usize::from(first.is_quoted && first.range == last.range);
            inner.push((first.range.start + quote..last.range.end - quote, place));
        }
        inner
    }

    /// Reads the here-documents that begin at this line.
    fn read_documents(&mut self) {
        for (mark, cuts_tabs, index) in std::mem::take(&mut self.documents) {
            let start = self.at;
            let mut end = self.end;
            while self.at < self.end {
                let rest = self.rest();
                let line = rest.lines().next().unwrap_or("");
                let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
                let begin = self.at;
                self.at += length;
                let line = if cuts_tabs {
                    line.trim_start_matches('\t')
                } else {
                    line
                };
                if line == mark {
                    end = begin;
                    break;
                }
            }
            let command = index.and_then(|index| self.script.commands.get_mut(index));
            if let Some(command) = command {
                command.document = Some(start..end.max(start));
            }
        }
    }

    fn read_redirect(&mut self, number: Option<usize>) {
        let start = number.unwrap_or(self.at);
        let (kind, length) = match self.rest() {
            rest if rest.starts_with("<<<") => (RedirectKind::Other, 3),
            rest if rest.starts_with("<<-") => (RedirectKind::Document, 3),
            rest if rest.starts_with("<<") => (RedirectKind::Document, 2),
            rest if rest.starts_with("&>>") => (RedirectKind::Append, 3),
            rest if rest.starts_with("&>") => (RedirectKind::Write, 2),
            rest if rest.starts_with(">>") => (RedirectKind::Append, 2),
            rest if rest.starts_with(">&") || rest.starts_with("<&") => (RedirectKind::Other, 2),
            rest if rest.starts_with("<(") || rest.starts_with(">(") => {
                return self.read_word_or_keyword();
            }
            rest if rest.starts_with(">|") => (RedirectKind::Write, 2),
            rest if rest.starts_with('>') => (RedirectKind::Write, 1),
            _ => (RedirectKind::Read, 1),
        };
        let cuts_tabs = self.starts_with("<<-");
        self.at += length;
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
        let target = self.read_word();
        if kind == RedirectKind::Document {
            self.documents.push((target.text.clone(), cuts_tabs, None));
        }
        if self.is_at_start() {
            self.command.range = start..target.range.end;
        }
        self.command.range.end = target.range.end;
        self.command.redirects.push(Redirect { kind, target });
    }

    fn read_word_or_keyword(&mut self) {
        let start = self.at;
        if self.is_at_start() && self.starts_with("[[") {
            return self.read_test();
        }
        let word = self.read_word();
        if word.range.is_empty() {
            // Nothing that a word could begin with: leave it out.
            self.bump();
            return;
        }
        let is_number =
            !word.text.is_empty() && word.text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && !word.is_quoted && matches!(self.peek(), Some('<' | '>')) {
            return self.read_redirect(Some(start));
        }
        if self.is_at_start() && !word.is_quoted && self.keyword(&word) {
            return;
        }
        if self.is_at_start() {
            self.command.range = word.range.clone();
        }
        self.command.range.end = word.range.end;
        if self.command.words.is_empty() && is_assignment(&word.text) {
            self.command.assignments.push(word);
        } else {
            self.command.words.push(word);
        }
    }

    /// Reads `[[ … ]]`, in which links and redirections have other meanings.
    fn read_test(&mut self) {
        let start = self.at;
        let rest = self.rest();
        let line = rest.find('\n').unwrap_or(rest.len());
        let close = rest[..line].find(" ]]").map_or(line, |at| at + 3);
        self.at += close;
        let range = start..self.at;
        self.command.range = range.clone();
        self.command.words.push(Word {
            text: "[[".to_owned(),
            range: start..start + 2,
            is_quoted: false,
        });
        let inner = self.text.get(start + 2..self.at).unwrap_or("");
        self.command.words.push(Word {
            text: inner.to_owned(),
            range: start + 2..self.at,
            is_quoted: false,
        });
    }

    /// Follows a word that structures the script; says whether it is one.
    fn keyword(&mut self, word: &Word) -> bool {
        let start = word.range.start;
        match word.text.as_str() {
            "while" | "until" | "for" | "select" => {
                let is_bounded = matches!(word.text.as_str(), "for" | "select");
                let index = self.script.loops.len();
                self.script.loops.push(Loop {
                    range: start..start,
                    condition: word.range.end..word.range.end,
                    is_bounded,
                });
                self.loops.push(OpenLoop { index });
                if is_bounded {
                    // The list of `for` is data, not a command.
                    let rest = self.rest();
                    self.at += rest.find(['\n', ';']).unwrap_or(rest.len());
                } else {
                    self.conditions += 1;
                }
            }
            "do" => {
                if let Some(open) = self.loops.last() {
                    let known = &mut self.script.loops[open.index];
                    known.condition.end = start.max(known.condition.start);
                    if !known.is_bounded {
                        self.conditions = self.conditions.saturating_sub(1);
                    }
                }
            }
            "done" => {
                if let Some(open) = self.loops.pop() {
                    self.script.loops[open.index].range.end = word.range.end;
                }
            }
            "if" | "elif" => self.conditions += 1,
            "then" => self.conditions = self.conditions.saturating_sub(1),
            "else" | "fi" | "esac" | "{" | "}" | "!" | "case" => {}
            _ => return false,
        }
        true
    }

    /// Reads one word, up to a blank or an operator.
    fn read_word(&mut self) -> Word {
        let start = self.at;
        let mut text = String::new();
        let mut quoted = 0;
        let mut bare = 0;
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | ')' => break,
                '(' if !text.ends_with(['$', '=', '<', '>']) => break,
                '<' | '>' if !self.starts_with("<(") && !self.starts_with(">(") => break,
                '{' if self.starts_with("{%") || self.starts_with("{#") => break,
                '{' if self.starts_with("{{") => {
                    bare += 1;
                    self.copy_past("}}", &mut text);
                }
                '\'' => {
                    quoted += 1;
                    self.at += 1;
                    let before = text.len();
                    self.copy_past("'", &mut text);
                    if text.len() > before {
                        text.pop();
                    }
                }
                '"' => {
                    quoted += 1;
                    self.at += 1;
                    self.read_double_quoted(&mut text);
                }
                '\\' => {
                    bare += 1;
                    self.at += 1;
                    match self.bump() {
                        None | Some('\n') => {}
                        Some(escaped) => text.push(escaped),
                    }
                }
                '`' => {
                    bare += 1;
                    text.push('`');
                    self.at += 1;
                    self.copy_past("`", &mut text);
                }
                '(' => {
                    bare += 1;
                    let length = balanced(self.rest());
                    text.push_str(&self.rest()[..length]);
                    self.at += length;
                }
                _ => {
                    bare += 1;
                    text.push(next);
                    self.at += next.len_utf8();
                }
            }
        }
        Word {
            text,
            range: start..self.at,
            is_quoted: quoted == 1 && bare == 0,
        }
    }

    /// Copies everything up to and with a mark.
    fn copy_past(&mut self, mark: &str, text: &mut String) {
        let rest = self.rest();
        let length = rest.find(mark).map_or(rest.len(), |at| at + mark.len());
        text.push_str(&rest[..length]);
        self.at += length;
    }

    fn read_double_quoted(&mut self, text: &mut String) {
        while let Some(next) = self.peek() {
            match next {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    match self.bump() {
                        None | Some('\n') => {}
                        Some(escaped @ ('"' | '\\' | '$' | '`')) => text.push(escaped),
                        Some(other) => text.extend(['\\', other]),
                    }
                }
                '{' if self.starts_with("{{") => self.copy_past("}}", text),
                '$' if self.starts_with("$(") => {
                    let length = 1 + balanced(&self.rest()[1..]);
                    text.push_str(&self.rest()[..length]);
                    self.at += length;
                }
                '`' => {
                    text.push('`');
                    self.at += 1;
                    self.copy_past("`", text);
                }
                _ => {
                    text.push(next);
                    self.at += next.len_utf8();
                }
            }
        }
    }
}

/// Says whether a word is `NAME=value`.
pub(super) fn is_assignment(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else {
        return false;
    };
    let name = name.strip_suffix('+').unwrap_or(name);
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Returns the length of a text in round brackets, quotes minded, from the opening one on.
fn balanced(text: &str) -> usize {
    let mut depth = 0usize;
    let mut quote = None;
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
            continue;
        }
        match (letter, quote) {
            ('\\', None | Some('"')) => is_escaped = true,
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            ('(', None) => depth += 1,
            (')', None) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Finds `$( … )`, `<( … )` and backticks of a word, outside of single quotes.
fn substitutions(source: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut is_double_quoted = false;
    let bytes = source.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => is_double_quoted = !is_double_quoted,
            b'\'' if !is_double_quoted => {
                at = source[at + 1..]
                    .find('\'')
                    .map_or(bytes.len(), |close| at + 1 + close);
            }
            b'`' => {
                let start = at + 1;
                let close = source[start..]
                    .find('`')
                    .map_or(bytes.len(), |close| start + close);
                found.push(start..close);
                at = close;
            }
            b'$' | b'<' | b'>' if bytes.get(at + 1) == Some(&b'(') => {
                let start = at + 2;
                let length = balanced(&source[at + 1..]);
                // `$(( … ))` computes and runs nothing.
                if bytes.get(start) != Some(&b'(') {
                    let end = (at + length).max(start);
                    found.push(start..end.min(bytes.len()));
                }
                at += length;
            }
            _ => {}
        }
        at += 1;
    }
    found
}
