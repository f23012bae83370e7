//! What instances get.

use zenekar_base::{
    Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey, Value,
};
use zenekar_model::{NodeIndex, RenderInput, Rendered, Renderer, Topology};
use zenekar_occopus::OccopusRenderer;

use crate::support::{load_one, topology_of};

const HEAD: &str = "user_id: tester
infra_name: demo
variables:
  port: 8080
  text: it's \"quoted\"
  key: |
    first

    second
  list: [a, b]
nodes:
  - &web
    name: web
    type: web
    scaling: { min: 1, max: 3 }
  - &db
    name: db
    type: db
dependencies:
  - connection: [*web, *db]
    mappings:
      - [source, destination]
'node_def:db':
  - resource: { type: sim }
'node_def:web':
";

fn given() -> Vec<GivenNode> {
    let instance = |number: u8| GivenAddress {
        instance: InstanceTag::new(format!("id-{number}")),
        addresses: Addresses {
            all: vec![format!("203.0.113.{number}"), "db.example.org".to_owned()],
            private: Some(format!("10.0.0.{number}")),
        },
    };
    vec![GivenNode {
        node: NodeKey(1),
        name: "db".to_owned(),
        instances: vec![instance(1), instance(2)],
    }]
}

fn render_with(topology: &Topology, given: &[GivenNode]) -> Result<Rendered, String> {
    let infrastructure = InfrastructureId::new("0123456789");
    let instance = InstanceTag::new("node-7");
    let input = RenderInput {
        infrastructure: &infrastructure,
        node: NodeIndex(0),
        candidate: 0,
        instance: &instance,
        given,
    };
    OccopusRenderer::new()
        .render(topology, &input)
        .map_err(|error| error.to_string())
}

fn render(sections: &str) -> Rendered {
    render_with(&topology_of(&format!("{HEAD}{sections}")), &given()).expect("renderable")
}

/// Puts one text into a cloud-init mapping.
fn with_command(text: &str) -> String {
    format!(
        "  - resource: {{ type: sim }}\n    contextualisation:\n      type: cloudinit\n      context_template:\n        runcmd:\n        - {text}\n"
    )
}

/// Renders one text of a cloud-init mapping and returns it as written.
fn line(text: &str) -> String {
    written(render(&with_command(text)))
}

fn written(rendered: Rendered) -> String {
    let user_data = rendered.user_data.expect("user-data");
    let lines = user_data
        .strip_prefix("#cloud-config\nruncmd:\n- ")
        .expect("the form of cloud-init");
    lines.to_owned()
}

#[test]
fn texts_render_as_in_the_original() {
    let table = [
        // Addresses.
        ("ping {{getip('db')}}", "ping 203.0.113.1"),
        ("ping {{getprivip('db')}}", "ping 10.0.0.1"),
        (
            "echo {{getipall('db')}}",
            "echo ['203.0.113.1', '203.0.113.2']",
        ),
        ("echo {{find_node_id('db').node_id}}", "echo id-1"),
        (
            "echo {{find_node_id('db', allnodes=True)|length}}",
            "echo 2",
        ),
        (
            "echo {{ibget('node.resource.address', find_node_id('db'))[1]}}",
            "echo db.example.org",
        ),
        // What the instance is.
        (
            "echo {{infra_name}} {{infra_id}} {{node_id}}",
            "echo demo 0123456789 node-7",
        ),
        (
            "echo {{name}} {{type}} {{user_id}} {{scaling.max}}",
            "echo web web tester 3",
        ),
        ("echo {{cut(infra_id,0,4)}}", "echo 0123"),
        (
            "echo {{resource.type}} {{health_check.timeout}}",
            "echo sim 600",
        ),
        ("echo {{mappings.inbound.db|length}}", "echo 1"),
        ("say {{variables.text}}", "say it's \"quoted\""),
        // Inserted line ends are folded within quotes, which descriptors rely on.
        ("\"{{variables.key}}\\n\"", "\"first\n\nsecond\n\\n\""),
        // Numbers stay numbers where the original makes them so.
        ("'{{variables.port}}'", "'8080'"),
        ("1{{variables.port}}", "18080"),
        // Literal parts stay what they are.
        ("'a \\n {{variables.port}}'", "a \\n 8080"),
        ("\"{% raw %}{{range}}{% endraw %}\\n\"", "\"{{range}}\\n\""),
        // Long lines are folded where the original folds them, before anything is inserted.
        (
            "echo {{variables.port}} {{variables.port}} {{variables.port}} {{variables.port}} end",
            "echo 8080 8080 8080 8080\n  end",
        ),
        ("echo {{variables.missing}}", "echo "),
    ];
    for (text, wanted) in table {
        assert_eq!(line(text), wanted, "{text}");
    }
}

