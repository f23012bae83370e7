//! Logins to servers that the tests play: what a real one here does not do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use ring::digest::{SHA256, digest};
use zenekar_base::ProbeResult;
use zenekar_probe::HostNetwork;

use crate::support::{Peer, database, drain, reason, run, secured, serve};

const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const TLS: u32 = 1 << 11;

/// Listens on the port of databases, under an address that is this test's own.
fn listen_as(last: u8) -> Option<(TcpListener, String)> {
    let address = format!("127.66.4.{last}");
    match TcpListener::bind((address.as_str(), 3306)) {
        Ok(listener) => Some((listener, address)),
        Err(error) => {
            println!("skipped: no listener on {address}:3306: {error}");
            None
        }
    }
}

fn send(stream: &mut impl Write, sequence: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    let mut packet = vec![length[0], length[1], length[2], sequence];
    packet.extend(payload);
    stream.write_all(&packet).expect("a packet is sent");
    stream.flush().expect("a packet is sent");
}

fn receive(stream: &mut impl Read, sequence: u8) -> Vec<u8> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).expect("a header");
    assert_eq!(header[3], sequence);
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut payload = vec![0; usize::try_from(length).expect("short")];
    stream.read_exact(&mut payload).expect("a payload");
    payload
}

/// The greeting of a server whose accounts have `caching_sha2_password`.
fn greeting(more_capabilities: u32) -> Vec<u8> {
    let capabilities = (1_u32 << 3 | 1 << 9 | 1 << 15 | 1 << 19 | more_capabilities).to_le_bytes();
    let mut packet = b"\x0a8.4.0\0".to_vec();
    packet.extend([9, 0, 0, 0]);
    packet.extend(&NONCE[..8]);
    packet.push(0);
    packet.extend(&capabilities[..2]);
    packet.extend([255, 2, 0]);
    packet.extend(&capabilities[2..]);
    packet.push(21);
    packet.extend([0; 10]);
    packet.extend(&NONCE[8..]);
    packet.push(0);
    packet.extend(b"caching_sha2_password\0");
    packet
}

/// What the server of `MySQL` does to see whether a proof fits the password.
fn proves(proof: &[u8], password: &str) -> bool {
    let stored = digest(&SHA256, digest(&SHA256, password.as_bytes()).as_ref());
    let mask = digest(&SHA256, &[stored.as_ref(), NONCE].concat());
    let once: Vec<u8> = proof
        .iter()
        .zip(mask.as_ref())
        .map(|(a, b)| a ^ b)
        .collect();
    digest(&SHA256, &once).as_ref() == stored.as_ref()
}

/// Asserts that an answer is for user `me`, database `shop` and password `secret`.
fn assert_answer(answer: &[u8]) {
    let rest = answer[32..]
        .strip_prefix(b"me\0\x20")
        .expect("user and length");
    let (proof, rest) = rest.split_at(32);
    assert!(proves(proof, "secret"));
    assert!(!proves(proof, "other"));
    assert_eq!(rest, b"shop\0caching_sha2_password\0");
}

fn reason_of(last: u8, peers: Vec<Peer>) -> Option<String> {
    let (listener, address) = listen_as(last)?;
    let server = serve(listener, peers);
    let reason = reason(&HostNetwork, &address, &database("shop", "me", "secret"));
    server.join().expect("the server ends");
    let reason = reason.strip_prefix("database shop: ").expect("a name");
    Some(reason.to_owned())
}

#[test]
fn a_known_account_logs_in_without_tls() {
    let Some((listener, address)) = listen_as(1) else {
        return;
    };
    let server = serve(
        listener,
        vec![Box::new(|mut stream| {
            send(&mut stream, 0, &greeting(0));
            assert_answer(&receive(&mut stream, 1));
            send(&mut stream, 2, &[1, 3]);
            send(&mut stream, 3, &[0, 0, 0, 2, 0, 0, 0]);
            assert_eq!(receive(&mut stream, 0), [1], "goodbye");
        })],
    );
    let spec = database("shop", "me", "secret");
    assert_eq!(run(&HostNetwork, &address, &spec), ProbeResult::Healthy);
    server.join().expect("the server ends");
}

#[test]
fn a_first_login_sends_the_whole_password_over_tls() {
    let Some((listener, address)) = listen_as(2) else {
        return;
    };
    let server = serve(
        listener,
        vec![Box::new(|mut stream| {
            send(&mut stream, 0, &greeting(TLS));
            let asked = receive(&mut stream, 1);
            assert_eq!(asked.len(), 32);
            assert_eq!(asked[1] & 0x08, 0x08, "asks for TLS");
            let mut stream = secured(stream);
            let answer = receive(&mut stream, 2);
            assert_eq!(answer[..32], asked);
            assert_answer(&answer);
            send(&mut stream, 3, &[1, 4]);
            assert_eq!(receive(&mut stream, 4), b"secret\0");
            send(&mut stream, 5, &[0, 0, 0, 2, 0, 0, 0]);
            assert_eq!(receive(&mut stream, 0), [1], "goodbye");
        })],
    );
    let spec = database("shop", "me", "secret");
    assert_eq!(run(&HostNetwork, &address, &spec), ProbeResult::Healthy);
    server.join().expect("the server ends");
}

