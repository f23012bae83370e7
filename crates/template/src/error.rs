//! What can go wrong with a template, and where.

use std::ops::Range;

use crate::scan::Rewritten;

/// The kind of a template error, for callers that react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The template does not parse, or is nested deeper than allowed.
    Syntax,
    /// A name, or a member of an undefined value, was used that does not exist.
    Undefined,
    /// A function of the caller failed; the message is the function's.
    Function,
    /// An operation does not fit its operands, or a filter or method does not exist.
    Type,
    /// The template computes too long or holds too much data.
    OutOfFuel,
    /// The text that the template prints is too long.
    OutputTooLarge,
}

/// A template that cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong: one line, lower case, without the place.
    pub message: String,
    /// The bytes of the template source that it is about, as exact as is known.
    pub span: Range<usize>,
    /// The line of the template on which the span starts, from 1.
    pub line: usize,
    /// The kind of the error.
    pub kind: ErrorKind,
}

impl TemplateError {
    pub(crate) fn new(
        kind: ErrorKind,
        message: impl Into<String>,
        source: &str,
        span: Range<usize>,
    ) -> Self {
        // The library counts the bytes of a character it does not know as one.
        let start = source.floor_char_boundary(span.start.min(source.len()));
        let end = source.ceil_char_boundary(span.end.clamp(start, source.len()));
        let line = source[..start].matches('\n').count() + 1;
        Self {
            message: message.into(),
            span: start..end,
            line,
            kind,
        }
    }

    /// Translates an error of the template library, whose places are in the rewritten source.
    pub(crate) fn from_engine(
        error: &minijinja::Error,
        source: &str,
        rewritten: &Rewritten,
    ) -> Self {
        let (kind, message) = describe(error);
        if let Some(span) = rewritten
            .unclosed
            .clone()
            .filter(|_| message.starts_with("unexpected end of input"))
        {
            return Self::new(
                kind,
                "the block that starts here is never closed",
                source,
                span,
            );
        }
        let span = match error.range() {
            Some(range) => rewritten.original(range.start)..rewritten.original(range.end),
            None => rewritten.line_span(error.line().unwrap_or(1)),
        };
        Self::new(kind, message, source, whole_path(source, span))
    }
}

/// Extends a span that starts with the dot of a member to the name in front of it.
fn whole_path(source: &str, span: Range<usize>) -> Range<usize> {
    let Some(before) = source
        .get(..span.start)
        .filter(|_| source[span.start..].starts_with('.'))
    else {
        return span;
    };
    let path = before.trim_end_matches(|character: char| {
        character == '_' || character == '.' || character.is_ascii_alphanumeric()
    });
    path.len()..span.end
}

/// Marks an error of the template library as one that came out of this crate.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Marked {
    kind: ErrorKind,
    message: String,
}

/// Makes an error for the template library that keeps its kind.
pub(crate) fn marked(kind: ErrorKind, message: impl Into<String>) -> minijinja::Error {
    let message = message.into();
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message.clone())
        .with_source(Marked { kind, message })
}

/// Makes an error about an operand that does not fit.
pub(crate) fn mismatch(message: impl Into<String>) -> minijinja::Error {
    marked(ErrorKind::Type, message)
}

/// The deepest chain of causes that is followed.
const CAUSES_MAX: usize = 16;

fn describe(error: &minijinja::Error) -> (ErrorKind, String) {
    use minijinja::ErrorKind as Engine;

    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = error;
    for _ in 0..CAUSES_MAX {
        let Some(current) = cause else { break };
        if let Some(marked) = current.downcast_ref::<Marked>() {
            return (marked.kind, marked.message.clone());
        }
        if let Some(engine) = current.downcast_ref::<minijinja::Error>() {
            innermost = engine;
        }
        cause = current.source();
    }
    let detail = innermost.detail().map(str::to_owned);
    let text = |fallback: &str| detail.clone().unwrap_or_else(|| fallback.to_owned());
    let unknown = |what: &str| match detail
        .as_deref()
        .and_then(|detail| detail.split_whitespace().nth(1))
    {
        Some(name) => format!("there is no {what} `{name}`"),
        None => format!("there is no such {what}"),
    };
    match innermost.kind() {
        Engine::SyntaxError | Engine::BadEscape | Engine::InvalidDelimiter => {
            (ErrorKind::Syntax, text("the template does not parse"))
        }
        Engine::UndefinedError => (ErrorKind::Undefined, text("the value is undefined")),
        Engine::UnknownFunction => {
            let name = detail
                .as_deref()
                .and_then(|detail| detail.split_whitespace().next())
                .unwrap_or("function")
                .to_owned();
            (ErrorKind::Undefined, format!("`{name}` is undefined"))
        }
        Engine::UnknownFilter => (ErrorKind::Type, unknown("filter")),
        Engine::UnknownTest => (ErrorKind::Type, unknown("test")),
        Engine::OutOfFuel => (
            ErrorKind::OutOfFuel,
            "the template computes for too long or holds too much data".to_owned(),
        ),
        Engine::TemplateNotFound | Engine::BadInclude => (
            ErrorKind::Type,
            "a template cannot include, import or extend another one".to_owned(),
        ),
        other => (ErrorKind::Type, text(&other.to_string())),
    }
}
