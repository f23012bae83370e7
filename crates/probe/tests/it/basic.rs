//! Ping, ports and what all checks share.

use std::time::{Duration, Instant};

use zenekar_base::{ProbeResult, ProbeSpec};
use zenekar_probe::{HostNetwork, Network};

use crate::support::{NOBODY, Odd, listen, ping, ports, reason, refusing, run};

const LOCAL: &str = "127.0.0.1";

/// Whether this process may send echoes over such a socket; says so if not.
fn may_echo(network: &dyn Network) -> bool {
    match network.icmp() {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: no socket for echoes: {error}");
            false
        }
    }
}

#[test]
fn nothing_to_check_is_healthy() {
    assert_eq!(
        run(&Odd::NoSockets, "", &ProbeSpec::default()),
        ProbeResult::Healthy
    );
}

#[test]
fn this_machine_answers_echoes() {
    for address in [LOCAL, "127.66.1.2", "localhost"] {
        if may_echo(&HostNetwork) {
            assert_eq!(run(&HostNetwork, address, &ping()), ProbeResult::Healthy);
        }
        if may_echo(&Odd::Raw) {
            assert_eq!(run(&Odd::Raw, address, &ping()), ProbeResult::Healthy);
        }
    }
}

#[test]
fn many_echoes_at_once_do_not_mix() {
    if !may_echo(&Odd::Raw) {
        return;
    }
    let threads: Vec<_> = (1..=16)
        .map(|last| {
            std::thread::spawn(move || run(&Odd::Raw, &format!("127.66.2.{last}"), &ping()))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("a check"), ProbeResult::Healthy);
    }
}

#[test]
fn nobody_answers_no_echo() {
    if !may_echo(&Odd::Silent) {
        return;
    }
    let began = Instant::now();
    assert_eq!(
        reason(&Odd::Silent, NOBODY, &ping()),
        "ping: no answer within 1 s"
    );
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn an_echo_that_cannot_be_sent_says_why() {
    if !may_echo(&HostNetwork) {
        return;
    }
    // The system sends nothing to all hosts unless a socket asks for that.
    assert_eq!(
        reason(&HostNetwork, "255.255.255.255", &ping()),
        "ping: permission denied"
    );
}

#[test]
fn without_the_right_to_echo_a_refusal_is_a_sign_of_life() {
    assert_eq!(run(&Odd::NoEchoes, LOCAL, &ping()), ProbeResult::Healthy);
}

/// Has no right to send echoes, and does not reach anybody else.
struct SilentWithoutEchoes;

impl Network for SilentWithoutEchoes {
    fn tcp(&self) -> std::io::Result<socket2::Socket> {
        Odd::Silent.tcp()
    }

    fn icmp(&self) -> std::io::Result<socket2::Socket> {
        Odd::NoEchoes.icmp()
    }
}

#[test]
fn without_the_right_to_echo_silence_is_no_sign_of_life() {
    let spec = ProbeSpec {
        ping: true,
        ports: vec![8080, 443],
        ..ProbeSpec::default()
    };
    assert_eq!(
        reason(&SilentWithoutEchoes, NOBODY, &spec),
        "ping: no socket for echoes (permission denied), and no sign of life within 1 s on \
         the TCP ports 22, 80, 443, 8080"
    );
}

#[test]
fn want_of_sockets_is_not_taken_for_want_of_a_right() {
    assert_eq!(
        reason(&Odd::NoSockets, LOCAL, &ping()),
        "ping: cannot make a socket: too many open files"
    );
    assert_eq!(
        reason(&Odd::NoSockets, LOCAL, &ports(&[80])),
        "port 80: cannot make a socket: too many open files"
    );
}

#[test]
fn ports_accept_or_refuse() {
    let (_listener, open) = listen();
    let (_bound, closed) = refusing();
    assert_eq!(
        run(&HostNetwork, LOCAL, &ports(&[open.port()])),
        ProbeResult::Healthy
    );
    assert_eq!(
        run(
            &HostNetwork,
            "localhost",
            &ports(&[open.port(), open.port()])
        ),
        ProbeResult::Healthy
    );
    assert_eq!(
        reason(&HostNetwork, LOCAL, &ports(&[open.port(), closed])),
        format!("port {closed}: connection refused")
    );
}

#[test]
fn a_port_that_never_answers_is_given_up() {
    let began = Instant::now();
    assert_eq!(
        reason(&Odd::Silent, NOBODY, &ports(&[80, 81])),
        "port 80: no answer within 3 s"
    );
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(6),
        "{took:?}"
    );
}

#[test]
fn the_first_failing_check_is_the_answer() {
    let (_bound, closed) = refusing();
    let spec = ProbeSpec {
        ping: true,
        ports: vec![closed],
        ..ProbeSpec::default()
    };
    if may_echo(&HostNetwork) {
        assert_eq!(
            reason(&HostNetwork, LOCAL, &spec),
            format!("port {closed}: connection refused")
        );
    }
    if may_echo(&Odd::Silent) {
        assert_eq!(
            reason(&Odd::Silent, NOBODY, &spec),
            "ping: no answer within 1 s"
        );
    }
}

#[test]
fn addresses_that_are_none_are_named() {
    let spec = ports(&[80]);
    assert_eq!(
        reason(&HostNetwork, "", &spec),
        "port 80: the instance has no address"
    );
    for address in ["::1", "[::1]"] {
        assert_eq!(
            reason(&HostNetwork, address, &spec),
            format!("port 80: `{address}` is an IPv6 address, and checks go over IPv4 only")
        );
    }
    // `invalid` is reserved for names that do not exist (RFC 6761).
    let unknown = reason(&HostNetwork, "nobody.invalid", &spec);
    assert!(
        unknown.starts_with("port 80: cannot resolve `nobody.invalid`: "),
        "{unknown}"
    );
    let hostile = reason(&HostNetwork, "a\nb\0c", &spec);
    assert!(!hostile.contains(['\n', '\0']), "{hostile}");
    assert!(hostile.starts_with("port 80: cannot resolve "), "{hostile}");
}
