//! The rules, by what they look at.

mod arguments;
mod console;
mod downloads;
mod exposure;
mod failures;
mod readiness;
mod scaling;
mod secrets;
mod shared;
mod size;
mod starting;
mod system;
mod variables;

use zenekar_model::Topology;

use crate::landscape::Landscape;
use crate::report::Report;

/// Looks at everything.
pub(crate) fn check_all(
    landscape: &Landscape<'_>,
    topology: Option<&Topology>,
    report: &mut Report,
) {
    scaling::check(landscape, report);
    shared::check(landscape, report);
    starting::check(landscape, report);
    exposure::check(landscape, report);
    secrets::check(landscape, report);
    console::check(landscape, report);
    readiness::check(landscape, report);
    downloads::check(landscape, report);
    variables::check(landscape, topology, report);
    size::check(landscape, topology, report);
    failures::check(landscape, report);
    system::check(landscape, report);
}

/// Returns the lines of a text with their offsets.
fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = offset;
        offset += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

/// Says whether a value was left for the user to fill in, or comes from a template.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    value.is_empty()
        || value.contains("{{")
        || value.contains('$')
        || value.contains('`')
        || value.starts_with('<')
        || value
            .chars()
            .all(|letter| matches!(letter, '*' | 'x' | 'X' | '.' | '?' | '#' | '-' | '_'))
        || [
            "replace",
            "your_",
            "your-",
            "changeit_",
            "todo",
            "example",
            "placeholder",
            "insert_",
            "enter_",
        ]
        .iter()
        .any(|word| lower.contains(word))
}

/// Says whether a line of a file is a comment.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.starts_with("//") || line.starts_with("<!--")
}
