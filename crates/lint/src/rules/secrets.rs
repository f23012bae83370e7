//! Keys and passwords in descriptors: `ZK0706`, `ZK0712`.

use std::ops::Range;

use zenekar_diagnostics::Span;
use zenekar_diagnostics::codes::lint as codes;
use zenekar_document::View;

use crate::landscape::Landscape;
use crate::machine::{Machine, Origin, Script};
use crate::report::Report;
use crate::shell::{Command, Link, RedirectKind};
use crate::text::{Text, place_of};

use super::arguments::passwords_of;
use super::{is_comment, is_placeholder, lines_of};

/// Passwords that are tried first.
const KNOWN: &[&str] = &[
    "root",
    "admin",
    "password",
    "passwd",
    "pass",
    "secret",
    "changeme",
    "change_me",
    "change-me",
    "123456",
    "12345678",
    "1234",
    "12345",
    "guest",
    "user",
    "test",
    "demo",
    "default",
    "toor",
    "qwerty",
    "letmein",
    "lpds",
    "minioadmin",
    "postgres",
    "mysql",
    "ubuntu",
    "centos",
    "vagrant",
    "raspberry",
    "grafana",
    "rabbitmq",
    "hadoop",
    "spark",
    "jovyan",
    "rstudio",
    "neo4j",
    "elastic",
    "cloud",
    "welcome",
    "p@ssw0rd",
    "passw0rd",
];

const HELP: &str =
    "generate it on the instance, or hand it over when the infrastructure is brought up";

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    let own = landscape
        .nodes
        .iter()
        .filter_map(|node| node.view.get("variables"));
    for variables in landscape.variables.into_iter().chain(own) {
        check_values(variables, None, report);
    }
    for subject in &landscape.subjects {
        for section in ["resource", "config_management", "health_check"] {
            if let Some(view) = subject.section.view.get(section) {
                check_values(view, None, report);
            }
        }
        let machine = &subject.machine;
        for leaf in &machine.leaves {
            check_keys(&leaf.text, report);
        }
        if let Some((config, outer)) = machine.config {
            check_users(config, outer, report);
        }
        check_environment(subject.section.view, report);
        for (position, file) in machine.files.iter().enumerate() {
            let is_script = |script: &Script<'_>| script.origin == Origin::File(position);
            // Scripts are looked at by their commands.
            if !machine.scripts.iter().any(is_script) {
                check_lines(&file.content, 0..file.content.content.len(), report);
            }
        }
        for (script, command) in machine.commands() {
            if let Some(document) = &command.document {
                check_lines(&script.text, document.clone(), report);
            }
        }
        check_commands(machine, report);
    }
}

/// Looks for private keys.
fn check_keys(text: &Text<'_>, report: &mut Report) {
    for (offset, line) in lines_of(text.content) {
        let Some(found) = key_in(line) else { continue };
        report.say(
            zenekar_diagnostics::Severity::Error,
            &codes::PRIVATE_KEY,
            text.span(offset + found.start..offset + found.end),
            "a private key is written here",
            "make the key on the instance, and replace this one if anybody has seen it",
        );
        return;
    }
}

/// Finds the first line of a private key, or the id of a key of a cloud account.
fn key_in(line: &str) -> Option<Range<usize>> {
    if let Some(start) = line.find("-----BEGIN ") {
        let rest = &line[start + "-----BEGIN ".len()..];
        let label = &rest[..rest.find("-----")?];
        let is_private = label.ends_with("KEY") && !label.contains("PUBLIC")
            || label.ends_with("PRIVATE KEY BLOCK");
        let length = "-----BEGIN ".len() + label.len() + "-----".len();
        return is_private.then_some(start..start + length);
    }
    let start = line.find("AKIA").or_else(|| line.find("ghp_"))?;
    let rest = &line[start + 4..];
    let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let is_part = line[..start].ends_with(|letter: char| letter.is_ascii_alphanumeric());
    (matches!(length, 16 | 36) && !is_part && !rest.contains("EXAMPLE"))
        .then_some(start..start + 4 + length)
}

