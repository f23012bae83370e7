//! User-data in all the forms that clouds accept, to a list of parts.

mod archive;
mod kind;
mod message;

use crate::decode;
use crate::limits;

pub use kind::{Frequency, PartKind};

/// One part of user-data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its name: that of the attachment, or `part-001` and so on.
    pub name: String,
    /// Its content, decoded and decompressed.
    pub content: Vec<u8>,
    /// How it is merged with earlier cloud-configs, if its header says so.
    pub merge_type: Option<String>,
}

/// Something of user-data that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What of it.
    pub subject: String,
    /// Why, in one line.
    pub message: String,
}

/// What user-data consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// Takes user-data apart. Never fails as a whole.
pub fn read_user_data(user_data: &[u8]) -> Parts {
    let mut reader = Reader::default();
    if user_data.len() > limits::USER_DATA_BYTES_MAX {
        reader.unreadable(
            "user-data",
            format!(
                "too large: {} bytes, and at most {} are read",
                user_data.len(),
                limits::USER_DATA_BYTES_MAX
            ),
        );
    } else {
        reader.read_whole(user_data);
    }
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Parts,
    /// The bytes of all parts.
    bytes: usize,
}

impl Reader {
    fn read_whole(&mut self, user_data: &[u8]) {
        match unpack(user_data) {
            Ok(unpacked) => {
                let plain = unpacked.as_deref().unwrap_or(user_data);
                if message::looks_like_one(plain) {
                    self.read_message(plain, 0);
                    return;
                }
                // Some interfaces want base64, and people encode once too often.
                if kind::detect(plain).is_none()
                    && let Some(decoded) = decode::base64_strict(plain)
                    && !decoded.is_empty()
                    && self.read_decoded(&decoded)
                {
                    return;
                }
                self.read_text(plain);
            }
            Err(message) => self.unreadable("user-data", message),
        }
    }

    /// Reads what was wrapped in base64, if that makes sense of it.
    fn read_decoded(&mut self, decoded: &[u8]) -> bool {
        let unpacked = match unpack(decoded) {
            Ok(unpacked) => unpacked,
            Err(message) => {
                self.unreadable("user-data", message);
                return true;
            }
        };
        let plain = unpacked.as_deref().unwrap_or(decoded);
        if message::looks_like_one(plain) {
            self.read_message(plain, 0);
            true
        } else if kind::detect(plain).is_some() {
            self.read_text(plain);
            true
        } else {
            false
        }
    }

    /// Reads user-data that says by its first line what it is.
    fn read_text(&mut self, plain: &[u8]) {
        let plain = kind::without_mark(plain);
        if plain.is_empty() {
            return;
        }
        let kind = kind::detect(plain).unwrap_or_else(|| PartKind::Other(String::new()));
        self.add(kind, None, plain.to_vec(), None, 0);
    }

    /// Adds a part, or what an archive consists of.
    fn add(
        &mut self,
        kind: PartKind,
        name: Option<String>,
        content: Vec<u8>,
        merge_type: Option<String>,
        level: usize,
    ) {
        if kind == PartKind::Archive {
            self.read_archive(&content, level + 1);
            return;
        }
        let number = self.found.parts.len() + 1;
        let name = name.unwrap_or_else(|| format!("part-{number:03}"));
        if number > limits::PARTS_MAX {
            if number == limits::PARTS_MAX + 1 && !self.is_full() {
                let message = format!("at most {} parts are read", limits::PARTS_MAX);
                self.unreadable(&name, message);
            }
            return;
        }
        let bytes = self.bytes.saturating_add(content.len());
        if bytes > limits::PARTS_BYTES_MAX {
            let message = format!(
                "all parts together have more than {} bytes",
                limits::PARTS_BYTES_MAX
            );
            self.unreadable(&name, message);
            return;
        }
        self.bytes = bytes;
        self.found.parts.push(Part {
            kind,
            name,
            content,
            merge_type,
        });
    }

    fn is_full(&self) -> bool {
        self.found.unreadable.len() >= limits::PARTS_MAX
    }

    fn unreadable(&mut self, subject: &str, message: String) {
        if !self.is_full() {
            self.found.unreadable.push(Unreadable {
                subject: subject.to_owned(),
                message,
            });
        }
    }
}

/// Decompresses what is compressed; none if it is not.
fn unpack(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if decode::is_gzip(bytes) {
        decode::gunzip(bytes, limits::PART_BYTES_MAX).map(Some)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::gzip;
    use base64::Engine as _;

    fn kinds(user_data: &[u8]) -> Vec<PartKind> {
        read_user_data(user_data)
            .parts
            .into_iter()
            .map(|part| part.kind)
            .collect()
    }

    #[test]
    fn one_part_says_by_its_first_line_what_it_is() {
        for (text, kind) in [
            ("#cloud-config\na: 1\n", PartKind::CloudConfig),
            ("\n  #Cloud-Config\r\na: 1\r\n", PartKind::CloudConfig),
            ("\u{feff}#cloud-config\n", PartKind::CloudConfig),
            ("#!/bin/sh\n", PartKind::Script),
            ("#cloud-boothook\n#!/bin/sh\n", PartKind::Boothook),
            ("#include http://x/\n", PartKind::Include),
            ("#include-once\nhttp://x/\n", PartKind::Include),
            ("#part-handler\n", PartKind::PartHandler),
            ("## template: jinja\n#cloud-config\n", PartKind::Template),
            ("#cloud-config-jsonp\n[]", PartKind::JsonPatch),
            ("hello: world\n", PartKind::Other(String::new())),
        ] {
            assert_eq!(kinds(text.as_bytes()), [kind], "{text:?}");
        }
        assert_eq!(kinds(b""), []);
        assert_eq!(read_user_data(b"#!/bin/sh\n").parts[0].name, "part-001");
    }

    #[test]
    fn compressed_and_wrapped_user_data_is_unpacked() {
        let script = b"#!/bin/sh\necho hello\n";
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let packed = gzip(script);
        let mut folded = encode(&packed);
        folded.insert(20, '\n');
        for form in [
            packed.clone(),
            encode(script).into_bytes(),
            folded.into_bytes(),
        ] {
            let read = read_user_data(&form);
            assert_eq!(read.parts[0].kind, PartKind::Script);
            assert_eq!(read.parts[0].content, script);
        }
    }

    #[test]
    fn what_cannot_be_unpacked_is_told() {
        let broken = &gzip(b"#!/bin/sh\necho hello\n")[..15];
        let read = read_user_data(broken);
        assert_eq!(read.parts, []);
        assert!(read.unreadable[0].message.starts_with("not gzip"));
        let large = vec![b'#'; limits::USER_DATA_BYTES_MAX + 1];
        assert!(
            read_user_data(&large).unreadable[0]
                .message
                .contains("too large")
        );
    }
}
