//! Occopus's own files: where they are found, and what is read from them.

use std::path::{Path, PathBuf};

use zenekar_diagnostics::{Diagnostic, SourceMap, render_human};
use zenekar_occopus::{
    AuthenticationFile, Candidate, OccopusConfiguration, Origin, SearchPlaces, SearchedFile,
};

use super::arguments::Files;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;

/// Reads the configuration; the defaults if there is none.
pub(crate) fn configuration(
    files: &Files,
    output: Output,
) -> Result<OccopusConfiguration, Failure> {
    let searched = SearchedFile::Configuration;
    let Some(found) = find(searched, files.configuration.as_deref(), output) else {
        return Ok(OccopusConfiguration::default());
    };
    let mut sources = SourceMap::default();
    let (configuration, findings) = OccopusConfiguration::load(&found.path, &mut sources);
    check(&found.path, &findings, &sources, output)?;
    Ok(configuration.unwrap_or_default())
}

/// Checks the file of credentials, and returns where it is. Unlike in Occopus it
/// may be absent: some providers need none, and credentials may be elsewhere.
pub(crate) fn authentication(files: &Files, output: Output) -> Result<Option<PathBuf>, Failure> {
    let searched = SearchedFile::Authentication;
    let Some(found) = find(searched, files.authentication.as_deref(), output) else {
        return Ok(None);
    };
    let mut sources = SourceMap::default();
    let (_, findings) = AuthenticationFile::load(&found.path, &mut sources);
    check(&found.path, &findings, &sources, output)?;
    Ok(Some(found.path))
}

/// Finds a file, and tells which one is used if nobody named it.
fn find(searched: SearchedFile, given: Option<&Path>, output: Output) -> Option<Candidate> {
    let program = std::env::current_exe().ok();
    let program_folder = program.as_deref().and_then(Path::parent);
    let places = SearchPlaces {
        given: given.map(Path::to_path_buf),
        variable: std::env::var_os(searched.variable()).map(PathBuf::from),
        home: std::env::var_os("HOME").map(PathBuf::from),
        // Relative, so that messages name the file as people do.
        working_folder: Some(PathBuf::new()),
        installation: program_folder.and_then(Path::parent).map(Path::to_path_buf),
        program_folder: program_folder.map(Path::to_path_buf),
    };
    let found = places.find(searched, &|path| path.is_file())?;
    if found.origin != Origin::Given && !output.is_json() {
        let what = match searched {
            SearchedFile::Authentication => "authentication",
            SearchedFile::Configuration => "configuration",
        };
        let path = found.path.display();
        output.line(&format!("Using default {what} file: '{path}'"));
    }
    Some(found)
}

/// Tells what was found in a file, and fails if one of it is an error.
fn check(
    path: &Path,
    findings: &[Diagnostic],
    sources: &SourceMap,
    output: Output,
) -> Result<(), Failure> {
    if !findings.is_empty() {
        let paints = output.talk_paint.is_enabled();
        output.talk(&render_human(findings, sources, paints));
    }
    if findings.iter().any(Diagnostic::is_error) {
        let text = format!("`{}` cannot be used", path.display());
        return Err(Failure::new(Exit::InvalidDescriptor, text));
    }
    Ok(())
}
