//! The words of Occopus's commands that scripts look for.

use crate::occopus_commands::{SHOP, Tools, words};

#[test]
fn mistakes_in_node_definitions_are_told_in_occopus_words() {
    let tools = Tools::new();
    let resource = "[SchemaCheck] ERROR in 'resource' section of node 'a'[0]: ";
    let health = "[SchemaCheck] ERROR in 'health_check' section of node 'a'[0]: ";
    let section = |words: &str| format!("'node_def:a':\n  - {words}\n");
    let ec2 = "endpoint: e, regionname: r, image_id: i, instance_type: t";
    let nova = "endpoint: e, image_id: i, flavor_name: f, project_id: p";
    let azure = "endpoint: e, resource_group: g, location: l, vm_size: v, publisher: p, offer: o, sku: s, version: v, username: u";
    let cases = [
        (
            "'a:b': []\n".to_owned(),
            "[SchemaCheck] ERROR in node 'b': Node definition must begin with 'node_def:<nodename>'!".to_owned(),
        ),
        (
            "a: []\n".to_owned(),
            "[SchemaCheck] ERROR in node 'a': Node definition must begin with 'node_def:<nodename>'!".to_owned(),
        ),
        (
            "'node_def:a': {resource: {type: ec2}}\n".to_owned(),
            "[SchemaCheck] ERROR in node 'a': Node definition has to be a list of dictionaries!".to_owned(),
        ),
        (
            section("{resource: {type: sim}, contextualization: {}}"),
            "[SchemaCheck] ERROR in node 'a': Invalid section 'contextualization'".to_owned(),
        ),
        (
            section("{health_check: {ping: False}}"),
            format!("{resource}Missing 'resource' section!"),
        ),
        (
            section(&format!("resource: {{type: ec2, {ec2}, flavour: f, colour: c}}")),
            format!("{resource}Unknown key(s): flavour, colour"),
        ),
        (
            section("resource: {type: ec2, endpoint: e, regionname: r}"),
            format!("{resource}Missing key(s): image_id, instance_type"),
        ),
        (
            section(&format!("resource: {{type: azure_vm, {azure}}}")),
            format!("{resource}Missing key(s): either \"password\" or \"ssh_key_data\" must be defined"),
        ),
        (
            section(&format!("resource: {{type: nova, {nova}, volume_size: x}}")),
            format!("{resource}Could not convert volume_size value \"x\" to integer!"),
        ),
        (
            section("{resource: {type: sim}, health_check: {ports: ['80']}}"),
            format!("{health}Invalid port '80' - must be integer"),
        ),
        (
            section("{resource: {type: sim}, health_check: {timeout: soon}}"),
            format!("{health}Invalid value of 'timeout' section! Must be integer."),
        ),
        (
            section("{resource: {type: sim}, health_check: {pong: True}}"),
            format!("{health}Unknown key(s): pong"),
        ),
        (
            section("{resource: {type: sim}, contextualisation: {type: cloudinit}}"),
            "[SchemaCheck] ERROR in 'contextualisation' section of node 'a'[0]: Missing key(s): context_template".to_owned(),
        ),
    ];
    for (text, words) in cases {
        tools.sandbox.write("nodes.yaml", &text);
        let run = tools.run("import", &["nodes.yaml"]);
        assert_eq!(run.stdout.trim_end(), words, "{text}\n{}", run.stderr);
        assert_eq!(run.code, Some(0), "as Occopus: {text}");
        assert!(run.stderr.contains("error[ZK"), "{text}");
        let stored = tools.sandbox.state().join("occopus/definitions/a.yaml");
        assert!(!stored.exists(), "{text}");
    }
}

#[test]
fn files_that_cannot_be_read_are_not_imported() {
    let tools = Tools::new();
    for text in [
        "'node_def:a': [{resource: {type: abacus}}]\n",
        "'node_def:a': []\n'node_def:a': []\n",
        "'node_def:a': [}\n",
        "'node_def:a': !!python/object/apply:os.system ['touch owned']\n",
    ] {
        tools.sandbox.write("nodes.yaml", text);
        let run = tools.run("import", &["nodes.yaml"]).expect(1);
        assert!(run.stderr.contains("error[ZK"), "{}", run.stderr);
        assert!(!run.stdout.contains("Successfully"), "{}", run.stdout);
    }
    assert!(!tools.sandbox.path("owned").exists());
    tools.run("import", &["missing.yaml"]).expect(1);
    tools.run("import", &[]).expect(2);
}

