//! What it costs: how many calls fifty machines take, and how long.

use std::time::Instant;

use serde_json::json;
use zenekar_fault_proxy::{Plan, Proxy, Upstream};

use super::{Ec2Cloud, down, run_at, unique, verify};
use crate::sandbox::Sandbox;

/// How many machines.
const MACHINES: u32 = 50;

/// How long the cloud takes to answer each creating call.
const DELAY_S: f64 = 2.0;

#[test]
fn fifty_machines_take_fifty_creating_calls_and_few_lists() {
    let Some(mut cloud) = Ec2Cloud::find() else {
        return;
    };
    let sandbox = Sandbox::new();
    let name = unique("cost");
    // Only what this infrastructure asks goes through the proxy, which counts.
    let upstream = cloud.endpoint.trim_start_matches("http://").to_owned();
    let upstream = upstream.parse().expect("the simulator has an address");
    let direct = cloud.endpoint.clone();
    let proxy = Proxy::start(Upstream::Tcp(upstream), Plan::calm()).expect("a port is free");
    cloud.post("/zenekar/rules", &json!({"text": name, "delay_s": DELAY_S}));
    cloud.endpoint = format!("http://{}", proxy.address());
    sandbox.write(
        "real.yaml",
        &format!(
            "infra_name: {name}\nuser_id: somebody\nnodes:\n  - {{name: web, type: web, scaling: {{min: {MACHINES}, max: {MACHINES}}}}}\n'node_def:web':\n  - resource: {}\n    health_check: {{ping: False}}\n",
            cloud.hostless()
        ),
    );
    let start = Instant::now();
    let up = ["up", "real.yaml", "--yes", "--skip-checks"];
    run_at(&sandbox, &cloud, &up).expect(0);
    let took = start.elapsed();
    let requests = proxy.counts().requests;
    println!(
        "{MACHINES} machines, {DELAY_S} s for each creating call: {:.2} s in all, {requests} requests",
        took.as_secs_f64()
    );
    // One list a second while machines start, who we are before the first one
    // and after a list of everything, and no call but these.
    let lists_max = took.as_secs() + 5;
    let creating = u64::from(MACHINES);
    assert!(
        (creating + 1..=creating + lists_max).contains(&requests),
        "{requests} requests in {took:?}"
    );
    cloud.endpoint.clone_from(&direct);
    verify(&cloud, &name, &[("web", 50)], "after up");
    cloud.post("/zenekar/rules", &json!({"text": name}));
    run_at(&sandbox, &cloud, &down(&name)).expect(0);
    verify(&cloud, &name, &[], "after down");
}
