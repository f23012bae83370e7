//! Reads what has to be true of each run.

use std::path::PathBuf;

use zenekar_diagnostics::{Diagnostic, SourceMap};
use zenekar_document::{Limits, load_file};
use zenekar_model::Topology;
use zenekar_property::{PropertySet, Reader};

use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, counted};

/// Reads files of properties, and tells what is wrong with them.
pub(crate) fn read(
    files: &[PathBuf],
    topology: &Topology,
    output: Output,
) -> Result<PropertySet, Failure> {
    let mut sources = SourceMap::default();
    let mut reader = Reader::new();
    let mut diagnostics = Vec::new();
    for file in files {
        let loaded = load_file(file, &Limits::default(), &mut sources);
        diagnostics.extend(loaded.diagnostics);
        reader.document(&loaded.document);
    }
    let (set, findings) = reader.finish();
    diagnostics.extend(findings);
    let names: Vec<&str> = topology
        .nodes()
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    diagnostics.extend(set.check_nodes(&names));
    output.findings(&diagnostics, &sources);
    let errors = diagnostics.iter().filter(|one| one.is_error());
    let errors: Vec<&Diagnostic> = errors.collect();
    if errors.is_empty() {
        return Ok(set);
    }
    let text = format!("the properties have {}", counted(errors.len(), "mistake"));
    Err(Failure::new(Exit::InvalidDescriptor, text))
}
