//! Files: SZTAKI's scenarios as they are, and our own.

use std::collections::BTreeMap;

use zenekar_property::{Origin, Verdict};

use crate::world::{Reported, State, findings, follow, read, read_well, reporting};

/// A scenario in the form of the original, with sections of its debugger.
const SCENARIO: &str = r#"
scenario_name: database
orchestrator:
  type: occopus
  occopus: { url: "http://localhost:5000", infra_files: infra.yaml }
exec-tree:
  type: neo4j
  auth: { host: "bolt://localhost", user: neo4j, password: secret }
specification:
  variables:
    up: { vm: srv, name: running, group: all, expected: true }
    up_late: { vm: srv, name: running, group: none, expected: true }
    many: { vm: cl, name: connections, group: any, expected: ">= 3" }
    two: { vm: cl, name: connections, group: exactly 2, expected: 1 }
    named: { vm: cl, name: nodeName, group: at_least 1, expected: contains client }
    exact: { vm: cl, name: nodeName, group: any, expected: exactly client-1 }
    some: { vm: cl, name: connections, group: all, expected: between 0 and 9 }
  statements:
    - up or up_late
    - not (many and two) or False
    - "named == exact != (some == False)"
    - True
"#;

fn client(name: &str, connections: &str) -> crate::world::Instance {
    reporting(&[
        ("nodeName", Reported::Text(name.to_owned())),
        ("connections", Reported::Text(connections.to_owned())),
    ])
}

#[test]
fn scenarios_of_the_original_are_taken_as_they_are() {
    let (set, diagnostics, _) = read(SCENARIO);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    assert_eq!(diagnostics[0].code.id, "ZK0910");
    assert_eq!(
        diagnostics[0].message,
        "`orchestrator` and `exec-tree` without effect"
    );
    assert_eq!(set.title.as_deref(), Some("database"));
    assert_eq!(set.nodes(), ["srv", "cl"]);
    assert_eq!(set.names(), ["running", "connections", "nodeName"]);
    let names: Vec<&str> = set.properties.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        ["statement 1", "statement 2", "statement 3", "statement 4"]
    );
    assert!(
        set.properties
            .iter()
            .all(|one| one.origin == Origin::Statement)
    );
}

#[test]
fn variables_of_one_name_in_the_other_are_told_apart() {
    // Replacing text, as the original does, makes `True_late` of `up_late`.
    let set = read_well(SCENARIO);
    let server = |running| reporting(&[("running", Reported::Truth(running))]);
    let state = |servers: Vec<_>| -> State { BTreeMap::from([("srv".to_owned(), servers)]) };
    for (servers, verdict) in [
        (vec![server(true), server(true)], Verdict::Holds),
        (vec![server(false), server(false)], Verdict::Holds),
        (vec![server(true), server(false)], Verdict::Violated),
    ] {
        assert_eq!(follow(&set, &[(0, state(servers))]).1, verdict);
    }
}

#[test]
fn groups_and_operators_of_variables_count() {
    let mut set = read_well(SCENARIO);
    set.properties.remove(0);
    let check = |set: &zenekar_property::PropertySet, clients: Vec<_>| {
        let state: State = BTreeMap::from([("cl".to_owned(), clients)]);
        follow(set, &[(0, state)]).1
    };
    let ones = || vec![client("client-1", "1"), client("client-2", "1")];
    assert_eq!(check(&set, ones()), Verdict::Holds);
    let mut three = ones();
    three.push(client("x", "3"));
    assert_eq!(check(&set, three), Verdict::Violated);
    // Chained as in Python: named == exact, and exact != (some == False).
    set.properties.remove(0);
    assert_eq!(check(&set, ones()), Verdict::Holds);
    assert_eq!(
        check(&set, vec![client("client-2", "1")]),
        Verdict::Violated
    );
    assert_eq!(
        check(&set, vec![client("client-1", "10")]),
        Verdict::Violated
    );
}

