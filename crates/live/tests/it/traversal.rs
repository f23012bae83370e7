//! Traversals reach what the published method reaches, and less where that is enough.

use std::sync::Arc;

use zenekar_base::Random;
use zenekar_diagnostics::SourceMap;
use zenekar_live::{
    CollectiveBreakpoint, Event, ExecutionTree, GlobalState, Independence, Kind, Mode, Next,
    Outcome, ProcessName, RunId, Then, Traversal, TreeError,
};
use zenekar_property::{PropertySet, Reader};

use crate::nodes::{Script, act_all, begin, processes, run, traverse};

fn scripts(lengths: &[(&str, u32, u32)]) -> Vec<Script> {
    lengths
        .iter()
        .flat_map(|(node, count, length)| {
            let names = processes(&[(*node, *count)]);
            names.into_iter().map(|name| Script::new(&name, *length))
        })
        .collect()
}

pub(crate) fn properties(formulas: &[&str]) -> PropertySet {
    let mut sources = SourceMap::new();
    let mut reader = Reader::new();
    for formula in formulas {
        let file = sources.add("formula", *formula);
        reader.formula(formula, formula, file);
    }
    let (set, diagnostics) = reader.finish();
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    set
}

#[test]
fn everything_is_run_as_often_as_computed() {
    for (lengths, leaves, states, distinct) in [
        (vec![("a", 3, 3)], 90, 271, 27),
        (vec![("cl", 2, 3), ("srv", 1, 4)], 210, 650, 36),
        (vec![("a", 1, 1), ("b", 1, 2)], 1, 2, 2),
    ] {
        let mut traversal = Traversal::new(PropertySet::default(), None);
        traverse(&mut traversal, &scripts(&lengths));
        let tree = traversal.tree();
        assert_eq!(traversal.begun(), leaves, "{lengths:?}");
        assert_eq!(
            (tree.leaves() as u64, tree.states().len(), tree.distinct()),
            (leaves, states, distinct),
            "{lengths:?}"
        );
        assert!(tree.states().iter().all(|state| state.exhausted));
        assert!(traversal.given_up().is_empty());
    }
}

#[test]
fn the_tree_is_that_of_the_original() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let events = traverse(&mut traversal, &scripts(&[("a", 1, 2), ("b", 1, 3)]));
    let tree = traversal.tree();
    let shown: Vec<String> = tree
        .states()
        .iter()
        .map(|state| {
            let stepped = state.stepped.as_ref().map(ProcessName::to_string);
            format!(
                "{} {:?} {}",
                stepped.unwrap_or_default(),
                state.kind,
                state.breakpoints
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#" Root {"a":[1],"b":[1]}"#,
            r#"a[1] Deterministic {"a":[2],"b":[1]}"#,
            r#"b[1] Deterministic {"a":[2],"b":[2]}"#,
            r#"b[1] Final {"a":[2],"b":[3]}"#,
            r#"b[1] Alternative {"a":[1],"b":[2]}"#,
            r#"a[1] Deterministic {"a":[2],"b":[2]}"#,
            r#"b[1] Final {"a":[2],"b":[3]}"#,
            r#"b[1] Deterministic {"a":[1],"b":[3]}"#,
            r#"a[1] Final {"a":[2],"b":[3]}"#,
        ]
    );
    let ends = events
        .iter()
        .filter(|event| matches!(event, Event::Ended(Outcome::Finished)));
    assert_eq!(ends.count(), 3);
}

#[test]
fn one_run_of_each_class_is_enough() {
    // Clients contact the server at their second step, and that opens at its second.
    let shared: Independence = Arc::new(|one, two| one.from != 2 || two.from != 2);
    for (clients, classes) in [(1, 2), (2, 6), (3, 24), (4, 120)] {
        let mut traversal = Traversal::new(PropertySet::default(), Some(Arc::clone(&shared)));
        traverse(
            &mut traversal,
            &scripts(&[("cl", clients, 4), ("srv", 1, 4)]),
        );
        assert_eq!(traversal.tree().leaves(), classes, "{clients}");
        assert_eq!(traversal.begun(), classes as u64, "{clients}");
    }
}

#[test]
fn contacts_that_commute_make_fewer_classes() {
    let commuting: Independence = Arc::new(|one, two| {
        let has_server = [one, two].iter().any(|step| step.process.node == "srv");
        !has_server || one.from != 2 || two.from != 2
    });
    for (clients, classes) in [(1, 2), (2, 4), (3, 8), (4, 16)] {
        let mut traversal = Traversal::new(PropertySet::default(), Some(Arc::clone(&commuting)));
        traverse(
            &mut traversal,
            &scripts(&[("cl", clients, 4), ("srv", 1, 4)]),
        );
        assert_eq!(traversal.tree().leaves(), classes, "{clients}");
        assert_eq!(traversal.begun(), classes as u64, "{clients}");
    }
}

