//! Who may write an infrastructure: at most one process, told by a fence.

use std::fs;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use zenekar_base::{InfrastructureId, Millis, Timestamp};

use crate::checksum::{Checksum, Summer};
use crate::error::StoreError;
use crate::infrastructure::{Record, check_text};
use crate::limits::LEASE_TTL_MAX;
use crate::session::{Session, count, number};
use crate::store::Store;

/// The process that holds a lease, named so that its death can be noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderInfo {
    /// Its process id.
    pub pid: u32,
    /// The id of the boot of its machine: another boot means that it is dead.
    pub boot_id: String,
    /// When it started, in the kernel's own unit: tells it from a later
    /// process with the same id. Zero where the kernel does not say.
    pub start_time: u64,
    /// The name of its machine.
    pub host: String,
    /// What it does, for people: the command line.
    pub command: String,
}

impl HolderInfo {
    /// Describes the calling process. What the kernel does not say stays empty.
    pub fn this_process(command: impl Into<String>) -> Self {
        let line = |path: &str| {
            fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .unwrap_or_default()
        };
        let pid = std::process::id();
        Self {
            pid,
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            start_time: start_time(pid).unwrap_or(0),
            host: line("/proc/sys/kernel/hostname"),
            command: command.into(),
        }
    }

    /// Returns whether the process lives on this machine, as the kernel says.
    /// Meant for a holder of the same host and boot; true when in doubt.
    pub fn is_alive_here(&self) -> bool {
        if self.start_time == 0 || !fs::exists("/proc/self/stat").unwrap_or(false) {
            return true;
        }
        start_time(self.pid) == Some(self.start_time)
    }

    /// Returns whether the process is dead beyond doubt, seen from `viewer`.
    fn is_dead(&self, viewer: &Self, is_alive: &dyn Fn(&Self) -> bool) -> bool {
        let is_same_host = self.host == viewer.host && !self.host.is_empty();
        is_same_host && (self.boot_id != viewer.boot_id || !is_alive(self))
    }
}

/// Reads when a process started; `None` if there is no living one.
fn start_time(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may itself hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let is_over = matches!(fields.next()?, "Z" | "X" | "x");
    // The state is field 3, the start time field 22.
    let started = fields.nth(18)?.parse().ok()?;
    (!is_over).then_some(started)
}

/// The right to write one infrastructure, until somebody takes it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    infrastructure: InfrastructureId,
    number: i64,
    fence: u64,
}

impl Lease {
    /// Returns whose lease it is.
    pub fn infrastructure(&self) -> &InfrastructureId {
        &self.infrastructure
    }

    /// Returns the fence: higher than that of every earlier holder.
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

#[derive(Clone, Debug)]
struct LeaseRecord {
    infrastructure: i64,
    fence: i64,
    holder: Option<HolderInfo>,
    renewed_at_ms: i64,
    ttl_ms: i64,
}

impl LeaseRecord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<(Self, bool)> {
        let pid: Option<u32> = row.get(2)?;
        let (boot_id, start_time, host, command) =
            (row.get(3)?, row.get::<_, i64>(4)?, row.get(5)?, row.get(6)?);
        let record = Self {
            infrastructure: row.get(0)?,
            fence: row.get(1)?,
            holder: pid.map(|pid| HolderInfo {
                pid,
                boot_id,
                start_time: count(start_time),
                host,
                command,
            }),
            renewed_at_ms: row.get(7)?,
            ttl_ms: row.get(8)?,
        };
        let intact = record.checksum() == row.get(9)?;
        Ok((record, intact))
    }

    fn checksum(&self) -> Checksum {
        let mut summer = Summer::new("lease");
        summer
            .number(self.infrastructure)
            .number(self.fence)
            .number(self.renewed_at_ms)
            .number(self.ttl_ms);
        if let Some(holder) = &self.holder {
            summer
                .number(i64::from(holder.pid))
                .text(&holder.boot_id)
                .number(number(holder.start_time));
            summer.text(&holder.host).text(&holder.command);
        }
        summer.finish()
    }

