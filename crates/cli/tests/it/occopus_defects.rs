//! What Occopus did wrong, and what its commands do here instead. The numbers
//! are those of the table "Defects" in `docs/occopus-migration.md`; those of
//! the REST service are tested with it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::occopus_commands::{NODES, SHOP, Tools, words};
use crate::sandbox::run;

/// How long something may take that takes a second or two on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Builds the shop and gives it five web instances.
fn large_shop() -> Tools {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    tools.ok("scale", &["-i", "shop", "-n", "web", "-s", "5"]);
    assert_eq!(webs(&tools).len(), 5);
    tools
}

/// Returns the web instances that exist in the cloud.
fn webs(tools: &Tools) -> Vec<String> {
    let mut names = tools.sandbox.machines();
    names.retain(|name| name.starts_with("web/"));
    names
}

#[test]
fn defect_01_a_creation_that_fails_leaves_no_siblings() {
    let tools = Tools::with_shop();
    // The cloud has to be there before it can have a quota.
    tools.build("shop.yaml", "first");
    tools.ok("destroy", &["-i", "first"]);
    tools.sandbox.ok(&["sim", "quota", "--machines", "3"]);
    let wide = SHOP.replace("min: 2", "min: 4");
    tools.sandbox.write("wide.yaml", &wide);
    let arguments = ["--parallelize", "-i", "wide", "wide.yaml"];
    let failed = tools.run("build", &arguments).expect(1);
    assert!(tools.sandbox.machines().is_empty(), "{}", failed.stderr);
    let last = words(&failed.stdout);
    let text = "An unrecoverable error occured; the partially built infrastructure has been torn down, because of the following error:";
    assert!(last.contains(&text), "{last:?}");
    assert!(failed.stderr.contains("quota"), "{}", failed.stderr);
    let listed = tools.ok("maintain", &["-l"]).stdout;
    assert_eq!(listed, "No active infrastructure!\n");
}

#[test]
fn defect_02_a_killed_build_forgets_no_machine() {
    for boundary in [1, 2, 3, 5, 8, 13, 21, 34] {
        let tools = Tools::with_shop();
        let mut command = tools.command("build", &["--parallelize", "shop.yaml"]);
        command.env("ZENEKAR_TEST_CRASH_AT", boundary.to_string());
        let killed = run(command);
        assert_eq!(killed.code, None, "it ends at boundary {boundary}");
        let id = words(&killed.stdout)[0]
            .trim_start_matches("Submitted infrastructure: '")
            .trim_end_matches('\'')
            .to_owned();
        let listed = tools.ok("maintain", &["-l"]).stdout;
        if !listed.contains(&id) {
            assert!(tools.is_empty(), "nothing was created: {boundary}");
            continue;
        }
        // The same command goes on where the killed one was.
        tools.build("shop.yaml", &id);
        let machines = tools.sandbox.machines();
        assert_eq!(machines, ["db/1", "web/1", "web/2"], "{boundary}");
        tools.ok("destroy", &["-i", &id]);
        assert!(tools.sandbox.machines().is_empty(), "{boundary}");
    }
}

