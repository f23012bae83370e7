//! What was seen of real nodes in one run, in the words of the model.

use std::collections::BTreeSet;

use zenekar_live::ProcessName;
use zenekar_verify::{Seen, Sighting};

use super::account::{Arrival, Story};
use super::gap::Model;

/// A run of real nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observations {
    /// Who came and did what, in its order.
    pub(crate) sightings: Vec<Sighting>,
    /// The nodes of which nobody knows what they did when.
    pub(crate) unseen: BTreeSet<String>,
    /// The first property that was violated by what the nodes reported.
    pub(crate) violated: Option<String>,
}

impl Observations {
    /// Looks at a run. `unsteered` are the nodes that did not report.
    pub(crate) fn of<'n>(
        story: &Story,
        model: &Model,
        unsteered: impl Iterator<Item = &'n String>,
    ) -> Self {
        let mut unseen: BTreeSet<String> = unsteered.cloned().collect();
        let mut sightings = Vec::new();
        for arrival in &story.arrivals {
            match seen_of(arrival, model) {
                Some(seen) => sightings.extend(seen.into_iter().map(|what| {
                    let process = &arrival.process;
                    sighting(arrival.at_ms, process, what)
                })),
                None => {
                    unseen.insert(arrival.process.node.clone());
                }
            }
        }
        let stuck = story.stuck.iter();
        sightings.extend(stuck.map(|(at_ms, process)| sighting(*at_ms, process, Seen::Stuck)));
        sightings.retain(|one| !unseen.contains(&one.node));
        Self {
            sightings,
            unseen,
            violated: story.violated.first().cloned(),
        }
    }
}

fn sighting(at_ms: u64, process: &ProcessName, what: Seen) -> Sighting {
    Sighting {
        at_ms,
        node: process.node.clone(),
        number: process.number,
        what,
    }
}

/// Returns what a process has done when it comes to a breakpoint; none if that
/// is not known.
fn seen_of(arrival: &Arrival, model: &Model) -> Option<Vec<Seen>> {
    let (node, number) = (&arrival.process.node, arrival.number);
    let done = model.done_at(node, number)?;
    let before = match number.checked_sub(1)? {
        0 => return Some(vec![Seen::Came]),
        before => model.done_at(node, before)?,
    };
    let has_failed = arrival.status.as_deref().is_some_and(|one| one != "0");
    if !has_failed || before == done {
        return Some((before..done).map(Seen::Did).collect());
    }
    // The status is that of the last command, and what has none comes behind it.
    let segments = model.run_behind(node, number - 1)?;
    let failed = segments
        .iter()
        .rposition(|segment| segment.commands.is_some());
    let failed = before + failed.unwrap_or(segments.len() - 1);
    let done = (before..failed).map(Seen::Did);
    Some(done.chain([Seen::Failed(failed)]).collect())
}
