//! Recorded runs are repeated to the last bit, and what has changed is found.

use std::collections::BTreeSet;
use std::sync::Arc;

use zenekar_base::Random;
use zenekar_diagnostics::{FileId, SourceMap, Span, render_concise};
use zenekar_model::CountRange;
use zenekar_model::behaviour::{Behaviours, Give, Segment};
use zenekar_search::Model;
use zenekar_verify::{
    Action, Comparison, Counts, Described, Fault, Header, Provenance, ReplayFile, Run, Setting,
    Verdict, World, record, replay, with_counts,
};

use crate::setting::{behaviours, explore, port_of, segment, topology};

/// How often a run is repeated by each thread.
const REPLAYS: u32 = 5_000;

/// A worker joins its master, which may not listen yet.
pub(crate) fn joining(retries: bool) -> Behaviours {
    let opens = Segment {
        gives: vec![Give::Port(7077)],
        ..segment("start the service")
    };
    let joins = Segment {
        needs: vec![port_of("master", 7077)],
        retries,
        ..segment("join the master")
    };
    behaviours(vec![
        ("master", vec![opens], vec![]),
        ("worker", vec![joins], vec![]),
    ])
}

pub(crate) fn joining_too_early() -> Setting {
    let rows: [crate::setting::Row<'_>; 2] = [("master", 1, &[]), ("worker", 1, &[0])];
    let mut setting = Setting::new(topology("openstack", &rows), joining(false));
    setting.allowance.faults = 0;
    setting
}

/// Finds the first breach of a setting.
pub(crate) fn find(setting: &Setting) -> Vec<Action> {
    explore(setting.clone(), 1)
        .violations
        .swap_remove(0)
        .actions
}

fn provenance() -> Provenance {
    Provenance {
        descriptor: Described {
            path: "spark.yaml".to_owned(),
            digest: "sha256:00".to_owned(),
        },
        engine: "0.0.0".to_owned(),
        ..Provenance::default()
    }
}

fn file_of(setting: &Setting, run: &Run) -> ReplayFile {
    let header = Header::of(setting, &setting.topology, provenance());
    ReplayFile::new(header, run, false)
}

fn recorded() -> (Setting, ReplayFile) {
    let setting = joining_too_early();
    let run = record(&World::new(setting.clone()), &find(&setting));
    let file = file_of(&setting, &run.expect("what was found is possible"));
    (setting, file)
}

fn nowhere() -> Span {
    Span::empty(FileId(0), 0)
}

/// Goes some other ways first, so that parts are known by other numbers.
fn wander(world: &World, steps: usize) {
    let mut state = world.initial().swap_remove(0);
    for step in 0..steps {
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        let Some(action) = actions.get(step * 7 % actions.len().max(1)) else {
            state = world.initial().swap_remove(0);
            continue;
        };
        for other in &actions {
            world.apply(&state, other);
        }
        state = world.apply(&state, action).expect("actions are possible");
    }
}

#[test]
fn a_run_tells_what_happened_out_of_how_much() {
    let (_, file) = recorded();
    let Verdict::Violated { property, step } = &file.verdict else {
        panic!("{:?}", file.verdict);
    };
    assert_eq!(property, "needs-are-there");
    assert_eq!(*step as usize, file.choices.len());
    assert_eq!(file.choices[0].label, "people ask for `up`");
    let last = file.choices.last().expect("there are steps");
    assert_eq!(last.label, "worker/1: join the master");
    assert!(file.choices.iter().all(|choice| choice.pick < choice.of));
    assert!(file.choices.iter().any(|choice| choice.of > 1));
    assert!(file.choices.is_sorted_by_key(|choice| choice.at_ms));
}

#[test]
fn replays_are_the_same_to_the_last_bit() {
    let (setting, file) = recorded();
    let worlds = [0, 50, 400].map(|steps| {
        let world = World::new(setting.clone());
        wander(&world, steps);
        world
    });
    let run = replay(&worlds[0], &file).run;
    let check = |first: usize| {
        for turn in 0..REPLAYS {
            let replayed = if turn % 100 == 99 {
                replay(&World::new(setting.clone()), &file)
            } else {
                replay(&worlds[(first + turn as usize) % worlds.len()], &file)
            };
            assert_eq!(replayed.comparison, Comparison::Same);
            assert!(replayed.moved.is_empty());
            assert_eq!(replayed.run, run);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| check(0));
        scope.spawn(|| check(1));
    });
}

