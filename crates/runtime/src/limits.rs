//! Every bound of the runtime, with the reason for its value.

use std::time::Duration;

use zenekar_base::Millis;

/// Entries of one durable step. Larger batches are split in order: calls start
/// after the last part, so only the memory of one transaction is bounded.
pub const APPEND_ENTRIES_MAX: usize = 10_000;

/// Completions that are handled before the next durable step: enough for one
/// flush to cover thousands of answers, few enough for people to see progress.
pub const COMPLETIONS_PER_TURN_MAX: usize = 4_096;

/// Answers that may wait for the session. Tasks with more wait to deliver.
pub const COMPLETIONS_QUEUED_MAX: usize = 8_192;

/// How often the session looks after everything that is not urgent: progress
/// for people, the inbox, the lease.
pub const BEAT_INTERVAL: Duration = Duration::from_millis(100);

/// How often the inbox is polled: a person who scales from another terminal
/// does not notice it, and a poll reads one counter.
pub const INBOX_INTERVAL: Duration = Duration::from_millis(200);

/// How often one who waits for his request to be applied looks.
pub const APPLIED_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a lease lasts without renewal: what others wait when its holder's
/// machine is gone. A dead process on the same machine is noticed at once.
pub const LEASE_TTL: Millis = Millis::from_secs(30);

/// When a lease is renewed: two renewals may fail before it runs out.
pub const LEASE_RENEW_INTERVAL: Duration = Duration::from_secs(10);

/// The age of a renewal from which on no call is started before another one:
/// a process that was stopped for a while may have lost its lease.
pub const LEASE_STALE: Duration = Duration::from_secs(20);

/// How long a cancelled session waits for the answers of calls in flight, so
/// that less is unknown to the next one.
pub const CANCEL_PATIENCE: Duration = Duration::from_secs(2);

/// Jumping time moves in steps of this grid, so that one flush covers all that
/// falls into it: small against the tens of seconds that a machine takes to boot.
pub const JUMP_GRID: Millis = Millis(200);

/// The longest time that a simulated world is caught up with after a pause: a
/// wall clock that was set forward does not make it run for years.
pub const RESUME_GAP_MAX: Duration = Duration::from_hours(24);

/// The longest single wait on a timer; longer waits are made of several.
pub const TIMER_MAX: Duration = Duration::from_hours(24);

/// How many entries per instance and node make a snapshot pay off, besides the
/// store's own minimum: writing one costs about as much as replaying so many.
pub const SNAPSHOT_ENTRIES_PER_SUBJECT: u64 = 4;

/// Entries since the last snapshot from which on one is written at close.
pub const SNAPSHOT_AT_CLOSE_ENTRIES: u64 = 500;

/// Looking for causes that block everything takes time in proportion to the
/// instances, so it is done once per as many inputs, or after this span…
pub const VERDICT_INTERVAL_MIN: Millis = Millis::from_secs(1);

/// …and one millisecond more per so many instances and nodes.
pub const VERDICT_SUBJECTS_PER_MS: u64 = 2;

/// Entries that are read from a journal at once.
pub const READ_ENTRIES_MAX: usize = 10_000;