#[test]
fn what_a_server_with_the_password_says_is_not_repeated() {
    let peer: Peer = Box::new(|mut stream| {
        send(&mut stream, 0, &greeting(TLS));
        receive(&mut stream, 1);
        let mut stream = secured(stream);
        receive(&mut stream, 2);
        send(&mut stream, 3, &[1, 4]);
        assert_eq!(receive(&mut stream, 4), b"secret\0");
        send(&mut stream, 5, b"\xff\x15\x04#28000you said secret");
    });
    if let Some(reason) = reason_of(9, vec![peer]) {
        assert_eq!(
            reason,
            "error 1045: access denied for this user with this password"
        );
    }
}

#[test]
fn without_tls_the_password_is_never_sent_whole() {
    let peer: Peer = Box::new(|mut stream| {
        send(&mut stream, 0, &greeting(0));
        assert_answer(&receive(&mut stream, 1));
        send(&mut stream, 2, &[1, 4]);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest, []);
    });
    if let Some(reason) = reason_of(3, vec![peer]) {
        assert_eq!(
            reason,
            "the account needs a secure channel for its first login \
             (`caching_sha2_password`), and the server has no TLS"
        );
    }
}

#[test]
fn broken_tls_is_gone_around_without_the_password() {
    let broken: Peer = Box::new(|mut stream| {
        send(&mut stream, 0, &greeting(TLS));
        receive(&mut stream, 1);
        stream
            .write_all(b"this is no TLS")
            .expect("garbage is sent");
        drain(stream);
    });
    let plain: Peer = Box::new(|mut stream| {
        send(&mut stream, 0, &greeting(TLS));
        assert_answer(&receive(&mut stream, 1));
        send(&mut stream, 2, &[1, 4]);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest, []);
    });
    if let Some(reason) = reason_of(4, vec![broken, plain]) {
        assert!(
            reason.starts_with("the account needs a secure channel for its first login"),
            "{reason}"
        );
        assert!(
            reason.contains("(without TLS, because of: TLS: "),
            "{reason}"
        );
    }
}

/// A peer that greets properly and then answers with these packets.
fn then(packets: Vec<Vec<u8>>) -> Peer {
    Box::new(move |mut stream| {
        send(&mut stream, 0, &greeting(0));
        receive(&mut stream, 1);
        let mut sequence = 2;
        for packet in packets {
            send(&mut stream, sequence, &packet);
            // After a change of plugin it is the client's turn.
            let answered = u8::from(packet.first() == Some(&0xfe));
            sequence += 1 + answered;
        }
        drain(stream);
    })
}

#[test]
fn hostile_servers_get_a_reason() {
    let raw = |bytes: &'static [u8]| -> Peer {
        Box::new(move |mut stream: TcpStream| {
            stream.write_all(bytes).expect("bytes are sent");
            let _ = stream.shutdown(std::net::Shutdown::Write);
            drain(stream);
        })
    };
    let no_login = "the server sent something that is no part of a login";
    let no_mysql = "the server does not speak the protocol of MySQL";
    let denied = b"\xff\x15\x04#28000no".to_vec();
    let cases: Vec<(Peer, &str)> = vec![
        (raw(b""), "the server closed the connection"),
        (raw(b"\x05\0\0\0ab"), "the server closed the connection"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), no_mysql),
        (raw(b"\xff\xff\xff\0"), no_mysql),
        (raw(b"\x01\0\0\x01\x0a"), no_mysql),
        (
            raw(b"\0\0\0\0"),
            "the server does not speak a known version of MySQL's protocol",
        ),
        (
            raw(b"\x12\0\0\0\xff\x69\x04Host is blocked"),
            "error 1129: Host is blocked",
        ),
        (then(vec![vec![]]), no_login),
        (then(vec![vec![7]]), no_login),
        (then(vec![vec![1]]), no_login),
        (then(vec![vec![0xff, 1]]), no_login),
        (
            then(vec![b"\xfecaching_sha2_password\0short\0".to_vec()]),
            no_login,
        ),
        (
            then(vec![vec![0xfe], denied.clone()]),
            "the account logs in with the plugin `mysql_old_password`, which checks do not know",
        ),
        (
            then(vec![b"\xfedialog\0\x04Password:".to_vec(), denied]),
            "the account logs in with the plugin `dialog`, which checks do not know",
        ),
        (
            then(vec![b"\xff\x15\x04#28000no\nway\x1b".to_vec()]),
            "error 1045: no way ",
        ),
        (then(vec![vec![1, 3]; 8]), "no verdict after 8 packets"),
    ];
    for (peer, expected) in cases {
        let Some(reason) = reason_of(5, vec![peer]) else {
            return;
        };
        assert_eq!(reason, expected);
    }
}

#[test]
fn silence_is_given_up() {
    if let Some(reason) = reason_of(6, vec![Box::new(drain)]) {
        assert_eq!(reason, "no login within 5 s");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_before() {
    assert_eq!(
        reason(&HostNetwork, "127.66.4.7", &database("shop", "m\0e", "x")),
        "database shop: the user has a zero byte"
    );
    if let Some((listener, address)) = listen_as(8) {
        let server = serve(
            listener,
            vec![Box::new(|mut stream| {
                send(&mut stream, 0, &greeting(0));
                drain(stream);
            })],
        );
        let long = "x".repeat(20_000);
        assert_eq!(
            reason(&HostNetwork, &address, &database("shop", &long, "x")),
            "database shop: the login needs more than 16384 bytes"
        );
        server.join().expect("the server ends");
    }
}