/// Looks through named values; the depth of a document is bounded.
fn check_values(view: View<'_>, outer: Option<View<'_>>, report: &mut Report) {
    let user = view
        .entries()
        .find(|entry| is_user_key(entry.key.text()))
        .and_then(|entry| entry.value.as_str());
    for entry in view.entries() {
        let key = entry.key.text();
        if let Some(text) = Text::of(entry.value, outer) {
            check_keys(&text, report);
            if is_password_key(key) {
                check_value(
                    &quoted(key),
                    text.content.trim(),
                    user_of(view, key).or(user),
                    text.whole(),
                    report,
                );
            }
        } else if is_password_key(key)
            && let Some(number) = entry.value.as_int()
        {
            check_value(
                &quoted(key),
                &number.to_string(),
                user,
                place_of(entry.value, outer),
                report,
            );
        }
    }
    let inner = view.entries().map(|entry| entry.value).chain(view.items());
    for value in inner {
        check_values(value, outer, report);
    }
}

/// Finds the name of the user that a password belongs to: `db_password` and `db_username`.
fn user_of<'d>(view: View<'d>, key: &str) -> Option<&'d str> {
    let stem = ["_password", "_passwd", "_pass", "_pwd"]
        .iter()
        .find_map(|suffix| key.strip_suffix(suffix))?;
    [
        format!("{stem}_username"),
        format!("{stem}_user"),
        stem.to_owned(),
    ]
    .iter()
    .find_map(|name| view.get(name)?.as_str())
}

fn is_user_key(key: &str) -> bool {
    matches!(
        key.to_ascii_lowercase().as_str(),
        "user" | "username" | "login" | "name"
    )
}

pub(super) fn is_password_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(['_', '-', '.', ' ']).collect();
    let is_meant = words.iter().any(|word| {
        matches!(
            *word,
            "password"
                | "passwd"
                | "pass"
                | "pwd"
                | "passphrase"
                | "secret"
                | "dbpass"
                | "rootpassword"
                | "rootpass"
        ) || word.ends_with("password")
    });
    let is_other = words.iter().any(|word| {
        matches!(
            *word,
            "name"
                | "file"
                | "path"
                | "length"
                | "hash"
                | "policy"
                | "type"
                | "enabled"
                | "auth"
                | "url"
                | "lock"
        )
    });
    // `key` alone is mostly the name of a pair of keys.
    let is_key = words.len() > 1 && words.last() == Some(&"key");
    let is_secret_key = words.iter().any(|word| {
        matches!(
            *word,
            "api" | "access" | "munge" | "encryption" | "gossip" | "shared"
        )
    });
    let is_token = words.last() == Some(&"token");
    (is_meant || is_key && is_secret_key || is_token) && !is_other
}

/// Returns a name in the quotes of messages.
fn quoted(name: &str) -> String {
    format!("`{name}`")
}

/// Judges a password; `what` says which one.
fn check_value(what: &str, value: &str, user: Option<&str>, place: Span, report: &mut Report) {
    if is_placeholder(value)
        || matches!(
            value,
            "true" | "false" | "True" | "False" | "yes" | "no" | "None" | "null"
        )
    {
        return;
    }
    let lower = value.to_ascii_lowercase();
    let message = if user.is_some_and(|user| user.eq_ignore_ascii_case(value)) {
        format!("the password {what} is the name of its user")
    } else if KNOWN.contains(&lower.as_str()) {
        format!("the password {what} is one that everybody tries first")
    } else {
        format!("the password {what} is written in the descriptor")
    };
    report.warn(&codes::KNOWN_PASSWORD, place, message, HELP);
}

