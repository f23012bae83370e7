//! Checks in a network that the process is not in.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use nix::sched::{CloneFlags, unshare};
use socket2::Socket;
use zenekar_base::{ProbeResult, ProbeSpec};
use zenekar_probe::{HostNetwork, Network};

use crate::support::{reason, run};

/// Sockets that were made in another network.
struct Elsewhere {
    tcp: Mutex<Vec<Socket>>,
    icmp: Mutex<Vec<Socket>>,
}

fn take(sockets: &Mutex<Vec<Socket>>) -> io::Result<Socket> {
    let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
    sockets
        .pop()
        .ok_or_else(|| io::Error::other("none is left"))
}

impl Network for Elsewhere {
    fn tcp(&self) -> io::Result<Socket> {
        take(&self.tcp)
    }

    fn icmp(&self) -> io::Result<Socket> {
        take(&self.icmp)
    }
}

/// Makes a network with nothing but its own loopback device, with a listener
/// and sockets in it; it vanishes with them. Says so if it cannot.
fn elsewhere() -> Option<(Elsewhere, TcpListener)> {
    // A thread that moves to another network takes no other thread with it.
    let moved = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status()
            .map_err(|error| format!("`ip`: {error}"))?;
        assert!(up.success(), "{up}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        // The range of groups for echoes is empty in a new network, so that
        // this is a raw socket.
        let icmp = HostNetwork.icmp().expect("a socket for echoes");
        let tcp = (0..2).map(|_| HostNetwork.tcp().expect("a socket"));
        let network = Elsewhere {
            tcp: Mutex::new(tcp.collect()),
            icmp: Mutex::new(vec![icmp]),
        };
        Ok((network, listener))
    });
    let made: Result<_, String> = moved.join().expect("the thread ends");
    made.map_err(|error| println!("skipped: no network of its own: {error}"))
        .ok()
}

#[test]
fn checks_run_in_the_network_of_their_sockets() {
    let Some((network, listener)) = elsewhere() else {
        return;
    };
    let port = listener.local_addr().expect("its address").port();
    let spec = ProbeSpec {
        ping: true,
        ports: vec![port],
        ..ProbeSpec::default()
    };
    assert_eq!(
        run(&network, "127.88.1.1", &spec),
        ProbeResult::Unhealthy(format!("port {port}: connection refused"))
    );
    let spec = ProbeSpec {
        ping: false,
        ..spec
    };
    assert_eq!(run(&network, "127.0.0.1", &spec), ProbeResult::Healthy);
    assert_eq!(
        reason(&network, "127.0.0.1", &spec),
        format!("port {port}: cannot make a socket: none is left")
    );
}
