//! How many of the runs that are found by exploring happen on real nodes too, at
//! the first try: real commands in instances of this machine, which fail, wait
//! for each other, or lose what another one wrote.
//!
//! `ZENEKAR_TEST_BUDGET=deep` takes all of them, and tries each in an order in
//! which nothing goes wrong, too; otherwise there are three. `--nocapture` prints
//! the table.

#![expect(clippy::print_stderr, reason = "the table is what is measured")]

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::Value;

use crate::live::machine;
use crate::local::Machine;

mod cases;
mod descriptor;

use cases::CASES;
use descriptor::{Case, Wrong};

/// How much of what is found has to happen at the first try.
const SHARE_MIN_PERCENT: usize = 95;

/// Cases that are tried always, of each kind one.
const ALWAYS: &[&str] = &[
    "early-join",
    "taken-and-put-back",
    "joined-before-configured",
];

fn is_deep() -> bool {
    std::env::var_os("ZENEKAR_TEST_BUDGET").is_some_and(|budget| budget == "deep")
}

/// What became of one run that was found.
struct Tried {
    case: &'static str,
    property: String,
    /// `reproduced`, `not reproduced`, `not possible`.
    outcome: String,
    reason: String,
    seconds: u64,
    /// Whether what was seen is a run of the model, to the same end.
    again: bool,
    /// Whether the other order was well, where it was tried.
    control: Option<bool>,
}

#[test]
fn what_is_found_happens_on_real_nodes() {
    let Some(machine) = machine() else { return };
    let wanted = CASES
        .iter()
        .filter(|case| is_deep() || ALWAYS.contains(&case.name));
    let tried: Vec<Tried> = wanted.flat_map(|case| try_case(&machine, case)).collect();
    eprintln!("{}", table(&tried));
    let possible = tried.iter().filter(|one| one.outcome != "not possible");
    let shown = tried.iter().filter(|one| one.outcome == "reproduced");
    let (possible, shown) = (possible.count(), shown.count());
    eprintln!("{shown} of {possible} that real nodes can be made to do happened at the first try");
    assert!(possible > 0, "nothing was tried");
    assert!(
        shown * 100 >= possible * SHARE_MIN_PERCENT,
        "{}",
        table(&tried)
    );
    let shown = tried.iter().filter(|one| one.outcome == "reproduced");
    let mut shown = shown.filter(|one| !one.again);
    assert!(shown.next().is_none(), "{}", table(&tried));
    let wrong = tried.iter().filter(|one| one.control == Some(false));
    assert_eq!(
        wrong.count(),
        0,
        "the other order is not well: {}",
        table(&tried)
    );
    for case in CASES.iter().filter(|case| case.wrong == Wrong::Impossible) {
        let mut of_case = tried.iter().filter(|one| one.case == case.name);
        assert!(
            of_case.all(|one| one.outcome == "not possible"),
            "{}",
            table(&tried)
        );
    }
}

/// Explores a descriptor, and tries what is found.
fn try_case(machine: &Machine, case: &'static Case) -> Vec<Tried> {
    let (file, report) = (
        format!("{}.yaml", case.name),
        format!("{}.jsonl", case.name),
    );
    machine.sandbox.write(&file, &case.descriptor());
    machine.sandbox.write("stated.yaml", case.stated);
    let stated = ["--property", "stated.yaml"];
    let mut explore = vec!["verify", &file, "--report", &report, "--output", "json"];
    explore.extend(["--faults", "0"]);
    explore.extend(case.explored_with);
    if case.wrong == Wrong::Stated {
        explore.extend(stated);
    }
    let found = machine.run(&explore).expect(11).json();
    let files = found["reports"].as_array().cloned().unwrap_or_default();
    assert!(!files.is_empty(), "{}: {found}", case.name);
    let control = is_deep()
        .then(|| {
            case.good
                .map(|schedule| control(machine, case, &file, schedule))
        })
        .flatten();
    let names = files.iter().filter_map(Value::as_str);
    names
        .map(|name| {
            let began = Instant::now();
            let mut live = vec!["verify", &file, "--live", "--deadline", case.deadline];
            live.extend(["--from-report", name, "--output", "json"]);
            live.extend(["--report", "seen.jsonl"]);
            if !case.stated.is_empty() {
                live.extend(stated);
            }
            let run = machine.run(&live);
            assert!(!run.stdout.is_empty(), "{}: {}", case.name, run.stderr);
            let report = run.json()["report"].clone();
            let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
            let again = machine.run(&["replay", "seen.jsonl", "--output", "json"]);
            if again.code != Some(0) {
                eprintln!("{}: {}{}", case.name, again.stdout, again.stderr);
            }
            Tried {
                again: again.code == Some(0),
                case: case.name,
                property: text("property"),
                outcome: text("outcome"),
                reason: text("reason"),
                seconds: began.elapsed().as_secs(),
                control,
            }
        })
        .collect()
}

/// Says whether nothing goes wrong in another order.
fn control(machine: &Machine, case: &Case, file: &str, schedule: &str) -> bool {
    let mut live = vec![
        "verify",
        file,
        "--live",
        "--at-segments",
        "--output",
        "json",
    ];
    live.extend(["--deadline", case.deadline]);
    if !schedule.is_empty() {
        live.extend(["--schedule", schedule]);
    }
    if !case.stated.is_empty() {
        live.extend(["--property", "stated.yaml"]);
    }
    let run = machine.run(&live);
    assert!(!run.stdout.is_empty(), "{}: {}", case.name, run.stderr);
    let found = run.json();
    let mut endings = found["endings"].as_array().into_iter().flatten();
    let failed = endings.any(|ending| ending["statuses"] != serde_json::json!(["0"]));
    if run.code != Some(0) || failed {
        eprintln!("{}: {}{}", case.name, run.stdout, run.stderr);
    }
    run.code == Some(0) && !failed
}

fn table(tried: &[Tried]) -> String {
    let mut text = String::from(
        "| descriptor | property | on real nodes | what is seen | in the model | other order | s |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for one in tried {
        let again = if one.again { "the same" } else { "differs" };
        let control = match one.control {
            None => "",
            Some(true) => "well",
            Some(false) => "not well",
        };
        let _infallible = writeln!(
            text,
            "| {} | `{}` | {} | {} | {again} | {control} | {} |",
            one.case, one.property, one.outcome, one.reason, one.seconds
        );
    }
    text
}
