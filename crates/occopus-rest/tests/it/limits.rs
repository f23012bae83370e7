//! What the service does not take.

use std::io::Write;
use std::time::{Duration, Instant};

use zenekar_occopus_rest::limits::{BODY_BYTES_MAX, CONNECTIONS_MAX, HEAD_BYTES_MAX};
use zenekar_occopus_rest::{ServeError, Server};

use crate::client::read;
use crate::script::serve;

#[test]
fn bodies_are_bounded() {
    serve(|client, script| {
        let body = vec![b'n'; BODY_BYTES_MAX + 1];
        let reply = client.send("POST", "/infrastructures/", "", &body);
        assert_eq!(reply.status, 413);
        assert!(script.asked().is_empty());
    });
}

#[test]
fn heads_are_bounded() {
    serve(|client, script| {
        let mut stream = client.connect();
        let head = format!(
            "DELETE /infrastructures/{} HTTP/1.1\r\n",
            "a".repeat(HEAD_BYTES_MAX)
        );
        let _ = stream.write_all(head.as_bytes());
        let reply = read(stream);
        assert!((400..500).contains(&reply.status), "{}", reply.status);
        assert!(script.asked().is_empty());
    });
}

#[test]
fn connections_wait_when_there_are_too_many() {
    serve(|client, _| {
        let held: Vec<_> = (0..CONNECTIONS_MAX).map(|_| client.connect()).collect();
        let mut one_more = client.connect();
        one_more
            .write_all(b"GET /infrastructures/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("the system takes it");
        one_more
            .set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a timeout can be set");
        let mut byte = [0];
        let early = std::io::Read::read(&mut one_more, &mut byte);
        assert!(
            early.is_err(),
            "it is answered although all places are taken"
        );
        drop(held);
        one_more
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout can be set");
        assert_eq!(read(one_more).status, 200);
    });
}

#[test]
fn idle_connections_do_not_hold_the_end_up() {
    let started = Instant::now();
    serve(|client, _| {
        // One that never asks, kept open beyond the end of the test.
        std::mem::forget(client.connect());
        assert_eq!(client.ask("GET", "/infrastructures/").status, 200);
    });
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_taken_port_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let first = Server::listen("127.0.0.1", 0)
            .await
            .expect("a port is free");
        let port = first.address().port();
        let ServeError::Listen {
            host, port: told, ..
        } = Server::listen("127.0.0.1", port)
            .await
            .expect_err("the port is taken");
        assert_eq!((host.as_str(), told), ("127.0.0.1", port));
    });
}