#[test]
fn what_breaks_the_original_is_rendered_text_by_text() {
    let table = [
        // What is inserted would end the quotes, or make a mapping of the text.
        (
            "echo {{mappings.inbound.db}}",
            "\"echo [{'attributes': ['source', 'destination'], 'synch': False}]\"",
        ),
        ("'say: {{variables.text}}'", "\"say: it's \\\"quoted\\\"\""),
        (
            "\"say\\n{{variables.text}}\"",
            "\"say\\nit's \\\"quoted\\\"\"",
        ),
        // Writing the text as YAML puts a backslash into the tag.
        (
            "\"it's {{variables[\\\"port\\\"]}}\\n\"",
            "\"it's 8080\\n\"",
        ),
        (
            "\"it's a long line that the writer has to fold right here and now, {{ variables.port }}: it is\"",
            "\"it's a long line that the writer has to fold right here and now, 8080: it is\"",
        ),
    ];
    for (text, wanted) in table {
        let (loaded, findings) = load_one(&format!("{HEAD}{}", with_command(text)));
        assert!(findings.contains("note[ZK0410]"), "{text}: {findings}");
        let topology = loaded.topology.expect("notes do no harm");
        let rendered = render_with(&topology, &given()).expect("renderable");
        assert_eq!(written(rendered), wanted, "{text}");
    }
}

#[test]
fn what_stands_at_several_places_is_written_once() {
    let rendered = render(
        "  - resource: { type: sim }
    contextualisation:
      type: cloudinit
      context_template:
        b: &files [{path: '{{name}}'}]
        a: *files
        1: one
",
    );
    assert_eq!(
        rendered.user_data.as_deref(),
        Some("#cloud-config\nb: &id001\n- path: 'web'\na: *id001\n1: one")
    );
}

#[test]
fn a_loop_around_items_needs_the_whole_text() {
    let rendered = render(
        "  - resource: { type: sim }
    contextualisation:
      type: cloudinit
      context_template:
        runcmd:
        - \"{% set target = getip('db') %}first\"
        - echo {{target}}
",
    );
    assert_eq!(
        rendered.user_data.as_deref(),
        Some("#cloud-config\nruncmd:\n- \"first\"\n- echo 203.0.113.1")
    );
}

#[test]
fn a_text_is_one_template() {
    let rendered = render(
        "  - resource: { type: sim, region: '{{variables.list[0]}}-1', cores: 2 }
    contextualisation:
      type: cloudinit
      context_template: |
        #!/bin/sh
        {% for item in variables.list %}echo {{ item }}
        {% endfor %}ping {{ getip('db') }}
      attributes:
        port: '{{variables.port}}'
",
    );
    assert_eq!(
        rendered.user_data.as_deref(),
        Some("#!/bin/sh\necho a\necho b\nping 203.0.113.1")
    );
    assert_eq!(rendered.resource.get("region"), Some(&Value::from("a-1")));
    assert_eq!(rendered.resource.get("cores"), Some(&Value::Int(2)));
    assert_eq!(rendered.attributes.get("port"), Some(&Value::from("8080")));
    let Some(Value::List(connections)) = rendered.attributes.get("connections") else {
        panic!("no connections")
    };
    assert_eq!(
        connections[0].get("source_role"),
        Some(&Value::from("0123456789_db"))
    );
}

