//! The documentation of a code, as a page.

use crate::codes::Code;

/// Returns the Markdown page that documents a code.
pub fn documentation_page(code: &Code) -> String {
    format!(
        "# {}: {}\n\n{}\n",
        code.id,
        code.title,
        code.explanation.trim()
    )
}
