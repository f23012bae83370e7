//! `password`, `chpasswd` and `ssh_pwauth`: who may log in with a password.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;

use zenekar_base::Value;

use super::users::{accounts_of, set_passwords};
use crate::session::{Ending, Session};
use crate::values::{as_list, as_map, get, is_false, is_true, option_bool, text_of, truthy};

const MODULE: &str = "set_passwords";
/// Where passwords are kept that were drawn: they are never written to the log.
const DRAWN_FILE: &str = "/var/lib/cloud/instance/random-passwords.txt";
const DRAWN_LETTERS: usize = 20;
/// Letters that nobody confuses. There are 56.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The passwords to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Passwords {
    plain: Vec<(String, String)>,
    hashed: Vec<(String, String)>,
    /// The users whose password is to be drawn.
    random: Vec<String>,
    expire: bool,
    /// What is left out.
    remarks: Vec<String>,
}

/// Sets passwords.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    let asked =
        get(config, "chpasswd").is_some_and(truthy) || get(config, "password").is_some_and(truthy);
    if asked {
        let mut passwords = passwords_of(config);
        let count = passwords.plain.len() + passwords.hashed.len() + passwords.random.len();
        let subject = format!("{count} users");
        if session.target.can_administer {
            session.step(MODULE, subject, |session| set(session, &mut passwords));
        } else {
            let message = "accounts need an own file system and root";
            session.note(MODULE, subject, Ending::impossible(message));
        }
    }
    allow_passwords(session, config);
}

fn passwords_of(config: &[(String, Value)]) -> Passwords {
    let nothing = Vec::new();
    let settings = get(config, "chpasswd").and_then(as_map).unwrap_or(&nothing);
    let mut found = Passwords {
        expire: option_bool(settings, "expire", true),
        ..Passwords::default()
    };
    for user in get(settings, "users").and_then(as_list).unwrap_or_default() {
        let entry = as_map(user).unwrap_or_default();
        let Some(name) = get(entry, "name").map(text_of) else {
            found.remarks.push("a user without a name".to_owned());
            continue;
        };
        let password = get(entry, "password").map(text_of);
        let kind = get(entry, "type").map_or_else(|| "hash".to_owned(), text_of);
        match (kind.as_str(), password) {
            ("RANDOM", _) => found.random.push(name),
            ("text", Some(password)) => found.plain.push((name, password)),
            ("hash", Some(password)) => found.hashed.push((name, password)),
            _ => found.remarks.push(format!("no password for `{name}`")),
        }
    }
    let lines: Vec<String> = match get(settings, "list").filter(|value| truthy(value)) {
        Some(Value::List(lines)) => lines.iter().map(text_of).collect(),
        Some(other) => text_of(other).lines().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let unnamed = get(config, "password").filter(|value| truthy(value));
    let nobody_named = lines.is_empty() && get(settings, "users").is_none();
    let lines = if let Some(password) = unnamed.filter(|_| nobody_named) {
        let user = accounts_of(config)
            .ok()
            .and_then(|found| found.default_user);
        if user.is_none() {
            found.remarks.push("there is no default user".to_owned());
        }
        user.map(|user| format!("{user}:{}", text_of(password)))
            .into_iter()
            .collect()
    } else {
        lines
    };
    for line in lines {
        match line.split_once(':') {
            Some((name, "R" | "RANDOM")) => found.random.push(name.to_owned()),
            Some((name, password)) if is_hash(password) => {
                found.hashed.push((name.to_owned(), password.to_owned()));
            }
            Some((name, password)) => found.plain.push((name.to_owned(), password.to_owned())),
            // The line may be a password; it must not be shown.
            None => found
                .remarks
                .push("a line without `user:password`".to_owned()),
        }
    }
    found
}

/// Says whether a password is given as `$6$salt$hash` or the like.
fn is_hash(password: &str) -> bool {
    let rest = ["$1", "$2a", "$2y", "$5", "$6"]
        .iter()
        .find_map(|method| password.strip_prefix(method));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix('$')) else {
        return false;
    };
    // A part that is not empty, another `$`, and again a part.
    let second = rest
        .char_indices()
        .skip(1)
        .find(|(_, letter)| *letter == '$');
    second.is_some_and(|(at, _)| at + 1 < rest.len()) && !password.contains(':')
}

fn set(session: &Session<'_>, passwords: &mut Passwords) -> Ending {
    let mut problems = Vec::new();
    match draw(session, &passwords.random) {
        Ok(drawn) => passwords.plain.extend(drawn),
        Err(message) => problems.push(message),
    }
    let mut changed = Vec::new();
    for (list, hashed) in [(&passwords.plain, false), (&passwords.hashed, true)] {
        if list.is_empty() {
            continue;
        }
        let ending = set_passwords(session, list, hashed);
        if !ending.is_done() {
            problems.push(format!("`chpasswd`: {}", ending.message));
        }
        changed.extend(list.iter().map(|(name, _)| name.as_str()));
    }
    if passwords.expire {
        for name in changed {
            let ending = session.run(Command::new("passwd").args(["--expire", "--", name]));
            if !ending.is_done() {
                problems.push(format!(
                    "expiring the password of `{name}`: {}",
                    ending.message
                ));
            }
        }
    }
    if problems.is_empty() {
        Ending::remark(passwords.remarks.join("; "))
    } else {
        Ending::failed(problems.join("; "))
    }
}

