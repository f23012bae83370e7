//! Every bound of the store, with the reason for its value.

use zenekar_base::Millis;

/// The name of the database in the state directory.
pub const FILE_NAME: &str = "state.db";

/// Bytes of one entry's or request's payload. Entries are small facts; the
/// largest is a whole descriptor, and those are capped at 1 MiB of text.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Bytes of one snapshot: 100,000 instances at 2 KiB each fit, and it stays
/// below what one database value can hold.
pub const SNAPSHOT_BYTES_MAX: usize = 512 << 20;

/// Bytes of an id, a name, a kind or an outcome: they are printed on one line.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Entries of one call to append: one transaction has to fit in memory and in the log.
pub const BATCH_ENTRIES_MAX: usize = 100_000;

/// Requests that may wait in one inbox. They come from people and scripts, so
/// more than this means that nobody is serving them.
pub const REQUESTS_PENDING_MAX: usize = 200;

/// Snapshots kept per infrastructure: the newest, and one to fall back on.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Entries after which a new snapshot pays off: replaying this many takes a
/// few milliseconds, writing a snapshot of a large infrastructure takes longer.
pub const SNAPSHOT_DUE_ENTRIES: u64 = 5_000;

/// How long a call waits for another process's transaction. Transactions take
/// milliseconds; a disk that stalls for longer is worth an error.
pub const BUSY_TIMEOUT: Millis = Millis::from_secs(5);

/// The longest time to live of a lease: what a takeover may have to wait for
/// when the holder sits on another host.
pub const LEASE_TTL_MAX: Millis = Millis::from_secs(600);

/// Bytes that the log may keep on disk after it was copied into the database.
pub const LOG_BYTES_KEPT: u32 = 8 << 20;

/// Bytes of one line of an export: a snapshot whose every byte needs an escape
/// of six characters would be larger, but text of that kind does not occur.
pub const EXPORT_LINE_BYTES_MAX: u64 = 2 * SNAPSHOT_BYTES_MAX as u64;

/// Requests in a row that an import accepts as lost: more than one damaged
/// page can hold, few enough to be written down one by one.
pub(crate) const LOST_REQUESTS_MAX: u64 = 1_000;

/// Problems that one check lists per infrastructure; a broken disk has millions.
pub const PROBLEMS_LISTED_MAX: usize = 100;

/// Statements kept prepared: all that this crate has.
pub(crate) const STATEMENTS_CACHED: usize = 64;

/// Log frames that are looked at when a store is opened. A log is copied back
/// after 1,000 pages, so a longer one comes from a reader that held it open.
pub(crate) const LOG_FRAMES_SCANNED_MAX: u64 = 100_000;
