//! One infrastructure at several providers.

use super::{Cloud, DockerCloud, Ec2Cloud, UP, down, unique};
use crate::sandbox::{Sandbox, run};

#[test]
fn one_infrastructure_is_at_two_clouds_and_addresses_cross_over() {
    let (Some(docker), Some(ec2)) = (DockerCloud::find(), Ec2Cloud::find()) else {
        return;
    };
    let sandbox = Sandbox::new();
    let name = unique("hybrid");
    let text = format!(
        "infra_name: {name}\nuser_id: somebody\nnodes:\n  - &db {{name: db, type: db}}\n  - &web {{name: web, type: web, scaling: {{min: 2, max: 2}}}}\ndependencies:\n  - connection: [*web, *db]\n'node_def:db':\n  - resource: {}\n    health_check: {{ping: False}}\n'node_def:web':\n  - resource: {}\n    contextualisation:\n      type: cloudinit\n      context_template: |\n        #!/bin/sh\n        echo {{{{getip('db')}}}} > /tmp/db\n    health_check: {{ping: False}}\n",
        ec2.resource(),
        docker.resource()
    );
    sandbox.write("real.yaml", &text);
    let equipped = |arguments: &[&str]| {
        let mut command = super::command(&sandbox, &docker, arguments);
        ec2.equip(&mut command);
        run(command)
    };
    equipped(&UP).expect(0);
    let (here, there) = (docker.machines(&name), ec2.machines(&name));
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0].name, "db/1");
    let names: Vec<&str> = here.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["web/1", "web/2"]);
    let status = equipped(&["status", "--output", "json"]).expect(0).json();
    let of_db = &status["nodes"][0]["instances"][0];
    let told = equipped(&["exec", "web/1", "--", "cat", "/tmp/db"]).expect(0);
    let told = told.stdout.trim().to_owned();
    let addresses = of_db["addresses"].to_string();
    assert!(
        !told.is_empty() && addresses.contains(&told),
        "`web/1` was told `{told}`, and `db/1` has {addresses}"
    );
    equipped(&down(&name)).expect(0);
    assert!(docker.machines(&name).is_empty() && ec2.machines(&name).is_empty());
    assert!(docker.others(&name).is_empty() && ec2.others(&name).is_empty());
}
