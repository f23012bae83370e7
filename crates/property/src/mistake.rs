//! A mistake in the text of a formula, before anyone knows where that stands.

use zenekar_diagnostics::{Code, Diagnostic, Span, codes::property as codes};

/// What is wrong with a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) code: &'static Code,
    pub(crate) message: String,
    /// The first byte, and the one after the last.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(
        code: &'static Code,
        range: (usize, usize),
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            start: range.0,
            end: range.1,
            help: None,
        }
    }

    pub(crate) fn syntax(range: (usize, usize), message: impl Into<String>) -> Self {
        Self::new(&codes::SYNTAX, range, message)
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    pub(crate) fn into_diagnostic(self, place: impl Fn(usize, usize) -> Span) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.code, self.message).at(place(self.start, self.end));
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}
