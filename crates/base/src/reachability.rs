//! From where an address can be reached, as far as the address itself tells.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cloud::CloudKey;
use crate::resource::Addresses;

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressScope {
    /// From everywhere: a public address, or a name that may have one.
    Public,
    /// From within a network: RFC 1918, carrier-grade NAT, unique local
    /// addresses, names without a public domain.
    Private,
    /// From the machine itself or its nearest neighbours only.
    Local,
}

/// Endings of names that no public name server knows.
const PRIVATE_ENDINGS: [&str; 7] = [
    ".internal",
    ".local",
    ".localdomain",
    ".lan",
    ".intranet",
    ".home.arpa",
    ".novalocal",
];

impl AddressScope {
    /// Classifies an address or a name.
    pub fn of(address: &str) -> Self {
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        // A zone is only there where the address is of a link.
        let bare = bare.split_once('%').map_or(bare, |(before, _)| before);
        match bare.parse() {
            Ok(IpAddr::V4(address)) => of_v4(address),
            Ok(IpAddr::V6(address)) => of_v6(address),
            Err(_) => of_name(bare),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressScope {
    let [one, two, ..] = address.octets();
    let is_local = one == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast();
    // Carrier-grade NAT, and networks for measurements.
    let is_shared =
        (one == 100 && (64..128).contains(&two)) || (one == 198 && (18..20).contains(&two));
    if is_local {
        AddressScope::Local
    } else if address.is_private() || is_shared {
        AddressScope::Private
    } else {
        AddressScope::Public
    }
}

fn of_v6(address: Ipv6Addr) -> AddressScope {
    if let Some(address) = address.to_ipv4_mapped() {
        return of_v4(address);
    }
    let is_local = address.is_loopback()
        || address.is_unspecified()
        || address.is_unicast_link_local()
        || address.is_multicast();
    if is_local {
        AddressScope::Local
    } else if address.is_unique_local() {
        AddressScope::Private
    } else {
        AddressScope::Public
    }
}

fn of_name(name: &str) -> AddressScope {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        AddressScope::Local
    } else if !name.contains('.') || PRIVATE_ENDINGS.iter().any(|end| name.ends_with(end)) {
        AddressScope::Private
    } else {
        AddressScope::Public
    }
}

/// What lies between two providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passage {
    /// They share a network, or the one sees into the other's.
    Open,
    /// Only public addresses lead across.
    Public,
    /// No address leads across: the instances are in a network of their own.
    Closed,
}

impl Passage {
    /// Says what lies between an instance at the provider of this name and one
    /// that it wants to reach at another.
    pub fn between(from: &str, to: &str) -> Self {
        if from == to {
            return Self::Open;
        }
        let (from, to) = (place(from), place(to));
        match (from, to) {
            // A bridge of this machine is seen from all its networks, but
            // networks of `local` are only left, never entered.
            (Place::Namespaces | Place::Engine, Place::Engine) => Self::Open,
            (_, Place::Namespaces) => Self::Closed,
            _ => Self::Public,
        }
    }
}

/// Where the instances of a provider are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On this machine, in networks of their own.
    Namespaces,
    /// On this machine, at a bridge.
    Engine,
    Elsewhere,
}

fn place(provider: &str) -> Place {
    let Ok(key) = provider.parse::<CloudKey>() else {
        return Place::Elsewhere;
    };
    match (key.kind.as_str(), &key.endpoint, &key.cloud) {
        ("local", _, _) => Place::Namespaces,
        ("docker", None, None) => Place::Engine,
        ("docker", Some(endpoint), _) if is_of_this_machine(endpoint) => Place::Engine,
        _ => Place::Elsewhere,
    }
}

fn is_of_this_machine(endpoint: &str) -> bool {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let host = match authority.rsplit_once(':') {
        // The colons of a bare IPv6 address are not those of a port.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    scheme == "unix" || AddressScope::of(host) == AddressScope::Local
}

impl Addresses {
    /// Returns the addresses as somebody needs them to whom only public ones
    /// lead: those first that are reached from furthest away, and no address
    /// of an inner network set apart.
    pub fn seen_from_outside(&self) -> Self {
        let mut all = self.all.clone();
        all.extend(self.private.clone().filter(|own| !self.all.contains(own)));
        all.sort_by_key(|address| AddressScope::of(address));
        Self { all, private: None }
    }

    /// Says whether one of the addresses is reached from everywhere.
    pub fn is_public(&self) -> bool {
        let mut all = self.all.iter().chain(&self.private);
        all.any(|address| AddressScope::of(address) == AddressScope::Public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        use AddressScope::{Local, Private, Public};
        for (address, scope) in [
            ("8.8.8.8", Public),
            ("203.0.113.7", Public),
            ("2a00:1450::1", Public),
            ("[2a00:1450::1]", Public),
            ("ec2-3-4-5-6.eu-west-1.compute.amazonaws.com", Public),
            ("shop.example.org.", Public),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("100.128.0.1", Public),
            ("198.18.0.1", Private),
            ("fd00::1", Private),
            ("::ffff:10.0.0.1", Private),
            ("db-1", Private),
            ("ip-10-0-0-1.eu-west-1.compute.internal", Private),
            ("vm.novalocal", Private),
            ("127.0.0.1", Local),
            ("169.254.0.1", Local),
            ("0.0.0.0", Local),
            ("::1", Local),
            ("fe80::1%eth0", Local),
            ("LOCALHOST", Local),
        ] {
            assert_eq!(AddressScope::of(address), scope, "{address}");
        }
    }

    #[test]
    fn what_leads_across_comes_first() {
        let addresses = Addresses {
            all: ["10.0.0.5", "db.example.org", "203.0.113.7"]
                .map(str::to_owned)
                .to_vec(),
            private: Some("192.168.0.5".to_owned()),
        };
        let seen = addresses.seen_from_outside();
        assert_eq!(
            seen.all,
            ["db.example.org", "203.0.113.7", "10.0.0.5", "192.168.0.5"]
        );
        assert_eq!(seen.private(), Some("db.example.org"));
        assert_eq!(seen.seen_from_outside(), seen);
        assert!(seen.is_public());
        let inner = Addresses {
            all: vec!["10.0.0.5".to_owned()],
            private: None,
        };
        assert!(!inner.is_public());
    }

    #[test]
    fn clouds_and_this_machine_are_told_apart() {
        use Passage::{Closed, Open, Public};
        for (from, to, passage) in [
            ("ec2@eu-west-1", "ec2@eu-west-1", Open),
            ("ec2@eu-west-1", "ec2@us-east-1", Public),
            ("docker", "nova", Public),
            ("local", "docker", Open),
            ("local", "docker@tcp://127.0.0.1:2375", Open),
            ("local", "docker@unix:///run/other.sock", Open),
            ("local", "docker@tcp://10.0.0.5:2376", Public),
            ("docker", "docker@tcp://10.0.0.5:2376", Public),
            ("docker", "local", Closed),
            ("ec2", "local", Closed),
            // Its bridge is not seen from elsewhere, but its ports may be public.
            ("ec2", "docker", Public),
        ] {
            assert_eq!(Passage::between(from, to), passage, "{from} to {to}");
        }
    }
}
