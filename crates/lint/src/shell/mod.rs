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

pub use lexer::read;
pub use program::base_name;

/// How deep scripts inside scripts are followed: `su -c 'ssh host "…"'` and
/// `$( … )`. Deeper ones are not written by people.
pub(crate) const NESTING_MAX: usize = 8;

/// Commands of one script; generated scripts of that length are of no use as user-data.
pub(crate) const COMMANDS_MAX: usize = 20_000;

/// A word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// What the program gets, quotes and backslashes removed; variables,
    /// substitutions and tags of templates as they are written.
    pub text: String,
    /// Where it is written, quotes included.
    pub range: Range<usize>,
    /// Whether one pair of quotes encloses all of it.
    pub is_quoted: bool,
}

/// What a redirection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
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
pub struct Redirect {
    /// What it does.
    pub kind: RedirectKind,
    /// The file, or what stands for it.
    pub target: Word,
}

/// What stands between two commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
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
pub enum Where {
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
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<Word>,
    /// `NAME=value` in front of the words, or alone.
    pub assignments: Vec<Word>,
    /// Its redirections.
    pub redirects: Vec<Redirect>,
    /// Where it is written.
    pub range: Range<usize>,
    /// What stands before it.
    pub before: Link,
    /// What stands behind it.
    pub after: Link,
    /// The innermost loop that it is in.
    pub in_loop: Option<usize>,
    /// Whether it is part of the condition of `if`, `while` or `until`.
    pub is_condition: bool,
    /// The text of its here-document.
    pub document: Option<Range<usize>>,
    /// Where it runs.
    pub place: Where,
}

/// A `while` or `until` loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loop {
    /// From the keyword to behind `done`.
    pub range: Range<usize>,
    /// The text of the condition.
    pub condition: Range<usize>,
    /// Whether it is a `for` or `select`, which ends by itself.
    pub is_bounded: bool,
}

/// A script that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The commands in the order of the text; those of inner scripts follow the
    /// command that they belong to.
    pub commands: Vec<Command>,
    /// The loops, in the order in which they begin.
    pub loops: Vec<Loop>,
}

#[cfg(test)]
mod tests;
