//! Which crates of others are used, and that each is worth it.

use std::collections::BTreeSet;
use std::fs;

use crate::{none, packages, root};

/// Crates that must not be anywhere in the tree, with the reason.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        "aws-lc-sys",
        "a second TLS stack, and minutes of C to build",
    ),
    ("bindgen", "needs libclang on every machine that builds"),
    ("cmake", "needs CMake on every machine that builds"),
    ("openssl-sys", "a second TLS stack, and a system library"),
];

/// How many packages the lock file may hold, those of the workspace and of other
/// platforms included. Each costs build time; raise it with a note in the changelog.
///
/// It was 260 before the clouds: credentials of Amazon's chain, the client of Docker,
/// and HTTP with TLS bring the rest.
const PACKAGES_MAX: usize = 400;

fn external() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for package in packages() {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        found.extend(
            dependencies
                .filter(|dependency| dependency["path"].is_null())
                .filter_map(|dependency| dependency["name"].as_str())
                .map(str::to_owned),
        );
    }
    found
}

fn locked() -> Vec<String> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is committed");
    text.lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_direct_dependency_is_explained_and_no_other() {
    let text = fs::read_to_string(root().join("docs/dependencies.md"))
        .expect("docs/dependencies.md is there");
    let explained: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let used = external();
    let mut findings: Vec<String> = used
        .difference(&explained)
        .map(|name| format!("`{name}` has no line in docs/dependencies.md"))
        .collect();
    findings.extend(
        explained.difference(&used).map(|name| {
            format!("`{name}` has a line in docs/dependencies.md but no crate uses it")
        }),
    );
    none(&findings);
}

#[test]
fn the_workspace_declares_no_dependency_that_nothing_uses() {
    let text = fs::read_to_string(root().join("Cargo.toml"))
        .expect("the manifest of the workspace is there");
    let section = text
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("there are dependencies");
    let used = external();
    let declared = section
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with("zenekar-"));
    none(
        &declared
            .filter(|name| !used.contains(*name))
            .map(|name| format!("`{name}` is declared but not used"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_heavy_or_doubled_is_in_the_tree() {
    let locked = locked();
    let forbidden = FORBIDDEN
        .iter()
        .filter(|(name, _)| locked.iter().any(|locked| locked == name));
    none(
        &forbidden
            .map(|(name, reason)| format!("`{name}`: {reason}"))
            .collect::<Vec<_>>(),
    );
    assert!(
        locked.len() <= PACKAGES_MAX,
        "{} packages are locked, which is more than {PACKAGES_MAX}",
        locked.len()
    );
}
