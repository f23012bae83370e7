//! `users`, `user` and `groups`: accounts of the node.

mod normal;

use std::process::Command;

use zenekar_base::Value;

use super::keys_of_users::authorize;
use crate::accounts;
use crate::session::{Ending, Session};
use crate::values::{as_list, as_map, get, kind_of, option_bool, text_of, truthy};

pub(super) use normal::accounts_of;

const MODULE: &str = "users_groups";
const SUDO_RULES: &str = "/etc/sudoers.d/90-cloud-init-users";
const NEEDS_ROOT: &str = "accounts need an own file system and root";

/// Settings of a user that are options of `useradd`.
const OPTIONS: &[(&str, &str)] = &[
    ("expiredate", "--expiredate"),
    ("gecos", "--comment"),
    ("groups", "--groups"),
    ("homedir", "--home"),
    ("inactive", "--inactive"),
    ("passwd", "--password"),
    ("primary_group", "--gid"),
    ("selinux_user", "--selinux-user"),
    ("shell", "--shell"),
    ("uid", "--uid"),
];
/// Settings of a user that are switches of `useradd`.
const SWITCHES: &[(&str, &str)] = &[
    ("no_log_init", "--no-log-init"),
    ("no_user_group", "--no-user-group"),
    ("system", "--system"),
];

/// Creates groups and users.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    let asked = ["users", "user", "groups", "ssh_authorized_keys", "password"]
        .iter()
        .any(|key| get(config, key).is_some());
    if !asked {
        return;
    }
    let accounts = match accounts_of(config) {
        Ok(accounts) => accounts,
        Err(message) => {
            session.note(MODULE, "", Ending::failed(message));
            return;
        }
    };
    let mut broken: Option<String> = None;
    for (name, members) in &accounts.groups {
        let subject = format!("group {name}");
        let done = act(session, &subject, broken.as_deref(), |session| {
            create_group(session, name, members)
        });
        if !done {
            broken.get_or_insert(subject);
        }
    }
    for (name, settings) in &accounts.users {
        let subject = format!("user {name}");
        let done = act(session, &subject, broken.as_deref(), |session| {
            create_user(session, name, settings, accounts.default_user.as_deref())
        });
        if !done {
            broken.get_or_insert(subject);
        }
    }
}

