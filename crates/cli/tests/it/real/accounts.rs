//! Credentials that lead to another account: nothing is believed of it, nothing
//! done in it, and nothing forgotten.

use std::fs;

use super::{Cloud, Ec2Cloud, Machine, OpenStackCloud, UP, command, describe, down, run_at};
use super::{unique, verify};
use crate::sandbox::{Run, Sandbox, run};

/// How a command ends whose credentials do not lead to what it needs.
const AUTH: i32 = 4;

/// An infrastructure that is up, and what leads to another account.
struct Bench<'a> {
    sandbox: Sandbox,
    cloud: &'a dyn Cloud,
    name: String,
    machines: Vec<Machine>,
    /// What makes the same command another one's.
    others: Vec<(&'static str, String)>,
}

impl<'a> Bench<'a> {
    fn up(cloud: &'a dyn Cloud, others: Vec<(&'static str, String)>) -> Self {
        let sandbox = Sandbox::new();
        let name = unique("accounts");
        describe(&sandbox, cloud, &name, 2);
        edit(&sandbox, |text| text.replace("project_id: demo, ", ""));
        run_at(&sandbox, cloud, &UP).expect(0);
        let machines = cloud.machines(&name);
        assert_eq!(machines.len(), 3, "{machines:?}");
        Self {
            sandbox,
            cloud,
            name,
            machines,
            others,
        }
    }

    fn run_as_other(&self, arguments: &[&str]) -> Run {
        let mut command = command(&self.sandbox, self.cloud, arguments);
        for (name, value) in &self.others {
            command.env(name, value);
        }
        run(command)
    }

    /// Runs a command as the other one, which is refused; returns what was said.
    #[track_caller]
    fn refuses(&self, arguments: &[&str]) -> String {
        let run = self.run_as_other(arguments).expect(AUTH);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("is tied to account"), "{said}");
        assert_eq!(
            self.cloud.machines(&self.name),
            self.machines,
            "after {arguments:?}"
        );
        said
    }

    /// Refuses everything that changes something, and goes on with the right account.
    fn check(mut self, pins: &[&str]) {
        let timed = ["--timeout", "60s"];
        let watch = ["watch", &self.name, "--once"];
        let said = self.refuses(&[watch.as_slice(), &timed].concat());
        for pin in pins {
            assert!(said.contains(pin), "{pin} in {said}");
        }
        let up = ["up", "real.yaml", "--yes"];
        self.refuses(&[up.as_slice(), &timed].concat());
        edit(&self.sandbox, |text| text.replace("min: 2", "min: 3"));
        for arguments in [["plan", "real.yaml"].as_slice(), &up] {
            let said = self.refuses(arguments);
            assert!(said.contains("ZK0813"), "{said}");
        }
        self.refuses(&[up.as_slice(), &["--skip-checks"], &timed].concat());
        run_at(&self.sandbox, self.cloud, &UP).expect(0);
        verify(self.cloud, &self.name, &[("db", 1), ("web", 3)], "after up");
        self.machines = self.cloud.machines(&self.name);
        self.refuses(&["down", &self.name, "--yes", timed[0], timed[1]]);
        run_at(&self.sandbox, self.cloud, &down(&self.name)).expect(0);
        verify(self.cloud, &self.name, &[], "after down");
    }
}

fn edit(sandbox: &Sandbox, change: impl Fn(String) -> String) {
    let path = sandbox.path("real.yaml");
    let text = fs::read_to_string(&path).expect("the descriptor is there");
    sandbox.write("real.yaml", &change(text));
}

#[test]
fn another_account_of_ec2_is_not_taken_for_an_empty_one() {
    let Some(cloud) = Ec2Cloud::find() else {
        return;
    };
    let other = "111111111111";
    let bench = Bench::up(&cloud, cloud.assume_role_in(other));
    bench.check(&["123456789012", other]);
}

#[test]
fn another_project_of_openstack_is_not_taken_for_an_empty_one() {
    let Some(cloud) = OpenStackCloud::find() else {
        return;
    };
    // The project's name is part of the provider's; the same name may be another project.
    let twin = cloud.twin();
    let bench = Bench::up(&cloud, vec![("OS_PROJECT_DOMAIN_ID", twin.domain.clone())]);
    bench.check(&["(`demo`)"]);
}
