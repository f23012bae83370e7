//! A layer of directories for instances of ordinary users.
//!
//! In a user namespace the machine's files belong to nobody, so that even the
//! instance's root could change none of their directories. A directory of this
//! layer lies over each of them: it belongs to the user, and with it the merged
//! view does. Settings that instances often change come as copies.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::XattrFlags;
use zenekar_base::Fingerprint;

use crate::lock::ProcessLock;
use crate::{Isolation, LocalError};

/// Directories at the top of the machine's root in which instances may write.
const TOPS: &[&str] = &["etc", "opt", "srv", "usr", "var"];

/// Directories whose files are copied, so that they can be changed.
const COPIED: &[&str] = &["etc", "var/lib/dpkg"];

/// Directories of [`COPIED`] whose files are only ever replaced.
const NOT_COPIED: &[&str] = &["var/lib/dpkg/info"];

/// Directories that begin empty: what the machine has there is of no use inside.
const EMPTY: &[&str] = &[
    "var/cache/apt",
    "var/cache/man",
    "var/lib/apt/lists",
    "var/lib/cloud",
    "var/log",
    "var/spool",
    "var/tmp",
];

/// The largest file that is copied.
const COPY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Directories that the layer has at most: a machine with many programs has some fifty thousand.
const DIRECTORIES_MAX: usize = 200_000;

/// How deep directories are looked into.
const DEPTH_MAX: usize = 64;

/// Returns where what can be made again is kept, for instances below a directory.
fn cache(local: &Path) -> PathBuf {
    local.with_file_name("local-cache")
}

/// Returns where the layer of that name is, for instances below a directory.
pub(crate) fn directory(local: &Path, name: &str) -> PathBuf {
    cache(local).join(name)
}

/// A layer that nobody uses goes only after this time: somebody may be about
/// to write down that an instance uses it.
const UNUSED_AGE_MIN: Duration = Duration::from_hours(1);

/// Sees to it that there is a layer for the machine's programs as they are now,
/// and returns its name. Making it takes some seconds. `names_in_use` says which
/// layers instances lie on: those must stay as they are.
pub(crate) fn ensure(
    local: &Path,
    names_in_use: impl FnOnce() -> Result<BTreeSet<String>, LocalError>,
) -> Result<String, LocalError> {
    let cache = cache(local);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&cache)
        .map_err(LocalError::file("make", &cache))?;
    let lock_path = cache.join("lock");
    let _lock = ProcessLock::take(&lock_path).map_err(LocalError::file("lock", &lock_path))?;
    let name = format!("root-{}", &Fingerprint::of_text(&stamp()).to_string()[..16]);
    let target = cache.join(&name);
    if target.is_dir() {
        return Ok(name);
    }
    remove_unused(&cache, &names_in_use()?)?;
    let new = cache.join("root.new");
    remove_tree(&new)?;
    let mut builder = Builder {
        target: new.clone(),
        directories: 0,
    };
    builder.make(Path::new(""), 0)?;
    for top in TOPS {
        builder.copy_tree(Path::new(top), 0)?;
    }
    builder.accounts()?;
    fs::rename(&new, &target).map_err(LocalError::file("make", &target))?;
    Ok(name)
}

fn remove_unused(cache: &Path, names_in_use: &BTreeSet<String>) -> Result<(), LocalError> {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNUSED_AGE_MIN));
        if name.starts_with("root-") && is_old && !names_in_use.contains(&name) {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// Changes whenever packages were installed or accounts were changed.
fn stamp() -> String {
    let times: Vec<String> = [
        "/var/lib/dpkg/status",
        "/etc/passwd",
        "/usr/bin",
        "/usr/lib",
    ]
    .iter()
    .filter_map(|path| fs::metadata(path).ok())
    .map(|metadata| format!("{}.{}", metadata.mtime(), metadata.mtime_nsec()))
    .collect();
    times.join(" ")
}

struct Builder {
    target: PathBuf,
    directories: usize,
}

impl Builder {
    fn make(&mut self, relative: &Path, mode: u32) -> Result<(), LocalError> {
        let path = self.target.join(relative);
        DirBuilder::new()
            .mode(mode | 0o700)
            .create(&path)
            .map_err(LocalError::file("make", &path))?;
        self.directories += 1;
        // Sticky and group bits would be lost to the process's mask.
        fs::set_permissions(&path, Permissions::from_mode(mode & 0o1777 | 0o700))
            .map_err(LocalError::file("set the mode of", &path))
    }

    fn copy_tree(&mut self, relative: &Path, depth: usize) -> Result<(), LocalError> {
        let source = Path::new("/").join(relative);
        let Ok(metadata) = fs::symlink_metadata(&source) else {
            return Ok(());
        };
        if !metadata.is_dir() || depth > DEPTH_MAX || self.directories >= DIRECTORIES_MAX {
            return Ok(());
        }
        self.make(relative, metadata.permissions().mode())?;
        if EMPTY.iter().any(|empty| relative == Path::new(empty)) {
            return hide_below(&self.target.join(relative));
        }
        // What this user may not list stays as it is for him.
        let Ok(entries) = fs::read_dir(&source) else {
            return hide_below(&self.target.join(relative));
        };
        let is_copied = COPIED.iter().any(|copied| relative.starts_with(copied))
            && !NOT_COPIED.iter().any(|not| relative.starts_with(not));
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let inner = relative.join(entry.file_name());
            if kind.is_dir() {
                self.copy_tree(&inner, depth + 1)?;
            } else if kind.is_file() && is_copied {
                self.copy_file(&inner)?;
            }
        }
        Ok(())
    }

    fn copy_file(&self, relative: &Path) -> Result<(), LocalError> {
        let source = Path::new("/").join(relative);
        let path = self.target.join(relative);
        let Ok(metadata) = fs::metadata(&source) else {
            return Ok(());
        };
        if metadata.len() > COPY_BYTES_MAX {
            return Ok(());
        }
        match fs::copy(&source, &path) {
            Ok(_) => fs::set_permissions(
                &path,
                Permissions::from_mode(metadata.permissions().mode() & 0o777 | 0o600),
            )
            .map_err(LocalError::file("set the mode of", &path)),
            // Secrets of the machine's root stay his; locks and older versions can be made anew.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let _ = fs::remove_file(&path);
                if metadata.len() == 0 || path.to_string_lossy().ends_with('-') {
                    fs::write(&path, "").map_err(LocalError::file("make", &path))?;
                }
                Ok(())
            }
            Err(error) => Err(LocalError::file("copy", &source)(error)),
        }
    }

    /// Makes the files with passwords, which only the machine's root can read, without any password.
    fn accounts(&self) -> Result<(), LocalError> {
        for (names, secrets, rest) in [
            ("etc/passwd", "etc/shadow", ":*:19000:0:99999:7:::"),
            ("etc/group", "etc/gshadow", ":*::"),
        ] {
            let path = self.target.join(secrets);
            let text = fs::read_to_string(self.target.join(names)).unwrap_or_default();
            let lines: Vec<String> = text
                .lines()
                .filter_map(|line| line.split(':').next())
                .filter(|name| !name.is_empty())
                .map(|name| format!("{name}{rest}\n"))
                .collect();
            fs::write(&path, lines.concat()).map_err(LocalError::file("make", &path))?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .map_err(LocalError::file("set the mode of", &path))?;
        }
        Ok(())
    }
}

