//! The gateway: a process in the machine's own network that relays what instances send to other networks.
//!
//! Packets arrive through a socket of the switch. TCP ends here, in a TCP of
//! our own (`smoltcp`), and goes on from an ordinary socket; so does UDP. To the
//! rest of the world the instances are programs of this user.

mod packet;
mod policy;
mod stack;
mod tcp;
mod udp;
mod uplink;

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::role::{self, Presence};
use super::{Description, switch};
use crate::layout::NetworkPaths;
use crate::lock::ProcessLock;
use crate::{LocalError, control};
use packet::{Packet, Transport};
use stack::Stack;
use udp::Datagrams;
use uplink::Uplink;

/// Where instances ask for names: an address that no network has, as it belongs
/// to the range that providers use among themselves.
pub(crate) const DNS_ADDRESS: Ipv4Addr = Ipv4Addr::new(100, 100, 53, 53);

/// How often the gateway looks whether its directory still exists.
const PRESENCE_CHECK: Duration = Duration::from_secs(3);

/// How many packets are taken in before what they cause is sent.
const PACKETS_AT_ONCE: usize = 64;

/// What all connections share; there is one thread.
struct Shared {
    stack: RefCell<Stack>,
    /// Says that there is something to send.
    wake: tokio::sync::Notify,
}

/// Runs as the gateway of the network at a directory.
pub(super) fn run(directory: PathBuf) -> Result<(), LocalError> {
    let paths = NetworkPaths::new(directory);
    let lock_path = paths.gateway_lock();
    let Some(_lock) =
        ProcessLock::try_take(&lock_path).map_err(LocalError::file("lock", &lock_path))?
    else {
        return Err(LocalError::Start {
            role: "the gateway",
            reason: "another one is running".to_owned(),
        });
    };
    let presence = Presence::of(&lock_path)?;
    role::leave_session();
    allow_connections();
    let subnet = Description::read(&paths)?.subnet;
    let control_path = paths.switch_control();
    let (answer, socket) = control::ask(&control_path, &switch::Question::Uplink)
        .map_err(LocalError::file("ask the switch at", &control_path))?;
    let (switch::Answer::Uplink(hardware), Some(socket)) = (&answer, socket) else {
        let reason = match answer {
            switch::Answer::Refused(reason) => reason,
            _ => "the switch sent no socket".to_owned(),
        };
        return Err(LocalError::Start {
            role: "the gateway",
            reason,
        });
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LocalError::system("start the gateway's tasks"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let uplink = Uplink::new(socket, *hardware, subnet)?;
        let shared = Rc::new(Shared {
            stack: RefCell::new(Stack::new(subnet)),
            wake: tokio::sync::Notify::new(),
        });
        role::tell_ready("relaying");
        tokio::select! {
            outcome = relay(shared, uplink) => outcome,
            () = absence(&presence) => Ok(()),
        }
    })
}

/// Lets this process have as many sockets as it may.
fn allow_connections() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With fewer, connections fail one by one.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Returns when the gateway's directory is gone.
async fn absence(presence: &Presence) {
    while presence.lasts() {
        tokio::time::sleep(PRESENCE_CHECK).await;
    }
}

/// Moves packets in both directions, for ever.
async fn relay(shared: Rc<Shared>, mut uplink: Uplink) -> Result<(), LocalError> {
    let mut datagrams = Datagrams::default();
    loop {
        let delay = {
            let mut stack = shared.stack.borrow_mut();
            stack.poll();
            uplink.send(stack.output());
            stack.delay()
        };
        let is_waiting_to_send = !shared.stack.borrow_mut().output().is_empty();
        tokio::select! {
            readable = uplink.readable() => {
                readable.map_err(LocalError::system("wait for packets of the instances"))?;
                take_in(&shared, &mut uplink, &mut datagrams)?;
            }
            writable = uplink.writable(), if is_waiting_to_send => {
                writable.map_err(LocalError::system("wait to send packets"))?;
            }
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(delay.unwrap_or_default()), if delay.is_some() => {}
        }
    }
}

/// Takes in the packets that are there.
fn take_in(
    shared: &Rc<Shared>,
    uplink: &mut Uplink,
    datagrams: &mut Datagrams,
) -> Result<(), LocalError> {
    for _ in 0..PACKETS_AT_ONCE {
        let bytes = match uplink.receive() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            Err(error) => {
                return Err(LocalError::system("receive packets of the instances")(
                    error,
                ));
            }
        };
        let Some(packet) = Packet::parse(bytes) else {
            continue;
        };
        match packet.transport {
            Transport::Tcp { opens } => {
                if opens {
                    tcp::open(shared, packet.source, packet.destination);
                }
                shared.stack.borrow_mut().take_in(bytes);
            }
            Transport::Udp { payload } => {
                datagrams.take_in(shared, packet.source, packet.destination, payload);
            }
        }
    }
    Ok(())
}
