//! Kills the command while it works on a real cloud, and compares what the
//! cloud itself lists with what is wanted.
//!
//! `ZENEKAR_TEST_BUDGET=deep` tries every boundary and 100 random moments at
//! each cloud, `full` a fixed small set; on a quick budget a few.

use std::time::Duration;

use super::{
    Cloud, DockerCloud, Ec2Cloud, OpenStackCloud, UP, command, describe, down, run_at, unique,
    verify,
};
use crate::local_kills::Dice;
use crate::sandbox::Sandbox;

/// More boundaries than any of the commands has.
const BOUNDARIES_MAX: u64 = 400;

/// No command ends before: it has to start and open its state first.
const SHORTEST_MS: u64 = 20;

/// How much is tried.
struct Budget {
    /// Every so many boundaries one is tried.
    stride: u64,
    /// Kills at random moments.
    kills: u32,
}

impl Budget {
    fn read() -> Self {
        match std::env::var("ZENEKAR_TEST_BUDGET").as_deref() {
            Ok("deep") => Self {
                stride: 1,
                kills: 100,
            },
            Ok("full") => Self {
                stride: 17,
                kills: 5,
            },
            _ => Self {
                stride: 19,
                kills: 3,
            },
        }
    }
}

/// A command, and what is there after it.
type Stage<'a> = (Vec<&'a str>, &'a [(&'a str, usize)]);

/// Runs a command that dies at a boundary; false if it ended before.
fn dies_at(sandbox: &Sandbox, cloud: &dyn Cloud, arguments: &[&str], boundary: u64) -> bool {
    crate::kill_sweep::has_died(command(sandbox, cloud, arguments), boundary)
}

/// Lets `up` die at one boundary after the other, and then `down` at the same
/// one; each is run again, and the cloud has what is wanted.
#[expect(
    clippy::print_stdout,
    reason = "whoever runs it wants to know how much was tried"
)]
fn sweep_boundaries(cloud: &dyn Cloud) {
    let stride = Budget::read().stride;
    let (mut boundary, mut crashes) = (1 + stride / 3, 0);
    while boundary <= BOUNDARIES_MAX {
        let sandbox = Sandbox::new();
        let name = unique("kill");
        describe(&sandbox, cloud, &name, 2);
        let mut has_died = false;
        let stages: [Stage<'_>; 2] = [
            (UP.to_vec(), &[("db", 1), ("web", 2)]),
            (down(&name).to_vec(), &[]),
        ];
        for (arguments, wanted) in stages {
            let what = format!(
                "{}: `{}` killed at boundary {boundary}",
                cloud.name(),
                arguments[0]
            );
            if dies_at(&sandbox, cloud, &arguments, boundary) {
                has_died = true;
                crashes += 1;
                let again = run_at(&sandbox, cloud, &arguments);
                assert_eq!(again.code, Some(0), "{what}, then again:\n{}", again.stderr);
            }
            verify(cloud, &name, wanted, &what);
        }
        if !has_died {
            break;
        }
        boundary += stride;
    }
    println!(
        "{}: {crashes} kills at boundaries up to {boundary}, every {stride}. one; nothing leaked, doubled or lost",
        cloud.name()
    );
}

/// Kills whatever runs at random moments, again and again on one infrastructure.
#[expect(
    clippy::print_stdout,
    reason = "whoever runs it wants to know how much was tried"
)]
fn sweep_moments(cloud: &dyn Cloud, longest_ms: u64) {
    let kills_wanted = Budget::read().kills;
    let sandbox = Sandbox::new();
    let name = unique("moment");
    describe(&sandbox, cloud, &name, 2);
    let mut dice = Dice(20_261_123);
    let (mut kills, mut ended) = (0, 0);
    // Commands take longer on one machine than on another, and less the more
    // of their work was done before.
    let mut longest_now_ms = longest_ms;
    let more = ["scale", name.as_str(), "web=4", "--timeout", "180s"];
    let fewer = ["scale", name.as_str(), "web=2", "--timeout", "180s"];
    let down = down(&name);
    while kills < kills_wanted {
        let arguments: &[&str] = match dice.draw(6) {
            0 | 1 => &UP,
            2 => &more,
            3 => &fewer,
            _ if kills % 3 == 2 => &down,
            _ => &UP,
        };
        let mut child = command(&sandbox, cloud, arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary was built");
        std::thread::sleep(Duration::from_millis(dice.draw(longest_now_ms)));
        if child.try_wait().expect("it is our child").is_some() {
            ended += 1;
            assert!(
                ended < kills_wanted * 8 + 20,
                "commands end before they are killed"
            );
            longest_now_ms = (longest_now_ms / 2).max(SHORTEST_MS);
            continue;
        }
        longest_now_ms = longest_ms;
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        kills += 1;
        let machines = cloud.machines(&name);
        let mut instances: Vec<_> = machines.iter().map(|one| &one.instance).collect();
        instances.sort_unstable();
        instances.dedup();
        assert_eq!(
            instances.len(),
            machines.len(),
            "after kill {kills}: {machines:?}"
        );
    }
    let what = format!("{}: after {kills} kills", cloud.name());
    let mut told = run_at(&sandbox, cloud, &UP);
    if told.stderr.contains("is going down") {
        // The last one that was killed was `down`.
        let told_down = run_at(&sandbox, cloud, &down);
        assert_eq!(told_down.code, Some(0), "{what}: {}", told_down.stderr);
        verify(cloud, &name, &[], &what);
        told = run_at(&sandbox, cloud, &UP);
    }
    assert_eq!(told.code, Some(0), "{what}: {}", told.stderr);
    let told = run_at(&sandbox, cloud, &fewer);
    assert_eq!(told.code, Some(0), "{what}: {}", told.stderr);
    verify(cloud, &name, &[("db", 1), ("web", 2)], &what);
    let told = run_at(&sandbox, cloud, &down);
    assert_eq!(told.code, Some(0), "{what}: {}", told.stderr);
    verify(cloud, &name, &[], &what);
    println!("{what} at random moments, nothing was leaked, doubled or lost");
}

#[test]
fn docker_survives_kills_at_boundaries() {
    if let Some(cloud) = DockerCloud::find() {
        sweep_boundaries(&cloud);
    }
}

#[test]
fn docker_survives_kills_at_random_moments() {
    if let Some(cloud) = DockerCloud::find() {
        sweep_moments(&cloud, 2500);
    }
}

#[test]
fn ec2_survives_kills_at_boundaries() {
    if let Some(cloud) = Ec2Cloud::find() {
        sweep_boundaries(&cloud);
    }
}

#[test]
fn ec2_survives_kills_at_random_moments() {
    if let Some(cloud) = Ec2Cloud::find() {
        sweep_moments(&cloud, 2500);
    }
}

#[test]
fn openstack_survives_kills_at_boundaries() {
    if let Some(cloud) = OpenStackCloud::find() {
        sweep_boundaries(&cloud);
    }
}

#[test]
fn openstack_survives_kills_at_random_moments() {
    if let Some(cloud) = OpenStackCloud::find() {
        sweep_moments(&cloud, 6000);
    }
}
