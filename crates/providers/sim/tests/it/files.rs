//! The cloud in its directory: shared, killed, cut, edited.

use std::fs;
use std::io::Write;
use std::path::Path;

use zenekar_base::{ErrorClass, Millis, ResourceState, Timestamp};
use zenekar_provider::Provider;
use zenekar_provider_sim::{SimClock, SimError, SimFiles};
use zenekar_simcloud::{Intervention, Quota, Settings};

use crate::support::{JumpClock, block_on, infrastructure, listed, open, request, write_settings};

fn log(directory: &Path) -> std::path::PathBuf {
    directory.join("inputs-0.jsonl")
}

fn state(files: &SimFiles) -> String {
    serde_json::to_string(files.cloud()).expect("serialises")
}

#[test]
fn a_killed_process_meets_the_same_cloud_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(1_000);
    let provider = open(directory.path(), &clock);
    block_on(async {
        for key in 0..5 {
            provider.create(request(key)).await.expect("nothing fails");
        }
    });
    let before = provider.with_files(|files| state(files));
    let anchor = provider.anchor().expect("readable");
    // Nothing is written when a process ends, so leaking it is as good as killing it.
    std::mem::forget(provider);
    let files = SimFiles::open(directory.path()).expect("opens");
    assert_eq!(state(&files), before);
    assert_eq!(files.anchor().expect("readable").cloud, anchor.cloud);
    assert_eq!(anchor.cloud, clock.now());
}

#[test]
fn the_cloud_lives_on_while_nobody_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let view = block_on(open(directory.path(), &clock).create(request(1))).expect("nothing fails");
    assert_eq!(view.state, ResourceState::Pending);
    let later = JumpClock::at(3_600_000);
    let provider = open(directory.path(), &later);
    let found = block_on(provider.observe(infrastructure(), zenekar_provider::ObserveScope::All))
        .expect("nothing fails");
    assert_eq!(found[0].state, ResourceState::Running);
}

#[test]
fn two_processes_share_one_cloud() {
    let directory = tempfile::tempdir().expect("a directory");
    let (clock_one, clock_two) = (JumpClock::at(0), JumpClock::at(700));
    let one = open(directory.path(), &clock_one);
    let two = open(directory.path(), &clock_two);
    block_on(async {
        let first = one.create(request(1)).await.expect("nothing fails");
        let second = two.create(request(2)).await.expect("nothing fails");
        assert_ne!(first.resource, second.resource);
        assert_eq!(
            two.create(request(1))
                .await
                .expect("nothing fails")
                .resource,
            first.resource
        );
        assert_eq!(listed(&one).await, listed(&two).await);
    });
    let end = clock_one.now().max(clock_two.now());
    for provider in [&one, &two] {
        provider
            .with_files(|files| files.overview(end))
            .expect("readable");
    }
    let states = [&one, &two].map(|provider| provider.with_files(|files| state(files)));
    assert_eq!(states[0], states[1]);
    assert_eq!(
        state(&SimFiles::open(directory.path()).expect("opens")),
        states[0],
        "and so does one who reads it all"
    );
}

