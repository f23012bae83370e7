//! Whoever creates or deletes instances may be killed at any moment.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use zenekar_base::{ResourceId, ResourceState};
use zenekar_provider::{CreateRequest, Deleted, Provider};

use crate::bench::Bench;
use crate::place::{PATIENCE, command_line, note, wait_until, with_each_isolation};

/// Says what a process is to do until it is killed.
const DOES: &str = "ZENEKAR_TEST_DOES";

/// How often somebody is killed, for each isolation.
fn rounds() -> u32 {
    match std::env::var("ZENEKAR_TEST_BUDGET").as_deref() {
        Ok("full") => 100,
        Ok("deep") => 300,
        _ => 10,
    }
}

fn request() -> CreateRequest {
    Bench::request_script("one", 1, "sleep 4711 > /dev/null 2>&1 &")
}

/// Starts a process that creates or deletes.
fn start(does: &str) -> Child {
    Command::new(std::env::current_exe().expect("a test has a program"))
        .args(["--exact", "crashes::worker", "--ignored", "--nocapture"])
        .env(DOES, does)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs")
}

/// Waits until the process says that it is done.
fn wait_done(worker: &mut Child) {
    let output = worker.stdout.take().expect("it is piped");
    let is_done = BufReader::new(output)
        .lines()
        .any(|line| line.is_ok_and(|line| line.contains("worker: done")));
    assert!(is_done, "it ended without a word");
}

fn end(mut worker: Child) {
    worker.kill().expect("it is ours");
    worker.wait().expect("it is ours");
}

#[test]
#[ignore = "others start it, and kill it"]
fn worker() {
    let Ok(does) = std::env::var(DOES) else {
        return;
    };
    let bench = Bench::of_this_process()
        .expect("it comes with it")
        .expect("it opened before");
    match does.as_str() {
        "create" => drop(bench.create(&request())),
        _ => bench.delete(&request()),
    }
    println!("worker: done");
    std::thread::sleep(PATIENCE);
}

/// Deletes all that somebody finds who knows nothing, and checks that nothing is left.
fn assert_all_can_be_deleted(bench: &Bench, after: &str) {
    let provider = bench.again();
    let mut seen = Vec::new();
    let is_gone = wait_until(PATIENCE, || {
        for view in provider.all("one") {
            let deleted = bench.block_on(
                provider
                    .provider
                    .delete(request().infrastructure, view.resource.clone()),
            );
            assert_eq!(deleted, Ok(Deleted::Gone), "{after}");
            seen.push(view);
        }
        bench.all_processes().is_empty() && !bench.directory.join("local").exists()
    });
    let left: Vec<String> = bench
        .all_processes()
        .into_iter()
        .map(command_line)
        .collect();
    assert!(is_gone, "{after}: {seen:?}, {left:?}");
}

/// Kills a process at moments between its start and its end.
fn kill_between(does: &str, bench: &Bench, mut check: impl FnMut(u32, &str)) {
    let prepare = |bench: &Bench| {
        bench.announce(&request());
        if does == "delete" {
            bench.create(&request());
        }
    };
    let mut whole = || {
        prepare(bench);
        let started_at = Instant::now();
        let mut worker = start(does);
        wait_done(&mut worker);
        let span = started_at.elapsed();
        end(worker);
        check(0, "after it was done");
        span
    };
    // The first one may have to make what all share.
    whole();
    let span = whole();
    for round in 0..rounds() {
        prepare(bench);
        let moment = span * round / rounds();
        let worker = start(does);
        std::thread::sleep(moment);
        end(worker);
        check(round, &format!("killed after {moment:?} of {span:?}"));
    }
    note(&format!(
        "measured: to {does} takes {span:?} with its process"
    ));
}

#[test]
fn an_instance_outlives_its_creator() {
    with_each_isolation("crashes::an_instance_outlives_its_creator", |bench| {
        bench.announce(&request());
        let mut creator = start("create");
        wait_done(&mut creator);
        let roles = || ["shim", "init"].map(|role| bench.role(&request(), role));
        let before = roles();
        end(creator);
        let resource = ResourceId::new(request().token.as_str());
        bench.wait_ready(&request().infrastructure, &resource);
        assert_eq!(before, roles());
        bench.delete(&request());
    });
}

#[test]
fn a_killed_creator_leaves_what_can_be_deleted_or_created() {
    let name = "crashes::a_killed_creator_leaves_what_can_be_deleted_or_created";
    with_each_isolation(name, |bench| {
        kill_between("create", bench, |round, after| {
            if round % 2 == 1 {
                let provider = bench.again();
                let mut last = None;
                let created = wait_until(PATIENCE, || {
                    // One that still starts may be in the way: that passes.
                    let created = bench.block_on(provider.provider.create(request()));
                    let runs = created
                        .as_ref()
                        .is_ok_and(|view| view.state == ResourceState::Running);
                    last = Some(created);
                    runs
                });
                assert!(
                    created,
                    "{after}: {last:?}, {:?}",
                    provider.look(&request())
                );
                assert_eq!(provider.all("one").len(), 1, "{after}");
            }
            assert_all_can_be_deleted(bench, after);
        });
    });
}

#[test]
fn what_a_late_process_made_anew_is_removed() {
    let name = "crashes::what_a_late_process_made_anew_is_removed";
    with_each_isolation(name, |bench| {
        let leave = || {
            let left = bench.instance_directory(&request()).join("files");
            std::fs::create_dir_all(&left).expect("it is our place");
            std::fs::write(left.join("late"), "").expect("it is our place");
        };
        leave();
        assert_eq!(bench.again().all("one"), []);
        assert!(!bench.directory.join("local").exists());
        // It is in nobody's way either.
        leave();
        bench.announce(&request());
        bench.create(&request());
        assert_all_can_be_deleted(bench, "after it was created");
    });
}

#[test]
fn a_killed_deleter_leaves_what_can_be_deleted() {
    let name = "crashes::a_killed_deleter_leaves_what_can_be_deleted";
    with_each_isolation(name, |bench| {
        kill_between("delete", bench, |_, after| {
            assert_all_can_be_deleted(bench, after);
        });
    });
}
