//! Seeded mistakes: each with the exact place and a hint, never a panic, and
//! never a topology that hides an error.

use zenekar_diagnostics::Severity;
use zenekar_occopus::Loaded;

use crate::support::{PLAIN, load_one};

/// Every mistake gives findings; an error gives no topology, warnings alone give one.
pub(crate) fn check(name: &str, (loaded, findings): (Loaded, String)) {
    assert!(!loaded.diagnostics.is_empty(), "{name} has no finding");
    let has_error = loaded
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(loaded.topology.is_none(), has_error, "{name}:\n{findings}");
    insta::assert_snapshot!(name, findings);
}

/// A description with the lines of `nodes`, and what else is given.
fn with_nodes(nodes: &str, rest: &str) -> String {
    format!("user_id: tester\ninfra_name: demo\nnodes:\n{nodes}\n{rest}{PLAIN}")
}

/// Two nodes `web` and `db` with anchors, and a list of dependencies.
fn with_dependencies(items: &str) -> String {
    let nodes = "  - &web\n    name: web\n    type: plain\n  - &db\n    name: db\n    type: plain";
    with_nodes(nodes, &format!("dependencies:\n{items}\n"))
}

/// One node of a type with the given sections.
fn with_definition(sections: &str) -> String {
    format!(
        "user_id: tester\ninfra_name: demo\nnodes:\n  - name: web\n    type: own\n  - name: db\n    type: own\n'node_def:own':\n{sections}\n"
    )
}

/// One node whose user-data is the given mapping.
fn with_template(template: &str) -> String {
    with_definition(&format!(
        "  - resource:\n      type: sim\n    contextualisation:\n      type: cloudinit\n      context_template:\n{template}"
    ))
}