#[test]
fn processes_that_race_agree_in_the_end() {
    const PROCESSES: u32 = 4;
    const CALLS: u32 = 60;
    let directory = tempfile::tempdir().expect("a directory");
    // Each thread opens the files for itself, so locks keep them apart as they keep processes apart.
    let last = std::thread::scope(|scope| {
        let run = |process: u32| {
            let clock = JumpClock::at(i64::from(process));
            let provider = open(directory.path(), &clock);
            block_on(async {
                for call in 0..CALLS {
                    // Who misses a whole log loses the replies in it, and asks again.
                    while let Err(error) = provider.create(request(process * CALLS + call)).await {
                        assert_eq!(error.class, ErrorClass::Unknown);
                    }
                    if process == 0 && call % 20 == 0 {
                        provider.with_files(SimFiles::compact).expect("written");
                    }
                }
            });
            clock.now()
        };
        let threads: Vec<_> = (0..PROCESSES)
            .map(|process| scope.spawn(move || run(process)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .max()
            .expect("some")
    });
    let mut files = SimFiles::open(directory.path()).expect("opens");
    let overview = files.overview(last).expect("readable");
    assert_eq!(overview.resources.len(), (PROCESSES * CALLS) as usize);
    assert_eq!(files.cloud().ledger().duplicates_ever(), []);
    assert_eq!(
        SimFiles::open(directory.path()).expect("opens").cloud(),
        files.cloud()
    );
}

#[test]
fn a_half_written_line_is_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = open(directory.path(), &clock);
    block_on(provider.create(request(1))).expect("nothing fails");
    let whole = fs::read(log(directory.path())).expect("the log");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(log(directory.path()))
        .expect("the log");
    file.write_all(br#"{"at":999999,"input":{"session""#)
        .expect("written");
    // Both one who comes and one who is there go on after the last whole line.
    assert_eq!(
        SimFiles::open(directory.path()).expect("opens").cloud(),
        &provider.with_files(|files| files.cloud().clone())
    );
    assert_eq!(fs::read(log(directory.path())).expect("the log"), whole);
    file.write_all(b"{").expect("written");
    block_on(provider.create(request(2))).expect("nothing fails");
    assert_eq!(
        SimFiles::open(directory.path()).expect("opens").cloud(),
        &provider.with_files(|files| files.cloud().clone())
    );
}

#[test]
fn every_prefix_of_the_log_is_a_cloud() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = open(directory.path(), &clock);
    block_on(async {
        provider.create(request(1)).await.expect("nothing fails");
        provider.create(request(2)).await.expect("nothing fails");
    });
    drop(provider);
    let whole = fs::read(log(directory.path())).expect("the log");
    for length in 0..whole.len() {
        fs::write(log(directory.path()), &whole[..length]).expect("written");
        let files = SimFiles::open(directory.path()).expect("opens");
        assert!(files.cloud().is_sound());
        let kept = fs::metadata(log(directory.path())).expect("the log").len();
        assert!(
            kept <= length as u64
                && (kept == 0 || whole[usize::try_from(kept).expect("small") - 1] == b'\n')
        );
    }
}

#[test]
fn damage_is_reported_with_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(SimFiles::open(directory.path()).expect("opens"));
    fs::write(log(directory.path()), "{\"at\":1}\nnonsense\n").expect("written");
    let error = SimFiles::open(directory.path())
        .expect_err("damaged")
        .to_string();
    assert!(
        error.contains("inputs-0.jsonl") && error.contains("at byte 9"),
        "{error}"
    );
    fs::write(log(directory.path()), "").expect("written");
    fs::write(directory.path().join("settings.json"), "{\"sede\": 1}").expect("written");
    assert!(matches!(
        SimFiles::open(directory.path()),
        Err(SimError::Settings { .. })
    ));
    fs::remove_file(directory.path().join("settings.json")).expect("removed");
    fs::write(
        directory.path().join("snapshot.json"),
        r#"{"version":99,"log":0,"sessions":0,"cloud":null}"#,
    )
    .expect("written");
    assert!(matches!(
        SimFiles::open(directory.path()),
        Err(SimError::Damaged { .. })
    ));
}

#[test]
fn a_snapshot_that_contradicts_itself_is_not_used() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(SimFiles::open(directory.path()).expect("opens"));
    let path = directory.path().join("snapshot.json");
    let text = fs::read_to_string(&path)
        .expect("it")
        .replace("\"tokens\":{}", "\"tokens\":{\"stray\":5}");
    fs::write(&path, text).expect("written");
    let error = SimFiles::open(directory.path())
        .expect_err("damaged")
        .to_string();
    assert!(error.contains("contradict"), "{error}");
}

#[test]
fn edited_settings_hold_from_the_next_start_on() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(SimFiles::open(directory.path()).expect("opens"));
    write_settings(
        directory.path(),
        &Settings {
            seed: 9,
            ..Settings::typical()
        },
    );
    let files = SimFiles::open(directory.path()).expect("opens");
    assert_eq!(
        (
            files.cloud().settings().seed,
            files.cloud().settings().list_staleness_max
        ),
        (9, Millis(3_000))
    );
    let again = SimFiles::open(directory.path()).expect("opens");
    assert_eq!(
        again.cloud(),
        files.cloud(),
        "unchanged settings are not an input"
    );
}

