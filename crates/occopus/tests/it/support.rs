//! What the tests share.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use zenekar_diagnostics::{SourceMap, render_human};
use zenekar_model::Topology;
use zenekar_occopus::{LoadOptions, Loaded, load, load_text};

/// A node type without any template.
pub(crate) const PLAIN: &str = "
'node_def:plain':
  - resource:
      type: sim
";

/// Files in a folder of their own.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    /// Writes files, given by path and text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        Self { folder }
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Loads `infra.yaml`; findings come as people see them, without the folder.
    pub(crate) fn load_with(&self, options: &LoadOptions) -> (Loaded, String) {
        let mut sources = SourceMap::new();
        let loaded = load(
            &self.folder.path().join("infra.yaml"),
            options,
            &mut sources,
        );
        let findings = render_human(&loaded.diagnostics, &sources, false);
        let prefix = format!("{}/", self.folder.path().display());
        (loaded, findings.replace(&prefix, ""))
    }

    /// Loads `infra.yaml` with the usual options.
    pub(crate) fn load(&self) -> (Loaded, String) {
        self.load_with(&LoadOptions::default())
    }
}

/// Loads a description that holds its definitions.
pub(crate) fn load_one(text: &str) -> (Loaded, String) {
    let mut sources = SourceMap::new();
    let loaded = load_text("infra.yaml", text, &LoadOptions::default(), &mut sources);
    let findings = render_human(&loaded.diagnostics, &sources, false);
    (loaded, findings)
}

/// Loads a description that must be free of findings.
pub(crate) fn topology_of(text: &str) -> Topology {
    let (loaded, findings) = load_one(text);
    assert_eq!(findings, "", "{text}");
    loaded
        .topology
        .expect("a description without findings gives a topology")
}
