//! Rules about the texts of the repository.

use std::path::Path;

use crate::{none, root, texts};

/// The longest file of code in lines. Generated tables and snapshots are excepted.
const LINES_MAX: usize = 700;
/// Files of code that are tables and not read from top to bottom.
const TABLES: &[&str] = &["crates/template/tests/it/golden.rs"];

#[test]
fn files_of_code_are_not_too_long() {
    let long = texts(&["rs"])
        .into_iter()
        .filter(|(path, _)| !TABLES.contains(&path.as_str()) && !path.contains("/snapshots/"));
    let long = long
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX);
    none(
        &long
            .map(|(path, lines)| format!("{path} has {lines} lines; {LINES_MAX} are allowed"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn lines_end_where_they_seem_to() {
    let mut findings = Vec::new();
    for (path, text) in texts(&["rs", "toml", "md", "sh", "run"]) {
        for (index, line) in text.lines().enumerate() {
            if line.ends_with([' ', '\t']) {
                findings.push(format!(
                    "{path}:{}: space at the end of the line",
                    index + 1
                ));
            }
        }
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            findings.push(format!(
                "{path}: the file does not end with exactly one line end"
            ));
        }
    }
    none(&findings);
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut findings = Vec::new();
    for (path, text) in texts(&["rs", "toml", "md", "sh", "run"]) {
        for (index, line) in text.lines().enumerate() {
            for mark in marks {
                let open = line
                    .split_once(mark)
                    .is_some_and(|(_, after)| !after.starts_with("(#"));
                if open {
                    findings.push(format!(
                        "{path}:{}: `{mark}` without the number of an issue, as in `{mark}(#12)`",
                        index + 1
                    ));
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn links_between_documents_resolve() {
    let mut findings = Vec::new();
    for (path, text) in texts(&["md"]) {
        let folder = root().join(Path::new(&path).parent().unwrap_or(Path::new("")));
        let mut in_code = false;
        for (index, line) in text.lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            if in_code {
                continue;
            }
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split_once(')'))
                .map(|(target, _)| target)
            {
                let file = target.split_once('#').map_or(target, |(file, _)| file);
                if !file.is_empty()
                    && !file.contains("://")
                    && !file.starts_with("mailto:")
                    && !folder.join(file).exists()
                {
                    findings.push(format!("{path}:{}: `{target}` leads nowhere", index + 1));
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn ci_needs_no_more_than_the_build_tool() {
    let script = std::fs::read_to_string(root().join(".ci/run")).expect(".ci/run is there");
    let commands: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("cargo"))
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(
        commands
            .last()
            .is_some_and(|line| line.contains("cargo xtask ci")),
        "{commands:?}"
    );
}
