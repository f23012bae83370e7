//! User-data in the form and size that EC2 takes.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

use crate::limits::{USER_DATA_BYTES_MAX, USER_DATA_COMPRESSIBLE_MAX};

/// User-data is too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// Its bytes.
    pub(crate) plain: usize,
    /// Its bytes when compressed, if that was tried.
    pub(crate) compressed: Option<usize>,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the user-data has {} bytes", self.plain)?;
        if let Some(compressed) = self.compressed {
            write!(formatter, ", compressed {compressed}")?;
        }
        write!(formatter, "; EC2 takes {USER_DATA_BYTES_MAX}")
    }
}

/// Returns user-data as it is sent: compressed only if it does not fit otherwise.
/// The same user-data is the same text, as a repeated request has to be.
pub(crate) fn encode(user_data: &str) -> Result<String, TooLarge> {
    let plain = user_data.len();
    if plain <= USER_DATA_BYTES_MAX {
        return Ok(STANDARD.encode(user_data));
    }
    let mut compressed = None;
    // Only what cloud-init reads is unpacked on the other side.
    if plain <= USER_DATA_COMPRESSIBLE_MAX {
        let packed = pack(user_data.as_bytes());
        if packed.len() <= USER_DATA_BYTES_MAX {
            return Ok(STANDARD.encode(packed));
        }
        compressed = Some(packed.len());
    }
    Err(TooLarge { plain, compressed })
}

fn pack(data: &[u8]) -> Vec<u8> {
    // Neither time nor name are in the header, so that it is always the same.
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let written = encoder.write_all(data).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_fits_is_sent_as_it_is() {
        let text = "x".repeat(USER_DATA_BYTES_MAX);
        let sent = STANDARD.decode(encode(&text).unwrap()).unwrap();
        assert_eq!(sent, text.as_bytes());
    }

    #[test]
    fn one_byte_more_is_compressed_and_always_in_the_same_way() {
        let text = "y".repeat(USER_DATA_BYTES_MAX + 1);
        let sent = encode(&text).unwrap();
        assert_eq!(sent, encode(&text).unwrap());
        let packed = STANDARD.decode(sent).unwrap();
        assert!(packed.len() < 200);
        let mut back = String::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_string(&mut back)
            .unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn what_does_not_fit_says_how_large_it_is() {
        // A generator of texts that do not compress.
        let mut state = 1u64;
        let text: String = (0..30_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
            })
            .collect();
        let error = encode(&text).unwrap_err();
        assert_eq!(error.plain, 30_000);
        assert!(error.compressed.unwrap() > USER_DATA_BYTES_MAX);
        assert!(error.to_string().ends_with("; EC2 takes 16384"), "{error}");
        let error = encode(&"z".repeat(USER_DATA_COMPRESSIBLE_MAX + 1)).unwrap_err();
        assert_eq!(error.compressed, None);
    }
}
