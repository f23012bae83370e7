//! How much is taken from nodes, how long they are waited for.

use std::time::Duration;

/// Bytes of a request's body. Scripts report a handful of variables; what is
/// larger is a log that somebody meant well with.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// Variables of one report.
pub const VARIABLES_MAX: usize = 256;

/// Bytes of names: of infrastructures, nodes and tags.
pub const NAME_BYTES_MAX: usize = 256;

/// Processes of one session. A traversal of more has no end.
pub const PROCESSES_MAX: usize = 1_000;

/// Sessions at the same time.
pub const SESSIONS_MAX: usize = 64;

/// Breakpoints whose data are kept, for each process; older ones are forgotten.
pub const BREAKPOINTS_KEPT: usize = 200;

/// Breakpoints of one process. A script that gets here goes around in circles.
pub const BREAKPOINTS_MAX: u32 = 100_000;

/// Notifications that are held at the same time; of more the run is cut off,
/// because forgetting one would make it another run.
pub const NOTIFICATIONS_MAX: usize = 10_000;

/// Events that nobody has taken yet. Whoever steers takes them at every state.
pub const EVENTS_MAX: usize = 10_000;

/// The longest that a request may wait for its answer to change, in
/// milliseconds: below what proxies and clients endure.
pub const WAIT_MS_MAX: u64 = 55_000;

/// States of one execution tree.
pub const TREE_STATES_MAX: usize = 2_000_000;

/// States of a tree that keep what was reported in them: a report has some
/// hundred bytes, of each process.
pub const STATES_WITH_DATA_MAX: usize = 20_000;

/// Steps that the search for the next representative schedule may take.
pub const PLAN_STEPS_MAX: u64 = 50_000_000;

/// Connections at the same time: each held process has one that waits.
pub const CONNECTIONS_MAX: usize = 2_048;

/// How long a client may take to send the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Headers of a request.
pub const HEADERS_MAX: usize = 100;

/// How long requests that are being answered may take when the server ends.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
