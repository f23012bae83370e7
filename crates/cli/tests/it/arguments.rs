//! Wrong arguments: each is refused with a reason, nothing is begun, nothing panics.

use crate::sandbox::{Sandbox, example, run};

#[test]
fn every_command_refuses_wrong_arguments() {
    let sandbox = Sandbox::new();
    let file = example("hello");
    let cases: &[&[&str]] = &[
        &[],
        &["validate"],
        &["validate", "a", "b"],
        &["plan"],
        &["plan", &file, "--graph", "svg"],
        &["plan", &file, "--graph", "dot", "--full"],
        &["plan", &file, "--name", "../escape"],
        &["up"],
        &["up", &file, "--yes", "--parallel", "0"],
        &["up", &file, "--yes", "--parallel", "many"],
        &["up", &file, "--yes", "--timeout", "soon"],
        &["up", &file, "--yes", "--timeout", "-5s"],
        &["up", &file, "--yes", "--pace", "0"],
        &["up", &file, "--yes", "--pace", "warp"],
        &["up", &file, "--yes", "--sim-profile", "kind"],
        &["up", &file, "--yes", "--seed", "-1"],
        &["status", "nowhere"],
        &["status", "a", "b"],
        &["why"],
        &["why", "a", "b", "c"],
        &["why", "node"],
        &["scale"],
        &["scale", "nowhere"],
        &["scale", "a=b"],
        &["scale", "a=1", "--request", "a b"],
        &["watch", "nowhere"],
        &["events", "nowhere"],
        &["events", "--lines", "-1"],
        &["list", "extra"],
        &["down"],
        &["down", "nowhere", "--yes"],
        &["state"],
        &["state", "export"],
        &["state", "export", "nowhere"],
        &["state", "import"],
        &["state", "import", "missing.json"],
        &["state", "check", "extra"],
        &["sim"],
        &["sim", "show"],
        &["sim", "kill"],
        &["sim", "kill", "nothing"],
        &["sim", "stop", "nothing"],
        &["sim", "outage"],
        &["sim", "outage", "for ever"],
        &["sim", "profile", "kind"],
        &["sim", "quota", "--machines", "-1"],
        &["explain"],
        &["explain", "ZK9999"],
        &["completion"],
        &["completion", "cmd"],
        &["man", "nothing"],
        &["--output", "yaml", "list"],
        &["--color", "blue", "list"],
        &["--unknown", "list"],
    ];
    for arguments in cases {
        let told = sandbox.run(arguments).expect(2);
        assert_eq!(told.stdout, "", "{arguments:?}");
        let is_help = arguments.is_empty() || matches!(arguments, ["sim" | "state"]);
        assert!(
            is_help || told.stderr.contains("error: "),
            "{arguments:?}:\n{}",
            told.stderr
        );
        assert!(
            !told.stderr.contains("panicked"),
            "{arguments:?}:\n{}",
            told.stderr
        );
    }
    assert!(
        !sandbox.state().join("state.db").exists(),
        "nothing was begun"
    );
}

#[test]
fn slips_get_a_hint() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["up", &example("hello"), "--yes", "--pace", "jump"]);
    for (arguments, hint) in [
        (["status", "helo"].as_slice(), "did you mean `hello`?"),
        (&["why", "sendr"], "did you mean `sender`?"),
        (&["scale", "reciver=2"], "did you mean `receiver`?"),
        (&["explain", "zk01010"], "did you mean `ZK0101`?"),
        (&["man", "stats"], "did you mean `status`?"),
        (&["plan", "x.yaml", "--on", "smi"], "did you mean `sim`?"),
    ] {
        let told = sandbox.run(arguments);
        assert_ne!(told.code, Some(0), "{arguments:?}");
        let is_about_file = told.stderr.contains("x.yaml");
        assert!(
            told.stderr.contains(hint) || is_about_file,
            "{arguments:?}:\n{}",
            told.stderr
        );
    }
}

/// Words thrown together at random: whatever they are, the command answers.
#[test]
fn no_arguments_make_it_panic() {
    const WORDS: [&str; 40] = [
        "validate",
        "plan",
        "status",
        "why",
        "scale",
        "events",
        "list",
        "state",
        "sim",
        "explain",
        "completion",
        "man",
        "logs",
        "exec",
        "open",
        "doctor",
        "80",
        "--follow",
        "export",
        "check",
        "show",
        "kill",
        "--output",
        "json",
        "human",
        "--color",
        "always",
        "--name",
        "x",
        "a=1",
        "=",
        "",
        "-",
        "--",
        "\u{0}x",
        "ä/ö",
        "-n",
        "0",
        "--full",
        "pair.yaml",
    ];
    let sandbox = Sandbox::new();
    crate::stories::pair(&sandbox, "hello", "{min: 1, max: 2}", "");
    let mut random: u64 = 7;
    let mut draw = |bound: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap_or(0) % bound
    };
    for _ in 0..150 {
        let count = 1 + draw(5);
        let words: Vec<&str> = (0..count)
            .map(|_| WORDS[draw(WORDS.len())])
            .filter(|word| !word.contains('\u{0}'))
            .collect();
        let told = run(sandbox.command(&words));
        assert!(
            !told.stderr.contains("panicked"),
            "{words:?}:\n{}",
            told.stderr
        );
        assert!(
            matches!(told.code, Some(0 | 2 | 3 | 5 | 8 | 10)),
            "{words:?}: {told:?}"
        );
    }
}
