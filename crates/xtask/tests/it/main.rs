//! The rules of the house, as tests.

mod dependencies;
mod floors;
mod manifests;
mod purity;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder
        .ancestors()
        .nth(2)
        .expect("this crate is two folders below the root")
        .to_path_buf()
}

/// Returns the packages of the workspace as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--locked",
            "--offline",
        ])
        .current_dir(root())
        .output();
    let output = output.expect("cargo runs these tests, so that it is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"]
        .as_array()
        .expect("there are packages")
        .clone()
}

/// The deepest folder that is looked into.
const DEPTH_MAX: usize = 12;

/// Returns all files below the root with their paths relative to it, without
/// what is built and without hidden folders other than those of CI and cargo.
pub(crate) fn files() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    collect(&root(), "", DEPTH_MAX, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<(String, PathBuf)>) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let hidden =
            name.starts_with('.') && !matches!(name.as_str(), ".ci" | ".cargo" | ".gitignore");
        if hidden || name == "target" {
            continue;
        }
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth - 1, found);
        } else {
            found.push((path, entry.path()));
        }
    }
}

/// Returns the text files with one of the extensions; a name without a dot counts as its own extension.
pub(crate) fn texts(extensions: &[&str]) -> Vec<(String, String)> {
    let wanted = |path: &str| {
        path.rsplit(['.', '/'])
            .next()
            .is_some_and(|extension| extensions.contains(&extension))
    };
    files()
        .into_iter()
        .filter(|(path, _)| wanted(path))
        .filter_map(|(path, full)| Some((path, fs::read_to_string(full).ok()?)))
        .collect()
}

/// Fails with all findings at once.
pub(crate) fn none(findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} findings:\n  {}",
        findings.len(),
        findings.join("\n  ")
    );
}
