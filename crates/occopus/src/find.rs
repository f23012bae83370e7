//! Where node definitions are looked for.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zenekar_document::Project;

use crate::description::DEFINITION_PREFIX;
use crate::options::DEFINITION_FILES_MAX;

/// The folder beside a description that holds node definitions.
const FOLDER: &str = "nodes";
/// The usual name of a file with node definitions.
const FILE: &str = "node_definitions.yaml";

/// The key that tells a description from a file with definitions only.
const DESCRIPTION_KEY: &str = "infra_name";

/// Returns the folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Returns the folder that includes of a file with definitions must not leave,
/// if no description tells: its own, or the one around it if that is the
/// usual folder for definitions.
pub(crate) fn project_of_definitions(file: &Path) -> Project {
    let folder = folder_of(file);
    let is_usual = folder
        .canonicalize()
        .is_ok_and(|folder| folder.file_name().is_some_and(|name| name == FOLDER));
    Project {
        root: if is_usual {
            folder.join("..")
        } else {
            folder.to_path_buf()
        },
    }
}

/// Finds files with node definitions beside a description: all of `nodes/`
/// that hold some, else `node_definitions.yaml`, else all other files beside it
/// that hold some and are no descriptions themselves.
pub(crate) fn beside(description: &Path, bytes_max: usize) -> Vec<PathBuf> {
    // Joining to the parent as it is keeps names as short as they were given.
    let folder = description.parent().unwrap_or(Path::new(""));
    let mut found = in_folder(&folder.join(FOLDER), bytes_max);
    let single = folder.join(FILE);
    if found.is_empty() && single.is_file() && single != description {
        found.push(single);
    }
    if found.is_empty() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        found = in_folder(folder, bytes_max);
        found.retain(|path| {
            path.file_name() != description.file_name()
                && !holds_line(path, DESCRIPTION_KEY, bytes_max)
        });
    }
    found
}

fn in_folder(folder: &Path, bytes_max: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
        })
        .take(DEFINITION_FILES_MAX)
        .collect();
    paths.sort();
    // The usual file counts by its name: if it is broken, that has to be reported.
    paths.retain(|path| {
        path.file_name().is_some_and(|name| name == FILE)
            || holds_line(path, DEFINITION_PREFIX, bytes_max)
    });
    paths
}

/// Says whether a file has a line that starts with a key, whatever the style.
/// Other files of the folder are included from there and need not even be YAML.
fn holds_line(path: &Path, key: &str, bytes_max: usize) -> bool {
    let Ok(file) = fs::File::open(path) else {
        return false;
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    if file.take(limit).read_to_end(&mut bytes).is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&bytes);
    text.trim_start_matches('\u{feff}').lines().any(|line| {
        line.trim_start_matches([' ', '{', '?', '\'', '"'])
            .starts_with(key)
    })
}
