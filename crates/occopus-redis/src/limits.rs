//! Every bound on what is read, with the reason for its value.

use std::time::Duration;

use zenekar_document::Limits;

/// Keys of one database that are looked at. An infrastructure has about five
/// and one per node; a database with more is not Occopus's alone.
pub(crate) const KEYS_MAX: usize = 500_000;

/// Keys that one step of a scan asks for: each step holds the server up for
/// well below a millisecond.
pub(crate) const SCAN_COUNT: usize = 1_000;

/// Infrastructures that are read. A desktop has a handful, a service some dozens.
pub(crate) const INFRASTRUCTURES_MAX: usize = 1_000;

/// Instances of one infrastructure. Occopus needs 20 seconds to plan 1,000.
pub(crate) const INSTANCES_MAX: usize = 20_000;

/// Bytes of one stored value. The largest are descriptions, which hold every
/// node several times by reference only, and instances with their user-data.
pub(crate) const VALUE_BYTES_MAX: u64 = 16 << 20;

/// Bytes of all values together: 20,000 instances with 20 KiB of user-data each fit.
pub(crate) const TOTAL_BYTES_MAX: u64 = 512 << 20;

/// Bytes of the name of a key or a field: ids of 64 characters and names of
/// 64 characters make far shorter ones.
pub(crate) const KEY_BYTES_MAX: usize = 1_024;

/// Fields that are asked for in one round trip.
pub(crate) const FIELDS_PER_TRIP: usize = 200;

/// How long the server may take to accept a connection, in an installation
/// that is usually on the same machine.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take for one answer; none of them is large.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Problems that are kept of one infrastructure; nobody reads more.
pub(crate) const PROBLEMS_MAX: usize = 50;

/// Characters of a text from the server that a message quotes.
pub(crate) const QUOTED_CHARS_MAX: usize = 200;

/// Returns the budgets for the text of one value.
pub(crate) fn document_limits() -> Limits {
    Limits {
        bytes_max: usize::try_from(VALUE_BYTES_MAX).unwrap_or(usize::MAX),
        nodes_max: 1_000_000,
        aliases_max: 500_000,
        // A description refers to every node from several places.
        expanded_nodes_max: 5_000_000,
        diagnostics_max: 5,
        ..Limits::default()
    }
}
