//! The inbox: how one process asks the one that holds the lease.

use rusqlite::{Row, params};
use zenekar_base::{InfrastructureId, RequestId, Timestamp};

use crate::checksum::{Checksum, Summer};
use crate::error::{StoreError, damage};
use crate::infrastructure::{Record, check_text};
use crate::lease::{Lease, check_fence};
use crate::limits::{PAYLOAD_BYTES_MAX, REQUESTS_PENDING_MAX};
use crate::session::{Session, count, number};
use crate::store::Store;

/// A request in the inbox of an infrastructure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// Its place in the inbox, counted from one.
    pub number: u64,
    /// Its id, by which it is stored and applied exactly once.
    pub id: RequestId,
    /// What it asks for, in the words of the writer.
    pub kind: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When it was applied, if it was.
    pub applied_at: Option<Timestamp>,
    /// What came of it; empty until it is applied.
    pub outcome: String,
}

/// What submitting a request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The place of the request in the inbox.
    pub number: u64,
    /// Whether the request is new; false if it was submitted before.
    pub is_new: bool,
}

/// A request that was applied, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<'a> {
    /// The place of the request in the inbox.
    pub number: u64,
    /// What came of it, for the one who asked.
    pub outcome: &'a str,
}

impl RequestRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<(Self, Checksum)> {
        let request = Self {
            number: count(row.get(0)?),
            id: RequestId::new(row.get::<_, String>(1)?),
            kind: row.get(2)?,
            payload: row.get(3)?,
            submitted_at: Timestamp(row.get(4)?),
            applied_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
            outcome: row.get(6)?,
        };
        Ok((request, row.get(7)?))
    }

    /// Makes the mark for a request that was lost to damage; nobody applies it again.
    pub(crate) fn lost(number: u64, now: Timestamp) -> Self {
        Self {
            number,
            id: RequestId::new(format!("lost-{number}")),
            kind: "lost".to_owned(),
            payload: Vec::new(),
            submitted_at: now,
            applied_at: Some(now),
            outcome: "lost to damage of the store".to_owned(),
        }
    }

    fn checksum(&self, record: &Record) -> Checksum {
        Summer::new("request")
            .text(&record.id)
            .number(number(self.number))
            .text(self.id.as_str())
            .text(&self.kind)
            .bytes(&self.payload)
            .number(self.submitted_at.0)
            .optional(self.applied_at.map(|at| at.0))
            .text(&self.outcome)
            .finish()
    }

    pub(crate) fn write(&self, session: Session<'_>, record: &Record) -> Result<(), StoreError> {
        session.execute(
            "INSERT OR REPLACE INTO requests
             (infrastructure, number, request_id, kind, payload, submitted_at_ms, applied_at_ms, outcome, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                record.number,
                number(self.number),
                self.id.as_str(),
                self.kind,
                self.payload,
                self.submitted_at.0,
                self.applied_at.map(|at| at.0),
                self.outcome,
                self.checksum(record)
            ],
        )?;
        Ok(())
    }
}

/// A request's place and the request, or what is wrong with it.
pub(crate) type Slot = (u64, Result<RequestRow, String>);

/// Returns every place of the inbox after `after`, whatever is in it.
pub(crate) fn slots(
    session: Session<'_>,
    record: &Record,
    after: u64,
) -> Result<Vec<Slot>, StoreError> {
    let mut statement = session.prepare(
        "SELECT number, request_id, kind, payload, submitted_at_ms, applied_at_ms, outcome, checksum FROM requests
         WHERE infrastructure = ?1 AND number > ?2 ORDER BY number",
    )?;
    let mut rows = statement
        .query([record.number, number(after)])
        .map_err(|source| session.failed(source))?;
    let mut slots: Vec<Slot> = Vec::new();
    let mut next = after.saturating_add(1);
    let end = count(record.request_count);
    let missing = |from: u64, to: u64| (from..to).map(|number| (number, Err("missing".to_owned())));
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => match damage(&error) {
                Some(why) => {
                    slots.push((next, Err(why)));
                    return Ok(slots);
                }
                None => return Err(session.failed(error)),
            },
        };
        let place = row.get::<_, i64>(0).map_or(next, count);
        slots.extend(missing(next, place.min(end + 1)));
        slots.push((
            place,
            match RequestRow::from_row(row) {
                Ok((request, checksum))
                    if request.checksum(record) == checksum && request.number <= end =>
                {
                    Ok(request)
                }
                Ok(_) => Err("its checksum does not fit its content".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        ));
        next = place.saturating_add(1);
    }
    slots.extend(missing(next, end + 1));
    Ok(slots)
}

