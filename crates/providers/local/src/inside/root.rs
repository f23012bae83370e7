//! Puts an instance's root together: a copy-on-write view of the machine's own
//! files, with homes, temporary files and devices of its own.
//!
//! Each directory at the top of the machine's root becomes an overlay of its
//! own. One overlay over the whole root is not possible in a user namespace:
//! the kernel does not let an ordinary user look below what is mounted on it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::pivot_root;

use super::mounts::{mounts_below, nested_disks};
use crate::layout::InstancePaths;
use crate::{Isolation, LocalError, skeleton};

/// Directories at the top that every instance has for itself, empty at first, with their modes.
const OWN: &[(&str, u32)] = &[
    ("boot", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("root", 0o700),
    ("tmp", 0o1777),
];

/// Directories at the top that are made anew at each start.
const MADE: &[&str] = &["dev", "lost+found", "proc", "run", "sys"];

/// Directories at the top that are only looked at: images of programs, mounted read-only anyway.
const LOOKED_AT: &[&str] = &["snap"];

/// Devices that an instance shares with the machine: none of them holds anything.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];

/// Parts of `/proc` that belong to the machine, not to the instance: its root
/// could change them, since the kernel asks for root there, not for a right.
const READ_ONLY: &[&str] = &[
    "acpi",
    "asound",
    "bus",
    "driver",
    "fs",
    "irq",
    "scsi",
    "sys",
    "sysrq-trigger",
];

/// Parts of `/proc` that show the machine's memory or secrets.
const COVERED: &[&str] = &[
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "timer_list",
];

/// Parts of one directory that are shown one by one: `/var/lib` has about a hundred.
const PARTS_MAX: usize = 512;

/// The largest file that an instance gets its own copy of where its directory is shown in parts.
const COPY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Mounted directories below the top that an instance gets a view of.
const NESTED_MAX: usize = 64;

/// Builds the root and makes it this process's. Its namespaces are its own already.
pub(crate) fn build(
    paths: &InstancePaths,
    skeleton: Option<&Path>,
    isolation: Isolation,
    state: &Path,
) -> Result<(), LocalError> {
    let mut builder = Builder {
        target: paths.mount_point(),
        files: paths.files(),
        work: paths.work(),
        skeleton,
        isolation,
    };
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_SLAVE,
        None::<&str>,
    )
    .map_err(LocalError::system("keep mounts from the machine"))?;
    mount_tmpfs(&builder.target, "mode=755")?;
    builder.choose_storage(paths)?;
    builder.top()?;
    builder.nested();
    builder.devices()?;
    builder.kernel()?;
    builder.hide(state);
    enter(&builder.target)
}

struct Builder<'a> {
    target: PathBuf,
    files: PathBuf,
    work: PathBuf,
    skeleton: Option<&'a Path>,
    isolation: Isolation,
}

