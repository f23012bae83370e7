//! Lines of configuration that end up on the console: `ZK0707`.

use zenekar_diagnostics::codes::lint as codes;

use crate::landscape::Landscape;
use crate::machine::Script;
use crate::report::Report;
use crate::shell::{Command, Link, RedirectKind};

const MESSAGE: &str = "this line is printed, not written into a file";

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        for script in &subject.machine.scripts {
            check_script(script, report);
        }
    }
}

fn check_script(script: &Script<'_>, report: &mut Report) {
    let commands = &script.parsed.commands;
    for (position, command) in commands.iter().enumerate() {
        if !is_bare_print(command) {
            continue;
        }
        if let Some(file) = quoted_redirection(command) {
            report.warn(
                &codes::CONFIGURATION_ON_CONSOLE,
                script.place(command),
                format!("{MESSAGE}: `>> {file}` is inside the quotes"),
                "close the quotes in front of `>>`",
            );
            continue;
        }
        let Some(shape) = Shape::of(command) else {
            continue;
        };
        let is_alike = |other: Option<&Command>| {
            other.is_some_and(|other| is_written_print(other) && Shape::of(other) == Some(shape))
        };
        let before = position.checked_sub(1).and_then(|at| commands.get(at));
        let file = before.and_then(|before| before.written().next().map(|word| word.text.clone()));
        if is_alike(before) && is_alike(commands.get(position + 1)) {
            let help = format!("add `>> {}`", file.unwrap_or_default());
            report.warn(
                &codes::CONFIGURATION_ON_CONSOLE,
                script.place(command),
                MESSAGE,
                &help,
            );
        }
    }
}

/// Says whether a command prints and nobody takes what it prints.
fn is_bare_print(command: &Command) -> bool {
    matches!(command.program(), "echo" | "printf")
        && command
            .redirects
            .iter()
            .all(|redirect| redirect.kind == RedirectKind::Other)
        && command.after != Link::Pipe
        && command.place != crate::shell::Where::Substitution
}

fn is_written_print(command: &Command) -> bool {
    matches!(command.program(), "echo" | "printf")
        && (command.after == Link::Pipe
            || command
                .written()
                .any(|file| !file.text.starts_with("/dev/")))
}

/// Finds a redirection that stands at the end of a quoted text, and its file.
fn quoted_redirection(command: &Command) -> Option<String> {
    let [word] = command.operands().collect::<Vec<_>>()[..] else {
        return None;
    };
    if !word.is_quoted {
        return None;
    }
    let (before, file) = word.text.rsplit_once('>')?;
    let is_single = !before.ends_with([' ', '>']) && !before.is_empty();
    let file = file.trim();
    let is_path = (file.starts_with('/') || file.starts_with('~') || file.starts_with("$HOME/"))
        && !file.contains(char::is_whitespace)
        && !file.contains('<');
    // An arrow (`->`, `=>`) is none, and neither is the end of a tag.
    let is_arrow = is_single && before.ends_with(['-', '=', '/', '"', '\'']);
    (is_path && !is_arrow && !before.contains('<')).then(|| file.to_owned())
}

/// What a line of configuration looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `name=value`, also behind `export`.
    Equals,
    /// `name: value`.
    Colon,
}

impl Shape {
    /// Returns the shape of what a command prints, if that looks like configuration.
    fn of(command: &Command) -> Option<Self> {
        let operands: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
        let ([text] | ["export", text]) = operands[..] else {
            return None;
        };
        let text = text.trim().strip_prefix("export ").unwrap_or(text.trim());
        let at = text.find([':', '='])?;
        let (name, rest) = text.split_at(at);
        let name = name.trim();
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
            && name.starts_with(|letter: char| letter.is_ascii_alphabetic());
        let has_value = !rest[1..].trim().is_empty();
        match rest.as_bytes()[0] {
            b'=' if is_name && has_value => Some(Self::Equals),
            b':' if is_name && has_value && rest[1..].starts_with(' ') => Some(Self::Colon),
            _ => None,
        }
    }
}
