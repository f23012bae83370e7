//! `zenekar lint` from outside: files, codes, exit codes, formats.

use serde_json::Value;

use crate::sandbox::Sandbox;

const INFRASTRUCTURE: &str = "infra_name: small
user_id: me
nodes:
  - name: app
    type: app
    scaling: { min: 1, max: 1 }
dependencies: []
";

const DEFINITIONS: &str = "'node_def:app':
  - resource:
      type: sim
    contextualisation:
      type: cloudinit
      context_template: !yaml_import
        url: file://context.yaml
";

/// Writes a descriptor with this user-data; returns its name.
fn descriptor(sandbox: &Sandbox, context: &str) -> &'static str {
    sandbox.write("infra.yaml", INFRASTRUCTURE);
    sandbox.write("nodes/node_definitions.yaml", DEFINITIONS);
    sandbox.write("nodes/context.yaml", context);
    "infra.yaml"
}

const WARNING: &str = "#cloud-config\nruncmd:\n- wget http://example.org/list\n";
const ERROR: &str = "#cloud-config\nruncmd:\n- dockerd -H tcp://0.0.0.0:2375\n";

#[test]
fn findings_have_their_place_in_included_files() {
    let sandbox = Sandbox::new();
    let file = descriptor(&sandbox, WARNING);
    let run = sandbox.ok(&["lint", file, "--concise"]);
    assert_eq!(
        run.stdout,
        "nodes/context.yaml:3:8: warning[ZK0713]: this is fetched over plain HTTP, and can be changed on its way\n"
    );
    let run = sandbox.ok(&["lint", file]);
    assert!(
        run.stdout.contains("3 | - wget http://example.org/list"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("1 warning\n"), "{}", run.stdout);
    let json = sandbox.ok(&["lint", file, "--output", "json"]).json();
    assert_eq!(json["kind"], "lint");
    assert_eq!(
        (&json["errors"], &json["warnings"]),
        (&Value::from(0), &Value::from(1))
    );
    assert_eq!(json["diagnostics"][0]["code"], "ZK0713");
}

#[test]
fn errors_and_what_is_denied_change_the_exit_code() {
    let sandbox = Sandbox::new();
    let file = descriptor(&sandbox, WARNING);
    sandbox.run(&["lint", file, "--deny", "warnings"]).expect(3);
    sandbox.run(&["lint", file, "--deny", "zk0713"]).expect(3);
    sandbox.run(&["lint", file, "--deny", "ZK0714"]).expect(0);
    let allowed = sandbox
        .run(&["lint", file, "--deny", "warnings", "--allow", "ZK0713"])
        .expect(0);
    assert_eq!(allowed.stdout, "nothing found\n");
    let unknown = sandbox.run(&["lint", file, "--allow", "ZK9999"]).expect(2);
    assert!(unknown.stderr.contains("`ZK9999`"), "{}", unknown.stderr);
    descriptor(&sandbox, ERROR);
    sandbox.run(&["lint", file]).expect(3);
    sandbox.run(&["lint", file, "--output", "json"]).expect(3);
    sandbox.run(&["lint", file, "--allow", "ZK0705"]).expect(0);
    descriptor(
        &sandbox,
        &WARNING.replace("- wget", "# zenekar: allow ZK0713 ours\n- wget"),
    );
    sandbox.run(&["lint", file, "--deny", "warnings"]).expect(0);
}

#[test]
fn what_cannot_be_loaded_is_told_as_validate_does() {
    let sandbox = Sandbox::new();
    let file = descriptor(
        &sandbox,
        "#cloud-config\nruncmd:\n- echo {{getip('nobody')}}\n",
    );
    let run = sandbox
        .run(&["lint", file, "--concise", "--allow", "ZK0404"])
        .expect(3);
    assert!(run.stdout.contains("error[ZK0404]"), "{}", run.stdout);
    assert!(
        run.stderr.contains("`infra.yaml` has 1 mistake"),
        "{}",
        run.stderr
    );
    sandbox.run(&["lint", "missing.yaml"]).expect(3);
    sandbox.write(
        "tosca.yaml",
        "tosca_definitions_version: tosca_simple_yaml_1_2\n",
    );
    let tosca = sandbox.run(&["lint", "tosca.yaml"]).expect(3);
    assert!(tosca.stderr.contains("TOSCA"), "{}", tosca.stderr);
}

#[test]
fn warnings_of_loading_are_shown_too() {
    let sandbox = Sandbox::new();
    let file = descriptor(&sandbox, "#cloud-config\nwrite_files: []\n");
    let second =
        "  - { name: db, type: app, scaling: { min: 1, max: 1 } }\ndependencies: [[app, db]]\n";
    sandbox.write(file, &INFRASTRUCTURE.replace("dependencies: []\n", second));
    let run = sandbox.ok(&["lint", file, "--concise"]);
    assert!(run.stdout.contains("warning[ZK0212]"), "{}", run.stdout);
    let run = sandbox.ok(&["lint", file, "--allow", "ZK0212"]);
    assert_eq!(run.stdout, "nothing found\n");
}

#[test]
fn files_with_node_definitions_only_are_looked_at() {
    let sandbox = Sandbox::new();
    descriptor(&sandbox, ERROR);
    let run = sandbox
        .run(&["lint", "nodes/node_definitions.yaml", "--concise"])
        .expect(3);
    assert!(
        run.stdout
            .starts_with("nodes/context.yaml:3:3: error[ZK0705]"),
        "{}",
        run.stdout
    );
}
