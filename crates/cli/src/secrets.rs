//! Hides secrets in what is shown of a descriptor.

use std::collections::BTreeSet;

use zenekar_base::Value;
pub(crate) use zenekar_base::is_secret_name;

/// What stands in a secret's place.
pub(crate) const MASK: &str = "***";

/// Values shorter than this are no secrets, and would be found everywhere.
const SECRET_CHARS_MIN: usize = 3;

/// Secrets that are known by their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    values: BTreeSet<String>,
}

impl Secrets {
    /// Takes note of a secret.
    pub(crate) fn add(&mut self, value: &str) {
        let value = value.trim();
        let is_word = matches!(value, "true" | "false" | "True" | "False" | "null" | "None");
        if value.chars().count() >= SECRET_CHARS_MIN && !is_word && !value.contains("{{") {
            self.values.insert(value.to_owned());
        }
    }

    /// Takes note of all values whose names say that they are secrets.
    pub(crate) fn add_named(&mut self, value: &Value) {
        match value {
            Value::Map(entries) => {
                for (name, member) in entries {
                    if is_secret_name(name) {
                        self.add_all(member);
                    } else {
                        self.add_named(member);
                    }
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.add_named(item)),
            _ => {}
        }
    }

    fn add_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Int(number) => self.add(&number.to_string()),
            Value::List(items) => items.iter().for_each(|item| self.add_all(item)),
            Value::Map(entries) => entries.iter().for_each(|(_, member)| self.add_all(member)),
            _ => {}
        }
    }

    /// Returns a text without the secrets that are known, and without private keys.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut out = without_private_keys(text);
        // Longer ones first: one may be a part of another.
        let mut values: Vec<&String> = self.values.iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            for form in [value.clone(), value.replace('\n', "\\n")] {
                if out.contains(&form) {
                    out = out.replace(&form, MASK);
                }
            }
        }
        mask_named_lines(&out)
    }

    /// Returns data without secrets.
    pub(crate) fn mask_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask(text)),
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.mask_value(item)).collect())
            }
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(name, member)| {
                        let is_scalar = !matches!(member, Value::Map(_) | Value::List(_));
                        let masked = if is_secret_name(name) && is_scalar && *member != Value::Null
                        {
                            MASK.into()
                        } else {
                            self.mask_value(member)
                        };
                        (name.clone(), masked)
                    })
                    .collect(),
            ),
            other => other.clone(),
        }
    }
}

/// Replaces what is between the first and the last line of private keys.
fn without_private_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const MARK: &str = "PRIVATE KEY-----";
    const END: &str = "-----END ";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let head = &rest[start + BEGIN.len()..];
        let kind = head.find(MARK).filter(|at| !head[..*at].contains('-'));
        let Some(kind) = kind else {
            out.push_str(&rest[..start + BEGIN.len()]);
            rest = head;
            continue;
        };
        let body = start + BEGIN.len() + kind + MARK.len();
        out.push_str(&rest[..body]);
        out.push_str(MASK);
        rest = rest[body..].find(END).map_or("", |end| &rest[body + end..]);
    }
    out.push_str(rest);
    out
}

/// Replaces the values of `name: value` and `name=value` lines whose names are secrets.
fn mask_named_lines(text: &str) -> String {
    let line = |line: &str| -> String {
        let trimmed = line.trim_start_matches([' ', '-', '\t']);
        let Some(at) = trimmed.find([':', '=']) else {
            return line.to_owned();
        };
        let (name, value) = (trimmed[..at].trim(), trimmed[at + 1..].trim());
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.'\"".contains(&byte));
        let is_value = !value.is_empty() && !value.starts_with(['[', '{', '|', '>', '&', '*', '$']);
        if is_name && is_value && is_secret_name(name.trim_matches(['\'', '"'])) && value != MASK {
            let value_at = line.len() - trimmed[at + 1..].trim_start().len();
            return format!("{}{MASK}", &line[..value_at]);
        }
        line.to_owned()
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut secrets = Secrets::default();
        secrets.add_named(&Value::Map(vec![
            ("db_password".to_owned(), "s3cret!".into()),
            (
                "nested".to_owned(),
                Value::Map(vec![("token".to_owned(), Value::Int(12345))]),
            ),
            ("port".to_owned(), "8080".into()),
        ]));
        assert_eq!(
            secrets.mask("mysql -ps3cret! -P8080 --token 12345\npassword: other\nX_TOKEN=abc\n"),
            "mysql -p*** -P8080 --token ***\npassword: ***\nX_TOKEN=***\n"
        );
        let key = "a -----BEGIN RSA PRIVATE KEY-----\\nMII\n-----END RSA PRIVATE KEY----- b";
        assert_eq!(
            secrets.mask(key),
            "a -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- b"
        );
        assert_eq!(
            secrets.mask("-----BEGIN PUBLIC KEY-----\nx"),
            "-----BEGIN PUBLIC KEY-----\nx"
        );
        assert_eq!(
            secrets.mask("-----BEGIN PRIVATE KEY-----\nx"),
            "-----BEGIN PRIVATE KEY-----***"
        );
    }
}
