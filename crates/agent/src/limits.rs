//! How much user-data may ask for.
//!
//! Clouds take 16 KiB to 64 KiB of user-data. The limits are far above what
//! people write and far below what would hurt the machine.

/// The bytes of user-data as it is given: a hundred times what clouds take.
pub(crate) const USER_DATA_BYTES_MAX: usize = 8 << 20;
/// The bytes of one part after decompression, so that a small archive cannot fill the memory.
pub(crate) const PART_BYTES_MAX: usize = 64 << 20;
/// The bytes of all parts together after decompression.
pub(crate) const PARTS_BYTES_MAX: usize = 128 << 20;
/// The parts of multipart user-data, nested ones included. People use ten.
pub(crate) const PARTS_MAX: usize = 1_000;
/// The levels of archives and parts within each other; each costs a level of recursion.
pub(crate) const NESTING_MAX: usize = 8;
/// The bytes of one file of `write_files` after decompression.
pub(crate) const FILE_BYTES_MAX: usize = 256 << 20;
/// The entries of `write_files`.
pub(crate) const FILES_MAX: usize = 10_000;
/// The steps of one report: every file, package list and script is one.
pub(crate) const STEPS_MAX: usize = 20_000;
/// The bytes of the text of one cloud-config part, which becomes a tree of values.
pub(crate) const CONFIG_BYTES_MAX: usize = 32 << 20;
/// The levels of lists and mappings of a cloud-config; each costs a level of recursion.
pub(crate) const CONFIG_DEPTH_MAX: usize = 64;
/// The values of a cloud-config as written.
pub(crate) const CONFIG_NODES_MAX: usize = 500_000;
/// The aliases of a cloud-config as written.
pub(crate) const CONFIG_ALIASES_MAX: usize = 10_000;
/// The values of a cloud-config after aliases are written out.
pub(crate) const CONFIG_EXPANDED_NODES_MAX: u64 = 1_000_000;
/// The bytes that are given to a command on its standard input: what fits into
/// a pipe, so that writing never waits for a command that does not read.
pub(crate) const INPUT_BYTES_MAX: usize = 60 << 10;
/// The seconds that `apt-get` waits for another package manager, as cloud-init does.
pub(crate) const PACKAGE_LOCK_WAIT_S: u64 = 30;
/// The characters of a subject or message of a step; more is cut.
pub(crate) const LINE_CHARS_MAX: usize = 300;
/// The bytes of a system file that is read to be changed, such as `/etc/hosts`.
pub(crate) const SYSTEM_FILE_BYTES_MAX: u64 = 4 << 20;
