//! Diagrams of runs.

use zenekar_picture::{Message, SpaceTime, Step, StepKind};

use crate::examples::run;
use crate::{look, words};

#[test]
fn small_runs_are_drawn_in_full() {
    let run = run(5);
    let svg = run.to_svg();
    look("run-5", &svg);
    let words = words(&svg);
    for text in run
        .lanes
        .iter()
        .chain(["M1", "M2", "M3"].map(str::to_owned).iter())
    {
        assert!(words.contains(text), "{text}");
    }
    for text in [
        "install",
        "bp 1",
        "reboot",
        "open port 3306",
        "bp 1 reached",
        "booted",
    ] {
        assert!(words.iter().any(|word| word == text), "{text}");
    }
    assert!(
        !words.iter().any(|word| word.contains("Not drawn")),
        "{words:?}"
    );
    assert_eq!(svg, run.to_svg(), "the same data are the same picture");
}

#[test]
fn fifty_clients_are_legible() {
    let svg = run(50).to_svg();
    look("run-50", &svg);
    let words = words(&svg);
    assert!(words.contains(&"client-49".to_owned()));
}

#[test]
fn what_is_too_much_is_left_out_and_told() {
    let mut many = run(100);
    many.lanes.push("idle".to_owned());
    let svg = many.to_svg();
    look("run-100", &svg);
    let words = words(&svg);
    let labels: Vec<&String> = many.steps.iter().map(|step| &step.label).collect();
    let drawn = words.iter().filter(|word| labels.contains(word)).count();
    let missing = format!(
        "Not drawn: lanes in which nothing happens (1), other lanes (39), steps ({}), ",
        many.steps.len() - drawn
    );
    assert!(
        words.iter().any(|word| word.starts_with(&missing)),
        "{words:?}"
    );
    assert!(!words.contains(&"client-99".to_owned()));
}

#[test]
fn what_names_nothing_is_left_out() {
    let run = SpaceTime {
        lanes: vec!["<&>".to_owned()],
        steps: vec![
            Step {
                at_ms: u64::MAX,
                lane: 0,
                kind: StepKind::Fault,
                label: "\u{0}".to_owned(),
            },
            Step {
                at_ms: 5,
                lane: 0,
                kind: StepKind::Segment { until_ms: 1 },
                label: String::new(),
            },
            Step {
                at_ms: 0,
                lane: 9,
                kind: StepKind::Decision,
                label: "nowhere".to_owned(),
            },
        ],
        messages: vec![
            Message {
                from: 0,
                to: 1,
                label: "back".to_owned(),
                is_postponed: true,
                is_lost: true,
            },
            Message {
                from: 0,
                to: 2,
                label: "?".to_owned(),
                is_postponed: false,
                is_lost: false,
            },
            Message {
                from: 0,
                to: 77,
                label: "?".to_owned(),
                is_postponed: false,
                is_lost: false,
            },
        ],
        boundaries: Vec::new(),
    };
    let svg = run.to_svg();
    look("run-hostile", &svg);
    let words = words(&svg);
    let missing = "Not drawn: steps (1), messages (2).";
    assert!(words.contains(&missing.to_owned()), "{words:?}");
    look("run-empty", &SpaceTime::default().to_svg());
}
