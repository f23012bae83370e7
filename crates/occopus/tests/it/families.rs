//! Valid descriptions of several families, and variants that mean the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zenekar_base::{GivenNode, InfrastructureId, InstanceTag, Value};
use zenekar_diagnostics::SourceMap;
use zenekar_model::{
    AddressChange, NodeFingerprint, NodeIndex, RenderInput, Renderer, Topology, UpdateLimits,
};
use zenekar_occopus::{LoadOptions, OccopusRenderer, load};

use crate::support::{Files, PLAIN, load_one, topology_of};

/// A web shop in three layers, with most features of the format.
const SHOP: &str = r#"
user_id: shop@example.org
infra_name: shop
variables:
  port: 8080
  database:
    name: shop
    user: clerk
  mirrors: [one, two]
nodes:
  - &lb
    name: balancer
    type: balancer
  - &app
    name: app
    type: app
    scaling: { min: 2, max: 8 }
    variables:
      database: { user: cashier }
      mirrors: [three]
    update: { unavailable_max: 1, surge_max: 2, refuse_replacement: true }
  - &db
    name: db
    type: db
    filter: { region: north }
dependencies:
  - [ *lb, *app ]
  - connection: [ *app, *db ]
    on_address_change: recreate
    mappings:
      - [ password, database_password ]
      - attributes: [ socket, database_socket ]
        synch: true
'node_def:balancer':
  - resource: { type: sim }
    contextualisation:
      type: cloudinit
      context_template:
        runcmd:
          - balance {{ getipall('app')|join(',') }} on {{ variables.port }}
'node_def:app':
  - resource: { type: sim, cores: 2 }
    contextualisation:
      type: cloudinit
      context_template:
        write_files:
          - path: /etc/app
            content: |
              host={{ getip('db') }}
              user={{ variables.database.user }}
    health_check:
      ping: false
      ports: [8080]
      urls: [ "http://{{ip}}:{{variables.port}}/" ]
      timeout: 90
'node_def:db':
  - resource: { type: sim, region: south }
  - resource: { type: sim, region: north, boot_ms: [100, 200] }
"#;

fn names(topology: &Topology, indices: impl IntoIterator<Item = NodeIndex>) -> Vec<String> {
    indices
        .into_iter()
        .map(|index| topology.node(index).name.clone())
        .collect()
}

fn fingerprints(topology: &Topology) -> BTreeMap<String, Vec<NodeFingerprint>> {
    topology
        .nodes()
        .iter()
        .map(|node| (node.name.clone(), node.fingerprints.clone()))
        .collect()
}

#[test]
fn a_shop_in_three_layers() {
    let topology = topology_of(SHOP);
    let [lb, app, db] = [0, 1, 2].map(NodeIndex);
    assert_eq!([lb, app, db].map(|node| topology.level(node)), [2, 1, 0]);
    assert_eq!(
        (topology.node(app).count.min, topology.node(app).count.max),
        (2, 8)
    );
    assert_eq!(
        topology.node(app).update,
        UpdateLimits {
            unavailable_max: 1,
            surge_max: 2,
            refuse_replacement: true
        }
    );
    let dependency = &topology.node(app).dependencies[0];
    assert_eq!(
        (dependency.on, dependency.on_address_change),
        (db, Some(AddressChange::Recreate))
    );
    assert!(!dependency.mappings[0].synchronous && dependency.mappings[1].synchronous);
    assert_eq!(topology.node(db).candidates, [1]);
    let variables = topology.variables_of(app);
    let database = variables.get("database").expect("inherited");
    assert_eq!(database.get("name"), Some(&Value::from("shop")));
    assert_eq!(database.get("user"), Some(&Value::from("cashier")));
    assert_eq!(
        variables.get("mirrors"),
        Some(&Value::List(vec!["three".into()]))
    );
    let health = &topology.candidate(app, 0).expect("one").health;
    assert_eq!((health.ping, health.timeout.0), (false, 90_000));
}

