//! The durable journal: append-only, checksummed, leased, on one `SQLite` file.
//!
//! A [`Store`] keeps, for each infrastructure, a journal of entries, the last
//! snapshots of the state that they add up to, the lease of the process that
//! may write them, and an inbox of requests from other processes. Payloads are
//! bytes with a kind and a version: what they mean is the runtime's business.
//!
//! What holds, whatever happens to the process or the machine:
//! - An acknowledged write is on disk (`synchronous=FULL`); a call is one
//!   transaction and so one flush, however many entries it carries.
//! - Every row carries a checksum and the entries form a chain per
//!   infrastructure: a changed, missing, added or reordered row is reported,
//!   never read.
//! - Only the holder of the lease writes: each write checks the fence of the
//!   lease in its own transaction.
//! - Nothing is dropped silently: a repair moves rows into quarantine and says
//!   which.
//!
//! What cannot be told from the file: a store that was replaced by an older
//! copy of itself, and a write-ahead log that was removed or cut off between
//! two transactions while no process had it open.
//!
//! Architecture invariant: this crate knows no engine type, reads no clock and
//! starts no thread; all calls block.

mod account;
mod check;
mod checksum;
mod directory;
mod error;
mod export;
mod import;
mod inbox;
mod infrastructure;
mod journal;
mod lease;
pub mod limits;
mod open;
mod origin;
mod repair;
mod salvage;
mod schema;
mod session;
mod snapshot;
mod store;
mod survey;
mod twice;
mod wal;

pub use check::{InfrastructureReport, Report};
pub use directory::{DirectoryLookups, default_directory};
pub use error::StoreError;
pub use export::{ExportMode, Exported};
pub use import::Imported;
pub use inbox::{Applied, RequestRow, Submitted};
pub use infrastructure::InfrastructureRow;
pub use journal::{Damage, Entry, Loaded, StoredEntry};
pub use lease::{HolderInfo, Lease};
pub use repair::{Loss, Repaired};
pub use salvage::Salvaged;
pub use snapshot::Snapshot;
pub use store::{Access, Store, StoreOptions};
