//! Descriptors from elsewhere, where they are at hand.

use std::path::{Path, PathBuf};

use zenekar_diagnostics::{Diagnostic, SourceMap, render_concise};
use zenekar_document::{Limits, Project, load_file_in};

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            found.push(path);
        }
    }
}

#[test]
fn public_tutorials_are_read_without_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/occopus");
    let mut files = Vec::new();
    yaml_files(&folder, &mut files);
    if files.is_empty() {
        writeln_skipped(&folder);
        return;
    }
    files.sort();
    for path in files {
        let mut sources = SourceMap::new();
        let loaded = load_file_in(
            &Project {
                root: folder.clone(),
            },
            &path,
            &Limits::default(),
            &mut sources,
        );
        let errors: Vec<Diagnostic> = loaded
            .diagnostics
            .into_iter()
            .filter(Diagnostic::is_error)
            .collect();
        assert!(errors.is_empty(), "{}", render_concise(&errors, &sources));
    }
}

#[expect(clippy::print_stderr, reason = "a skipped case must say so")]
fn writeln_skipped(folder: &Path) {
    eprintln!("skipped: there are no descriptors in {}", folder.display());
}
