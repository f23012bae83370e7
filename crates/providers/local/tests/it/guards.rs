//! The machine and whoever calls are kept from instances, and instances from them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use zenekar_provider_local::Isolation;

use crate::bench::Bench;
use crate::place::{
    PATIENCE, command_line, wait_until, with, with_each_isolation, with_each_isolation_in_view,
};

/// Isolations with which an instance has a root of its own.
const NAMESPACES: [Isolation; 2] = [Isolation::UserNamespaces, Isolation::Namespaces];

/// A setting of the machine that does no harm, and that namespaces do not have for themselves.
const SETTING: &str = "/proc/sys/kernel/printk_ratelimit_burst";

#[test]
fn settings_of_the_machine_cannot_be_written() {
    with(
        &NAMESPACES,
        "guards::settings_of_the_machine_cannot_be_written",
        |bench| {
            let request = Bench::request("one", 1);
            bench.create_ready(&request);
            // Writing what is there changes nothing if it succeeds.
            let write =
                format!("value=$(cat {SETTING}) && test -n \"$value\" && echo $value > {SETTING}");
            assert!(!bench.shell(&request, &write).status.success(), "{SETTING}");
            let cover = bench.shell(&request, "umount /proc/sys");
            assert!(!cover.status.success(), "the cover comes off");
            let mounted = bench.shell(&request, "mount -t tmpfs none /mnt");
            assert!(!mounted.status.success(), "it may mount");
            bench.delete(&request);
        },
    );
}

/// Returns the processes that hold a file open.
fn holders(processes: &[i32], file: &PathBuf) -> Vec<String> {
    let holds = |pid: &&i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        open.into_iter()
            .flatten()
            .flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|aim| aim == *file))
    };
    processes
        .iter()
        .filter(holds)
        .map(|pid| command_line(*pid))
        .collect()
}

#[test]
fn open_files_of_the_caller_do_not_live_on() {
    with_each_isolation("guards::open_files_of_the_caller_do_not_live_on", |bench| {
        let path = bench.directory.join("held");
        let file = fs::File::create(&path).expect("it is ours");
        let path = path.canonicalize().expect("it is there");
        // A plain copy of a descriptor stays open in programs that are started.
        let inherited = rustix::io::dup(&file).expect("it is open");
        let caller = bench.again();
        let request = Bench::request_script("one", 1, "sleep 4712 > /dev/null 2>&1 &");
        caller.create_ready(&request);
        let own = i32::try_from(std::process::id()).expect("pids are small");
        assert_eq!(holders(&[own], &path).len(), 1, "the test holds it itself");
        assert_eq!(holders(&bench.all_processes(), &path), [""; 0]);
        drop(inherited);
        fs::remove_file(&path).expect("it is ours");
        bench.delete(&request);
    });
}

#[test]
fn the_mask_of_the_caller_does_not_matter() {
    with(
        &NAMESPACES,
        "guards::the_mask_of_the_caller_does_not_matter",
        |bench| {
            let mode_of = |path: PathBuf| {
                let metadata = fs::metadata(&path).expect("it is there");
                format!("{:o}", metadata.permissions().mode() & 0o777)
            };
            for mask in [0o077, 0] {
                umask(Mode::from_bits_truncate(mask));
                let request = Bench::request_script("one", 1, "echo made > /tmp/made");
                bench.create_ready(&request);
                for path in ["/etc/hosts", "/etc/resolv.conf", "/tmp/made"] {
                    let mode = bench.say(&request, &format!("stat -c %a {path}"));
                    assert_eq!(mode, "644", "{path} with mask {mask:o}");
                }
                let local = bench.directory.join("local");
                for path in [local.join("one"), local.join("one/network")] {
                    assert_eq!(mode_of(path), "700", "with mask {mask:o}");
                }
                bench.delete(&request);
            }
        },
    );
}

#[test]
fn killed_processes_of_the_network_come_back() {
    with(
        &NAMESPACES,
        "guards::killed_processes_of_the_network_come_back",
        |bench| {
            let request = Bench::request("one", 1);
            bench.create_ready(&request);
            for role in ["gateway", "switch"] {
                let find = || {
                    let all = bench.all_processes();
                    all.into_iter()
                        .find(|pid| command_line(*pid).contains(&format!("__local {role} ")))
                };
                let killed = find().expect("it lives");
                kill(Pid::from_raw(killed), Signal::SIGKILL).expect("it is ours");
                let is_back = wait_until(PATIENCE, || {
                    bench.all("one");
                    find().is_some_and(|pid| pid != killed)
                });
                assert!(is_back, "the {role} stays dead");
            }
            bench.delete(&request);
        },
    );
}

#[test]
fn links_in_the_path_do_not_show_what_is_hidden() {
    let name = "guards::links_in_the_path_do_not_show_what_is_hidden";
    with_each_isolation_in_view(name, |bench| {
        let link = bench.directory.join("link");
        symlink(&bench.directory, &link).expect("it is ours");
        let caller = bench.at(link.clone());
        let request = Bench::request("one", 1);
        caller.create_ready(&request);
        let real = bench.directory.canonicalize().expect("it is there");
        let look = format!("cat {}/local/one/instances/*/instance.json", real.display());
        assert!(!caller.shell(&request, &look).status.success(), "{look}");
        caller.delete(&request);
        fs::remove_file(link).expect("it is ours");
    });
}
