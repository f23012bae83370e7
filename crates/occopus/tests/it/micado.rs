//! What `MiCADO` writes for Occopus, where its translations are at hand.

use std::path::{Path, PathBuf};

use zenekar_diagnostics::{SourceMap, render_concise};
use zenekar_occopus::{LoadOptions, load};

/// The folder of translations in the corpus.
const FOLDER: &str = "micado/golden";
/// The description and the definitions of one translation.
const DESCRIPTION: &str = "OccopusAdaptor-infra.yaml";
const DEFINITIONS: &str = "OccopusAdaptor.yaml";

fn translations() -> Option<Vec<PathBuf>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = std::env::var_os("ZENEKAR_CORPUS").map_or(beside, PathBuf::from);
    let folders = std::fs::read_dir(corpus.join(FOLDER)).ok()?;
    let mut found: Vec<PathBuf> = folders
        .flatten()
        .map(|folder| folder.path())
        .filter(|folder| folder.join(DESCRIPTION).is_file() && folder.join(DEFINITIONS).is_file())
        .collect();
    found.sort();
    Some(found)
}

#[test]
fn translations_of_micado_are_read() {
    let Some(folders) = translations() else {
        println!(
            "skipped: there are no translations of MiCADO; ZENEKAR_CORPUS can name their corpus"
        );
        return;
    };
    let mut faults = Vec::new();
    for folder in &folders {
        let options = LoadOptions {
            definitions: vec![folder.join(DEFINITIONS)],
            ..LoadOptions::default()
        };
        let mut sources = SourceMap::new();
        let loaded = load(&folder.join(DESCRIPTION), &options, &mut sources);
        // One of them has a key on purpose that no cloud has; Occopus refuses it too.
        let has_extra = std::fs::read_to_string(folder.join(DEFINITIONS))
            .is_ok_and(|text| text.contains("an_extra_prop"));
        if loaded.topology.is_some() == has_extra {
            faults.push(render_concise(&loaded.diagnostics, &sources));
        }
    }
    println!("{} translations", folders.len());
    assert_eq!(faults.concat(), "");
}
