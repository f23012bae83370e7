//! What clients of Occopus rely on, path by path.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::script::serve;

#[test]
fn operations_answer_as_clients_know_them() {
    serve(|client, script| {
        for (method, path, answer) in [
            (
                "GET",
                "/infrastructures/",
                json!({"infrastructures": ["a", "busy"], "infrastuctures": ["a", "busy"]}),
            ),
            ("POST", "/infrastructures/a/attach", json!({"infraid": "a"})),
            (
                "POST",
                "/infrastructures/busy/detach",
                json!({"infraid": "busy"}),
            ),
            (
                "POST",
                "/infrastructures/a/scaleup/worker",
                json!({"count": 1, "infraid": "a", "method": "scaleup", "nodename": "worker"}),
            ),
            (
                "POST",
                "/infrastructures/a/scaleup/worker/4",
                json!({"count": 4, "infraid": "a", "method": "scaleup", "nodename": "worker"}),
            ),
            (
                "POST",
                "/infrastructures/a/scaledown/worker",
                json!({"infraid": "a", "method": "scaledown", "nodeid": null, "nodename": "worker"}),
            ),
            (
                "POST",
                "/infrastructures/a/scaledown/worker/10.0.0.2",
                json!({"infraid": "a", "method": "scaledown", "nodeid": "10.0.0.2", "nodename": "worker"}),
            ),
            (
                "POST",
                "/infrastructures/a/scaleto/worker/3",
                json!({"count": 3, "infraid": "a", "method": "scaleto", "nodename": "worker"}),
            ),
            (
                "GET",
                "/infrastructures/a/cost",
                json!({"totalcost": 1.5, "worker": {"one": 1.5}}),
            ),
            (
                "GET",
                "/info/echo?infra_id=a&infra_id=b&name=%20x",
                json!({"result": {"infra_id": "a", "name": " x"}}),
            ),
            ("DELETE", "/infrastructures/a", json!({"infraid": "a"})),
        ] {
            let reply = client.ask(method, path);
            assert_eq!(
                (reply.status, reply.json()),
                (200, answer),
                "{method} {path}"
            );
        }
        assert_eq!(
            script.asked(),
            [
                "up worker 1",
                "up worker 4",
                "down worker any",
                "down worker 10.0.0.2",
                "to worker 3",
                "delete a"
            ]
        );
    });
}

#[test]
fn reports_have_addresses_as_the_plugin_has_them() {
    serve(|client, _| {
        let reply = client.ask("GET", "/infrastructures/a");
        assert_eq!(
            reply.json(),
            json!({"worker": {
                "instances": {
                    "one": {"resource_address": "10.0.0.1", "state": "ready"},
                    "two": {"resource_address": ["x.example", "10.0.0.2"], "state": "ready"},
                },
                "scaling": {"actual": 2, "max": 5, "min": 1, "target": 3},
            }})
        );
        // Scripts without a JSON reader look for lines like this one.
        assert!(
            reply.text.contains("\n      \"target\": 3\n"),
            "{}",
            reply.text
        );
    });
}

