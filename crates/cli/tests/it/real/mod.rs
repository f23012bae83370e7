//! Tests against real clouds: a Docker engine, a simulated EC2, an `OpenStack`.
//!
//! What is there is asked of the clouds themselves, by other means than
//! Zenekar's own: their command lines and plain requests. A test whose cloud is
//! not there says so and ends; `cargo xtask test` starts them.

mod accounts;
mod behind;
mod cost;
mod docker;
mod ec2;
mod faults;
mod hybrid;
mod kills;
mod openstack;

use std::fmt::Write as _;
use std::process::Command;

use crate::sandbox::{Run, Sandbox, run};

pub(crate) use docker::DockerCloud;
pub(crate) use ec2::Ec2Cloud;
pub(crate) use openstack::OpenStackCloud;

/// A machine as its cloud shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Machine {
    /// The name for people that its tag gives: `web/2`.
    pub(crate) name: String,
    /// The instance that its tag gives.
    pub(crate) instance: String,
    /// What the cloud calls it.
    pub(crate) id: String,
    /// Whether it runs.
    pub(crate) is_running: bool,
}

/// A cloud that tests run on.
pub(crate) trait Cloud {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// The section `resource` of a node, in one line.
    fn resource(&self) -> String;

    /// Hands a command what it needs to reach the cloud.
    fn equip(&self, command: &mut Command);

    /// Lists the machines of an infrastructure that exist, with all origins.
    fn machines(&self, infrastructure: &str) -> Vec<Machine>;

    /// Lists what else there is of an infrastructure: networks, groups, addresses.
    fn others(&self, infrastructure: &str) -> Vec<String>;

    /// Takes a machine away, as somebody else would.
    fn destroy(&self, machine: &Machine);

    /// Stops a machine, as somebody else would.
    fn stop(&self, machine: &Machine);
}

/// Says why a test does not run.
#[expect(clippy::print_stdout, reason = "whoever reads the output has to know")]
pub(crate) fn skipped(cloud: &str, variable: &str) {
    println!("skipped: no {cloud} here ({variable} is not set); `cargo xtask test` starts one");
}

/// Reads a variable that an environment has set.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Writes a descriptor: one `db`, and `web` which knows its address.
pub(crate) fn describe(sandbox: &Sandbox, cloud: &dyn Cloud, infrastructure: &str, web: u32) {
    let resource = cloud.resource();
    let mut text = format!(
        "infra_name: {infrastructure}\nuser_id: somebody\nnodes:\n  - &db {{name: db, type: db}}\n  - &web {{name: web, type: web, scaling: {{min: {web}, max: 100}}}}\ndependencies:\n  - connection: [*web, *db]\n"
    );
    for (name, command) in [
        ("db", "echo ready > /tmp/it-is-db"),
        ("web", "echo {{getip('db')}} > /tmp/db"),
    ] {
        let _infallible = writeln!(
            text,
            "'node_def:{name}':\n  - resource: {resource}\n    contextualisation:\n      type: cloudinit\n      context_template: |\n        #!/bin/sh\n        {command}\n    health_check: {{ping: False, timeout: 120}}"
        );
    }
    sandbox.write("real.yaml", &text);
}

/// Makes a command that reaches a cloud.
pub(crate) fn command(sandbox: &Sandbox, cloud: &dyn Cloud, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    // Tools that the clouds are reached with are found by it.
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    cloud.equip(&mut command);
    command
}

/// Runs a command that reaches a cloud to its end.
pub(crate) fn run_at(sandbox: &Sandbox, cloud: &dyn Cloud, arguments: &[&str]) -> Run {
    run(command(sandbox, cloud, arguments))
}

pub(crate) const UP: [&str; 5] = ["up", "real.yaml", "--yes", "--timeout", "180s"];

pub(crate) fn down(infrastructure: &str) -> [&str; 5] {
    ["down", infrastructure, "--yes", "--timeout", "180s"]
}

/// Compares what the cloud lists with what is wanted: each instance once.
#[track_caller]
pub(crate) fn verify(
    cloud: &dyn Cloud,
    infrastructure: &str,
    wanted: &[(&str, usize)],
    what: &str,
) {
    let machines = cloud.machines(infrastructure);
    let mut instances: Vec<&str> = machines
        .iter()
        .map(|machine| machine.instance.as_str())
        .collect();
    instances.sort_unstable();
    let count = instances.len();
    instances.dedup();
    assert_eq!(
        instances.len(),
        count,
        "{what}: one instance has two machines: {machines:?}"
    );
    for (node, count) in wanted {
        let prefix = format!("{node}/");
        let of_node = machines
            .iter()
            .filter(|machine| machine.name.starts_with(&prefix));
        assert_eq!(of_node.count(), *count, "{what}: `{node}` in {machines:?}");
    }
    let total: usize = wanted.iter().map(|(_, count)| count).sum();
    assert_eq!(machines.len(), total, "{what}: {machines:?}");
    if wanted.is_empty() {
        let others = cloud.others(infrastructure);
        assert!(others.is_empty(), "{what}: left behind: {others:?}");
    }
}

/// Returns a name that no other test uses.
pub(crate) fn unique(prefix: &str) -> String {
    let text = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-{}", &text[..8])
}

/// Runs one of a cloud's own tools and returns what it printed.
#[track_caller]
pub(crate) fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("`{program}` cannot be run: {error}"));
    assert!(
        output.status.success(),
        "`{program} {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an async runtime can be made")
        .block_on(work)
}