/// Carries one step out, unless an earlier one failed: with cloud-init the
/// first mistake ends the module.
fn act(
    session: &mut Session<'_>,
    subject: &str,
    broken: Option<&str>,
    work: impl FnOnce(&Session<'_>) -> Ending,
) -> bool {
    if !session.target.can_administer {
        session.note(MODULE, subject, Ending::impossible(NEEDS_ROOT));
        return true;
    }
    if let Some(earlier) = broken {
        let message = format!("not done, because {earlier} failed");
        session.note(MODULE, subject, Ending::failed(message));
        return false;
    }
    session.step(MODULE, subject, work)
}

fn create_group(session: &Session<'_>, name: &str, members: &[String]) -> Ending {
    let mut remarks = Vec::new();
    if accounts::group(&session.place, name).is_some() {
        remarks.push(format!("the group `{name}` is there already"));
    } else {
        let ending = session.run(Command::new("groupadd").args(["--", name]));
        if !ending.is_done() {
            remarks.push(format!("`groupadd`: {}", ending.message));
        }
    }
    for member in members {
        if accounts::user(&session.place, member).is_none() {
            remarks.push(format!("there is no user `{member}` to be a member"));
            continue;
        }
        let ending = session.run(Command::new("usermod").args(["-a", "-G", name, "--", member]));
        if !ending.is_done() {
            return Ending::failed(format!("adding `{member}`: {}", ending.message));
        }
    }
    Ending::remark(remarks.join("; "))
}

fn create_user(
    session: &Session<'_>,
    name: &str,
    settings: &[(String, Value)],
    default_user: Option<&str>,
) -> Ending {
    if get(settings, "snapuser").is_some() {
        return Ending::failed("users of snap are not created here");
    }
    let given = |key: &str| get(settings, key).is_some_and(truthy);
    if let Some(message) = contradiction(settings, default_user) {
        return Ending::failed(message);
    }
    let mut remarks = Vec::new();
    if accounts::user(&session.place, name).is_some() {
        remarks.push("the user is there already".to_owned());
    } else if let Err(message) = add_user(session, name, settings, &mut remarks) {
        return Ending::failed(message);
    }
    for (key, hashed) in [("plain_text_passwd", false), ("hashed_passwd", true)] {
        if given(key) {
            let password = get(settings, key).map(text_of).unwrap_or_default();
            let ending = set_passwords(session, &[(name.to_owned(), password)], hashed);
            if !ending.is_done() {
                return Ending::failed(format!("setting the password: {}", ending.message));
            }
        }
    }
    if get(settings, "lock_passwd").is_none_or(truthy) {
        let ending = session.run(Command::new("passwd").args(["-l", "--", name]));
        if !ending.is_done() {
            return Ending::failed(format!("locking the password: {}", ending.message));
        }
    }
    if given("sudo")
        && let Some(rules) = get(settings, "sudo")
        && let Err(message) = allow_sudo(session, name, rules)
    {
        return Ending::failed(message);
    }
    if let Some(keys) = get(settings, "ssh_authorized_keys") {
        let keys = match keys {
            Value::String(key) => vec![key.clone()],
            Value::List(keys) => keys.iter().map(text_of).collect(),
            Value::Map(keys) => keys.iter().map(|(_, key)| text_of(key)).collect(),
            _ => Vec::new(),
        };
        match authorize(session, name, &keys, None) {
            Ok(remark) => remarks.extend(remark),
            Err(message) => return Ending::failed(message),
        }
    }
    if given("ssh_redirect_user") {
        remarks.push("without keys of the cloud there is nothing to redirect".to_owned());
    }
    if given("ssh_import_id") {
        remarks.push("keys are not imported from other machines".to_owned());
    }
    Ending::remark(remarks.join("; "))
}

fn contradiction(settings: &[(String, Value)], default_user: Option<&str>) -> Option<String> {
    let given = |keys: &[&'static str]| {
        keys.iter()
            .copied()
            .find(|key| get(settings, key).is_some_and(truthy))
    };
    let without_home = given(&["no_create_home", "system"]);
    let with_home = given(&["ssh_authorized_keys", "ssh_import_id", "ssh_redirect_user"]);
    if let (Some(without), Some(with)) = (without_home, with_home) {
        return Some(format!("`{with}` needs a home, which `{without}` excludes"));
    }
    let redirected = given(&["ssh_redirect_user"]).and_then(|key| get(settings, key))?;
    if let Some(keys) = given(&["ssh_authorized_keys", "ssh_import_id"]) {
        return Some(format!(
            "`ssh_redirect_user` and `{keys}` exclude each other"
        ));
    }
    let known = *redirected == Value::Bool(true) || redirected.as_str() == Some("default");
    (!known || default_user.is_none())
        .then(|| "`ssh_redirect_user` is not true, or there is no default user".to_owned())
}

fn add_user(
    session: &Session<'_>,
    name: &str,
    settings: &[(String, Value)],
    remarks: &mut Vec<String>,
) -> Result<(), String> {
    let mut groups = match get(settings, "groups") {
        None => Vec::new(),
        Some(value) => group_names(value)?,
    };
    let joined = groups.join(",");
    let mut command = Command::new("useradd");
    for (key, option) in OPTIONS {
        let text = match (*key, get(settings, key)) {
            ("groups", _) => Some(joined.clone()),
            ("uid", Some(value)) => Some(text_of(value)),
            (_, Some(Value::String(text) | Value::Date(text))) => Some(text.clone()),
            _ => None,
        };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            command.args([*option, text.as_str()]);
        }
    }
    for (key, switch) in SWITCHES {
        if get(settings, key).is_some_and(truthy) {
            command.arg(switch);
        }
    }
    let homeless = ["no_create_home", "system"]
        .iter()
        .any(|key| get(settings, key).is_some_and(truthy));
    command.args([if homeless { "-M" } else { "-m" }, "--", name]);
    if let Some(Value::String(primary)) = get(settings, "primary_group") {
        groups.push(primary.clone());
    }
    if option_bool(settings, "create_groups", true) {
        for group in groups.iter().filter(|group| !group.is_empty()) {
            if accounts::group(&session.place, group).is_none() {
                let ending = create_group(session, group, &[]);
                remarks.extend(Some(ending.message).filter(|message| !message.is_empty()));
            }
        }
    }
    let ending = session.run(&mut command);
    if ending.is_done() {
        Ok(())
    } else {
        Err(format!("`useradd`: {}", ending.message))
    }
}