/// Copies a part of the layer into a directory.
pub(crate) fn copy(source: &Path, target: &Path) -> Result<(), LocalError> {
    copy_entries(source, target, 0)
}

fn copy_entries(source: &Path, target: &Path, depth: usize) -> Result<(), LocalError> {
    let mode = fs::metadata(source).map_err(LocalError::file("examine", source))?;
    fs::set_permissions(target, mode.permissions())
        .map_err(LocalError::file("set the mode of", target))?;
    let mut hides = [0; 1];
    if rustix::fs::getxattr(source, OPAQUE, &mut hides).is_ok() {
        hide_below(target)?;
    }
    if depth > DEPTH_MAX {
        return Ok(());
    }
    let entries = fs::read_dir(source).map_err(LocalError::file("list", source))?;
    for entry in entries.flatten() {
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            DirBuilder::new()
                .mode(0o700)
                .create(&to)
                .map_err(LocalError::file("make", &to))?;
            copy_entries(&from, &to, depth + 1)?;
        } else {
            fs::copy(&from, &to).map_err(LocalError::file("copy", &from))?;
        }
    }
    Ok(())
}

/// Marks a directory below which an overlay shows nothing of other layers.
const OPAQUE: &str = "user.overlay.opaque";

/// Makes an overlay show nothing of what lies below a directory.
fn hide_below(path: &Path) -> Result<(), LocalError> {
    match rustix::fs::setxattr(path, OPAQUE, b"y", XattrFlags::empty()) {
        // Without such attributes there are no such overlays either.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(LocalError::file("mark", path)(error.into())),
    }
}

/// Removes a directory with everything in it; one that is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), LocalError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            fs::remove_file(path).map_err(LocalError::file("remove", path))
        }
        Err(error) => Err(LocalError::file("remove", path)(error)),
    }
}

/// Tells package managers inside what they cannot know: where there is one user
/// only, they must not change to another one.
pub(crate) fn prepare_packages(isolation: Isolation) -> Result<(), LocalError> {
    let directory = Path::new("/etc/apt/apt.conf.d");
    if isolation != Isolation::UserNamespaces || !directory.is_dir() {
        return Ok(());
    }
    let path = directory.join("zz-zenekar");
    fs::write(&path, "APT::Sandbox::User \"root\";\n").map_err(LocalError::file("write", &path))?;
    for partial in [
        "/var/cache/apt/archives/partial",
        "/var/lib/apt/lists/partial",
    ] {
        let path = Path::new(partial);
        fs::create_dir_all(path).map_err(LocalError::file("make", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_layer_that_instances_lie_on_is_never_removed() {
        let cache = tempfile::tempdir().expect("a directory");
        let long_ago = SystemTime::now() - 2 * UNUSED_AGE_MIN;
        for (name, at) in [
            ("root-used", long_ago),
            ("root-unused", long_ago),
            ("root-new", SystemTime::now()),
            ("other", long_ago),
        ] {
            let path = cache.path().join(name);
            fs::create_dir_all(path.join("etc")).expect("it is ours");
            let directory = File::open(path).expect("it is there");
            directory.set_modified(at).expect("it is ours");
        }
        let in_use = BTreeSet::from(["root-used".to_owned()]);
        remove_unused(cache.path(), &in_use).expect("all can be removed");
        let left = |name: &str| cache.path().join(name).join("etc").exists();
        assert!(left("root-used") && left("root-new") && left("other"));
        assert!(!left("root-unused"));
    }
}
