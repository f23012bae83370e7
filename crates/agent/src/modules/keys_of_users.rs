//! Who may log in with which key.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use zenekar_base::Value;

use super::users::accounts_of;
use crate::accounts;
use crate::session::{Ending, Session};
use crate::values::{as_list, as_map, get, option_bool, text_of};

const MODULE: &str = "ssh";
const HOST_KEY_TYPES: [&str; 4] = ["rsa", "dsa", "ecdsa", "ed25519"];

/// The kinds of keys that a line may have.
const KEY_TYPES: &[&str] = &[
    "dsa",
    "ecdsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "ed25519",
    "rsa",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-xmss-cert-v01@openssh.com",
    "ssh-xmss@openssh.com",
];

/// A line of `authorized_keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// The key itself; none for comments and what is no key.
    key: Option<String>,
    text: String,
}

impl Line {
    /// Reads a line; `options` replace those that it would have.
    fn parse(line: &str, options: Option<&str>) -> Self {
        let line = line.trim_end_matches(['\r', '\n']);
        let plain = |text: &str| Self {
            key: None,
            text: text.to_owned(),
        };
        let trimmed = line.trim();
        if line.starts_with('#') || trimmed.is_empty() {
            return plain(line);
        }
        let (own_options, rest) = if fields_of(trimmed).is_some() {
            ("", trimmed)
        } else {
            split_options(trimmed)
        };
        let Some(fields) = fields_of(rest) else {
            return plain(line);
        };
        let options = options.unwrap_or(own_options);
        let text: Vec<&str> = std::iter::once(options)
            .chain(fields)
            .filter(|field| !field.is_empty())
            .collect();
        Self {
            key: Some(fields[1].to_owned()),
            text: text.join(" "),
        }
    }
}

/// Splits a key into its type, itself and a comment.
fn fields_of(text: &str) -> Option<[&str; 3]> {
    let (kind, rest) = text.split_once(char::is_whitespace)?;
    if !KEY_TYPES.contains(&kind) {
        return None;
    }
    let rest = rest.trim_start();
    let (key, comment) = rest
        .split_once(char::is_whitespace)
        .map_or((rest, ""), |(key, comment)| (key, comment.trim_start()));
    (!key.is_empty()).then_some([kind, key, comment])
}

/// Splits the options off; blank space inside quotes belongs to them.
fn split_options(text: &str) -> (&str, &str) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if text[at + 1..].starts_with('"') => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return (&text[..at], text[at..].trim_start()),
            _ => {}
        }
    }
    (text, "")
}

/// Adds keys to the old text; one that is there already is replaced.
fn with_keys(old: &str, added: &[Line]) -> String {
    let mut lines: Vec<Line> = old.lines().map(|line| Line::parse(line, None)).collect();
    for new in added.iter().filter(|line| line.key.is_some()) {
        let mut known = false;
        for line in lines.iter_mut().filter(|line| line.key == new.key) {
            *line = new.clone();
            known = true;
        }
        if !known {
            lines.push(new.clone());
        }
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

/// Lets the owners of keys log in as a user. Returns what there is to say about it.
pub(super) fn authorize(
    session: &Session<'_>,
    name: &str,
    keys: &[String],
    options: Option<&str>,
) -> Result<Option<String>, String> {
    let place = &session.place;
    let user = accounts::user(place, name).ok_or_else(|| format!("there is no user `{name}`"))?;
    let folder = format!("{}/.ssh", user.home.trim_end_matches('/'));
    let file = format!("{folder}/authorized_keys");
    // A link in a home that somebody else can write would lead anywhere.
    if place.of(&folder).is_symlink() || place.of(&file).is_symlink() {
        return Err(format!("`{file}` must not be a symbolic link"));
    }
    let owned = |path: &str, mode: u32| {
        let there = place.of(path);
        fs::set_permissions(&there, Permissions::from_mode(mode))
            .and_then(|()| chown(&there, Some(user.id), Some(user.group)))
            .map_err(|cause| format!("cannot give `{path}` to `{name}`: {cause}"))
    };
    if !place.of(&folder).is_dir() {
        place
            .create_folder(&folder, 0o700)
            .map_err(|cause| format!("cannot create `{folder}`: {cause}"))?;
        owned(&folder, 0o700)?;
    }
    let fresh = !place.is_file(&file);
    let lines: Vec<Line> = keys.iter().map(|key| Line::parse(key, options)).collect();
    let text = with_keys(&place.read(&file).unwrap_or_default(), &lines);
    let mode = fs::metadata(place.of(&file)).map_or(0o600, |found| found.permissions().mode());
    place.write(&file, text.as_bytes(), mode & 0o7777)?;
    if fresh {
        owned(&file, 0o600)?;
    }
    let skipped = lines.iter().filter(|line| line.key.is_none()).count();
    Ok((skipped > 0).then(|| format!("{skipped} of {} are no keys", lines.len())))
}

/// Carries out the keys of the machine and those that let people in.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    host_keys(session, config);
    let Some(value) = get(config, "ssh_authorized_keys") else {
        return;
    };
    let keys: Vec<String> = match value {
        Value::String(key) => vec![key.clone()],
        other => as_list(other)
            .unwrap_or_default()
            .iter()
            .map(text_of)
            .collect(),
    };
    let Ok(found) = accounts_of(config) else {
        return;
    };
    if !session.target.can_administer {
        let message = "accounts need an own file system and root";
        session.note(MODULE, "ssh_authorized_keys", Ending::impossible(message));
        return;
    }
    let default_user = found.default_user;
    if let Some(name) = &default_user {
        session.step(MODULE, format!("keys of {name}"), |session| {
            ending_of(authorize(session, name, &keys, None))
        });
    }
    let options = if option_bool(config, "disable_root", true) {
        let user = default_user.as_deref().unwrap_or("NONE");
        get(config, "disable_root_opts")
            .map_or_else(|| refusal().to_owned(), text_of)
            .replace("$USER", user)
            .replace("$DISABLE_USER", "root")
    } else {
        String::new()
    };
    session.step(MODULE, "keys of root", |session| {
        ending_of(authorize(session, "root", &keys, Some(&options)))
    });
}

/// What whoever logs in as root gets to read, as options of a key.
fn refusal() -> &'static str {
    "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,\
     command=\"echo 'root does not log in here; log in as $USER.';echo;sleep 10;exit 142\""
}

