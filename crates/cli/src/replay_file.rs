//! Reads replay files for all commands that take one.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use zenekar_diagnostics::{FileId, SourceMap};
use zenekar_verify::{REPLAY_BYTES_MAX, ReplayFile};

use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, counted};

/// A replay file that was read, and the text that findings point into.
pub(crate) struct Opened {
    pub(crate) recorded: ReplayFile,
    pub(crate) text: String,
    pub(crate) id: FileId,
    pub(crate) sources: SourceMap,
}

/// Reads a replay file, and tells what is wrong with it.
pub(crate) fn open(file: &Path, output: Output) -> Result<Opened, Failure> {
    let text = read(file)?;
    let mut sources = SourceMap::default();
    let id = sources.add(file.display().to_string(), text.as_str());
    let (recorded, diagnostics) = ReplayFile::parse(&text, id);
    output.findings(&diagnostics, &sources);
    match recorded {
        Some(recorded) => Ok(Opened {
            recorded,
            text,
            id,
            sources,
        }),
        None => Err(invalid(file, diagnostics.len())),
    }
}

/// Makes the failure for a replay file with mistakes.
pub(crate) fn invalid(file: &Path, mistakes: usize) -> Failure {
    let mistakes = counted(mistakes.max(1), "mistake");
    let text = format!("`{}` has {mistakes}", file.display());
    Failure::new(Exit::InvalidDescriptor, text)
}

/// Reads no more than a replay file may have: what is named may have no end.
fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::from_file("read", file, &error);
    let mut text = String::new();
    let limit = REPLAY_BYTES_MAX as u64 + 1;
    let mut opened = fs::File::open(file).map_err(failed)?.take(limit);
    opened.read_to_string(&mut text).map_err(failed)?;
    if text.len() > REPLAY_BYTES_MAX {
        let text = format!("`{}` is too large for a replay file", file.display());
        return Err(Failure::usage(text));
    }
    Ok(text)
}
