//! Writes runs that were found into files, from which they happen again.

use std::fs;
use std::path::{Path, PathBuf};

use zenekar_model::Topology;
use zenekar_verify::{Described, Header, Provenance, ReplayFile};

use super::findings::Finding;
use crate::errors::Failure;

/// Where a run comes from.
pub(crate) struct Origin<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) descriptor: Described,
    pub(crate) updates: Vec<Described>,
    /// The files of properties.
    pub(crate) properties: Vec<Described>,
    /// Where all nodes were moved.
    pub(crate) on: Option<String>,
}

/// Writes all findings; the second one goes into another file, and so on.
/// Returns the names of the files.
pub(crate) fn write(
    file: &Path,
    findings: &[Finding],
    origin: &Origin<'_>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut written = Vec::new();
    for (number, finding) in (1..).zip(findings) {
        let file = numbered(file, number);
        let text = replay_file(finding, origin).to_text();
        fs::write(&file, text).map_err(|error| Failure::from_file("write", &file, &error))?;
        written.push(file);
    }
    Ok(written)
}

fn replay_file(finding: &Finding, origin: &Origin<'_>) -> ReplayFile {
    let provenance = Provenance {
        descriptor: origin.descriptor.clone(),
        updates: origin.updates.clone(),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        properties: origin.properties.clone(),
        on: origin.on.clone(),
    };
    let header = Header::of(&finding.setting, origin.topology, provenance);
    ReplayFile::new(header, &finding.run, finding.is_minimal)
}

/// Returns the name of a file, with a number in front of its extension but for the first.
pub(crate) fn numbered(file: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return file.to_owned();
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = match file.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    file.with_file_name(name)
}
