//! The REST service as `MiCADO` and scripts use it: real links, a real port.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::local::Machine;
use crate::occopus_desk::{Desk, ID, INFRASTRUCTURE, text, wait};
use crate::sandbox::{Sandbox, run};

fn address_of(report: &Value) -> String {
    let instances = report["instances"].as_object().expect("a map");
    let first = instances.values().next().expect("an instance");
    let address = &first["resource_address"];
    let first = address.get(0).unwrap_or(address);
    first.as_str().expect("an address").to_owned()
}

/// `MiCADO`'s life: deploy, scale out, drop one, look, detach, undeploy.
fn micado(sandbox: &Sandbox, on: &'static str) {
    let desk = Desk::new(sandbox, on);
    let service = desk.serve();
    desk.import();
    desk.build();
    assert_eq!(
        service.infrastructure("POST", "/attach"),
        json!({ "infraid": ID })
    );
    let scaled = service.infrastructure("POST", "/scaleto/worker-node/3");
    assert_eq!(
        scaled,
        json!({ "count": 3, "infraid": ID, "method": "scaleto", "nodename": "worker-node" })
    );
    let report = service.wait_for(3);
    let scaling = json!({ "actual": 3, "max": 5, "min": 1, "target": 3 });
    assert_eq!(report["scaling"], scaling);
    let replica = address_of(&report);
    let dropped = service.infrastructure("POST", &format!("/scaledown/worker-node/{replica}"));
    assert_eq!(
        dropped,
        json!({ "infraid": ID, "method": "scaledown", "nodeid": replica, "nodename": "worker-node" })
    );
    assert_eq!(
        service.infrastructure("GET", "")["worker-node"]["scaling"]["target"],
        2
    );
    let report = service.wait_for(2);
    assert!(
        !report.to_string().contains(&format!("\"{replica}\"")),
        "{report}"
    );
    assert_eq!(
        service.infrastructure("POST", "/detach"),
        json!({ "infraid": ID })
    );
    assert_eq!(
        service.infrastructure("DELETE", ""),
        json!({ "infraid": ID })
    );
    let nothing: Vec<String> = Vec::new();
    assert_eq!(
        service.ask("GET", "/infrastructures/"),
        json!({ "infrastructures": nothing, "infrastuctures": nothing })
    );
    assert_eq!(service.end(), Some(0));
}

#[test]
fn micado_deploys_scales_and_undeploys() {
    let sandbox = Sandbox::new();
    micado(&sandbox, "sim");
    assert!(sandbox.machines().is_empty());
}

#[test]
fn micado_does_so_with_instances_on_this_machine() {
    let Some(machine) = Machine::new() else {
        return;
    };
    micado(&machine.sandbox, "local");
}

/// The calls of `MiCADO`'s own code, made by a client in its language.
#[test]
fn a_client_in_python_makes_micados_calls() {
    let version = Command::new("python3").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no Python 3");
        return;
    }
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    let service = desk.serve();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/micado.py");
    let mut command = desk.command("occopus-import", &[]);
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = Command::new("python3");
    command
        .arg(script)
        .args([&service.address, &text(&sandbox.path("bin"))])
        .current_dir(sandbox.path(""))
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let told = run(command).expect(0);
    assert_eq!(told.stdout.lines().last(), Some("undeployed"), "{told:?}");
    assert!(sandbox.machines().is_empty());
}

/// Defect 12: handled errors keep status 200, as `MiCADO`'s clients expect.
#[test]
fn handled_errors_have_status_200() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    let service = desk.serve();
    let unknown = json!({
        "message": "",
        "reason": "ERROR: infrastructure 'x' does not exist!",
        "status_code": 300,
    });
    for (method, path) in [
        ("GET", "/infrastructures/x"),
        ("DELETE", "/infrastructures/x"),
        ("POST", "/infrastructures/x/attach"),
        ("POST", "/infrastructures/x/scaleto/worker-node/1"),
        ("GET", "/infrastructures/x/cost"),
    ] {
        assert_eq!(
            service.send(method, path, ""),
            (200, unknown.clone()),
            "{method} {path}"
        );
    }
    assert_eq!(service.send("GET", "/infrastructures/..%2f..", "").0, 200);
    desk.import();
    desk.build();
    let reason = |answer: Value| answer["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        reason(service.infrastructure("POST", "/scaleto/w/1")),
        format!("ERROR: node 'w' does not exist in infrastructure '{ID}'!")
    );
    assert_eq!(
        reason(service.infrastructure("POST", "/detach")),
        format!("ERROR: Infrastructure {ID} is not maintained!")
    );
    service.infrastructure("POST", "/attach");
    assert_eq!(
        reason(service.infrastructure("POST", "/attach")),
        format!("ERROR: Infrastructure {ID} already being maintained!")
    );
    let (_, unreadable) = service.send("POST", "/infrastructures/", "x: [\n");
    assert_eq!(unreadable["status_code"], 400, "{unreadable}");
    let told = reason(unreadable);
    assert!(
        told.contains("ZK0122") && !told.contains("SchemaCheck"),
        "{told}"
    );
    let missing = service.infrastructure("POST", "/scaledown/worker-node/192.0.2.1");
    assert_eq!(missing["status_code"], 400, "{missing}");
    let (status, secret) = service.send("GET", "/info/node.definition.all", "");
    assert_eq!((status, &secret["status_code"]), (200, &json!(404)));
    let state = service.ask("GET", &format!("/info/infrastructure.state?infra_id={ID}"));
    assert!(state["result"]["worker-node"].is_object(), "{state}");
    assert_eq!(
        service.infrastructure("GET", "/cost"),
        json!({ "totalcost": 0 })
    );
}

