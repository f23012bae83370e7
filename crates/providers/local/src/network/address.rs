//! Which addresses an infrastructure has: chosen by a hash, so that they rarely meet, and probed, so that they never do.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zenekar_base::Fingerprint;

/// The first address of all networks: 10.64.0.0/10, apart from what clouds, containers and homes use most.
const POOL_FIRST: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 0);

/// The number of networks in the pool.
const SUBNETS: u32 = 1 << (32 - 10 - Subnet::FREE_BITS);

/// The first of the addresses of instances without a network of their own: 127.64.0.0/10.
const PLAIN_FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 0);

/// How many such addresses there are.
const PLAIN_ADDRESSES: u32 = 1 << (32 - 10);

/// The network of one infrastructure: room for a thousand instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Subnet {
    first: u32,
}

impl Subnet {
    /// Bits of an address that tell hosts apart.
    const FREE_BITS: u32 = 10;

    /// Bits of an address that all hosts have in common.
    pub(crate) const PREFIX: u8 = 22;

    /// The number of the gateway, through which instances reach the world.
    pub(crate) const GATEWAY: u16 = 1;

    /// The number of the machine itself, where it has an end in the network.
    pub(crate) const MACHINE: u16 = 2;

    /// The number of the first instance.
    pub(crate) const INSTANCE_FIRST: u16 = 3;

    /// The number of the last instance; the address behind it is the broadcast address.
    pub(crate) const INSTANCE_LAST: u16 = (1 << Self::FREE_BITS) - 2;

    /// Chooses a network for what the seed names; none if all are taken.
    pub(crate) fn choose(seed: &str, is_taken: impl Fn(Self) -> bool) -> Option<Self> {
        let start = hash(seed);
        (0..SUBNETS)
            .map(|step| Self {
                first: u32::from(POOL_FIRST)
                    + ((start.wrapping_add(step) % SUBNETS) << Self::FREE_BITS),
            })
            .find(|subnet| !is_taken(*subnet))
    }

    pub(crate) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first + u32::from(Self::GATEWAY))
    }

    pub(crate) fn machine(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first + u32::from(Self::MACHINE))
    }

    /// Returns the address of an instance; none if the number is no instance's.
    pub(crate) fn instance(self, number: u16) -> Option<Ipv4Addr> {
        (Self::INSTANCE_FIRST..=Self::INSTANCE_LAST)
            .contains(&number)
            .then(|| Ipv4Addr::from(self.first + u32::from(number)))
    }

    /// Returns the number that an instance with this address has.
    pub(crate) fn number(self, address: Ipv4Addr) -> Option<u16> {
        let number = u32::from(address).checked_sub(self.first)?;
        let number = u16::try_from(number).ok()?;
        self.instance(number).map(|_| number)
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) >> Self::FREE_BITS == self.first >> Self::FREE_BITS
    }

    /// Says whether the network and a route share an address.
    pub(crate) fn overlaps(self, route: &HostRoute) -> bool {
        let common = route.mask & (u32::MAX << Self::FREE_BITS);
        self.first & common == route.destination & common
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.first), Self::PREFIX)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_suffix("/22")
            .and_then(|first| first.parse::<Ipv4Addr>().ok())
            .map(u32::from)
            .filter(|first| first.trailing_zeros() >= Self::FREE_BITS)
            .map(|first| Self { first })
            .ok_or_else(|| format!("`{text}` is no network of an infrastructure"))
    }
}

/// Returns the addresses, in the order to try them, for an instance without a network of its own.
///
/// All of 127.0.0.0/8 belongs to the machine without any setting up, so the
/// caller only leaves out what its other instances have.
pub(crate) fn plain_candidates(seed: &str) -> impl Iterator<Item = Ipv4Addr> {
    let start = hash(seed);
    (0..PLAIN_ADDRESSES)
        .map(move |step| start.wrapping_add(step) % PLAIN_ADDRESSES)
        // The ends of a /24 look like a network or a broadcast address to people and to some programs.
        .filter(|number| !matches!(number & 0xff, 0 | 0xff))
        .map(|number| Ipv4Addr::from(u32::from(PLAIN_FIRST) + number))
}

/// A route of the machine, as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostRoute {
    pub(crate) interface: String,
    destination: u32,
    mask: u32,
}