#[test]
fn in_the_description() {
    let cases: &[(&str, String)] = &[
        (
            "unknown_top_key",
            format!("user_id: a\ninfra_name: demo\nnode:\n  - name: a\nnodes: []\n{PLAIN}"),
        ),
        (
            "missing_name_and_nodes",
            format!("variables:\n  a: 1\n{PLAIN}"),
        ),
        (
            "missing_user",
            format!("infra_name: demo\nnodes:\n  - name: a\n    type: plain\n{PLAIN}"),
        ),
        (
            "infra_name_with_dot",
            format!(
                "user_id: a\ninfra_name: my.demo\nnodes:\n  - name: a\n    type: plain\n{PLAIN}"
            ),
        ),
        (
            "infra_name_is_number",
            format!("user_id: a\ninfra_name: 42\nnodes:\n  - name: a\n    type: plain\n{PLAIN}"),
        ),
        (
            "nodes_is_mapping",
            format!("user_id: a\ninfra_name: demo\nnodes:\n  web:\n    type: plain\n{PLAIN}"),
        ),
        (
            "nodes_is_empty",
            format!("user_id: a\ninfra_name: demo\nnodes: []\n{PLAIN}"),
        ),
        (
            "variables_is_list",
            format!(
                "user_id: a\ninfra_name: demo\nvariables: [a]\nnodes:\n  - name: a\n    type: plain\n{PLAIN}"
            ),
        ),
        (
            "description_is_list",
            "- name: web\n  type: plain\n".to_owned(),
        ),
        ("only_definitions", PLAIN.to_owned()),
        ("node_is_text", with_nodes("  - web", "")),
        ("node_without_name", with_nodes("  - type: plain", "")),
        ("node_without_type", with_nodes("  - name: web", "")),
        (
            "node_key_misspelt",
            with_nodes(
                "  - name: web\n    type: plain\n    scalling:\n      min: 2",
                "",
            ),
        ),
        (
            "node_key_of_occopus_code",
            with_nodes(
                "  - name: web\n    type: plain\n    create_timeout: 100",
                "",
            ),
        ),
        (
            "node_name_with_underscore",
            with_nodes("  - name: concat_a\n    type: plain", ""),
        ),
        (
            "node_name_too_long",
            with_nodes(
                &format!("  - name: {}\n    type: plain", "x".repeat(64)),
                "",
            ),
        ),
        (
            "node_name_is_boolean",
            with_nodes("  - name: true\n    type: plain", ""),
        ),
        (
            "node_twice",
            with_nodes(
                "  - name: web\n    type: plain\n  - name: web\n    type: plain",
                "",
            ),
        ),
        (
            "type_misspelt",
            with_nodes("  - name: web\n    type: plian", ""),
        ),
        (
            "type_unknown",
            with_nodes("  - name: web\n    type: something-else", ""),
        ),
        (
            "count_is_text",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      min: '2'",
                "",
            ),
        ),
        (
            "count_is_word",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      min: two\n      max: '{{MAXNODES}}'",
                "",
            ),
        ),
        (
            "count_is_negative",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      min: -1",
                "",
            ),
        ),
        (
            "count_is_huge",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      max: 100000000",
                "",
            ),
        ),
        (
            "count_is_zero",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      min: 0",
                "",
            ),
        ),
        (
            "max_below_min",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      min: 5\n      max: 2",
                "",
            ),
        ),
        (
            "scaling_key_misspelt",
            with_nodes(
                "  - name: web\n    type: plain\n    scaling:\n      mim: 2",
                "",
            ),
        ),
        (
            "scaling_is_number",
            with_nodes("  - name: web\n    type: plain\n    scaling: 3", ""),
        ),
        (
            "filter_is_list",
            with_nodes("  - name: web\n    type: plain\n    filter: [sim]", ""),
        ),
        (
            "filter_matches_nothing",
            with_nodes(
                "  - name: web\n    type: plain\n    filter:\n      type: ec2\n      regionname: eu",
                "",
            ),
        ),
        (
            "update_never_proceeds",
            with_nodes(
                "  - name: web\n    type: plain\n    update:\n      unavailable_max: 0",
                "",
            ),
        ),
        (
            "update_key_misspelt",
            with_nodes(
                "  - name: web\n    type: plain\n    update:\n      max_surge: 1",
                "",
            ),
        ),
        (
            "update_word_for_boolean",
            with_nodes(
                "  - name: web\n    type: plain\n    update:\n      refuse_replacement: yes",
                "",
            ),
        ),
        (
            "annotation_faulty",
            with_nodes(
                "  - name: web\n    type: plain\n    verification:\n      needs: [web:http, all web, web.]\n      gives: [80, 0, a b, [c]]\n      writes: [a b]\n      retries: yes\n      waits: true",
                "",
            ),
        ),
        (
            "annotation_of_both_kinds",
            with_nodes(
                "  - name: web\n    type: plain\n    verification:\n      segments: [{label: join, needed: [web]}, 3]\n      gives: [80]",
                "",
            ),
        ),
        (
            "annotation_unknown_node",
            with_nodes(
                "  - name: web\n    type: plain\n    verification: {needs: ['wbe:80']}\n  - name: db\n    type: plain",
                "",
            ),
        ),
        (
            "several_at_once",
            with_nodes(
                "  - name: a_b\n    type: plian\n    skaling: 1\n  - nmae: c",
                "dependencies:\n  - [a_b, d]\n",
            ),
        ),
    ];
    for (name, text) in cases {
        check(name, load_one(text));
    }
}

#[test]
fn in_dependencies() {
    let cases: &[(&str, String)] = &[
        (
            "dependencies_is_mapping",
            with_nodes(
                "  - name: web\n    type: plain",
                "dependencies:\n  web: db\n",
            ),
        ),
        ("dependency_is_text", with_dependencies("  - web")),
        ("dependency_of_one", with_dependencies("  - [*web]")),
        (
            "dependency_of_three",
            with_dependencies("  - connection: [*web, *db, *db]"),
        ),
        (
            "dependency_without_connection",
            with_dependencies("  - connections: [*web, *db]"),
        ),
        (
            "dependency_unknown_name",
            with_dependencies("  - [web, dbs]"),
        ),
        ("dependency_by_name", with_dependencies("  - [web, db]")),
        (
            "dependency_on_itself",
            with_dependencies("  - [*web, *web]"),
        ),
        (
            "dependency_twice",
            with_dependencies("  - [*web, *db]\n  - connection: [*web, *db]"),
        ),
        (
            "dependency_on_foreign_anchor",
            with_nodes(
                "  - &web\n    name: web\n    type: plain",
                "variables:\n  other: &other\n    name: db\n    type: plain\ndependencies:\n  - [*web, *other]\n",
            ),
        ),
        ("dependency_on_number", with_dependencies("  - [*web, 7]")),
        (
            "address_change_misspelt",
            with_dependencies("  - connection: [*web, *db]\n    on_address_change: restrat"),
        ),
        (
            "mapping_of_one",
            with_dependencies("  - connection: [*web, *db]\n    mappings:\n      - [address]"),
        ),
        (
            "mapping_with_unknown_key",
            with_dependencies(
                "  - connection: [*web, *db]\n    mappings:\n      - attributes: [a, b]\n        sync: true",
            ),
        ),
        (
            "cycle_of_two",
            with_dependencies("  - [*web, *db]\n  - [*db, *web]"),
        ),
        ("cycles_of_three_and_two", {
            let nodes: Vec<String> = ["a", "b", "c", "d", "e"]
                .iter()
                .map(|name| format!("  - &{name}\n    name: {name}\n    type: plain"))
                .collect();
            let edges = "dependencies:\n  - [*a, *b]\n  - [*d, *e]\n  - [*b, *c]\n  - [*c, *a]\n  - [*e, *d]\n  - [*d, *a]\n";
            with_nodes(&nodes.join("\n"), edges)
        }),
    ];
    for (name, text) in cases {
        check(name, load_one(text));
    }
}