/// Looks at the logins that cloud-init makes.
fn check_users(config: View<'_>, outer: Option<View<'_>>, report: &mut Report) {
    if let Some(text) = config
        .get("password")
        .and_then(|password| Text::of(password, outer))
    {
        check_value(
            "`password`",
            text.content.trim(),
            None,
            text.whole(),
            report,
        );
    }
    for user in config.get("users").into_iter().flat_map(View::items) {
        let name = user.get("name").and_then(View::as_str);
        for key in ["plain_text_passwd", "passwd", "hashed_passwd"] {
            if let Some(text) = user.get(key).and_then(|password| Text::of(password, outer)) {
                check_value(
                    &quoted(key),
                    text.content.trim(),
                    name,
                    text.whole(),
                    report,
                );
            }
        }
    }
    let Some(list) = config.get("chpasswd") else {
        return;
    };
    if let Some(text) = list.get("list").and_then(|list| Text::of(list, outer)) {
        for (offset, line) in lines_of(text.content) {
            check_pair(line, text.span(offset..offset + line.len()), report);
        }
    }
    for item in list.get("list").into_iter().flat_map(View::items) {
        if let Some(text) = Text::of(item, outer) {
            check_pair(text.content, text.whole(), report);
        }
    }
}

/// Judges `user:password`.
fn check_pair(pair: &str, place: Span, report: &mut Report) {
    if let Some((user, password)) = pair
        .trim()
        .split_once(':')
        .filter(|(user, _)| !user.contains(' '))
        && !matches!(password, "RANDOM" | "R")
    {
        check_value(&format!("of `{user}`"), password, Some(user), place, report);
    }
}

/// Looks at the environment of containers: `NAME=value`.
fn check_environment(implementation: View<'_>, report: &mut Report) {
    let list = implementation
        .get("contextualisation")
        .and_then(|context| context.get("env"));
    for item in list.into_iter().flat_map(View::items) {
        let Some(text) = Text::of(item, None) else {
            continue;
        };
        if let Some((name, value)) = text
            .content
            .split_once('=')
            .filter(|(name, _)| is_password_key(name))
        {
            check_value(&quoted(name), value, None, text.whole(), report);
        }
    }
}

/// Looks for settings of files: `password: x`, `"secret": "x"`, `requirepass x`.
fn check_lines(text: &Text<'_>, range: Range<usize>, report: &mut Report) {
    let part = text.content.get(range.clone()).unwrap_or("");
    for (offset, line) in lines_of(part) {
        let offset = range.start + offset;
        if is_comment(line) {
            continue;
        }
        if let Some((key, range)) = setting_in(line) {
            let place = text.span(offset + range.start..offset + range.end);
            check_value(&quoted(key), &line[range], None, place, report);
        }
    }
}

/// Names of settings that are secrets and do not say so.
const SECRET_SETTINGS: &[&str] = &[
    "requirepass",
    "masterauth",
    "\"encrypt\"",
    "hadoop.http.authentication.simple",
];

/// Finds a setting that is a password, and its value.
fn setting_in(line: &str) -> Option<(&str, Range<usize>)> {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let secret = SECRET_SETTINGS
        .iter()
        .find(|name| trimmed.starts_with(**name));
    let (key, at) = if let Some(name) = secret {
        (name.trim_matches('"'), indent + name.len())
    } else {
        let end = trimmed.find([':', '='])?;
        let key = trimmed[..end].trim().trim_matches(['"', '\'']);
        let key = key.strip_prefix("export ").unwrap_or(key);
        let is_name = key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter));
        (is_name && is_password_key(key)).then_some((key, indent + end))?
    };
    let rest = &line[at..];
    let value = rest.trim_start_matches([':', '=', ' ', '\t']);
    let start = at + rest.len() - value.len();
    let (value, start) = match value.chars().next()? {
        quote @ ('"' | '\'') => (value[1..].split(quote).next()?, start + 1),
        _ => (value.split([' ', ',', ';', '#']).next()?, start),
    };
    // What looks like a call or a path is computed or read elsewhere.
    let is_computed = value.contains(['(', '/', '[', '%']);
    (!is_computed).then_some((key, start..start + value.len()))
}

