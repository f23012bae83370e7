//! Damaged, read-only and full places: told with exit code 8, never wrong in silence.

use std::path::Path;
use std::process::Command;

use crate::sandbox::{Run, Sandbox, example};

/// Damaged copies that are looked at on the quick budget.
const QUICK_DAMAGES: u64 = 40;
/// Damaged copies that are looked at on the full budget.
const FULL_DAMAGES: u64 = 400;

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the sandbox can be written");
    for entry in std::fs::read_dir(from).expect("it exists") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the sandbox can be written");
        }
    }
}

fn assert_sane(told: &Run, what: &str) {
    assert!(
        !told.stderr.contains("panicked"),
        "{what}:\n{}",
        told.stderr
    );
    assert!(matches!(told.code, Some(0 | 8)), "{what}: {told:?}");
    assert!(
        told.code == Some(0) || told.stderr.contains("error: "),
        "{what}: {told:?}"
    );
}

#[test]
fn a_damaged_journal_is_noticed_or_harmless() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    let healthy = sandbox.ok(&["status"]).stdout;
    let database = std::fs::read(sandbox.state().join("state.db")).expect("it was written");
    let (mut noticed, mut repaired, mut random) = (0, 0, 11u64);
    let damages = if crate::kill_sweep::is_full() {
        FULL_DAMAGES
    } else {
        QUICK_DAMAGES
    };
    for round in 0..damages {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let position = usize::try_from(random >> 20).expect("64 bits") % database.len();
        let mut damaged = database.clone();
        let what = if round % 8 == 7 {
            damaged.truncate(position);
            format!("cut at {position}")
        } else {
            damaged[position] ^= 1 << (random % 8);
            format!("flipped a bit at {position}")
        };
        let place = sandbox.path(&format!("damaged-{round}"));
        copy_directory(&sandbox.state(), &place);
        std::fs::write(place.join("state.db"), &damaged).expect("the sandbox can be written");
        let place = place.display().to_string();
        let status = sandbox.run(&["status", "hello", "--state-dir", &place]);
        if status.code == Some(2) {
            // Cut to nothing: a new, empty store.
            assert!(damaged.is_empty(), "{what}: {status:?}");
            continue;
        }
        assert_sane(&status, &what);
        if status.code == Some(0) {
            assert_eq!(status.stdout, healthy, "{what}: silently wrong");
        } else {
            noticed += 1;
        }
        let check = sandbox.run(&["state", "check", "--state-dir", &place]);
        assert_sane(&check, &what);
        let repair = sandbox.run(&["state", "check", "--repair", "--state-dir", &place]);
        assert_sane(&repair, &what);
        let up = sandbox.run(&[
            "up",
            &example("hello"),
            "--yes",
            "--pace",
            "jump",
            "--state-dir",
            &place,
        ]);
        // What may be another program's or another version's is left alone.
        let is_foreign = ["not a state file", "state format"]
            .iter()
            .any(|words| up.stderr.contains(words));
        if is_foreign {
            continue;
        }
        assert_eq!(up.code, Some(0), "{what}: {repair:?}\n{up:?}");
        if check.code == Some(8) {
            repaired += 1;
            let cloud = sandbox
                .ok(&["sim", "show", "--output", "json", "--state-dir", &place])
                .json();
            assert_eq!(
                cloud["machines"].as_array().map(Vec::len),
                Some(2),
                "{what}: {cloud}"
            );
        }
    }
    println!(
        "{damages} damages: {noticed} noticed by `status`, {repaired} repaired so that `up` made everything right"
    );
}

#[test]
fn a_state_of_a_newer_version_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("state/state.db", "this is no database at all, but it is longer than a header of one hundred bytes, which is what counts here");
    let told = sandbox.run(&["list"]).expect(8);
    assert!(told.stderr.contains("state.db"), "{}", told.stderr);
    sandbox.run(&["up", &example("hello"), "--yes"]).expect(8);
}

/// The test may run as root, whom no permission stops; an immutable directory
/// does, where the file system has such a thing.
#[test]
fn a_read_only_directory_can_be_looked_at() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    let state = sandbox.state();
    let chattr = |flag: &str| {
        Command::new("chattr")
            .args(["-R", flag])
            .arg(&state)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !chattr("+i") {
        eprintln!("skipped: files cannot be made immutable here");
        return;
    }
    let looked = sandbox.run(&["status"]);
    let changed = sandbox.run(&["down", "--yes", "--pace", "jump"]);
    assert!(chattr("-i"));
    looked.expect(0);
    let changed = changed.expect(8);
    assert!(
        changed.stderr.contains("read-only") || changed.stderr.contains("ermi"),
        "{}",
        changed.stderr
    );
    sandbox.ok(&["down", "--yes", "--pace", "jump"]);
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let sandbox = Sandbox::new();
    let disk = sandbox.path("disk");
    std::fs::create_dir(&disk).expect("the sandbox can be written");
    let is_mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=400k", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_mounted {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let state = disk.join("state").display().to_string();
    let file = example("three-tier");
    let arguments = [
        "up",
        &file,
        "--yes",
        "--pace",
        "jump",
        "--state-dir",
        &state,
    ];
    let filler = disk.join("filler");
    std::fs::write(&filler, vec![0u8; 220 * 1024]).expect("there is room for the filler");
    let full = sandbox.run(&arguments);
    std::fs::remove_file(&filler).expect("it was written");
    let after = sandbox.run(&arguments);
    let machines = sandbox.run(&["sim", "show", "--output", "json", "--state-dir", &state]);
    let unmounted = Command::new("umount")
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(unmounted);
    let full = full.expect(8);
    assert!(full.stderr.contains("space"), "{}", full.stderr);
    after.expect(0);
    assert_eq!(
        machines.json()["machines"].as_array().map(Vec::len),
        Some(4)
    );
}
