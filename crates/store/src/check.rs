//! Checks: everything that is stored is read and verified.

use zenekar_base::InfrastructureId;

use crate::account::ACCOUNTS;
use crate::error::StoreError;
use crate::inbox;
use crate::infrastructure::Record;
use crate::journal::{Damage, Gap, damage_text};
use crate::lease;
use crate::limits::PROBLEMS_LISTED_MAX;
use crate::origin::ORIGINS;
use crate::session::{Session, count};
use crate::snapshot;
use crate::store::Store;
use crate::survey::{gap_text, survey};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong with the store as a whole, the database file included.
    pub problems: Vec<String>,
    /// What was found of each infrastructure.
    pub infrastructures: Vec<InfrastructureReport>,
    /// Rows that earlier repairs moved into quarantine.
    pub quarantined: u64,
}

impl Report {
    /// Returns everything that is wrong, one line each.
    pub fn all_problems(&self) -> Vec<String> {
        let of_infrastructures = self.infrastructures.iter().flat_map(|one| {
            one.problems
                .iter()
                .map(move |problem| format!("infrastructure `{}`: {problem}", one.id))
        });
        self.problems
            .iter()
            .cloned()
            .chain(of_infrastructures)
            .collect()
    }

    /// Returns whether all that was written is there and unchanged.
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
            && self
                .infrastructures
                .iter()
                .all(|infrastructure| infrastructure.problems.is_empty())
    }
}

/// What a check found of one infrastructure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfrastructureReport {
    /// Which one.
    pub id: InfrastructureId,
    /// How many entries are intact and can be used.
    pub entries: u64,
    /// The first entry that is not intact.
    pub first_bad: Option<Damage>,
    /// How many snapshots are intact.
    pub snapshots: u64,
    /// How many requests are intact.
    pub requests: u64,
    /// Entries that an earlier repair gave up: first and last number.
    pub gaps: Vec<(u64, u64)>,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
}

impl Store {
    /// Reads and verifies everything. Changes nothing. Fails only when
    /// checking is impossible; damage is part of the report.
    pub fn check(&self) -> Result<Report, StoreError> {
        self.read_with("check the state", examine)
    }
}

/// Reads and verifies everything.
pub(crate) fn examine(session: Session<'_>) -> Result<Report, StoreError> {
    let mut report = Report {
        problems: integrity(session)?,
        ..Report::default()
    };
    let readable = tolerate(&mut report.problems, Record::all_readable(session))?;
    let (records, problems) = readable.unwrap_or_default();
    report.problems.extend(problems);
    for (record, _) in &records {
        let checked = check_record(session, record);
        if let Some(infrastructure) = tolerate(&mut report.problems, checked)? {
            report.infrastructures.push(infrastructure);
        }
    }
    let quarantined =
        session
            .prepare("SELECT count(*) FROM quarantine")
            .and_then(|mut statement| {
                statement
                    .query_row([], |row| row.get::<_, i64>(0))
                    .map_err(|source| session.failed(source))
            });
    report.quarantined = count(tolerate(&mut report.problems, quarantined)?.unwrap_or(0));
    Ok(report)
}

/// Turns damage into a problem of the report; other failures stay failures.
fn tolerate<T>(
    problems: &mut Vec<String>,
    result: Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Corrupt { what, .. }) => {
            problems.push(what);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Lets the database check its own structure.
fn integrity(session: Session<'_>) -> Result<Vec<String>, StoreError> {
    let rows = session
        .prepare("PRAGMA integrity_check(100)")
        .and_then(|mut statement| {
            let rows = statement
                .query_map([], |row| row.get::<_, String>(0))
                .map_err(|source| session.failed(source))?;
            rows.collect::<Result<Vec<_>, _>>()
                .map_err(|source| session.failed(source))
        });
    let mut problems = Vec::new();
    let lines = tolerate(&mut problems, rows)?.unwrap_or_default();
    problems.extend(
        lines
            .into_iter()
            .filter(|line| line != "ok")
            .map(|line| format!("the database says: {line}")),
    );
    Ok(problems)
}

fn check_record(session: Session<'_>, record: &Record) -> Result<InfrastructureReport, StoreError> {
    let mut report = InfrastructureReport {
        id: record.id(),
        entries: 0,
        first_bad: None,
        snapshots: 0,
        requests: 0,
        gaps: Gap::all(session, record)?
            .iter()
            .map(|gap| (count(gap.from), count(gap.to)))
            .collect(),
        problems: Vec::new(),
    };
    let snapshots = snapshot::all(session, record)?;
    let mut entries = 0;
    let found = survey(session, record, &snapshots, &mut |visit| {
        entries += u64::from(matches!(visit, crate::survey::Visit::Entry(..)));
        Ok(())
    })?;
    report.entries = entries;
    report.first_bad = found
        .new_gaps
        .first()
        .map(|(_, damage)| damage.clone())
        .or_else(|| found.cut.clone());
    report.problems.extend(
        found
            .new_gaps
            .iter()
            .map(|(gap, damage)| gap_text(gap, &damage.why)),
    );
    report
        .problems
        .extend(found.cut.iter().map(|damage| damage_text(record, damage)));
    for one in &snapshots {
        match &one.content {
            Ok(_) => report.snapshots += 1,
            Err(why) => report
                .problems
                .push(format!("snapshot {}: {why}", one.sequence)),
        }
    }
    if record.first_sequence > 1 && report.snapshots == 0 {
        report.problems.push(
            "no snapshot is left, and the journal no longer reaches back to the beginning"
                .to_owned(),
        );
    }
    for (place, slot) in inbox::slots(session, record, 0)? {
        match slot {
            Ok(_) => report.requests += 1,
            Err(why) => report.problems.push(format!("request {place}: {why}")),
        }
    }
    report.problems.extend(lease::problem(session, record)?);
    let origin = ORIGINS.damage(session, record)?;
    let accounts = ACCOUNTS.damage(session, record)?;
    let texts = [
        origin.map(|damage| ORIGINS.text(damage)),
        accounts.map(|damage| ACCOUNTS.text(damage)),
    ];
    report
        .problems
        .extend(texts.into_iter().flatten().map(str::to_owned));
    report.problems.truncate(PROBLEMS_LISTED_MAX);
    Ok(report)
}
