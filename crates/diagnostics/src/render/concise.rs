//! One line per finding, as compilers and editors know it.

use std::fmt::Write as _;

use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;

/// Renders one line `file:line:column: severity[code]: message` per diagnostic.
pub fn render_concise(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        if let Some(label) = &diagnostic.primary {
            let position = sources.position(label.span);
            push_line_safe(&mut out, sources.name(label.span.file));
            let _ = write!(out, ":{}:{}: ", position.line, position.column);
        }
        let _ = write!(
            out,
            "{}[{}]: ",
            diagnostic.severity.name(),
            diagnostic.code.id
        );
        push_line_safe(&mut out, &diagnostic.message);
        out.push('\n');
    }
    out
}

/// Escapes control characters, so that input can neither break the line nor drive a terminal.
fn push_line_safe(out: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
}