impl HostRoute {
    pub(crate) fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.destination
    }

    /// Says whether it is the route to a network as a whole.
    pub(crate) fn leads_to(&self, subnet: Subnet) -> bool {
        self.destination == subnet.first && self.prefix() == u32::from(Subnet::PREFIX)
    }

    /// Says whether it is the route for everything without one.
    pub(crate) fn is_default(&self) -> bool {
        self.mask == 0
    }

    /// Returns how many bits of the destination count.
    pub(crate) fn prefix(&self) -> u32 {
        self.mask.count_ones()
    }
}

/// Reads the kernel's list of routes (`/proc/net/route`); lines that are no routes are left out.
pub(crate) fn parse_routes(text: &str) -> Vec<HostRoute> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let interface = fields.next()?.to_owned();
            let destination = little_endian(fields.next()?)?;
            let mask = little_endian(fields.nth(5)?)?;
            Some(HostRoute {
                interface,
                destination,
                mask,
            })
        })
        .collect()
}

/// Reads an address that is printed as the machine's own number.
fn little_endian(text: &str) -> Option<u32> {
    let number = u32::from_str_radix(text, 16).ok()?;
    Some(u32::from_be_bytes(number.to_ne_bytes()))
}

fn hash(seed: &str) -> u32 {
    let [.., a, b, c, d] = Fingerprint::of_text(seed).0.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        vpn0\t0000400A\t00000000\t0001\t0\t0\t0\t00C0FFFF\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn a_network_is_the_same_for_the_same_seed_and_leaves_taken_ones_out() {
        let first = Subnet::choose("one", |_| false).expect("all are free");
        assert_eq!(Subnet::choose("one", |_| false), Some(first));
        let second = Subnet::choose("one", |subnet| subnet == first).expect("others are free");
        assert_ne!(first, second);
        assert_eq!(Subnet::choose("one", |_| true), None);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_eq!(first.gateway().octets()[0], 10);
        assert!((64..128).contains(&first.gateway().octets()[1]));
    }

    #[test]
    fn numbers_and_addresses_belong_together() {
        let subnet: Subnet = "10.64.4.0/22".parse().expect("it is one");
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 64, 4, 1));
        assert_eq!(subnet.machine(), Ipv4Addr::new(10, 64, 4, 2));
        assert_eq!(subnet.instance(3), Some(Ipv4Addr::new(10, 64, 4, 3)));
        assert_eq!(subnet.instance(1022), Some(Ipv4Addr::new(10, 64, 7, 254)));
        for no_instance in [0, 1, 2, 1023, u16::MAX] {
            assert_eq!(subnet.instance(no_instance), None);
        }
        assert_eq!(subnet.number(Ipv4Addr::new(10, 64, 7, 254)), Some(1022));
        assert_eq!(subnet.number(Ipv4Addr::new(10, 64, 8, 3)), None);
        assert!(subnet.contains(Ipv4Addr::new(10, 64, 7, 255)));
        assert!(!subnet.contains(Ipv4Addr::new(10, 64, 8, 0)));
        for bad in ["10.64.4.1/22", "10.64.4.0/24", "", "/22"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn routes_of_the_machine_are_respected() {
        let routes = parse_routes(ROUTES);
        assert_eq!(routes.len(), 3);
        assert!(routes[0].is_default());
        assert_eq!(routes[1].prefix(), 18);
        assert!(routes[1].contains(Ipv4Addr::new(10, 64, 63, 255)));
        assert!(!routes[1].contains(Ipv4Addr::new(10, 64, 64, 0)));
        let inside: Subnet = "10.64.8.0/22".parse().expect("it is one");
        let outside: Subnet = "10.64.64.0/22".parse().expect("it is one");
        let whole = parse_routes("\nzenekar0\t0004400A\t00000000\t0001\t0\t0\t0\t00FCFFFF\n");
        assert!(whole[0].leads_to("10.64.4.0/22".parse().expect("it is one")));
        assert!(!whole[0].leads_to(inside) && !routes[1].leads_to(inside));
        assert!(inside.overlaps(&routes[1]) && !outside.overlaps(&routes[1]));
        assert_eq!(parse_routes("nonsense\nx y\n"), []);
    }

    #[test]
    fn plain_addresses_look_like_hosts() {
        let first: Vec<Ipv4Addr> = plain_candidates("one").take(600).collect();
        assert_eq!(first, plain_candidates("one").take(600).collect::<Vec<_>>());
        for address in first {
            let [loopback, net, _, last] = address.octets();
            assert_eq!(loopback, 127);
            assert!((64..128).contains(&net) && last != 0 && last != 255);
        }
    }
}
