//! The packet socket: Ethernet frames outside, IPv4 packets inside.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::unix::AsyncFd;

use super::super::Subnet;
use crate::LocalError;

/// The length of an Ethernet header: two hardware addresses and a protocol.
const HEADER_BYTES: usize = 14;

/// The protocol number of IPv4, as it is in the header.
const IPV4: [u8; 2] = [0x08, 0x00];

/// The largest frame: the kernel hands over what a program sent in one piece, up to the largest packet of IPv4.
const FRAME_BYTES_MAX: usize = HEADER_BYTES + 65_535;

/// Where packets of the instances come from and go to.
pub(super) struct Uplink {
    socket: AsyncFd<OwnedFd>,
    hardware: [u8; 6],
    subnet: Subnet,
    frame: Vec<u8>,
    reply: Vec<u8>,
    /// Which hardware address each instance has; the subnet limits how many there are.
    neighbours: BTreeMap<Ipv4Addr, [u8; 6]>,
}

impl Uplink {
    pub(super) fn new(
        socket: OwnedFd,
        hardware: [u8; 6],
        subnet: Subnet,
    ) -> Result<Self, LocalError> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a descriptor that is owned is not closed by others"
        )]
        let socket = AsyncFd::new(socket).map_err(LocalError::system("watch the packet socket"))?;
        Ok(Self {
            socket,
            hardware,
            subnet,
            frame: vec![0; FRAME_BYTES_MAX],
            reply: Vec::new(),
            neighbours: BTreeMap::new(),
        })
    }

    /// Waits until there may be a packet.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(|mut guard| {
            guard.retain_ready();
        })
    }

    /// Waits until a packet may be sent.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await.map(|mut guard| {
            guard.retain_ready();
        })
    }

    /// Returns the next packet to another network; none if there is none now.
    pub(super) fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let received = self.socket.try_io(tokio::io::Interest::READABLE, |socket| {
                Ok(rustix::net::recv(
                    socket,
                    self.frame.as_mut_slice(),
                    RecvFlags::empty(),
                )?)
            });
            let length = match received {
                Ok((length, _)) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // The link is going down with the last instance; another signal says so.
                Err(error)
                    if error.kind() == io::ErrorKind::Interrupted
                        || error.raw_os_error() == Some(nix::libc::ENETDOWN) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.is_for_other_networks(length) {
                return Ok(Some(&self.frame[HEADER_BYTES..length]));
            }
        }
    }

    /// Says whether a frame is an instance's and leaves the network; learns where the instance is.
    fn is_for_other_networks(&mut self, length: usize) -> bool {
        let Some((header, packet)) = self.frame[..length].split_at_checked(HEADER_BYTES) else {
            return false;
        };
        let (Some(source), Some(destination)) = (address(packet, 12), address(packet, 16)) else {
            return false;
        };
        let is_ours = header[..6] == self.hardware
            && header[12..] == IPV4
            && self.subnet.number(source).is_some()
            && !self.subnet.contains(destination);
        if is_ours {
            let mut hardware = [0; 6];
            hardware.copy_from_slice(&header[6..12]);
            self.neighbours.insert(source, hardware);
        }
        is_ours
    }

    /// Sends packets as far as the kernel takes them; what it cannot take now stays.
    pub(super) fn send(&mut self, packets: &mut VecDeque<Vec<u8>>) {
        while let Some(packet) = packets.front() {
            let hardware = address(packet, 16).and_then(|address| self.neighbours.get(&address));
            if let Some(hardware) = hardware {
                self.reply.clear();
                self.reply.extend_from_slice(hardware);
                self.reply.extend_from_slice(&self.hardware);
                self.reply.extend_from_slice(&IPV4);
                self.reply.extend_from_slice(packet);
                let sent = self.socket.try_io(tokio::io::Interest::WRITABLE, |socket| {
                    Ok(rustix::net::send(socket, &self.reply, SendFlags::empty())?)
                });
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    // A packet that is lost is sent again by those whom it concerns.
                    _ => {}
                }
            }
            packets.pop_front();
        }
    }
}

fn address(packet: &[u8], offset: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = packet.get(offset..offset + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(bytes))
}