fn draw(session: &Session<'_>, users: &[String]) -> Result<Vec<(String, String)>, String> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let mut source = File::open("/dev/urandom")
        .map_err(|cause| format!("no randomness for a password: {cause}"))?;
    let mut drawn = Vec::new();
    let mut text = String::new();
    for user in users {
        let mut password = String::new();
        while password.len() < DRAWN_LETTERS {
            let mut byte = [0];
            source
                .read_exact(&mut byte)
                .map_err(|cause| format!("no randomness for a password: {cause}"))?;
            // Every letter must be as likely as any other: 224 is four times 56.
            let at = usize::from(byte[0]);
            if at < 4 * LETTERS.len() {
                password.push(char::from(LETTERS[at % LETTERS.len()]));
            }
        }
        text.push_str(&[user, ":", &password, "\n"].concat());
        drawn.push((user.clone(), password));
    }
    session.place.write(DRAWN_FILE, text.as_bytes(), 0o600)?;
    Ok(drawn)
}

/// Tells the ssh server whether passwords are accepted.
fn allow_passwords(session: &mut Session<'_>, config: &[(String, Value)]) {
    const FILE: &str = "/etc/ssh/sshd_config";
    let Some(value) = get(config, "ssh_pwauth") else {
        return;
    };
    let subject = format!("ssh_pwauth {}", text_of(value));
    let word = if is_true(value) {
        "yes"
    } else if is_false(value) {
        "no"
    } else {
        let unchanged = *value == Value::Null || text_of(value).eq_ignore_ascii_case("unchanged");
        let message = if unchanged {
            ""
        } else {
            "neither yes nor no; nothing was changed"
        };
        session.note(MODULE, subject, Ending::remark(message));
        return;
    };
    if !session.target.can_administer {
        let message = "the ssh server needs an own file system and root";
        session.note(MODULE, subject, Ending::impossible(message));
        return;
    }
    session.step(MODULE, subject, |session| {
        let place = &session.place;
        let main = place.read(FILE).unwrap_or_default();
        let include = format!("Include {FILE}.d/*.conf");
        let (file, mode) = if main.lines().any(|line| line.starts_with(&include)) {
            (format!("{FILE}.d/50-cloud-init.conf"), 0o600)
        } else {
            (FILE.to_owned(), 0o644)
        };
        let old = place.read(&file).unwrap_or_default();
        let new = with_setting(&old, "PasswordAuthentication", word);
        let mode = place.mode_of(&file).unwrap_or(mode);
        if let Err(message) = place.write(&file, new.as_bytes(), mode) {
            return Ending::failed(message);
        }
        let mut service = Command::new("service");
        let running = session.run(service.args(["ssh", "status"])).is_done();
        if running && new != old {
            return session.run(Command::new("service").args(["ssh", "restart"]));
        }
        Ending::done()
    });
}

/// Changes a setting of a file of keywords, or adds it.
fn with_setting(old: &str, keyword: &str, value: &str) -> String {
    let mut new = String::new();
    let mut found = false;
    for line in old.lines() {
        let line = line.trim();
        let name = line.split([' ', '\t', '=']).next().unwrap_or("");
        if name.eq_ignore_ascii_case(keyword) {
            found = true;
            new.push_str(&[name, " ", value, "\n"].concat());
        } else {
            new.push_str(line);
            new.push('\n');
        }
    }
    if !found {
        new.push_str(&[keyword, " ", value, "\n"].concat());
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(text: &str) -> Passwords {
        match crate::config::read("test", text.as_bytes()).unwrap().value {
            Value::Map(config) => passwords_of(&config),
            _ => panic!("not a mapping"),
        }
    }

    fn pair(one: &str, two: &str) -> (String, String) {
        (one.to_owned(), two.to_owned())
    }

    #[test]
    fn passwords_come_in_lists_text_and_users() {
        let found = passwords("chpasswd: {list: \"a:x\\nb:$6$salt$hash\\nc:R\\n\", expire: no}");
        assert_eq!(found.plain, [pair("a", "x")]);
        assert_eq!(found.hashed, [pair("b", "$6$salt$hash")]);
        assert_eq!(found.random, ["c"]);
        assert!(!found.expire);
        let found = passwords(
            "chpasswd: {users: [{name: a, password: x, type: text}, {name: b, password: h}, {name: c, type: RANDOM}]}",
        );
        assert_eq!(found.plain, [pair("a", "x")]);
        assert_eq!(found.hashed, [pair("b", "h")]);
        assert_eq!(found.random, ["c"]);
        assert!(found.expire);
        assert_eq!(
            passwords("password: secret").plain,
            [pair("debian", "secret")]
        );
        assert_eq!(passwords("chpasswd: {list: [nothing]}").remarks.len(), 1);
    }

    #[test]
    fn hashes_are_recognised() {
        for (password, hash) in [
            ("$6$salt$hash", true),
            ("$1$a$b", true),
            ("$6$$b", false),
            ("$7$a$b", false),
            ("$6$a:b$c", false),
            ("plain", false),
        ] {
            assert_eq!(is_hash(password), hash, "{password}");
        }
    }

    #[test]
    fn settings_are_changed_in_place() {
        assert_eq!(
            with_setting(
                "# x\npasswordauthentication no\nPort 22\n",
                "PasswordAuthentication",
                "yes"
            ),
            "# x\npasswordauthentication yes\nPort 22\n"
        );
        assert_eq!(with_setting("", "A", "b"), "A b\n");
    }
}