#[test]
fn defect_02_what_a_killed_build_made_can_be_destroyed() {
    let tools = Tools::with_shop();
    let nodes = NODES.replace("cores: 1", "cores: 1, boot_ms: 600000");
    tools.sandbox.write("nodes.yaml", &nodes);
    tools.ok("import", &["nodes.yaml"]);
    let mut command = tools.command("build", &["--parallelize", "shop.yaml"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the link was made");
    wait_until("a machine", || !tools.is_empty());
    // On Unix this is SIGKILL.
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    let listed = tools.ok("maintain", &["-l"]).stdout;
    let id = listed.lines().nth(1).expect("the infrastructure is known");
    tools.ok("destroy", &["-i", id]);
    assert!(tools.sandbox.machines().is_empty());
}

#[test]
fn defect_03_a_mistake_in_a_change_touches_nothing() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let before = tools.addresses("shop");
    let typo = SHOP.replace("dependencies:", "  - {name: new, type: wep}\ndependencies:");
    tools.sandbox.write("typo.yaml", &typo);
    let failed = tools.run("build", &["-i", "shop", "typo.yaml"]).expect(1);
    assert!(failed.stderr.contains("node_def:wep"), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("occopus-import"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("typo.yaml:6:"), "{}", failed.stderr);
    assert_eq!(tools.addresses("shop"), before);
    let listed = tools.ok("maintain", &["-l"]).stdout;
    assert_eq!(listed, "List of active infrastructure:\nshop\n");
}

#[test]
fn defect_03_a_change_that_fails_keeps_what_runs() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let before = tools.addresses("shop");
    tools.sandbox.ok(&["sim", "quota", "--machines", "3"]);
    let more = SHOP.replace("min: 2", "min: 4");
    tools.sandbox.write("more.yaml", &more);
    let arguments = ["--parallelize", "-i", "shop", "more.yaml"];
    let failed = tools.run("build", &arguments).expect(1);
    let text = "everything that ran goes on running";
    assert!(failed.stdout.contains(text), "{}", failed.stdout);
    assert_eq!(tools.addresses("shop")[..3], before);
    tools.sandbox.ok(&["sim", "quota"]);
    tools.build("more.yaml", "shop");
    assert_eq!(tools.addresses("shop").len(), 5);
}

#[test]
fn defect_04_a_cycle_is_named_with_its_places() {
    let tools = Tools::with_shop();
    let cycle = SHOP.replace("[*web, *db]", "[*web, *db]\n  - connection: [*db, *web]");
    tools.sandbox.write("cycle.yaml", &cycle);
    let failed = tools.run("build", &["cycle.yaml"]).expect(1);
    assert!(failed.stderr.contains("ZK0214"), "{}", failed.stderr);
    for part in ["db -> web -> db", "cycle.yaml:8:", "7 |"] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    let foreign = SHOP
        .replace("nodes:", "variables: &other {size: 1}\nnodes:")
        .replace("*db]", "*other]");
    tools.sandbox.write("foreign.yaml", &foreign);
    let failed = tools.run("build", &["foreign.yaml"]).expect(1);
    assert!(
        failed.stderr.contains("foreign.yaml:8:"),
        "{}",
        failed.stderr
    );
    assert!(tools.is_empty());
}

#[test]
fn defect_05_dependencies_by_name_are_honoured() {
    let tools = Tools::with_shop();
    let nodes = NODES.replace("connect {{getip(\"db\")}}", "hello");
    tools.sandbox.write("nodes.yaml", &nodes);
    tools.ok("import", &["nodes.yaml"]);
    let named = SHOP.replace("[*web, *db]", "[web, db]");
    tools.sandbox.write("named.yaml", &named);
    let built = tools.build("named.yaml", "shop");
    assert!(built.stderr.contains("ZK0212"), "{}", built.stderr);
    let place = |words: [&str; 2]| {
        let mut lines = built.stderr.lines();
        lines.position(|line| words.iter().all(|word| line.contains(word)))
    };
    let ready = place(["db/1", "ready"]).expect("the database is ready");
    let created = place(["web/1", "creating"]).expect("the service is created");
    assert!(ready < created, "{}", built.stderr);
}

#[test]
fn defect_06_a_lost_instance_and_a_request_count_once_each() {
    let tools = large_shop();
    tools.sandbox.ok(&["sim", "kill", "web/2"]);
    tools.ok("scale", &["-i", "shop", "-n", "web", "-c", "-1"]);
    for _ in 0..3 {
        tools.ok("maintain", &["-i", "shop"]);
        assert_eq!(webs(&tools).len(), 4, "{:?}", webs(&tools));
    }
}

/// Looks after the shop until it is dropped.
struct Maintenance(Child);

impl Maintenance {
    fn start(tools: &Tools) -> Self {
        let mut command = tools.command("maintain", &["-i", "shop", "-c"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = Self(command.spawn().expect("the link was made"));
        wait_until("somebody leads", || {
            let status = tools.sandbox.ok(&["status", "shop"]).stdout;
            status.contains("occopus-maintain")
        });
        child
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn defect_06_requests_to_a_running_maintenance_count_once() {
    let tools = large_shop();
    let maintenance = Maintenance::start(&tools);
    tools.sandbox.ok(&["sim", "kill", "web/2"]);
    tools.ok("scale", &["-i", "shop", "-n", "web", "-c", "-1"]);
    let settled = || {
        let status = ["status", "shop", "--output", "json"];
        let status = tools.sandbox.ok(&status).stdout;
        webs(&tools).len() == 4 && !status.contains("\"deleting\"")
    };
    wait_until("four instances", settled);
    drop(maintenance);
    tools.ok("maintain", &["-i", "shop"]);
    assert_eq!(webs(&tools).len(), 4);
}

#[test]
fn defect_07_an_instance_that_was_stopped_is_replaced() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let before = tools.addresses("shop");
    tools.sandbox.ok(&["sim", "stop", "web/1"]);
    tools.ok("maintain", &["-i", "shop"]);
    let after = tools.addresses("shop");
    assert_eq!(after.len(), 3);
    assert!(!after.contains(&before[1]), "{before:?} {after:?}");
    assert!(after.contains(&before[2]), "the others stay");
}

#[test]
fn defect_08_an_unknown_instance_does_not_keep_others_from_healing() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let before = tools.addresses("shop");
    // One that the provider does not know any more, and one that needs help.
    tools.sandbox.ok(&["sim", "kill", "web/1"]);
    tools.sandbox.ok(&["sim", "stop", "web/2"]);
    let healed = tools.ok("maintain", &["-i", "shop"]);
    let after = tools.addresses("shop");
    assert_eq!(after.len(), 3, "{}", healed.stderr);
    assert_eq!(after[0], before[0], "the database stays");
    assert!(!after.contains(&before[1]) && !after.contains(&before[2]));
    assert_eq!(webs(&tools).len(), 2);
}

#[test]
fn defect_09_what_cannot_be_deleted_is_not_forgotten() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    tools.sandbox.ok(&["sim", "outage", "100h"]);
    let failed = tools.run("destroy", &["-i", "shop"]).expect(1);
    assert!(!failed.stdout.contains("Finished"), "{}", failed.stdout);
    assert!(
        failed.stderr.contains("is not forgotten"),
        "{}",
        failed.stderr
    );
    let listed = tools.ok("maintain", &["-l"]).stdout;
    assert!(listed.contains("shop"), "{listed}");
    tools.sandbox.ok(&["sim", "outage", "0s"]);
    assert_eq!(tools.sandbox.machines().len(), 3);
    tools.ok("destroy", &["-i", "shop"]);
    assert!(tools.sandbox.machines().is_empty());
    let again = tools.ok("destroy", &["-i", "shop"]);
    assert_eq!(words(&again.stdout), ["Unknown infrastructure: \"shop\""]);
}

/// Starts a database with an account and tells the server's words.
const DATABASE: &str = r"'node_def:database':
  - resource: {type: local}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        write_files:
          - path: /srv/accounts.sql
            content: |
              create database {{variables.name}};
              create user keeper@'%' identified by '{{variables.password}}';
              grant all on {{variables.name}}.* to keeper@'%';
          - path: /srv/start.sh
            content: |
              set -e
              options='--no-defaults --datadir=/srv/data --tmpdir=/tmp --user=root --innodb-log-file-size=4M'
              mariadb-install-db $options --skip-test-db --skip-name-resolve --auth-root-authentication-method=normal
              nohup /usr/sbin/mariadbd $options --port=3306 --bind-address=0.0.0.0 --skip-name-resolve --skip-log-bin --innodb-buffer-pool-size=8M --socket=/tmp/db.socket --pid-file=/tmp/db.pid --init-file=/srv/accounts.sql &
        runcmd:
          - sh /srv/start.sh > /srv/database.log 2>&1
    health_check:
      ping: False
      timeout: 120
      mysqldbs:
        - {name: '{{variables.name}}', user: keeper, pass: '{{variables.password}}'}
";

#[test]
fn defect_10_a_check_of_databases_works() {
    if !Path::new("/usr/sbin/mariadbd").exists() {
        eprintln!("skipped: no `mariadbd` (package mariadb-server-core)");
        return;
    }
    let tools = Tools::new();
    let report = tools.sandbox.run(&["doctor", "--output", "json"]).json();
    if report["isolation"].is_null() || report["isolation"] == "plain" {
        eprintln!("skipped: instances here have no files and ports of their own: {report}");
        return;
    }
    tools.sandbox.write("nodes.yaml", DATABASE);
    tools.ok("import", &["nodes.yaml"]);
    let description = "\
infra_name: data
user_id: me
variables: {name: shop, password: s3cret}
nodes:
  - {name: db, type: database}
";
    tools.sandbox.write("data.yaml", description);
    let built = tools.run("build", &["-i", "data", "data.yaml"]);
    let log = tools.sandbox.run(&["logs", "data", "db"]);
    let destroyed = tools.run("destroy", &["-i", "data"]);
    let built = built.expect(0);
    assert!(!built.stderr.contains("s3cret"), "{}", built.stderr);
    assert_eq!(built.stdout.lines().last(), Some("data"), "{}", log.stdout);
    destroyed.expect(0);
}

#[test]
fn defect_11_cmd_runs_nothing_unless_it_is_allowed() {
    let tools = Tools::with_shop();
    let nodes = NODES.replace("{{getip(\"db\")}}", "{{cmd(\"touch owned\")}}");
    assert_ne!(nodes, NODES);
    tools.sandbox.write("nodes.yaml", &nodes);
    tools.ok("import", &["nodes.yaml"]);
    let failed = tools.run("build", &["shop.yaml"]).expect(1);
    assert!(failed.stderr.contains("cmd"), "{}", failed.stderr);
    assert!(!tools.sandbox.path("owned").exists());
    assert!(tools.is_empty());
    for (word, code) in [("0", 1), ("no", 1), ("false", 1), ("perhaps", 2)] {
        let mut command = tools.command("build", &["-i", "shop", "shop.yaml"]);
        command.env("ZENEKAR_ALLOW_HOST_COMMANDS", word);
        run(command).expect(code);
        assert!(!tools.sandbox.path("owned").exists(), "{word}");
    }
    for word in ["yes", "true"] {
        let mut command = tools.command("build", &["--help"]);
        command.env("ZENEKAR_ALLOW_HOST_COMMANDS", word);
        run(command).expect(0);
    }
    let mut command = tools.command("build", &["-i", "shop", "shop.yaml"]);
    command
        .env("ZENEKAR_ALLOW_HOST_COMMANDS", "1")
        .env("PATH", "/usr/bin:/bin");
    run(command).expect(0);
    assert!(tools.sandbox.path("owned").exists());
}

#[test]
fn defect_14_what_was_replaced_is_removed() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let machines = || {
        let cloud = tools.sandbox.cloud();
        cloud["machines"].as_array().expect("a list").len()
    };
    assert_eq!(machines(), 3);
    // As a container that ended: it is there, and does nothing.
    tools.sandbox.ok(&["sim", "stop", "web/1"]);
    assert_eq!(machines(), 3);
    tools.ok("maintain", &["-i", "shop"]);
    assert_eq!(machines(), 3, "the dead one is gone, not only forgotten");
    assert!(!webs(&tools).contains(&"web/1".to_owned()));
}

#[test]
fn defect_15_a_provider_that_fails_for_a_while_is_waited_for() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "first");
    tools.sandbox.ok(&["sim", "outage", "20s"]);
    tools.build("shop.yaml", "second");
    assert_eq!(tools.sandbox.machines().len(), 6);
}

#[test]
fn defect_15_a_provider_that_fails_for_long_ends_the_build() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "first");
    tools.sandbox.ok(&["sim", "outage", "100h"]);
    let arguments = ["--parallelize", "-i", "second", "shop.yaml"];
    let failed = tools.run("build", &arguments).expect(1);
    tools.sandbox.ok(&["sim", "outage", "0s"]);
    assert_eq!(tools.sandbox.machines().len(), 3, "{}", failed.stdout);
    // The provider could not say whether anything is there: that is kept in mind.
    let again = ["-i", "second", "--parallelize", "shop.yaml"];
    tools.ok("destroy", &["-i", "second"]);
    tools.ok("build", &again);
    assert_eq!(tools.sandbox.machines().len(), 6);
}