#[test]
fn a_topology_survives_being_stored() {
    let topology = topology_of(SHOP);
    let text = serde_json::to_string(&topology).expect("writable");
    let stored: Topology = serde_json::from_str(&text).expect("readable");
    assert_eq!(stored, topology);
    // It needs no file any more: what it renders is the same.
    let infrastructure = InfrastructureId::new("i");
    let instance = InstanceTag::new("n");
    for node in topology.indices() {
        let given: Vec<GivenNode> = Vec::new();
        let input = RenderInput {
            infrastructure: &infrastructure,
            node,
            candidate: 0,
            instance: &instance,
            given: &given,
        };
        let render = |topology| OccopusRenderer::new().render(topology, &input);
        assert_eq!(render(&stored), render(&topology));
    }
}

/// The same shop, written differently.
fn variants() -> Vec<(&'static str, String)> {
    let moved = |block: &str, text: &str| format!("{}{block}", text.replace(block, ""));
    let dependencies = SHOP
        .split("dependencies:")
        .nth(1)
        .and_then(|rest| rest.split("'node_def").next())
        .expect("there");
    let dependencies = format!("dependencies:{dependencies}");
    vec![
        (
            "other anchors",
            SHOP.replace("&lb", "&a1")
                .replace("*lb", "*a1")
                .replace("&app", "&node")
                .replace("*app", "*node"),
        ),
        (
            "keys in another order",
            SHOP.replace(
                "    name: db\n    type: db\n",
                "    type: db\n    name: db\n",
            ),
        ),
        (
            "dependencies first",
            moved("user_id: shop@example.org\ninfra_name: shop\n", SHOP),
        ),
        ("dependencies last", moved(&dependencies, SHOP)),
        (
            "quoted",
            SHOP.replace("name: balancer", "\"name\": 'balancer'")
                .replace("type: sim,", "type: \"sim\","),
        ),
        (
            "block style",
            SHOP.replace(
                "    filter: { region: north }",
                "    filter:\n      region: north",
            ),
        ),
        (
            "comments",
            SHOP.replace("  - &db\n", "  # the database\n\n  - &db # here\n"),
        ),
        ("windows line ends", SHOP.replace('\n', "\r\n")),
        (
            "a copy instead of an alias",
            SHOP.replace(
                "[ *lb, *app ]",
                "[ { name: balancer, type: balancer }, *app ]",
            ),
        ),
        (
            "a merge key",
            SHOP.replace(
                "    name: balancer\n    type: balancer",
                "    name: balancer\n    <<: { type: balancer }",
            ),
        ),
    ]
}

#[test]
fn variants_are_the_same_topology() {
    let topology = topology_of(SHOP);
    for (name, text) in variants() {
        let other = topology_of(&text);
        assert_eq!(other.fingerprint(), topology.fingerprint(), "{name}");
        assert_eq!(fingerprints(&other), fingerprints(&topology), "{name}");
    }
}

#[test]
fn dependencies_by_name_are_the_same_but_warned_of() {
    let (loaded, findings) = load_one(&SHOP.replace("[ *lb, *app ]", "[ balancer, app ]"));
    assert!(findings.contains("ZK0212"), "{findings}");
    assert_eq!(
        loaded.topology.expect("a warning").fingerprint(),
        topology_of(SHOP).fingerprint()
    );
}

#[test]
fn fingerprints_follow_what_instances_are_made_of() {
    let before = fingerprints(&topology_of(SHOP));
    let changed = |from: &str, to: &str| {
        assert!(SHOP.contains(from), "{from}");
        let after = fingerprints(&topology_of(&SHOP.replace(from, to)));
        let differ: Vec<&str> = before
            .keys()
            .filter(|name| before[*name] != after[*name])
            .map(String::as_str)
            .collect();
        differ.join(" ")
    };
    // Counts and the name of the infrastructure are nothing that instances are made of.
    assert_eq!(changed("{ min: 2, max: 8 }", "{ min: 3, max: 9 }"), "");
    assert_eq!(changed("infra_name: shop", "infra_name: store"), "");
    assert_eq!(changed("timeout: 90", "timeout: 91"), "");
    assert_eq!(changed("name: shop", "name: store"), "");
    assert_eq!(changed("port: 8080", "port: 8081"), "balancer");
    assert_eq!(changed("{ user: cashier }", "{ user: manager }"), "app");
    assert_eq!(changed("cores: 2", "cores: 3"), "app");
    assert_eq!(changed("boot_ms: [100, 200]", "boot_ms: 150"), "db");
    assert_eq!(changed("getip('db')", "getprivip('db')"), "app");
}

