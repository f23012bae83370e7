//! What an ordinary user gets.

use std::time::{Duration, Instant};

use zenekar_agent::StepOutcome;

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

#[test]
fn what_needs_root_is_told_and_changes_nothing() {
    let node = Node::new();
    let report = node.run(
        "#cloud-config\n\
         hostname: web\n\
         users: [bob]\n\
         packages: [haproxy]\n\
         timezone: Europe/Budapest\n\
         chpasswd: {list: 'bob:opensesame'}\n\
         apt: {proxy: 'http://p:1'}\n\
         locale: hu_HU.UTF-8\n\
         write_files: [{path: /srv/a, content: x, owner: 'www-data:www-data'}]\n",
    );
    assert_eq!(
        lines(&report)[..10],
        [
            "init write_files /srv/a: done (its owner stays the one who runs this node)",
            "init set_hostname web: impossible (a name needs an own file system and root)",
            "init users_groups user bob: impossible (accounts need an own file system and root)",
            "config locale hu_HU.UTF-8: impossible (a locale needs an own file system and root)",
            "config set_passwords 1 users: impossible (accounts need an own file system and root)",
            "config apt_configure : impossible (packages need an own file system and root)",
            "config timezone Europe/Budapest: impossible (a time zone needs an own file system and root)",
            "final package_update_upgrade_install update: impossible (packages need an own file system and root)",
            "final package_update_upgrade_install install haproxy: impossible (packages need an own file system and root)",
            "final final_message : done",
        ]
    );
    assert!(!node.log().contains("opensesame"));
    assert!(!node.path("/etc/hostname").exists());
    assert_eq!(node.mode("/var/lib/cloud/instance/user-data.txt"), 0o600);
}

#[test]
fn keys_that_nobody_knows_or_carries_out_are_told() {
    let node = Node::new();
    let report = node.run(
        "#cloud-config\n\
         run_cmd: [ls]\n\
         zork: 1\n\
         growpart: {mode: auto}\n\
         power_state: {mode: reboot}\n\
         mounts: []\n\
         output: {all: '| tee -a /var/log/cloud-init-output.log'}\n",
    );
    assert_eq!(
        lines(&report)[..6],
        [
            "init run_cmd : unknown (no module knows this key; did you mean `runcmd`?)",
            "init zork : unknown (no module knows this key)",
            "init growpart : done (nothing to do on such a node)",
            "init mounts : impossible (the node has no disks of its own)",
            "init output : done (all output goes to the log and to `/var/log/cloud-init-output.log`)",
            "final power_state : impossible (the provider decides it)",
        ]
    );
    assert_eq!(report.troubles().count(), 4);
}

#[test]
fn parts_that_are_not_carried_out_are_told() {
    for (user_data, expected) in [
        (
            "#include http://example.org/x\n",
            "init include part-001: impossible (user-data is not fetched from other machines)",
        ),
        (
            "#part-handler\nimport os\n",
            "init part-handler part-001: impossible (handlers in Python are not carried out)",
        ),
        (
            "## template: jinja\n#cloud-config\n",
            "init jinja part-001: impossible (templates of user-data are not rendered inside the node)",
        ),
        (
            "hello: world\n",
            "init user-data part-001: unknown (its first line does not say what it is, such as `#cloud-config` or `#!`)",
        ),
        (
            "#cloud-config\n- a list\n",
            "init cloud-config part-001: failed (a cloud-config is a mapping of keys)",
        ),
        (
            "#cloud-config\na: 'b\n",
            "init cloud-config part-001: failed (line 2, column 4: this quote is never closed)",
        ),
    ] {
        let report = Node::new().run(user_data);
        let found = lines(&report);
        assert_eq!(found[0], expected);
        assert_eq!(found.len(), 2, "{found:?}");
    }
    assert_eq!(Node::new().run("").steps.len(), 1);
}

#[test]
fn a_later_contextualisation_runs_everything_again_and_nothing_of_before() {
    let mut node = Node::new();
    node.run("#cloud-config\nruncmd: ['echo one >> ran']\nfinal_message: first\n");
    assert!(node.path("/var/lib/cloud/instance/boot-finished").exists());
    node.revision = 1;
    let report = node.run("#!/bin/sh\necho two >> ran\n");
    assert_eq!(report.revision, 1);
    assert_eq!(node.read("/ran"), "one\ntwo\n");
    let log = node.log();
    assert!(log.contains("\nfirst\n"), "{log}");
    assert_eq!(node.read("/var/log/cloud-init-output.log"), log);
}

#[test]
fn scripts_find_their_node_by_their_environment() {
    let node = Node::new();
    node.run(
        "#!/bin/sh\necho $INSTANCE_ID $ZENEKAR_ROOT $HOME $TMPDIR > found\ntouch $TMPDIR/x ~/y\n",
    );
    let root = node.path("");
    let root = root.to_str().unwrap().trim_end_matches('/');
    let found = node.read("/found");
    let words: Vec<&str> = found.split_whitespace().collect();
    assert_eq!(words[0], "i-0001");
    assert_eq!(words[1].trim_end_matches('/'), root);
    assert_eq!(words[2], format!("{root}/root"));
    assert_eq!(words[3], format!("{root}/tmp"));
    assert!(node.path("/tmp/x").exists() && node.path("/root/y").exists());
}

#[test]
fn the_end_is_visible_to_those_who_wait() {
    let node = Node::new();
    let report = node.run(
        "#!/bin/sh\ntest -e var/lib/cloud/instance/boot-finished && exit 1\n\
         grep -q modules-final var/lib/cloud/data/status.json || exit 2\n\
         test -e run/cloud-init/result.json && exit 3\nexit 0\n",
    );
    assert_eq!(report.steps[0].outcome, StepOutcome::Done, "{report:?}");
    let result: serde_json::Value =
        serde_json::from_str(&node.read("/run/cloud-init/result.json")).unwrap();
    assert_eq!(result["v1"]["errors"], serde_json::json!([]));
    let status: serde_json::Value =
        serde_json::from_str(&node.read("/run/cloud-init/status.json")).unwrap();
    assert!(status["v1"]["stage"].is_null());
    assert!(status["v1"]["modules-final"]["finished"].is_f64());
}
