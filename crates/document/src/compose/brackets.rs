//! Brackets that the parser takes and Occopus's reader does not.

use std::ops::Range;

use zenekar_diagnostics::{Diagnostic, codes::document as codes};

use super::{Composer, Frame};
use crate::flow::{self, Problem};

impl Composer<'_, '_, '_> {
    /// Reports what is wrong in brackets that the parser has taken.
    pub(super) fn check_brackets(&mut self, frame: &Frame, end: u32) {
        let Range { start, end } = self.start_of(frame)..end as usize;
        let outer = self.frames.last().map(|outer| self.start_of(outer));
        let is_outermost = outer.is_none_or(|outer| !self.is_bracket(outer));
        let text = self.pass.original;
        if !self.is_bracket(start) || !is_outermost || start >= end {
            return;
        }
        let diagnostic = match flow::scan(text, text, start, end - start) {
            Err(Problem::KeyOverLines(key)) => {
                Diagnostic::error(&codes::SYNTAX, "a key in brackets takes several lines")
                    .labelled(
                        self.bytes_span(&key),
                        "the `:` is on another line than the start of the key",
                    )
                    .help("write the key and its `:` on one line")
            }
            Err(Problem::NoKey(colon)) => {
                Diagnostic::error(&codes::SYNTAX, "there is no key before this `:`")
                    .at(self.bytes_span(&colon))
            }
            Err(Problem::Tab(tab)) => {
                Diagnostic::error(&codes::TAB_INDENTATION, "a tab cannot indent")
                    .at(self.bytes_span(&tab))
                    .help("use spaces")
            }
            Ok(_) | Err(Problem::Doubtful) => return,
        };
        self.loader.report(diagnostic);
    }

    fn start_of(&self, frame: &Frame) -> usize {
        self.loader.document.nodes[frame.node as usize].start as usize
    }

    fn is_bracket(&self, at: usize) -> bool {
        let byte = self.pass.original.as_bytes().get(at);
        matches!(byte, Some(b'[' | b'{'))
    }
}
