//! The public tutorials, where they are at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::Findings;

/// The environment variable that names the folder of the corpus.
const FOLDER_VARIABLE: &str = "ZENEKAR_CORPUS";

/// Returns the descriptions of all tutorials, by the name of their folder.
fn tutorials() -> BTreeMap<String, PathBuf> {
    let root = std::env::var_os(FOLDER_VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    let mut found = BTreeMap::new();
    let Ok(folders) = std::fs::read_dir(root.join("occopus")) else {
        return found;
    };
    for folder in folders.flatten() {
        let files = std::fs::read_dir(folder.path())
            .into_iter()
            .flatten()
            .flatten();
        let description = files.map(|file| file.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("infra") && name.ends_with(".yaml")
        });
        if let Some(path) = description {
            found.insert(folder.file_name().to_string_lossy().into_owned(), path);
        }
    }
    found
}

#[test]
fn tutorials_are_looked_at() {
    let tutorials = tutorials();
    if tutorials.is_empty() {
        println!("skipped: there is no corpus; `{FOLDER_VARIABLE}` can name its folder");
        return;
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, path) in &tutorials {
        let findings = Findings::of(path);
        println!("== {name}\n{}", findings.concise());
        for finding in &findings.list {
            *kinds.entry(finding.code.id).or_default() += 1;
            let place = finding
                .primary
                .as_ref()
                .expect("a finding has a place")
                .span;
            let source = findings.sources.text(place.file);
            let part = source.get(place.start as usize..place.end as usize);
            assert!(
                part.is_some_and(|part| !part.trim().is_empty()),
                "{finding:?}"
            );
            assert!(!finding.message.ends_with('.'), "{finding:?}");
        }
    }
    println!("{kinds:?}");
}
