//! The words of the language.

/// The words that formulas do not take for names.
pub(super) const RESERVED: &[&str] = &[
    "all",
    "always",
    "and",
    "any",
    "at_least",
    "between",
    "contains",
    "eventually",
    "exactly",
    "false",
    "implies",
    "leads_to",
    "never",
    "none",
    "not",
    "once",
    "or",
    "then",
    "true",
    "until",
    "within",
    "False",
    "True",
];

/// The words that only stand at the top of a formula.
pub(super) const TEMPORAL: &[&str] =
    &["always", "eventually", "leads_to", "never", "then", "until"];

/// What can be asked of a node.
pub(super) const FUNCTIONS: &[&str] = &[
    "breakpoint",
    "count",
    "finished",
    "once",
    "ready",
    "serving",
    "var",
];
