//! Locks that a process holds as long as it lives.
//!
//! A record lock of POSIX belongs to one process: the kernel releases it when
//! the process ends, however it ends, no child inherits it, and whoever asks
//! learns the holder's pid. So a lock tells that a process lives, and which one
//! it is, without the mistakes that files with pids allow.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::Pid;

/// A lock that this process holds. It must open the file only here: closing
/// any other descriptor of it would release the lock.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock, and makes its file if there is none; nothing if another process holds it.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match fcntl(&file, FcntlArg::F_SETLK(&record(libc::F_WRLCK))) {
            Ok(_) => Ok(Some(Self { _file: file })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the lock, and makes its file if there is none.
    pub(crate) fn take(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        loop {
            match fcntl(&file, FcntlArg::F_SETLKW(&record(libc::F_WRLCK))) {
                Ok(_) => return Ok(Self { _file: file }),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns the process that holds a lock, as far as this process can see it:
/// never this process itself.
pub(crate) fn holder(path: &Path) -> io::Result<Option<Pid>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut answer = record(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_GETLK(&mut answer))?;
    if i32::from(answer.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    if answer.l_pid <= 0 {
        return Err(io::Error::other(
            "it is held by a process that cannot be seen from here, in a container perhaps",
        ));
    }
    Ok(Some(Pid::from_raw(answer.l_pid)))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Describes the whole file.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the constants are small; the system's headers give them wider types than its structure"
)]
fn record(kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_nobody_has_no_holder() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        assert_eq!(holder(&path).expect("no file is fine"), None);
        let taken = ProcessLock::try_take(&path).expect("it is writable");
        assert!(taken.is_some());
        drop(taken);
        assert_eq!(holder(&path).expect("it is readable"), None);
    }
}
