//! Occopus's commands, called by their own names through links, as scripts do.

use std::fs;
use std::process::{Command, Stdio};

use crate::looking_in::interrupt;
use crate::sandbox::{Run, Sandbox, run};

/// Two node types of the simulated cloud.
pub(crate) const NODES: &str = "\
'node_def:database':
  - resource: {type: sim, cores: 1}
    health_check: {ping: False}
'node_def:web':
  - resource: {type: sim, cores: 1}
    contextualisation:
      type: cloudinit
      context_template: |
        #cloud-config
        runcmd: ['connect {{getip(\"db\")}}']
    health_check: {ping: False, ports: [80]}
";

/// A web service of two to five instances with its database.
pub(crate) const SHOP: &str = "\
infra_name: shop
user_id: somebody@example.org
nodes:
  - &db {name: db, type: database, scaling: {min: 1, max: 1}}
  - &web {name: web, type: web, scaling: {min: 2, max: 5}}
dependencies:
  - connection: [*web, *db]
";

/// A sandbox with links that have the names of Occopus's commands.
pub(crate) struct Tools {
    pub(crate) sandbox: Sandbox,
}

impl Tools {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let directory = sandbox.path("bin").display().to_string();
        sandbox.ok(&["occopus", "install-links", "--directory", &directory]);
        Self { sandbox }
    }

    /// Makes a place where the shop's files are, and its node definitions imported.
    pub(crate) fn with_shop() -> Self {
        let tools = Self::new();
        tools.sandbox.write("nodes.yaml", NODES);
        tools.sandbox.write("shop.yaml", SHOP);
        tools.ok("import", &["nodes.yaml"]);
        tools
    }

    /// Returns one of the commands, ready to be started.
    pub(crate) fn command(&self, tool: &str, arguments: &[&str]) -> Command {
        let link = self.sandbox.path("bin").join(format!("occopus-{tool}"));
        let model = self.sandbox.command(&[]);
        let mut command = Command::new(link);
        let environment = model.get_envs();
        command
            .args(arguments)
            .current_dir(self.sandbox.path(""))
            .env_clear()
            .envs(environment.filter_map(|(key, value)| Some((key, value?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) -> Run {
        run(self.command(tool, arguments))
    }

    #[track_caller]
    pub(crate) fn ok(&self, tool: &str, arguments: &[&str]) -> Run {
        self.run(tool, arguments).expect(0)
    }

    /// Builds a description of the sandbox under this id.
    #[track_caller]
    pub(crate) fn build(&self, file: &str, id: &str) -> Run {
        self.ok("build", &["--parallelize", "-i", id, file])
    }

    /// Says whether there is no machine, and perhaps not even a cloud.
    pub(crate) fn is_empty(&self) -> bool {
        let has_cloud = self.sandbox.state().join("sim/settings.json").exists();
        !has_cloud || self.sandbox.machines().is_empty()
    }

    /// Returns the addresses that a report writes into a file, one line for each instance.
    #[track_caller]
    pub(crate) fn addresses(&self, id: &str) -> Vec<String> {
        let path = self.sandbox.path("report.txt");
        self.ok("maintain", &["-i", id, "-r", "-o", "report.txt"]);
        let text = fs::read_to_string(path).expect("the report was written");
        text.lines().map(str::to_owned).collect()
    }
}

/// Returns lines of Occopus's log without their times.
pub(crate) fn words(stdout: &str) -> Vec<&str> {
    stdout
        .lines()
        .map(|line| match line.split_once('\t') {
            Some((head, text)) if head.starts_with("** ") => text,
            _ => line,
        })
        .collect()
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text
            .chars()
            .all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}

#[test]
fn links_are_made_once_and_never_over_something_else() {
    let sandbox = Sandbox::new();
    let arguments = ["occopus", "install-links", "--directory", "bin"];
    let made = sandbox.ok(&arguments);
    assert_eq!(made.stdout.lines().count(), 6, "{}", made.stdout);
    let again = sandbox.ok(&arguments);
    assert!(
        again
            .stdout
            .lines()
            .all(|line| line.ends_with("(was there already)")),
        "{}",
        again.stdout
    );
    let build = sandbox.path("bin/occopus-build");
    fs::remove_file(&build).expect("it was made");
    fs::remove_file(sandbox.path("bin/occopus-scale")).expect("it was made");
    fs::write(&build, "mine").expect("the sandbox can be written");
    let refused = sandbox.run(&arguments).expect(9);
    assert!(refused.stderr.contains("bin/occopus-build"), "{refused:?}");
    assert!(!sandbox.path("bin/occopus-scale").exists(), "all or none");
    assert_eq!(fs::read_to_string(&build).expect("it stays"), "mine");
    let forced: Vec<&str> = arguments.iter().copied().chain(["--force"]).collect();
    let forced: Vec<&str> = forced.into_iter().chain(["--output", "json"]).collect();
    let links = sandbox.ok(&forced).json();
    let made: Vec<bool> = links["links"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|link| link["made"].as_bool().expect("a truth"))
        .collect();
    assert_eq!(made, [false, true, false, false, true, false]);
    assert!(build.is_symlink());
}

#[test]
fn a_build_prints_what_scripts_read() {
    let tools = Tools::with_shop();
    let built = tools.ok("build", &["shop.yaml"]);
    let id = built.stdout.lines().last().expect("the id").to_owned();
    assert!(is_uuid(&id), "{id}");
    let heads = built.stdout.lines().filter(|line| line.starts_with("** "));
    for line in heads {
        let time = &line[3..line.find('\t').expect("a tabulator")];
        assert_eq!(time.len(), "2026-11-23 08:30:39,635".len(), "{line}");
    }
    let words = words(&built.stdout);
    assert_eq!(words[0], format!("Submitted infrastructure: '{id}'"));
    assert_eq!(words[1], "List of nodes/instances/addresses:");
    assert_eq!(words[2], "db:");
    let node_id = words[3].trim().trim_end_matches(':');
    assert!(words[3].starts_with("  ") && is_uuid(node_id), "{words:?}");
    assert!(words[4].starts_with("    10."), "{words:?}");
    assert_eq!(words[5], "web:");
    assert_eq!(words.len(), 11, "{words:?}");
    assert_eq!(tools.sandbox.machines(), ["db/1", "web/1", "web/2"]);
    let report = tools.ok("maintain", &["-i", &id, "-r"]);
    assert_eq!(super::occopus_commands::words(&report.stdout), words[1..10]);
    let listed = tools.ok("maintain", &["-l"]).stdout;
    assert_eq!(listed, format!("List of active infrastructure:\n{id}\n"));
    tools.ok("destroy", &["-i", &id]);
    assert!(tools.sandbox.machines().is_empty());
}

#[test]
fn a_script_for_occopus_runs() {
    let tools = Tools::new();
    tools.sandbox.write("nodes.yaml", NODES);
    tools.sandbox.write("shop.yaml", SHOP);
    let script = r#"set -e
occopus-import nodes.yaml | grep -q 'Successfully imported nodes: database, web'
occopus-build --parallelize shop.yaml > build.log
grep -q 'Submitted infrastructure' build.log
id=$(tail -n 1 build.log)
occopus-maintain -l | grep -qx "$id"
test "$(occopus-maintain -i "$id" -r | grep -c '	    ')" = 3
occopus-scale -i "$id" -n web -c +2 | grep -q "Scaling up node 'web' with 2 instances"
occopus-maintain -i "$id" > /dev/null
occopus-maintain -i "$id" -r -o report.txt
test "$(wc -l < report.txt)" = 5
last=$(tail -n 1 report.txt | cut -d ' ' -f 1)
occopus-scale -i "$id" -n web -f "$last"
occopus-maintain -i "$id" > /dev/null
occopus-maintain -i "$id" -r -o report.txt
test "$(wc -l < report.txt)" = 4
! grep -qx "$last" report.txt
occopus-scale -i "$id" -n web -s 2
occopus-maintain -i "$id" -r -f we -o report.txt
test "$(wc -l < report.txt)" = 2
occopus-destroy -i "$id" | grep -q "Finished dropping infrastructure '$id'"
occopus-maintain -l | grep -qx 'No active infrastructure!'
"#;
    tools.sandbox.write("script.sh", script);
    let model = tools.command("build", &[]);
    let mut command = Command::new("bash");
    let path = format!("{}:/usr/bin:/bin", tools.sandbox.path("bin").display());
    command
        .args(["-x", "script.sh"])
        .current_dir(tools.sandbox.path(""))
        .env_clear()
        .envs(
            model
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .env("PATH", path);
    run(command).expect(0);
    assert!(tools.sandbox.machines().is_empty());
}

#[test]
fn a_fixed_id_is_built_and_changed() {
    let tools = Tools::with_shop();
    let id = "micado_worker_infra";
    let first = tools.build("shop.yaml", id);
    let words = words(&first.stdout);
    assert_eq!(words[0], format!("Updating infrastructure: '{id}'"));
    assert!(words.contains(&format!("Submitted infrastructure: '{id}'").as_str()));
    assert_eq!(first.stdout.lines().last(), Some(id));
    let more = SHOP.replace("min: 2, max: 5", "min: 3, max: 5").replace(
        "dependencies:",
        "  - {name: spare, type: database}\ndependencies:",
    );
    tools.sandbox.write("shop.yaml", &more);
    tools.build("shop.yaml", id);
    let machines = tools.sandbox.machines();
    assert_eq!(machines, ["db/1", "spare/1", "web/1", "web/2", "web/3"]);
    tools.sandbox.write("shop.yaml", SHOP);
    tools.build("shop.yaml", id);
    assert!(!tools.sandbox.machines().contains(&"spare/1".to_owned()));
    tools.ok("destroy", &["-i", id]);
    tools.build("shop.yaml", id);
    assert_eq!(tools.sandbox.machines().len(), 3, "an id can be used again");
}

#[test]
fn what_was_imported_counts_and_not_the_file() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    tools
        .sandbox
        .write("nodes.yaml", &NODES.replace("connect", "join"));
    tools.build("shop.yaml", "shop");
    let kept = tools.sandbox.machines();
    assert_eq!(kept, ["db/1", "web/1", "web/2"], "nothing was imported");
    tools.ok("import", &["nodes.yaml"]);
    tools.build("shop.yaml", "shop");
    let replaced = tools.sandbox.machines();
    assert_eq!(replaced, ["db/1", "web/3", "web/4"], "a re-import replaces");
}

#[test]
fn types_may_have_any_name() {
    let tools = Tools::new();
    let nodes = "'node_def:a:b/../c é': [{resource: {type: sim}, health_check: {ping: False}}]\n";
    tools.sandbox.write("nodes.yaml", nodes);
    let imported = tools.ok("import", &["nodes.yaml"]);
    let words = "Successfully imported nodes: a:b/../c é\n";
    assert_eq!(imported.stdout, words);
    let file = "infra_name: one\nuser_id: me\nnodes: [{name: db, type: 'a:b/../c é'}]\n";
    tools.sandbox.write("one.yaml", file);
    tools.build("one.yaml", "one");
    assert_eq!(tools.sandbox.machines(), ["db/1"]);
}

#[test]
fn imports_resolve_what_they_include() {
    let tools = Tools::new();
    let nodes = "\
'node_def:database':
  - resource: {type: sim}
    contextualisation:
      type: cloudinit
      context_template: !yaml_import
        url: file://parts/cloud.yaml
    health_check: {ping: False}
";
    tools.sandbox.write("nodes.yaml", nodes);
    let parts = "#cloud-config\nruncmd: [echo hello, &again 'a b', *again]\n";
    tools.sandbox.write("parts/cloud.yaml", parts);
    tools.ok("import", &["nodes.yaml"]);
    fs::remove_dir_all(tools.sandbox.path("parts")).expect("it was written");
    let file = "infra_name: one\nuser_id: me\nnodes:\n  - {name: db, type: database}\n";
    tools.sandbox.write("one.yaml", file);
    let built = tools.build("one.yaml", "one");
    let warnings: Vec<&str> = built
        .stdout
        .lines()
        .filter(|line| line.starts_with("[SchemaCheck]"))
        .collect();
    assert_eq!(
        warnings,
        [
            "[SchemaCheck] WARNING: missing \"scaling\" parameter in node 'db', using default scaling (single instance)",
            "[SchemaCheck] WARNING: no dependencies specified - using sequential ordering",
        ]
    );
}

#[test]
fn counts_stay_within_the_range_of_a_node() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let scale = |change: [&str; 2]| {
        tools.ok("scale", &["-i", "shop", "-n", "web", change[0], change[1]]);
        tools.sandbox.machines().len() - 1
    };
    assert_eq!(scale(["-c", "+9"]), 5);
    assert_eq!(scale(["-s", "3"]), 3);
    assert_eq!(scale(["-c", "-9"]), 2);
    assert_eq!(scale(["-s", "99"]), 5);
}

#[test]
fn an_instance_goes_by_its_node_id() {
    let tools = Tools::with_shop();
    let built = tools.build("shop.yaml", "shop");
    let words = words(&built.stdout);
    let web = words
        .iter()
        .position(|line| *line == "web:")
        .expect("a node");
    let victim = words[web + 1].trim().trim_end_matches(':');
    let address = words[web + 2].trim();
    tools.ok("scale", &["-i", "shop", "-n", "web", "-c", "1"]);
    tools.ok("scale", &["-i", "shop", "-n", "web", "-f", victim]);
    let left = tools.addresses("shop");
    assert_eq!(left.len(), 3);
    assert!(!left.contains(&address.to_owned()), "{left:?}");
}

#[test]
fn other_clouds_are_named_and_can_be_left() {
    let tools = Tools::new();
    let nodes = "\
'node_def:vm':
  - resource: {type: cloudbroker, endpoint: 'https://cloud.example.org', description: {deployment_id: d, instance_type_id: i}}
    health_check: {ping: False}
";
    tools.sandbox.write("nodes.yaml", nodes);
    tools.ok("import", &["nodes.yaml"]);
    let file = "infra_name: one\nuser_id: me\nnodes:\n  - {name: vm, type: vm}\n";
    tools.sandbox.write("one.yaml", file);
    let refused = tools.run("build", &["-i", "one", "one.yaml"]).expect(1);
    assert!(
        refused.stderr.contains("provider `cloudbroker`"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--on local"), "{}", refused.stderr);
    assert_eq!(
        tools.ok("maintain", &["-l"]).stdout,
        "No active infrastructure!\n"
    );
    let mut command = tools.command("build", &["-i", "one", "one.yaml"]);
    command.env("ZENEKAR_ON", "sim");
    run(command).expect(0);
    assert_eq!(tools.sandbox.machines(), ["vm/1"]);
    let mut command = tools.command("build", &["-i", "two", "one.yaml"]);
    command.env("ZENEKAR_ON", "abacus");
    run(command).expect(1);
}

#[test]
fn the_files_of_occopus_are_found_and_told() {
    let tools = Tools::new();
    let nodes = "\
'node_def:vm':
  - resource: {type: docker, endpoint: 'unix:///x', origin: dockerhub, image: busybox, tag: latest}
    contextualisation: {type: docker, env: [A=b], command: [sleep]}
    health_check: {ping: False}
";
    tools.sandbox.write("nodes.yaml", nodes);
    let file = "infra_name: one\nuser_id: me\nnodes:\n  - {name: vm, type: vm}\n";
    tools.sandbox.write("one.yaml", file);
    let home = tools.sandbox.path(".occopus");
    let configuration = "components:\n  dry_run: True\n";
    tools
        .sandbox
        .write(".occopus/occopus_config.yaml", configuration);
    let secrets = "resource:\n  - {type: ec2, auth_data: {accesskey: a, secretkey: s3cret}}\n";
    tools.sandbox.write(".occopus/auth_data.yaml", secrets);
    tools.ok("import", &["nodes.yaml"]);
    let run = tools.ok("build", &["-i", "one", "one.yaml"]);
    for (what, name) in [
        ("configuration", "occopus_config.yaml"),
        ("authentication", "auth_data.yaml"),
    ] {
        let path = home.join(name);
        let line = format!("Using default {what} file: '{}'", path.display());
        assert!(run.stderr.contains(&line), "{line}\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("s3cret"));
    assert_eq!(tools.sandbox.machines(), ["vm/1"], "a dry run is simulated");
    let arguments = ["--auth_data_path", "missing.yaml", "-i", "one", "one.yaml"];
    tools.run("build", &arguments).expect(1);
    let arguments = ["--cfg", "missing.yaml", "-i", "one", "one.yaml"];
    tools.run("build", &arguments).expect(1);
    // As with Python's parser, options can be cut short.
    let given = home.join("auth_data.yaml").display().to_string();
    let arguments = ["--auth", &given, "--para", "-i", "one", "one.yaml"];
    let run = tools.ok("build", &arguments);
    assert!(!run.stderr.contains("Using default authentication file"));
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let tools = Tools::with_shop();
    let nodes = NODES.replace("cores: 1", "cores: 1, boot_ms: 600000");
    tools.sandbox.write("nodes.yaml", &nodes);
    tools.ok("import", &["nodes.yaml"]);
    let mut command = tools.command("build", &["-i", "shop", "--parallelize", "shop.yaml"]);
    let child = command.spawn().expect("the link was made");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while tools.is_empty() {
        assert!(std::time::Instant::now() < deadline, "nothing is created");
    }
    interrupt(&child);
    let output = child.wait_with_output().expect("it is our child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{stdout}");
    let text = "Cancelled starting infrastructure (Ctrl+C); the partially built infrastructure has been torn down.";
    assert!(words(&stdout).contains(&text), "{stdout}");
    assert!(tools.sandbox.machines().is_empty());
    assert_eq!(
        tools.ok("maintain", &["-l"]).stdout,
        "No active infrastructure!\n"
    );
}

#[test]
fn an_interrupted_change_keeps_what_runs() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let before = tools.addresses("shop");
    let slow = "'node_def:slow': [{resource: {type: sim, boot_ms: 600000}}]\n";
    tools.sandbox.write("slow.yaml", slow);
    tools.ok("import", &["slow.yaml"]);
    let more = SHOP.replace(
        "dependencies:",
        "  - {name: late, type: slow}\ndependencies:",
    );
    tools.sandbox.write("more.yaml", &more);
    let mut command = tools.command("build", &["-i", "shop", "more.yaml"]);
    let child = command.spawn().expect("the link was made");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while tools.sandbox.machines().len() < 4 {
        assert!(std::time::Instant::now() < deadline, "nothing is created");
    }
    interrupt(&child);
    let output = child.wait_with_output().expect("it is our child");
    assert_eq!(output.status.code(), Some(130));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let text = "everything that ran goes on running";
    assert!(stdout.contains(text), "{stdout}");
    let after = tools.addresses("shop");
    assert!(before.iter().all(|address| after.contains(address)));
    tools.build("shop.yaml", "shop");
    assert_eq!(tools.addresses("shop"), before, "the change is undone");
}

#[test]
fn a_node_that_never_runs_ends_the_build() {
    let tools = Tools::with_shop();
    let broken = NODES.replace(
        "{type: sim, cores: 1}\n    contextualisation",
        "{type: sim, boot_failure_percent: 100}\n    contextualisation",
    );
    assert_ne!(broken, NODES);
    tools.sandbox.write("nodes.yaml", &broken);
    tools.ok("import", &["nodes.yaml"]);
    let arguments = ["-i", "shop", "--parallelize", "shop.yaml"];
    let run = tools.run("build", &arguments).expect(1);
    assert!(run.stdout.contains("has been torn down"), "{}", run.stdout);
    assert!(run.stderr.contains("cannot get further"), "{}", run.stderr);
    assert!(tools.sandbox.machines().is_empty());
}

#[test]
fn a_running_maintenance_is_asked_instead() {
    let tools = Tools::with_shop();
    tools.build("shop.yaml", "shop");
    let mut command = tools.command("maintain", &["-i", "shop", "-c", "--parallelize"]);
    let mut child = command.spawn().expect("the link was made");
    let leads = || {
        let status = tools.sandbox.ok(&["status", "shop"]).stdout;
        status.contains("occopus-maintain")
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !leads() {
        assert!(std::time::Instant::now() < deadline, "nobody leads");
    }
    tools.ok("scale", &["-i", "shop", "-n", "web", "-c", "1"]);
    while tools.sandbox.machines().len() < 4 {
        assert!(std::time::Instant::now() < deadline, "not scaled");
    }
    tools.ok("destroy", &["-i", "shop"]);
    assert!(tools.sandbox.machines().is_empty());
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "its infrastructure is gone: {status}");
}

#[test]
fn the_same_commands_are_there_without_links() {
    let sandbox = Sandbox::new();
    sandbox.write("nodes.yaml", NODES);
    sandbox.write("shop.yaml", SHOP);
    sandbox.ok(&["occopus", "import", "nodes.yaml"]);
    let built = sandbox.ok(&[
        "occopus",
        "build",
        "--parallelize",
        "-i",
        "shop",
        "shop.yaml",
    ]);
    assert_eq!(built.stdout.lines().last(), Some("shop"));
    sandbox.ok(&["occopus", "scale", "-i", "shop", "-n", "web", "-c", "-1"]);
    let report = ["occopus", "maintain", "-i", "shop", "-r", "-o", "out.txt"];
    sandbox.ok(&report);
    assert!(sandbox.path("out.txt").is_file());
    let refused = ["occopus", "scale", "-i", "shop", "-n", "wep", "-c", "1"];
    let refused = sandbox.run(&refused).expect(2);
    assert!(
        refused.stderr.contains("did you mean `web`?"),
        "{refused:?}"
    );
    sandbox.ok(&["occopus", "destroy", "-i", "shop"]);
}

#[test]
fn what_did_not_work_inside_an_instance_is_told() {
    let tools = Tools::with_shop();
    let report = tools.sandbox.run(&["doctor", "--output", "json"]).json();
    if report["isolation"].is_null() {
        eprintln!("skipped: this machine cannot run instances: {report}");
        return;
    }
    let nodes = NODES.replace("ping: False, ports: [80]", "ping: False");
    let nodes = nodes.replace("connect {{getip(\"db\")}}", "exit 7");
    tools.sandbox.write("nodes.yaml", &nodes);
    tools.ok("import", &["nodes.yaml"]);
    let mut command = tools.command("build", &["-i", "shop", "shop.yaml"]);
    command.env("ZENEKAR_ON", "local");
    let built = run(command);
    tools.ok("destroy", &["-i", "shop"]);
    let built = built.expect(0);
    assert!(
        built.stderr.contains("warning: `web/1`"),
        "{}",
        built.stderr
    );
}
