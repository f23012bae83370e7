//! Aliases, and what they may not do.

use saphyr_parser::ScanError;
use zenekar_diagnostics::{Diagnostic, Span, codes::document as codes, did_you_mean};

use super::{Anchor, Composer};
use crate::offsets::to_u32;
use crate::syntax;
use crate::tree::{Data, Node, Style};

/// Only so many unknown anchors of one load get a suggestion, because each
/// costs a look at all anchors and at all of the text.
const SUGGESTIONS_MAX: usize = 10;

impl<'t> Composer<'_, '_, 't> {
    /// Adds an alias of an anchor that stands before it.
    pub(super) fn alias(&mut self, anchor: usize, start: u32, end: u32) {
        if !self.spend(start, end) {
            return;
        }
        self.loader.spent.aliases += 1;
        let most = self.loader.limits.aliases_max;
        if self.loader.spent.aliases > most {
            let diagnostic = Diagnostic::error(
                &codes::TOO_MANY_ALIASES,
                format!("more than {most} aliases"),
            );
            self.loader.report(
                diagnostic.labelled(self.span(start, end), "everything from here on is ignored"),
            );
            self.exhausted = true;
            return;
        }
        let data = match self.anchors.get(anchor).copied().unwrap_or(Anchor::Unknown) {
            Anchor::Unknown => Data::Invalid,
            Anchor::Open { node } => {
                let outer = self.loader.document.span_of(node);
                let diagnostic = Diagnostic::error(
                    &codes::CYCLIC_ALIAS,
                    "the alias stands inside the value that it repeats",
                )
                .labelled(self.span(start, end), "repeats itself here")
                .also(
                    Span::empty(outer.file, outer.start),
                    "the value starts here",
                );
                self.loader.report(diagnostic);
                Data::Invalid
            }
            Anchor::Complete {
                node,
                expanded,
                height,
            } => self.checked_alias(node, expanded, height, start, end),
        };
        let node = self.push(Node {
            data,
            start,
            end,
            source: self.pass.source,
            style: Style::Plain,
        });
        self.add(node);
    }

    /// Refers to a complete value, unless the document would become too large or too deep by it.
    fn checked_alias(
        &mut self,
        target: u32,
        expanded: u64,
        height: usize,
        start: u32,
        end: u32,
    ) -> Data {
        let (total, deep) = (
            self.loader.spent.expanded.saturating_add(expanded),
            self.depth() + height,
        );
        let limits = self.loader.limits;
        if total > limits.expanded_nodes_max {
            let message = format!(
                "with its aliases written out, the document has more than {} values",
                limits.expanded_nodes_max
            );
            let diagnostic = Diagnostic::error(&codes::EXPANSION, message)
                .labelled(
                    self.span(start, end),
                    format!("stands for {expanded} values"),
                )
                .also(self.loader.document.span_of(target), "of this value");
            self.loader.report(diagnostic);
            self.exhausted = true;
            return Data::Invalid;
        }
        if deep > limits.depth_max {
            self.report_depth(start, end);
            return Data::Invalid;
        }
        self.loader.spent.expanded = total;
        if let Some(frame) = self.frames.last_mut() {
            frame.height = frame.height.max(height);
        }
        Data::Alias(target)
    }

    /// Reports an alias of an anchor that does not stand before it, and goes on.
    pub(super) fn unknown_anchor(&mut self, error: &ScanError) {
        if self.documents > 1 || self.skipped > 0 {
            return;
        }
        let start = self.offsets.byte(error.marker().index());
        let text = self.pass.original;
        let range = syntax::word_at(text, start as usize);
        let name = text[range.clone()].trim_start_matches('*');
        if !self.spend(start, start) {
            return;
        }
        let span = self.bytes_span(&range);
        let message = format!("no value before this is marked with `&{name}`");
        let diagnostic = Diagnostic::error(&codes::UNKNOWN_ANCHOR, message).at(span);
        let diagnostic = if self.loader.diagnostics.len() < SUGGESTIONS_MAX {
            self.with_suggestion(diagnostic, name, range.end, span)
        } else {
            diagnostic
        };
        self.loader.report(diagnostic);
        let end = to_u32(range.end);
        let node = Node {
            data: Data::Invalid,
            start,
            end,
            source: self.pass.source,
            style: Style::Plain,
        };
        let node = self.push(node);
        self.add(node);
    }

    /// Adds where the anchor is after all, or which one was probably meant.
    fn with_suggestion(
        &self,
        diagnostic: Diagnostic,
        name: &str,
        from: usize,
        span: Span,
    ) -> Diagnostic {
        let text = self.pass.original;
        let anchor = format!("&{name}");
        let mut places = text[from..]
            .match_indices(&anchor)
            .map(|(at, _)| syntax::word_at(text, from + at));
        if let Some(place) = places.find(|place| place.len() == anchor.len()) {
            let diagnostic = diagnostic.also(self.bytes_span(&place), "marked only here");
            return diagnostic.help("an anchor must stand before its aliases");
        }
        match did_you_mean(name, self.sorted_names()) {
            Some(near) => diagnostic
                .help(format!("did you mean `*{near}`?"))
                .fix(span, format!("*{near}")),
            None => diagnostic,
        }
    }

    fn sorted_names(&self) -> Vec<&'t str> {
        let mut names: Vec<&str> = self.names.keys().copied().collect();
        names.sort_unstable();
        names
    }
}
