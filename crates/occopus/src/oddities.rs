//! Values that mean something else to Occopus than what they say.

use zenekar_diagnostics::Diagnostic;
use zenekar_diagnostics::codes::definition as codes;
use zenekar_document::{Entry, Kind, View};

use crate::checker::Checker;

/// Warns of values of a resource section whose truth is not what it seems.
pub(crate) fn report(type_name: &str, section: View<'_>, checker: &mut Checker) {
    let entry = match type_name {
        "nova" => section
            .get_entry("floating_ip")
            .filter(|entry| says_no(entry.value))
            .map(|entry| {
                (
                    entry,
                    "asks for an address whatever its value is; remove it",
                )
            }),
        "azure_vm" => section
            .get_entry("public_ip_needed")
            .filter(|entry| !matches!(entry.value.kind(), Kind::Bool(_) | Kind::Null))
            .map(|entry| (entry, "counts as false unless it is `true` without quotes")),
        _ => None,
    };
    if let Some((entry, reason)) = entry {
        warn(entry, reason, checker);
    }
}

fn warn(entry: Entry<'_>, reason: &str, checker: &mut Checker) {
    let key = entry.key.text();
    checker.report(
        Diagnostic::warning(&codes::NOT_A_TRUTH_VALUE, format!("`{key}` {reason}"))
            .at(entry.value.span()),
    );
}

/// Says whether people read a value as a refusal.
fn says_no(view: View<'_>) -> bool {
    match view.kind() {
        Kind::Bool(truth) => !truth,
        Kind::String(word) => {
            word.eq_ignore_ascii_case("false")
                || zenekar_document::boolean_word(word) == Some(false)
        }
        _ => false,
    }
}
