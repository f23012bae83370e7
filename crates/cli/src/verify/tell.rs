//! Tells what was explored and what was found.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use zenekar_search::End;
use zenekar_verify::{Setting, Step};

use super::explore::{Explored, Round, label};
use super::findings::Finding;
use super::watchdog::Reason;
use crate::arguments::VerifyArguments;
use crate::errors::Failure;
use crate::output::{Output, SCHEMA_VERSION, columns, counted, grouped};

/// Sentences that are told of one run; the report has all steps.
const SENTENCES_SHOWN_MAX: usize = 200;

/// Everything that there is to tell.
pub(crate) struct Told<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) explored: &'a Explored,
    pub(crate) findings: &'a [Finding],
    /// The files into which the findings were written.
    pub(crate) files: &'a [PathBuf],
}

impl Told<'_> {
    /// Tells it.
    pub(crate) fn tell(&self, arguments: &VerifyArguments, output: Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.json(&to_json(self, arguments));
        }
        let mut text = String::new();
        for finding in self.findings {
            tell_finding(&mut text, finding, output);
        }
        for file in self.files {
            let _ = writeln!(
                text,
                "it happens again by `zenekar replay {}`\n",
                file.display()
            );
        }
        tell_rounds(&mut text, self.explored);
        tell_bounds(&mut text, self.setting, self.explored, output);
        output.data(&text)
    }
}

fn count(number: u64) -> String {
    grouped(usize::try_from(number).unwrap_or(usize::MAX))
}

fn tell_finding(text: &mut String, finding: &Finding, output: Output) {
    let paint = output.data_paint;
    let _ = writeln!(
        text,
        "{} {}: {}",
        paint.bad("violated"),
        paint.strong(&finding.name),
        finding.promise
    );
    let (faults, delays) = finding.bounds();
    let shortest = if finding.is_shortest {
        ", and not in fewer"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "with {} it can happen in {}{shortest}:",
        label(faults, delays),
        counted(finding.run.choices.len(), "step"),
    );
    for sentence in finding.story.sentences.iter().take(SENTENCES_SHOWN_MAX) {
        let _ = writeln!(text, "{sentence}");
    }
    let more = finding.story.sentences.len();
    if more > SENTENCES_SHOWN_MAX {
        let _ = writeln!(text, "      … and {} more", more - SENTENCES_SHOWN_MAX);
    }
    let _ = writeln!(text, "{}", finding.story.ending);
    for sentence in &finding.otherwise {
        let _ = writeln!(text, "  {sentence}");
    }
    text.push('\n');
}

fn tell_rounds(text: &mut String, explored: &Explored) {
    let head = [
        "BOUNDS",
        "STATES",
        "GENERATED",
        "DEPTH",
        "TIME",
        "ALL OF THEM",
    ];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for round in &explored.rounds {
        table.push(vec![
            round.label(),
            count(round.unique),
            count(round.generated),
            count(u64::from(round.depth)),
            format!("{:.1}s", round.took.as_secs_f64()),
            ended(round, explored.reason).to_owned(),
        ]);
    }
    let _ = writeln!(text, "{}\n", columns(&table, 0).join("\n"));
}

/// Says whether a round visited everything, or what ended it.
fn ended(round: &Round, reason: Option<Reason>) -> &'static str {
    match (round.end, reason) {
        (End::Exhausted, _) => "yes",
        (End::Violation, _) => "no: to the first violation",
        (End::Walks, _) => "no: random runs",
        (End::States, _) => "no: `--states`",
        (End::Depth, _) => "no: `--depth`",
        (End::Memory, _) | (End::Stopped, Some(Reason::Memory)) => "no: `--memory`",
        (End::Stopped, Some(Reason::Time)) => "no: `--time`",
        (End::Stopped, _) => "no: interrupted",
    }
}

fn tell_bounds(text: &mut String, setting: &Setting, explored: &Explored, output: Output) {
    let script: Vec<String> = setting.script.iter().map(step_label).collect();
    let reached = explored.reached().map(Round::label);
    let paint = output.data_paint;
    let _ = match (&reached, explored.found.is_empty()) {
        (Some(reached), true) if explored.is_exhausted() => writeln!(
            text,
            "{} within these bounds: every order of `{}` with {reached} was explored",
            paint.good("nothing found"),
            script.join(", "),
        ),
        (Some(reached), true) => writeln!(
            text,
            "{}: every order of `{}` with {reached} was explored, and a part of what more allows",
            paint.notable("nothing found so far"),
            script.join(", "),
        ),
        (None, true) => writeln!(
            text,
            "{}: only a part of `{}` was explored",
            paint.notable("nothing found so far"),
            script.join(", "),
        ),
        (Some(reached), false) => writeln!(
            text,
            "with {reached} nothing else was found in any order of `{}`",
            script.join(", ")
        ),
        (None, false) => Ok(()),
    };
    if let Some(instances) = explored.too_many {
        let _ = writeln!(
            text,
            "the descriptor's own counts were not explored: {} are too many",
            counted(usize::try_from(instances).unwrap_or(usize::MAX), "instance"),
        );
    } else if !explored.is_exhausted() && explored.found.is_empty() {
        text.push_str("`--time`, `--states` and `--memory` allow more; `--faults` and `--delays` ask for less\n");
    }
}

/// Writes a step of a script as the command line has it.
pub(crate) fn step_label(step: &Step) -> String {
    step.label()
}

fn to_json(told: &Told<'_>, arguments: &VerifyArguments) -> Value {
    let (setting, explored) = (told.setting, told.explored);
    let rounds = explored.rounds.iter().map(|round| {
        json!({
            "counts": round.note,
            "faults": round.faults,
            "delays": round.delays,
            "states": round.unique,
            "generated": round.generated,
            "depth": round.depth,
            "ends": round.ends,
            "exhausted": round.is_exhausted(),
            "seconds": round.took.as_secs_f64(),
        })
    });
    let violations = told.findings.iter().map(|finding| {
        let (faults, delays) = finding.bounds();
        let sentences = finding.story.sentences.iter();
        json!({
            "property": finding.name,
            "promise": finding.promise,
            "faults": faults,
            "delays": delays,
            "steps": finding.run.choices.len(),
            "minimal": finding.is_minimal,
            "shortest": finding.is_shortest,
            "sentences": sentences.map(|one| one.text.as_str()).collect::<Vec<_>>(),
            "ending": finding.story.ending,
            "otherwise": finding.otherwise,
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "verification",
        "infrastructure": setting.topology.name(),
        "script": setting.script.iter().map(step_label).collect::<Vec<_>>(),
        "strategy": arguments.search.strategy.name(),
        "bounds": {
            "faults": setting.allowance.faults,
            "delays": setting.allowance.delays,
            "kinds": setting.faults.iter().map(zenekar_verify::Fault::name).collect::<Vec<_>>(),
            "patience_ms": setting.allowance.patience.0,
        },
        "exhausted": explored.is_exhausted(),
        "states": explored.states(),
        "seconds": explored.took.as_secs_f64(),
        "rounds": rounds.collect::<Vec<_>>(),
        "violations": violations.collect::<Vec<_>>(),
        "reports": told.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "behaviours": setting.behaviours,
    })
}
