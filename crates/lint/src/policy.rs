//! Which findings count.

use std::collections::BTreeSet;
use std::fmt;

use zenekar_diagnostics::{Diagnostic, Severity, SourceMap, codes};

use crate::suppress;

/// The word that stands for all warnings.
const WARNINGS: &str = "warnings";

/// Which findings are left out, and which count as errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    denies_warnings: bool,
    denied: BTreeSet<&'static str>,
    allowed: BTreeSet<&'static str>,
}

/// There is no such code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCode(pub String);

impl fmt::Display for UnknownCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no diagnostic code `{}`", self.0)
    }
}

impl std::error::Error for UnknownCode {}

impl Policy {
    /// Makes a policy from codes, in any case of letters. `denied` may hold the
    /// word `warnings`.
    pub fn new<'a>(
        denied: impl IntoIterator<Item = &'a str>,
        allowed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, UnknownCode> {
        let mut policy = Self::default();
        for word in denied {
            if word.eq_ignore_ascii_case(WARNINGS) {
                policy.denies_warnings = true;
            } else {
                policy.denied.insert(known(word)?);
            }
        }
        for word in allowed {
            policy.allowed.insert(known(word)?);
        }
        Ok(policy)
    }

    /// Leaves out what is allowed here or by a comment, and makes errors of what is denied.
    ///
    /// Errors that keep a descriptor from being used always stay.
    pub fn apply(&self, findings: &mut Vec<Diagnostic>, sources: &SourceMap) {
        findings.retain(|finding| {
            let is_lint = finding.code.id.starts_with("ZK07");
            let can_be_left_out = is_lint || !finding.is_error();
            let is_allowed = || {
                self.allowed.contains(finding.code.id) || suppress::is_accepted(finding, sources)
            };
            !(can_be_left_out && is_allowed())
        });
        for finding in findings {
            let is_denied = self.denied.contains(finding.code.id)
                || self.denies_warnings && finding.severity == Severity::Warning;
            if is_denied {
                finding.severity = Severity::Error;
            }
        }
    }
}

fn known(word: &str) -> Result<&'static str, UnknownCode> {
    codes::find(word)
        .map(|code| code.id)
        .ok_or_else(|| UnknownCode(word.to_owned()))
}