/// Defect 13: detaching takes no minute, whatever the service was started by.
#[test]
fn detaching_is_immediate_and_leaves_everything_running() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let service = desk.serve();
    service.infrastructure("POST", "/attach");
    service.infrastructure("POST", "/scaleto/worker-node/2");
    service.wait_for(2);
    let started = Instant::now();
    assert_eq!(
        service.infrastructure("POST", "/detach"),
        json!({ "infraid": ID })
    );
    // Two seconds for calls in flight, and the rest for a busy machine.
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sandbox.machines().len(), 2);
    // A request is taken, and carried out by whoever maintains it next.
    service.infrastructure("POST", "/scaleto/worker-node/3");
    let scaling = service.infrastructure("GET", "")["worker-node"]["scaling"].take();
    assert_eq!(
        scaling,
        json!({ "actual": 2, "max": 5, "min": 1, "target": 3 })
    );
    service.infrastructure("POST", "/attach");
    service.wait_for(3);
    assert_eq!(service.end(), Some(0), "an end on request is no failure");
    assert_eq!(
        sandbox.machines().len(),
        3,
        "instances go on without the service"
    );
}

/// Defect 16: what is deleted is gone everywhere, and its id can be used again.
#[test]
fn deleting_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let service = desk.serve();
    for _ in 0..2 {
        service.infrastructure("POST", "/attach");
        // Attached, and in the middle of work.
        service.infrastructure("POST", "/scaleto/worker-node/5");
        assert_eq!(
            service.infrastructure("DELETE", ""),
            json!({ "infraid": ID })
        );
        assert!(sandbox.machines().is_empty());
        assert_eq!(service.infrastructure("GET", "")["status_code"], 300);
        let maintained = std::fs::read_dir(sandbox.state().join("occopus/maintained"));
        assert_eq!(maintained.map_or(0, Iterator::count), 0);
        let listed = desk.tool("occopus-maintain", &["-l"]).expect(0);
        assert!(
            listed.stdout.contains("No active infrastructure"),
            "{listed:?}"
        );
        desk.build();
        service.wait_for(1);
    }
}

#[test]
fn a_service_that_was_killed_maintains_again_what_it_maintained() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let service = desk.serve();
    service.infrastructure("POST", "/attach");
    service.signal("-KILL");
    drop(service);
    let service = desk.serve();
    assert_eq!(
        service.infrastructure("POST", "/attach")["status_code"],
        300
    );
    service.infrastructure("POST", "/scaleto/worker-node/2");
    service.wait_for(2);
    service.infrastructure("POST", "/detach");
    assert_eq!(service.end(), Some(0));
    let service = desk.serve();
    assert_eq!(
        service.infrastructure("POST", "/detach")["status_code"],
        300
    );
}

/// `MiCADO` changes the description of an infrastructure that is attached.
#[test]
fn an_attached_infrastructure_can_be_built_anew() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let service = desk.serve();
    service.infrastructure("POST", "/attach");
    sandbox.write("infra.yaml", &INFRASTRUCTURE.replace("min: 1", "min: 3"));
    desk.build();
    let report = service.wait_for(3);
    assert_eq!(report["scaling"]["min"], 3);
    assert_eq!(
        service.infrastructure("POST", "/attach")["status_code"],
        300,
        "it is attached still"
    );
    service.infrastructure("POST", "/scaleto/worker-node/4");
    service.wait_for(4);
    // And destroyed by the command that knows nothing of the service.
    desk.tool("occopus-destroy", &["-i", ID]).expect(0);
    assert!(sandbox.machines().is_empty());
    wait(|| service.infrastructure("POST", "/detach")["status_code"] == 300);
}

