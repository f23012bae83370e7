//! Findings for programs.

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Label};
use crate::source::{SourceMap, Span};

/// The version of the JSON output; grows when a member changes its meaning or disappears.
pub const JSON_SCHEMA_VERSION: u32 = 1;

/// Renders the diagnostics as one JSON object.
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> Value {
    let items: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| item(diagnostic, sources))
        .collect();
    json!({ "schema_version": JSON_SCHEMA_VERSION, "diagnostics": items })
}

fn item(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    json!({
        "code": diagnostic.code.id,
        "title": diagnostic.code.title,
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "primary": diagnostic.primary.as_ref().map(|label| place(label, sources)),
        "secondary": diagnostic.secondary.iter().map(|label| place(label, sources)).collect::<Vec<_>>(),
        "help": diagnostic.help,
        "fix": diagnostic.fix.as_ref().map(|fix| json!({
            "span": range(fix.span, sources),
            "replacement": fix.replacement,
        })),
    })
}

fn place(label: &Label, sources: &SourceMap) -> Value {
    json!({ "span": range(label.span, sources), "text": label.text })
}

fn range(span: Span, sources: &SourceMap) -> Value {
    let position = sources.position(span);
    let (start, end) = sources.clamp(span);
    json!({
        "file": sources.name(span.file),
        "start": { "offset": start, "line": position.line, "column": position.column },
        "end": { "offset": end, "line": position.end_line, "column": position.end_column },
    })
}