impl Builder<'_> {
    /// Keeps the instance's files in memory if views cannot be kept where its
    /// directory is: a view cannot lie over a view, as in most containers.
    fn choose_storage(&mut self, paths: &InstancePaths) -> Result<(), LocalError> {
        let trial = self.target.join(".trial");
        make_directory(&trial, 0o755)?;
        if self.overlay(Path::new("/usr"), &trial, ".trial").is_ok() {
            let _ = umount2(&trial, MntFlags::MNT_DETACH);
        } else {
            let memory = paths.root().join("memory");
            make_directory(&memory, 0o700)?;
            mount_tmpfs(&memory, "mode=700")?;
            self.files = memory.join("files");
            self.work = memory.join("work");
            make_directory(&self.files, 0o700)?;
            make_directory(&self.work, 0o700)?;
        }
        fs::remove_dir(&trial).map_err(LocalError::file("remove", &trial))
    }

    fn top(&self) -> Result<(), LocalError> {
        for (name, mode) in OWN {
            let own = self.files.join(name);
            make_directory(&own, *mode)?;
            let place = self.target.join(name);
            make_directory(&place, *mode)?;
            bind(&own, &place, MsFlags::MS_NODEV)?;
        }
        for name in MADE {
            make_directory(&self.target.join(name), 0o755)?;
        }
        let entries = fs::read_dir("/").map_err(LocalError::file("list", Path::new("/")))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if OWN.iter().any(|(own, _)| *own == text) || MADE.contains(&&*text) {
                continue;
            }
            let source = entry.path();
            let place = self.target.join(&name);
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_symlink() {
                let aim = fs::read_link(&source).map_err(LocalError::file("read", &source))?;
                symlink(&aim, &place).map_err(LocalError::file("make", &place))?;
            } else if kind.is_dir() {
                self.view(&source, &place, &text)?;
            }
        }
        Ok(())
    }

    /// Shows a directory of the machine: copy-on-write, or read-only where that is not possible.
    fn view(&self, source: &Path, place: &Path, name: &str) -> Result<(), LocalError> {
        make_directory(place, 0o755)?;
        if !LOOKED_AT.contains(&name) {
            match self.overlay(source, place, name) {
                Ok(()) => return Ok(()),
                // With more space it could be had: then less is not enough.
                Err(error) if error.lacks_space() => return Err(error),
                Err(_) if self.isolation == Isolation::UserNamespaces => {
                    // The kernel shows an ordinary user no view of a directory in
                    // which others have mounted something, as engines for
                    // containers do below `/var`; it does of what is beside that.
                    let mounts = mounts_below(source);
                    if !mounts.is_empty() {
                        return self.view_in_parts(source, place, name, &mounts);
                    }
                }
                Err(_) => {}
            }
        }
        bind_read_only(source, place);
        Ok(())
    }

    /// Shows a directory part by part, without what is mounted in it. What is
    /// written beside the parts is kept with the instance's other files.
    fn view_in_parts(
        &self,
        source: &Path,
        place: &Path,
        name: &str,
        mounts: &[PathBuf],
    ) -> Result<(), LocalError> {
        let own = self.files.join(name);
        make_directory(&own, 0o755)?;
        bind(&own, place, MsFlags::MS_NODEV)?;
        let entries = fs::read_dir(source).map_err(LocalError::file("read", source))?;
        for entry in entries.flatten().take(PARTS_MAX) {
            let (child, inside) = (entry.path(), place.join(entry.file_name()));
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let part = format!("{name}/{}", entry.file_name().to_string_lossy());
            let is_there = fs::symlink_metadata(&inside);
            if !kind.is_dir() {
                if is_there.is_err() {
                    self.copy_part(&child, &inside, &part);
                }
                continue;
            }
            // The instance may have put something else there in an earlier life.
            if is_there.is_ok_and(|there| !there.is_dir()) {
                continue;
            }
            make_directory(&inside, 0o755)?;
            if mounts.contains(&child) {
                continue;
            }
            if mounts.iter().any(|mount| mount.starts_with(&child)) {
                // Each step is one directory deeper, and paths have an end.
                self.view_in_parts(&child, &inside, &part, mounts)?;
            } else if self.overlay(&child, &inside, &part).is_err() {
                bind_read_only(&child, &inside);
            }
        }
        Ok(())
    }

    /// Gives the instance its own copy of a file or a symbolic link; what cannot
    /// be copied is missing inside, and that is seen there.
    fn copy_part(&self, source: &Path, place: &Path, name: &str) {
        let layer = self.skeleton.map(|skeleton| skeleton.join(name));
        // Files that only the machine's root can read have a stand-in there.
        let source = layer
            .as_deref()
            .filter(|layer| layer.is_file())
            .unwrap_or(source);
        let Ok(metadata) = fs::symlink_metadata(source) else {
            return;
        };
        if metadata.is_symlink() {
            let _ = fs::read_link(source).and_then(|aim| symlink(aim, place));
        } else if metadata.is_file() && metadata.len() <= COPY_BYTES_MAX {
            let _ = fs::copy(source, place);
        }
    }

    fn overlay(&self, source: &Path, place: &Path, name: &str) -> Result<(), LocalError> {
        let upper = self.files.join(name);
        let work = self.work.join(name);
        // A part of a directory has a place below that directory's own.
        for folder in [&upper, &work] {
            if let Some(above) = folder.parent() {
                fs::create_dir_all(above).map_err(LocalError::file("make", above))?;
            }
        }
        make_directory(&upper, 0o755)?;
        make_directory(&work, 0o700)?;
        if let Ok(metadata) = fs::metadata(source) {
            // The view has the mode of the upper directory; the owner matters only to root.
            let _ = fs::set_permissions(
                &upper,
                Permissions::from_mode(metadata.permissions().mode()),
            );
            if self.isolation == Isolation::Namespaces {
                use std::os::unix::fs::MetadataExt;
                let _ =
                    std::os::unix::fs::chown(&upper, Some(metadata.uid()), Some(metadata.gid()));
            }
        }
        let mut lower = escaped(source);
        let layer = self
            .skeleton
            .map(|skeleton| skeleton.join(name))
            .filter(|layer| layer.is_dir());
        // A view cannot have two layers of which one is in the other.
        let copied = match &layer {
            Some(layer) if is_in(layer, source) => Some(self.copy_layer(layer)?),
            _ => None,
        };
        if let Some(layer) = copied.as_ref().or(layer.as_ref()) {
            lower = format!("{}:{lower}", escaped(layer));
        }
        let mut options = format!(
            "lowerdir={lower},upperdir={},workdir={}",
            escaped(&upper),
            escaped(&work)
        );
        if self.isolation == Isolation::UserNamespaces {
            options.push_str(",userxattr");
        }
        // What an instance wrote need not survive a crash of the machine, and
        // installing packages is much faster when nothing waits for the disk.
        for volatile in [",volatile", ""] {
            let all = format!("{options}{volatile}");
            let mounted = mount(
                Some("zenekar"),
                place,
                Some("overlay"),
                MsFlags::MS_NODEV,
                Some(all.as_str()),
            );
            if mounted.is_ok() {
                if let Some(layer) = &copied {
                    // The view keeps what it is made of.
                    let _ = umount2(layer, MntFlags::MNT_DETACH);
                    let _ = fs::remove_dir(layer);
                }
                return Ok(());
            }
            if volatile.is_empty() {
                mounted.map_err(LocalError::system(format!(
                    "mount a view of `{}`",
                    source.display()
                )))?;
            }
        }
        Ok(())
    }

    /// Copies a layer of directories into memory.
    fn copy_layer(&self, layer: &Path) -> Result<PathBuf, LocalError> {
        let copy = self.target.join(".layer");
        make_directory(&copy, 0o700)?;
        mount_tmpfs(&copy, "mode=755")?;
        skeleton::copy(layer, &copy)?;
        Ok(copy)
    }

    /// Shows disks that are mounted below the directories at the top.
    fn nested(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for (number, path) in nested_disks(&mounts)
            .into_iter()
            .take(NESTED_MAX)
            .enumerate()
        {
            let Ok(relative) = path.strip_prefix("/") else {
                continue;
            };
            let place = self.target.join(relative);
            let is_own = relative
                .components()
                .next()
                .is_some_and(|top| OWN.iter().any(|(own, _)| top.as_os_str() == *own));
            if is_own || !place.is_dir() {
                continue;
            }
            // What cannot be shown is missing inside, and that is seen there.
            let _ = self.overlay(&path, &place, &format!(".nested-{number}"));
        }
    }

    fn devices(&self) -> Result<(), LocalError> {
        let devices = self.target.join("dev");
        mount_tmpfs(&devices, "mode=755")?;
        for name in DEVICES {
            let place = devices.join(name);
            File::create(&place).map_err(LocalError::file("make", &place))?;
            bind(&Path::new("/dev").join(name), &place, MsFlags::empty())?;
        }
        for name in ["pts", "shm", "mqueue"] {
            make_directory(&devices.join(name), 0o755)?;
        }
        let terminals = devices.join("pts");
        let mounted = mount(
            Some("devpts"),
            &terminals,
            Some("devpts"),
            MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
            Some("newinstance,ptmxmode=0666,mode=0620"),
        );
        mounted.map_err(LocalError::system("mount terminals"))?;
        mount_tmpfs(&devices.join("shm"), "mode=1777")?;
        for (name, aim) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            let place = devices.join(name);
            symlink(aim, &place).map_err(LocalError::file("make", &place))?;
        }
        Ok(())
    }

    fn kernel(&self) -> Result<(), LocalError> {
        let run = self.target.join("run");
        mount_tmpfs(&run, "mode=755")?;
        make_directory(&run.join("lock"), 0o1777)?;
        let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let processes = self.target.join("proc");
        mount(Some("proc"), &processes, Some("proc"), quiet, None::<&str>)
            .map_err(LocalError::system("mount `/proc`"))?;
        if self.isolation == Isolation::Namespaces {
            protect(&processes)?;
        }
        let system = self.target.join("sys");
        let mounted = mount(
            Some("sysfs"),
            &system,
            Some("sysfs"),
            quiet | MsFlags::MS_RDONLY,
            None::<&str>,
        );
        if mounted.is_err() {
            // Where an own one is not granted, the machine's serves; a user cannot change it anyway.
            let all = MsFlags::MS_BIND | MsFlags::MS_REC;
            let _ = mount(Some("/sys"), &system, None::<&str>, all, None::<&str>);
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | quiet;
            let _ = mount(None::<&str>, &system, None::<&str>, read_only, None::<&str>);
        }
        Ok(())
    }

    /// Hides the files of all instances, which hold secrets of others.
    fn hide(&self, state: &Path) {
        if let Ok(relative) = state.strip_prefix("/") {
            let place = self.target.join(relative);
            if place.is_dir() {
                let _ = mount_tmpfs(&place, "mode=700,size=4k");
            }
        }
    }
}

