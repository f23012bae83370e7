//! What the tests share.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use zenekar_diagnostics::{Diagnostic, Severity, SourceMap, render_concise};
use zenekar_lint::{Policy, combine, lint};
use zenekar_occopus::{LoadOptions, Sections, load};

/// The findings of one descriptor.
pub(crate) struct Findings {
    pub(crate) list: Vec<Diagnostic>,
    pub(crate) sources: SourceMap,
}

impl Findings {
    /// Looks at a description.
    pub(crate) fn of(file: &Path) -> Self {
        let mut sources = SourceMap::new();
        let loaded = load(file, &LoadOptions::default(), &mut sources);
        assert!(
            loaded.topology.is_some(),
            "{} loads: {}",
            file.display(),
            render_concise(&loaded.diagnostics, &sources)
        );
        let limits = LoadOptions::default().limits;
        let sections = Sections::read(&loaded.summary.files, &limits, &mut sources);
        let found = lint(&sections, loaded.topology.as_ref());
        let mut list = combine(loaded.diagnostics, found, &sources);
        Policy::default().apply(&mut list, &sources);
        Self { list, sources }
    }

    /// Looks at a description and files that it includes, given by path and text.
    pub(crate) fn of_texts(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder for temporary files");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        Self::of(&folder.path().join("infra.yaml"))
    }

    /// Returns code, severity and line of each finding, and the text that it points to.
    pub(crate) fn places(&self, code: &str) -> Vec<(Severity, usize, String)> {
        let of_code = self.list.iter().filter(|finding| finding.code.id == code);
        of_code
            .filter_map(|finding| {
                let span = finding.primary.as_ref()?.span;
                let text = self.sources.text(span.file);
                let part = text.get(span.start as usize..span.end as usize)?;
                Some((
                    finding.severity,
                    self.sources.position(span).line,
                    part.to_owned(),
                ))
            })
            .collect()
    }

    /// Writes the findings, one per line.
    pub(crate) fn concise(&self) -> String {
        render_concise(&self.list, &self.sources)
    }
}
