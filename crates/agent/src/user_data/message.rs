//! Multipart user-data.

use mailparse::{MailHeaderMap as _, ParsedMail, body::Body, parse_mail};

use super::{Reader, kind};
use crate::decode;
use crate::limits;

/// A message says within so many bytes that it is one.
const HEAD_BYTES: usize = 4096;
const MARK: &[u8] = b"mime-version:";

/// Says whether user-data is a MIME message.
pub(super) fn looks_like_one(plain: &[u8]) -> bool {
    let head = &plain[..plain.len().min(HEAD_BYTES)];
    head.windows(MARK.len())
        .any(|window| window.eq_ignore_ascii_case(MARK))
}

impl Reader {
    pub(super) fn read_message(&mut self, plain: &[u8], level: usize) {
        // An empty line in front would end the headers before they begin.
        let plain = kind::without_mark(plain).trim_ascii_start();
        match parse_mail(plain) {
            Ok(message) => self.read_parts(&message, level),
            Err(cause) => self.unreadable("user-data", format!("not a MIME message: {cause}")),
        }
    }

    fn read_parts(&mut self, message: &ParsedMail<'_>, level: usize) {
        let content_type = message.ctype.mimetype.to_lowercase();
        if content_type.starts_with("multipart/") {
            if level >= limits::NESTING_MAX {
                let message = format!("parts within parts: at most {} levels", limits::NESTING_MAX);
                self.unreadable("user-data", message);
                return;
            }
            for part in &message.subparts {
                self.read_parts(part, level + 1);
            }
            return;
        }
        let name = name_of(message);
        let content = content_of(message);
        let merge_type = ["Merge-Type", "X-Merge-Type"]
            .iter()
            .find_map(|header| message.headers.get_first_value(header))
            .filter(|value| !value.is_empty());
        if kind::is_compressed(&content_type) {
            match decode::gunzip(&content, limits::PART_BYTES_MAX) {
                Ok(plain) => {
                    let kind = kind::of_part("text/plain", &plain);
                    self.add(kind, name, plain, merge_type, level);
                }
                Err(message) => {
                    let subject = name.unwrap_or(content_type);
                    self.unreadable(&subject, message);
                }
            }
            return;
        }
        let kind = kind::of_part(&content_type, &content);
        self.add(kind, name, content, merge_type, level);
    }
}

/// Returns the name of an attachment.
fn name_of(message: &ParsedMail<'_>) -> Option<String> {
    let disposition = message.get_content_disposition();
    disposition
        .params
        .get("filename")
        .or_else(|| message.ctype.params.get("name"))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

fn content_of(message: &ParsedMail<'_>) -> Vec<u8> {
    // Broken base64 is taken as it is written, as Python's reader takes it.
    match message.get_body_encoded() {
        Body::Base64(body) => {
            decode::base64_lenient(body.get_raw()).unwrap_or_else(|_| body.get_raw().to_vec())
        }
        Body::QuotedPrintable(body) => decode::quoted_printable(body.get_raw()),
        Body::SevenBit(body) | Body::EightBit(body) => body.get_raw().to_vec(),
        Body::Binary(body) => body.get_raw().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use crate::user_data::{PartKind, read_user_data};

    const MESSAGE: &str = "Content-Type: multipart/mixed; boundary=\"==X==\"\n\
        MIME-Version: 1.0\n\n\
        --==X==\n\
        Content-Type: text/cloud-config; charset=\"us-ascii\"\n\
        Content-Disposition: attachment; filename=\"one.yaml\"\n\
        Merge-Type: list(append)+dict(recurse_array)+str()\n\n\
        #cloud-config\nruncmd: [ls]\n\
        --==X==\n\
        Content-Type: text/x-shellscript\n\
        Content-Transfer-Encoding: base64\n\
        Content-Disposition: attachment; filename=\"two.sh\"\n\n\
        IyEvYmluL3NoCmVjaG8g\ndHdvCg==\n\
        --==X==\n\
        Content-Type: text/plain\n\
        Content-Transfer-Encoding: quoted-printable\n\n\
        #!/bin/sh\nX=3D1\n\
        --==X==\n\
        Content-Type: multipart/mixed; boundary=inner\n\n\
        --inner\n\
        Content-Type: application/json\n\n\
        {}\n\
        --inner--\n\
        --==X==--\n";

    #[test]
    fn the_parts_of_a_message_are_found() {
        let read = read_user_data(MESSAGE.as_bytes());
        assert_eq!(read.unreadable, []);
        let parts: Vec<_> = read
            .parts
            .iter()
            .map(|part| (&part.kind, part.name.as_str(), part.content.as_slice()))
            .collect();
        assert_eq!(
            parts,
            [
                (
                    &PartKind::CloudConfig,
                    "one.yaml",
                    b"#cloud-config\nruncmd: [ls]".as_slice()
                ),
                (&PartKind::Script, "two.sh", b"#!/bin/sh\necho two\n"),
                (&PartKind::Script, "part-003", b"#!/bin/sh\nX=1"),
                (
                    &PartKind::Other("application/json".to_owned()),
                    "part-004",
                    b"{}"
                ),
            ]
        );
        assert_eq!(
            read.parts[0].merge_type.as_deref(),
            Some("list(append)+dict(recurse_array)+str()")
        );
    }

    #[test]
    fn parts_do_not_nest_without_end() {
        let mut message = String::from("MIME-Version: 1.0\n");
        for level in 0..50 {
            let boundary = format!("b{level}");
            message.push_str("Content-Type: multipart/mixed; boundary=");
            message.push_str(&[&boundary, "\n\n--", &boundary, "\n"].concat());
        }
        message.push_str("Content-Type: text/x-shellscript\n\n#!/bin/sh\n");
        let read = read_user_data(message.as_bytes());
        assert_eq!(read.parts, []);
        assert!(read.unreadable[0].message.contains("levels"));
    }
}
