//! A Docker engine, asked by its own client.

use std::process::Command;

use serde_json::Value;

use super::{Cloud, Machine, UP, describe, down, run_at, skipped, tool, unique, variable, verify};
use crate::sandbox::Sandbox;

/// The image that machines are made from.
const IMAGE: &str = "ZENEKAR_TEST_DOCKER_IMAGE";

/// The engine of this machine.
pub(crate) struct DockerCloud {
    image: String,
}

impl DockerCloud {
    pub(crate) fn find() -> Option<Self> {
        let image = variable(IMAGE);
        if image.is_none() {
            skipped("Docker engine", IMAGE);
        }
        Some(Self { image: image? })
    }
}

fn list(arguments: &[&str]) -> Vec<Value> {
    let text = tool("docker", &[arguments, &["--format", "{{json .}}"]].concat());
    text.lines()
        .map(|line| serde_json::from_str(line).expect("the client prints JSON"))
        .collect()
}

/// Returns a label of a listed thing: the client lists them as `a=b,c=d`.
fn label(entry: &Value, name: &str) -> String {
    let labels = entry["Labels"].as_str().unwrap_or_default();
    let prefix = format!("{name}=");
    let mut found = labels
        .split(',')
        .filter_map(|one| one.strip_prefix(&prefix));
    found.next().unwrap_or_default().to_owned()
}

/// Says whether a container is an instance. Others only lend their volume for a
/// while; one that a kill left behind goes with its infrastructure.
fn is_instance(entry: &Value) -> bool {
    !label(entry, "io.zenekar.instance").is_empty()
}

fn is_of(entry: &Value, infrastructure: &str) -> bool {
    label(entry, "io.zenekar.infrastructure")
        .rsplit_once('.')
        .is_some_and(|(name, _)| name == infrastructure)
}

impl Cloud for DockerCloud {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn resource(&self) -> String {
        let (image, tag) = self
            .image
            .rsplit_once(':')
            .unwrap_or((&self.image, "latest"));
        format!(
            "{{type: docker, endpoint: 'unix:///var/run/docker.sock', origin: local, image: '{image}', tag: '{tag}'}}"
        )
    }

    fn equip(&self, _command: &mut Command) {}

    fn machines(&self, infrastructure: &str) -> Vec<Machine> {
        let listed = list(&["ps", "--all", "--no-trunc"]);
        let mut machines: Vec<Machine> = listed
            .iter()
            .filter(|entry| is_of(entry, infrastructure))
            .filter(|entry| is_instance(entry))
            .map(|entry| Machine {
                name: label(entry, "io.zenekar.name"),
                instance: label(entry, "io.zenekar.instance"),
                id: entry["ID"].as_str().unwrap_or_default().to_owned(),
                is_running: entry["State"] == "running",
            })
            .collect();
        machines.sort();
        machines
    }

    fn others(&self, infrastructure: &str) -> Vec<String> {
        let mut containers = list(&["ps", "--all", "--no-trunc"]);
        containers.retain(|entry| !is_instance(entry));
        let networks = list(&["network", "ls"]);
        let volumes = list(&["volume", "ls"]);
        let all = containers.iter().chain(&networks).chain(&volumes);
        all.filter(|entry| is_of(entry, infrastructure))
            // Containers have several names.
            .map(|entry| format!("{}{}", entry["Name"], entry["Names"]))
            .collect()
    }

    fn destroy(&self, machine: &Machine) {
        tool("docker", &["rm", "--force", &machine.id]);
    }

    fn stop(&self, machine: &Machine) {
        tool("docker", &["kill", &machine.id]);
    }
}

#[test]
fn who_is_in_the_way_of_down_is_named() {
    let Some(cloud) = DockerCloud::find() else {
        return;
    };
    let sandbox = Sandbox::new();
    let name = unique("stranger");
    describe(&sandbox, &cloud, &name, 1);
    run_at(&sandbox, &cloud, &UP).expect(0);
    let network = list(&["network", "ls"])
        .into_iter()
        .find(|entry| is_of(entry, &name))
        .expect("it has a network");
    let network = network["Name"].as_str().expect("it is text").to_owned();
    let container = format!("{name}-container");
    let options = ["--detach", "--name", &container, "--network", &network];
    let begin = [
        &["run"],
        options.as_slice(),
        &[&cloud.image, "sleep", "600"],
    ];
    tool("docker", &begin.concat());
    let hasty = run_at(
        &sandbox,
        &cloud,
        &["down", &name, "--yes", "--timeout", "10s"],
    );
    let status = run_at(&sandbox, &cloud, &["status", &name]);
    tool("docker", &["rm", "--force", &container]);
    let words =
        format!("container `{container}`, which is not ours, still uses network `{network}`");
    assert_ne!(hasty.code, Some(0));
    let told = format!("{}{}", hasty.stdout, hasty.stderr);
    assert!(told.contains(&words), "{told}");
    assert!(status.stdout.contains(&words), "{}", status.stdout);
    run_at(&sandbox, &cloud, &down(&name)).expect(0);
    verify(&cloud, &name, &[], "after the stranger has gone");
}
