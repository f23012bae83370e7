//! How long descriptions of growing size take to read, and how that compares
//! with the parser alone: prints a table, asserts nothing about time.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "the table is the result of this program"
)]

use std::fmt::Write as _;
use std::time::Instant;

use zenekar_diagnostics::SourceMap;
use zenekar_document::{Limits, load_text};

/// Runs of each measurement; the best one counts, because it is disturbed least.
const RUNS: usize = 15;
/// Nodes per layer boundary that no dependency crosses.
const FIRST_LAYER_PARTS: usize = 10;

/// Writes a description of `nodes` nodes in ten layers.
fn description(nodes: usize) -> String {
    let mut text = String::from("user_id: bench\ninfra_name: bench\nnodes:\n");
    for node in 0..nodes {
        let _ = write!(
            text,
            "  - &N{node:x}\n    name: node-{node}\n    type: worker\n    scaling:\n      min: 1\n      max: 3\n"
        );
    }
    text.push_str("dependencies:\n");
    let layer = nodes / FIRST_LAYER_PARTS;
    for node in layer..nodes {
        let _ = writeln!(
            text,
            "  - connection: [ *N{:x}, *N{:x} ]",
            node,
            node - layer
        );
    }
    text
}

fn best_ms(mut run: impl FnMut()) -> f64 {
    let times = (0..RUNS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1000.0
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "nodes", "bytes", "values", "parser ms", "all ms", "ns/value"
    );
    for nodes in [100, 1_000, 10_000, 100_000] {
        let text = description(nodes);
        let parser_ms = best_ms(|| {
            let events = saphyr_parser::Parser::new_from_str(&text).flatten().count();
            assert!(events > nodes, "the parser saw the text");
        });
        let mut values = 0;
        let all_ms = best_ms(|| {
            let loaded = load_text(
                "bench.yaml",
                &text,
                &Limits::default(),
                &mut SourceMap::new(),
            );
            assert!(
                loaded.diagnostics.is_empty(),
                "the description is in order: {:?}",
                loaded.diagnostics
            );
            values = loaded.document.node_count();
        });
        println!(
            "{nodes:>8} {:>10} {values:>10} {parser_ms:>10.2} {all_ms:>10.2} {:>8.0}",
            text.len(),
            all_ms * 1e6 / values as f64
        );
    }
}
