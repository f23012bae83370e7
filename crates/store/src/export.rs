//! Exports: one infrastructure as lines of JSON that describe themselves.

use std::io::Write;

use serde::{Deserialize, Serialize};
use zenekar_base::{InfrastructureId, Origin};

use crate::account::{self, Accounts};
use crate::checksum::{Summer, push_hex};
use crate::error::StoreError;
use crate::inbox;
use crate::infrastructure::Record;
use crate::journal::damage_text;
use crate::origin::ORIGINS;
use crate::session::{Session, count};
use crate::snapshot::{self, Found};
use crate::store::Store;
use crate::survey::{Visit, gap_text, survey};

/// The name that every export starts with.
pub(crate) const FORMAT: &str = "zenekar-state";
/// The version of the format; a change that old readers misread makes a new one.
pub(crate) const FORMAT_VERSION: u32 = 3;
/// The version of the format without accounts: still read, and written where there is none.
pub(crate) const FORMAT_VERSION_WITHOUT_ACCOUNTS: u32 = 2;
/// The version of the format without origins: still read, and written where there is none.
pub(crate) const FORMAT_VERSION_WITHOUT_ORIGINS: u32 = 1;

/// What to do with an infrastructure that is not intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportMode {
    /// Fails, so that an export is always complete.
    Complete,
    /// Exports what is intact and lists the rest as problems, in the file too.
    Salvage,
}

/// What an export wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many entries.
    pub entries: u64,
    /// How many requests.
    pub requests: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// What could not be exported; empty for a complete export.
    pub problems: Vec<String>,
}

/// Bytes in JSON: as text where they are text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bytes {
    Text(String),
    Hex(String),
}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Self::Text(text.to_owned());
        }
        let mut digits = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            push_hex(&mut digits, *byte);
        }
        Self::Hex(digits)
    }

    /// Returns the bytes; `None` if they are not what an export wrote.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Hex(digits) if digits.is_ascii() && digits.len() % 2 == 0 => (0..digits.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
                .collect(),
            Self::Hex(_) => None,
        }
    }
}

/// One line of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Line {
    /// The first line.
    Header {
        format: String,
        version: u32,
        infrastructure: InfrastructureId,
        name: String,
        created_at_ms: i64,
        removed_at_ms: Option<i64>,
        first_sequence: u64,
        base_checksum: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        #[serde(default, skip_serializing_if = "Accounts::is_empty")]
        accounts: Accounts,
    },
    /// An entry of the journal.
    Entry {
        sequence: u64,
        at_ms: i64,
        kind: String,
        version: u32,
        payload: Bytes,
        checksum: String,
    },
    /// Entries that are lost.
    Gap {
        from_sequence: u64,
        to_sequence: u64,
        checksum_after: String,
    },
    /// A snapshot.
    Snapshot {
        sequence: u64,
        version: u32,
        payload: Bytes,
        chain_checksum: String,
    },
    /// A request of the inbox, applied or not.
    Request {
        number: u64,
        id: String,
        kind: String,
        payload: Bytes,
        submitted_at_ms: i64,
        applied_at_ms: Option<i64>,
        outcome: String,
    },
    /// Something that could not be exported.
    Problem { text: String },
    /// The last line: the number of lines before it and a sum over their bytes.
    End { lines: u64, checksum: String },
}

/// Writes lines and adds them up.
struct LineWriter<'a> {
    output: &'a mut dyn Write,
    lines: u64,
    sum: Summer,
}

impl LineWriter<'_> {
    fn write(&mut self, line: &Line) -> Result<(), StoreError> {
        let failed = |source| StoreError::Stream {
            operation: "write the export",
            source,
        };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.output.write_all(&text).map_err(failed)?;
        self.sum.bytes(&text);
        self.lines += 1;
        Ok(())
    }

    fn end(mut self) -> Result<(), StoreError> {
        let end = Line::End {
            lines: self.lines,
            checksum: self.sum.finish().to_string(),
        };
        self.write(&end)?;
        self.output.flush().map_err(|source| StoreError::Stream {
            operation: "write the export",
            source,
        })
    }
}

/// Starts the sum over the lines of an export.
pub(crate) fn line_sum() -> Summer {
    Summer::new("export")
}

impl Store {
    /// Writes one infrastructure as lines of JSON: its journal, snapshots and
    /// requests, ended by a checksum over all of it.
    pub fn export(
        &self,
        infrastructure: &InfrastructureId,
        mode: ExportMode,
        output: &mut dyn Write,
    ) -> Result<Exported, StoreError> {
        self.read_with("export the state", |session| {
            let record = Record::get(session, infrastructure)?;
            export_record(session, &record, mode, output)
        })
    }
}

