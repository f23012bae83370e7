//! What came of all runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use zenekar_live::{Ending, ProcessName, Traversal};

use super::account::{Account, schedule_text};
use super::reproduction::Reproduction;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, counted};

/// Differences from the model that are told one by one.
const GAPS_TOLD_MAX: usize = 10;

/// The end of a session.
pub(crate) struct Summary<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) is_traversal: bool,
    pub(crate) traversal: &'a Traversal,
    /// How it compares with the run that was explored, if there was one.
    pub(crate) reproduction: Option<Reproduction>,
    /// The nodes that are not steered, and why.
    pub(crate) unsteered: &'a BTreeMap<String, String>,
    pub(crate) account: &'a Account,
    pub(crate) postponed: u64,
    /// At how many boundaries the orchestrator was still busy.
    pub(crate) unsettled: u64,
    /// How it ended; none if it failed.
    pub(crate) ending: Option<Ending>,
}

impl Summary<'_> {
    /// Returns how the command ends, if no run failed for a reason outside.
    pub(crate) fn exit(&self) -> Exit {
        let account = self.account;
        let is_wrong = !account.violations.is_empty() || !account.stuck.is_empty();
        let is_reproduced = self
            .reproduction
            .as_ref()
            .is_some_and(Reproduction::is_shown);
        if is_wrong || is_reproduced || account.races().next().is_some() {
            return Exit::Violated;
        }
        if self.ending == Some(Ending::Stopped) {
            return Exit::Cancelled;
        }
        if !self.account.diverged.is_empty() || !self.traversal.given_up().is_empty() {
            return Exit::Refused;
        }
        Exit::Success
    }

    /// Tells it.
    pub(crate) fn tell(&self, output: Output) -> Result<(), Failure> {
        if output.is_json() {
            output.json(&self.to_json())
        } else {
            output.data(&self.to_text(output))
        }
    }

    const fn ending_word(&self) -> &'static str {
        match (self.is_traversal, self.ending) {
            (_, None) => "failed",
            (_, Some(Ending::Stopped)) => "stopped",
            (true, Some(Ending::Complete)) => "complete",
            (true, Some(Ending::Budget)) => "budget",
            (false, Some(_)) => "one run",
        }
    }

    fn to_text(&self, output: Output) -> String {
        let paint = output.data_paint;
        let tree = self.traversal.tree();
        let mut text = format!(
            "live: {}: {}, {} ({} different), {}",
            self.name,
            counted(
                usize::try_from(self.traversal.begun()).unwrap_or(usize::MAX),
                "run"
            ),
            counted(tree.states().len(), "state"),
            tree.distinct(),
            counted(tree.leaves(), "end"),
        );
        let words = match (self.is_traversal, self.ending) {
            (_, None) => "; it could not be gone on with",
            (_, Some(Ending::Stopped)) => "; stopped",
            (true, Some(Ending::Complete)) if self.traversal.is_reduced() => {
                "; every order was run, up to steps that have nothing to do with each other"
            }
            (true, Some(Ending::Complete)) => "; every order was run",
            (true, Some(Ending::Budget)) => "; there are orders that were not run",
            (false, Some(_)) => "",
        };
        text.push_str(words);
        text.push('\n');
        if let Some(reproduction) = &self.reproduction {
            let _ = writeln!(text, "{reproduction}");
        }
        for (name, steps) in &self.account.violations {
            self.found(&mut text, &paint.bad("violated:"), name, steps);
        }
        for (name, steps) in &self.account.stuck {
            self.found(&mut text, &paint.bad("stuck:"), &name.to_string(), steps);
        }
        for race in self.account.races() {
            for (status, steps) in race.endings.iter().filter(|(status, _)| *status != "0") {
                let name = format!("{}` before `{}", race.process, race.tag);
                let word = paint.bad(&format!("ends with {status} in some orders:"));
                self.found(&mut text, &word, &name, steps);
            }
        }
        for name in &self.account.ran_ahead {
            let _ = writeln!(
                text,
                "{} `{name}` went on without being let go: a breakpoint of its script does not wait",
                paint.notable("ran ahead:")
            );
        }
        for name in &self.account.diverged {
            let _ = writeln!(
                text,
                "{} `{name}` could not be let go where the schedule says so",
                paint.notable("not followed:")
            );
        }
        for schedule in self.traversal.given_up() {
            let _ = writeln!(
                text,
                "{} no run followed `{}` to its end",
                paint.notable("given up:"),
                schedule_text(schedule)
            );
        }
        if self.unsettled > 0 {
            let count = usize::try_from(self.unsettled).unwrap_or(usize::MAX);
            let _ = writeln!(
                text,
                "{} the orchestrator was still busy at {} after a minute: the same orders may lead elsewhere",
                paint.notable("not settled:"),
                counted(count, "global state")
            );
        }
        for gap in self.account.gaps.iter().take(GAPS_TOLD_MAX) {
            let _ = writeln!(text, "{} {gap}", paint.notable("model gap:"));
        }
        let more = self.account.gaps.len().saturating_sub(GAPS_TOLD_MAX);
        if more > 0 {
            let _ = writeln!(text, "and {more} more differences from the model");
        }
        text
    }

    fn found(&self, text: &mut String, word: &str, name: &str, steps: &[ProcessName]) {
        let schedule = schedule_text(steps);
        let _ = writeln!(
            text,
            "{word} `{name}` after {}",
            counted(steps.len(), "step")
        );
        let option = if steps.is_empty() {
            String::new()
        } else {
            format!(" --schedule '{schedule}'")
        };
        let file = self.file.display();
        let _ = writeln!(text, "  again: zenekar verify {file} --live{option}");
    }

    fn to_json(&self) -> Value {
        let tree = self.traversal.tree();
        let account = self.account;
        let violated: Vec<Value> = account
            .violations
            .iter()
            .map(|(name, steps)| json!({ "property": name, "schedule": steps }))
            .collect();
        let stuck: Vec<Value> = account
            .stuck
            .iter()
            .map(|(name, steps)| json!({ "process": name, "schedule": steps }))
            .collect();
        let races: Vec<Value> = account
            .races()
            .map(|race| {
                json!({ "process": race.process, "tag": race.tag, "statuses": race.endings })
            })
            .collect();
        let endings: Vec<Value> = account
            .endings
            .iter()
            .map(|((process, tag), endings)| {
                let statuses: Vec<&String> = endings.keys().collect();
                json!({ "process": process, "tag": tag, "statuses": statuses })
            })
            .collect();
        json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "live",
            "infrastructure": self.name,
            "outcome": self.ending_word(),
            "runs": self.traversal.begun(),
            "reduced": self.traversal.is_reduced(),
            "states": tree.states().len(),
            "different": tree.distinct(),
            "ends": tree.leaves(),
            "unsteered": self.unsteered,
            "macrosteps": account.macrosteps,
            "macrostep_median_ms": account.median_ms(),
            "postponed": self.postponed,
            "unsettled": self.unsettled,
            "violated": violated,
            "stuck": stuck,
            "report": self.reproduction.as_ref().map(Reproduction::to_json),
            "order_matters": races,
            "endings": endings,
            "ran_ahead": account.ran_ahead,
            "not_followed": account.diverged,
            "given_up": self.traversal.given_up(),
            "model_gaps": account.gaps,
            "failures": account.failures,
        })
    }
}
