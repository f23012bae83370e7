//! How a command stands in its script: whether it surely runs, and what
//! becomes of it when it fails.

use std::ops::Range;

use zenekar_lint::machine::{Origin, Script};
use zenekar_lint::shell::{Command, Link, Where};

/// Bytes of a script behind a command that are looked at for the end of its group.
const GROUP_BYTES_MAX: usize = 20_000;

/// What becomes of a command that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    /// It surely runs once, and what it was for is missing then.
    Once,
    /// It is tried again until it succeeds.
    Again,
    /// Nobody can say: it may not run at all, its failure may be expected, or
    /// it runs beside the setup.
    Unknown,
}

/// Programs whose failure is an answer.
const TESTS: &[&str] = &[
    "[", "[[", "test", "grep", "egrep", "command", "which", "type", "pgrep",
];

/// Says how a command runs in its script. `is_test` is said of commands that
/// only ask whether somebody answers.
pub(crate) fn of(script: &Script<'_>, outline: &Outline, position: usize, is_test: bool) -> Manner {
    let commands = &script.parsed.commands;
    let command = &commands[position];
    let text = script.text.content;
    if matches!(script.origin, Origin::Service(_)) || command.place == Where::Remote {
        return Manner::Unknown;
    }
    if outline.is_in_function(command.range.start) {
        return Manner::Unknown;
    }
    let loops = script.parsed.loops.iter().filter(|around| {
        around.range.start <= command.range.start && around.range.end >= command.range.end
    });
    let mut is_repeated = command.is_wrapped_in("retry");
    for around in loops {
        let part = text.get(around.range.clone()).unwrap_or_default();
        let waits = part.contains("sleep") || part.contains("break");
        is_repeated |= !around.is_bounded || waits;
        if is_background(text.get(around.range.end..).unwrap_or_default()) {
            return Manner::Unknown;
        }
    }
    if ends_in_the_background(text, command.range.end) {
        return Manner::Unknown;
    }
    if is_repeated {
        return Manner::Again;
    }
    let enclosing = commands.iter().filter(|other| {
        other.range.start <= command.range.start && other.range.end >= command.range.end
    });
    let is_aside = |command: &Command| {
        command.is_condition
            || command.after == Link::Background
            || ["nohup", "setsid"]
                .iter()
                .any(|name| command.is_wrapped_in(name))
    };
    if enclosing.clone().any(is_aside) || outline.is_in_branch(text, command.range.start) {
        return Manner::Unknown;
    }
    let outer: Vec<&Command> = enclosing.collect();
    let may_fail = |command: &&Command| {
        command.before == Link::Or
            || command.after == Link::Or && !gives_up(text, command.range.end)
            || is_test && command.after == Link::And
    };
    let is_asked = outer
        .iter()
        .any(|other| other.range != command.range && TESTS.contains(&other.program()));
    let is_conditional = outer.iter().any(may_fail)
        || is_asked
        || follows_test(commands, position)
        || is_in_conditional_group(text, command.range.start);
    if is_conditional {
        return Manner::Unknown;
    }
    Manner::Once
}

/// Says whether a command is behind a test and `&&`.
fn follows_test(commands: &[Command], position: usize) -> bool {
    let mut at = position;
    while at > 0 && commands[at].before == Link::And {
        at -= 1;
        if TESTS.contains(&commands[at].program()) {
            return true;
        }
    }
    at != position && commands[at].before == Link::Or
}

