//! Execution graphs.

use zenekar_picture::{Edge, ExecutionGraph, Node, NodeKind};

use crate::examples::{chain, graph};
use crate::{look, words};

fn has(words: &[String], text: &str) -> bool {
    words.iter().any(|word| word.contains(text))
}

#[test]
fn small_graphs_are_drawn_in_full() {
    let graph = graph(3, false);
    let svg = graph.to_svg();
    look("graph-3", &svg);
    let words = words(&svg);
    for node in &graph.nodes {
        assert!(words.contains(&node.label), "{}", node.label);
    }
    for kind in [
        "root",
        "alternative",
        "deterministic",
        "final",
        "violated",
        "stuck",
        "pruned",
    ] {
        assert!(
            words.iter().any(|word| word == kind),
            "the legend has {kind}"
        );
    }
    assert!(!has(&words, "merged into"));
    assert_eq!(svg, graph.to_svg(), "the same data are the same picture");
}

#[test]
fn large_graphs_say_what_is_merged() {
    let mut large = graph(7, false);
    look("graph-7", &large.to_svg());
    let words_of_large = words(&large.to_svg());
    assert!(has(&words_of_large, "more"));
    assert!(has(&words_of_large, "states are merged"));
    assert!(has(&words_of_large, "violated"), "what is wrong stays");
    // A row of hundreds, with something wrong at its end.
    large = ExecutionGraph {
        nodes: (0..500)
            .map(|id| Node {
                id,
                kind: if id == 499 {
                    NodeKind::Violated
                } else {
                    NodeKind::Alternative
                },
                label: format!("s{id}"),
                layer: 1,
                multiplicity: 1,
            })
            .collect(),
        edges: Vec::new(),
    };
    let words = words(&large.to_svg());
    assert!(words.contains(&"s499".to_owned()));
    assert!(words.contains(&"489 more".to_owned()));
    assert!(has(&words, "489 of 500 states are merged"));
}

#[test]
fn fifty_equal_clients_are_legible() {
    let svg = graph(50, true).to_svg();
    look("graph-50", &svg);
    assert!(svg.len() < 200_000);
    let drawn = words(&svg);
    assert!(has(&drawn, "×50") && has(&drawn, "violated") && has(&drawn, "final"));
}

#[test]
fn long_chains_are_one_box_and_long_graphs_have_an_end() {
    let svg = chain(200).to_svg();
    look("chain", &svg);
    let drawn = words(&svg);
    assert!(drawn.contains(&"197 steps".to_owned()), "{drawn:?}");
    assert!(has(&drawn, "197 of 201 states are merged"));
    let mut open = chain(200);
    // Somebody could always give up, so it is no chain.
    for from in 1..200 {
        let to = 0;
        let label = "give up".to_owned();
        open.edges.push(Edge {
            from,
            to,
            label,
            is_fault: true,
        });
    }
    let drawn = words(&open.to_svg());
    look("long", &open.to_svg());
    assert!(
        has(&drawn, "153 of 201 states are in rows that are not drawn"),
        "{drawn:?}"
    );
    assert!(has(&drawn, "state 200"), "the end is drawn");
}

#[test]
fn what_users_write_cannot_break_a_picture() {
    let graph = ExecutionGraph {
        nodes: vec![
            Node {
                id: 7,
                kind: NodeKind::Root,
                label: "<script>\"&'\u{1}\n".to_owned(),
                layer: u32::MAX,
                multiplicity: u64::MAX,
            },
            Node {
                id: 7,
                kind: NodeKind::Final,
                label: String::new(),
                layer: 0,
                multiplicity: 0,
            },
        ],
        edges: vec![
            Edge {
                from: 7,
                to: 7,
                label: "]]>\\\"".to_owned(),
                is_fault: true,
            },
            Edge {
                from: 7,
                to: 8,
                label: "nowhere".to_owned(),
                is_fault: false,
            },
        ],
    };
    look("hostile", &graph.to_svg());
    assert!(!graph.to_svg().contains("<script>"));
    let dot = graph.to_dot();
    assert!(dot.contains(r#"label="]]>\\\"""#), "{dot}");
    assert!(!dot.contains("n8"));
    look("empty", &ExecutionGraph::default().to_svg());
}

#[test]
fn dot_has_everything() {
    let graph = graph(3, false);
    let dot = graph.to_dot();
    assert_eq!(dot.matches(" -> ").count(), graph.edges.len());
    assert_eq!(dot.matches("class=").count(), graph.nodes.len());
    assert!(dot.starts_with("digraph execution {") && dot.ends_with("}\n"));
}
