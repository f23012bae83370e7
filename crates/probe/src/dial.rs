//! From a name to addresses, and from an address to a connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Network;
use crate::reason::{Reason, describe, seconds};

/// The resolver answers within this time. Its own patience is five seconds a
/// server and more, too long for a check.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(3);

/// Addresses of one name that are tried, each within the deadline of the
/// whole check: names of instances have one, those of services a few.
const ADDRESSES_MAX: usize = 4;

/// Finds the IPv4 addresses of a host; never returns none.
pub(crate) async fn resolve(host: &str) -> Result<Vec<Ipv4Addr>, Reason> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(vec![address]);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Err(format!(
            "`{host}` is an IPv6 address, and checks go over IPv4 only"
        ));
    }
    if host.is_empty() {
        return Err("the instance has no address".to_owned());
    }
    let found = match timeout(RESOLVE_DEADLINE, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(format!("cannot resolve `{host}`: {}", describe(&error))),
        Err(_) => {
            return Err(format!(
                "cannot resolve `{host}`: no answer within {}",
                seconds(RESOLVE_DEADLINE)
            ));
        }
    };
    let mut addresses: Vec<Ipv4Addr> = Vec::new();
    for address in found {
        if let IpAddr::V4(address) = address.ip()
            && !addresses.contains(&address)
            && addresses.len() < ADDRESSES_MAX
        {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(format!("`{host}` has no IPv4 address"));
    }
    Ok(addresses)
}

/// Connects to the first address that accepts.
///
/// It has no deadline of its own: the caller's check has one.
pub(crate) async fn connect(
    network: &dyn Network,
    addresses: &[Ipv4Addr],
    port: u16,
) -> Result<TcpStream, Reason> {
    let mut failure = None;
    for address in addresses {
        let socket = network
            .tcp()
            .map_err(|error| format!("cannot make a socket: {}", describe(&error)))?;
        match connect_over(socket, SocketAddrV4::new(*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Some(describe(&error)),
        }
    }
    Err(failure.unwrap_or_else(|| "no address".to_owned()))
}

/// Connects a given socket.
pub(crate) async fn connect_over(
    socket: socket2::Socket,
    target: SocketAddrV4,
) -> io::Result<TcpStream> {
    socket.set_nonblocking(true)?;
    let target = SocketAddr::V4(target);
    let stream = TcpSocket::from_std_stream(socket.into())
        .connect(target)
        .await?;
    // A connection to a free port of this machine can meet itself, when the
    // system happens to choose that very port for our end.
    if stream.local_addr()? == target {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    Ok(stream)
}
