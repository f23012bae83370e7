//! The rules of Occopus's descriptors one by one: what it takes is taken, what
//! it refuses is refused, and every exception stands in the page for its users.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{PLAIN, load_one};

/// The rules; the file says how it is written.
const RULES: &str = include_str!("compatibility.txt");

/// The page with the table of deviations.
const PAGE: &str = "../../docs/occopus-migration.md";

/// The start of every description that is not about its keys.
const HEAD: &str = "user_id: u\ninfra_name: demo\nnodes:\n";

/// The required keys of each type of resource, by the words that stand for them.
const RESOURCES: &[(&str, &str)] = &[
    (
        "$ec2",
        "type: ec2, endpoint: e, regionname: r, image_id: i, instance_type: t",
    ),
    (
        "$nova",
        "type: nova, endpoint: e, image_id: i, flavor_name: f, project_id: p",
    ),
    (
        "$azure",
        "type: azure_vm, endpoint: e, resource_group: g, location: l, vm_size: s, publisher: p, offer: o, sku: k, version: v, username: u",
    ),
    (
        "$aci",
        "type: azure_aci, endpoint: e, resource_group: g, location: l, cpu_cores: 1, memory: 1, image: i, os_type: linux, network_type: Public",
    ),
    ("$broker", "type: cloudbroker, endpoint: e"),
    ("$sigma", "type: cloudsigma, endpoint: e, libdrive_id: d"),
    (
        "$docker",
        "type: docker, endpoint: e, origin: dockerhub, image: i, tag: latest",
    ),
];

/// One line of the rules.
struct Rule {
    name: &'static str,
    is_taken: bool,
    codes: BTreeSet<&'static str>,
    /// What the page says, for rules that differ from Occopus's.
    words: Option<&'static str>,
    /// The whole descriptor.
    text: String,
}

impl Rule {
    fn read(line: &'static str) -> Self {
        let columns: Vec<&str> = line.splitn(5, " | ").collect();
        let [verdict, codes, name, kind, part] = columns[..] else {
            panic!("not five columns: {line}");
        };
        let (name, words) = match name.split_once(" [") {
            Some((name, words)) => (name, Some(words.trim_end_matches(']'))),
            None => (name, None),
        };
        let is_taken = match verdict {
            "taken" | "better" => true,
            "refused" | "stricter" => false,
            other => panic!("unknown verdict {other}"),
        };
        let differs = matches!(verdict, "better" | "stricter");
        assert_eq!(differs, words.is_some(), "{line}");
        Self {
            name,
            is_taken,
            codes: codes.split(' ').filter(|code| *code != "-").collect(),
            words,
            text: RESOURCES
                .iter()
                .fold(descriptor(kind, &unescaped(part)), |text, (word, keys)| {
                    text.replace(word, keys)
                }),
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match characters.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(other) => other,
            None => panic!("a backslash at the end of {text}"),
        });
    }
    out
}

/// Makes a descriptor around a part of one.
fn descriptor(kind: &str, part: &str) -> String {
    let defined =
        |lines: &str| format!("{HEAD}- {{name: web, type: own}}\n'node_def:own':\n{lines}\n");
    let node = |lines: &str| format!("{HEAD}- name: web\n  type: plain\n{lines}\n{PLAIN}");
    match kind {
        "whole" => part.to_owned() + "\n",
        "top" => format!("{part}\n{PLAIN}"),
        "named" => {
            format!("user_id: u\ninfra_name: {part}\nnodes:\n- {{name: web, type: plain}}\n{PLAIN}")
        }
        "nodes" => format!("{HEAD}{part}\n{PLAIN}"),
        "node" => node(part),
        "variable" => node(&format!("  variables:\n    a: {part}")),
        "edges" => format!(
            "{HEAD}- &web {{name: web, type: plain}}\n- &db {{name: db, type: plain}}\ndependencies:\n{part}\n{PLAIN}"
        ),
        "defined" => defined(part),
        "section" => defined(&format!("- resource: {{type: sim}}\n  {part}")),
        "resource" => defined(&format!("- resource: {{{part}}}")),
        other => panic!("unknown kind {other}"),
    }
}

#[test]
fn every_rule_of_the_format_holds() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(page).expect("the page is in the repository");
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut heading = "";
    for line in RULES.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            heading = line;
            continue;
        }
        let rule = Rule::read(line);
        assert!(names.insert((heading, rule.name)), "twice: {line}");
        let (loaded, findings) = load_one(&rule.text);
        let found: BTreeSet<&str> = loaded.diagnostics.iter().map(|one| one.code.id).collect();
        if loaded.topology.is_some() != rule.is_taken || found != rule.codes {
            let Rule {
                name, codes, text, ..
            } = &rule;
            faults.push(format!("{name}: expected {codes:?}\n{text}\n{findings}"));
        }
        if let Some(words) = rule.words
            && !page.contains(words)
        {
            faults.push(format!("{}: the page does not say `{words}`", rule.name));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} rules:\n{}",
        faults.len(),
        names.len(),
        faults.join("\n")
    );
}
