//! Schedules from runs that were explored: what was found in a model is tried on
//! real nodes.

use std::collections::BTreeSet;
use std::path::Path;

use zenekar_live::ProcessName;

use crate::errors::Failure;
use crate::output::Output;
use crate::replay_file;

/// Reads a replay file and returns the processes whose segments were done, in
/// their order: faults, delays and what people asked for are left out.
pub(crate) fn schedule(
    file: &Path,
    processes: &[ProcessName],
    output: Output,
) -> Result<Vec<ProcessName>, Failure> {
    let replay = replay_file::open(file, output)?.recorded;
    let known: BTreeSet<&ProcessName> = processes.iter().collect();
    let labels = replay.choices.iter().map(|choice| choice.label.as_str());
    let steps = labels.filter_map(process_of);
    Ok(steps.filter(|process| known.contains(process)).collect())
}

/// Returns whose segment is done by a step: `worker/1: …` or `worker/1 ends: …`.
fn process_of(label: &str) -> Option<ProcessName> {
    let (subject, _) = label.split_once(": ")?;
    let subject = subject.strip_suffix(" ends").unwrap_or(subject);
    let (node, number) = subject.rsplit_once('/')?;
    let number: u32 = number.parse().ok()?;
    (number > 0 && !node.is_empty()).then(|| ProcessName::new(node, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_among_steps() {
        let of = |label| process_of(label).map(|process| process.to_string());
        assert_eq!(of("client/1: curl http://x/").as_deref(), Some("client[1]"));
        assert_eq!(of("db-1/12 ends: load").as_deref(), Some("db-1[12]"));
        for other in [
            "client/1 begins: curl http://x/",
            "worker/1 boots",
            "people ask for `up`",
            "time passes: 1s",
            "client/0: x",
            "/1: x",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
