//! Files that only their owner may use: written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use crate::error::CredentialsError;

/// Permissions of files: nobody but the owner reads or writes.
const FILE_MODE: u32 = 0o600;
/// Permissions of folders.
const FOLDER_MODE: u32 = 0o700;
/// What others may have of a private file: nothing.
const OTHERS: u32 = 0o077;

/// Makes a folder that only its owner may use, and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), CredentialsError> {
    let fail = |error| CredentialsError::file("make", path, error);
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
    {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(fail(error)),
    }
    let metadata = fs::metadata(path).map_err(fail)?;
    if metadata.mode() & OTHERS != 0 {
        // Names of clouds are nobody else's business, but no secret either.
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)).map_err(fail)?;
    }
    Ok(())
}

/// How a file comes to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    /// Instead of one that may be there.
    Replace,
    /// Only if there is none.
    New,
}

/// Writes a file whole or not at all, and returns whether it was: it is not
/// where another one is to stay.
pub(crate) fn write(path: &Path, bytes: &[u8], placing: Placing) -> Result<bool, CredentialsError> {
    let fail = |error| CredentialsError::file("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made with mode 0600, and removed again if anything fails.
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(fs::Permissions::from_mode(FILE_MODE))
        .tempfile_in(folder)
        .map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    match placing {
        Placing::Replace => {
            file.persist(path).map_err(|error| fail(error.error))?;
        }
        Placing::New => match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(fail(error.error)),
        },
    }
    sync_folder(folder)?;
    Ok(true)
}

/// Makes sure that a change of a folder survives a loss of power.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), CredentialsError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| CredentialsError::file("write", folder, error))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), CredentialsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CredentialsError::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Anybody, but only its owner may change it: anything else is refused.
    Readable,
    /// Its owner only; anything else is refused.
    Private,
}

/// Reads a file; none if it is not there.
pub(crate) fn read(
    path: &Path,
    bytes_max: u64,
    privacy: Privacy,
) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialsError> {
    let fail = |error| CredentialsError::file("read", path, error);
    // A pipe in the file's place must not hold us up.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    // The open file is looked at, not the path: it cannot be exchanged meanwhile.
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(CredentialsError::malformed(path, "it is no regular file"));
    }
    check_owner(path, &metadata, privacy)?;
    if metadata.len() > bytes_max {
        let reason = format!("it is larger than {bytes_max} bytes");
        return Err(CredentialsError::malformed(path, reason));
    }
    // Room for all of it at once: a buffer that grows would leave copies behind.
    let capacity = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    (&mut file)
        .take(bytes_max)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    Ok(Some(bytes))
}

/// What others may not have of a file that only its owner may change.
const OTHERS_WRITE: u32 = 0o022;

fn check_owner(
    path: &Path,
    metadata: &fs::Metadata,
    privacy: Privacy,
) -> Result<(), CredentialsError> {
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(CredentialsError::ForeignOwner {
            path: path.to_path_buf(),
        });
    }
    let mode = metadata.mode() & 0o777;
    let refused = match privacy {
        Privacy::Readable => OTHERS_WRITE,
        Privacy::Private => OTHERS,
    };
    if mode & refused != 0 {
        return Err(CredentialsError::Exposed {
            path: path.to_path_buf(),
            mode,
        });
    }
    Ok(())
}