fn ending_of(result: Result<Option<String>, String>) -> Ending {
    match result {
        Ok(remark) => Ending::remark(remark.unwrap_or_default()),
        Err(message) => Ending::failed(message),
    }
}

/// Replaces the keys of the machine, if the configuration says anything about them.
fn host_keys(session: &mut Session<'_>, config: &[(String, Value)]) {
    let about = ["ssh_keys", "ssh_deletekeys", "ssh_genkeytypes"];
    if !about.iter().any(|key| get(config, key).is_some()) {
        return;
    }
    if !session.target.can_administer {
        let message = "the keys of the machine need an own file system and root";
        session.note(MODULE, "host keys", Ending::impossible(message));
        return;
    }
    let delete = option_bool(config, "ssh_deletekeys", true);
    let given = get(config, "ssh_keys").and_then(as_map);
    let types: Vec<String> = match get(config, "ssh_genkeytypes") {
        Some(value) => as_list(value)
            .unwrap_or_default()
            .iter()
            .map(text_of)
            .collect(),
        None => HOST_KEY_TYPES.map(str::to_owned).to_vec(),
    };
    session.step(MODULE, "host keys", |session| {
        if delete {
            delete_host_keys(session);
        }
        match given {
            Some(keys) => write_host_keys(session, keys),
            None => generate_host_keys(session, &types),
        }
    });
}

fn delete_host_keys(session: &Session<'_>) {
    let Ok(entries) = fs::read_dir(session.place.of("/etc/ssh")) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("ssh_host_") && name.contains("key") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_host_keys(session: &Session<'_>, keys: &[(String, Value)]) -> Ending {
    let mut remarks = Vec::new();
    for (name, value) in keys {
        let path = HOST_KEY_TYPES.iter().find_map(|kind| {
            let file = format!("/etc/ssh/ssh_host_{kind}_key");
            match name.strip_prefix(kind)? {
                "_private" => Some(file),
                "_public" => Some(format!("{file}.pub")),
                "_certificate" => Some(format!("{file}-cert.pub")),
                _ => None,
            }
        });
        match path {
            Some(path) => {
                let text = text_of(value);
                if let Err(message) = session.place.write(&path, text.as_bytes(), 0o600) {
                    return Ending::failed(message);
                }
            }
            None => remarks.push(format!("`{name}` is no key of a machine")),
        }
    }
    for kind in HOST_KEY_TYPES {
        let has = |part: &str| get(keys, &format!("{kind}_{part}")).is_some();
        if has("private") && !has("public") {
            // The public part follows from the private one.
            let script = "o=$(ssh-keygen -yf \"$1\") && echo \"$o\" root@localhost > \"$1.pub\"";
            let file = format!("/etc/ssh/ssh_host_{kind}_key");
            let ending = session.run(
                Command::new("sh")
                    .args(["-c", script, "sh"])
                    .arg(session.place.of(&file)),
            );
            if !ending.is_done() {
                remarks.push(format!(
                    "no public part of the {kind} key: {}",
                    ending.message
                ));
            }
        }
    }
    Ending::remark(remarks.join("; "))
}

fn generate_host_keys(session: &Session<'_>, types: &[String]) -> Ending {
    let mut remarks = Vec::new();
    for kind in types {
        let known = kind
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
        let file = format!("/etc/ssh/ssh_host_{kind}_key");
        if !known || session.place.is_file(&file) {
            continue;
        }
        let ending = session.run(
            Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", "", "-f"])
                .arg(session.place.of(&file)),
        );
        if !ending.is_done() {
            remarks.push(format!("no {kind} key: {}", ending.message));
        }
    }
    Ending::remark(remarks.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_once_and_options_replaced() {
        let old = "# mine\nssh-rsa AAAA old\nfrom=\"a b\" ssh-ed25519 BBBB x y\n\nnonsense\n";
        let added = [
            Line::parse("ssh-rsa AAAA new", None),
            Line::parse("ssh-ed25519 CCCC", None),
            Line::parse("not a key", None),
        ];
        assert_eq!(
            with_keys(old, &added),
            "# mine\nssh-rsa AAAA new\nfrom=\"a b\" ssh-ed25519 BBBB x y\n\nnonsense\nssh-ed25519 CCCC\n"
        );
        assert_eq!(
            Line::parse("no-pty ssh-rsa AAAA c", Some("command=\"x\"")).text,
            "command=\"x\" ssh-rsa AAAA c"
        );
        assert_eq!(
            Line::parse("ssh-rsa AAAA c", Some("")).text,
            "ssh-rsa AAAA c"
        );
    }
}
