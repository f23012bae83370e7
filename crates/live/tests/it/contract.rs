//! Paths, bodies and status codes as instrumented scripts know them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zenekar_live::limits::BODY_BYTES_MAX;
use zenekar_live::{Mode, OpenError, ProcessName, Settings};

use crate::client::Running;
use crate::nodes::processes;

fn body(tag: &str) -> Value {
    json!({
        "processData": {
            "infraID": "i-1",
            "infraName": "demo",
            "nodeID": "n-1",
            "nodeName": "srv",
            "bpTag": tag,
        },
        "userData": { "nodeIP": "10.0.0.1", "port": 3306 },
    })
}

fn opened() -> Running {
    let running = Running::start(None);
    let settings = Settings::new(processes(&[("srv", 1), ("cl", 1)]), Mode::Manual);
    running
        .controller
        .open("i-1", settings)
        .expect("the session opens");
    running
}

#[test]
fn calls_answer_with_and_without_the_last_slash() {
    for slash in ["", "/"] {
        let running = opened();
        let ask =
            |method, path: &str, body: &str| running.ask(method, &format!("{path}{slash}"), body);
        let first = body("first").to_string();
        assert_eq!(
            ask("POST", "/Submit/i-1/n-1", &first),
            (200, json!({ "breakpoint": 1 }))
        );
        assert_eq!(ask("GET", "/Next/i-1/n-1", ""), (204, Value::Null));
        // The client arrives, so that the server has to report anew.
        let mut other = body("first");
        other["processData"]["nodeName"] = json!("cl");
        assert_eq!(ask("POST", "/Submit/i-1/n-2", &other.to_string()).0, 200);
        assert_eq!(ask("GET", "/Next/i-1/n-1", ""), (205, Value::Null));
        let mut newer = body("first");
        newer["userData"]["port"] = json!(3307);
        assert_eq!(ask("POST", "/Refresh/i-1/n-1", &newer.to_string()).0, 200);
        assert_eq!(ask("GET", "/Next/i-1/n-1", ""), (204, Value::Null));
        let stepped = running.controller.with("i-1", |session, now_ms| {
            session.step(now_ms, &ProcessName::new("srv", 1))
        });
        assert_eq!(stepped, Some(Ok(())));
        assert_eq!(
            ask("GET", "/Next/i-1/n-1", ""),
            (200, json!({ "next": true }))
        );
        let (status, kept) = ask("GET", "/infrastructures/i-1/n-1", "");
        assert_eq!(status, 200);
        assert_eq!(kept.as_array().map(Vec::len), Some(1));
        assert_eq!(kept[0]["bp_num"], json!(1));
        assert_eq!(kept[0]["bp_tag"], json!("first"));
        assert_eq!(
            kept[0]["bp_data"],
            json!({ "nodeIP": "10.0.0.1", "port": 3307 })
        );
        let (status, report) = ask("GET", "/infrastructures/i-1", "");
        assert_eq!(status, 200);
        assert_eq!(report["breakpoints"], json!({ "cl": [1], "srv": [1] }));
        assert_eq!(report["processes"][1]["stage"], json!("moving"));
        assert_eq!(
            ask("GET", "/infrastructures", ""),
            (200, json!({ "infrastructures": ["i-1"] }))
        );
    }
}

