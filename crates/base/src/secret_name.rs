//! Which names say that their values are secrets.

/// Parts of names whose values are secrets.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "private_key",
    "privatekey",
    "apikey",
    "api_key",
    "access_key",
    "accesskey",
    "credential",
    "encrypt",
];

/// Names that are secrets only as a whole.
const WHOLE_NAMES: &[&str] = &["pass", "pw", "auth_data"];

/// Parts of names that tell of secrets without holding them.
const HARMLESS: &[&str] = &[
    "public",
    "file",
    "path",
    "url",
    "name",
    "lock_passwd",
    "length",
];

/// Says whether the value under a name is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let holds = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    WHOLE_NAMES.contains(&name.as_str()) || (holds(NAMES) && !holds(HARMLESS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "password",
            "DB_PASSWORD",
            "vnc_password",
            "api-key",
            "secretkey",
            "pass",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "user",
            "key_name",
            "password_file",
            "public_key",
            "passenger",
            "bypass",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
