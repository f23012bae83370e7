//! Tries, in a process that ends at once, whether an isolation can be had.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::{SELF, role};
use crate::network;
use crate::{Isolation, LocalError, skeleton};

/// What a trial prints that went well; anything else is why it did not.
pub(crate) const SUCCESS: &str = "ok";

/// How the names of directories for trials begin.
const FILES: &str = ".try-";

/// Runs as the role `try`: the arguments are the isolation and the directory for files.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let isolation = arguments
        .next()
        .and_then(|text| text.to_str()?.parse::<Isolation>().ok());
    let (Some(isolation), Some(directory)) = (isolation, arguments.next().map(PathBuf::from))
    else {
        return ExitCode::FAILURE;
    };
    if let Err(error) = separate(isolation) {
        let _ = writeln!(io::stdout(), "{}", error.chain());
        return ExitCode::FAILURE;
    }
    // Only children are in the new namespace of processes.
    let status = role(SELF, "try-mounts")
        .arg(isolation.name())
        .arg(directory.join(format!("{FILES}{}", std::process::id())))
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn separate(isolation: Isolation) -> Result<(), LocalError> {
    network::separate(isolation)?;
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(own).map_err(LocalError::system("make namespaces"))
}

/// Runs as the role `try-mounts`, inside the namespaces of the trial.
pub(crate) fn mounts_main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let isolation = arguments
        .next()
        .and_then(|text| text.to_str()?.parse::<Isolation>().ok());
    let own = arguments.next().map(PathBuf::from);
    let (Some(isolation), Some(own)) = (isolation, own) else {
        return ExitCode::FAILURE;
    };
    let is_made = fs::create_dir(&own).is_ok();
    let on_disk = is_made && try_mounts(isolation, Some(&own)).is_ok();
    if is_made {
        // Before anything is mounted that may hide it.
        let _ = skeleton::remove_tree(&own);
    }
    // Where the directory is itself on a view, instances keep their files in memory.
    let tried = if on_disk {
        Ok(())
    } else {
        try_mounts(isolation, None)
    };
    match tried {
        Ok(()) => {
            let _ = writeln!(io::stdout(), "{SUCCESS}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stdout(), "{}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn try_mounts(isolation: Isolation, disk: Option<&Path>) -> Result<(), LocalError> {
    let all = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, all, None::<&str>)
        .map_err(LocalError::system("keep mounts from the machine"))?;
    // Files go where those of instances would go; before there is such a place, into memory.
    let base = if let Some(disk) = disk {
        disk
    } else {
        let place = Path::new("/tmp");
        mount(
            Some("zenekar"),
            place,
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .map_err(LocalError::system("mount memory"))?;
        place
    };
    let path = |name: &str| -> Result<PathBuf, LocalError> {
        let path = base.join(name);
        fs::create_dir(&path).map_err(LocalError::file("make", &path))?;
        Ok(path)
    };
    let (upper, work, view) = (path("upper")?, path("work")?, path("view")?);
    let mut options = format!(
        "lowerdir=/usr,upperdir={},workdir={}",
        super::root::escaped(&upper),
        super::root::escaped(&work)
    );
    if isolation == Isolation::UserNamespaces {
        options.push_str(",userxattr");
    }
    mount(
        Some("zenekar"),
        &view,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(LocalError::system("mount a copy-on-write view (overlay)"))?;
    let _ = nix::mount::umount2(&view, nix::mount::MntFlags::MNT_DETACH);
    let processes = path("proc")?;
    mount(
        Some("proc"),
        &processes,
        Some("proc"),
        MsFlags::empty(),
        None::<&str>,
    )
    .map_err(LocalError::system("mount `/proc`"))?;
    let _ = nix::mount::umount2(&processes, nix::mount::MntFlags::MNT_DETACH);
    Ok(())
}

/// Removes what trials left that were cut off.
pub(crate) fn remove_left(directory: &Path) -> Result<(), LocalError> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(FILES) {
            skeleton::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
