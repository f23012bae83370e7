//! The help of all commands: a snapshot, and the reference in the documentation.

use std::fmt::Write as _;

use std::path::Path;

use crate::sandbox::Sandbox;

/// The commands, as the help of the command itself lists them.
fn commands(sandbox: &Sandbox, path: &[&str]) -> Vec<String> {
    let arguments: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
    let help = sandbox.ok(&arguments).stdout;
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn add(sandbox: &Sandbox, path: &[&str], text: &mut String) {
    let arguments: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
    let help = sandbox.ok(&arguments).stdout;
    let heading = std::iter::once("zenekar")
        .chain(path.iter().copied())
        .collect::<Vec<_>>()
        .join(" ");
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let help = help.join("\n");
    let _ = writeln!(text, "\n## {heading}\n\n```text\n{help}\n```");
    for command in commands(sandbox, path) {
        let below: Vec<&str> = path.iter().copied().chain([command.as_str()]).collect();
        add(sandbox, &below, text);
    }
}

#[test]
fn the_reference_is_fresh() {
    let sandbox = Sandbox::new();
    let mut text = "# Command reference\n\nWritten by the tests of `zenekar-cli` from the command's own help: run them with `ZENEKAR_UPDATE=1`\nto write it anew. What the exit codes mean is in [exit-codes.md](exit-codes.md).\n".to_owned();
    add(&sandbox, &[], &mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if std::env::var_os("ZENEKAR_UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the documentation can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/cli.md is stale: run the tests with ZENEKAR_UPDATE=1"
    );
}

#[test]
fn completions_and_manual_pages_are_written() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(
            sandbox
                .ok(&["completion", shell])
                .stdout
                .contains("zenekar"),
            "{shell}"
        );
    }
    assert!(sandbox.ok(&["man"]).stdout.starts_with(".ie"));
    for command in commands(&sandbox, &[]) {
        let page = sandbox.ok(&["man", &command]).stdout;
        assert!(
            page.contains(&format!("zenekar\\-{command}")),
            "{command}: {page}"
        );
    }
}

#[test]
fn the_version_is_the_packages_version() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.ok(&["--version"]).stdout,
        format!("zenekar {}\n", env!("CARGO_PKG_VERSION"))
    );
}
