//! Imports: an exported infrastructure becomes one of this store.

use std::io::{BufRead, Read};

use zenekar_base::{InfrastructureId, RequestId, Timestamp};

use crate::account;
use crate::checksum::{Checksum, Summer};
use crate::error::StoreError;
use crate::export::{
    Bytes, FORMAT, FORMAT_VERSION, FORMAT_VERSION_WITHOUT_ORIGINS, Line, line_sum, version_of,
};
use crate::inbox::{self, RequestRow};
use crate::infrastructure::{self, Record, check_text, genesis};
use crate::journal::{self, Entry, Gap, chain_at};
use crate::limits::{EXPORT_LINE_BYTES_MAX, LOST_REQUESTS_MAX};
use crate::session::{Session, count, number};
use crate::snapshot::{self, Snapshot};
use crate::store::Store;

/// What an import brought in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The infrastructure.
    pub infrastructure: InfrastructureId,
    /// How many entries.
    pub entries: u64,
    /// How many requests.
    pub requests: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// What was not in the export because it was damaged.
    pub problems: Vec<String>,
}

/// An import on its way.
struct Import<'a> {
    session: Session<'a>,
    record: Record,
    imported: Imported,
}

/// Reads lines, counts them and adds them up.
struct LineReader<'a> {
    input: &'a mut dyn BufRead,
    lines: u64,
    sum: Summer,
}

impl LineReader<'_> {
    fn malformed(&self, what: impl Into<String>) -> StoreError {
        StoreError::ImportMalformed {
            line: self.lines,
            what: what.into(),
        }
    }

    /// Returns the next line with the sum over all lines before it.
    fn next(&mut self) -> Result<(Line, Checksum), StoreError> {
        let mut text = Vec::new();
        let mut limited = self.input.take(EXPORT_LINE_BYTES_MAX);
        limited
            .read_until(b'\n', &mut text)
            .map_err(|source| StoreError::Stream {
                operation: "read the import",
                source,
            })?;
        self.lines += 1;
        if text.is_empty() {
            return Err(self.malformed("the file is cut off: its last line is missing"));
        }
        if text.last() != Some(&b'\n') {
            return Err(self.malformed("the line is cut off"));
        }
        let before = self.sum.finish();
        self.sum.bytes(&text);
        let line = serde_json::from_slice(&text)
            .map_err(|error| self.malformed(format!("it is not a line of an export ({error})")))?;
        Ok((line, before))
    }

    fn is_at_end(&mut self) -> Result<bool, StoreError> {
        let rest = self.input.fill_buf().map_err(|source| StoreError::Stream {
            operation: "read the import",
            source,
        })?;
        Ok(rest.is_empty())
    }
}

impl Store {
    /// Reads an export and adds its infrastructure; all of it, or nothing.
    /// An infrastructure that exists is not overwritten.
    pub fn import(&mut self, input: &mut dyn BufRead) -> Result<Imported, StoreError> {
        let mut reader = LineReader {
            input,
            lines: 0,
            sum: line_sum(),
        };
        self.write_with("import the state", |session| {
            let mut import = begin(session, &mut reader)?;
            loop {
                let (line, before) = reader.next()?;
                if let Line::End { lines, checksum } = line {
                    if lines + 1 != reader.lines || checksum != before.to_string() {
                        return Err(reader.malformed("the lines are not those that were exported"));
                    }
                    break;
                }
                import.add(line, &reader)?;
            }
            if !reader.is_at_end()? {
                reader.lines += 1;
                return Err(reader.malformed("there is more after the last line"));
            }
            import.record.write(session)?;
            Ok(import.imported)
        })
    }
}

fn begin<'a>(session: Session<'a>, reader: &mut LineReader<'_>) -> Result<Import<'a>, StoreError> {
    let (line, _) = reader.next()?;
    let Line::Header {
        format,
        version,
        infrastructure,
        name,
        created_at_ms,
        removed_at_ms,
        first_sequence,
        base_checksum,
        origin,
        accounts,
    } = line
    else {
        return Err(reader.malformed("an export starts with its header"));
    };
    if format != FORMAT || version != version_of(origin.as_ref(), &accounts) {
        return Err(reader.malformed(format!(
            "it has format `{format}` {version}, but this version reads `{FORMAT}` {FORMAT_VERSION_WITHOUT_ORIGINS} to {FORMAT_VERSION}"
        )));
    }
    for (provider, one) in &accounts {
        account::check(provider, one)?;
    }
    check_text("the id of an infrastructure", infrastructure.as_str())?;
    check_text("the name of an infrastructure", &name)?;
    let base = parse_checksum(reader, &base_checksum)?;
    if first_sequence == 0 || (first_sequence == 1 && base != genesis(infrastructure.as_str())) {
        return Err(reader.malformed("its journal does not start as that of this infrastructure"));
    }
    if Record::find(session, &infrastructure)?.is_some() {
        return Err(StoreError::AlreadyExists {
            infrastructure,
            path: session.path.to_owned(),
        });
    }
    let created_at = Timestamp(created_at_ms);
    let mut record = infrastructure::insert(
        session,
        &infrastructure,
        &name,
        created_at,
        origin,
        &accounts,
    )?;
    record.removed_at_ms = removed_at_ms;
    record.first_sequence = number(first_sequence);
    record.last_sequence = record.first_sequence - 1;
    record.base = base;
    record.head = base;
    let imported = Imported {
        infrastructure,
        entries: 0,
        requests: 0,
        snapshots: 0,
        problems: Vec::new(),
    };
    Ok(Import {
        session,
        record,
        imported,
    })
}

