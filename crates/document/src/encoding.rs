//! From bytes to text, and base64.

/// A text, and what was wrong with its bytes.
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) problem: Option<Problem>,
}

/// Why bytes are no UTF-8.
pub(crate) enum Problem {
    /// The first byte that fits nowhere, and where its replacement stands in the text.
    Byte { byte: u8, at: usize },
    /// The file announces UTF-16.
    Utf16,
}

/// Decodes a file. Wrong bytes become U+FFFD, so that the rest can still be checked.
pub(crate) fn decode(bytes: Vec<u8>) -> Decoded {
    if let [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] = bytes.as_slice() {
        return Decoded {
            text: from_utf16(&bytes),
            problem: Some(Problem::Utf16),
        };
    }
    match String::from_utf8(bytes) {
        Ok(text) => Decoded {
            text,
            problem: None,
        },
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let byte = bytes.get(at).copied().unwrap_or_default();
            Decoded {
                text: String::from_utf8_lossy(&bytes).into_owned(),
                problem: Some(Problem::Byte { byte, at }),
            }
        }
    }
}

fn from_utf16(bytes: &[u8]) -> String {
    let little = bytes[0] == 0xFF;
    let units = bytes[2..].chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if little {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        }
    });
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Decodes base64 with optional white space and padding.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0u32);
    let mut padded = false;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padded = true;
                continue;
            }
            _ => return None,
        };
        if padded {
            return None;
        }
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xFF).unwrap_or_default());
            bits &= (1 << count) - 1;
        }
    }
    (count < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_breaks_and_refused_when_wrong() {
        assert_eq!(base64("aGVs\n bG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(base64(""), Some(Vec::new()));
        assert_eq!(base64("aGVsbG8"), Some(b"hello".to_vec()));
        assert_eq!(base64("a"), None);
        assert_eq!(base64("a*=="), None);
        assert_eq!(base64("aG=Vs"), None);
    }

    #[test]
    fn wrong_bytes_are_placed() {
        let decoded = decode(b"a: \xe9\n".to_vec());
        assert_eq!(decoded.text, "a: \u{FFFD}\n");
        assert!(matches!(
            decoded.problem,
            Some(Problem::Byte { byte: 0xE9, at: 3 })
        ));
        let decoded = decode(b"\xff\xfea\0:\0".to_vec());
        assert_eq!(decoded.text, "a:");
        assert!(matches!(decoded.problem, Some(Problem::Utf16)));
    }
}