#[test]
fn nothing_in_a_statement_is_run() {
    let text = |statement: &str| {
        format!(
            "specification:\n  variables:\n    up: {{vm: a, name: b, group: all, expected: true}}\n  statements:\n    - \"up or {statement}\"\n"
        )
    };
    for (statement, code) in [
        ("__import__('os').system('true')", "ZK0905"),
        ("().__class__", "ZK0905"),
        ("up.real", "ZK0906"),
        ("eval", "ZK0906"),
        ("1 == 1", "ZK0905"),
        ("[x for x in y]", "ZK0905"),
        ("(lambda: 1)()", "ZK0905"),
        ("true", "ZK0906"),
        ("up < up", "ZK0907"),
        ("up == not up", "ZK0905"),
        ("up if up else up", "ZK0905"),
    ] {
        let found = findings(&text(statement));
        assert!(found.contains(code), "{statement}: {found}");
    }
}

#[test]
fn files_of_our_own_have_names_for_what_they_say() {
    let set = read_well(
        "variables:\n  up: {vm: srv, name: running, group: all, expected: true}\nproperties:\n  - always up\n  - {name: quorum, always: serving(db) >= 2}\n  - name: joins\n    formula: any ready(db) leads_to all ready(worker) within 5m\n  - never: any ready(a) then none ready(a)\n",
    );
    let read: Vec<_> = set
        .properties
        .iter()
        .map(|one| (one.name.as_str(), one.text.as_str()))
        .collect();
    assert_eq!(
        read,
        [
            ("property 1", "always up"),
            ("quorum", "always serving(db) >= 2"),
            (
                "joins",
                "any ready(db) leads_to all ready(worker) within 5m"
            ),
            ("property 4", "never any ready(a) then none ready(a)"),
        ]
    );
    let unknown = set.check_nodes(&["srv", "db", "workers", "a"]);
    assert_eq!(unknown.len(), 1);
    assert_eq!(
        unknown[0].message,
        "the infrastructure has no node `worker`"
    );
    assert_eq!(unknown[0].help, ["did you mean `workers`?"]);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let text = "\
specification:
  variables:
    a: {vm: x, name: y, group: al, expected: true}
    b: {vm: x, name: y, group: all, expected: ready}
    c: {vm: x, name: y, group: all}
    d: {vm: x, name: y, group: all, expectd: 1, expected: 1}
    e: {vm: 3, name: y, group: all, expected: [1]}
    f: {vm: x, name: y, group: all, expected: 1}
  statements:
    - a and b and c and d and g
    - {x: y}
statments: []
properties:
  - {name: one, always: 'any var(x, y) = 1 +'}
  - {name: one, always: count(x) = 1}
  - {name: one, always: count(x) = 1}
  - {name: two}
  - {always: count(x) = 1, never: any ready(x)}
  - 7
";
    assert_eq!(
        findings(text),
        "\
properties.yaml:3:32: error[ZK0904]: `al` is not a group
properties.yaml:4:47: error[ZK0904]: `ready` does not begin with an operator
properties.yaml:5:8: error[ZK0903]: a variable lacks `expected`
properties.yaml:6:37: error[ZK0902]: unknown key `expectd`
properties.yaml:7:13: error[ZK0901]: this is a name, and this is of type integer
properties.yaml:7:47: error[ZK0901]: what is expected is a truth value, a number, or a text with an operator, and this is of type list
properties.yaml:10:31: error[ZK0906]: no variable is named `g`
properties.yaml:11:7: error[ZK0901]: a statement is a text, and this is of type mapping
properties.yaml:12:1: error[ZK0902]: unknown key `statments`
properties.yaml:14:45: error[ZK0905]: the formula ends too early
properties.yaml:15:25: error[ZK0909]: two properties are named `one`
properties.yaml:16:25: error[ZK0909]: two properties are named `one`
properties.yaml:17:5: error[ZK0903]: a property lacks `formula`
properties.yaml:18:28: error[ZK0901]: `never` is a second formula in one property
properties.yaml:19:5: error[ZK0901]: a property is a text or a mapping, and this is of type integer
"
    );
}

#[test]
fn variables_that_nothing_uses_are_told() {
    let declared = "variables:\n  up: {vm: a, name: b, group: all, expected: true}\n";
    assert_eq!(
        findings(declared),
        "properties.yaml:2:3: warning[ZK0911]: nothing uses the variable `up`\n"
    );
    // A statement that could not be read may have been the one that does.
    let broken = findings(&format!("{declared}properties:\n  - always up and\n"));
    assert!(!broken.contains("ZK0911"), "{broken}");
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let text = include_str!("../../../../docs/properties.md");
    let examples: Vec<&str> = text
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        assert_eq!(findings(example), "");
    }
}
