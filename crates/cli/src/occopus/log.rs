//! What Occopus's commands print: lines of its log on stdout, which scripts read.

use std::fmt::Write as _;

use jiff::Zoned;

use crate::errors::Failure;
use crate::output::Output;

/// Writes one line as Occopus's log does: two stars, the time, a tabulator.
pub(crate) fn line(output: Output, text: &str) -> Result<(), Failure> {
    // Python writes milliseconds after a comma.
    let now = Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
    output.data(&format!("** {now}\t{text}\n"))
}

/// Writes one line without anything around it.
pub(crate) fn bare(output: Output, text: &str) -> Result<(), Failure> {
    output.data(&format!("{text}\n"))
}

/// Writes text as Python's `repr` does: in single quotes if that can be.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    let mark = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    quoted.push(mark);
    for letter in text.chars() {
        match letter {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            letter if letter == mark => {
                quoted.push('\\');
                quoted.push(letter);
            }
            letter if letter.is_control() && (letter as u32) < 0x100 => {
                // Writing to text cannot fail.
                let _ = write!(quoted, "\\x{:02x}", letter as u32);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push(mark);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_python_does() {
        for (text, expected) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("'\"", "'\\'\"'"),
            ("a\n\\", "'a\\n\\\\'"),
            ("\u{1}é", "'\\x01é'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
