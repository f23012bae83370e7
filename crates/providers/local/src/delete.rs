//! Takes instances down, and leaves nothing of them behind.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use zenekar_base::{InfrastructureId, ResourceId};

use crate::inside::trial;
use crate::instances::{self, Found, UNFINISHED};
use crate::layout::InfrastructurePaths;
use crate::network;
use crate::processes;
use crate::provider::Inner;
use crate::shim::end_marked;
use crate::skeleton;
use crate::{Isolation, LocalError, limits, lock};

/// How long a shim may take to end its instance: the kernel ends hundreds of processes in that time.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// How long processes may take that were ended by the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How deep directories are that are made removable.
const DEPTH_MAX: usize = 256;

/// How often a removal is repeated while processes that end write still.
const LATE_MAX: u32 = 5;

/// How long such a removal waits for them.
const LATE_PAUSE: Duration = Duration::from_millis(20);

/// Deletes an instance. One that does not exist is deleted already.
pub(crate) fn delete(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    resource: &ResourceId,
) -> Result<(), LocalError> {
    let paths = inner.infrastructure(infrastructure)?;
    let Some(found) = Found::read(&paths, resource)? else {
        return Ok(());
    };
    end_processes(&found)?;
    let _turn = inner.turn();
    let others = Found::all(&paths)?
        .iter()
        .any(|other| other.resource != *resource);
    if !others {
        // The instance stays known until its network is gone: whoever is
        // interrupted here finds both again.
        network::stop(&paths.network())?;
    }
    remove_directory(&found)?;
    if !others {
        remove_if_empty(inner, &paths)?;
    }
    instances::tell_names(&Found::all(&paths)?);
    Ok(())
}

/// Ends what is left of an instance that did not come up, and removes its directory.
pub(crate) fn remove_instance(found: &Found) -> Result<(), LocalError> {
    end_processes(found)?;
    remove_directory(found)
}

fn end_processes(found: &Found) -> Result<(), LocalError> {
    let lock_path = found.paths.lock();
    let holder = || lock::holder(&lock_path).map_err(LocalError::file("read", &lock_path));
    let mark = &found.description.mark;
    // What is frozen cannot end.
    limits::thaw(mark);
    if let Some(shim) = holder()? {
        let failed = || LocalError::system(format!("end `{}`", found.description.name));
        processes::signal(shim.as_raw(), Signal::SIGTERM).map_err(failed())?;
        processes::signal(shim.as_raw(), Signal::SIGCONT).map_err(failed())?;
        let has_ended = || matches!(lock::holder(&lock_path), Ok(None));
        if !processes::wait_until(END_PATIENCE, has_ended) {
            processes::signal(shim.as_raw(), Signal::SIGKILL).map_err(failed())?;
        }
        if !processes::wait_until(KILL_PATIENCE, has_ended) {
            return Err(LocalError::System {
                operation: format!("end `{}`", found.description.name),
                source: io::ErrorKind::TimedOut.into(),
            });
        }
    }
    let is_over = end_init(found);
    if found.description.isolation == Isolation::Plain {
        end_marked(&found.description);
    }
    let are_removed = processes::wait_until(KILL_PATIENCE, || {
        limits::end_all(mark);
        limits::remove(mark)
    });
    if is_over && are_removed {
        return Ok(());
    }
    // Its directory stays, so that it is found again.
    Err(LocalError::System {
        operation: format!("end all processes of `{}`", found.description.name),
        source: io::ErrorKind::TimedOut.into(),
    })
}

/// Waits for an init whose shim was killed: the kernel ends it then. Returns
/// whether it is gone.
fn end_init(found: &Found) -> bool {
    let Some(status) = &found.status else {
        return true;
    };
    let pid = status.init_pid;
    let is_ours = || {
        // The pid may be another process's by now.
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            // The directory may have been named in another way when it was started.
            let end = format!("/{}", found.resource);
            line.split(|byte| *byte == 0)
                .any(|argument| argument.ends_with(end.as_bytes()))
        }) && processes::is_alive(pid)
    };
    if is_ours() {
        let _ = processes::signal(pid, Signal::SIGKILL);
    }
    processes::wait_until(KILL_PATIENCE, || !is_ours())
}