#[test]
fn files_are_read_as_they_were_written() {
    let (setting, mut file) = recorded();
    for verdict in [Verdict::Passed, Verdict::Open, file.verdict.clone()] {
        file.verdict = verdict;
        file.is_minimal ^= true;
        let text = file.to_text();
        let (read, mistakes) = ReplayFile::parse(&text, FileId(0));
        assert_eq!((read.as_ref(), mistakes.as_slice()), (Some(&file), &[][..]));
    }
    let read = file
        .header
        .setting(
            &setting.topology,
            setting.behaviours.clone(),
            vec![],
            nowhere(),
        )
        .expect("the header says what it was made of");
    assert_eq!(read.script, setting.script);
    assert_eq!(read.allowance, setting.allowance);
    assert_eq!(read.faults, setting.faults);
    assert_eq!(
        replay(&World::new(read), &file).comparison,
        Comparison::Same
    );
}

#[test]
fn headers_keep_what_differs_from_the_descriptor() {
    let described = topology("ec2", &[("master", 1, &[]), ("worker", 3, &[0])]);
    let counts = Counts::from([("worker".to_owned(), CountRange { min: 1, max: 2 })]);
    let smaller = with_counts(&described, &counts).expect("counts are in order");
    let mut setting = Setting::new(Arc::new(smaller), joining(true));
    setting.faults = [Fault::Throttled, Fault::EngineCrash].into_iter().collect();
    setting.personality = Some(zenekar_verify::Personality::of("azure"));
    setting.quota = Some(4);
    let header = Header::of(&setting, &described, provenance());
    let read = header
        .setting(&described, joining(true), vec![], nowhere())
        .expect("the header says what it was made of");
    assert_eq!(read.topology, setting.topology);
    assert_eq!((read.faults, read.quota), (setting.faults, setting.quota));
    assert_eq!(read.personality, setting.personality);
    let broken = Header {
        faults: vec!["throtled".to_owned()],
        personality: Some("moon".to_owned()),
        ..header
    };
    let mistakes = broken
        .setting(&described, joining(true), vec![], nowhere())
        .expect_err("two names are not known");
    assert_eq!(mistakes.len(), 2);
    assert_eq!(mistakes[0].help, ["did you mean `throttled`?"]);
}

#[test]
fn the_step_is_found_at_which_something_else_happens() {
    let (setting, file) = recorded();
    // The worker waits now.
    let healed = World::new(Setting {
        behaviours: joining(true),
        ..setting.clone()
    });
    let replayed = replay(&healed, &file);
    let Comparison::Diverged {
        step,
        expected,
        possible,
    } = &replayed.comparison
    else {
        panic!("{:?}", replayed.comparison);
    };
    assert_eq!(*step as usize, file.choices.len());
    assert_eq!(expected, "worker/1: join the master");
    assert!(!possible.contains(expected));
    let text = file.to_text();
    let mut sources = SourceMap::new();
    let id = sources.add("run.jsonl", text.clone());
    let diagnostic = replayed.diagnostic(&file.verdict, &text, id);
    let shown = render_concise(&[diagnostic.expect("something differs")], &sources);
    let place = format!("run.jsonl:{}:1: error[ZK1007]", file.choices.len() + 1);
    assert!(shown.starts_with(&place), "{shown}");
}

