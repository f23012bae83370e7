//! Where the gateway relays to, and where it does not.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use super::super::MACHINE_LINK_PREFIX;
use super::super::address::{HostRoute, parse_routes};
use super::DNS_ADDRESS;

/// The port on which names are asked for.
const DNS_PORT: u16 = 53;

/// Returns where to relay what an instance sends to a destination; none if it is refused.
pub(super) fn target(destination: SocketAddrV4) -> Option<SocketAddr> {
    if *destination.ip() == DNS_ADDRESS {
        if destination.port() != DNS_PORT {
            return None;
        }
        // Read anew each time: it changes as people move from network to network.
        let resolvers = fs::read_to_string("/etc/resolv.conf").ok()?;
        return Some(SocketAddr::new(first_nameserver(&resolvers)?, DNS_PORT));
    }
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    (!is_refused(*destination.ip(), &routes)).then_some(SocketAddr::V4(destination))
}

/// Says whether instances must not reach an address.
fn is_refused(address: Ipv4Addr, routes: &str) -> bool {
    // What a program offers on the loopback addresses is for this machine only.
    // Link-local addresses are those of the machine's own link; there a cloud
    // gives whoever asks the machine's credentials.
    if address.is_loopback()
        || address.octets()[0] == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.octets()[0] >= 240
    {
        return true;
    }
    // Networks of infrastructures are apart from each other.
    parse_routes(routes)
        .into_iter()
        .filter(|route| route.contains(address))
        .max_by_key(HostRoute::prefix)
        .is_some_and(|route| route.interface.starts_with(MACHINE_LINK_PREFIX))
}

fn first_nameserver(resolvers: &str) -> Option<IpAddr> {
    resolvers
        .lines()
        .find_map(|line| line.trim().strip_prefix("nameserver"))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|address| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        zk-0011aabb\t0004400A\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0\n";

    #[test]
    fn only_what_is_out_of_the_machine_is_reached() {
        for refused in [
            "127.0.0.1",
            "127.64.3.2",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "10.64.4.3",
        ] {
            let address = refused.parse().expect("it is an address");
            assert!(is_refused(address, ROUTES), "{refused}");
        }
        for reached in ["192.0.2.1", "10.64.8.1", "10.0.0.1", "203.0.113.7"] {
            let address = reached.parse().expect("it is an address");
            assert!(!is_refused(address, ROUTES), "{reached}");
        }
        assert_eq!(target(SocketAddrV4::new(DNS_ADDRESS, 80)), None);
    }

    #[test]
    fn the_first_nameserver_counts() {
        let resolvers = "# nameserver 192.0.2.9\nsearch example\n nameserver 127.0.0.53\nnameserver 192.0.2.1\n";
        assert_eq!(
            first_nameserver(resolvers),
            Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)))
        );
        assert_eq!(first_nameserver("nameserver nonsense\n"), None);
        assert_eq!(first_nameserver(""), None);
    }
}