fn group_names(value: &Value) -> Result<Vec<String>, String> {
    let names: Vec<String> = match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.split(',').map(str::to_owned).collect(),
        Value::List(names) => names.iter().map(text_of).collect(),
        Value::Map(entries) => entries.iter().map(|(name, _)| name.clone()).collect(),
        other => return Err(format!("its groups are {}", kind_of(other))),
    };
    Ok(names.iter().map(|name| name.trim().to_owned()).collect())
}

/// Gives passwords to `chpasswd`, which must not be seen in a list of processes.
pub(super) fn set_passwords(
    session: &Session<'_>,
    passwords: &[(String, String)],
    hashed: bool,
) -> Ending {
    let mut input = String::new();
    for (name, password) in passwords {
        if name.contains([':', '\n']) || password.contains('\n') {
            return Ending::failed("a name or password with a line end");
        }
        input.push_str(&[name, ":", password, "\n"].concat());
    }
    let mut command = Command::new("chpasswd");
    if hashed {
        command.arg("-e");
    }
    session.run_with_input(&mut command, input.as_bytes())
}

fn allow_sudo(session: &Session<'_>, name: &str, rules: &Value) -> Result<(), String> {
    let rules: Vec<String> = match rules {
        Value::String(rule) => vec![rule.clone()],
        Value::List(rules) => rules.iter().map(text_of).collect(),
        other => return Err(format!("its rules for sudo are {}", kind_of(other))),
    };
    let place = &session.place;
    include_sudo_rules(session)?;
    place
        .create_folder("/etc/sudoers.d", 0o750)
        .map_err(|cause| format!("cannot create `/etc/sudoers.d`: {cause}"))?;
    let mut text = String::new();
    if !place.is_file(SUDO_RULES) {
        text.push_str("# Written during contextualisation.\n");
    }
    text.push_str(&["\n# User rules for ", name, "\n"].concat());
    for rule in rules {
        text.push_str(&[name, " ", &rule, "\n"].concat());
    }
    place.append(SUDO_RULES, text.as_bytes(), 0o440)
}

/// Makes `sudo` read the folder in which the rules are.
fn include_sudo_rules(session: &Session<'_>) -> Result<(), String> {
    const MAIN: &str = "/etc/sudoers";
    let old = session.place.read(MAIN).unwrap_or_default();
    let included = old.lines().any(|line| {
        let line = line.trim();
        ["#includedir", "@includedir"].iter().any(|word| {
            line.strip_prefix(word)
                .is_some_and(|folder| folder.trim().trim_end_matches('/') == "/etc/sudoers.d")
        })
    });
    if included {
        return Ok(());
    }
    let addition = "\n# Added during contextualisation.\n#includedir /etc/sudoers.d\n";
    session.place.append(MAIN, addition.as_bytes(), 0o440)
}

/// Returns the items of a list as text, or of a text at its commas.
pub(super) fn names_in(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(
            text.trim()
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        other if as_map(other).is_some() => None,
        other => as_list(other).map(|items| items.iter().map(text_of).collect()),
    }
}
