//! The words in which a check says why it failed.

use std::io;
use std::time::Duration;

/// Why a check failed, without the name of the check.
pub(crate) type Reason = String;

/// Characters of a reason: it is shown on one line and kept in the journal,
/// and part of it may be a stranger's text.
const REASON_CHARS_MAX: usize = 300;

/// Describes an error of the system in the style of our messages: in lower
/// case, without the number.
pub(crate) fn describe(error: &io::Error) -> Reason {
    let text = error.to_string();
    let text = match error.raw_os_error() {
        Some(number) => text
            .strip_suffix(&format!(" (os error {number})"))
            .unwrap_or(&text)
            .to_lowercase(),
        None => text,
    };
    if text.is_empty() {
        "failed without a word".to_owned()
    } else {
        text
    }
}

/// Writes a duration in seconds, as in `3 s` or `0.5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// Makes one short line of a text that may hold anything.
pub(crate) fn one_line(text: &str) -> Reason {
    let mut line = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == REASON_CHARS_MAX {
            line.push('…');
            break;
        }
        line.push(if character.is_control() || is_invisible(character) {
            ' '
        } else {
            character
        });
    }
    line
}

/// Tells characters that break lines or turn the direction of writing.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_lose_their_number() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(describe(&refused), "connection refused");
        assert_eq!(describe(&io::Error::other("it broke")), "it broke");
    }

    #[test]
    fn a_line_is_one_line_and_short() {
        assert_eq!(one_line("a\nb\u{1b}[31m\u{202e}c"), "a b [31m c");
        let long = one_line(&"é".repeat(1000));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX + 1);
    }

    #[test]
    fn durations_are_in_seconds() {
        assert_eq!(seconds(Duration::from_secs(3)), "3 s");
        assert_eq!(seconds(Duration::from_millis(500)), "0.5 s");
    }
}