#[test]
fn containers_get_environment_and_command() {
    let rendered = render(
        "  - resource: { type: docker, endpoint: e, origin: dockerhub, image: busybox, tag: latest }
    contextualisation:
      type: docker
      context_variables: { place: \"{{getip('db')}}:{{variables.port}}\" }
      env: [\"TARGET={{context_variables.place}}\", \"CODE={{'hi'|b64encode}}\", EMPTY=]
      command: sh -c \"wait {{name}} 'a b'\"
",
    );
    let environment: Vec<String> = rendered
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(environment[0], "TARGET=203.0.113.1:8080");
    assert_eq!(environment[2], "EMPTY=");
    assert_eq!(
        rendered.command.expect("a command"),
        ["sh", "-c", "wait web 'a b'"]
    );
    assert_eq!(rendered.user_data, None);
}

#[test]
fn containers_need_neither_a_place_nor_an_environment() {
    let rendered = render(
        "  - resource: { type: docker }
    contextualisation: { type: docker, command: \"sleep 600\" }
",
    );
    assert_eq!(rendered.environment, []);
    assert_eq!(rendered.command.expect("a command"), ["sleep", "600"]);
    assert_eq!(rendered.user_data, None);
}

#[test]
fn puppet_gets_joined_lists() {
    let rendered = render(
        "  - resource: { type: sim }
    contextualisation:
      type: cloudinit
      context_template: '{{puppet.modules}}|{{puppet.manifests}}|{{puppet.attributes}}'
    config_management:
      type: puppet_solo
      manifests: [m1, m2]
      modules: [p]
      attributes:
        - port: '{{variables.port}}'
        - host: \"{{getip('db')}}\"
",
    );
    assert_eq!(
        rendered.user_data.as_deref(),
        Some("p|m1 m2|{'port': '8080'} {'host': '203.0.113.1'}")
    );
}

#[test]
fn health_checks_see_the_instance() {
    let topology = topology_of(&format!(
        "{HEAD}  - resource: {{ type: sim }}
    health_check:
      ping: false
      ports: [22]
      urls: ['http://{{{{ip}}}}:{{{{variables.port}}}}/{{{{node_id}}}}']
      mysqldbs:
        - {{ name: '{{{{variables.list[0]}}}}', user: u, pass: p }}
"
    ));
    let infrastructure = InfrastructureId::new("i");
    let instance = InstanceTag::new("n");
    let input = RenderInput {
        infrastructure: &infrastructure,
        node: NodeIndex(0),
        candidate: 0,
        instance: &instance,
        given: &[],
    };
    let addresses = Addresses {
        all: vec!["198.51.100.7".to_owned()],
        private: None,
    };
    let probes = OccopusRenderer::new()
        .probes(&topology, &input, &addresses)
        .expect("renderable");
    assert_eq!((probes.ping, probes.ports), (false, vec![22]));
    assert_eq!(probes.urls, ["http://198.51.100.7:8080/n"]);
    assert_eq!(probes.mysql_databases[0].name, "a");
}

#[test]
fn an_address_that_is_not_there_yet_is_an_error_that_names_the_place() {
    let topology = topology_of(&format!(
        "{HEAD}  - resource: {{ type: sim }}\n    contextualisation:\n      type: cloudinit\n      context_template:\n        runcmd:\n        - ping {{{{getip('db')}}}}\n"
    ));
    assert_eq!(
        render_with(&topology, &[]).expect_err("no address is given"),
        "cannot render node `web`: contextualisation.context_template.runcmd[0]: node `db` has no instance yet"
    );
}

#[test]
fn an_undefined_node_is_the_first_one() {
    let text = format!(
        "{HEAD}  - resource: {{ type: sim }}\n    contextualisation:\n      type: cloudinit\n      context_template:\n        runcmd:\n        - ping {{{{getip(db)}}}}\n"
    );
    let (loaded, findings) = load_one(&text);
    assert!(findings.contains("ZK0405"), "{findings}");
    let rendered = render_with(&loaded.topology.expect("a warning"), &given()).expect("renderable");
    assert_eq!(
        rendered.user_data.as_deref(),
        Some("#cloud-config\nruncmd:\n- ping 203.0.113.1")
    );
}

#[test]
fn one_renderer_serves_several_topologies() {
    let renderer = OccopusRenderer::new();
    let infrastructure = InfrastructureId::new("i");
    let instance = InstanceTag::new("n");
    for round in 0..3 {
        for port in [1, 2, 3] {
            let text = format!(
                "{HEAD}  - resource: {{ type: sim }}\n    contextualisation:\n      type: cloudinit\n      context_template: 'p{{{{variables.port}}}}'\n"
            );
            let topology = topology_of(&text.replace("port: 8080", &format!("port: {port}")));
            let input = RenderInput {
                infrastructure: &infrastructure,
                node: NodeIndex(0),
                candidate: 0,
                instance: &instance,
                given: &[],
            };
            let rendered = renderer.render(&topology, &input).expect("renderable");
            assert_eq!(
                rendered.user_data,
                Some(format!("p{port}")),
                "round {round}"
            );
        }
    }
}

#[test]
fn nodes_of_one_definition_differ_where_they_should() {
    let text = "user_id: tester
infra_name: demo
variables: { port: 1, host: one }
nodes:
  - { name: a, type: same }
  - { name: b, type: same, variables: { port: 2 } }
  - { name: c, type: same }
'node_def:same':
  - resource: { type: sim }
    contextualisation:
      type: cloudinit
      context_template:
        runcmd: ['{{variables.host}}:{{variables.port}}', 'on {{name}}', '{{node_id}}']
";
    let topology = topology_of(text);
    let renderer = OccopusRenderer::new();
    let infrastructure = InfrastructureId::new("i");
    let render = |node, instance: &str| {
        let instance = InstanceTag::new(instance);
        let input = RenderInput {
            infrastructure: &infrastructure,
            node: NodeIndex(node),
            candidate: 0,
            instance: &instance,
            given: &[],
        };
        let rendered = renderer.render(&topology, &input).expect("renderable");
        rendered
            .user_data
            .expect("user-data")
            .replace("#cloud-config\nruncmd:\n", "")
    };
    assert_eq!(render(0, "x"), "- 'one:1'\n- on a\n- 'x'");
    assert_eq!(render(2, "y"), "- 'one:1'\n- on c\n- 'y'");
    assert_eq!(render(1, "z"), "- 'one:2'\n- on b\n- 'z'");
    assert_eq!(render(0, "w"), "- 'one:1'\n- on a\n- 'w'");
}

#[derive(Debug)]
struct Echo;

impl zenekar_occopus::HostCommands for Echo {
    fn run(&self, words: &[String]) -> Result<String, String> {
        match words[0].as_str() {
            "echo" => Ok(format!("{}\n", words[1..].join("+"))),
            other => Err(format!("there is no program `{other}`")),
        }
    }
}

#[test]
fn commands_run_only_where_they_are_allowed() {
    let text = format!("{HEAD}{}", with_command("say {{cmd('echo a b')}}"));
    let (refused, findings) = load_one(&text);
    assert!(
        refused.topology.is_none() && findings.contains("error[ZK0407]"),
        "{findings}"
    );
    let mut sources = zenekar_diagnostics::SourceMap::new();
    let options = zenekar_occopus::LoadOptions {
        allow_host_commands: true,
        ..zenekar_occopus::LoadOptions::default()
    };
    let load = |text: &str, sources: &mut _| {
        let loaded = zenekar_occopus::load_text("infra.yaml", text, &options, sources);
        loaded.topology.expect("it is allowed")
    };
    let topology = load(&text, &mut sources);
    let error = render_with(&topology, &given()).expect_err("this renderer runs nothing");
    assert!(error.contains("`cmd` is refused"), "{error}");
    let renderer = OccopusRenderer::new().with_host_commands(std::sync::Arc::new(Echo));
    let render = |topology: &Topology| {
        let input = RenderInput {
            infrastructure: &InfrastructureId::new("0123456789"),
            node: NodeIndex(0),
            candidate: 0,
            instance: &InstanceTag::new("node-7"),
            given: &given(),
        };
        renderer.render(topology, &input)
    };
    assert_eq!(written(render(&topology).expect("renderable")), "say a+b");
    let failing = load(&text.replace("echo a", "rm a"), &mut sources);
    let error = render(&failing).expect_err("the command fails").to_string();
    assert!(error.contains("there is no program `rm`"), "{error}");
}
