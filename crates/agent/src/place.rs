//! Paths of the node and the files at them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::limits;

/// The root of the node, and what lies below it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where a path of the node is. It stays below the root, however
    /// many `..` it has; relative ones start at the root.
    pub(crate) fn of(&self, path: &str) -> PathBuf {
        let mut below: Vec<&str> = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => {
                    below.pop();
                }
                name => below.push(name),
            }
        }
        let mut place = self.root.clone();
        place.extend(below);
        place
    }

    /// Writes a file with its mode, and creates its folder if need be.
    pub(crate) fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<(), String> {
        self.put(path, content, mode, false)
    }

    /// Adds to a file, or writes it if it is not there.
    pub(crate) fn append(&self, path: &str, content: &[u8], mode: u32) -> Result<(), String> {
        self.put(path, content, mode, true)
    }

    fn put(&self, path: &str, content: &[u8], mode: u32, append: bool) -> Result<(), String> {
        let place = self.of(path);
        create_parent(&place)
            .map_err(|cause| format!("cannot create the folder of `{path}`: {cause}"))?;
        // Nobody else may read a secret before its mode is set; a mode that
        // is wider than that is set below. A file that is there is kept with
        // its links, as any program would write it.
        OpenOptions::new()
            .create(true)
            .append(append)
            .write(true)
            .truncate(!append)
            .mode(mode & 0o600)
            .open(&place)
            .and_then(|mut file| file.write_all(content))
            .map_err(|cause| format!("cannot write `{path}`: {cause}"))?;
        fs::set_permissions(&place, Permissions::from_mode(mode))
            .map_err(|cause| format!("cannot set the permissions of `{path}`: {cause}"))
    }

    /// Creates a folder and those above it.
    pub(crate) fn create_folder(&self, path: &str, mode: u32) -> io::Result<()> {
        create_folder_at(&self.of(path), mode)
    }

    /// Opens a file to add to it.
    pub(crate) fn append_to(&self, path: &str, mode: u32) -> io::Result<File> {
        let place = self.of(path);
        create_parent(&place)?;
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(mode)
            .open(place)
    }

    /// Reads a system file as text; none if it is not there or not readable.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let file = File::open(self.of(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(limits::SYSTEM_FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn is_file(&self, path: &str) -> bool {
        self.of(path).is_file()
    }

    /// Returns the permissions of what is at a path.
    pub(crate) fn mode_of(&self, path: &str) -> Option<u32> {
        let metadata = fs::metadata(self.of(path)).ok()?;
        Some(metadata.permissions().mode() & 0o7777)
    }

    /// Makes a symbolic link, in place of whatever is there.
    pub(crate) fn link(&self, to: &str, path: &str) -> io::Result<()> {
        let place = self.of(path);
        create_parent(&place)?;
        match fs::remove_file(&place) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        std::os::unix::fs::symlink(to, place)
    }
}

fn create_parent(place: &Path) -> io::Result<()> {
    match place.parent() {
        Some(parent) if !parent.is_dir() => create_folder_at(parent, 0o755),
        _ => Ok(()),
    }
}

fn create_folder_at(place: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<&Path> = place
        .ancestors()
        .take_while(|folder| !folder.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            // The mode must not depend on the umask of whoever started this.
            Ok(()) => fs::set_permissions(folder, Permissions::from_mode(mode))?,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let place = Place::new(Path::new("/node"));
        for (path, expected) in [
            ("/etc/motd", "/node/etc/motd"),
            ("etc/motd", "/node/etc/motd"),
            ("/../../etc//./motd", "/node/etc/motd"),
            ("/a/../..", "/node"),
        ] {
            assert_eq!(place.of(path), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn files_get_their_mode_and_folders_are_created() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path());
        place.write("/a/b/secret", b"one", 0o600).unwrap();
        place.append("/a/b/secret", b" two", 0o4755).unwrap();
        let file = root.path().join("a/b/secret");
        assert_eq!(fs::read(&file).unwrap(), b"one two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&file), 0o4755);
        assert_eq!(mode(&root.path().join("a/b")), 0o755);
        assert!(
            place
                .write("/a/b", b"", 0o644)
                .unwrap_err()
                .contains("`/a/b`")
        );
    }
}