#[test]
fn nodes_that_are_read_are_found_also_by_computed_names() {
    let text = SHOP
        .replace("getip('db')", "getip(variables.master)")
        .replace("  port: 8080", "  master: lb-database\n  port: 8080")
        .replace("name: db\n", "name: lb-database\n");
    let topology = topology_of(&text);
    // What is read is listed, also where it is waited for: not every dependency is read.
    assert_eq!(
        names(
            &topology,
            topology.node(NodeIndex(1)).references.iter().copied()
        ),
        ["lb-database"]
    );
    let (loaded, findings) = load_one(&text.replace("  - [ *lb, *app ]\n", ""));
    let topology = loaded.topology.expect("only a warning");
    assert!(findings.contains("and so waits for it"), "{findings}");
    let balancer = topology.node(NodeIndex(0));
    assert_eq!(
        names(&topology, balancer.references.iter().copied()),
        ["app"]
    );
    let waits_for = balancer.dependencies.iter().map(|dependency| dependency.on);
    assert_eq!(names(&topology, waits_for), ["app"]);
}

#[test]
fn addresses_that_are_read_in_a_circle_order_what_they_can() {
    let (loaded, findings) = load_one(
        "infra_name: circle
user_id: somebody
nodes:
  - {name: one, type: one}
  - {name: two, type: two}
'node_def:one':
  - resource: {type: sim}
    contextualisation: {type: cloudinit, context_template: \"{{ getip('two') }}\"}
'node_def:two':
  - resource: {type: sim}
    contextualisation: {type: cloudinit, context_template: \"{{ getip('one') }}\"}
",
    );
    let topology = loaded.topology.expect("only warnings");
    assert_eq!(topology.node(NodeIndex(0)).dependencies.len(), 1);
    assert!(topology.node(NodeIndex(1)).dependencies.is_empty());
    assert!(
        findings.contains("it cannot: `one` waits for `two`"),
        "{findings}"
    );
}

#[test]
fn a_node_may_read_what_its_dependencies_wait_for() {
    let text = SHOP.replace("getipall('app')|join(',')", "getip('db')");
    let topology = topology_of(&text);
    assert_eq!(
        names(
            &topology,
            topology.node(NodeIndex(0)).references.iter().copied()
        ),
        ["db"]
    );
}

#[test]
fn definitions_are_found_where_the_tutorials_have_them() {
    let description = "user_id: a\ninfra_name: demo\nnodes:\n  - name: web\n    type: plain\n";
    for place in [
        "nodes/node_definitions.yaml",
        "nodes/sim.yaml",
        "node_definitions.yaml",
        "types.yml",
    ] {
        let files = Files::new(&[
            ("infra.yaml", description),
            // Another description with definitions of its own is not looked at.
            (
                "other.yaml",
                &format!("infra_name: other\nnodes: []\n{PLAIN}"),
            ),
            (place, PLAIN),
            // Not YAML at all: it is included as text elsewhere.
            ("nodes/cloud_init.yaml", "{{range}}: [\n"),
        ]);
        let (loaded, findings) = files.load();
        assert_eq!(findings, "", "{place}");
        assert_eq!(loaded.summary.files.len(), 2, "{place}");
        assert_eq!(
            (
                loaded.summary.nodes,
                loaded.summary.instances_min,
                loaded.summary.levels
            ),
            (1, 1, 1)
        );
    }
    let flow = "{ 'node_def:plain': [{ resource: { type: sim } }] }\n";
    let files = Files::new(&[("infra.yaml", description), ("nodes/all.yaml", flow)]);
    assert!(files.load().0.topology.is_some());
    let files = Files::new(&[("infra.yaml", description), ("elsewhere/types.yaml", PLAIN)]);
    assert!(files.load().0.topology.is_none());
    let options = LoadOptions {
        definitions: vec![files.path().join("elsewhere/types.yaml")],
        ..LoadOptions::default()
    };
    assert!(files.load_with(&options).0.topology.is_some());
}

#[test]
fn definitions_from_elsewhere_include_from_their_own_folder() {
    let files = Files::new(&[
        (
            "project/infra.yaml",
            "user_id: a\ninfra_name: demo\nnodes:\n  - name: web\n    type: web\n",
        ),
        (
            "shared/types.yaml",
            "'node_def:web':\n  - resource: { type: sim }\n    contextualisation:\n      type: cloudinit\n      context_template: !text_import\n        url: file://init.sh\n",
        ),
        ("shared/init.sh", "#!/bin/sh\n"),
    ]);
    let mut sources = SourceMap::new();
    let options = LoadOptions {
        definitions: vec![files.path().join("project/../shared/types.yaml")],
        ..LoadOptions::default()
    };
    let loaded = load(
        &files.path().join("project/infra.yaml"),
        &options,
        &mut sources,
    );
    assert_eq!(loaded.diagnostics, []);
    assert!(loaded.topology.is_some());
}

#[test]
fn ten_thousand_nodes_with_one_fault_are_reported_in_a_few_lines() {
    let nodes: Vec<String> = (0..10_000)
        .map(|number| format!("- {{name: n{number}, type: reads}}\n"))
        .collect();
    let nodes = nodes.concat();
    let text = format!(
        "user_id: a\ninfra_name: demo\nnodes:\n- {{name: db, type: plain}}\n{nodes}{PLAIN}'node_def:reads':\n- resource: {{type: sim}}\n  contextualisation:\n    type: cloudinit\n    context_template:\n      runcmd: ['ping {{{{getip(\"db\")}}}} from {{{{name}}}}']\n"
    );
    let (loaded, findings) = load_one(&text);
    assert_eq!(loaded.diagnostics.len(), 21, "{findings}");
    assert!(
        findings.contains("9980 more addresses are read without an order"),
        "{findings}"
    );
    assert_eq!(
        loaded.topology.expect("warnings only").nodes().len(),
        10_001
    );
}

fn edit() -> impl Strategy<Value = (usize, usize, String)> {
    (
        0..SHOP.len(),
        0..12usize,
        prop_oneof![
            Just(String::new()),
            "[ -~\n]{0,6}",
            Just("{{".to_owned()),
            Just("*db".to_owned())
        ],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is typed into a description: an answer, never a panic.
    #[test]
    fn edited_descriptions_never_panic(edits in prop::collection::vec(edit(), 1..4)) {
        let mut text = SHOP.to_owned();
        for (at, length, replacement) in edits {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len())).max(start);
            text.replace_range(start..end, &replacement);
        }
        let (loaded, _) = load_one(&text);
        let has_error = loaded.diagnostics.iter().any(zenekar_diagnostics::Diagnostic::is_error);
        prop_assert_eq!(loaded.topology.is_none(), has_error);
    }
}

#[test]
fn nodes_that_cannot_be_read_are_one_mistake() {
    let (_, findings) = load_one(
        "infra_name: lost
user_id: somebody
nodes: many
dependencies:
  - [one, two]
'node_def:one':
  - resource: {type: sim, boot_ms: [5, 1]}
",
    );
    assert!(findings.contains("`nodes` must be a list"), "{findings}");
    assert!(!findings.contains("there is no node"), "{findings}");
    assert!(findings.contains("but is another list"), "{findings}");
}