#[test]
fn labels_count_and_places_do_not() {
    let (setting, mut file) = recorded();
    let world = World::new(setting);
    let last = file.choices.last_mut().expect("there are steps");
    last.of += 1;
    last.pick = last.of - 1;
    let replayed = replay(&world, &file);
    assert_eq!(replayed.comparison, Comparison::Same);
    assert_eq!(
        replayed.moved,
        [u32::try_from(file.choices.len()).expect("few")]
    );
    file.choices[2].state.0 ^= 1;
    let replayed = replay(&world, &file);
    assert_eq!(replayed.comparison, Comparison::Changed { step: 3 });
    assert!(replayed.has_recorded_verdict());
    file.verdict = Verdict::Open;
    let comparison = replay(&world, &file).comparison;
    assert_eq!(comparison, Comparison::OtherVerdict { changed: Some(3) });
}

#[test]
fn whatever_happens_can_be_replayed() {
    let rows: [crate::setting::Row<'_>; 2] = [("master", 1, &[]), ("worker", 2, &[0])];
    let mut setting = Setting::new(topology("ec2", &rows), joining(true));
    setting.allowance.faults = 4;
    setting.allowance.delays = 4;
    let mut random = Random::from_seed(7);
    let (mut verdicts, mut faults) = (BTreeSet::new(), BTreeSet::new());
    for walk in 0..60 {
        let world = World::new(setting.clone());
        let mut state = world.initial().swap_remove(0);
        let mut actions = Vec::new();
        for _ in 0..=walk * 3 {
            let mut possible = Vec::new();
            world.actions(&state, &mut possible);
            let Ok(pick) = usize::try_from(random.below(possible.len() as u64)) else {
                break;
            };
            let Some(action) = possible.get(pick) else {
                break;
            };
            faults.extend(action.fault());
            actions.push(*action);
            state = world.apply(&state, action).expect("it is possible");
        }
        let run = record(&world, &actions).expect("these are possible");
        verdicts.insert(run.verdict.name());
        let file = file_of(&setting, &run);
        let (read, mistakes) = ReplayFile::parse(&file.to_text(), FileId(0));
        assert_eq!(mistakes, []);
        let replayed = replay(
            &World::new(setting.clone()),
            &read.expect("it was written so"),
        );
        assert_eq!(replayed.comparison, Comparison::Same);
        assert_eq!(replayed.run, run);
    }
    assert!(
        verdicts.contains("open") && faults.len() > 8,
        "{verdicts:?} {faults:?}"
    );
}

#[test]
fn files_of_version_1_are_replayed_for_ever() {
    let text = include_str!("files/joining-too-early.version-1.jsonl");
    let (file, mistakes) = ReplayFile::parse(text, FileId(0));
    assert_eq!(mistakes, []);
    let file = file.expect("nothing is wrong with it");
    let described = joining_too_early();
    let behaviours = described.behaviours.clone();
    let setting = file
        .header
        .setting(&described.topology, behaviours, vec![], nowhere());
    let setting = setting.expect("the header says what it was made of");
    let replayed = replay(&World::new(setting), &file);
    // States may be written down in another way by now.
    let comparison = &replayed.comparison;
    assert!(replayed.has_recorded_verdict(), "{comparison:?}");
    assert_eq!(replayed.run.verdict, file.verdict);
}

#[test]
fn labels_fit_into_files_however_long_commands_are() {
    let mut setting = joining_too_early();
    let segments = &mut setting
        .behaviours
        .nodes
        .get_mut("worker")
        .expect("it is there")
        .segments;
    segments[0].label = "join the mäster ".repeat(10_000);
    let run = record(&World::new(setting.clone()), &find(&setting)).expect("it is possible");
    let text = file_of(&setting, &run).to_text();
    assert!(text.len() < 10_000, "{}", text.len());
    let (file, mistakes) = ReplayFile::parse(&text, FileId(0));
    assert_eq!(mistakes, []);
    let file = file.expect("nothing is wrong with it");
    assert_eq!(
        replay(&World::new(setting), &file).comparison,
        Comparison::Same
    );
}