#[test]
fn descriptions_are_read_whatever_type_they_are_said_to_have() {
    serve(|client, script| {
        for kind in [
            "",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: text/yaml\r\n",
        ] {
            let reply = client.send(
                "POST",
                "/infrastructures/",
                kind,
                b"nodes: []\nx: a+b%20c\n",
            );
            assert_eq!(reply.json(), json!({"infraid": "a"}), "{kind}");
        }
        assert_eq!(script.asked(), ["submit nodes: []\nx: a+b%20c\n"; 3]);
        let notified = client.send(
            "POST",
            "/infrastructures/a/notify",
            "Content-Type: text/plain\r\n",
            br#"{"type": "fcm"}"#,
        );
        assert_eq!(notified.json(), json!({"infraid": "a"}));
        assert_eq!(script.asked()[3], r#"notify {"type":"fcm"}"#);
    });
}

#[test]
fn handled_errors_come_with_status_200() {
    serve(|client, _| {
        let error = |status: u16, reason: &str, message: &str| json!({"message": message, "reason": reason, "status_code": status});
        let unknown = error(300, "ERROR: infrastructure 'b' does not exist!", "");
        let no_node = error(
            300,
            "ERROR: node 'w' does not exist in infrastructure 'a'!",
            "",
        );
        for (method, path, answer) in [
            ("GET", "/infrastructures/b", unknown.clone()),
            ("DELETE", "/infrastructures/b", unknown.clone()),
            ("POST", "/infrastructures/b/attach", unknown.clone()),
            ("POST", "/infrastructures/b/detach", unknown.clone()),
            ("GET", "/infrastructures/b/cost", unknown.clone()),
            ("POST", "/infrastructures/b/scaleto/w/1", unknown),
            ("POST", "/infrastructures/a/scaleto/w/1", no_node.clone()),
            ("POST", "/infrastructures/a/scaleup/w", no_node.clone()),
            ("POST", "/infrastructures/a/scaledown/w/10.0.0.1", no_node),
            (
                "POST",
                "/infrastructures/busy/attach",
                error(
                    300,
                    "ERROR: Infrastructure busy already being maintained!",
                    "",
                ),
            ),
            (
                "POST",
                "/infrastructures/a/detach",
                error(300, "ERROR: Infrastructure a is not maintained!", ""),
            ),
            (
                "POST",
                "/infrastructures/",
                error(400, "Empty POST data", ""),
            ),
            (
                "POST",
                "/infrastructures/a/notify",
                error(400, "Empty POST data", ""),
            ),
            (
                "POST",
                "/infrastructures/a/scaleto/worker/99999999999",
                error(400, "count 99999999999 is too large", ""),
            ),
            (
                "GET",
                "/info/nothing",
                error(404, "Key not found: \"nothing\"", "none"),
            ),
            (
                "GET",
                "/info/picky",
                error(400, "Invalid parameter value for key \"picky\"", "no"),
            ),
        ] {
            let reply = client.ask(method, path);
            assert_eq!(
                (reply.status, reply.json()),
                (200, answer),
                "{method} {path}"
            );
        }
        let wrong = client.send("POST", "/infrastructures/", "", b"infra_name: x\n");
        assert_eq!(wrong.json(), error(400, "nodes section", ""));
        let binary = client.send("POST", "/infrastructures/", "", b"\xff\xfe");
        assert_eq!(binary.json()["status_code"], 400);
        let nonsense = client.send("POST", "/infrastructures/a/notify", "", b"{");
        assert_eq!(nonsense.json()["status_code"], 400);
    });
}

#[test]
fn mistakes_of_the_service_are_its_own_errors() {
    serve(|client, script| {
        let failed = client.ask("GET", "/info/fails");
        assert_eq!(
            (failed.status, failed.json()),
            (500, json!({"message": "it fails"}))
        );
        let broken = client.ask("DELETE", "/infrastructures/broken");
        assert_eq!(broken.status, 500);
        assert_eq!(script.asked(), ["delete broken"]);
        assert_eq!(
            client.ask("GET", "/infrastructures/").status,
            200,
            "others go on"
        );
    });
}

#[test]
fn slashes_and_methods_are_taken_as_flask_takes_them() {
    serve(|client, script| {
        for (method, path, status) in [
            ("GET", "/infrastructures", 308),
            ("POST", "/infrastructures?x=1", 308),
            ("POST", "//infrastructures/a/attach", 308),
            ("GET", "/infrastructures/a/", 404),
            ("POST", "/infrastructures/a/attach/", 404),
            ("POST", "/infrastructures/a/scaleto/worker", 404),
            ("POST", "/infrastructures/a/scaleto/worker/-1", 404),
            ("POST", "/infrastructures/a/scaleup/worker/some", 404),
            ("GET", "/", 404),
            ("GET", "/console", 404),
            ("PUT", "/infrastructures/", 405),
            ("POST", "/infrastructures/a", 405),
            ("GET", "/infrastructures/a/attach", 405),
            ("DELETE", "/info/echo", 405),
            ("HEAD", "/infrastructures/", 200),
        ] {
            let reply = client.ask(method, path);
            assert_eq!(reply.status, status, "{method} {path}");
            assert_eq!(
                reply.headers["access-control-allow-origin"], "*",
                "{method} {path}"
            );
        }
        assert!(script.asked().is_empty());
        let moved = client.ask("POST", "/infrastructures?x=1");
        assert_eq!(moved.headers["location"], "/infrastructures/?x=1");
        let refused = client.ask("POST", "/infrastructures/a");
        assert!(
            refused.headers["allow"].contains("DELETE"),
            "{:?}",
            refused.headers
        );
    });
}

#[test]
fn pages_of_others_may_ask() {
    serve(|client, _| {
        let reply = client.send(
            "OPTIONS",
            "/infrastructures/a",
            "Origin: http://page.example\r\nAccess-Control-Request-Method: DELETE\r\nAccess-Control-Request-Headers: x-own\r\n",
            b"",
        );
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
        assert_eq!(reply.headers["access-control-allow-headers"], "x-own");
        assert!(reply.headers["access-control-allow-methods"].contains("DELETE"));
        assert!(reply.headers["allow"].contains("OPTIONS"));
        assert_eq!(client.ask("OPTIONS", "/nothing").status, 404);
    });
}

#[test]
fn an_operation_goes_on_when_its_client_hangs_up() {
    serve(|client, script| {
        use std::io::Write;
        let mut stream = client.connect();
        stream
            .write_all(b"DELETE /infrastructures/busy HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("it reads");
        wait_for(|| script.asked() == ["delete busy"]);
        drop(stream);
        assert_eq!(client.ask("GET", "/infrastructures/").status, 200);
        script.gate.add_permits(1);
        wait_for(|| script.asked() == ["delete busy", "deleted busy"]);
    });
}

fn wait_for(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}