    fn get(session: Session<'_>, record: &Record) -> Result<Self, StoreError> {
        let found = session
            .prepare(
                "SELECT infrastructure, fence, pid, boot_id, start_time, host, command, renewed_at_ms, ttl_ms, checksum
                 FROM leases WHERE infrastructure = ?1",
            )?
            .query_row([record.number], Self::from_row)
            .optional()
            .map_err(|source| session.failed(source))?;
        match found {
            Some((lease, true)) if lease.infrastructure == record.number => Ok(lease),
            _ => Err(session.corrupt(format!(
                "the lease of infrastructure `{}` has changed",
                record.id
            ))),
        }
    }

    fn write(&self, session: Session<'_>) -> Result<(), StoreError> {
        let holder = self.holder.as_ref();
        let text = |text: fn(&HolderInfo) -> &str| holder.map_or("", text);
        session.execute(
            "INSERT INTO leases (infrastructure, fence, pid, boot_id, start_time, host, command, renewed_at_ms, ttl_ms, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (infrastructure) DO UPDATE SET fence = ?2, pid = ?3, boot_id = ?4, start_time = ?5, host = ?6, command = ?7,
             renewed_at_ms = ?8, ttl_ms = ?9, checksum = ?10",
            params![
                self.infrastructure,
                self.fence,
                holder.map(|holder| holder.pid),
                text(|holder| &holder.boot_id),
                holder.map_or(0, |holder| number(holder.start_time)),
                text(|holder| &holder.host),
                text(|holder| &holder.command),
                self.renewed_at_ms,
                self.ttl_ms,
                self.checksum()
            ],
        )?;
        Ok(())
    }

