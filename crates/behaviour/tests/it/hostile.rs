//! Texts that nobody would write, and descriptors that are very large.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use zenekar_model::Behaviours;

use crate::support::of_texts;

/// A script in which everything occurs that is read in a way of its own.
const EVERYTHING: &str = "f() {\n curl \"http://HOST:80/é\"\n}\nA=$(cat /etc/x `echo HOST`) && [[ $A =~ ^y ]] || f $A\nuntil nc -z ${A:-HOST} 1; do sleep 1; done &\ncat <<-'E' | tee -a /etc/hosts\nHOST é\nE\n(su - u -c \"ssh HOST \\\"sed -i s/ű/x/ /e\\\"\"; scp u@HOST:/srv/é /x) || { exit 1; }\nfor i in 1 2; do mysql -h HOST -P 3307 && break; done\ncase $1 in a) docker swarm join HOST:2377;; esac\necho > /dev/tcp/HOST/80 2>&1\n";

fn behaviours(worker: &str) -> Behaviours {
    let lines: Vec<String> = worker.lines().map(|line| format!("    {line}\n")).collect();
    let context = format!(
        "#cloud-config\nwrite_files:\n- path: /tmp/x.sh\n  content: |\n    #!/bin/sh\n{}runcmd: [[sh, /tmp/x.sh]]\n",
        lines.concat()
    );
    of_texts(&[
        (
            "infra.yaml",
            "infra_name: demo\nuser_id: u\nnodes:\n- &m {name: master, type: master}\n- &w {name: worker, type: worker}\ndependencies:\n- [*w, *m]\n",
        ),
        (
            "nodes/definitions.yaml",
            "'node_def:master':\n- resource: {type: sim}\n  contextualisation:\n    type: cloudinit\n    context_template: {runcmd: [systemctl start nginx mysql]}\n'node_def:worker':\n- resource: {type: sim}\n  contextualisation:\n    type: cloudinit\n    context_template: !yaml_import {url: 'file://worker.yaml'}\n",
        ),
        ("nodes/worker.yaml", &context),
    ])
}

#[test]
fn scripts_that_end_anywhere_are_walked_through() {
    for (end, _) in EVERYTHING.char_indices() {
        let text = EVERYTHING[..end].replace("HOST", "{{getip('master')}}");
        let found = behaviours(&text);
        assert_eq!(found.nodes.len(), 2);
    }
}

#[test]
fn thousands_of_contacts_are_bounded_and_what_is_given_stays() {
    let mut script = String::new();
    for port in 1..4_000 {
        let _infallible = writeln!(script, "curl http://{{{{getip('master')}}}}:80/{port}");
    }
    let begin = Instant::now();
    let found = behaviours(&script);
    assert!(begin.elapsed() < Duration::from_secs(20));
    let segments = found.segments_of("worker");
    assert!((2..=64).contains(&segments.len()), "{}", segments.len());
    let mut given = found
        .segments_of("master")
        .iter()
        .flat_map(|segment| &segment.gives);
    assert!(given.any(|give| give.to_string() == "80"));
}

#[test]
fn many_nodes_take_their_time_in_proportion() {
    let time = |nodes: usize| {
        let mut infra = "infra_name: large\nuser_id: me\nnodes:\n".to_owned();
        for number in 0..nodes {
            let _infallible = writeln!(infra, "- {{name: n{number}, type: plain}}");
        }
        let definition = "'node_def:plain':\n- resource: {type: sim}\n  contextualisation:\n    type: cloudinit\n    context_template: {runcmd: [\"curl http://{{ getip('n0') }}/\", systemctl start nginx]}\n";
        let begin = Instant::now();
        let found = of_texts(&[("infra.yaml", &infra), ("nodes/nodes.yaml", definition)]);
        assert_eq!(found.nodes.len(), nodes);
        begin.elapsed()
    };
    let (few, many) = (time(50), time(400));
    // Eight times as many, and as much again for a busy machine.
    assert!(
        many < few * 24 + Duration::from_secs(1),
        "{few:?} for 50, {many:?} for 400"
    );
    println!("{few:?} for 50, {many:?} for 400");
}
