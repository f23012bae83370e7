//! Import, compile and render of 1,000 nodes as a star, in layers and as a chain.
//!
//! `cargo bench -p zenekar-occopus --bench thousand` prints for each shape the
//! time of reading description and definitions (import and compile), and of
//! rendering what every instance gets. The goal is 100 ms for both together on
//! a quiet machine; Occopus takes 18 to 22 s.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use zenekar_base::{Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey};
use zenekar_diagnostics::SourceMap;
use zenekar_model::{NodeIndex, RenderInput, Renderer, Topology};
use zenekar_occopus::{LoadOptions, OccopusRenderer, load};

const NODES: usize = 1_000;
/// Nodes of one layer.
const WIDTH: usize = 100;
/// Rounds of one measurement; the fastest counts.
const ROUNDS: usize = 7;
const GOAL_MS: u128 = 100;

/// What cloud-init is to do on every node: about what small tutorials have.
const CLOUD_INIT: &str = "#cloud-config
write_files:
- path: /etc/worker.conf
  permissions: '0644'
  content: |
    name: {{name}}
    node: {{node_id}}
    port: {{variables.port}}
    peers: {{variables.peer}}
runcmd:
- echo 'it comes up' > /tmp/start
- worker --infrastructure {{infra_id}} --config /etc/worker.conf --log /var/log/worker.log --quiet
";

#[derive(Clone, Copy)]
enum Shape {
    Star,
    Layers,
    Chain,
}

impl Shape {
    /// Returns the node that a node waits for and whose address it is given.
    fn below(self, node: usize) -> Option<usize> {
        match self {
            Self::Star => (node > 0).then_some(0),
            Self::Layers => node.checked_sub(WIDTH),
            Self::Chain => node.checked_sub(1),
        }
    }
}

fn write_files(folder: &Path, shape: Shape) {
    let mut text = String::from(
        "user_id: bench\ninfra_name: bench\nvariables:\n  port: 8080\n  peer: none\nnodes:\n",
    );
    for node in 0..NODES {
        let kind = if shape.below(node).is_some() {
            "worker"
        } else {
            "first"
        };
        let _infallible = write!(text, "- &n{node}\n  name: node-{node}\n  type: {kind}\n");
        if let Some(below) = shape.below(node) {
            let _infallible = writeln!(text, "  variables: {{peer: node-{below}}}");
        }
    }
    text.push_str("dependencies:\n");
    for node in 0..NODES {
        if let Some(below) = shape.below(node) {
            let _infallible = writeln!(text, "- connection: [*n{node}, *n{below}]");
        }
    }
    let definition = |name: &str, file: &str| {
        format!(
            "'node_def:{name}':\n- resource:\n    type: ec2\n    endpoint: https://ec2.example.org\n    regionname: r\n    image_id: image\n    instance_type: small\n  contextualisation:\n    type: cloudinit\n    context_template: !yaml_import\n      url: file://{file}\n  health_check:\n    ping: False\n    ports: [8080]\n"
        )
    };
    let definitions = definition("first", "first.yaml") + &definition("worker", "worker.yaml");
    let worker = format!("{CLOUD_INIT}- join {{{{getip(variables.peer)}}}}\n");
    std::fs::create_dir_all(folder.join("nodes")).expect("writable");
    for (name, text) in [
        ("infra.yaml", text.as_str()),
        ("nodes/node_definitions.yaml", &definitions),
        ("nodes/first.yaml", CLOUD_INIT),
        ("nodes/worker.yaml", &worker),
    ] {
        std::fs::write(folder.join(name), text).expect("writable");
    }
}

fn render_all(topology: &Topology, shape: Shape) -> usize {
    let renderer = OccopusRenderer::new();
    let infrastructure = InfrastructureId::new("11111111-2222-3333-4444-555555555555");
    let mut bytes = 0;
    for node in 0..NODES {
        let given: Vec<GivenNode> = shape
            .below(node)
            .map(|below| GivenNode {
                node: NodeKey(u32::try_from(below).expect("small")),
                name: format!("node-{below}"),
                instances: vec![GivenAddress {
                    instance: InstanceTag::new(format!("instance-{below}")),
                    addresses: Addresses {
                        all: vec![format!("10.0.{}.{}", below / 250, below % 250)],
                        private: None,
                    },
                }],
            })
            .into_iter()
            .collect();
        let instance = InstanceTag::new(format!("instance-{node}"));
        let input = RenderInput {
            infrastructure: &infrastructure,
            node: NodeIndex(u32::try_from(node).expect("small")),
            candidate: 0,
            instance: &instance,
            given: &given,
        };
        let rendered = renderer.render(topology, &input).expect("renderable");
        bytes += rendered.user_data.map_or(0, |text| text.len());
    }
    bytes
}

#[expect(
    clippy::print_stdout,
    reason = "the result of a benchmark is what it prints"
)]
fn main() {
    for (name, shape) in [
        ("star", Shape::Star),
        ("layers", Shape::Layers),
        ("chain", Shape::Chain),
    ] {
        let folder = tempfile::tempdir().expect("a place for files");
        write_files(folder.path(), shape);
        let file = folder.path().join("infra.yaml");
        let (mut reading, mut rendering, mut bytes) = (u128::MAX, u128::MAX, 0);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut sources = SourceMap::new();
            let loaded = load(&file, &LoadOptions::default(), &mut sources);
            let topology = loaded.topology.expect("the description is valid");
            reading = reading.min(start.elapsed().as_micros());
            let start = Instant::now();
            bytes = black_box(render_all(&topology, shape));
            rendering = rendering.min(start.elapsed().as_micros());
        }
        let whole = reading + rendering;
        println!(
            "{name}: {} ms of {GOAL_MS} ms: {reading} us import and compile, {rendering} us render, {} kB of user-data",
            whole.div_ceil(1000),
            bytes / 1000
        );
    }
}
