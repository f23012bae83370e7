//! Shell scripts, as far as findings need them.
//!
//! The reader tells commands, words, redirections, loops and here-documents
//! apart and keeps where each is written. It accepts everything: a script with
//! mistakes, or one cut in pieces by tags of a template, gives the commands
//! that could be made out. Tags that print (`{{ … }}`) are parts of words,
//! tags that control (`{% … %}`) are blanks.

mod lexer;
mod program;

use std::ops::Range;

pub(crate) use lexer::read;
pub(crate) use program::base_name;

/// How deep scripts inside scripts are followed: `su -c 'ssh host "…"'` and
/// `$( … )`. Deeper ones are not written by people.
pub(crate) const NESTING_MAX: usize = 8;

/// Commands of one script; generated scripts of that length are of no use as user-data.
pub(crate) const COMMANDS_MAX: usize = 20_000;

/// A word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// What the program gets, quotes and backslashes removed; variables,
    /// substitutions and tags of templates as they are written.
    pub(crate) text: String,
    /// Where it is written, quotes included.
    pub(crate) range: Range<usize>,
    /// Whether one pair of quotes encloses all of it.
    pub(crate) is_quoted: bool,
}

/// What a redirection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectKind {
    /// `>`.
    Write,
    /// `>>`.
    Append,
    /// `<`.
    Read,
    /// `<<`; the target is the end mark.
    Document,
    /// `>&`, `<<<` and the like.
    Other,
}

/// A redirection of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) kind: RedirectKind,
    pub(crate) target: Word,
}

/// What stands between two commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// The beginning or the end of the script, a line end, `;`, a keyword.
    #[default]
    End,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
    /// `&`.
    Background,
}

/// Where the script that a command belongs to runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Where {
    /// In the script itself.
    #[default]
    Here,
    /// Inside `$( … )` or backticks.
    Substitution,
    /// In the text handed to `sh -c` or `su -c`.
    Inner,
    /// On another machine, through `ssh`.
    Remote,
}

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<Word>,
    /// `NAME=value` in front of the words, or alone.
    pub(crate) assignments: Vec<Word>,
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) range: Range<usize>,
    pub(crate) before: Link,
    pub(crate) after: Link,
    /// The innermost loop that it is in.
    pub(crate) in_loop: Option<usize>,
    /// Whether it is part of the condition of `if`, `while` or `until`.
    pub(crate) is_condition: bool,
    /// The text of its here-document.
    pub(crate) document: Option<Range<usize>>,
    pub(crate) place: Where,
}

/// A `while` or `until` loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loop {
    /// From the keyword to behind `done`.
    pub(crate) range: Range<usize>,
    /// The text of the condition.
    pub(crate) condition: Range<usize>,
    /// Whether it is a `for` or `select`, which ends by itself.
    pub(crate) is_bounded: bool,
}

/// A script that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// The commands in the order of the text; those of inner scripts follow the
    /// command that they belong to.
    pub(crate) commands: Vec<Command>,
    pub(crate) loops: Vec<Loop>,
}

#[cfg(test)]
mod tests;
