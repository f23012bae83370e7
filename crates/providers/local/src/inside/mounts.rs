//! What is mounted on the machine, as `/proc/self/mountinfo` tells it.

use std::fs;
use std::path::{Path, PathBuf};

/// File systems that hold files of the machine, so that an instance gets a view of them.
const DISK_FILE_SYSTEMS: &[&str] = &[
    "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "reiserfs", "xfs", "zfs",
];

/// Returns the mounted disks below the directories at the top, in the order of `mountinfo`.
pub(super) fn nested_disks(mounts: &str) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let kind = right.split(' ').next()?;
            let path = unescaped(left.split(' ').nth(4)?);
            (DISK_FILE_SYSTEMS.contains(&kind) && path != "/" && !path.starts_with("/boot"))
                .then(|| PathBuf::from(path))
        })
        // Those at the top are views of their own already.
        .filter(|path| path.components().count() > 2 && path.is_dir())
        .collect()
}

/// Returns where something is mounted below a directory.
pub(super) fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let paths = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    paths
        .map(|path| PathBuf::from(unescaped(path)))
        .filter(|path| path != directory && path.starts_with(directory))
        .collect()
}

/// Reads the kernel's way to write blanks in paths: `\040`.
fn unescaped(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4);
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            result.push(char::from(byte));
            rest = &rest[at + 4..];
        } else {
            result.push('\\');
            rest = &rest[at + 1..];
        }
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_below_the_top_are_shown() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
             2 1 8:2 / /usr/local rw,relatime shared:1 - ext4 /dev/b rw\n\
             3 1 0:5 / /proc rw - proc proc rw\n\
             4 1 8:3 / /boot/efi rw - vfat /dev/c rw\n\
             garbage\n";
        assert_eq!(nested_disks(mounts), [PathBuf::from("/usr/local")]);
    }

    #[test]
    fn paths_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped("/a\\040b"), "/a b");
        assert_eq!(unescaped("/a\\"), "/a\\");
    }
}