    fn refuse_if_held(
        &self,
        record: &Record,
        viewer: &HolderInfo,
        now: Timestamp,
        is_alive: &dyn Fn(&HolderInfo) -> bool,
    ) -> Result<(), StoreError> {
        match &self.holder {
            Some(holder) if !self.has_run_out(now) && !holder.is_dead(viewer, is_alive) => {
                Err(StoreError::LeaseHeld {
                    infrastructure: record.id(),
                    holder: Box::new(holder.clone()),
                    expires_at: Timestamp(self.renewed_at_ms.saturating_add(self.ttl_ms)),
                })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the lease has run out. A renewal that lies further
    /// ahead than one time to live comes from a clock that was set back since:
    /// believing it would extend the lease by as much as the clock jumped.
    fn has_run_out(&self, now: Timestamp) -> bool {
        let age = now.0.saturating_sub(self.renewed_at_ms);
        age >= self.ttl_ms || age < -self.ttl_ms
    }
}

/// Adds the lease of a new infrastructure, which nobody holds.
pub(crate) fn insert_free(session: Session<'_>, infrastructure: i64) -> Result<(), StoreError> {
    LeaseRecord {
        infrastructure,
        fence: 0,
        holder: None,
        renewed_at_ms: 0,
        ttl_ms: 0,
    }
    .write(session)
}

/// Replaces a damaged lease by a free one whose fence nobody has seen yet.
pub(crate) fn repair(session: Session<'_>, record: &Record) -> Result<bool, StoreError> {
    match LeaseRecord::get(session, record) {
        Ok(_) => Ok(false),
        Err(StoreError::Corrupt { .. }) => {
            // The old fence is unknown. Fences count takeovers, so a leap of
            // 2^32 is above all that were ever given.
            let leap = 1 << 32;
            let lease = LeaseRecord {
                infrastructure: record.number,
                fence: leap,
                holder: None,
                renewed_at_ms: 0,
                ttl_ms: 0,
            };
            lease.write(session)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Ends the lease of a dead holder, or fails if it lives. The higher fence
/// keeps whoever held it from writing on.
pub(crate) fn seize(
    session: Session<'_>,
    record: &Record,
    viewer: &HolderInfo,
    now: Timestamp,
    is_alive: &dyn Fn(&HolderInfo) -> bool,
) -> Result<(), StoreError> {
    let mut lease = LeaseRecord::get(session, record)?;
    lease.refuse_if_held(record, viewer, now, is_alive)?;
    lease.fence += 1;
    lease.holder = None;
    lease.write(session)
}

/// Says what is wrong with the lease of an infrastructure.
pub(crate) fn problem(session: Session<'_>, record: &Record) -> Result<Option<String>, StoreError> {
    match LeaseRecord::get(session, record) {
        Ok(_) => Ok(None),
        Err(StoreError::Corrupt { what, .. }) => Ok(Some(what)),
        Err(error) => Err(error),
    }
}

/// Confirms that `lease` is the valid one, within the transaction that relies on it.
pub(crate) fn check_fence(session: Session<'_>, lease: &Lease) -> Result<Record, StoreError> {
    let record = Record::get(session, &lease.infrastructure)?;
    let current = LeaseRecord::get(session, &record)?;
    let is_ours = record.number == lease.number
        && count(current.fence) == lease.fence
        && current.holder.is_some();
    if !is_ours {
        let infrastructure = lease.infrastructure.clone();
        return Err(StoreError::Fenced {
            infrastructure,
            ours: lease.fence,
            current: count(current.fence),
        });
    }
    Ok(record)
}

impl Store {
    /// Takes the lease of an infrastructure for `holder`.
    ///
    /// A lease that is held can be taken over at once when its holder is dead
    /// (on this machine, as `is_alive` says, or before its last boot) or when
    /// it has run out. The former holder is then fenced off: all it still
    /// tries to write fails with [`StoreError::Fenced`].
    pub fn acquire(
        &mut self,
        infrastructure: &InfrastructureId,
        holder: &HolderInfo,
        now: Timestamp,
        ttl: Millis,
        is_alive: &dyn Fn(&HolderInfo) -> bool,
    ) -> Result<Lease, StoreError> {
        for text in [&holder.boot_id, &holder.host, &holder.command] {
            check_text("the description of a lease holder", text)?;
        }
        let ttl_ms = number(ttl.min(LEASE_TTL_MAX).0);
        self.write_with("take the lease", |session| {
            let record = Record::get(session, infrastructure)?;
            let mut lease = LeaseRecord::get(session, &record)?;
            lease.refuse_if_held(&record, holder, now, is_alive)?;
            lease.fence += 1;
            lease.holder = Some(holder.clone());
            lease.renewed_at_ms = now.0;
            lease.ttl_ms = ttl_ms;
            lease.write(session)?;
            Ok(Lease {
                infrastructure: infrastructure.clone(),
                number: record.number,
                fence: count(lease.fence),
            })
        })
    }

    /// Renews a lease, so that it runs for its time to live from `now`.
    pub fn renew(&mut self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        self.write_with("renew the lease", |session| {
            let record = check_fence(session, lease)?;
            let mut current = LeaseRecord::get(session, &record)?;
            current.renewed_at_ms = now.0;
            current.write(session)
        })
    }

    /// Gives a lease back.
    pub fn release(&mut self, lease: Lease) -> Result<(), StoreError> {
        self.write_with("give back the lease", |session| {
            let record = check_fence(session, &lease)?;
            let mut current = LeaseRecord::get(session, &record)?;
            current.holder = None;
            current.write(session)
        })
    }

    /// Returns who holds the lease of an infrastructure; nobody if it is free
    /// or has run out.
    pub fn holder(
        &self,
        infrastructure: &InfrastructureId,
        now: Timestamp,
    ) -> Result<Option<HolderInfo>, StoreError> {
        self.read_with("look up the lease", |session| {
            let record = Record::get(session, infrastructure)?;
            let lease = LeaseRecord::get(session, &record)?;
            let has_run_out = lease.has_run_out(now);
            Ok(lease.holder.filter(|_| !has_run_out))
        })
    }
}
