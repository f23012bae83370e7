//! Texts that nobody would write, and descriptors that are very large.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::support::Findings;

/// A script in which everything occurs that the reader treats on its own.
const EVERYTHING: &str = "set -e; a=$(b `c \"d\"` 'é') && [[ $x =~ ^y ]] || true\nwhile ! nc -z {{getip('app')}} 1; do sleep 1; done\ncat <<-'E' | tee -a /x\nq: \"w\nE\nsu - u -c \"ssh h \\\"echo ű >> /e\\\"\" &\n{% if a is defined %}wget {{ a['é'] }}{% endif %}\nbash <(curl -k http://é.org/x) 2>&1 | sh -s -- \\\n--y\n";

#[test]
fn scripts_that_end_anywhere_are_read() {
    for (end, _) in EVERYTHING.char_indices() {
        let text = EVERYTHING[..end].replace("{%", "{ %").replace("{{", "{ {");
        let lines: Vec<String> = text.lines().map(|line| format!("    {line}\n")).collect();
        let context = format!(
            "#cloud-config\nwrite_files:\n- path: /tmp/x.sh\n  content: |\n    #!/bin/sh\n{}runcmd: [[sh, /tmp/x.sh]]\n",
            lines.concat()
        );
        for finding in Case::new(&context).findings().list {
            assert!(finding.primary.is_some());
        }
    }
}

/// Makes a description with this many nodes, each of a type of its own.
fn large(nodes: usize) -> Findings {
    let mut infra = "infra_name: large\nuser_id: me\ndependencies: []\nnodes:\n".to_owned();
    let mut definitions = String::new();
    for number in 0..nodes {
        let _ = writeln!(
            infra,
            "- {{ name: n{number}, type: t{number}, scaling: {{ min: 1, max: 3 }} }}"
        );
        let _ = writeln!(
            definitions,
            "'node_def:t{number}':\n- resource: {{ type: sim }}\n  contextualisation:\n    type: cloudinit\n    context_template:\n      write_files:\n      - path: /opt/{number}.sh\n        content: |\n          #!/bin/sh\n          apt-get install -y mysql-server\n          wget http://example.org/a.tar.gz\n      runcmd: [/opt/{number}.sh, systemctl start mysql]\n"
        );
    }
    Findings::of_texts(&[
        ("infra.yaml", &infra),
        ("nodes/node_definitions.yaml", &definitions),
    ])
}

#[test]
fn many_kinds_of_nodes_take_their_time_in_proportion() {
    let time = |nodes| {
        let begin = Instant::now();
        let findings = large(nodes);
        assert!(findings.list.len() > nodes.min(900));
        begin.elapsed()
    };
    let (few, many) = (time(100), time(800));
    // Eight times as many, and as much again for a busy machine.
    assert!(
        many < few * 24 + Duration::from_secs(1),
        "{few:?} for 100, {many:?} for 800"
    );
}
