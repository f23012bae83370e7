//! Parts as a list in YAML.

use zenekar_base::Value;

use super::{Reader, kind};
use crate::limits;
use crate::values::{as_map, get, text_of, truthy};

impl Reader {
    pub(super) fn read_archive(&mut self, content: &[u8], level: usize) {
        const SUBJECT: &str = "cloud-config-archive";
        if level >= limits::NESTING_MAX {
            let message = format!("parts within parts: at most {} levels", limits::NESTING_MAX);
            self.unreadable(SUBJECT, message);
            return;
        }
        let value = match crate::config::read(SUBJECT, content) {
            Ok(config) => config.value,
            Err(message) => {
                self.unreadable(SUBJECT, message);
                return;
            }
        };
        match value {
            Value::List(entries) => {
                for entry in entries {
                    self.read_entry(&entry, level);
                }
            }
            Value::Null => {}
            _ => self.unreadable(SUBJECT, "not a list".to_owned()),
        }
    }

    fn read_entry(&mut self, entry: &Value, level: usize) {
        let empty = Value::String(String::new());
        let (content, fields) = match entry {
            Value::String(_) => (entry, [].as_slice()),
            other => match as_map(other) {
                Some(fields) => (get(fields, "content").unwrap_or(&empty), fields),
                // Anything else is no part to cloud-init either.
                None => return,
            },
        };
        let bytes = match content {
            Value::Bytes(bytes) => bytes.clone(),
            other => text_of(other).into_bytes(),
        };
        let content_type = get(fields, "type")
            .filter(|value| truthy(value))
            .map(|value| text_of(value).to_lowercase());
        let kind = match content_type {
            Some(content_type) => kind::of_content_type(&content_type),
            None => kind::detect(&bytes).unwrap_or(match content {
                Value::Bytes(_) => kind::of_content_type("application/octet-stream"),
                _ => kind::of_content_type("text/cloud-config"),
            }),
        };
        let name = get(fields, "filename").map(text_of);
        let merge_type = fields
            .iter()
            .find(|(key, _)| {
                key.eq_ignore_ascii_case("merge-type") || key.eq_ignore_ascii_case("x-merge-type")
            })
            .map(|(_, value)| text_of(value));
        self.add(kind, name, bytes, merge_type, level);
    }
}

#[cfg(test)]
mod tests {
    use crate::user_data::{PartKind, read_user_data};

    #[test]
    fn an_archive_is_a_list_of_parts() {
        let read = read_user_data(
            b"#cloud-config-archive\n- type: text/cloud-boothook\n  filename: b.txt\n  content: |\n    #!/bin/sh\n- 'a: 1'\n- content: |\n    #!/bin/sh\n    echo\n",
        );
        let parts: Vec<_> = read
            .parts
            .iter()
            .map(|part| (part.kind.clone(), part.name.as_str()))
            .collect();
        assert_eq!(
            parts,
            [
                (PartKind::Boothook, "b.txt"),
                (PartKind::CloudConfig, "part-002"),
                (PartKind::Script, "part-003"),
            ]
        );
    }

    #[test]
    fn a_broken_archive_is_told() {
        let read = read_user_data(b"#cloud-config-archive\n- [\n");
        assert_eq!(read.parts, []);
        assert_eq!(read.unreadable.len(), 1);
    }
}
