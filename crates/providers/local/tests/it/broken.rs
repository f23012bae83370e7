//! Instances that break are noticed, and nothing of them stays when they are deleted.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zenekar_base::{ErrorClass, ProbeResult, ProbeSpec, ResourceState};
use zenekar_provider::{CreateRequest, Provider};
use zenekar_provider_local::Isolation;

use crate::bench::Bench;
use crate::place::{PATIENCE, command_line, note, wait_until, with, with_each_isolation};

/// What the service of a test instance does.
const SERVICE: &str = "sleep 4711";

/// How long the processes of an instance may live on whose directory is gone.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(5);

/// How long the check of an instance may take that does nothing.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// The processes of an instance, as the machine numbers them.
struct Processes {
    shim: i32,
    init: i32,
    service: i32,
}

impl Processes {
    fn of(bench: &Bench, request: &CreateRequest) -> Self {
        let all = bench.processes(request);
        let is_service = |pid: &&i32| command_line(**pid).trim() == SERVICE;
        Self {
            shim: bench.role(request, "shim"),
            init: bench.role(request, "init"),
            service: *all.iter().find(is_service).expect("it lives"),
        }
    }
}

/// Creates an instance with a service, breaks it, and deletes it.
fn breaks(bench: &Bench, how: impl FnOnce(&CreateRequest, &Processes)) {
    let start = format!("{SERVICE} > /dev/null 2>&1 &");
    let request = Bench::request_script("one", 1, &start);
    bench.create_ready(&request);
    let processes = Processes::of(bench, &request);
    how(&request, &processes);
    // Another process deletes it: it knows only what is written down.
    bench.again().delete(&request);
    assert_eq!(bench.all("one"), []);
    let left: Vec<String> = bench
        .processes(&request)
        .into_iter()
        .map(command_line)
        .collect();
    assert_eq!(left, [""; 0], "it is deleted, and runs");
}

fn send(process: i32, signal: Signal) {
    kill(Pid::from_raw(process), signal).expect("it is ours");
}

/// Checks that a probe fails, and in time.
fn probe_fails(bench: &Bench, request: &CreateRequest) {
    let resource = zenekar_base::ResourceId::new(request.token.as_str());
    for ping in [false, true] {
        let spec = ProbeSpec {
            ping,
            ports: vec![7000],
            ..ProbeSpec::default()
        };
        let infrastructure = request.infrastructure.clone();
        let started_at = Instant::now();
        let result = bench.block_on(bench.provider.probe(infrastructure, resource.clone(), spec));
        let took = started_at.elapsed();
        match result {
            Ok(ProbeResult::Unhealthy(_)) => {}
            // What has failed does not come back.
            Err(error) if error.class == ErrorClass::NotFound => {}
            other => panic!("{other:?}"),
        }
        assert!(took < PROBE_PATIENCE, "{took:?}");
    }
}

#[test]
fn an_instance_without_init_has_failed() {
    with_each_isolation("broken::an_instance_without_init_has_failed", |bench| {
        breaks(bench, |request, processes| {
            send(processes.init, Signal::SIGKILL);
            let view = bench.wait_state(request, ResourceState::Failed);
            let detail = view.detail.expect("it says why");
            assert!(detail.contains("signal 9"), "{detail}");
            let are_gone = wait_until(PATIENCE, || bench.processes(request).is_empty());
            assert!(are_gone, "they outlive their init");
            probe_fails(bench, request);
        });
    });
}

#[test]
fn an_instance_without_shim_has_failed() {
    with_each_isolation("broken::an_instance_without_shim_has_failed", |bench| {
        breaks(bench, |request, processes| {
            send(processes.shim, Signal::SIGKILL);
            bench.wait_state(request, ResourceState::Failed);
            if bench.isolation != Isolation::Plain {
                let are_gone = wait_until(PATIENCE, || bench.processes(request).is_empty());
                assert!(are_gone, "they outlive their shim");
            }
            probe_fails(bench, request);
        });
    });
}

#[test]
fn an_instance_with_a_stopped_process_is_stopped() {
    let name = "broken::an_instance_with_a_stopped_process_is_stopped";
    with_each_isolation(name, |bench| {
        let which: [fn(&Processes) -> i32; 3] = [
            |processes| processes.shim,
            |processes| processes.init,
            |processes| processes.service,
        ];
        for stopped in which {
            breaks(bench, |request, processes| {
                let process = stopped(processes);
                send(process, Signal::SIGSTOP);
                bench.wait_state(request, ResourceState::Stopped);
                probe_fails(bench, request);
                send(process, Signal::SIGCONT);
                bench.wait_state(request, ResourceState::Running);
                send(process, Signal::SIGSTOP);
                bench.wait_state(request, ResourceState::Stopped);
            });
        }
    });
}

#[test]
fn an_instance_without_directory_does_not_exist_and_ends() {
    let name = "broken::an_instance_without_directory_does_not_exist_and_ends";
    with_each_isolation(name, |bench| {
        breaks(bench, |request, processes| {
            let directory = bench.instance_directory(request);
            let is_gone = wait_until(PATIENCE, || {
                // Views keep their books in directories that even their owner must open first.
                let mut open = Command::new("chmod");
                open.args(["-R", "u+rwx"])
                    .arg(&directory)
                    .stderr(Stdio::null());
                let _ = open.status();
                let _ = fs::remove_dir_all(&directory);
                !directory.exists()
            });
            assert!(is_gone);
            assert_eq!(bench.all("one"), []);
            let ends = wait_until(ORPHAN_PATIENCE, || bench.processes(request).is_empty());
            assert!(ends, "{}", command_line(processes.init));
        });
    });
}

#[test]
fn an_instance_without_files_has_failed() {
    with_each_isolation("broken::an_instance_without_files_has_failed", |bench| {
        breaks(bench, |request, _| {
            let files = bench.instance_directory(request).join("files");
            fs::rename(&files, files.with_file_name("elsewhere")).expect("it is ours");
            bench.wait_state(request, ResourceState::Failed);
            probe_fails(bench, request);
        });
    });
}

/// Freezes an instance; false, with the reason told, where groups are not writable.
fn freeze(bench: &Bench, request: &CreateRequest) -> bool {
    let mark = bench.mark(request);
    let [old, new] = [
        ("freezer/", "freezer.state", "FROZEN"),
        ("", "cgroup.freeze", "1"),
    ]
    .map(|(tree, file, word)| {
        let path = format!("/sys/fs/cgroup/{tree}zenekar/{mark}/{file}");
        (PathBuf::from(path), word)
    });
    let (path, word) = if old.0.exists() { old } else { new };
    let written = fs::write(&path, word);
    if let Err(error) = &written {
        note(&format!("skipped: `{}`: {error}", path.display()));
    }
    written.is_ok()
}

#[test]
fn an_instance_that_is_frozen_is_stopped() {
    let name = "broken::an_instance_that_is_frozen_is_stopped";
    with(&[Isolation::Namespaces], name, |bench| {
        breaks(bench, |request, _| {
            if freeze(bench, request) {
                bench.wait_state(request, ResourceState::Stopped);
                probe_fails(bench, request);
            }
        });
    });
}

#[test]
fn a_frozen_instance_without_shim_is_deleted() {
    let name = "broken::a_frozen_instance_without_shim_is_deleted";
    with(&[Isolation::Namespaces], name, |bench| {
        breaks(bench, |request, processes| {
            if freeze(bench, request) {
                send(processes.shim, Signal::SIGKILL);
                bench.wait_state(request, ResourceState::Failed);
            }
        });
    });
}
