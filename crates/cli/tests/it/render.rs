//! `zenekar render` shows what instances would get.

use crate::sandbox::Sandbox;

const DESCRIPTION: &str = "\
infra_name: shop
user_id: me
variables:
  db_password: s3cr3t-word
  port: 8080
nodes:
- &db
  name: db
  type: database
- &app
  name: app
  type: application
  scaling: {min: 2, max: 3}
dependencies:
- connection: [*app, *db]
";

const DEFINITIONS: &str = "\
'node_def:database':
- resource:
    type: docker
    endpoint: unix://var/run/docker.sock
    origin: dockerhub
    image: mariadb
    tag: latest
  contextualisation:
    type: docker
    env: ['DB_PASSWORD={{variables.db_password}}', 'PORT={{variables.port}}']
    command: run 'a b'
'node_def:application':
- resource:
    type: nova
    endpoint: https://example.org
    image_id: image
    flavor_name: small
    project_id: project
    server_name: app-{{cut(infra_id,0,4)}}
  contextualisation:
    type: cloudinit
    context_template: !yaml_import
      url: file://app.yaml
";

const CLOUD_INIT: &str = "\
#cloud-config
write_files:
- path: /etc/app.conf
  content: |
    db={{getip('db')}} password={{variables.db_password}}
    me={{node_id}}
runcmd:
- app --key '-----BEGIN RSA PRIVATE KEY-----MIIabc-----END RSA PRIVATE KEY-----'
";

fn sandbox() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let file = sandbox.write("infra.yaml", DESCRIPTION);
    sandbox.write("nodes/node_definitions.yaml", DEFINITIONS);
    sandbox.write("nodes/app.yaml", CLOUD_INIT);
    (sandbox, file.display().to_string())
}

#[test]
fn a_node_shows_its_user_data_without_secrets() {
    let (sandbox, file) = sandbox();
    let run = sandbox.ok(&["render", &file, "app"]);
    assert_eq!(
        run.stdout,
        "#cloud-config\nruncmd:\n- app --key '-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----'\n\
         write_files:\n- content: \"db=203.0.113.1 password=***\\nme=00000000-0000-0000-0000-000000000002\\n\"\n  \
         path: /etc/app.conf\n"
    );
    assert!(run.stderr.contains("--show-secrets"), "{}", run.stderr);
    let run = sandbox.ok(&["render", &file, "app/2", "--show-secrets"]);
    assert!(
        run.stdout.contains("password=s3cr3t-word"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("PRIVATE KEY-----MIIabc---"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("me=00000000-0000-0000-0000-000000000004"),
        "{}",
        run.stdout
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn all_nodes_are_shown_in_the_order_in_which_they_come_up() {
    let (sandbox, file) = sandbox();
    let run = sandbox.ok(&["render", &file]);
    assert!(
        run.stdout.starts_with(
            "==> db/0 <== on `docker@unix://var/run/docker.sock`\nenv: DB_PASSWORD=***\nenv: PORT=8080\ncommand: run 'a b'\n\n==> app/0 <== on `nova@https://example.org,project=project`\n#cloud-config\n"
        ),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("app/1"), "{}", run.stdout);
}

#[test]
fn programs_get_everything() {
    let (sandbox, file) = sandbox();
    let run = sandbox.ok(&["render", &file, "--all-instances", "--output", "json"]);
    let json = run.json();
    assert_eq!(json["kind"], "rendering");
    assert_eq!(json["secrets_masked"], true);
    let instances = json["instances"].as_array().expect("a list");
    let names: Vec<_> = instances
        .iter()
        .map(|one| format!("{}/{}", one["node"].as_str().expect("text"), one["index"]))
        .collect();
    assert_eq!(names, ["db/0", "app/0", "app/1"]);
    assert_eq!(instances[0]["environment"][0], "DB_PASSWORD=***");
    assert_eq!(instances[0]["command"][1], "a b");
    assert_eq!(instances[1]["resource"]["server_name"], "app-1111");
    assert_eq!(
        instances[2]["instance"],
        "00000000-0000-0000-0000-000000000003"
    );
    assert!(!run.stdout.contains("s3cr3t-word"), "{}", run.stdout);
}

#[test]
fn mistakes_are_told() {
    let (sandbox, file) = sandbox();
    let run = sandbox.run(&["render", &file, "ap"]).expect(2);
    assert!(run.stderr.contains("did you mean `app`?"), "{}", run.stderr);
    let run = sandbox.run(&["render", &file, "app/3"]).expect(2);
    assert!(run.stderr.contains("at most 3 instances"), "{}", run.stderr);
    let run = sandbox.run(&["render", &file, "app/x"]).expect(2);
    assert!(run.stderr.contains("names no instance"), "{}", run.stderr);
}

#[test]
fn templates_run_programs_only_where_that_is_allowed() {
    let (sandbox, file) = sandbox();
    sandbox.write(
        "nodes/app.yaml",
        "#cloud-config\nruncmd:\n- echo {{cmd('echo from here')}}\n",
    );
    let run = sandbox.run(&["render", &file, "app"]).expect(3);
    assert!(run.stderr.contains("error[ZK0407]"), "{}", run.stderr);
    let run = sandbox.ok(&["render", &file, "app", "--allow-host-commands"]);
    assert_eq!(run.stdout, "#cloud-config\nruncmd:\n- echo from here\n");
}