fn check_commands(machine: &Machine<'_>, report: &mut Report) {
    for script in &machine.scripts {
        let commands = &script.parsed.commands;
        for (position, command) in commands.iter().enumerate() {
            let place = script.place(command);
            if command.program() == "chpasswd"
                && let Some(pair) = position
                    .checked_sub(1)
                    .and_then(|before| commands.get(before))
                    .filter(|before| is_print(before))
            {
                for word in pair
                    .arguments()
                    .iter()
                    .filter(|word| !word.text.starts_with('-'))
                {
                    check_pair(&word.text, script.text.span(word.range.clone()), report);
                }
            }
            check_passwd(script, position, command, report);
            for (key, value, user) in passwords_of(command) {
                check_value(
                    &format!("of `{key}`"),
                    &value,
                    user.as_deref(),
                    place,
                    report,
                );
            }
            for assignment in &command.assignments {
                if let Some((name, value)) = assignment
                    .text
                    .split_once('=')
                    .filter(|(name, _)| is_password_key(name))
                {
                    check_value(
                        &quoted(name),
                        value,
                        None,
                        script.text.span(assignment.range.clone()),
                        report,
                    );
                }
            }
            if is_print(command)
                && command
                    .redirects
                    .iter()
                    .any(|redirect| is_file(redirect.kind))
            {
                for word in command.arguments() {
                    check_printed(
                        &word.text,
                        command,
                        script.text.span(word.range.clone()),
                        report,
                    );
                }
            }
        }
    }
}

/// Looks for a printed password that `passwd` reads.
fn check_passwd(script: &Script<'_>, position: usize, command: &Command, report: &mut Report) {
    let before = position.checked_sub(1);
    let printed = before.and_then(|before| script.parsed.commands.get(before));
    let Some(printed) = printed.filter(|before| is_print(before) && before.after == Link::Pipe)
    else {
        return;
    };
    if command.program() != "passwd" {
        return;
    }
    if let (Some(word), Some(user)) = (printed.operands().next(), command.operands().last()) {
        let value = word.text.split("\\n").next().unwrap_or("");
        check_value(
            &format!("of `{}`", user.text),
            value,
            Some(&user.text),
            script.text.span(word.range.clone()),
            report,
        );
    }
}

fn is_print(command: &Command) -> bool {
    matches!(command.program(), "echo" | "printf")
}

fn is_file(kind: RedirectKind) -> bool {
    matches!(kind, RedirectKind::Write | RedirectKind::Append)
}

/// Judges a line that is written into a file.
fn check_printed(line: &str, command: &Command, place: Span, report: &mut Report) {
    // Jetty's list of logins: `user: password, role`.
    let is_realm = command
        .written()
        .any(|file| file.text.ends_with("realm.properties"));
    if let Some((user, rest)) = line.split_once(':').filter(|_| is_realm) {
        let password = rest.split(',').next().unwrap_or("").trim();
        return check_value(&format!("of `{user}`"), password, Some(user), place, report);
    }
    if let Some((key, range)) = setting_in(line) {
        return check_value(&quoted(key), &line[range], None, place, report);
    }
    for name in ["password=", "passwd=", "passwd('"] {
        if let Some((before, rest)) = line
            .split_once(name)
            .filter(|(before, _)| !before.ends_with('-'))
        {
            let value = rest
                .split([',', ' ', '"', '\'', ';', '&'])
                .next()
                .unwrap_or("");
            let user = before
                .split_once("username=")
                .and_then(|(_, rest)| rest.split(',').next());
            return check_value("`password`", value, user, place, report);
        }
    }
    if line.contains("sha1:") && line.to_ascii_lowercase().contains("password") {
        report.warn(
            &codes::KNOWN_PASSWORD,
            place,
            "the hash of a password is written in the descriptor",
            HELP,
        );
    }
}
