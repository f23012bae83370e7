//! Networks and peers for the tests.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use socket2::{Domain, Protocol, Socket, Type};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use zenekar_base::resource::MysqlProbe;
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

/// A specification that asks for URLs only.
pub(crate) fn urls(urls: &[&str]) -> ProbeSpec {
    ProbeSpec {
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        ..ProbeSpec::default()
    }
}

/// A specification that asks for one login.
pub(crate) fn database(name: &str, user: &str, password: &str) -> ProbeSpec {
    ProbeSpec {
        mysql_databases: vec![MysqlProbe {
            name: name.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }],
        ..ProbeSpec::default()
    }
}

/// The certificate of all peers: self-signed, for another name, and expired.
pub(crate) const CERTIFICATE: &str = include_str!("fixtures/peer.crt");

/// The key to [`CERTIFICATE`]. It protects nothing.
pub(crate) const KEY: &str = include_str!("fixtures/peer.key");

/// The server's side of TLS over a connection.
pub(crate) fn secured(stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    let certificate =
        CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
    StreamOwned::new(connection, stream)
}

/// Hands the next connections, one after the other, to a function each.
pub(crate) fn serve(listener: TcpListener, peers: Vec<Peer>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for peer in peers {
            let (stream, _) = listener.accept().expect("a connection");
            peer(stream);
        }
    })
}

/// What a peer does with a connection.
pub(crate) type Peer = Box<dyn FnOnce(TcpStream) + Send>;

/// Reads until the other side has closed, whatever it sends.
pub(crate) fn drain(mut stream: impl Read) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
}
