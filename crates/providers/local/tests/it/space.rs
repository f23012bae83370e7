//! Disks that are full or cannot be written to.

use zenekar_base::{ErrorClass, ResourceState};
use zenekar_provider::Provider;

use crate::bench::Bench;
use crate::place::{
    Disk, PATIENCE, command_line, is_started_again, keep_cache, note, wait_until, with_disk,
};

/// Fails to create an instance for want of space, or creates it; nothing is left in both cases.
fn creates_or_lacks_space(bench: &Bench) {
    let request = Bench::request_script("one", 1, "true");
    bench.announce(&request);
    match bench.block_on(bench.provider.create(request.clone())) {
        Ok(view) => {
            assert_eq!(view.state, ResourceState::Running, "{view:?}");
            note("measured: there is space for an instance");
            bench.delete(&request);
        }
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Capacity, "{error}");
            note(&format!("measured: {error}"));
        }
    }
    assert_eq!(bench.all("one"), []);
    let is_quiet = wait_until(PATIENCE, || bench.all_processes().is_empty());
    let left: Vec<String> = bench
        .all_processes()
        .into_iter()
        .map(command_line)
        .collect();
    assert!(is_quiet, "{left:?}");
}

#[test]
fn a_full_disk_is_a_want_of_capacity() {
    let _cache = keep_cache();
    // Each is full at another step.
    let sizes = [
        "nr_inodes=2",
        "nr_inodes=8",
        "nr_inodes=16",
        "nr_inodes=24",
        "nr_inodes=40",
        "nr_inodes=60",
        "size=12k",
        "size=40k",
    ];
    for options in sizes {
        let disk = Disk {
            options,
            is_read_only: false,
        };
        let name = "space::a_full_disk_is_a_want_of_capacity";
        with_disk(disk, name, creates_or_lacks_space);
        if is_started_again() {
            return;
        }
    }
}

#[test]
fn a_disk_that_cannot_be_written_to_is_named() {
    let disk = Disk {
        options: "size=1m",
        is_read_only: true,
    };
    let name = "space::a_disk_that_cannot_be_written_to_is_named";
    with_disk(disk, name, |bench| {
        let request = Bench::request("one", 1);
        bench.announce(&request);
        let error = bench
            .block_on(bench.provider.create(request.clone()))
            .expect_err("it cannot be written to");
        assert_eq!(error.class, ErrorClass::Invalid, "{error}");
        let text = error.to_string();
        let directory = bench.directory.join("local").display().to_string();
        assert!(
            text.contains(&directory) && text.contains("Read-only"),
            "{text}"
        );
        assert_eq!(bench.all("one"), []);
    });
}
