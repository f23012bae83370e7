//! How much work it is to load a large description.
//!
//! `cargo bench -p zenekar-occopus` prints processor time of the whole load and
//! of the part that this crate adds to reading YAML, for two sizes. What counts
//! are the ratios: the part of this crate to the reading, and the growth from
//! one size to the next, which has to be that of the size.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use zenekar_diagnostics::SourceMap;
use zenekar_document::Limits;
use zenekar_occopus::{LoadOptions, load_text};

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
    for count in [1_000, 10_000, 100_000] {
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
    for (step, pair) in per_node.windows(2).enumerate() {
        println!(
            "growth per node, step {}: {:.2} (1.00 is linear)",
            step + 1,
            pair[1] / pair[0]
        );
    }
}
