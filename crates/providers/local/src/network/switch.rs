//! The switch: a process that holds an infrastructure's network as long as it lives.
//!
//! The network is one bridge in a network namespace. All is bridged and nothing
//! is routed here, so that no setting of the kernel has to change. The gateway's
//! address is the bridge's own: what instances send to other networks arrives
//! there, where the kernel drops it and the gateway picks it up through a packet
//! socket.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, bind, socket};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::address::{Subnet, parse_routes};
use super::links::{self, Links, Peer, Place, hardware};
use super::role::{self, Presence};
use super::{Description, namespaces};
use crate::control;
use crate::layout::NetworkPaths;
use crate::lock::ProcessLock;
use crate::{Isolation, LocalError};

/// The bridge that all instances are connected to.
pub(super) const BRIDGE: &str = "zenekar0";

/// The bridge's end of the pair that leads to the machine itself.
const MACHINE_PORT: &str = "machine0";

/// What a switch says that entered an existing network.
const JOINED: &str = "joined";

/// What a switch says that made the network.
pub(super) const MADE: &str = "made";

/// How often the switch looks whether its directory still exists.
const PRESENCE_CHECK: Duration = Duration::from_secs(3);

/// The buffer of the packet socket: a hundred of the largest packets.
const PACKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// What the switch is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Question {
    /// Whether the network is there; until it is, nobody listens.
    Ready,
    /// For the socket through which packets to other networks come and go.
    Uplink,
}

/// What the switch answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// The network is there.
    Ready,
    /// The socket comes with it; this is the hardware address at its end.
    Uplink([u8; 6]),
    /// Why there is none.
    Refused(String),
}

/// Runs as the switch of the network at a directory. `siblings` are processes
/// of its instances: if one lives, the network is still there, in its namespaces.
pub(super) fn run(directory: PathBuf, siblings: &[Pid]) -> Result<(), LocalError> {
    let paths = NetworkPaths::new(directory);
    let lock_path = paths.switch_lock();
    let Some(_lock) =
        ProcessLock::try_take(&lock_path).map_err(LocalError::file("lock", &lock_path))?
    else {
        return Err(LocalError::Start {
            role: "the switch",
            reason: "another one is running".to_owned(),
        });
    };
    let presence = Presence::of(&lock_path)?;
    role::leave_session();
    let description = Description::read(&paths)?;
    let isolation = description.isolation;
    let machine = namespaces::own_network()?;
    let subnet = description.subnet;
    let is_old = siblings
        .iter()
        .any(|sibling| is_in(*sibling, subnet) && namespaces::enter(*sibling, isolation).is_ok());
    if !is_old {
        namespaces::create(isolation)?;
    }
    set_up(subnet)?;
    if isolation == Isolation::Namespaces {
        connect_machine(&description.machine_link(), subnet, &machine)?;
    }
    drop(machine);
    let control_path = paths.switch_control();
    let listener = control::listen(&control_path)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(LocalError::file("listen at", &control_path))?;
    role::tell_ready(if is_old { JOINED } else { MADE });
    serve(&listener, &presence)
}

/// Says whether a process is in the network. Its pid may have become that of
/// another process meanwhile, and no bridge must ever be made elsewhere.
fn is_in(process: Pid, subnet: Subnet) -> bool {
    fs::read_to_string(format!("/proc/{process}/net/route")).is_ok_and(|routes| {
        parse_routes(&routes)
            .iter()
            .any(|route| route.interface == BRIDGE && route.leads_to(subnet))
    })
}

/// Makes the bridge, if it is not there yet.
fn set_up(subnet: Subnet) -> Result<(), LocalError> {
    let links = Links::open()?;
    links.up("lo")?;
    if !links::exists(BRIDGE) {
        links.add_bridge(BRIDGE, hardware(Subnet::GATEWAY))?;
    }
    links.stop_routing(BRIDGE)?;
    links.add_address(BRIDGE, subnet.gateway(), Subnet::PREFIX)
}

/// Gives the machine itself an end in the network, so that it reaches instances directly.
fn connect_machine(link: &str, subnet: Subnet, machine: &File) -> Result<(), LocalError> {
    let links = Links::open()?;
    let own = namespaces::own_network()?;
    if !links::exists(MACHINE_PORT) {
        // One of the same name belongs to a network that is about to vanish.
        namespaces::enter_network(machine)?;
        let removed = Links::open().and_then(|links| links.remove(link));
        namespaces::enter_network(&own)?;
        removed?;
        let peer = Peer {
            name: link,
            hardware: hardware(Subnet::MACHINE),
            place: Place::Namespace(machine.as_fd()),
        };
        links.add_pair(MACHINE_PORT, Some(BRIDGE), peer)?;
    }
    namespaces::enter_network(machine)?;
    let connected = Links::open().and_then(|links| {
        links.up(link)?;
        links.stop_routing(link)?;
        links.add_address(link, subnet.machine(), Subnet::PREFIX)
    });
    namespaces::enter_network(&own)?;
    connected
}

/// Answers until the directory is gone.
fn serve(listener: &UnixListener, presence: &Presence) -> Result<(), LocalError> {
    let patience = PollTimeout::try_from(PRESENCE_CHECK).expect("a few seconds fit");
    while presence.lasts() {
        let mut descriptors = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, patience) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(LocalError::system("wait for questions")(error)),
        }
        // Who asks and goes away, or asks nonsense, gets no answer.
        let _ = answer(listener);
    }
    Ok(())
}

fn answer(listener: &UnixListener) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(control::PATIENCE))?;
    stream.set_write_timeout(Some(control::PATIENCE))?;
    let (question, _): (Question, _) = control::receive(&stream)?;
    if question == Question::Ready {
        return control::send(&stream, &Answer::Ready, None);
    }
    match open_uplink() {
        Ok((socket, hardware)) => {
            control::send(&stream, &Answer::Uplink(hardware), Some(socket.as_fd()))
        }
        Err(error) => control::send(&stream, &Answer::Refused(error.chain()), None),
    }
}

/// Opens the socket through which packets to other networks come and go.
fn open_uplink() -> Result<(OwnedFd, [u8; 6]), LocalError> {
    let address = getifaddrs()
        .map_err(LocalError::system("list the links"))?
        .filter(|interface| interface.interface_name == BRIDGE)
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .ok_or_else(|| LocalError::NotFound(format!("there is no link `{BRIDGE}`")))?;
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthIp,
    )
    .map_err(LocalError::system("open a packet socket"))?;
    bind(socket.as_raw_fd(), &address).map_err(LocalError::system(format!(
        "bind a packet socket to `{BRIDGE}`"
    )))?;
    // A smaller buffer only means that more is sent again.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, PACKET_BUFFER_BYTES);
    let hardware = address
        .addr()
        .ok_or_else(|| LocalError::NotFound(format!("`{BRIDGE}` has no hardware address")))?;
    Ok((socket, hardware))
}
