//! Texts of a descriptor, and the way back from a part of one to its place.

use std::ops::Range;

use zenekar_diagnostics::Span;
use zenekar_document::View;

/// A string of a descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Text<'d> {
    /// The string as YAML reads it.
    pub content: &'d str,
    view: View<'d>,
    /// The string that holds the document that `view` is of.
    outer: Option<View<'d>>,
}

impl<'d> Text<'d> {
    /// Returns the text of a value, if it is a string.
    ///
    /// With `outer`, the value is of a document that is the text of `outer`.
    pub fn of(view: View<'d>, outer: Option<View<'d>>) -> Option<Self> {
        Some(Self {
            content: view.as_str()?,
            view,
            outer,
        })
    }

    /// Returns where a part of the text is written.
    pub fn span(&self, range: Range<usize>) -> Span {
        through(self.outer, self.view.range_in(range.start, range.end))
    }

    /// Returns where the text is written.
    pub fn whole(&self) -> Span {
        match self.content.find(|letter: char| !letter.is_whitespace()) {
            Some(start) => {
                let line = self.content[start..].lines().next().unwrap_or("");
                self.span(start..start + line.trim_end().len())
            }
            None => place_of(self.view, self.outer),
        }
    }
}

/// Returns where a value is written.
pub fn place_of(view: View<'_>, outer: Option<View<'_>>) -> Span {
    through(outer, view.definition_span())
}

fn through(outer: Option<View<'_>>, span: Span) -> Span {
    match outer {
        Some(outer) => outer.range_in(span.start as usize, span.end as usize),
        None => span,
    }
}
