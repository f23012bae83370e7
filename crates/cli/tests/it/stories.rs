//! Whole stories, as a person at a terminal lives through them.

use std::fmt::Write as _;

use crate::sandbox::{Sandbox, example, run};

const JUMP: [&str; 2] = ["--pace", "jump"];

/// Two nodes, one of which reads the other's address.
pub(crate) fn pair(sandbox: &Sandbox, greeting: &str, workers: &str, extra: &str) -> String {
    let text = format!(
        "infra_name: pair
user_id: somebody
nodes:
  - &store
    name: store
    type: store
    variables: {{greeting: {greeting}}}
  - &worker
    name: worker
    type: worker
    scaling: {workers}
{extra}dependencies:
  - connection: [*worker, *store]
'node_def:store':
  - resource: {{type: sim, cores: 1}}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        runcmd: [echo {{{{variables.greeting}}}}]
    health_check: {{ports: [80]}}
'node_def:worker':
  - resource: {{type: sim, cores: 2}}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        runcmd: [\"connect {{{{getip('store')}}}}\"]
"
    );
    sandbox.write("pair.yaml", &text).display().to_string()
}

fn with_jump<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().chain(JUMP).collect()
}

#[test]
fn hello_from_nothing_to_nothing() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    insta::assert_snapshot!("hello_plan", sandbox.ok(&["plan", &file]).filtered());
    assert!(!sandbox.state().exists(), "looking makes no state");
    let up = sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    insta::assert_snapshot!("hello_up", up.filtered());
    assert_eq!(sandbox.machines(), ["receiver/1", "sender/1"]);
    insta::assert_snapshot!("hello_status", sandbox.ok(&["status"]).filtered());
    insta::assert_snapshot!("hello_why", sandbox.ok(&["why", "sender"]).filtered());
    let again = sandbox.ok(&["plan", &file, "--detailed-exit-code"]);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    let down = sandbox.ok(&with_jump(&["down", "--yes"]));
    assert!(
        down.stderr.contains("everything is gone"),
        "{}",
        down.stderr
    );
    assert!(sandbox.machines().is_empty());
    sandbox.run(&["status"]).expect(2);
    assert!(
        sandbox
            .ok(&["status", "hello"])
            .stdout
            .contains("hello: down")
    );
    assert!(
        sandbox
            .ok(&["down", "hello", "--yes", "--purge"])
            .stderr
            .contains("history")
    );
    sandbox.run(&["status", "hello"]).expect(2);
}

#[test]
fn three_tiers_scale_heal_and_change() {
    let sandbox = Sandbox::new();
    let file = example("three-tier");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    assert_eq!(sandbox.machines(), ["app/1", "app/2", "db/1", "lb/1"]);
    let scaled = sandbox.ok(&with_jump(&["scale", "app=+2"]));
    assert!(
        scaled.stderr.contains("4 of 4 ready") || scaled.stderr.contains("6 of 6 instances ready"),
        "{}",
        scaled.stderr
    );
    assert_eq!(sandbox.machines().len(), 6);
    let limited = sandbox.ok(&with_jump(&["scale", "three-tier", "app=99"]));
    assert!(
        limited.stderr.contains("gets 6 instead of 99"),
        "{}",
        limited.stderr
    );
    sandbox.ok(&with_jump(&["scale", "app=3", "--remove", "app/1"]));
    let machines = sandbox.machines();
    assert!(!machines.contains(&"app/1".to_owned()), "{machines:?}");
    sandbox.ok(&["sim", "kill", "db/1"]);
    let healed = sandbox.ok(&with_jump(&["watch", "--once"]));
    assert!(healed.stderr.contains("db/1"), "{}", healed.stderr);
    let machines = sandbox.machines();
    assert!(
        machines.contains(&"db/2".to_owned()) && !machines.contains(&"db/1".to_owned()),
        "{machines:?}"
    );
    let events = sandbox.ok(&["events", "-n", "0"]).stdout;
    assert!(events.contains("db/1  broke down"), "{events}");
    assert!(
        sandbox
            .ok(&["why", "db/1"])
            .stdout
            .contains("does not exist any more")
    );
    sandbox.ok(&with_jump(&["down", "--yes"]));
    assert!(sandbox.machines().is_empty());
}

#[test]
fn an_edited_descriptor_is_a_change_of_the_running_infrastructure() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "hello", "{min: 2, max: 5}", "");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    pair(&sandbox, "goodbye", "{min: 3, max: 5}", "");
    insta::assert_snapshot!(
        "edited_plan",
        sandbox
            .run(&["plan", &file, "--detailed-exit-code"])
            .expect(10)
            .filtered()
    );
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    let machines = sandbox.machines();
    assert!(
        machines.contains(&"store/2".to_owned()),
        "the store was replaced: {machines:?}"
    );
    assert_eq!(
        machines
            .iter()
            .filter(|name| name.starts_with("worker/"))
            .count(),
        3,
        "{machines:?}"
    );
    let refusing = "    update: {refuse_replacement: true}\n";
    pair(&sandbox, "goodbye", "{min: 3, max: 5}", refusing);
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    sandbox.ok(&with_jump(&["down", "--yes", "pair.yaml"]));
    assert!(sandbox.machines().is_empty());
}