/// Says whether a place is inside of `( … )` or `{ … }` that runs only if
/// something before it fails or succeeds.
fn is_in_conditional_group(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let mut depth = 0usize;
    for (at, letter) in before.char_indices().rev().take(GROUP_BYTES_MAX) {
        match letter {
            ')' | '}' => depth += 1,
            '(' | '{' if depth > 0 => depth -= 1,
            '(' | '{' => {
                let outside = before[..at].trim_end();
                if outside.ends_with("||") || outside.ends_with("&&") {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Says whether what follows `||` ends the script with an error.
fn gives_up(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    let other = rest.split("||").nth(1).unwrap_or_default().trim_start();
    let part = if other.starts_with(['{', '(']) {
        other.split(['}', ')']).next().unwrap_or_default()
    } else {
        other.split(['\n', ';']).next().unwrap_or_default()
    };
    let words: Vec<&str> = part
        .split([' ', '\n', ';', '\t', '{', '('])
        .filter(|word| !word.is_empty())
        .collect();
    let leaves = |verb: &str| {
        words
            .iter()
            .position(|word| *word == verb)
            .is_some_and(|at| words.get(at + 1).is_none_or(|code| *code != "0"))
    };
    leaves("exit") || leaves("return") || words.first() == Some(&"false")
}

/// Says whether a text goes on with `&`, but not with `&&`.
fn is_background(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '\t']);
    rest.starts_with('&') && !rest.starts_with("&&") && !rest.starts_with("&>")
}

/// Says whether a command is in a group in brackets that runs in the
/// background, or whose failure something else takes up.
fn ends_in_the_background(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    let mut depth = 0usize;
    let mut quote = None;
    let mut previous = ' ';
    for (at, letter) in rest.char_indices().take(GROUP_BYTES_MAX) {
        let word_before = previous.is_whitespace() || previous == ';';
        match (letter, quote) {
            (_, Some(open)) => quote = (letter != open).then_some(open),
            ('"' | '\'', None) => quote = Some(letter),
            ('(', None) => depth += 1,
            ('{', None) if word_before => depth += 1,
            (')' | '}', None) if letter == ')' || word_before => {
                if depth == 0 {
                    let behind = &rest[at + 1..];
                    let other = behind.trim_start_matches([' ', '\t']);
                    return is_background(behind) || other.starts_with("||");
                }
                depth -= 1;
            }
            _ => {}
        }
        previous = letter;
    }
    false
}

/// Where a script has branches and functions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    /// The bodies of functions, heads included.
    functions: Vec<Range<usize>>,
    /// Where each line begins, and how many branches are open there.
    lines: Vec<(usize, usize)>,
}

impl Outline {
    /// Reads a script line by line.
    pub(crate) fn new(text: &str) -> Self {
        let mut outline = Self::default();
        let mut depth = 0usize;
        // Where the function that is open begins, and how far its head is indented.
        let mut open: Option<(usize, usize)> = None;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            outline.lines.push((start, depth));
            depth = branches_behind(line, depth);
            let trimmed = line.trim();
            let indent = line.len() - line.trim_start().len();
            match open {
                None if is_function_head(trimmed) && trimmed.ends_with('}') => {
                    outline.functions.push(start..end);
                }
                None if is_function_head(trimmed) => open = Some((start, indent)),
                Some((begin, head)) if trimmed.starts_with('}') && indent <= head => {
                    outline.functions.push(begin..end);
                    open = None;
                }
                _ => {}
            }
            start = end;
        }
        outline
            .functions
            .extend(open.map(|(begin, _)| begin..start));
        outline
    }

    /// Says whether a place is in the body of a function: nobody knows how
    /// that is called.
    pub(crate) fn is_in_function(&self, at: usize) -> bool {
        let next = self.functions.partition_point(|body| body.start <= at);
        next > 0 && self.functions[next - 1].contains(&at)
    }

    /// Says whether a place is inside `if … fi` or `case … esac`.
    fn is_in_branch(&self, text: &str, at: usize) -> bool {
        let next = self.lines.partition_point(|(start, _)| *start <= at);
        let Some((start, depth)) = next.checked_sub(1).map(|line| self.lines[line]) else {
            return false;
        };
        branches_behind(text.get(start..at).unwrap_or_default(), depth) > 0
    }
}

/// Returns how many branches are open behind a line, or the beginning of one.
fn branches_behind(line: &str, mut depth: usize) -> usize {
    if line.trim_start().starts_with('#') {
        return depth;
    }
    for part in line.split([';', '&', '|']) {
        let mut words = part.split_whitespace();
        let mut word = words.next().unwrap_or_default();
        while matches!(word, "then" | "do" | "else" | "{") {
            word = words.next().unwrap_or_default();
        }
        match word {
            "if" | "case" => depth += 1,
            "fi" | "esac" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

/// Says whether a line begins the definition of a function.
fn is_function_head(line: &str) -> bool {
    if line.starts_with("function ") {
        return true;
    }
    let Some((name, rest)) = line.split_once('(') else {
        return false;
    };
    let name = name.trim_end();
    let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ':');
    !name.is_empty() && name.chars().all(is_name) && rest.trim_start().starts_with(')')
}

#[cfg(test)]
mod tests {
    use zenekar_document::{Limits, load_text};
    use zenekar_lint::machine::Machine;

    use super::*;

    /// Returns how the command `curl` of a script runs.
    fn check(script: &str) -> Manner {
        let quoted = serde_json::Value::from(format!("#!/bin/sh\n{script}"));
        let text = format!("contextualisation: {{context_template: {quoted}}}");
        let mut sources = zenekar_diagnostics::SourceMap::new();
        let document = load_text("script", &text, &Limits::default(), &mut sources).document;
        let machine = Machine::read(document.root().expect("a mapping"), None);
        let script = &machine.scripts[0];
        let mut all = script.parsed.commands.iter();
        let position = all
            .position(|command| command.program() == "curl")
            .expect("there is one");
        let outline = Outline::new(script.text.content);
        of(script, &outline, position, false)
    }

    #[test]
    fn a_plain_command_runs_once() {
        for script in [
            "curl x",
            "apt-get update && curl x | tar xz",
            "TOKEN=$(curl x)",
            "curl x || exit 1",
            "curl x || { echo no; exit 1; }",
            "su - user -c 'curl x'",
            "if true; then\n  echo a\nfi\ncurl x",
            "wait_for() {\n  sleep 1\n}\ncurl x",
            "for name in a b; do\n  curl x/$name\ndone",
            "(cd /tmp; curl x)",
            "a=${b} && curl x",
            "if true; then (ls); fi; curl x",
        ] {
            assert_eq!(check(script), Manner::Once, "{script}");
        }
    }

    #[test]
    fn loops_try_again() {
        for script in [
            "until curl x; do sleep 1; done",
            "while ! curl x\ndo\n  sleep 1\ndone",
            "until [ \"$(curl x)\" = ok ]; do sleep 1; done",
            "for try in 1 2 3; do curl x && break; sleep 5; done",
            "while true; do\n  if curl x; then break; fi\n  sleep 1\ndone",
            "timeout 60 bash -c 'until curl x; do sleep 1; done'",
            "retry curl x",
        ] {
            assert_eq!(check(script), Manner::Again, "{script}");
        }
    }

    #[test]
    fn what_may_fail_or_not_run_is_unknown() {
        for script in [
            "curl x &",
            "nohup curl x",
            "(sleep 5; curl x) &",
            "{ sleep 5; curl x; } &",
            "(curl x) || true",
            "curl x || true",
            "curl x || sleep 5",
            "test -f y || curl x",
            "[ -f y ] && curl x",
            "if ! curl x; then echo no; fi",
            "if [ -f y ]; then\n  curl x\nfi",
            "case $1 in\n  a) curl x;;\nesac",
            "fetch() {\n  curl x\n}",
            "fetch() { curl x; }",
            "function fetch {\n  curl x\n}",
            "until curl x; do sleep 1; done &",
            "curl x || exit 0",
            "if [ \"$(curl x)\" = ok ]; then echo y; fi",
            "[ -z \"$(curl x)\" ] && echo y",
            "test -f y || (sleep 5 && curl x)",
            "ls y || { sleep 5; curl x; }",
        ] {
            assert_eq!(check(script), Manner::Unknown, "{script}");
        }
    }
}