/// Keeps the machine's settings in `/proc` from an instance whose root is the machine's.
fn protect(processes: &Path) -> Result<(), LocalError> {
    for name in READ_ONLY {
        let path = processes.join(name);
        if path.exists() {
            bind(&path, &path, MsFlags::empty())?;
            let flags = MsFlags::MS_BIND
                | MsFlags::MS_REMOUNT
                | MsFlags::MS_RDONLY
                | MsFlags::MS_NOSUID
                | MsFlags::MS_NODEV
                | MsFlags::MS_NOEXEC;
            mount(None::<&str>, &path, None::<&str>, flags, None::<&str>).map_err(
                LocalError::system(format!("protect `/proc/{name}` of the machine")),
            )?;
        }
    }
    for name in COVERED {
        let path = processes.join(name);
        if path.exists() {
            bind(Path::new("/dev/null"), &path, MsFlags::empty())?;
        }
    }
    Ok(())
}

/// Says whether a path leads into a directory, whatever links it takes.
fn is_in(path: &Path, directory: &Path) -> bool {
    let real = fs::canonicalize(path);
    real.as_deref().unwrap_or(path).starts_with(directory)
}

/// Makes a directory this process's root, and lets go of the old one.
fn enter(target: &Path) -> Result<(), LocalError> {
    std::env::set_current_dir(target).map_err(LocalError::file("enter", target))?;
    // The old root is put over the new one, and then taken off it.
    pivot_root(".", ".").map_err(LocalError::system("change the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(LocalError::system("let go of the old root"))?;
    std::env::set_current_dir("/").map_err(LocalError::file("enter", Path::new("/")))
}

fn mount_tmpfs(place: &Path, options: &str) -> Result<(), LocalError> {
    mount(
        Some("zenekar"),
        place,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options),
    )
    .map_err(LocalError::system(format!(
        "mount memory at `{}`",
        place.display()
    )))
}

fn bind(source: &Path, place: &Path, flags: MsFlags) -> Result<(), LocalError> {
    mount(
        Some(source),
        place,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .map_err(LocalError::system(format!(
        "show `{}` inside",
        source.display()
    )))?;
    if !flags.is_empty() {
        // In a user namespace, flags of the machine's mount may have to stay as they are.
        let _ = mount(
            None::<&str>,
            place,
            None::<&str>,
            MsFlags::MS_BIND | MsFlags::MS_REMOUNT | flags,
            None::<&str>,
        );
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32) -> Result<(), LocalError> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            // The process's mask may have taken bits away.
            fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(LocalError::file("set the mode of", path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LocalError::file("make", path)(error)),
    }
}

/// Writes a path as the options of an overlay need it.
pub(super) fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        if matches!(letter, '\\' | ':' | ',') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Shows a directory of the machine as it is, to be read only.
fn bind_read_only(source: &Path, place: &Path) {
    let all = MsFlags::MS_BIND | MsFlags::MS_REC;
    if mount(Some(source), place, None::<&str>, all, None::<&str>).is_err() {
        // Nobody needs a directory that even root may not look into.
        return;
    }
    let _ = mount(
        None::<&str>,
        place,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NODEV,
        None::<&str>,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_the_kernel_reads_them() {
        assert_eq!(escaped(Path::new("/a:b,c\\d")), "/a\\:b\\,c\\\\d");
    }
}