#[test]
fn mistakes_in_descriptions_are_told_in_occopus_words() {
    let tools = Tools::with_shop();
    let error = |words: &str| format!("[SchemaCheck] ERROR: {words}");
    let long = "a".repeat(65);
    let cases = [
        (
            "infra_name: shop\n",
            "",
            error("infra_name must be defined in infrastructure description"),
        ),
        (
            "shop\n",
            "my.shop\n",
            error("infra_name \"my.shop\" cannot contain '.' character"),
        ),
        (
            "shop\n",
            "my_shop\n",
            error("infra_name \"my_shop\" may contain only [a-z,0-9,-] characters"),
        ),
        (
            "shop\n",
            &format!("{long}\n"),
            error(&format!("infra_name \"{long}\" is too long")),
        ),
        (
            "name: db",
            "name: d_b",
            error("node \"d_b\" may contain only [a-z,0-9,-] characters"),
        ),
        (
            "nodes:",
            "knots:",
            error("nodes section must be defined in infrastructure description"),
        ),
        ("name: web, ", "", error("missing key \"name\" in node")),
        (
            "type: web, ",
            "",
            error("missing key \"type\" in node 'web'"),
        ),
        (
            "max: 5",
            "maximum: 5",
            error("unknown key \"'maximum'\" in scaling of node 'web'"),
        ),
        (
            "type: web, ",
            "type: web, filter: [x], ",
            error("unknown type of filter in node 'web' - has to be a dict!"),
        ),
        (
            "type: web, ",
            "type: web, colour: red, ",
            error("unknown key \"'colour'\" in node 'web'"),
        ),
        (
            "connection: [*web, *db]",
            "mappings: []",
            error("undefined connection "),
        ),
        (
            "user_id:",
            "colour: red\nuser_id:",
            error("unknown key 'colour' in infastructure description"),
        ),
    ];
    for (from, to, words) in cases {
        let text = SHOP.replacen(from, to, 1);
        assert_ne!(text, SHOP, "{from}");
        tools.sandbox.write("bad.yaml", &text);
        let run = tools.run("build", &["bad.yaml"]).expect(1);
        assert_eq!(
            run.stdout.trim_end_matches('\n'),
            words,
            "{text}\n{}",
            run.stderr
        );
        assert!(run.stderr.contains("error[ZK"), "{}", run.stderr);
    }
    tools
        .sandbox
        .write("bad.yaml", &SHOP.replace("user_id:", "# "));
    let run = tools.run("build", &["bad.yaml"]).expect(1);
    let warning = "[SchemaCheck] WARNING: user_id is not defined in infrastructure description\n";
    assert_eq!(run.stdout, warning);
    assert!(tools.is_empty());
}

#[test]
fn what_cannot_be_read_is_not_checked() {
    let tools = Tools::with_shop();
    for text in ["x: [\n", "user_id: u\nnodes: [}\n", "a: 1\na: 2\n"] {
        tools.sandbox.write("bad.yaml", text);
        let run = tools.run("build", &["bad.yaml"]).expect(1);
        assert_eq!(run.stdout, "", "{text}\n{}", run.stderr);
        assert!(run.stderr.contains("error[ZK01"), "{}", run.stderr);
    }
}

#[test]
fn definitions_are_no_description() {
    let tools = Tools::with_shop();
    let definitions = "'node_def:a':\n- resource: {type: sim}\n";
    tools.sandbox.write("bad.yaml", definitions);
    let run = tools.run("build", &["bad.yaml"]).expect(1);
    let words: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        words,
        [
            "[SchemaCheck] WARNING: user_id is not defined in infrastructure description",
            "[SchemaCheck] ERROR: infra_name must be defined in infrastructure description",
        ],
        "{}",
        run.stderr
    );
}

#[test]
fn scaling_takes_exactly_one_change() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let many =
        |pair: &str| format!("Too many arguments: {pair} must not be used at the same time!");
    let cases: [(&[&str], i32, String); 10] = [
        (&["-c", "1", "-s", "2"], 1, many("-c and -s")),
        (&["-c", "1", "-f", "x"], 1, many("-c and -f")),
        (&["-s", "2", "-f", "x"], 1, many("-s and -f")),
        (
            &[],
            1,
            "Too few arguments: at least -c, -s or -f must be specified!".to_owned(),
        ),
        (
            &["-c", "one"],
            1,
            "Positive/negative number must be specified for argument -c!".to_owned(),
        ),
        (
            &["-s", "two"],
            1,
            "Positive number must be specified for argument -s!".to_owned(),
        ),
        (
            &["-c", "0"],
            0,
            "Incorrect argument: value for -c must be different from zero!".to_owned(),
        ),
        (
            &["-s", "0"],
            0,
            "Incorrect argument: value for -s must be greater than zero!".to_owned(),
        ),
        (
            &["-s", "-1"],
            0,
            "Incorrect argument: value for -s must be greater than zero!".to_owned(),
        ),
        (
            &["-c", "-1"],
            0,
            "Scaling down node 'web' with 1 instances...".to_owned(),
        ),
    ];
    for (change, code, text) in cases {
        let arguments: Vec<&str> = ["-i", "shop", "-n", "web"]
            .into_iter()
            .chain(change.iter().copied())
            .collect();
        let run = tools.run("scale", &arguments).expect(code);
        assert_eq!(words(&run.stdout), [text], "{change:?}");
        assert_eq!(tools.sandbox.machines().len(), 3, "{change:?}");
    }
    // Occopus takes these and stores a request that nobody ever carries out.
    for arguments in [
        ["-i", "shop", "-n", "wep", "-c", "1"],
        ["-i", "shap", "-n", "web", "-c", "1"],
        ["-i", "shop", "-n", "web", "-f", "192.0.2.1"],
    ] {
        let run = tools.run("scale", &arguments).expect(1);
        assert!(run.stderr.starts_with("error:"), "{}", run.stderr);
    }
    tools.run("scale", &["-i", "shop", "-c", "1"]).expect(2);
}

#[test]
fn maintain_says_what_is_missing() {
    let tools = Tools::new();
    let none = tools.ok("maintain", &["-l"]);
    assert_eq!(none.stdout, "No active infrastructure!\n");
    let run = tools.run("maintain", &[]).expect(1);
    assert_eq!(run.stdout, "ERROR: No infra_id (-i) specified! \n");
    for arguments in [["-i", "shop"].as_slice(), &["-i", "shop", "-r"]] {
        let run = tools.run("maintain", arguments).expect(1);
        assert!(run.stderr.contains("no infrastructure `shop`"), "{run:?}");
    }
    assert!(!tools.sandbox.state().exists(), "looking makes no state");
}

#[test]
fn destroying_what_is_unknown_succeeds_as_in_occopus() {
    let tools = Tools::new();
    let run = tools.ok("destroy", &["-i", "nothing"]);
    assert_eq!(words(&run.stdout), ["Unknown infrastructure: \"nothing\""]);
    assert!(run.stderr.contains("warning:"), "{}", run.stderr);
}
