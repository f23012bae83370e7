//! Repairs: what is damaged goes into quarantine, and the rest works again.
//!
//! The rules, from harmless to serious:
//! 1. Damaged entries that an intact snapshot covers become a gap: history is
//!    lost, the state is not.
//! 2. Other damaged entries end the journal before them: the state goes back
//!    to the last entry that can be used, and reconciliation with the
//!    providers has to find what happened since.
//! 3. A damaged snapshot is dropped for the one before it or for the journal.
//! 4. A damaged request leaves a place that is marked as lost.
//! 5. A damaged lease is replaced by a free one that fences all former holders off.
//! 6. An origin of which one copy is intact is kept; else it is drawn again.
//!    Likewise a list of accounts, which else begins empty.
//! 7. The record of an infrastructure is computed again from its entries,
//!    provided that they confirm its id.
//!
//! Everything that is taken out is kept in the table `quarantine`.

use rusqlite::params;
use zenekar_base::{InfrastructureId, Timestamp};

use crate::account::{self, ACCOUNTS};
use crate::check::examine;
use crate::error::StoreError;
use crate::inbox::{self, RequestRow};
use crate::infrastructure::{Meta, Record, genesis};
use crate::journal::{Position, chain_at, walk};
use crate::lease::{self, HolderInfo};
use crate::origin::{self, ORIGINS};
use crate::session::{Session, count, number};
use crate::snapshot;
use crate::store::Store;
use crate::survey::{gap_text, survey};
use crate::twice::Damage;

/// Something that a repair took out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Of which infrastructure.
    pub infrastructure: InfrastructureId,
    /// What was lost and why, in one line.
    pub what: String,
    /// How many rows are in quarantine because of it.
    pub quarantined: u64,
    /// Whether the state itself went back, and not only history was lost.
    pub is_state_affected: bool,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What was lost; empty if nothing was damaged.
    pub losses: Vec<Loss>,
}

/// A repair on its way.
struct Repair<'a> {
    session: Session<'a>,
    now: Timestamp,
    losses: Vec<Loss>,
}

impl Store {
    /// Takes out what is damaged, so that the rest can be used, and reports
    /// every loss. Fails, changing nothing, when a living process works on a
    /// damaged infrastructure or when the database file itself is broken;
    /// then [`Store::salvage_into`] copies what is left.
    pub fn repair(
        &mut self,
        viewer: &HolderInfo,
        now: Timestamp,
        is_alive: &dyn Fn(&HolderInfo) -> bool,
    ) -> Result<Repaired, StoreError> {
        self.write_with("repair the state", |session| {
            let mut repair = Repair {
                session,
                now,
                losses: Vec::new(),
            };
            repair.records()?;
            for record in Record::all(session)? {
                let losses_before = repair.losses.len();
                repair.lease(&record)?;
                repair.origin(&record)?;
                repair.accounts(&record)?;
                repair.snapshots(&record)?;
                let mut record = record;
                repair.entries(&mut record)?;
                repair.requests(&record)?;
                if repair.losses.len() > losses_before {
                    lease::seize(session, &record, viewer, now, is_alive)?;
                }
            }
            // Rows that a broken tree hides cannot be moved; then nothing is.
            if let Some(problem) = examine(session)?.all_problems().into_iter().next() {
                return Err(session.corrupt(format!(
                    "{problem}; it cannot be repaired in place, only salvaged into a new state directory"
                )));
            }
            Ok(Repaired {
                losses: repair.losses,
            })
        })
    }
}

const MOVE_ENTRIES: &str = "INSERT INTO quarantine (infrastructure, origin, sequence, moved_at_ms, reason, row_json, payload)
    SELECT infrastructure, 'journal', sequence, ?4, ?5,
           json_object('at_ms', at_ms, 'kind', kind, 'version', version, 'checksum', hex(checksum)), payload
    FROM journal WHERE infrastructure = ?1 AND sequence BETWEEN ?2 AND ?3";
const MOVE_SNAPSHOT: &str = "INSERT INTO quarantine (infrastructure, origin, sequence, moved_at_ms, reason, row_json, payload)
    SELECT infrastructure, 'snapshots', sequence, ?3, ?4,
           json_object('version', version, 'chain_checksum', hex(chain_checksum), 'checksum', hex(checksum)), payload
    FROM snapshots WHERE infrastructure = ?1 AND sequence = ?2";