#[test]
fn descriptions_are_submitted_and_built_meanwhile() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    let service = desk.serve();
    let (status, early) = service.send("POST", "/infrastructures/", INFRASTRUCTURE);
    assert_eq!(
        (status, &early["status_code"]),
        (200, &json!(400)),
        "the type is not imported: {early}"
    );
    desk.import();
    for refused in [
        "nodes: [",
        "infra_name: x\nuser_id: u\nnodes: !!python/object/apply:os.system ['touch pwned']\n",
        "infra_name: x\nuser_id: u\nnodes: !yaml_import {url: file://nodes.yaml}\n",
        "infra_name: x\nuser_id: u\nvariables: {a: !text_import {url: file://auth_data.yaml}}\nnodes: []\n",
    ] {
        let (status, answer) = service.send("POST", "/infrastructures/", refused);
        assert_eq!(
            (status, &answer["status_code"]),
            (200, &json!(400)),
            "{refused}: {answer}"
        );
        assert_ne!(answer["reason"], "", "{refused}");
    }
    assert!(!sandbox.path("pwned").exists());
    let (status, submitted) = service.send("POST", "/infrastructures/", INFRASTRUCTURE);
    let id = submitted["infraid"].as_str().expect("an id").to_owned();
    assert_eq!((status, id.len()), (200, 36), "{submitted}");
    assert_eq!(
        service.ask("GET", "/infrastructures/"),
        json!({ "infrastructures": [id], "infrastuctures": [id] })
    );
    wait(|| {
        let report = service.ask("GET", &format!("/infrastructures/{id}"));
        let instances = report["worker-node"]["instances"].as_object();
        instances.is_some_and(|all| all.values().all(|one| one["state"] == "ready"))
    });
    let notified = service.send(
        "POST",
        &format!("/infrastructures/{id}/notify"),
        r#"{"type": "fcm", "fcm": {"api_key": "k", "reg_id": "r"}}"#,
    );
    assert_eq!(notified, (200, json!({ "infraid": id })));
    assert_eq!(
        service.send("DELETE", &format!("/infrastructures/{id}"), ""),
        (200, json!({ "infraid": id }))
    );
    assert!(sandbox.machines().is_empty());
}

#[test]
fn what_is_lost_is_replaced_while_it_is_attached() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let service = desk.serve();
    service.infrastructure("POST", "/attach");
    service.infrastructure("POST", "/scaleto/worker-node/2");
    let before = service.wait_for(2);
    sandbox.ok(&["sim", "kill", "worker-node/1"]);
    wait(|| {
        let report = service.infrastructure("GET", "")["worker-node"].take();
        report["instances"] != before["instances"]
    });
    service.wait_for(2);
    assert_eq!(sandbox.machines().len(), 2);
}

#[test]
fn a_delete_that_fails_is_told_and_tried_again() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let service = desk.serve();
    sandbox.ok(&["sim", "outage", "1000h"]);
    let answer = service.infrastructure("DELETE", "");
    assert_eq!(answer["status_code"], 400, "{answer}");
    assert_eq!(
        service.ask("GET", "/infrastructures/")["infrastuctures"],
        json!([ID])
    );
    sandbox.ok(&["sim", "outage", "0s"]);
    wait(|| service.ask("GET", "/infrastructures/")["infrastuctures"] == json!([]));
    assert!(sandbox.machines().is_empty());
}

#[test]
fn requests_of_many_clients_count_once_each() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    sandbox.write("infra.yaml", &INFRASTRUCTURE.replace("max: 5", "max: 50"));
    desk.import();
    desk.build();
    let service = desk.serve();
    service.infrastructure("POST", "/attach");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| service.infrastructure("POST", "/scaleup/worker-node/2"));
        }
    });
    let report = service.wait_for(17);
    assert_eq!(report["scaling"]["target"], 17);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| service.infrastructure("POST", "/scaledown/worker-node"));
        }
    });
    assert_eq!(service.wait_for(9)["scaling"]["target"], 9);
}

/// The service waits while a command leads, goes on with others, and takes
/// over when that command is gone.
#[test]
fn another_process_that_leads_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, "sim");
    desk.import();
    desk.build();
    let mut command = desk.command("occopus-maintain", &["-i", ID, "-c"]);
    let mut leader = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the link leads to the binary");
    let leads = || {
        sandbox
            .run(&["status", ID])
            .stdout
            .contains("occopus-maintain")
    };
    wait(leads);
    let service = desk.serve();
    service.infrastructure("POST", "/attach");
    let (_, other) = service.send("POST", "/infrastructures/", INFRASTRUCTURE);
    let other = other["infraid"].as_str().expect("an id").to_owned();
    service.infrastructure("POST", "/scaleto/worker-node/2");
    service.wait_for(2);
    wait(|| {
        let report = service.ask("GET", &format!("/infrastructures/{other}"));
        report["worker-node"]["scaling"]["actual"] == 1
    });
    leader.kill().expect("it is our child");
    leader.wait().expect("it is our child");
    service.infrastructure("POST", "/scaleto/worker-node/3");
    service.wait_for(3);
    service.infrastructure("DELETE", "");
    service.send("DELETE", &format!("/infrastructures/{other}"), "");
    assert!(sandbox.machines().is_empty());
}
