//! URLs, answered by good and by hostile peers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use zenekar_base::ProbeResult;
use zenekar_probe::HostNetwork;

use crate::support::{
    NOBODY, Odd, Peer, drain, listen, reason, refusing, run, secured, serve, urls,
};

/// Reads the head of a request.
fn request(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a request") == 1 {
        head.extend(byte);
    }
    String::from_utf8(head).expect("text")
}

/// A peer that answers one request so.
fn answering(answer: impl Into<String>) -> Peer {
    let answer = answer.into();
    Box::new(move |mut stream: TcpStream| {
        request(&mut stream);
        // The other side may have heard enough before all is said.
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// The reason of a check of a server with these peers.
fn reason_of(peers: Vec<Peer>) -> String {
    let (listener, address) = listen();
    let server = serve(listener, peers);
    let url = format!("http://{address}");
    let reason = reason(&HostNetwork, "", &urls(&[&url]));
    server.join().expect("the server ends");
    let start = format!("url {url}: ");
    reason
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{reason}"))
        .to_owned()
}

#[test]
fn success_is_healthy() {
    for status in ["200 OK", "204 No Content", "299 Whatever"] {
        let (listener, address) = listen();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 12\r\n\r\n");
        let server = serve(listener, vec![answering(answer)]);
        let url = format!("http://{address}/");
        assert_eq!(
            run(&HostNetwork, "", &urls(&[&url])),
            ProbeResult::Healthy,
            "{status}"
        );
        server.join().expect("the server ends");
    }
}

#[test]
fn requests_say_what_is_wanted() {
    let (listener, address) = listen();
    let (sender, heads): (_, Receiver<String>) = channel();
    let server = serve(
        listener,
        vec![Box::new(move |mut stream| {
            sender.send(request(&mut stream)).expect("a listener");
            stream
                .write_all(b"HTTP/1.0 200 OK\r\n\r\n")
                .expect("an answer");
        })],
    );
    let url = format!("http://me:s%3Acret@localhost:{}/a/b?c=d#e", address.port());
    assert_eq!(run(&HostNetwork, "", &urls(&[&url])), ProbeResult::Healthy);
    server.join().expect("the server ends");
    let head = heads.recv().expect("a request").to_lowercase();
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "head /a/b?c=d http/1.1".to_owned(),
            // base64 of `me:s:cret`, in lower case.
            "authorization: basic bwu6czpjcmv0".to_owned(),
            "connection: close".to_owned(),
            format!("host: localhost:{}", address.port()),
            "user-agent: zenekar".to_owned(),
        ]
    );
}

#[test]
fn other_statuses_are_not_healthy() {
    for status in [304, 401, 404, 405, 500, 503] {
        let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(
            reason_of(vec![answering(answer)]),
            format!("status {status}")
        );
    }
    // A redirection without a place is none.
    assert_eq!(
        reason_of(vec![answering("HTTP/1.1 302 Found\r\n\r\n")]),
        "status 302"
    );
}

#[test]
fn redirections_are_followed() {
    let (last, last_address) = listen();
    let last = serve(
        last,
        vec![Box::new(|stream| {
            let mut stream = secured(stream);
            let head = request(&mut stream);
            assert!(head.starts_with("HEAD /there "), "{head}");
            assert!(!head.to_lowercase().contains("authorization"), "{head}");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .expect("an answer");
        })],
    );
    let (first, address) = listen();
    let first = serve(
        first,
        vec![
            answering("HTTP/1.1 301 Moved\r\nlocation: /b?x\r\n\r\n"),
            Box::new(move |mut stream| {
                let head = request(&mut stream);
                assert!(head.starts_with("HEAD /b?x "), "{head}");
                assert!(head.to_lowercase().contains("authorization"), "{head}");
                let answer =
                    format!("HTTP/1.1 307 Moved\r\nlocation: https://{last_address}/there\r\n\r\n");
                stream.write_all(answer.as_bytes()).expect("an answer");
            }),
        ],
    );
    let url = format!("http://me:secret@{address}/a");
    assert_eq!(run(&HostNetwork, "", &urls(&[&url])), ProbeResult::Healthy);
    first.join().expect("the server ends");
    last.join().expect("the server ends");
}

#[test]
fn redirections_end() {
    let circle = || answering("HTTP/1.1 302 Found\r\nlocation: /again\r\n\r\n");
    let peers = (0..6).map(|_| circle()).collect();
    assert_eq!(reason_of(peers), "more than 5 redirections");

    let (_bound, closed) = refusing();
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{closed}/?k=v\r\n\r\n");
    assert_eq!(
        reason_of(vec![answering(answer)]),
        format!("redirected to `http://127.0.0.1:{closed}/?…`: connection refused")
    );
    assert_eq!(
        reason_of(vec![answering(
            "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n"
        )]),
        "redirected: `file` is neither `http` nor `https`"
    );
}

#[test]
fn garbage_is_named() {
    assert_eq!(
        reason_of(vec![answering(
            "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n\r\n"
        )]),
        "not an HTTP answer (invalid HTTP version parsed)"
    );
    assert_eq!(
        reason_of(vec![Box::new(|mut stream| {
            request(&mut stream);
        })]),
        "connection closed without an answer"
    );
    assert_eq!(
        reason_of(vec![answering("HTTP/1.1 200 OK\r\ncontent-le")]),
        "connection closed without an answer"
    );
}

#[test]
fn an_endless_head_is_cut() {
    let endless = |piece: &'static [u8]| -> Vec<Peer> {
        vec![Box::new(move |mut stream: TcpStream| {
            request(&mut stream);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nx: ")
                .expect("a beginning");
            while stream.write_all(piece).is_ok() {}
        })]
    };
    let began = Instant::now();
    for piece in [&b"aaaaaaaaaaaaaaaa"[..], &b"a\r\ny: "[..]] {
        let reason = reason_of(endless(piece));
        assert!(reason.contains("too large"), "{reason}");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "cut by time only");
}

