//! Collects findings, each place once.

use std::collections::BTreeSet;

use zenekar_diagnostics::{Code, Diagnostic, Severity, Span};

/// Findings of one descriptor; a descriptor with more has the same one everywhere.
const FINDINGS_MAX: usize = 1_000;

/// Collects findings.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Diagnostic>,
    seen: BTreeSet<(&'static str, Span)>,
}

impl Report {
    /// Adds a finding, unless the same was found at the same place: several
    /// node types may include one file.
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        let Some(place) = diagnostic.primary.as_ref().map(|label| label.span) else {
            return;
        };
        if self.findings.len() < FINDINGS_MAX && self.seen.insert((diagnostic.code.id, place)) {
            self.findings.push(diagnostic);
        }
    }

    /// Adds a warning with a hint.
    pub(crate) fn warn(
        &mut self,
        code: &'static Code,
        place: Span,
        message: impl Into<String>,
        help: &str,
    ) {
        self.add(Diagnostic::warning(code, message).at(place).help(help));
    }

    /// Adds a finding of a severity with a hint.
    pub(crate) fn say(
        &mut self,
        severity: Severity,
        code: &'static Code,
        place: Span,
        message: impl Into<String>,
        help: &str,
    ) {
        let diagnostic = match severity {
            Severity::Error => Diagnostic::error(code, message),
            Severity::Warning => Diagnostic::warning(code, message),
            Severity::Note => Diagnostic::note(code, message),
        };
        self.add(diagnostic.at(place).help(help));
    }

    /// Returns the findings.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        self.findings
    }
}
