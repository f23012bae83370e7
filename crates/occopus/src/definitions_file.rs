//! Files with node definitions by themselves: what `occopus-import` reads.

use std::path::Path;

use zenekar_diagnostics::{Diagnostic, SourceMap};
use zenekar_document::{Document, load_file_in};

use crate::checker::Checker;
use crate::definition;
use crate::find;
use crate::options::LoadOptions;

/// A file with node definitions that was read and checked by itself.
#[derive(Clone, Debug)]
pub struct DefinitionsFile {
    /// What was read, includes resolved.
    pub document: Document,
    /// The node types that it defines, in the order of the file.
    pub types: Vec<String>,
    /// The findings, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a file with node definitions and checks them by themselves: their
/// templates are not rendered, because no node says with which variables.
///
/// Files are only included from within the file's folder, or the one around it
/// if that is called `nodes`.
pub fn load_definitions(
    path: &Path,
    options: &LoadOptions,
    sources: &mut SourceMap,
) -> DefinitionsFile {
    let project = find::project_of_definitions(path);
    let mut checker = Checker::default();
    let loaded = load_file_in(&project, path, &options.limits, sources);
    checker.report_all(loaded.diagnostics);
    let types = match loaded.document.root() {
        None => Vec::new(),
        Some(root) => definition::read_file(root, &mut checker)
            .iter()
            .map(|placed| placed.name.to_owned())
            .collect(),
    };
    DefinitionsFile {
        document: loaded.document,
        types,
        diagnostics: checker.finish(),
    }
}
