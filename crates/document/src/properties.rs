//! The anchor and the tag in front of a value.

use std::ops::Range;

/// Where the properties of a value are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    /// The name of the anchor, without `&`.
    pub(crate) anchor: Option<Range<usize>>,
    /// The tag, with its `!`.
    pub(crate) tag: Option<Range<usize>>,
    /// Where the value itself starts.
    pub(crate) content: usize,
}

/// Reads the anchor and the tag that stand at `start`.
pub(crate) fn read(text: &str, start: usize) -> Properties {
    let bytes = text.as_bytes();
    let mut found = Properties {
        content: start,
        ..Properties::default()
    };
    let mut at = start;
    loop {
        at = skip_space(bytes, at);
        found.content = at;
        match bytes.get(at) {
            Some(b'&') if found.anchor.is_none() => {
                let end = token_end(bytes, at + 1);
                found.anchor = Some(at + 1..end);
                at = end;
            }
            Some(b'!') if found.tag.is_none() => {
                let end = if bytes.get(at + 1) == Some(&b'<') {
                    bytes[at..]
                        .iter()
                        .position(|byte| *byte == b'>')
                        .map_or(bytes.len(), |length| at + length + 1)
                } else {
                    token_end(bytes, at + 1)
                };
                found.tag = Some(at..end);
                at = end;
            }
            _ => return found,
        }
    }
}

/// Returns the end of the word at `at`.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at..].iter().position(|byte| {
        byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']' | b'{' | b'}')
    });
    length.map_or(bytes.len(), |length| at + length)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_whitespace() => at += 1,
            // A comment starts after white space only; a `#` inside a value is not met here.
            Some(b'#') if at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                at += bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(bytes.len() - at);
            }
            _ => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_are_read() {
        let text = "&A !t  # why\n  value";
        let found = read(text, 0);
        assert_eq!((found.anchor, found.tag), (Some(1..2), Some(3..5)));
        assert_eq!(&text[found.content..], "value");
        let text = "!<tag:x,y> &B [1]";
        let found = read(text, 0);
        assert_eq!((found.tag, found.anchor), (Some(0..10), Some(12..13)));
        assert_eq!(&text[found.content..], "[1]");
    }
}