const MOVE_REQUEST: &str = "INSERT INTO quarantine (infrastructure, origin, sequence, moved_at_ms, reason, row_json, payload)
    SELECT infrastructure, 'requests', number, ?3, ?4,
           json_object('request_id', request_id, 'kind', kind, 'submitted_at_ms', submitted_at_ms,
                       'applied_at_ms', applied_at_ms, 'outcome', outcome, 'checksum', hex(checksum)), payload
    FROM requests WHERE infrastructure = ?1 AND number = ?2";

impl Repair<'_> {
    fn lose(&mut self, record: &Record, what: String, quarantined: usize, is_state_affected: bool) {
        self.losses.push(Loss {
            infrastructure: record.id(),
            what,
            quarantined: quarantined as u64,
            is_state_affected,
        });
    }

    fn maximum(&self, sql: &'static str, record: &Record) -> Result<i64, StoreError> {
        let session = self.session;
        let maximum: Option<i64> = session
            .prepare(sql)?
            .query_row([record.number], |row| row.get(0))
            .map_err(|source| session.failed(source))?;
        Ok(maximum.unwrap_or(0))
    }

    /// Computes damaged records again, and the count of all.
    fn records(&mut self) -> Result<(), StoreError> {
        let (records, problems) = Record::all_readable(self.session)?;
        if problems.is_empty() {
            return Ok(());
        }
        for (record, is_intact) in &records {
            if !is_intact {
                self.record(record)?;
            }
        }
        let found = number(records.len() as u64);
        let highest = records
            .iter()
            .map(|(record, _)| record.number)
            .max()
            .unwrap_or(0);
        let meta = Meta::read(self.session)?;
        if let Some(meta) = meta
            && meta.infrastructure_count > found
        {
            return Err(self.session.corrupt(format!(
                "{} infrastructures are missing and cannot be made up; export the others and start a new state directory",
                meta.infrastructure_count - found
            )));
        }
        let next_number = meta.map_or(highest + 1, |meta| meta.next_number.max(highest + 1));
        Meta {
            infrastructure_count: found,
            next_number,
        }
        .write(self.session)
    }

    fn record(&mut self, damaged: &Record) -> Result<(), StoreError> {
        let session = self.session;
        let mut record = damaged.clone();
        record.last_sequence = self.maximum(
            "SELECT max(sequence) FROM journal WHERE infrastructure = ?1",
            damaged,
        )?;
        record.request_count = self.maximum(
            "SELECT max(number) FROM requests WHERE infrastructure = ?1",
            damaged,
        )?;
        let Some(start) = self.confirmed_start(&record)? else {
            return Err(session.corrupt(format!(
                "the record of infrastructure `{}` has changed, and nothing confirms its id; export the others and start a new state directory",
                damaged.id
            )));
        };
        record.first_sequence = start.next;
        record.base = start.previous;
        record.last_sequence = record.last_sequence.max(start.next - 1);
        record.head = chain_at(session, &record, record.last_sequence)?.unwrap_or(start.previous);
        record.write(session)?;
        let last = record.last_sequence;
        let what = format!(
            "its record had changed: name and dates are unconfirmed, and entries after {last}, if there were any, are lost"
        );
        self.lose(&record, what, 0, true);
        Ok(())
    }

    /// Finds a place where the journal starts such that its first entry, or a
    /// snapshot, confirms the id of the infrastructure.
    fn confirmed_start(&self, record: &Record) -> Result<Option<Position>, StoreError> {
        let leads_on = |start: Position| {
            let walked = walk(self.session, record, start, 1, &mut |_, _| Ok(()));
            walked.map(|walked| walked.position.next > start.next)
        };
        let beginning = Position {
            next: 1,
            previous: genesis(&record.id),
        };
        if leads_on(beginning)? {
            return Ok(Some(beginning));
        }
        let Some((snapshot, chain)) = snapshot::newest_intact(self.session, record)?.content else {
            return Ok(None);
        };
        let recorded = Position {
            next: record.first_sequence,
            previous: record.base,
        };
        let behind_snapshot = Position {
            next: number(snapshot.sequence) + 1,
            previous: chain,
        };
        Ok(Some(if leads_on(recorded)? {
            recorded
        } else {
            behind_snapshot
        }))
    }

    fn lease(&mut self, record: &Record) -> Result<(), StoreError> {
        if lease::repair(self.session, record)? {
            self.lose(
                record,
                "its lease had changed: whoever held it is fenced off".to_owned(),
                0,
                false,
            );
        }
        Ok(())
    }

    fn origin(&mut self, record: &Record) -> Result<(), StoreError> {
        let Some(damage) = origin::repair(self.session, record)? else {
            return Ok(());
        };
        let consequence = match damage {
            Damage::Half => "the other copy is kept",
            Damage::Full => {
                "it has a new one, so that what it has at clouds that others use too is no longer recognised"
            }
        };
        let what = format!("{}: {consequence}", ORIGINS.text(damage));
        self.lose(record, what, 0, damage == Damage::Full);
        Ok(())
    }

    fn accounts(&mut self, record: &Record) -> Result<(), StoreError> {
        let Some(damage) = account::repair(self.session, record)? else {
            return Ok(());
        };
        let consequence = match damage {
            Damage::Half => "the other copy is kept",
            Damage::Full => {
                "the accounts in which something of it is seen next are taken for its own; use the right credentials"
            }
        };
        let what = format!("{}: {consequence}", ACCOUNTS.text(damage));
        self.lose(record, what, 0, damage == Damage::Full);
        Ok(())
    }

    fn snapshots(&mut self, record: &Record) -> Result<(), StoreError> {
        for found in snapshot::all(self.session, record)? {
            if let Err(why) = found.content {
                let moved = self.session.execute(
                    MOVE_SNAPSHOT,
                    params![record.number, found.sequence, self.now.0, why],
                )?;
                self.session.execute(
                    "DELETE FROM snapshots WHERE infrastructure = ?1 AND sequence = ?2",
                    [record.number, found.sequence],
                )?;
                self.lose(
                    record,
                    format!("snapshot {}: {why}", found.sequence),
                    moved,
                    false,
                );
            }
        }
        Ok(())
    }

    fn move_entries(
        &self,
        record: &Record,
        from: i64,
        to: i64,
        why: &str,
    ) -> Result<usize, StoreError> {
        let moved = self.session.execute(
            MOVE_ENTRIES,
            params![record.number, from, to, self.now.0, why],
        )?;
        self.session.execute(
            "DELETE FROM journal WHERE infrastructure = ?1 AND sequence BETWEEN ?2 AND ?3",
            [record.number, from, to],
        )?;
        self.session.execute(
            "DELETE FROM gaps WHERE infrastructure = ?1 AND from_sequence BETWEEN ?2 AND ?3",
            [record.number, from, to],
        )?;
        Ok(moved)
    }

    fn entries(&mut self, record: &mut Record) -> Result<(), StoreError> {
        let snapshots = snapshot::all(self.session, record)?;
        let found = survey(self.session, record, &snapshots, &mut |_| Ok(()))?;
        for (gap, damage) in &found.new_gaps {
            let moved = self.move_entries(record, gap.from, gap.to, &damage.why)?;
            gap.write(self.session, record)?;
            self.lose(record, gap_text(gap, &damage.why), moved, false);
        }
        if let Some(damage) = found.cut {
            let end = found.end.next - 1;
            let lost_through = record.last_sequence;
            let moved = self.move_entries(record, found.end.next, i64::MAX, &damage.why)?;
            record.last_sequence = end;
            record.head = found.end.previous;
            record.write(self.session)?;
            let what = format!(
                "entries {} to {lost_through}: {}; the state goes back to entry {end}",
                count(end) + 1,
                damage.why
            );
            self.lose(record, what, moved, true);
        }
        Ok(())
    }

    fn requests(&mut self, record: &Record) -> Result<(), StoreError> {
        for (place, slot) in inbox::slots(self.session, record, 0)? {
            let Err(why) = slot else { continue };
            let moved = self.session.execute(
                MOVE_REQUEST,
                params![record.number, number(place), self.now.0, why],
            )?;
            if place <= count(record.request_count) {
                RequestRow::lost(place, self.now).write(self.session, record)?;
            } else {
                self.session.execute(
                    "DELETE FROM requests WHERE infrastructure = ?1 AND number = ?2",
                    [record.number, number(place)],
                )?;
            }
            self.lose(
                record,
                format!("request {place}: {why}; whether it was applied is unknown"),
                moved,
                false,
            );
        }
        Ok(())
    }
}