/// Removes an instance's directory; what says that it exists goes last.
fn remove_directory(found: &Found) -> Result<(), LocalError> {
    let root = found.paths.root();
    let description = found.paths.description();
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LocalError::file("list", root)(error)),
    };
    for entry in entries.flatten() {
        if entry.path() != description {
            remove(&entry.path())?;
        }
    }
    // In one step, so that nobody finds a directory that nothing explains.
    let remains = root.with_file_name(format!("{UNFINISHED}{}", found.resource));
    remove(&remains)?;
    match fs::rename(root, &remains) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LocalError::file("remove", root)(error))
        }
        _ => remove(&remains),
    }
}

/// Removes everything, also directories that their owner may not write.
fn remove(path: &Path) -> Result<(), LocalError> {
    for _ in 0..LATE_MAX {
        match skeleton::remove_tree(path) {
            Err(LocalError::File { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                make_removable(path, 0);
            }
            Err(error) if is_written_to(&error) => std::thread::sleep(LATE_PAUSE),
            other => return other,
        }
    }
    skeleton::remove_tree(path)
}

/// Says whether a directory could not be removed because somebody put something
/// into it meanwhile.
fn is_written_to(error: &LocalError) -> bool {
    matches!(error, LocalError::File { source, .. }
        if source.kind() == io::ErrorKind::DirectoryNotEmpty)
}

fn make_removable(path: &Path, depth: usize) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if !is_directory || depth > DEPTH_MAX {
        return;
    }
    let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        make_removable(&entry.path(), depth + 1);
    }
}

/// Removes what an infrastructure without instances has left.
pub(crate) fn remove_if_empty(
    inner: &Inner,
    paths: &InfrastructurePaths,
) -> Result<(), LocalError> {
    if !Found::all(paths)?.is_empty() {
        return Ok(());
    }
    network::stop(&paths.network())?;
    skeleton::remove_tree(&paths.root().join("network"))?;
    // Only what is empty goes: somebody may be about to make the next instance.
    let _ = fs::remove_dir(paths.instances());
    let _ = fs::remove_dir(paths.root());
    if instances::names(inner.layout.root())?.is_empty() {
        trial::remove_left(inner.layout.root())?;
        let _ = fs::remove_dir(inner.layout.root());
    }
    Ok(())
}

/// Removes directories of instances that do not exist, because whoever made or
/// removed them was interrupted, or a process that was late made them anew.
pub(crate) fn remove_unfinished(
    inner: &Inner,
    paths: &InfrastructurePaths,
) -> Result<(), LocalError> {
    let directory = paths.instances();
    for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let (token, is_none) = match name.strip_prefix(UNFINISHED) {
            Some(token) => (token, true),
            None => (name, is_described_by_nothing(paths, name)),
        };
        if is_none && !inner.is_starting(token) {
            match remove(&entry.path()) {
                // A late process writes still; whoever looks next removes what it leaves.
                Err(error) if is_written_to(&error) => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// Removes what is in the way of an instance that does not exist.
pub(crate) fn make_way(paths: &InfrastructurePaths, name: &str) -> Result<(), LocalError> {
    if is_described_by_nothing(paths, name) {
        remove(&paths.instances().join(name))?;
    }
    Ok(())
}

/// Says whether what has the name of an instance surely is none: directories of
/// instances come and go together with their descriptions.
fn is_described_by_nothing(paths: &InfrastructurePaths, name: &str) -> bool {
    paths
        .instance(&ResourceId::new(name))
        .is_some_and(|instance| {
            fs::symlink_metadata(instance.description())
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        })
}

/// Removes instances whose start was interrupted before anything of them ran:
/// nobody was told that they exist, and whoever wants one makes another.
pub(crate) fn remove_interrupted(
    inner: &Inner,
    paths: &InfrastructurePaths,
) -> Result<(), LocalError> {
    for found in Found::all(paths)? {
        let never_ran = found.status.is_none() && found.shim.is_none();
        if never_ran && !inner.is_starting(found.description.token.as_str()) {
            remove_instance(&found)?;
        }
    }
    Ok(())
}
