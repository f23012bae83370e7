//! How much work it is to load a large description.
//!
//! `cargo bench -p zenekar-occopus` (sizes may follow behind `--`) prints processor time of the whole load and
//! of the part that this crate adds to reading YAML, for two sizes. What counts
//! are the ratios: the part of this crate to the reading, and the growth from
//! one size to the next, which has to be that of the size.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use zenekar_base::{Addresses, GivenAddress, GivenNode, InfrastructureId, InstanceTag, NodeKey};
use zenekar_diagnostics::SourceMap;
use zenekar_document::Limits;
use zenekar_model::{NodeIndex, RenderInput, Renderer};
use zenekar_occopus::{LoadOptions, OccopusRenderer, load_text};

/// Layers of the description: each node waits for one or two of the layer below.
const LAYERS: usize = 10;
/// Rounds of one measurement; the fastest counts.
const ROUNDS: usize = 7;

/// Writes a description of `count` nodes, about a hundred bytes for each.
fn description(count: usize) -> String {
    let width = count / LAYERS;
    let mut text =
        String::from("user_id: bench\ninfra_name: bench\nvariables:\n  port: 8080\nnodes:\n");
    for node in 0..count {
        let _infallible = write!(
            text,
            "- &n{node}\n  name: layer-{}-node-{node}\n  type: worker-{}\n  scaling: {{min: 1, max: 2}}\n",
            node / width,
            node % 7
        );
    }
    text.push_str("dependencies:\n");
    for node in width..count {
        let below = (node / width - 1) * width;
        let _infallible = writeln!(text, "- [*n{node}, *n{}]", below + node % width);
        if node % 2 == 0 {
            let _infallible = writeln!(text, "- [*n{node}, *n{}]", below + (node * 7 + 1) % width);
        }
    }
    for kind in 0..7 {
        let _infallible = write!(
            text,
            "'node_def:worker-{kind}':\n- resource: {{type: sim, cores: 1}}\n  contextualisation:\n    type: cloudinit\n    context_template:\n      runcmd:\n      - serve --port {{{{variables.port}}}}\n"
        );
    }
    text
}

/// Returns the fastest time of several rounds, in microseconds.
fn fastest_us(mut action: impl FnMut()) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        action();
        best = best.min(start.elapsed().as_micros());
    }
    best
}

/// Lines of the template whose rendering is measured: a middle-sized one.
const TEMPLATE_LINES: usize = 60;

/// Returns the time of one rendering in nanoseconds: with the address of
/// another node, and with nothing in which instances differ.
fn rendering_ns() -> [u128; 2] {
    let line = |line| format!("      - run step {line} on {{{{variables.port}}}}\n");
    let lines: String = (0..TEMPLATE_LINES).map(line).collect();
    let definition = |name: &str, first: &str| {
        format!(
            "'node_def:{name}':\n- resource: {{type: sim}}\n  contextualisation:\n    type: cloudinit\n    context_template:\n      runcmd:\n{first}{lines}"
        )
    };
    let text = format!(
        "user_id: bench\ninfra_name: bench\nvariables: {{port: 8080}}\nnodes:\n- &a {{name: a, type: reads}}\n- &b {{name: b, type: constant}}\ndependencies:\n- [*a, *b]\n{}{}",
        definition("reads", "      - ping {{getip('b')}}\n"),
        definition("constant", "")
    );
    let mut sources = SourceMap::new();
    let loaded = load_text("bench", &text, &LoadOptions::default(), &mut sources);
    let topology = loaded.topology.expect("the description is valid");
    let renderer = OccopusRenderer::new();
    let infrastructure = InfrastructureId::new("bench");
    let instance = InstanceTag::new("instance");
    let addresses = Addresses {
        all: vec!["203.0.113.1".to_owned()],
        private: None,
    };
    let given = [GivenNode {
        node: NodeKey(1),
        name: "b".to_owned(),
        instances: vec![GivenAddress {
            instance: instance.clone(),
            addresses,
        }],
    }];
    [0, 1].map(|node| {
        let input = RenderInput {
            infrastructure: &infrastructure,
            node: NodeIndex(node),
            candidate: 0,
            instance: &instance,
            given: &given,
        };
        fastest_us(|| {
            for _ in 0..1_000 {
                black_box(renderer.render(&topology, &input)).expect("the templates are valid");
            }
        })
    })
}

#[expect(
    clippy::print_stdout,
    reason = "the result of a benchmark is what it prints"
)]
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of a benchmark are far below 2^52"
)]
fn main() {
    let mut per_node: Vec<f64> = Vec::new();
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![1_000, 10_000, 100_000]
    } else {
        sizes
    };
    for count in sizes {
        let text = description(count);
        let read = fastest_us(|| {
            let mut sources = SourceMap::new();
            black_box(zenekar_document::load_text(
                "bench",
                &text,
                &Limits::default(),
                &mut sources,
            ));
        });
        let whole = fastest_us(|| {
            let mut sources = SourceMap::new();
            let loaded = load_text("bench", &text, &LoadOptions::default(), &mut sources);
            assert!(loaded.topology.is_some(), "the description is valid");
            black_box(loaded);
        });
        let own = whole.saturating_sub(read);
        per_node.push(whole as f64 / count as f64);
        println!(
            "{count} nodes, {} kB: {whole} us in all, {read} us reading, {own} us checks and topology ({:.2} of reading)",
            text.len() / 1000,
            own as f64 / read as f64
        );
    }
    let [reads, constant] = rendering_ns();
    println!("rendering 60 lines: {reads} ns with an address, {constant} ns if all get the same");
    for (step, pair) in per_node.windows(2).enumerate() {
        println!(
            "growth per node, step {}: {:.2} (1.00 is linear)",
            step + 1,
            pair[1] / pair[0]
        );
    }
}
