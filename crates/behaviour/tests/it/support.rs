//! What the tests share.

use std::fmt::Write as _;
use std::path::Path;

use tempfile::TempDir;
use zenekar_behaviour::derive;
use zenekar_diagnostics::{SourceMap, render_concise};
use zenekar_model::{Behaviours, Give, Need};
use zenekar_occopus::{LoadOptions, load};

/// Derives what the nodes of a description do.
pub(crate) fn behaviours_of(file: &Path) -> Behaviours {
    let mut sources = SourceMap::new();
    let options = LoadOptions {
        allow_host_commands: true,
        ..LoadOptions::default()
    };
    let loaded = load(file, &options, &mut sources);
    let Some(topology) = loaded.topology else {
        panic!(
            "{} loads: {}",
            file.display(),
            render_concise(&loaded.diagnostics, &sources)
        );
    };
    derive(&topology, &loaded.annotations, &sources)
}

/// Writes files into a folder of their own and derives what `infra.yaml` does.
pub(crate) fn of_texts(files: &[(&str, &str)]) -> Behaviours {
    let folder = TempDir::new().expect("a folder for temporary files");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }
    behaviours_of(&folder.path().join("infra.yaml"))
}

/// Writes behaviours as a table for people; places without the folder.
pub(crate) fn table(behaviours: &Behaviours) -> String {
    let mut table = String::new();
    for (node, behaviour) in &behaviours.nodes {
        let ready: Vec<String> = behaviour.ready.iter().map(Give::to_string).collect();
        let origin = format!("{:?}", behaviour.origin).to_lowercase();
        let _infallible = writeln!(table, "{node} ({origin}), ready: [{}]", ready.join(", "));
        for segment in &behaviour.segments {
            let mut parts = Vec::new();
            let mut add = |key: &str, items: Vec<String>| {
                if !items.is_empty() {
                    parts.push(format!("{key} [{}]", items.join(", ")));
                }
            };
            add("needs", segment.needs.iter().map(Need::to_string).collect());
            add("gives", segment.gives.iter().map(Give::to_string).collect());
            add("reads", segment.reads.clone());
            add("writes", segment.writes.clone());
            add("holds", segment.holds.clone());
            if segment.retries {
                parts.push("retries".to_owned());
            }
            if let Some(place) = &segment.place {
                let file = Path::new(&place.file).file_name().unwrap_or_default();
                parts.push(format!("at {}:{}", file.to_string_lossy(), place.line));
            }
            let parts = parts.join("; ");
            let colon = if parts.is_empty() { "" } else { ": " };
            let _infallible = writeln!(table, "  {}{colon}{parts}", segment.label);
        }
    }
    table
}
