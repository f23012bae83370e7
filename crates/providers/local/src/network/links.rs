//! Links, addresses and routes of the network namespace that the calling process is in.
//!
//! All over netlink, so that the machine needs no network tools.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::net::if_::if_nametoindex;
use rtnetlink::packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use rtnetlink::packet_route::link::{
    AfSpecInet, AfSpecUnspec, InfoData, InfoVeth, LinkAttribute, LinkMessage,
};
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

use crate::LocalError;

/// The size of packets in the network: that of most networks, so that instances meet no surprise.
pub(crate) const MTU: u32 = 1500;

/// The settings of a link's IPv4 (`IFLA_INET_CONF`), among the link's attributes.
const LINK_SETTINGS: u16 = 1;

/// The setting that lets a link's packets be routed on (`IPV4_DEVCONF_FORWARDING`).
const FORWARDING: u16 = 1;

/// A link's hardware address.
pub(crate) type Hardware = [u8; 6];

/// Returns the hardware address of a host of the network. It follows from the
/// host's number: whoever spoke to an earlier holder of an address remembers
/// its hardware address for up to a minute, and must not speak to nobody.
pub(crate) const fn hardware(number: u16) -> Hardware {
    let [high, low] = number.to_be_bytes();
    // The first byte says that the address was given locally, to one host.
    [0x02, b'z', b'k', 0, high, low]
}

/// The other end of a new pair of links.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) name: &'a str,
    pub(crate) hardware: Hardware,
    pub(crate) place: Place<'a>,
}

/// In which network namespace a link is.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// In that of a process.
    Process(u32),
    /// In the one that a descriptor stands for.
    Namespace(BorrowedFd<'a>),
}

/// A conversation with the kernel about the caller's network namespace.
pub(crate) struct Links {
    runtime: tokio::runtime::Runtime,
    handle: Handle,
}

impl Links {
    pub(crate) fn open() -> Result<Self, LocalError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(LocalError::system("start talking to the kernel"))?;
        let (connection, handle, _) = {
            let _entered = runtime.enter();
            rtnetlink::new_connection()
                .map_err(LocalError::system("open a socket to the kernel's network"))?
        };
        runtime.spawn(connection);
        Ok(Self { runtime, handle })
    }

    /// Brings a link up.
    pub(crate) fn up(&self, name: &str) -> Result<(), LocalError> {
        let message = LinkUnspec::new_with_index(index(name)?).up().build();
        self.runtime
            .block_on(self.handle.link().change(message).execute())
            .map_err(failed(format!("bring `{name}` up")))
    }

    /// Lets no packet be routed that a link brings. A new network namespace
    /// takes its settings from the machine's own, which routes wherever an
    /// engine for containers runs: the kernel would refuse what is not for it
    /// instead of dropping it.
    pub(crate) fn stop_routing(&self, name: &str) -> Result<(), LocalError> {
        let setting = DefaultNla::new(FORWARDING, 0_u32.to_ne_bytes().to_vec());
        let mut settings = vec![0; setting.buffer_len()];
        setting.emit(&mut settings);
        let settings = DefaultNla::new(LINK_SETTINGS | NLA_F_NESTED, settings);
        let message = LinkUnspec::new_with_index(index(name)?)
            .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![
                AfSpecInet::Other(settings),
            ])]))
            .build();
        self.runtime
            .block_on(self.handle.link().change(message).execute())
            .map_err(failed(format!("keep `{name}` from routing")))
    }

    /// Makes a bridge that is up.
    pub(crate) fn add_bridge(&self, name: &str, hardware: Hardware) -> Result<(), LocalError> {
        self.runtime
            .block_on(
                self.handle
                    .link()
                    .add(
                        LinkBridge::new(name)
                            .mtu(MTU)
                            .address(hardware.to_vec())
                            .build(),
                    )
                    .execute(),
            )
            .map_err(failed(format!("make the bridge `{name}`")))
    }

    /// Makes a pair of links; the first is up, and a port of the bridge if there is one.
    pub(crate) fn add_pair(
        &self,
        name: &str,
        bridge: Option<&str>,
        peer: Peer<'_>,
    ) -> Result<(), LocalError> {
        let mut message = LinkMessageBuilder::<LinkVeth>::new(name, peer.name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer_message(peer))))
            .mtu(MTU)
            .up();
        if let Some(bridge) = bridge {
            message = message.controller(index(bridge)?);
        }
        self.runtime
            .block_on(self.handle.link().add(message.build()).execute())
            .map_err(failed(format!("make the link `{name}`")))
    }

    /// Removes a link, if there is one of that name.
    pub(crate) fn remove(&self, name: &str) -> Result<(), LocalError> {
        let Ok(index) = index(name) else {
            return Ok(());
        };
        match self
            .runtime
            .block_on(self.handle.link().del(index).execute())
        {
            Err(error) if to_io(&error).raw_os_error() != Some(nix::libc::ENODEV) => {
                Err(failed(format!("remove the link `{name}`"))(error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a link an address; that it has it already is fine.
    pub(crate) fn add_address(
        &self,
        name: &str,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), LocalError> {
        let index = index(name)?;
        self.runtime
            .block_on(
                self.handle
                    .address()
                    .add(index, IpAddr::V4(address), prefix)
                    .replace()
                    .execute(),
            )
            .map_err(failed(format!("give `{name}` the address `{address}`")))
    }

    /// Sends everything without a route of its own to a gateway.
    pub(crate) fn add_default_route(&self, gateway: Ipv4Addr) -> Result<(), LocalError> {
        let message = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(gateway)
            .build();
        self.runtime
            .block_on(self.handle.route().add(message).replace().execute())
            .map_err(failed(format!("route through `{gateway}`")))
    }
}

fn peer_message(peer: Peer<'_>) -> LinkMessage {
    let builder = LinkMessageBuilder::<LinkUnspec>::new()
        .name(peer.name)
        .address(peer.hardware.to_vec())
        .mtu(MTU);
    match peer.place {
        Place::Process(process) => builder.append_extra_attribute(LinkAttribute::NetNsPid(process)),
        Place::Namespace(namespace) => {
            builder.append_extra_attribute(LinkAttribute::NetNsFd(namespace.as_raw_fd()))
        }
    }
    .build()
}

/// Says whether the caller's network namespace has a link of that name.
pub(crate) fn exists(name: &str) -> bool {
    index(name).is_ok()
}

fn index(name: &str) -> Result<u32, LocalError> {
    if_nametoindex(name).map_err(LocalError::system(format!("find the link `{name}`")))
}

fn failed(operation: String) -> impl FnOnce(rtnetlink::Error) -> LocalError {
    move |error| LocalError::System {
        operation,
        source: to_io(&error),
    }
}

fn to_io(error: &rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn a_link_does_not_route_whatever_the_machine_does() {
        let thread = std::thread::spawn(|| {
            // Nobody but this thread is in it, and nothing is left of it.
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                eprintln!("skipped: no network namespace can be made ({error})");
                return;
            }
            let links = Links::open().expect("the kernel answers");
            links.add_bridge("b0", hardware(1)).expect("root may");
            let setting = "/proc/sys/net/ipv4/conf/b0/forwarding";
            if let Err(error) = fs::write(setting, "1") {
                eprintln!("skipped: no setting can be changed ({error})");
                return;
            }
            for _ in 0..2 {
                links.stop_routing("b0").expect("root may");
                assert_eq!(fs::read_to_string(setting).expect("it is there"), "0\n");
            }
            assert!(links.stop_routing("b1").is_err());
        });
        thread.join().expect("it passes");
    }
}