#[test]
fn properties_are_checked_in_each_state() {
    let set = properties(&[
        "never any breakpoint(cl) >= 2 and none breakpoint(srv) >= 2",
        "eventually all finished(cl)",
        "eventually all var(srv, at) = 4",
        "always count(cl) = 1",
    ]);
    let mut traversal = Traversal::new(set, None);
    traverse(&mut traversal, &scripts(&[("cl", 1, 2), ("srv", 1, 3)]));
    let violated: Vec<(String, Vec<&str>)> = traversal
        .tree()
        .states()
        .iter()
        .filter(|state| !state.violated.is_empty())
        .map(|state| {
            let names = state.violated.iter().map(String::as_str).collect();
            (state.breakpoints.to_string(), names)
        })
        .collect();
    let early = "never any breakpoint(cl) >= 2 and none breakpoint(srv) >= 2";
    let missing = "eventually all var(srv, at) = 4";
    assert_eq!(
        violated,
        [
            (r#"{"cl":[2],"srv":[1]}"#.to_owned(), vec![early]),
            (r#"{"cl":[2],"srv":[3]}"#.to_owned(), vec![missing]),
            (r#"{"cl":[2],"srv":[3]}"#.to_owned(), vec![missing]),
            (r#"{"cl":[2],"srv":[3]}"#.to_owned(), vec![missing]),
        ]
    );
}

/// A state of one node, and the step that led there.
fn entered(stepped: Option<&str>, numbers: &[u32], unfinished: &[&str]) -> Event {
    let name = |text: &str| -> ProcessName { text.parse().expect("a name") };
    Event::Entered {
        state: GlobalState {
            breakpoints: CollectiveBreakpoint([("a".to_owned(), numbers.to_vec())].into()),
            unfinished: unfinished.iter().copied().map(name).collect(),
            ..GlobalState::default()
        },
        stepped: stepped.map(name),
        took_ms: None,
    }
}

fn begun(traversal: &mut Traversal) -> (RunId, Vec<String>) {
    match traversal.begin() {
        Next::Run(id, schedule) => {
            let names = schedule.iter().map(ToString::to_string).collect();
            (id, names)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn runs_that_do_not_follow_are_given_up() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let lost = Event::Ended(Outcome::Diverged(ProcessName::new("a", 1)));
    // The first attempt is without any step; what it saw is used by the next.
    for steps in [0, 1, 1, 1] {
        let (id, schedule) = begun(&mut traversal);
        assert_eq!(schedule.len(), steps);
        for event in [entered(None, &[1], &["a[1]"]), lost.clone()] {
            traversal.observe(id, &event).expect("it fits");
        }
    }
    assert_eq!(traversal.begin(), Next::Done);
    assert_eq!(traversal.given_up().len(), 1);
    assert_eq!(traversal.tree().states()[0].kind, Kind::Root);
}

#[test]
fn runs_that_begin_otherwise_are_told() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let (id, _) = begun(&mut traversal);
    let root = entered(None, &[1], &["a[1]"]);
    traversal.observe(id, &root).expect("it is the first");
    traversal.abandon(id);
    let (id, _) = begun(&mut traversal);
    let other = traversal.observe(id, &entered(None, &[2], &["a[1]"]));
    assert!(
        matches!(other, Err(TreeError::NotReproducible { .. })),
        "{other:?}"
    );
    // The run is given up, and another one begins in its place.
    assert_eq!(begun(&mut traversal).1, ["a[1]"]);
}

#[test]
fn who_never_came_ends_no_traversal() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let missing = |name: &str| GlobalState {
        stuck: vec![name.parse().expect("a name")],
        ..GlobalState::default()
    };
    for _ in 0..3 {
        let (id, schedule) = begun(&mut traversal);
        assert!(schedule.is_empty());
        let state = missing("a[1]");
        let stuck = Outcome::Stuck(state.stuck.clone());
        for event in [
            Event::Entered {
                state,
                stepped: None,
                took_ms: None,
            },
            Event::Ended(stuck),
        ] {
            traversal.observe(id, &event).expect("it fits");
        }
    }
    assert_eq!(
        (traversal.begin(), traversal.tree().root()),
        (Next::Done, None)
    );
    assert_eq!(traversal.given_up(), [&[] as &[ProcessName]]);
}

#[test]
fn who_is_stuck_on_the_way_is_a_leaf() {
    let mut traversal = Traversal::new(PropertySet::default(), None);
    let names = processes(&[("a", 2)]);
    let mut ends = Vec::new();
    while let Next::Run(id, schedule) = traversal.begin() {
        let mut session = begin(&names, Mode::Scheduled(schedule, Then::First));
        // The second never comes from its first breakpoint to its second.
        let mut scripts = [Script::new(&names[0], 2), Script::new(&names[1], 1)];
        scripts[1].length = 2;
        for script in &mut scripts {
            script.act(&mut session, 0);
        }
        act_all(&mut session, &mut scripts[..1], 0);
        while session.outcome().is_none() {
            let refreshed = session.next(&crate::nodes::id_of(&names[1]));
            if refreshed == Ok(zenekar_live::Answer::Refresh) {
                let report = crate::nodes::report(&names[1], "", &serde_json::json!({}));
                let id = crate::nodes::id_of(&names[1]);
                session.refresh(0, &id, report).expect("it is taken");
                act_all(&mut session, &mut scripts[..1], 0);
            } else {
                let deadline_ms = session.next_deadline_ms().expect("somebody is waited for");
                session.tick(deadline_ms);
            }
        }
        ends.extend(session.outcome().cloned());
        while let Some(event) = session.next_event() {
            traversal
                .observe(id, &event)
                .expect("runs are reproducible");
        }
    }
    let stuck = Outcome::Stuck(vec![names[1].clone()]);
    assert_eq!(ends, [stuck.clone(), stuck]);
    let kinds: Vec<(Kind, String)> = traversal
        .tree()
        .states()
        .iter()
        .map(|state| (state.kind, state.breakpoints.to_string()))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::Root, r#"{"a":[1,1]}"#.to_owned()),
            (Kind::Deterministic, r#"{"a":[2,1]}"#.to_owned()),
            (Kind::Stuck, r#"{"a":[2,1]}"#.to_owned()),
            (Kind::Stuck, r#"{"a":[1,1]}"#.to_owned()),
        ]
    );
}

#[test]
fn several_runs_at_a_time_find_the_same_tree() {
    let scripts = scripts(&[("a", 3, 3)]);
    let mut alone = Traversal::new(PropertySet::default(), None);
    traverse(&mut alone, &scripts);
    for width in [2, 8] {
        let mut traversal = Traversal::new(PropertySet::default(), None);
        let mut random = Random::from_seed(width);
        let mut under_way: Vec<(RunId, std::vec::IntoIter<Event>)> = Vec::new();
        let mut most = 0;
        loop {
            while under_way.len() < usize::try_from(width).expect("it is small") {
                match traversal.begin() {
                    Next::Run(id, schedule) => {
                        under_way.push((id, run(schedule, &scripts).into_iter()));
                    }
                    Next::Wait | Next::Done => break,
                }
            }
            most = most.max(under_way.len());
            if under_way.is_empty() {
                break;
            }
            // Their events come in any order.
            let bound = u64::try_from(under_way.len()).expect("it is small");
            let at = usize::try_from(random.below(bound)).expect("it is small");
            match under_way[at].1.next() {
                Some(event) => {
                    let id = under_way[at].0;
                    traversal
                        .observe(id, &event)
                        .expect("runs are reproducible");
                }
                None => drop(under_way.remove(at)),
            }
        }
        assert_eq!(most, usize::try_from(width).expect("it is small"));
        assert_eq!(traversal.begun(), 90);
        assert_eq!(in_order(&traversal), in_order(&alone));
    }
}

/// The states from the left to the right, without their numbers.
fn in_order(traversal: &Traversal) -> Vec<(Vec<String>, Kind, bool)> {
    let tree = traversal.tree();
    tree.in_order()
        .into_iter()
        .filter_map(|id| Some((id, tree.get(id)?)))
        .map(|(id, state)| {
            let steps = tree.schedule_to(id);
            let steps = steps.iter().map(ToString::to_string).collect();
            (steps, state.kind, state.exhausted)
        })
        .collect()
}

#[test]
fn a_tree_that_was_kept_is_gone_on_with() {
    let scripts = scripts(&[("a", 2, 3)]);
    let mut first = Traversal::new(PropertySet::default(), None);
    for _ in 0..3 {
        let Next::Run(id, schedule) = first.begin() else {
            panic!("there are six");
        };
        for event in run(schedule, &scripts) {
            first.observe(id, &event).expect("runs are reproducible");
        }
    }
    let kept = serde_json::to_string(first.tree()).expect("it can be kept");
    let tree: ExecutionTree = serde_json::from_str(&kept).expect("it is a tree");
    let mut second = Traversal::resume(tree, PropertySet::default(), None);
    traverse(&mut second, &scripts);
    assert_eq!((second.begun(), second.tree().leaves()), (3, 6));
    // What is none is refused.
    let mut states: Vec<serde_json::Value> = serde_json::from_str(&kept).expect("it is a list");
    states.swap(1, 2);
    let swapped = serde_json::from_value::<ExecutionTree>(states.into());
    assert!(swapped.is_err());
}
