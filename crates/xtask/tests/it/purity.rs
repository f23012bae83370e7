//! The crates that compute and do nothing else: no clock, no randomness, no I/O.

use std::collections::BTreeSet;
use std::fs;

use crate::{none, packages, root, texts};

/// The pure crates, by folder.
const PURE: &[&str] = &[
    "base", "engine", "explore", "model", "property", "simcloud", "template",
];

/// The crates of others that pure ones may use, none of which does I/O.
const PURE_EXTERNAL: &[&str] = &[
    "minijinja",
    "scoped-tls-hkt",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
];

/// What must not be written in a pure crate, with the reason. It says the same as
/// their clippy.toml, but also where clippy does not look: in macros and in tests.
const BANNED: &[(&str, &str)] = &[
    ("HashMap", "its order differs from run to run: use BTreeMap"),
    ("HashSet", "its order differs from run to run: use BTreeSet"),
    ("Instant", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("std::env", "settings are arguments"),
    ("std::fs", "files are the caller's business"),
    ("std::net", "sockets are the caller's business"),
    ("std::process", "processes are the caller's business"),
    ("std::thread", "tasks are the runtime's business"),
    ("thread::spawn", "tasks are the runtime's business"),
];

fn holds_word(line: &str, word: &str) -> bool {
    let part_of_name = |character: Option<char>| {
        character.is_some_and(|character| character == '_' || character.is_alphanumeric())
    };
    line.match_indices(word).any(|(at, _)| {
        !part_of_name(line[..at].chars().next_back())
            && !part_of_name(line[at + word.len()..].chars().next())
    })
}

#[test]
fn pure_crates_name_nothing_that_is_not() {
    let mut findings = Vec::new();
    for (path, text) in texts(&["rs"]) {
        if !PURE
            .iter()
            .any(|folder| path.starts_with(&format!("crates/{folder}/src/")))
        {
            continue;
        }
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for (word, reason) in BANNED.iter().filter(|(word, _)| holds_word(line, word)) {
                findings.push(format!("{path}:{}: `{word}`: {reason}", index + 1));
            }
        }
    }
    none(&findings);
}

#[test]
fn pure_crates_use_only_pure_crates_of_others() {
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        if !PURE
            .iter()
            .any(|folder| name == format!("zenekar-{folder}"))
        {
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"]
                .as_str()
                .expect("a dependency has a name");
            let counts = dependency["path"].is_null() && dependency["kind"].is_null();
            if counts && !PURE_EXTERNAL.contains(&other) {
                findings.push(format!(
                    "`{name}` uses `{other}`, which is not in PURE_EXTERNAL"
                ));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_bans_of_clippy_are_the_same_everywhere() {
    let mut found = BTreeSet::new();
    for folder in PURE {
        let path = root().join("crates").join(folder).join("clippy.toml");
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text.contains("disallowed-types"),
            "crates/{folder}/clippy.toml bans no types"
        );
        found.insert(text);
    }
    assert_eq!(
        found.len(),
        1,
        "the clippy.toml files of the pure crates differ"
    );
    let ours = found.first().expect("there is one");
    let shared =
        fs::read_to_string(root().join("clippy.toml")).expect("the workspace has a clippy.toml");
    let missing: Vec<String> = shared
        .lines()
        .filter(|line| line.contains(" = ") && !ours.contains(line))
        .map(str::to_owned)
        .collect();
    none(&missing);
}
