//! Compressed and encoded contents.

use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;

/// Base64 without padding, whose last letter may carry bits that mean nothing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The letters that stand for three bytes.
const QUANTUM: usize = 4;

/// Says whether bytes begin as gzip does.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Decompresses gzip, up to a number of bytes.
pub(crate) fn gunzip(bytes: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|cause| format!("not gzip: {cause}"))?;
    if plain.len() > most {
        return Err(format!("more than {most} bytes after decompression"));
    }
    Ok(plain)
}

/// Decodes base64 as Python does: what is no letter of it is skipped, and it
/// ends at its padding.
pub(crate) fn base64_lenient(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut letters = Vec::with_capacity(text.len());
    let mut padding = 0;
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                letters.push(*byte);
                padding = 0;
            }
            b'=' => {
                padding += 1;
                let filled = letters.len() % QUANTUM;
                if filled >= 2 && filled + padding >= QUANTUM {
                    return decode(&letters);
                }
            }
            _ => {}
        }
    }
    match letters.len() % QUANTUM {
        0 => decode(&letters),
        1 => Err("not base64: one letter too many".to_owned()),
        _ => Err("not base64: its padding is missing".to_owned()),
    }
}

/// Decodes base64 that may be broken into lines, and is nothing else.
pub(crate) fn base64_strict(text: &[u8]) -> Option<Vec<u8>> {
    let compact: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    decode(&compact).ok()
}

/// Decodes quoted-printable; line ends stay as they are, which scripts depend
/// on and readers of mail do not.
pub(crate) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'=' {
            plain.push(*first);
        } else if let Some(next) = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.strip_prefix(b"\n"))
        {
            rest = next;
        } else if let Some(byte) = hex_pair(after) {
            plain.push(byte);
            rest = &after[2..];
        } else {
            plain.push(b'=');
        }
    }
    plain
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn decode(letters: &[u8]) -> Result<Vec<u8>, String> {
    LENIENT
        .decode(letters)
        .map_err(|cause| format!("not base64: {cause}"))
}

#[cfg(test)]
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_python_reads_it() {
        // Measured with `base64.b64decode` of Python 3.11.
        assert_eq!(base64_lenient(b"aGVsbG8=").unwrap(), b"hello");
        assert_eq!(base64_lenient(b"aGVs\n bG8=\n").unwrap(), b"hello");
        assert_eq!(base64_lenient(b"aG*VsbG8=ignored").unwrap(), b"hello");
        assert_eq!(base64_lenient(b"").unwrap(), b"");
        assert!(base64_lenient(b"aGVsbG8").is_err());
        assert!(base64_lenient(b"aGVsb").is_err());
    }

    #[test]
    fn quoted_printable_keeps_line_ends() {
        let decoded = quoted_printable(b"X=3D1 =\nY=\r\nZ =zz=C3=A9\r\n=");
        assert_eq!(decoded, "X=1 YZ =zz\u{e9}\r\n=".as_bytes());
    }

    #[test]
    fn decompression_is_bounded() {
        let bomb = gzip(&vec![0; 100_000]);
        assert!(gunzip(&bomb, 1_000).unwrap_err().contains("1000 bytes"));
        assert_eq!(gunzip(&bomb, 100_000).unwrap().len(), 100_000);
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(gunzip(&two, 100).unwrap(), b"one two");
        assert!(gunzip(b"plain", 100).is_err());
    }
}
