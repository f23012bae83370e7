//! What a script that starts an environment prints for the tests.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

/// A handful of addresses and file names; more is no list of variables.
const TEXT_BYTES_MAX: u64 = 65_536;

/// A variable of the environment of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

/// Reads the variables that a script has printed into a file.
pub(super) fn read(path: &Path) -> Result<Vec<Variable>> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    file.take(TEXT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    parse(&text)
}

/// Reads lines of the form `NAME=value`.
pub(super) fn parse(text: &str) -> Result<Vec<Variable>> {
    anyhow::ensure!(
        text.len() as u64 <= TEXT_BYTES_MAX,
        "more than {TEXT_BYTES_MAX} bytes of variables"
    );
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let variable = line.split_once('=').filter(|(name, _)| is_name(name));
        let (name, value) =
            variable.with_context(|| format!("`{line}` has not the form `NAME=value`"))?;
        found.push(Variable {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(found)
}

/// Says whether a variable may have that name.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_uppercase())
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