#[test]
fn several_infrastructures_live_side_by_side() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    sandbox.ok(&with_jump(&["up", &file, "--yes", "--name", "one"]));
    sandbox.ok(&with_jump(&["up", &file, "--yes", "--name", "two"]));
    assert_eq!(sandbox.machines().len(), 4);
    let which = sandbox.run(&["status"]).expect(2);
    assert!(which.stderr.contains("`one`, `two`"), "{}", which.stderr);
    let ambiguous = sandbox.run(&["sim", "kill", "sender/1"]).expect(2);
    assert!(ambiguous.stderr.contains("can be"), "{}", ambiguous.stderr);
    sandbox.ok(&with_jump(&["down", "one", "--yes"]));
    assert!(sandbox.ok(&["status"]).stdout.contains("two: ready"));
    insta::assert_snapshot!("several_list", sandbox.ok(&["list", "--all"]).filtered());
}

#[test]
fn a_request_is_applied_once() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "hello", "{min: 1, max: 9}", "");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    for _ in 0..3 {
        sandbox.ok(&with_jump(&["scale", "worker=+2", "--request", "monday"]));
    }
    assert_eq!(sandbox.machines().len(), 4);
    // Stored for whoever leads next, and applied by it.
    let stored = sandbox.ok(&["scale", "worker=+1", "--request", "tuesday", "--no-wait"]);
    assert!(stored.stderr.contains("stored"), "{}", stored.stderr);
    assert_eq!(sandbox.machines().len(), 4);
}

#[test]
fn a_foreign_descriptor_is_tried_on_the_simulated_cloud() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(pair(&sandbox, "hello", "{min: 1, max: 2}", ""))
        .expect("it was written");
    let foreign = text.replace(
        "{type: sim, cores: 1}",
        "{type: cloudbroker, endpoint: e, description: {deployment_id: d, instance_type_id: t}}",
    );
    let file = sandbox
        .write("foreign.yaml", &foreign)
        .display()
        .to_string();
    insta::assert_snapshot!(
        "foreign_provider",
        sandbox
            .run(&["up", "foreign.yaml", "--yes"])
            .expect(5)
            .filtered()
    );
    // A preview calls nobody.
    let plan = sandbox.ok(&["plan", "foreign.yaml"]);
    assert!(plan.stdout.contains("to create"), "{}", plan.stdout);
    assert!(
        plan.stderr
            .contains("`cloudbroker` is not available in this version: `up` will refuse"),
        "{}",
        plan.stderr
    );
    let up = sandbox.ok(&with_jump(&["up", &file, "--on", "sim", "--yes"]));
    assert!(
        up.stderr.contains("could not be carried over to `sim`"),
        "{}",
        up.stderr
    );
    assert_eq!(sandbox.machines().len(), 2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(&["completion", "bash"])
        .spawn()
        .expect("the binary was built");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status}");
}

#[test]
fn colour_is_only_used_where_it_is_wanted() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    let has_color = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = sandbox.command(arguments);
        command.envs(variables.iter().copied());
        run(command).expect(0).stdout.contains('\u{1b}')
    };
    assert!(!has_color(&["plan", &file], &[]));
    assert!(has_color(&["plan", &file, "--color", "always"], &[]));
    assert!(has_color(&["plan", &file], &[("CLICOLOR_FORCE", "1")]));
    assert!(!has_color(
        &["plan", &file],
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
    assert!(!has_color(
        &["plan", &file, "--color", "never"],
        &[("CLICOLOR_FORCE", "1")]
    ));
}

#[test]
fn a_plan_fits_on_a_screen_at_any_size() {
    let sandbox = Sandbox::new();
    let mut text = "infra_name: wide\nuser_id: somebody\nnodes:\n".to_owned();
    for number in 0..500 {
        let _ = writeln!(text, "  - {{name: n{number}, type: t{}}}", number % 3);
    }
    for kind in 0..3 {
        let _ = writeln!(text, "'node_def:t{kind}':\n  - resource: {{type: sim}}");
    }
    sandbox.write("wide.yaml", &text);
    let plan = sandbox.ok(&["plan", "wide.yaml"]).stdout;
    assert!(plan.lines().count() <= 40, "{plan}");
    assert!(plan.contains("create 500"), "{plan}");
    let full = sandbox.ok(&["plan", "wide.yaml", "--full"]).stdout;
    assert!(full.lines().count() > 500);
}

/// Two processes: one leads, the other asks it through the store.
#[test]
fn requests_reach_the_process_that_leads() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "hello", "{min: 1, max: 9}", "");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    let watch = sandbox
        .command(&["watch", "--pace", "600"])
        .spawn()
        .expect("the binary was built");
    let is_led = || {
        sandbox
            .ok(&["status"])
            .stdout
            .contains(&format!("process {}", watch.id()))
    };
    assert!((0..1000).any(|_| is_led()), "nobody leads");
    for _ in 0..2 {
        let applied = sandbox.ok(&["scale", "worker=+2", "--request", "once"]);
        assert!(applied.stderr.contains("applied"), "{}", applied.stderr);
    }
    let is_scaled = || sandbox.ok(&["status"]).stdout.contains("4 of 4 instances");
    assert!((0..1000).any(|_| is_scaled()), "it never scaled");
    let refused = sandbox.run(&["scale", "nothing=1"]).expect(2);
    assert!(refused.stderr.contains("nothing"), "{}", refused.stderr);
    sandbox.ok(&["sim", "kill", "worker/1"]);
    let is_healed = || {
        let machines = sandbox.machines();
        machines.len() == 4 && !machines.contains(&"worker/1".to_owned())
    };
    assert!((0..1000).any(|_| is_healed()), "it never healed");
    let down = sandbox.ok(&["down", "--yes"]);
    assert!(down.stderr.contains("takes it down"), "{}", down.stderr);
    let ended = watch.wait_with_output().expect("it is our child");
    assert!(ended.status.success(), "{ended:?}");
    assert!(sandbox.machines().is_empty());
}