pub(crate) fn export_record(
    session: Session<'_>,
    record: &Record,
    mode: ExportMode,
    output: &mut dyn Write,
) -> Result<Exported, StoreError> {
    let mut writer = LineWriter {
        output,
        lines: 0,
        sum: line_sum(),
    };
    let mut exported = Exported::default();
    let origin = or_default(
        ORIGINS.read(session, record),
        "what it has at clouds that others use too is no longer recognised",
        &mut exported,
    )?;
    let accounts = or_default(
        account::read(session, record),
        "which accounts it has things in is no longer known",
        &mut exported,
    )?;
    writer.write(&header(record, origin, accounts))?;
    let snapshots = snapshot::all(session, record)?;
    let last_sequence = write_entries(session, record, &snapshots, &mut writer, &mut exported)?;
    for found in snapshots {
        match found.content {
            Ok((snapshot, chain)) if snapshot.sequence <= last_sequence => {
                exported.snapshots += 1;
                writer.write(&Line::Snapshot {
                    sequence: snapshot.sequence,
                    version: snapshot.version,
                    payload: Bytes::new(&snapshot.payload),
                    chain_checksum: chain.to_string(),
                })?;
            }
            Ok((snapshot, _)) => exported.problems.push(format!(
                "snapshot {}: it is newer than the entries",
                snapshot.sequence
            )),
            Err(why) => exported
                .problems
                .push(format!("snapshot {}: {why}", found.sequence)),
        }
    }
    write_requests(session, record, &mut writer, &mut exported)?;
    if mode == ExportMode::Complete
        && let Some(problem) = exported.problems.first()
    {
        return Err(session.corrupt(problem.clone()));
    }
    for problem in &exported.problems {
        writer.write(&Line::Problem {
            text: problem.clone(),
        })?;
    }
    writer.end()?;
    Ok(exported)
}

/// Goes on without what is damaged, and lists that as a problem.
fn or_default<T: Default>(
    found: Result<T, StoreError>,
    consequence: &str,
    exported: &mut Exported,
) -> Result<T, StoreError> {
    match found {
        Err(StoreError::Corrupt { what, .. }) => {
            exported.problems.push(format!("{what}: {consequence}"));
            Ok(T::default())
        }
        other => other,
    }
}

/// Returns the oldest version that has what is to be written.
pub(crate) fn version_of(origin: Option<&Origin>, accounts: &Accounts) -> u32 {
    match origin {
        _ if !accounts.is_empty() => FORMAT_VERSION,
        Some(_) => FORMAT_VERSION_WITHOUT_ACCOUNTS,
        None => FORMAT_VERSION_WITHOUT_ORIGINS,
    }
}

fn header(record: &Record, origin: Option<Origin>, accounts: Accounts) -> Line {
    Line::Header {
        format: FORMAT.to_owned(),
        version: version_of(origin.as_ref(), &accounts),
        infrastructure: record.id(),
        name: record.name.clone(),
        created_at_ms: record.created_at_ms,
        removed_at_ms: record.removed_at_ms,
        first_sequence: count(record.first_sequence),
        base_checksum: record.base.to_string(),
        origin,
        accounts,
    }
}

/// Writes the entries that can be used and returns the number of the last one.
fn write_entries(
    session: Session<'_>,
    record: &Record,
    snapshots: &[Found],
    writer: &mut LineWriter<'_>,
    exported: &mut Exported,
) -> Result<u64, StoreError> {
    let found = survey(session, record, snapshots, &mut |visit| match visit {
        Visit::Entry(entry, checksum) => {
            exported.entries += 1;
            writer.write(&Line::Entry {
                sequence: entry.sequence,
                at_ms: entry.at.0,
                kind: entry.kind,
                version: entry.version,
                payload: Bytes::new(&entry.payload),
                checksum: checksum.to_string(),
            })
        }
        Visit::Gap(gap) => writer.write(&Line::Gap {
            from_sequence: count(gap.from),
            to_sequence: count(gap.to),
            checksum_after: gap.checksum_after.to_string(),
        }),
    })?;
    exported.problems.extend(
        found
            .new_gaps
            .iter()
            .map(|(gap, damage)| gap_text(gap, &damage.why)),
    );
    exported
        .problems
        .extend(found.cut.iter().map(|damage| damage_text(record, damage)));
    Ok(count(found.end.next - 1))
}

fn write_requests(
    session: Session<'_>,
    record: &Record,
    writer: &mut LineWriter<'_>,
    exported: &mut Exported,
) -> Result<(), StoreError> {
    for (place, slot) in inbox::slots(session, record, 0)? {
        match slot {
            Ok(request) => {
                exported.requests += 1;
                writer.write(&Line::Request {
                    number: request.number,
                    id: request.id.to_string(),
                    kind: request.kind,
                    payload: Bytes::new(&request.payload),
                    submitted_at_ms: request.submitted_at.0,
                    applied_at_ms: request.applied_at.map(|at| at.0),
                    outcome: request.outcome,
                })?;
            }
            Err(why) => exported.problems.push(format!("request {place}: {why}")),
        }
    }
    Ok(())
}
