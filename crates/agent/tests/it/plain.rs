//! What an ordinary user gets.

use std::time::{Duration, Instant};

use crate::node::{Node, lines};

#[test]
fn files_are_written_and_commands_run_below_the_root() {
    let node = Node::new();
    let report = node.run(
        "#cloud-config\n\
         write_files:\n\
         - path: /etc/app/motd\n\
         \x20 content: hello\n\
         \x20 permissions: '0640'\n\
         - {path: /etc/app/motd, content: ' again', append: true}\n\
         runcmd:\n\
         - export WHO=world\n\
         - cd etc/app\n\
         - [sh, -c, 'echo $WHO in $(pwd) > answer']\n\
         - echo to the log\n",
    );
    assert_eq!(
        lines(&report)[..3],
        [
            "init write_files /etc/app/motd: done",
            "init write_files /etc/app/motd: done",
            "final runcmd export WHO=world (and 3 lines more): done",
        ]
    );
    assert_eq!(node.read("/etc/app/motd"), "hello again");
    assert_eq!(node.mode("/etc/app/motd"), 0o644);
    assert_eq!(
        node.read("/etc/app/answer"),
        format!("world in {}\n", node.path("/etc/app").display())
    );
    let step = &report.steps[2];
    assert_eq!(step.exit_code, Some(0));
    let log = node.log();
    let start = usize::try_from(step.output_start).unwrap();
    let end = usize::try_from(step.output_end).unwrap();
    assert_eq!(&log[start..end], "to the log\n");
    assert_eq!(node.read("/var/log/cloud-init-output.log"), log);
}

#[test]
fn what_is_left_in_the_background_keeps_nobody_waiting_and_goes_on() {
    let node = Node::new();
    let began = Instant::now();
    let report = node.run(
        "#!/bin/sh\n\
         mkfifo go\n\
         (read line < go; echo late > late; echo late to the log) &\n\
         exit 3\n",
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    let step = &report.steps[0];
    assert_eq!(
        lines(&report)[0],
        "final script part-001: failed (exit status 3)"
    );
    assert_eq!(step.exit_code, Some(3));
    // It is still there to be told to go on.
    std::fs::write(node.path("go"), "go\n").unwrap();
    while !node.log().contains("late to the log") {
        assert!(began.elapsed() < Duration::from_mins(1));
        std::thread::yield_now();
    }
    assert_eq!(node.read("late"), "late\n");
}
