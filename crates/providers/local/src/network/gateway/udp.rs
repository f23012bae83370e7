//! Datagrams of instances to other networks, and the answers to them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Shared, packet, policy};

/// How many conversations there can be at once; what belongs to more is dropped.
const CONVERSATIONS_MAX: usize = 512;

/// How many datagrams of a conversation may wait to be relayed; more are dropped.
const WAITING_MAX: usize = 64;

/// After this time without a datagram a conversation is over.
const IDLE: Duration = Duration::from_mins(1);

/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// The ends of a conversation: the instance's, and whom it talks to.
type Ends = (SocketAddrV4, SocketAddrV4);

/// All conversations of all instances.
#[derive(Default)]
pub(super) struct Datagrams {
    conversations: BTreeMap<Ends, mpsc::Sender<Vec<u8>>>,
}

impl Datagrams {
    /// Takes in a datagram of an instance.
    pub(super) fn take_in(
        &mut self,
        shared: &Rc<Shared>,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        payload: &[u8],
    ) {
        let ends = (source, destination);
        let is_open = self
            .conversations
            .get(&ends)
            .is_some_and(|conversation| !conversation.is_closed());
        if !is_open {
            self.conversations
                .retain(|_, conversation| !conversation.is_closed());
            if self.conversations.len() >= CONVERSATIONS_MAX {
                return;
            }
            let Some(target) = policy::target(destination) else {
                return;
            };
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            tokio::task::spawn_local(converse(Rc::clone(shared), ends, target, receiver));
            self.conversations.insert(ends, sender);
        }
        if let Some(conversation) = self.conversations.get(&ends) {
            // Datagrams may be lost: whoever sends them knows.
            let _ = conversation.try_send(payload.to_vec());
        }
    }
}

/// Relays datagrams both ways until none came for a while.
async fn converse(
    shared: Rc<Shared>,
    (source, destination): Ends,
    target: SocketAddr,
    mut datagrams: mpsc::Receiver<Vec<u8>>,
) {
    let Ok(socket) = open(target).await else {
        return;
    };
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut identification = source.port();
    loop {
        tokio::select! {
            datagram = datagrams.recv() => {
                let Some(datagram) = datagram else { return };
                // Nobody there, or no way there: the instance's time runs out as it would anywhere.
                let _ = socket.send(&datagram).await;
            }
            received = socket.recv(&mut buffer) => {
                // The error is about what was sent, not about what is to come.
                let Ok(length) = received else { continue };
                identification = identification.wrapping_add(1);
                let packets = packet::datagram(destination, source, &buffer[..length], identification);
                shared.stack.borrow_mut().send(packets);
                shared.wake.notify_one();
            }
            () = tokio::time::sleep(IDLE) => return,
        }
    }
}

async fn open(target: SocketAddr) -> std::io::Result<UdpSocket> {
    let own = match target {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(target).await?;
    Ok(socket)
}