#[test]
fn in_definitions() {
    let cases: &[(&str, String)] = &[
        (
            "definition_is_mapping",
            with_definition("  resource:\n    type: sim"),
        ),
        ("definition_is_empty", with_definition("  []")),
        ("implementation_is_text", with_definition("  - sim")),
        (
            "section_misspelt",
            with_definition(
                "  - resource:\n      type: sim\n    contextualization:\n      type: basic",
            ),
        ),
        (
            "section_resource_missing",
            with_definition("  - contextualisation:\n      type: basic\n      attributes: {}"),
        ),
        ("resource_is_text", with_definition("  - resource: sim")),
        (
            "resource_without_type",
            with_definition("  - resource:\n      region: eu"),
        ),
        (
            "provider_misspelt",
            with_definition("  - resource:\n      type: novva"),
        ),
        (
            "provider_unknown",
            with_definition("  - resource:\n      type: vsphere"),
        ),
        (
            "provider_removed",
            with_definition("  - resource:\n      type: occi\n      endpoint: x"),
        ),
        (
            "resource_keys_missing",
            with_definition("  - resource:\n      type: ec2\n      endpoint: https://example.org"),
        ),
        (
            "resource_key_unknown",
            with_definition(
                "  - resource:\n      type: docker\n      endpoint: unix\n      origin: dockerhub\n      image: busybox\n      tag: latest\n      network_mode: host",
            ),
        ),
        (
            "azure_without_credentials",
            with_definition(
                "  - resource:\n      type: azure_vm\n      endpoint: e\n      resource_group: g\n      location: l\n      vm_size: s\n      publisher: p\n      offer: o\n      sku: k\n      version: v\n      username: u\n      customdata: none",
            ),
        ),
        (
            "local_isolation_unknown",
            with_definition("  - resource:\n      type: local\n      isolation: strong"),
        ),
        (
            "sim_cores_zero",
            with_definition("  - resource:\n      type: sim\n      cores: 0"),
        ),
        (
            "sim_interval_reversed",
            with_definition("  - resource:\n      type: sim\n      boot_ms: [900, 100]"),
        ),
        (
            "sim_percent_too_high",
            with_definition("  - resource:\n      type: sim\n      boot_failure_percent: 101"),
        ),
        (
            "volume_size_is_text",
            with_definition(
                "  - resource:\n      type: nova\n      endpoint: e\n      image_id: i\n      flavor_name: f\n      project_id: p\n      volume_size: large\n      security_groups: default\n      tenant_name: t",
            ),
        ),
        (
            "context_type_unknown",
            with_definition(
                "  - resource:\n      type: sim\n    contextualisation:\n      type: cloudbroker",
            ),
        ),
        (
            "context_template_missing",
            with_definition(
                "  - resource:\n      type: sim\n    contextualisation:\n      type: cloudinit",
            ),
        ),
        (
            "context_template_is_list",
            with_definition(
                "  - resource:\n      type: sim\n    contextualisation:\n      type: cloudinit\n      context_template: [a]",
            ),
        ),
        (
            "environment_without_value",
            with_definition(
                "  - resource:\n      type: sim\n    contextualisation:\n      type: docker\n      env: [MESSAGE]",
            ),
        ),
        (
            "machine_with_container_context",
            with_definition(
                "  - resource:\n      type: cloudbroker\n      endpoint: e\n      description: {}\n    contextualisation:\n      type: docker\n      env: [A=1]",
            ),
        ),
        (
            "config_manager_unknown",
            with_definition(
                "  - resource:\n      type: sim\n    config_management:\n      type: puppet",
            ),
        ),
        (
            "config_manager_incomplete",
            with_definition(
                "  - resource:\n      type: sim\n    config_management:\n      type: chef",
            ),
        ),
        (
            "health_port_is_text",
            with_definition(
                "  - resource:\n      type: sim\n    health_check:\n      ports: [22, '80']",
            ),
        ),
        (
            "health_port_out_of_range",
            with_definition(
                "  - resource:\n      type: sim\n    health_check:\n      ports: [70000]",
            ),
        ),
        (
            "health_ping_is_word",
            with_definition("  - resource:\n      type: sim\n    health_check:\n      ping: no"),
        ),
        (
            "config_manager_chef",
            with_definition(
                "  - resource:\n      type: sim\n    config_management:\n      type: chef\n      endpoint: https://chef.example.org\n      run_list: ['recipe[web]']",
            ),
        ),
        (
            "key_of_documentation_only",
            with_definition(
                "  - resource:\n      type: docker\n      endpoint: unix://var/run/docker.sock\n      origin: dockerhub\n      image: nginx\n      tag: latest\n      network_mode: host",
            ),
        ),
        (
            "resource_description_incomplete",
            with_definition(
                "  - resource:\n      type: cloudsigma\n      endpoint: https://zrh.cloudsigma.com/api/2.0\n      libdrive_id: a\n      description:\n        cpu: 2000\n        drives: []",
            ),
        ),
        (
            "health_timeout_is_text",
            with_definition(
                "  - resource:\n      type: sim\n    health_check:\n      timeout: 10m",
            ),
        ),
        (
            "health_key_misspelt",
            with_definition("  - resource:\n      type: sim\n    health_check:\n      port: [22]"),
        ),
        (
            "health_database_incomplete",
            with_definition(
                "  - resource:\n      type: sim\n    health_check:\n      mysqldbs:\n        - name: shop\n          user: shop\n          password: x",
            ),
        ),
    ];
    for (name, text) in cases {
        check(name, load_one(text));
    }
}

