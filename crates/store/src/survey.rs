//! A walk along a whole journal that goes on behind damage where it can.

use crate::checksum::Checksum;
use crate::error::StoreError;
use crate::infrastructure::Record;
use crate::journal::{Damage, Gap, Position, StoredEntry, walk};
use crate::session::{Session, count, number};
use crate::snapshot::Found;

/// What a survey comes across, in order.
pub(crate) enum Visit {
    /// An intact entry and the chain at it.
    Entry(StoredEntry, Checksum),
    /// Entries that are lost, though what they add up to is known.
    Gap(Gap),
}

/// What a survey found.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The place behind the last entry that can be used.
    pub(crate) end: Position,
    /// Damaged stretches that a snapshot covers.
    pub(crate) new_gaps: Vec<(Gap, Damage)>,
    /// The damage behind which nothing can be used.
    pub(crate) cut: Option<Damage>,
}

/// Walks along the journal. Damage that an intact snapshot covers is a gap:
/// the state behind it is known, and the walk goes on there. Other damage is
/// the end: what later entries add up to is unknown.
pub(crate) fn survey(
    session: Session<'_>,
    record: &Record,
    snapshots: &[Found],
    visit: &mut dyn FnMut(Visit) -> Result<(), StoreError>,
) -> Result<Survey, StoreError> {
    let known = Gap::all(session, record)?;
    let mut start = Position {
        next: record.first_sequence,
        previous: record.base,
    };
    let mut expected = record.first_sequence;
    let mut new_gaps = Vec::new();
    loop {
        let walked = walk(
            session,
            record,
            start,
            usize::MAX,
            &mut |entry, checksum| {
                announce(&known, &mut expected, number(entry.sequence), visit)?;
                expected = number(entry.sequence) + 1;
                visit(Visit::Entry(entry, checksum))
            },
        )?;
        announce(&known, &mut expected, walked.position.next, visit)?;
        let Some(damage) = walked.damage else {
            return Ok(Survey {
                end: walked.position,
                new_gaps,
                cut: None,
            });
        };
        let from = number(damage.sequence);
        let intact = snapshots
            .iter()
            .filter_map(|found| found.content.as_ref().ok());
        let covering = intact
            .filter(|(snapshot, _)| number(snapshot.sequence) >= from)
            .min_by_key(|(snapshot, _)| snapshot.sequence);
        let Some((snapshot, chain)) = covering else {
            return Ok(Survey {
                end: walked.position,
                new_gaps,
                cut: Some(damage),
            });
        };
        let gap = Gap {
            from,
            to: number(snapshot.sequence),
            checksum_after: *chain,
        };
        visit(Visit::Gap(gap))?;
        new_gaps.push((gap, damage));
        start = Position {
            next: gap.to + 1,
            previous: gap.checksum_after,
        };
        expected = start.next;
    }
}

/// Visits the known gaps from `expected` up to `next`.
fn announce(
    known: &[Gap],
    expected: &mut i64,
    next: i64,
    visit: &mut dyn FnMut(Visit) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for gap in known {
        if gap.from == *expected && *expected < next {
            visit(Visit::Gap(*gap))?;
            *expected = gap.to + 1;
        }
    }
    Ok(())
}

/// Says in one line which entries a gap covers.
pub(crate) fn gap_text(gap: &Gap, why: &str) -> String {
    format!(
        "entries {} to {}: {why}; a snapshot covers them",
        count(gap.from),
        count(gap.to)
    )
}
