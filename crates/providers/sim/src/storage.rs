//! Reading and writing whole files of a stored cloud.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zenekar_simcloud::{Settings, SimCloud};

use crate::error::SimError;

/// Version of the stored formats; raised when old files need a conversion.
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize)]
struct SnapshotRef<'a> {
    version: u32,
    log: u64,
    sessions: u32,
    cloud: &'a SimCloud,
}

/// What `snapshot.json` holds.
#[derive(Deserialize)]
pub(crate) struct Snapshot {
    version: u32,
    pub(crate) log: u64,
    pub(crate) sessions: u32,
    pub(crate) cloud: SimCloud,
}

pub(crate) fn io_error(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> SimError + use<> {
    let path = path.to_owned();
    move |source| SimError::Io {
        operation,
        path,
        source,
    }
}

pub(crate) fn damaged(path: PathBuf, problem: String) -> SimError {
    SimError::Damaged { path, problem }
}

pub(crate) fn log_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("inputs-{number}.jsonl"))
}

pub(crate) fn open_log(directory: &Path, number: u64) -> Result<File, SimError> {
    let path = log_path(directory, number);
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(&path)
        .map_err(io_error("open", &path))
}

pub(crate) fn check_settings(directory: &Path, settings: &Settings) -> Result<(), SimError> {
    settings.validate().map_err(|problem| SimError::Settings {
        path: directory.join("settings.json"),
        problem,
    })
}

pub(crate) fn load_settings(directory: &Path) -> Result<Settings, SimError> {
    let path = directory.join("settings.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let settings = Settings::calm();
            write_settings(directory, &settings)?;
            return Ok(settings);
        }
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let settings: Settings = serde_json::from_slice(&text).map_err(|error| SimError::Settings {
        path,
        problem: error.to_string(),
    })?;
    check_settings(directory, &settings)?;
    Ok(settings)
}

pub(crate) fn write_settings(directory: &Path, settings: &Settings) -> Result<(), SimError> {
    let path = directory.join("settings.json");
    let mut text =
        serde_json::to_vec_pretty(settings).map_err(|error| damaged(path, error.to_string()))?;
    text.push(b'\n');
    replace_file(directory, "settings.json", &text)
}

pub(crate) fn load_snapshot(directory: &Path) -> Result<(Snapshot, u64), SimError> {
    let path = directory.join("snapshot.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let cloud = SimCloud::new(load_settings(directory)?);
            let bytes = write_snapshot(directory, 0, 0, &cloud)?;
            return Ok((
                Snapshot {
                    version: FORMAT_VERSION,
                    log: 0,
                    sessions: 0,
                    cloud,
                },
                bytes,
            ));
        }
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let snapshot: Snapshot =
        serde_json::from_slice(&text).map_err(|error| damaged(path.clone(), error.to_string()))?;
    if snapshot.version != FORMAT_VERSION {
        let problem = format!(
            "it has format version {}, this program knows {FORMAT_VERSION}",
            snapshot.version
        );
        return Err(damaged(path, problem));
    }
    if !snapshot.cloud.is_sound() {
        return Err(damaged(path, "its parts contradict each other".to_owned()));
    }
    Ok((snapshot, text.len() as u64))
}

pub(crate) fn write_snapshot(
    directory: &Path,
    log: u64,
    sessions: u32,
    cloud: &SimCloud,
) -> Result<u64, SimError> {
    let text = serde_json::to_vec(&SnapshotRef {
        version: FORMAT_VERSION,
        log,
        sessions,
        cloud,
    })
    .map_err(|error| damaged(directory.join("snapshot.json"), error.to_string()))?;
    replace_file(directory, "snapshot.json", &text)?;
    Ok(text.len() as u64)
}

/// Replaces a file as a whole: a reader sees the old or the new one. Holds the lock.
fn replace_file(directory: &Path, name: &str, text: &[u8]) -> Result<(), SimError> {
    let (path, temporary) = (directory.join(name), directory.join(format!("{name}.new")));
    fs::write(&temporary, text).map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(io_error("replace", &path))
}