#[test]
fn mistakes_have_their_status() {
    let running = opened();
    let first = body("first").to_string();
    let without = |section: &str, key: &str| {
        let mut body = body("first");
        body[section]
            .as_object_mut()
            .expect("a section")
            .remove(key);
        body.to_string()
    };
    let mut wrong = body("first");
    wrong["userData"] = json!([]);
    let mut unknown = body("first");
    unknown["processData"]["nodeName"] = json!("other");
    for (method, path, body, status) in [
        ("POST", "/Submit/i-1/n-1", "{".to_owned(), 400),
        ("POST", "/Submit/i-1/n-1", String::new(), 400),
        ("POST", "/Submit/i-1/n-1", "{}".to_owned(), 422),
        ("POST", "/Submit/i-1/n-1", wrong.to_string(), 422),
        (
            "POST",
            "/Submit/i-1/n-1",
            without("processData", "bpTag"),
            422,
        ),
        (
            "POST",
            "/Submit/i-1/n-1",
            without("processData", "nodeID"),
            422,
        ),
        (
            "POST",
            "/Submit/i-1/n-1",
            without("userData", "nodeIP"),
            422,
        ),
        ("POST", "/Submit/i-1/n-1", unknown.to_string(), 422),
        ("POST", "/Refresh/i-1/n-1", "nonsense".to_owned(), 400),
        ("POST", "/Submit/i-2/n-1", first.clone(), 404),
        ("POST", "/Refresh/i-2/n-1", first.clone(), 404),
        ("POST", "/Refresh/i-1/n-9", first.clone(), 404),
        ("GET", "/Next/i-2/n-1", String::new(), 404),
        ("GET", "/Next/i-1/n-9", String::new(), 404),
        ("GET", "/infrastructures/i-2/n-1", String::new(), 404),
        ("GET", "/infrastructures/i-1/n-9", String::new(), 404),
        ("GET", "/Submit/i-1/n-1", String::new(), 405),
        ("GET", "/elsewhere", String::new(), 404),
        ("GET", "/Next/i-1/n-1?wait_ms=soon", String::new(), 422),
        (
            "POST",
            "/Submit/i-1/n-1",
            " ".repeat(BODY_BYTES_MAX + 1),
            413,
        ),
    ] {
        let (found, answer) = running.ask(method, path, &body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(answer["error"].is_string(), "{method} {path}: {answer}");
    }
    assert_eq!(running.ask("POST", "/Submit/i-1/n-1", &first).0, 200);
}

#[test]
fn questions_wait_for_their_answer() {
    let running = opened();
    assert_eq!(
        running
            .ask("POST", "/Submit/i-1/n-1", &body("first").to_string())
            .0,
        200
    );
    let began = Instant::now();
    assert_eq!(running.ask("GET", "/Next/i-1/n-1?wait_ms=300", "").0, 204);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            running.controller.with("i-1", |session, now_ms| {
                session.set_mode(now_ms, Mode::FreeRun);
            });
        });
        let (status, _) = running.ask("GET", "/Next/i-1/n-1/?wait_ms=20000", "");
        assert_eq!(status, 200);
    });
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // Whoever waits for a session that is closed is told at once.
    let settings = Settings::new(processes(&[("srv", 2)]), Mode::Manual);
    running
        .controller
        .open("i-2", settings)
        .expect("the session opens");
    assert_eq!(
        running
            .ask("POST", "/Submit/i-2/n-1", &body("first").to_string())
            .0,
        200
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            running.controller.close("i-2")
        });
        assert_eq!(running.ask("GET", "/Next/i-2/n-1?wait_ms=20000", "").0, 404);
    });
}

#[test]
fn deadlines_are_kept_without_anybody_asking() {
    let running = Running::start(None);
    let mut settings = Settings::new(processes(&[("srv", 1)]), Mode::Manual);
    settings.arrival_ms = 50;
    running
        .controller
        .open("i-1", settings)
        .expect("the session opens");
    let event = running.runtime.block_on(async {
        tokio::time::timeout(
            Duration::from_secs(20),
            running.controller.next_event("i-1"),
        )
        .await
    });
    let stuck = zenekar_live::Event::Stuck(ProcessName::new("srv", 1));
    assert_eq!(event, Ok(Some(stuck)));
}

#[test]
fn tokens_keep_others_out() {
    let running = Running::start(Some("s3cret"));
    for (path, header, status) in [
        ("/infrastructures", "", 401),
        ("/infrastructures", "Authorization: Bearer wrong\r\n", 401),
        ("/infrastructures?token=s3cre", "", 401),
        ("/infrastructures?token=s3cret", "", 200),
        ("/infrastructures", "Authorization: Bearer s3cret\r\n", 200),
        ("/elsewhere", "", 401),
    ] {
        let (found, _) = running.ask_with("GET", path, header, "");
        assert_eq!(found, status, "{path} {header}");
    }
}

#[test]
fn sessions_have_names_of_their_own() {
    let running = opened();
    let settings = || Settings::new(processes(&[("srv", 1)]), Mode::Manual);
    let open = |name: &str| running.controller.open(name, settings());
    assert_eq!(open("i-1"), Err(OpenError::Taken("i-1".to_owned())));
    assert_eq!(open("a/b"), Err(OpenError::InvalidName("a/b".to_owned())));
    assert_eq!(open(""), Err(OpenError::InvalidName(String::new())));
    assert!(running.controller.close("i-1").is_some());
    assert_eq!(open("i-1"), Ok(()));
}
