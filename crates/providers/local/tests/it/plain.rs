//! Instances that are only directories: what keeps them there, and what ends their processes.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zenekar_base::ResourceState;
use zenekar_provider_local::Isolation;

use crate::bench::Bench;
use crate::place::{PATIENCE, command_line, wait_until, with};

#[test]
fn scripts_write_in_their_own_directory_only() {
    let name = "plain::scripts_write_in_their_own_directory_only";
    with(&[Isolation::Plain], name, |bench| {
        // All of these the user could write to.
        let home = bench.directory.join("home");
        fs::create_dir(&home).expect("it is ours");
        let file = format!("zenekar-it-{}", std::process::id());
        let places = [
            format!("/var/tmp/{file}"),
            format!("/tmp/{file}"),
            home.join(&file).display().to_string(),
            bench.directory.join(&file).display().to_string(),
        ];
        for place in &places {
            fs::write(place, "mine").expect("without bounds it can be written to");
            fs::remove_file(place).expect("it is ours");
        }
        let words = places.join(" ");
        let tries = format!(
            "for place in {words}; do
                 echo x > $place && echo wrote $place
                 mkdir $place && echo made $place
                 ln -s /etc/hosts $place && echo linked $place
                 mv $ZENEKAR_ROOT/etc/hosts $place && echo moved $place
             done
             test -r {home} && ls {home} && echo listed
             echo own > $ZENEKAR_ROOT/tmp/own && echo tried",
            home = home.display()
        );
        let request = Bench::request_script("one", 1, &tries);
        let view = bench.create_ready(&request);
        let log = bench.log(&request.infrastructure, &view.resource);
        let output = bench.shell(&request, &tries);
        let inside = String::from_utf8_lossy(&output.stdout);
        for said in [log.as_str(), &inside] {
            assert!(said.contains("tried"), "{said}");
            for done in ["wrote", "made", "linked", "moved", "listed"] {
                assert!(!said.contains(&format!("{done} /")), "{done}: {said}");
            }
        }
        for place in &places {
            assert!(fs::symlink_metadata(place).is_err(), "{place}");
        }
        bench.delete(&request);
        fs::remove_dir(&home).expect("it is ours, and empty");
    });
}

#[test]
fn processes_that_leave_are_ended() {
    let name = "plain::processes_that_leave_are_ended";
    with(&[Isolation::Plain], name, |bench| {
        // Their own program tells them from those of others, whatever environment they have.
        let script = "
            cp /bin/sleep $ZENEKAR_ROOT/tmp/serve
            export serve=$ZENEKAR_ROOT/tmp/serve
            setsid sh -c '$serve 4711 > /dev/null 2>&1 & exit' &
            (setsid $serve 4712 > /dev/null 2>&1 &)
            (env -i /usr/bin/setsid $serve 4713 > /dev/null 2>&1 &)";
        let request = Bench::request_script("one", 1, script);
        let services = || {
            let all = bench.processes(&request).into_iter().map(command_line);
            let mut found: Vec<String> = all
                .filter_map(|line| Some(line.split_once("/tmp/serve ")?.1.trim().to_owned()))
                .collect();
            found.sort();
            found
        };
        for ends_before in [false, true] {
            bench.create_ready(&request);
            let all = ["4711", "4712", "4713"];
            assert!(
                wait_until(PATIENCE, || services() == all),
                "{:?}",
                services()
            );
            if ends_before {
                let init = bench.role(&request, "init");
                kill(Pid::from_raw(init), Signal::SIGKILL).expect("it is ours");
                bench.wait_state(&request, ResourceState::Failed);
            }
            bench.delete(&request);
            assert_eq!(services(), [""; 0], "they are left");
        }
    });
}