#[test]
fn a_snapshot_replaces_the_log_also_for_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let (clock_one, clock_two) = (JumpClock::at(0), JumpClock::at(0));
    let one = open(directory.path(), &clock_one);
    let two = open(directory.path(), &clock_two);
    block_on(async {
        one.create(request(1)).await.expect("nothing fails");
        one.with_files(SimFiles::compact).expect("written");
        assert!(
            !log(directory.path()).exists() && directory.path().join("inputs-1.jsonl").exists()
        );
        assert_eq!(listed(&two).await.len(), 1);
        two.create(request(2)).await.expect("nothing fails");
        assert_eq!(listed(&one).await.len(), 2);
        // The other one misses a whole log.
        one.with_files(SimFiles::compact).expect("written");
        one.create(request(3)).await.expect("nothing fails");
        one.with_files(SimFiles::compact).expect("written");
        assert_eq!(listed(&two).await.len(), 3);
    });
    drop(one);
    assert_eq!(
        SimFiles::open(directory.path()).expect("opens").cloud(),
        &two.with_files(|files| files.cloud().clone())
    );
}

#[test]
fn a_death_while_the_log_is_replaced_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = open(directory.path(), &clock);
    block_on(provider.create(request(1))).expect("nothing fails");
    let (snapshot, lines) = (
        fs::read(directory.path().join("snapshot.json")).expect("it"),
        fs::read(log(directory.path())).expect("it"),
    );
    provider.with_files(SimFiles::compact).expect("written");
    let cloud = provider.with_files(|files| files.cloud().clone());
    drop(provider);
    let compacted = fs::read(directory.path().join("snapshot.json")).expect("it");
    // Died before the old log named the new one; after that; after the new snapshot.
    let next = format!("{{\"at\":{},\"input\":{{\"next\":1}}}}\n", cloud.now().0);
    let with_next = [lines.clone(), next.into_bytes()].concat();
    for (snapshot, lines) in [
        (&snapshot, &lines),
        (&snapshot, &with_next),
        (&compacted, &with_next),
    ] {
        fs::write(directory.path().join("snapshot.json"), snapshot).expect("written");
        fs::write(log(directory.path()), lines).expect("written");
        fs::write(directory.path().join("inputs-1.jsonl"), "").expect("written");
        assert_eq!(
            SimFiles::open(directory.path()).expect("opens").cloud(),
            &cloud
        );
    }
    assert!(!log(directory.path()).exists(), "the last one cleans up");
}

#[test]
fn interventions_find_their_victims_by_id_tag_and_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = JumpClock::at(0);
    let provider = open(directory.path(), &clock);
    let view = block_on(provider.create(request(1))).expect("nothing fails");
    provider.with_files(|files| {
        for text in [view.resource.as_str(), view.instance.as_str(), "node/1"] {
            assert_eq!(
                files.resolve(text),
                std::slice::from_ref(&view.resource),
                "{text}"
            );
        }
        assert_eq!(files.resolve("node/2"), []);
        assert!(
            files
                .intervene(clock.now(), Intervention::Kill(view.resource.clone()))
                .expect("written")
        );
        assert!(
            !files
                .intervene(clock.now(), Intervention::Kill(view.resource.clone()))
                .expect("written")
        );
        let overview = files.overview(clock.now()).expect("readable");
        assert_eq!(
            (
                overview.resources.len(),
                overview.counters.created,
                overview.counters.broken
            ),
            (0, 1, 1)
        );
    });
}

#[test]
fn quotas_and_resets_are_written_to_the_settings() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = SimFiles::open(directory.path()).expect("opens");
    let quota = Quota {
        instances: Some(3),
        cores: None,
    };
    assert!(
        files
            .intervene(Timestamp(5), Intervention::SetQuota(quota))
            .expect("written")
    );
    assert_eq!(
        SimFiles::open(directory.path()).expect("opens").cloud(),
        files.cloud()
    );
    files
        .reset(Timestamp(9), Settings::hostile())
        .expect("written");
    let again = SimFiles::open(directory.path()).expect("opens");
    assert_eq!(
        (again.cloud().settings().quota, again.cloud().now()),
        (Quota::default(), Timestamp(9))
    );
    let invalid = Settings {
        span_steps: 0,
        ..Settings::calm()
    };
    assert!(matches!(
        files.reset(Timestamp(9), invalid),
        Err(SimError::Settings { .. })
    ));
}