#[test]
fn a_hostile_cloud_only_takes_longer() {
    let sandbox = Sandbox::new();
    let file = example("three-tier");
    for seed in ["1", "2", "3"] {
        let arguments = [
            "up",
            &file,
            "--yes",
            "--sim-profile",
            "typical",
            "--seed",
            seed,
            "-v",
        ];
        sandbox.ok(&with_jump(&arguments));
        sandbox.ok(&with_jump(&["scale", "app=5"]));
        let machines = sandbox.machines();
        assert_eq!(machines.len(), 7, "{machines:?}");
        sandbox.ok(&with_jump(&["down", "--yes"]));
        assert!(sandbox.machines().is_empty(), "{:?}", sandbox.machines());
    }
}

#[test]
fn numbers_of_any_kind_outlive_the_process() {
    let sandbox = Sandbox::new();
    let numbers = "variables: {a: .nan, b: .inf, c: -.inf, d: 2.2250738585072011e-308, e: 8.41e21, \
        f: 0.30000000000000004, g: 1.7976931348623157e308, h: 99999999999999999999999}\n";
    let file = pair(&sandbox, "hello", "{min: 1}", numbers);
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    // Exit code 10 would be a change that nobody made.
    sandbox.ok(&["plan", &file, "--detailed-exit-code"]);
    sandbox.ok(&with_jump(&["down", "--yes"]));
    assert!(sandbox.machines().is_empty());
}

#[test]
fn a_scale_says_its_own_name_and_each_thing_once() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "hello", "{min: 1, max: 2}", "");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    let scaled = sandbox.ok(&with_jump(&["scale", "worker=9"])).stderr;
    assert_eq!(scaled.matches("instead of 9").count(), 1, "{scaled}");
    assert!(scaled.contains("scale: pair: 3 of 3"), "{scaled}");
    let twice = sandbox.run(&["scale", "worker=1", "worker=2"]).expect(2);
    assert!(
        twice.stderr.contains("`worker` is named twice"),
        "{}",
        twice.stderr
    );
    let watched = sandbox.ok(&with_jump(&["watch", "--once"])).stderr;
    assert!(watched.contains("watch: pair: 3 of 3"), "{watched}");
    let plan = sandbox.ok(&["plan", &file]).stdout;
    assert_eq!(plan, "pair: 2 nodes, generation 2\n\nPlan: nothing to do\n");
}

#[test]
fn drawings_are_not_json() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    let asked = ["plan", &file, "--graph", "dot", "--output", "json"];
    let run = sandbox.run(&asked).expect(2);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
}

#[test]
fn every_change_of_the_cloud_is_told_to_programs() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "hello", "{min: 1, max: 2}", "");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    for change in [
        &["sim", "kill", "store/1", "worker/1"][..],
        &["sim", "outage", "1s"],
        &["sim", "profile", "calm"],
        &["sim", "quota"],
        &["sim", "reset", "--yes"],
        &["sim", "reset", "--yes"],
    ] {
        let told = sandbox.ok(&[change, &["--output", "json"]].concat()).json();
        assert_eq!(told["schema_version"], 1, "{change:?}");
        assert!(told["done"][0].is_string(), "{change:?}: {told}");
    }
}

#[test]
fn a_plan_that_only_notes_wishes_says_so() {
    let sandbox = Sandbox::new();
    let file = pair(&sandbox, "hello", "{min: 1, max: 2}", "");
    sandbox.ok(&with_jump(&["up", &file, "--yes"]));
    let file = pair(&sandbox, "hello", "{min: 1, max: 3}", "");
    let plan = sandbox.run(&["plan", &file, "--detailed-exit-code"]);
    let plan = plan.expect(10).stdout;
    assert!(plan.contains("no instance changes"), "{plan}");
}