/// Returns the requests after `after`; fails if one is not intact.
fn intact(
    session: Session<'_>,
    record: &Record,
    after: u64,
) -> Result<Vec<RequestRow>, StoreError> {
    slots(session, record, after)?
        .into_iter()
        .map(|(place, slot)| {
            slot.map_err(|why| {
                session.corrupt(format!(
                    "request {place} of infrastructure `{}`: {why}",
                    record.id
                ))
            })
        })
        .collect()
}

/// Marks requests as applied; a request that was applied before keeps its first outcome.
pub(crate) fn apply(
    session: Session<'_>,
    record: &Record,
    applied: &[Applied<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    for one in applied {
        check_text("the outcome of a request", one.outcome)?;
        let unknown = || StoreError::UnknownRequest {
            infrastructure: record.id(),
            number: one.number,
        };
        if one.number == 0 || one.number > count(record.request_count) {
            return Err(unknown());
        }
        let mut request = intact(session, record, one.number - 1)?
            .into_iter()
            .next()
            .ok_or_else(unknown)?;
        if request.applied_at.is_none() {
            request.applied_at = Some(now);
            one.outcome.clone_into(&mut request.outcome);
            request.write(session, record)?;
        }
    }
    Ok(())
}

/// Adds a request that is not there yet.
pub(crate) fn insert(
    session: Session<'_>,
    record: &mut Record,
    mut request: RequestRow,
) -> Result<u64, StoreError> {
    record.request_count += 1;
    request.number = count(record.request_count);
    request.write(session, record)?;
    Ok(request.number)
}

impl Store {
    /// Puts a request into the inbox of an infrastructure. Needs no lease.
    /// Submitting the same request again changes nothing.
    pub fn submit_request(
        &mut self,
        infrastructure: &InfrastructureId,
        id: &RequestId,
        kind: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Submitted, StoreError> {
        check_text("the id of a request", id.as_str())?;
        check_text("the kind of a request", kind)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "the payload of a request",
                size: payload.len(),
                limit: PAYLOAD_BYTES_MAX,
            });
        }
        self.write_with("submit a request", |session| {
            let mut record = Record::get(session, infrastructure)?;
            let requests = intact(session, &record, 0)?;
            if let Some(known) = requests.iter().find(|request| request.id == *id) {
                if known.kind != kind || known.payload != payload {
                    return Err(StoreError::RequestConflict {
                        infrastructure: infrastructure.clone(),
                        request: id.clone(),
                    });
                }
                return Ok(Submitted {
                    number: known.number,
                    is_new: false,
                });
            }
            let pending = requests
                .iter()
                .filter(|request| request.applied_at.is_none())
                .count();
            if pending >= REQUESTS_PENDING_MAX {
                return Err(StoreError::InboxFull {
                    infrastructure: infrastructure.clone(),
                    pending,
                });
            }
            let request = RequestRow {
                number: 0,
                id: id.clone(),
                kind: kind.to_owned(),
                payload: payload.to_owned(),
                submitted_at: now,
                applied_at: None,
                outcome: String::new(),
            };
            let number = insert(session, &mut record, request)?;
            record.write(session)?;
            Ok(Submitted {
                number,
                is_new: true,
            })
        })
    }

    /// Returns the requests behind place `after` that were not applied yet, oldest first.
    pub fn pending_requests(
        &self,
        infrastructure: &InfrastructureId,
        after: u64,
    ) -> Result<Vec<RequestRow>, StoreError> {
        self.read_with("read the inbox", |session| {
            let record = Record::get(session, infrastructure)?;
            let mut requests = intact(session, &record, after)?;
            requests.retain(|request| request.applied_at.is_none());
            Ok(requests)
        })
    }

    /// Returns one request, to see what came of it.
    pub fn request(
        &self,
        infrastructure: &InfrastructureId,
        id: &RequestId,
    ) -> Result<Option<RequestRow>, StoreError> {
        self.read_with("read the inbox", |session| {
            let record = Record::get(session, infrastructure)?;
            Ok(intact(session, &record, 0)?
                .into_iter()
                .find(|request| request.id == *id))
        })
    }

    /// Marks requests as applied. Use [`Store::append_applying`] to do it in
    /// the same step as the entries that apply them.
    pub fn mark_applied(
        &mut self,
        lease: &Lease,
        applied: &[Applied<'_>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_with("mark requests as applied", |session| {
            let record = check_fence(session, lease)?;
            apply(session, &record, applied, now)
        })
    }
}
