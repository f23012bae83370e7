//! Health checks: ping, TCP ports, URLs and `MySQL` logins.
//!
//! A check runs over sockets that a [`Network`] makes, so that a provider can
//! check from a network that this process is not in. All checks are over
//! IPv4; names are resolved as this machine resolves them.
//!
//! # Examples
//!
//! ```no_run
//! use zenekar_base::{ProbeResult, ProbeSpec};
//! use zenekar_probe::{HostNetwork, check};
//!
//! # async fn example() {
//! let spec = ProbeSpec {
//!     ping: true,
//!     ports: vec![22, 8080],
//!     ..ProbeSpec::default()
//! };
//! match check(&HostNetwork, "10.1.2.3", &spec).await {
//!     ProbeResult::Healthy => println!("healthy"),
//!     // For example `port 8080: connection refused`.
//!     ProbeResult::Unhealthy(reason) => println!("{reason}"),
//! }
//! # }
//! ```

mod dial;
mod http;
mod mysql;
mod ping;
mod reason;
mod tls;
mod url;

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::timeout;
use zenekar_base::{ProbeResult, ProbeSpec};

use crate::reason::{Reason, one_line, seconds};
use crate::url::Target;

/// All checks of one instance together: less than the 20 s after which the
/// engine gives a probe up, so that a slow instance gets a reason and not
/// just an end.
const CHECKS_DEADLINE: Duration = Duration::from_secs(15);

/// A port accepts within this time. Linux repeats a lost SYN after one second
/// and again two seconds later; this leaves room for the first repetition and
/// most of the second.
const PORT_DEADLINE: Duration = Duration::from_secs(3);

/// Makes sockets in the network from which instances are checked.
pub trait Network: Sync {
    /// Returns a TCP socket over IPv4 that is not connected yet.
    fn tcp(&self) -> io::Result<socket2::Socket>;

    /// Returns a socket for ICMP echoes over IPv4: a datagram or a raw socket.
    ///
    /// Where that needs a right that is missing, the error is of the kind
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) or
    /// [`Unsupported`](io::ErrorKind::Unsupported); signs of life are then
    /// looked for over TCP.
    fn icmp(&self) -> io::Result<socket2::Socket>;
}

/// The network of this process.
#[derive(Clone, Copy, Debug)]
pub struct HostNetwork;

impl Network for HostNetwork {
    fn tcp(&self) -> io::Result<socket2::Socket> {
        socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )
    }

    fn icmp(&self) -> io::Result<socket2::Socket> {
        let make = |kind| {
            socket2::Socket::new(socket2::Domain::IPV4, kind, Some(socket2::Protocol::ICMPV4))
        };
        // Datagrams need no right where `ping_group_range` includes the group;
        // raw sockets need a right, which root has where the range is empty.
        make(socket2::Type::DGRAM).or_else(|error| make(socket2::Type::RAW).map_err(|_| error))
    }
}

/// Checks an instance that has `address`, which may be an IPv4 address or a name.
///
/// The order is ping, ports, URLs, databases. The first check that fails is
/// the answer: one line that begins with the name of the check.
///
/// - **Ping**: one of three echoes, spread over a second, is answered within
///   that second, so that one lost packet is not an outage. Where no socket
///   for ICMP can be had, a TCP port that accepts *or refuses* a connection
///   proves that the host is alive.
/// - **Ports** accept a TCP connection within three seconds.
/// - **URLs** answer `HEAD` with a status from 200 to 299 within five seconds,
///   redirections included. Names are resolved by this machine, and every
///   certificate is accepted: a health check proves life, not identity. A user
///   and password in the URL are sent, to that server only.
/// - **Databases** accept a login on port 3306 within five seconds. The
///   plugins `mysql_native_password` and `caching_sha2_password` are known.
///   Where the server offers TLS, it is used, with any certificate; accounts
///   whose password has to be sent whole need it.
/// - All checks together take at most fifteen seconds.
pub async fn check(network: &dyn Network, address: &str, spec: &ProbeSpec) -> ProbeResult {
    let mut subject = String::new();
    let checks = run(network, address, spec, &mut subject);
    let outcome = match timeout(CHECKS_DEADLINE, checks).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!(
            "the checks together took longer than {}",
            seconds(CHECKS_DEADLINE)
        )),
    };
    match outcome {
        Ok(()) => ProbeResult::Healthy,
        Err(reason) => ProbeResult::Unhealthy(one_line(&format!("{subject}: {reason}"))),
    }
}

/// Runs the checks in order and leaves the name of the last one in `subject`.
async fn run(
    network: &dyn Network,
    address: &str,
    spec: &ProbeSpec,
    subject: &mut String,
) -> Result<(), Reason> {
    let mut instance = Instance::new(address);
    if spec.ping {
        "ping".clone_into(subject);
        let addresses = instance.addresses().await?;
        ping::check(network, addresses, &spec.ports).await?;
    }
    for port in &spec.ports {
        *subject = format!("port {port}");
        let addresses = instance.addresses().await?;
        check_port(network, addresses, *port).await?;
    }
    for (index, url) in spec.urls.iter().enumerate() {
        // What cannot be read may hold a password anywhere.
        *subject = format!("url number {}", index + 1);
        let target = Target::parse(url)?;
        *subject = format!("url {}", target.shown());
        http::check(network, target).await?;
    }
    for database in &spec.mysql_databases {
        *subject = format!("database {}", database.name);
        let addresses = instance.addresses().await?;
        mysql::check(network, addresses, database).await?;
    }
    Ok(())
}

async fn check_port(
    network: &dyn Network,
    addresses: &[Ipv4Addr],
    port: u16,
) -> Result<(), Reason> {
    match timeout(PORT_DEADLINE, dial::connect(network, addresses, port)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(format!("no answer within {}", seconds(PORT_DEADLINE))),
    }
}

/// The instance under check; its name is resolved at most once, and only for
/// the checks that go to the instance itself.
struct Instance<'a> {
    address: &'a str,
    resolved: Option<Vec<Ipv4Addr>>,
}

impl<'a> Instance<'a> {
    fn new(address: &'a str) -> Self {
        Self {
            address,
            resolved: None,
        }
    }

    /// Returns the instance's addresses, at least one.
    async fn addresses(&mut self) -> Result<&[Ipv4Addr], Reason> {
        let known = match self.resolved.take() {
            Some(known) => known,
            None => dial::resolve(self.address).await?,
        };
        Ok(self.resolved.insert(known))
    }
}
