//! The public tutorials, where they are at hand.

use std::path::{Path, PathBuf};

use zenekar_diagnostics::SourceMap;
use zenekar_occopus::{LoadOptions, load};

use crate::support::{behaviours_of, table};

/// The environment variable that names the folder of the corpus.
const FOLDER_VARIABLE: &str = "ZENEKAR_CORPUS";

/// Returns the folder of the corpus.
fn corpus() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    )
}

/// Returns the descriptions of all tutorials, in order.
fn tutorials() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(corpus().join("occopus"));
    let mut found: Vec<PathBuf> = folders
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|folder| {
            let files = std::fs::read_dir(folder.path()).ok()?.flatten();
            files.map(|file| file.path()).find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("infra") && name.ends_with(".yaml")
            })
        })
        .collect();
    found.sort();
    found
}

#[test]
fn tutorials_have_behaviours() {
    let tutorials = tutorials();
    if tutorials.is_empty() {
        println!("skipped: there is no corpus; `{FOLDER_VARIABLE}` can name its folder");
        return;
    }
    for path in &tutorials {
        let behaviours = behaviours_of(path);
        println!("== {}\n{}", path.display(), table(&behaviours));
        assert!(!behaviours.nodes.is_empty(), "{}", path.display());
        assert_eq!(behaviours, behaviours_of(path), "the same comes out again");
        let mut nodes = behaviours.nodes.values();
        assert!(nodes.all(|node| node.foreign_secrets.is_empty()));
    }
}

#[test]
fn translations_of_micado_have_behaviours() {
    let folders = std::fs::read_dir(corpus().join("micado/golden"));
    let mut folders: Vec<PathBuf> = folders
        .into_iter()
        .flatten()
        .flatten()
        .map(|folder| folder.path())
        .collect();
    folders.sort();
    if folders.is_empty() {
        println!("skipped: there is no corpus; `{FOLDER_VARIABLE}` can name its folder");
        return;
    }
    let mut count = 0;
    for folder in &folders {
        let mut sources = SourceMap::new();
        let options = LoadOptions {
            definitions: vec![folder.join("OccopusAdaptor.yaml")],
            ..LoadOptions::default()
        };
        let loaded = load(
            &folder.join("OccopusAdaptor-infra.yaml"),
            &options,
            &mut sources,
        );
        let Some(topology) = loaded.topology else {
            continue;
        };
        let behaviours = zenekar_behaviour::derive(&topology, &loaded.annotations, &sources);
        println!("== {}\n{}", folder.display(), table(&behaviours));
        assert_eq!(behaviours.nodes.len(), topology.nodes().len());
        let mut nodes = behaviours.nodes.values();
        assert!(nodes.all(|node| node.foreign_secrets.is_empty()));
        count += 1;
    }
    println!("{count} translations");
}
