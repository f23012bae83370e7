//! Networks and peers for the tests.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use zenekar_base::{ProbeResult, ProbeSpec};
use zenekar_probe::{HostNetwork, Network, check};

/// Runs one check to its end.
pub(crate) fn run(network: &dyn Network, address: &str, spec: &ProbeSpec) -> ProbeResult {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(check(network, address, spec))
}

/// Runs a check that has to fail, and returns its reason.
pub(crate) fn reason(network: &dyn Network, address: &str, spec: &ProbeSpec) -> String {
    match run(network, address, spec) {
        ProbeResult::Healthy => panic!("healthy: {spec:?}"),
        ProbeResult::Unhealthy(reason) => reason,
    }
}

/// A specification that asks for an echo only.
pub(crate) fn ping() -> ProbeSpec {
    ProbeSpec {
        ping: true,
        ..ProbeSpec::default()
    }
}

/// A specification that asks for ports only.
pub(crate) fn ports(ports: &[u16]) -> ProbeSpec {
    ProbeSpec {
        ports: ports.to_vec(),
        ..ProbeSpec::default()
    }
}

/// Listens on a free port of this machine.
pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Returns a port on which nobody listens.
///
/// It stays bound, without listening, so that no other test gets it.
pub(crate) fn refusing() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .expect("a free port");
    let port = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket())
        .expect("its address")
        .port();
    (socket, port)
}

/// This process's network with one thing different.
pub(crate) enum Odd {
    /// Echoes over a raw socket.
    Raw,
    /// No right to send echoes.
    NoEchoes,
    /// No sockets at all, for want of descriptors.
    NoSockets,
    /// Everything stays on the loopback device: other addresses never answer.
    Silent,
}

impl Odd {
    fn made(&self, socket: io::Result<Socket>) -> io::Result<Socket> {
        let socket = socket?;
        if matches!(self, Self::Silent) {
            socket.bind_device(Some(b"lo"))?;
        }
        Ok(socket)
    }
}

impl Network for Odd {
    fn tcp(&self) -> io::Result<Socket> {
        if matches!(self, Self::NoSockets) {
            return Err(io::Error::from_raw_os_error(24));
        }
        self.made(HostNetwork.tcp())
    }

    fn icmp(&self) -> io::Result<Socket> {
        match self {
            Self::Raw => Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)),
            Self::NoEchoes => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            Self::NoSockets => Err(io::Error::from_raw_os_error(24)),
            Self::Silent => self.made(HostNetwork.icmp()),
        }
    }
}

/// An address that is nobody's (RFC 5737), for [`Odd::Silent`].
pub(crate) const NOBODY: &str = "192.0.2.1";
