//! Imported node definitions: one file for each type, includes resolved.
//!
//! Everything here blocks. Files are replaced in one step, so that a reader
//! sees the old definition or the new one, whoever imports meanwhile.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::errors::Failure;
use crate::exit::Exit;
use crate::place::Place;

/// What stands in file names as it is. Everything else is encoded, so that no
/// type can name a file elsewhere.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// What the names of the files end with.
const EXTENSION: &str = ".yaml";

/// Bytes of an encoded type: file systems allow 255 for a name, and temporary
/// files need some more than the file itself.
const TYPE_BYTES_MAX: usize = 200;

/// The node definitions that were imported.
#[derive(Clone, Debug)]
pub(crate) struct Definitions {
    directory: PathBuf,
}

impl Definitions {
    /// Finds the definitions of a state directory. Nothing need be there.
    pub(crate) fn of(place: &Place) -> Self {
        Self {
            directory: place.directory().join("occopus").join("definitions"),
        }
    }

    /// Returns the files that define these types; those that nobody imported are left out.
    pub(crate) fn files_of<'a>(&self, types: impl IntoIterator<Item = &'a str>) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = types
            .into_iter()
            .filter_map(|name| self.path_of(name))
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// Stores definitions: pairs of type and text. If one of them cannot be
    /// written, none is replaced.
    pub(crate) fn put(&self, definitions: &[(String, String)]) -> Result<(), Failure> {
        let failed = |path: &Path, error: &io::Error| {
            let text = format!("cannot store node definitions in `{}`", path.display());
            Failure::new(Exit::State, text).cause(error.to_string())
        };
        fs::create_dir_all(&self.directory).map_err(|error| failed(&self.directory, &error))?;
        let mut written = Vec::with_capacity(definitions.len());
        for (name, text) in definitions {
            let path = self.path_of(name).ok_or_else(|| {
                Failure::new(
                    Exit::InvalidDescriptor,
                    format!("the name of node type `{name}` is too long"),
                )
            })?;
            // Definitions hold passwords and keys: the file is made for its owner only.
            let file = tempfile::NamedTempFile::new_in(&self.directory)
                .and_then(|mut file| {
                    file.write_all(text.as_bytes())?;
                    file.as_file().sync_all()?;
                    Ok(file)
                })
                .map_err(|error| failed(&path, &error))?;
            written.push((file, path));
        }
        for (file, path) in written {
            file.persist(&path)
                .map_err(|error| failed(&path, &error.error))?;
        }
        // Without it a crash of the machine could bring the old names back.
        fs::File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failed(&self.directory, &error))
    }

    /// Returns the file of a type; none if its name is too long for one.
    fn path_of(&self, name: &str) -> Option<PathBuf> {
        let encoded = utf8_percent_encode(name, KEPT).to_string();
        let fits = !encoded.is_empty() && encoded.len() <= TYPE_BYTES_MAX;
        fits.then(|| self.directory.join(encoded + EXTENSION))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn definitions(directory: &tempfile::TempDir) -> Definitions {
        Definitions {
            directory: directory.path().join("occopus/definitions"),
        }
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn what_is_stored_is_found_and_replaced() {
        let directory = tempfile::tempdir().expect("a folder for the test");
        let definitions = definitions(&directory);
        assert!(definitions.files_of(["a"]).is_empty());
        definitions
            .put(&[pair("a", "one"), pair("b", "two")])
            .expect("the folder can be written");
        definitions
            .put(&[pair("a", "three")])
            .expect("the folder can be written");
        let files = definitions.files_of(["b", "a", "a", "missing"]);
        let texts: Vec<String> = files
            .iter()
            .map(|file| fs::read_to_string(file).expect("the file was stored"))
            .collect();
        assert_eq!(texts, ["three", "two"]);
        let mode = fs::metadata(&files[0]).expect("the file is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn no_type_names_a_file_elsewhere() {
        let directory = tempfile::tempdir().expect("a folder for the test");
        let definitions = definitions(&directory);
        let names = ["../../x", ".", "..", "a/b", "a%2Fb", "é ü", "."];
        for name in names {
            definitions
                .put(&[pair(name, name)])
                .expect("the folder can be written");
            let files = definitions.files_of([name]);
            assert_eq!(files.len(), 1, "{name}");
            assert_eq!(files[0].parent(), Some(definitions.directory.as_path()));
            let text = fs::read_to_string(&files[0]).expect("the file was stored");
            assert_eq!(text, name);
        }
        let long = "é".repeat(40);
        assert!(definitions.put(&[pair(&long, "x")]).is_err());
        assert!(definitions.files_of([long.as_str(), ""]).is_empty());
    }
}
