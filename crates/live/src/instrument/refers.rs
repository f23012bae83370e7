//! Which commands of a cloud-config refer to other nodes, also by files.
//!
//! An address often stands in a file that is written, and a command reads that
//! file, or runs a script that does. So what names such a file refers to others
//! too. Too many breakpoints cost time, too few hide a state.

use std::collections::BTreeSet;

use zenekar_base::{Map, Value};

/// Words that are sought at most; of more instances than this, any one tells.
const WORDS_MAX: usize = 2_000;

/// The words by which templates refer to other nodes.
const REFERENCES: &[&str] = &["getip", "getprivip", "getipall", "find_node_id"];

/// Finds the commands of `runcmd` that refer to other nodes, by their indices,
/// before templates are rendered.
pub fn commands_with_references(config: &Map) -> BTreeSet<usize> {
    commands_with(config, &has_reference)
}

/// Finds the commands of `runcmd` that have one of some words, by their indices:
/// the addresses that an instance was given.
pub fn commands_with_words(config: &Map, words: &[&str]) -> BTreeSet<usize> {
    let words = &words[..words.len().min(WORDS_MAX)];
    commands_with(config, &|text| has_word(text, words))
}

fn commands_with(config: &Map, refers: &dyn Fn(&str) -> bool) -> BTreeSet<usize> {
    let files: Vec<(&str, &str)> = list(config, "write_files")
        .iter()
        .filter_map(|file| {
            let text = |key| file.get(key).and_then(Value::as_str);
            Some((text("path")?, text("content").unwrap_or("")))
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    let mut left = files;
    // Each round finds the files that name one of those before.
    loop {
        let (found, rest): (Vec<_>, Vec<_>) = left
            .iter()
            .partition(|(_, content)| refers(content) || has_word(content, &names));
        if found.is_empty() {
            break;
        }
        names.extend(found.into_iter().filter_map(|(path, _)| name_of(path)));
        left = rest;
    }
    list(config, "runcmd")
        .iter()
        .enumerate()
        .filter(|(_, command)| any_text(command, &|text| refers(text) || has_word(text, &names)))
        .map(|(index, _)| index)
        .collect()
}

/// Returns how commands name a file: with its path, that may begin anywhere, or
/// as a service.
fn name_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name
        .strip_suffix(".service")
        .unwrap_or_else(|| path.trim_start_matches('/'));
    (!name.is_empty()).then_some(name)
}

fn list<'m>(config: &'m Map, key: &str) -> &'m [Value] {
    match config.iter().find(|(name, _)| name == key) {
        Some((_, Value::List(items))) => items,
        _ => &[],
    }
}

/// Says whether a text that was not rendered yet asks its template for another node.
fn has_reference(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let (expression, after) = after.split_once("}}").unwrap_or((after, ""));
        if has_word(expression, REFERENCES) {
            return true;
        }
        rest = after;
    }
    false
}

fn has_word(text: &str, words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| !word.is_empty() && holds_word(text, word))
}

/// Says whether a word stands in a text by itself: `10.0.0.1` is not in `10.0.0.12`.
fn holds_word(text: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| {
        character.is_some_and(|character| character == '_' || character.is_alphanumeric())
    };
    text.match_indices(word).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
    })
}

/// A command is a text, or a list of words.
fn any_text(command: &Value, holds: &dyn Fn(&str) -> bool) -> bool {
    match command {
        Value::String(text) => holds(text),
        Value::List(words) => words.iter().filter_map(Value::as_str).any(holds),
        _ => false,
    }
}
