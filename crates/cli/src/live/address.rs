//! Under which address instances reach this machine.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// An address that is nobody's (RFC 5737): a socket towards it has the address
/// that leads to other networks. Nothing is sent.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 1), 9);

/// Finds the address of this machine that others reach: that of its way to other
/// networks, else the first one that is not for itself only. Instances on
/// `local` and containers reach it through their gateways, which refuse
/// loopback addresses.
pub(crate) fn of_this_machine() -> Option<IpAddr> {
    outgoing().or_else(|| {
        let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        first_own(&table).map(IpAddr::V4)
    })
}

fn outgoing() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Finds the first own address in the kernel's table of routes: a leaf, and
/// below it a line that says that it is the machine's.
fn first_own(table: &str) -> Option<Ipv4Addr> {
    let mut leaf = None;
    for line in table.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            leaf = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.trim_start().starts_with("/32 host LOCAL") {
            let own = leaf.filter(|one| !one.is_loopback() && !one.is_link_local());
            if own.is_some() {
                return own;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_found_in_the_table() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.7\n        /32 host LOCAL\n";
        assert_eq!(first_own(table), Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(
            first_own("Main:\n     |-- 127.0.0.1\n        /32 host LOCAL\n"),
            None
        );
    }
}