#[test]
fn silence_is_given_up() {
    let peers = ["http", "https"].map(|scheme| {
        std::thread::spawn(move || {
            let (listener, address) = listen();
            let server = serve(listener, vec![Box::new(drain)]);
            let began = Instant::now();
            let reason = reason(
                &HostNetwork,
                "",
                &urls(&[&format!("{scheme}://{address}/")]),
            );
            server.join().expect("the connection was closed");
            (reason.replace(&address.to_string(), "A"), began.elapsed())
        })
    });
    let [plain, secure] = peers.map(|peer| peer.join().expect("a check"));
    assert_eq!(plain.0, "url http://A/: no answer within 5 s");
    assert_eq!(secure.0, "url https://A/: no TLS handshake within 5 s");
    for took in [plain.1, secure.1] {
        assert!(
            took >= Duration::from_secs(5) && took < Duration::from_secs(9),
            "{took:?}"
        );
    }
}

#[test]
fn an_unreachable_host_is_given_up() {
    assert_eq!(
        reason(&Odd::Silent, "", &urls(&[&format!("http://{NOBODY}/")])),
        format!("url http://{NOBODY}/: no connection within 5 s")
    );
}

#[test]
fn any_certificate_will_do() {
    let (listener, address) = listen();
    let peer = || -> Peer {
        Box::new(|stream| {
            let mut stream = secured(stream);
            request(&mut stream);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .expect("an answer");
        })
    };
    let server = serve(listener, vec![peer(), peer()]);
    let by_address = format!("https://{address}/");
    let by_name = format!("https://localhost:{}/", address.port());
    assert_eq!(
        run(&HostNetwork, "", &urls(&[&by_address, &by_name])),
        ProbeResult::Healthy
    );
    server.join().expect("the server ends");
}

#[test]
fn tls_with_a_server_that_has_none_is_named() {
    let (listener, address) = listen();
    let server = serve(
        listener,
        vec![Box::new(|mut stream: TcpStream| {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .expect("an answer");
            drain(stream);
        })],
    );
    let reason = reason(&HostNetwork, "", &urls(&[&format!("https://{address}/")]));
    server.join().expect("the server ends");
    assert!(
        reason.starts_with(&format!("url https://{address}/: TLS: ")),
        "{reason}"
    );
}

#[test]
fn secrets_in_urls_stay_out_of_reasons() {
    let (_bound, closed) = refusing();
    let url = format!("http://me:secret@127.0.0.1:{closed}/x?token=secret");
    assert_eq!(
        reason(&HostNetwork, "", &urls(&[&url])),
        format!("url http://127.0.0.1:{closed}/x?…: connection refused")
    );
    assert_eq!(
        reason(&HostNetwork, "", &urls(&["http://me:sec ret@127.0.0.1/"])),
        "url number 1: not a valid URL"
    );
}
