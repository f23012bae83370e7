//! Where words go: data to stdout, talk to stderr, colour only where it is wanted.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use zenekar_diagnostics::{Diagnostic, SourceMap, render_human, render_json};

use crate::arguments::{ColorChoice, Format, Global};
use crate::errors::Failure;

/// The version of all JSON outputs; grows when a member changes its meaning or disappears.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// Lines of a terminal whose size nobody tells.
const TERMINAL_LINES_DEFAULT: usize = 24;

/// Columns of a terminal whose size nobody tells.
const TERMINAL_COLUMNS_DEFAULT: usize = 80;

/// Puts styles around text, or does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    enabled: bool,
}

impl Paint {
    /// Says whether there are styles.
    pub(crate) const fn is_enabled(self) -> bool {
        self.enabled
    }

    /// Returns a paint that leaves text as it is.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { enabled: false }
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.enabled {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Styles headings and names.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// Styles what matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// Styles what is as it should be, or comes into being.
    pub(crate) fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Styles what changes or needs attention.
    pub(crate) fn notable(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// Styles failures and what goes away.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    /// Styles one of several sources, so that neighbours differ.
    pub(crate) fn one_of(self, number: usize, text: &str) -> String {
        const COLORS: [AnsiColor; 6] = [
            AnsiColor::Cyan,
            AnsiColor::Yellow,
            AnsiColor::Green,
            AnsiColor::Magenta,
            AnsiColor::Blue,
            AnsiColor::Red,
        ];
        self.with(COLORS[number % COLORS.len()].on_default(), text)
    }

    /// Styles the word `error`.
    pub(crate) fn alarm(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// Styles the word `hint`.
    pub(crate) fn advice(self, text: &str) -> String {
        self.with(AnsiColor::Cyan.on_default().bold(), text)
    }
}

/// How this run speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// For people or for programs.
    pub(crate) format: Format,
    /// The paint of stdout.
    pub(crate) data_paint: Paint,
    /// The paint of stderr.
    pub(crate) talk_paint: Paint,
    /// Whether stderr can be redrawn.
    pub(crate) is_talk_terminal: bool,
    /// Whether stdout can be redrawn.
    pub(crate) is_data_terminal: bool,
    /// How much is told.
    pub(crate) verbosity: u8,
}

impl Output {
    /// Decides how to speak from the options and the environment.
    pub(crate) fn new(global: &Global) -> Self {
        let is_data_terminal = can_redraw() && io::stdout().is_terminal();
        let is_talk_terminal = can_redraw() && io::stderr().is_terminal();
        Self {
            format: global.output,
            data_paint: Paint {
                enabled: color_enabled(global.color, is_data_terminal),
            },
            talk_paint: Paint {
                enabled: color_enabled(global.color, is_talk_terminal),
            },
            is_talk_terminal,
            is_data_terminal,
            verbosity: global.verbose,
        }
    }

    /// Returns the output of a run whose command line could not be read.
    pub(crate) const fn json_only() -> Self {
        let paint = Paint { enabled: false };
        Self {
            format: Format::Json,
            data_paint: paint,
            talk_paint: paint,
            is_talk_terminal: false,
            is_data_terminal: false,
            verbosity: 0,
        }
    }

    /// Says whether programs read the output.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Says whether a question can be asked.
    #[expect(
        clippy::unused_self,
        reason = "all words of a command go through its output"
    )]
    pub(crate) fn can_ask(self) -> bool {
        io::stderr().is_terminal() && io::stdin().is_terminal()
    }

    /// Writes data to stdout.
    pub(crate) fn data(self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Writes data to stdout that need not be text.
    #[expect(
        clippy::unused_self,
        reason = "all words of a command go through its output"
    )]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(Failure::from_stdout)
    }

    /// Writes one JSON document to stdout, indented.
    pub(crate) fn json(self, value: &Value) -> Result<(), Failure> {
        self.data(&format!("{value:#}\n"))
    }

    /// Writes one JSON document on one line to stdout.
    pub(crate) fn json_line(self, value: &Value) -> Result<(), Failure> {
        self.data(&format!("{value}\n"))
    }

    /// Writes talk to stderr. Nobody can be told if that fails.
    #[expect(
        clippy::unused_self,
        reason = "all words of a command go through its output"
    )]
    pub(crate) fn talk(self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }

    /// Writes one line of talk to stderr.
    pub(crate) fn line(self, text: &str) {
        self.talk(&format!("{text}\n"));
    }

    /// Writes what was found in texts to stderr, if anything was.
    pub(crate) fn findings(self, diagnostics: &[Diagnostic], sources: &SourceMap) {
        if diagnostics.is_empty() {
        } else if self.is_json() {
            self.line(&render_json(diagnostics, sources).to_string());
        } else {
            self.talk(&render_human(
                diagnostics,
                sources,
                self.talk_paint.is_enabled(),
            ));
        }
    }

    /// Writes a warning to stderr.
    pub(crate) fn warn(self, text: &str) {
        self.line(&format!("{} {text}", self.talk_paint.notable("warning:")));
    }
}

/// Says whether a terminal, if there is one, understands how lines are redrawn.
fn can_redraw() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn color_enabled(choice: ColorChoice, is_terminal: bool) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if is_set("NO_COLOR") => false,
        ColorChoice::Auto
            if std::env::var_os("CLICOLOR_FORCE")
                .is_some_and(|value| !value.is_empty() && value != "0") =>
        {
            true
        }
        ColorChoice::Auto => {
            is_terminal && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
        }
    }
}

/// Returns the lines and columns of the terminal.
pub(crate) fn terminal_size() -> (usize, usize) {
    match terminal_size::terminal_size_of(io::stderr())
        .or_else(|| terminal_size::terminal_size_of(io::stdout()))
    {
        Some((width, height)) if width.0 > 0 && height.0 > 0 => {
            (usize::from(height.0), usize::from(width.0))
        }
        _ => (TERMINAL_LINES_DEFAULT, TERMINAL_COLUMNS_DEFAULT),
    }
}

/// Lays out rows in columns that are two spaces apart; the last one is not padded.
///
/// Widths count characters: names and phases are ASCII, so that is what terminals show.
pub(crate) fn columns(rows: &[Vec<String>], indent: usize) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut text = " ".repeat(indent);
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(widths[column] - cell.chars().count() + 2));
            }
        }
        text.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Writes a count with its noun: `1 instance`, `3 instances`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// Writes a number with its digits in groups of three: `12,345`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_counted() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "node"), "1 node");
        assert_eq!(counted(10_000, "node"), "10,000 nodes");
    }

    #[test]
    fn columns_are_aligned_without_trailing_spaces() {
        let rows = vec![
            vec!["a".to_owned(), "bb".to_owned(), String::new()],
            vec!["ccc".to_owned(), "d".to_owned(), "e".to_owned()],
        ];
        assert_eq!(columns(&rows, 2), vec!["  a    bb", "  ccc  d   e"]);
    }

    #[test]
    fn paint_can_be_switched_off() {
        assert_eq!(Paint::plain().good("x"), "x");
        assert_eq!(Paint { enabled: true }.good("x"), "\u{1b}[32mx\u{1b}[0m");
    }
}