fn parse_checksum(reader: &LineReader<'_>, text: &str) -> Result<Checksum, StoreError> {
    Checksum::from_hex(text).ok_or_else(|| reader.malformed(format!("`{text}` is not a checksum")))
}

fn parse_bytes(reader: &LineReader<'_>, bytes: Bytes) -> Result<Vec<u8>, StoreError> {
    bytes
        .into_bytes()
        .ok_or_else(|| reader.malformed("the payload is not hexadecimal"))
}

impl Import<'_> {
    fn add(&mut self, line: Line, reader: &LineReader<'_>) -> Result<(), StoreError> {
        match line {
            Line::Entry {
                sequence,
                at_ms,
                kind,
                version,
                payload,
                checksum,
            } => {
                let payload = parse_bytes(reader, payload)?;
                let entry = Entry {
                    at: Timestamp(at_ms),
                    kind: &kind,
                    version,
                    payload: &payload,
                };
                self.add_entry(sequence, entry, &checksum, reader)
            }
            Line::Gap {
                from_sequence,
                to_sequence,
                checksum_after,
            } => {
                let gap = Gap {
                    from: number(from_sequence),
                    to: number(to_sequence),
                    checksum_after: parse_checksum(reader, &checksum_after)?,
                };
                self.add_gap(gap, reader)
            }
            Line::Snapshot {
                sequence,
                version,
                payload,
                chain_checksum,
            } => {
                let snapshot = Snapshot {
                    sequence,
                    version,
                    payload: parse_bytes(reader, payload)?,
                };
                self.add_snapshot(&snapshot, parse_checksum(reader, &chain_checksum)?, reader)
            }
            Line::Request {
                number,
                id,
                kind,
                payload,
                submitted_at_ms,
                applied_at_ms,
                outcome,
            } => {
                let request = RequestRow {
                    number,
                    id: RequestId::new(id),
                    kind,
                    payload: parse_bytes(reader, payload)?,
                    submitted_at: Timestamp(submitted_at_ms),
                    applied_at: applied_at_ms.map(Timestamp),
                    outcome,
                };
                self.add_request(request, reader)
            }
            Line::Problem { text } => {
                self.imported.problems.push(text);
                Ok(())
            }
            Line::Header { .. } | Line::End { .. } => {
                Err(reader.malformed("an export has one header and one end"))
            }
        }
    }

    fn add_gap(&mut self, gap: Gap, reader: &LineReader<'_>) -> Result<(), StoreError> {
        let expected = self.record.last_sequence + 1;
        if gap.from != expected || gap.to < gap.from {
            return Err(reader.malformed(format!("entry {expected} should follow")));
        }
        gap.write(self.session, &self.record)?;
        self.record.last_sequence = gap.to;
        self.record.head = gap.checksum_after;
        Ok(())
    }

    fn add_snapshot(
        &mut self,
        snapshot: &Snapshot,
        chain: Checksum,
        reader: &LineReader<'_>,
    ) -> Result<(), StoreError> {
        snapshot::check_size(&snapshot.payload)?;
        let sequence = snapshot.sequence;
        if self.chain_at(number(sequence))? != Some(chain) {
            return Err(reader.malformed(format!(
                "snapshot {sequence} does not belong to the entries"
            )));
        }
        self.imported.snapshots += 1;
        snapshot::insert(self.session, &self.record, snapshot, chain)
    }

    /// Adds a request at its place: the journal may refer to it.
    fn add_request(
        &mut self,
        request: RequestRow,
        reader: &LineReader<'_>,
    ) -> Result<(), StoreError> {
        for text in [request.id.as_str(), &request.kind, &request.outcome] {
            check_text("a text of a request", text)?;
        }
        let next = count(self.record.request_count) + 1;
        if request.number < next || request.number - next > LOST_REQUESTS_MAX {
            return Err(reader.malformed(format!("request {next} should follow")));
        }
        for place in next..request.number {
            inbox::insert(
                self.session,
                &mut self.record,
                RequestRow::lost(place, request.submitted_at),
            )?;
        }
        self.imported.requests += 1;
        inbox::insert(self.session, &mut self.record, request)?;
        Ok(())
    }

    fn add_entry(
        &mut self,
        sequence: u64,
        entry: Entry<'_>,
        checksum: &str,
        reader: &LineReader<'_>,
    ) -> Result<(), StoreError> {
        if number(sequence) != self.record.last_sequence + 1 {
            return Err(reader.malformed(format!(
                "entry {} should follow",
                self.record.last_sequence + 1
            )));
        }
        journal::check_entries(&[entry])?;
        journal::insert(self.session, &mut self.record, &[entry])?;
        if self.record.head != parse_checksum(reader, checksum)? {
            return Err(reader.malformed(format!(
                "the checksum of entry {sequence} does not fit its content or its predecessor"
            )));
        }
        self.imported.entries += 1;
        Ok(())
    }

    /// Returns the chain at an entry that was imported, lost or left out.
    fn chain_at(&self, sequence: i64) -> Result<Option<Checksum>, StoreError> {
        if sequence == self.record.first_sequence - 1 {
            return Ok(Some(self.record.base));
        }
        let gaps = Gap::all(self.session, &self.record)?;
        match gaps.iter().find(|gap| gap.to == sequence) {
            Some(gap) => Ok(Some(gap.checksum_after)),
            None => chain_at(self.session, &self.record, sequence),
        }
    }
}