#[test]
fn in_templates() {
    let cases: &[(&str, String)] = &[
        (
            "template_not_closed",
            with_template(
                "        runcmd:\n          - echo hello\n          - \"echo {{ variables.message\"",
            ),
        ),
        (
            "template_unknown_node",
            with_template("        runcmd:\n          - ping {{ getip('bd') }}"),
        ),
        (
            "template_member_of_undefined",
            with_template("        runcmd:\n          - echo {{ variables.port.number }}"),
        ),
        (
            "template_unknown_filter",
            with_template("        runcmd:\n          - echo {{ name|shout }}"),
        ),
        (
            "template_undefined_node",
            with_template("        runcmd:\n          - ping {{getip(db)}}"),
        ),
        (
            "template_without_order",
            with_template("        runcmd:\n          - ping {{getip('db')}}"),
        ),
        (
            "template_host_command",
            with_template("        runcmd:\n          - echo {{cmd('date')}}"),
        ),
        (
            "template_broker_key",
            with_template("        runcmd:\n          - echo {{ibget('backends.auth_data')}}"),
        ),
        (
            "template_only_here",
            with_template("        runcmd:\n          - \"it's {{ variables[\\\"a\\\"] }}\\n\""),
        ),
        (
            "template_never_ends",
            with_template(
                "        runcmd:\n          - \"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}\"",
            ),
        ),
        (
            "template_in_health_check",
            with_definition(
                "  - resource:\n      type: sim\n    health_check:\n      urls:\n        - http://{{getip('db')}}/",
            ),
        ),
        (
            "template_in_environment",
            with_definition(
                "  - resource:\n      type: sim\n    contextualisation:\n      type: docker\n      env: [\"A={{ 1 / 0 }}\"]",
            ),
        ),
    ];
    for (name, text) in cases {
        check(name, load_one(text));
    }
}

#[test]
fn every_code_of_this_crate_is_shown_by_a_mistake() {
    use zenekar_diagnostics::codes::{definition, description, project, template};

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots");
    let snapshots: String = std::fs::read_dir(folder)
        .expect("the snapshots are there")
        .map(|entry| std::fs::read_to_string(entry.expect("readable").path()).expect("text"))
        .collect();
    let blocks = [
        description::ALL,
        definition::ALL,
        template::ALL,
        project::ALL,
    ];
    let missing: Vec<&str> = blocks
        .into_iter()
        .flatten()
        .map(|code| code.id)
        .filter(|id| !snapshots.contains(&format!("[{id}]")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
