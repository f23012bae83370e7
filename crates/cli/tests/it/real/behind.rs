//! Somebody else stops and takes away machines, while `watch` runs and while nothing does.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{
    Cloud, DockerCloud, Ec2Cloud, OpenStackCloud, UP, command, describe, down, run_at, unique,
    verify,
};
use crate::sandbox::Sandbox;

/// How long healing may take: two looks at what is missing, a deletion, a creation.
const HEALED_MAX: Duration = Duration::from_mins(4);

/// Waits until the cloud has these machines, none of them the ones that were hurt.
#[track_caller]
fn wait_for(cloud: &dyn Cloud, name: &str, hurt: &[String], what: &str) {
    let start = Instant::now();
    loop {
        let machines = cloud.machines(name);
        let is_healed = machines.len() == 3
            && machines
                .iter()
                .all(|one| one.is_running && !hurt.contains(&one.id));
        if is_healed {
            return;
        }
        assert!(
            start.elapsed() < HEALED_MAX,
            "{what} after {HEALED_MAX:?}: {machines:?}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Takes a machine of the front away behind the back of everybody.
fn take_one(cloud: &dyn Cloud, name: &str) {
    let machines = cloud.machines(name);
    let gone = machines.iter().find(|one| one.name.starts_with("web/"));
    cloud.destroy(gone.expect("there is a web"));
}

fn heals(cloud: &dyn Cloud) {
    let sandbox = Sandbox::new();
    let name = unique("behind");
    describe(&sandbox, cloud, &name, 2);
    run_at(&sandbox, cloud, &UP).expect(0);
    let mut watch = command(&sandbox, cloud, &["watch", &name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary was built");
    let before = cloud.machines(&name);
    let gone = before.iter().find(|one| one.name.starts_with("web/"));
    let gone = gone.expect("there is a web").clone();
    cloud.destroy(&gone);
    wait_for(
        cloud,
        &name,
        std::slice::from_ref(&gone.id),
        "one was taken away",
    );
    let mut others = cloud.machines(&name).into_iter();
    let stopped = others.rfind(|one| one.name.starts_with("web/"));
    let stopped = stopped.expect("there is a web");
    cloud.stop(&stopped);
    wait_for(cloud, &name, &[gone.id, stopped.id], "one was stopped");
    watch.kill().expect("it is our child");
    watch.wait().expect("it is our child");
    run_at(&sandbox, cloud, &UP).expect(0);
    verify(cloud, &name, &[("db", 1), ("web", 2)], "after healing");
    run_at(&sandbox, cloud, &down(&name)).expect(0);
    verify(cloud, &name, &[], "after healing and going down");
}

/// Nobody watches: the very next commands find it out and make good, and end
/// only then.
fn is_found_out(cloud: &dyn Cloud) {
    let sandbox = Sandbox::new();
    let name = unique("found");
    describe(&sandbox, cloud, &name, 2);
    run_at(&sandbox, cloud, &UP).expect(0);
    take_one(cloud, &name);
    run_at(&sandbox, cloud, &UP).expect(0);
    verify(cloud, &name, &[("db", 1), ("web", 2)], "after `up`");
    take_one(cloud, &name);
    let scale = ["scale", name.as_str(), "web=3", "--timeout", "180s"];
    run_at(&sandbox, cloud, &scale).expect(0);
    verify(cloud, &name, &[("db", 1), ("web", 3)], "after `scale`");
    run_at(&sandbox, cloud, &down(&name)).expect(0);
    verify(cloud, &name, &[], "after going down");
}

#[test]
fn docker_heals_what_others_hurt() {
    if let Some(cloud) = DockerCloud::find() {
        heals(&cloud);
    }
}

#[test]
fn ec2_heals_what_others_hurt() {
    if let Some(cloud) = Ec2Cloud::find() {
        heals(&cloud);
    }
}

#[test]
fn openstack_heals_what_others_hurt() {
    if let Some(cloud) = OpenStackCloud::find() {
        heals(&cloud);
    }
}

#[test]
fn docker_commands_find_out_what_is_gone() {
    if let Some(cloud) = DockerCloud::find() {
        is_found_out(&cloud);
    }
}

#[test]
fn ec2_commands_find_out_what_is_gone() {
    if let Some(cloud) = Ec2Cloud::find() {
        is_found_out(&cloud);
    }
}

#[test]
fn openstack_commands_find_out_what_is_gone() {
    if let Some(cloud) = OpenStackCloud::find() {
        is_found_out(&cloud);
    }
}
