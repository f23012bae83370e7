//! The TCP that ends the connections of instances.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::super::Subnet;
use super::super::links::MTU;

/// How many connections there can be at once; more are refused, as by a busy server.
const CONNECTIONS_MAX: usize = 512;

/// What a connection may have under way in each direction: more than a link
/// without delay needs; it takes memory only when it is used.
const BUFFER_BYTES: usize = 128 * 1024;

/// How many packets may wait to be sent; then connections wait.
const OUTPUT_MAX: usize = 256;

/// After this time of silence an instance is asked whether it is still there.
const KEEP_ALIVE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(60);

/// After this time without an answer it is not.
const SILENCE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(180);

/// The ends of a connection: the instance's, and the one that it asked for.
type Ends = (SocketAddrV4, SocketAddrV4);

/// All connections of all instances to other networks.
pub(super) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    connections: BTreeSet<Ends>,
}

impl Stack {
    pub(super) fn new(subnet: Subnet) -> Self {
        let mut wire = Wire::default();
        let mut interface =
            Interface::new(Config::new(HardwareAddress::Ip), &mut wire, Instant::now());
        interface.update_ip_addrs(|addresses| {
            // The only address, for which there is room; any other is answered for, too.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(subnet.gateway()), 0));
        });
        interface.set_any_ip(true);
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            wire,
            connections: BTreeSet::new(),
        }
    }

    /// Prepares to take in the first packet of a connection, and to answer it
    /// only when [`Stack::admit`] is called; nothing if there is no need or no room.
    pub(super) fn expect(
        &mut self,
        source: SocketAddrV4,
        destination: SocketAddrV4,
    ) -> Option<SocketHandle> {
        let ends = (source, destination);
        if self.connections.len() >= CONNECTIONS_MAX || self.connections.contains(&ends) {
            return None;
        }
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]),
            tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]),
        );
        socket
            .listen((IpAddress::Ipv4(*destination.ip()), destination.port()))
            .ok()?;
        socket.pause_synack(true);
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(SILENCE));
        self.connections.insert(ends);
        Some(self.sockets.add(socket))
    }

    /// Answers the first packet of a connection: it is open from then on.
    pub(super) fn admit(&mut self, handle: SocketHandle) {
        self.socket(handle).pause_synack(false);
    }

    pub(super) fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Forgets a connection; if it is not closed, the instance is told that it is gone.
    pub(super) fn forget(
        &mut self,
        handle: SocketHandle,
        source: SocketAddrV4,
        destination: SocketAddrV4,
    ) {
        self.socket(handle).abort();
        self.poll();
        self.sockets.remove(handle);
        self.connections.remove(&(source, destination));
    }

    /// Takes in a packet of an instance.
    pub(super) fn take_in(&mut self, packet: &[u8]) {
        self.wire.input.clear();
        self.wire.input.extend_from_slice(packet);
        self.wire.is_filled = true;
        self.interface
            .poll_ingress_single(Instant::now(), &mut self.wire, &mut self.sockets);
        self.wire.is_filled = false;
    }

    /// Does what is due: what it has to send is in the output then.
    pub(super) fn poll(&mut self) {
        self.interface
            .poll(Instant::now(), &mut self.wire, &mut self.sockets);
    }

    /// Returns how long there is nothing due; none if only a packet can change that.
    pub(super) fn delay(&mut self) -> Option<Duration> {
        self.interface
            .poll_delay(Instant::now(), &self.sockets)
            .map(Duration::from)
    }

    pub(super) fn output(&mut self) -> &mut VecDeque<Vec<u8>> {
        &mut self.wire.output
    }

    /// Adds packets to the output, unless too many wait already.
    pub(super) fn send(&mut self, packets: Vec<Vec<u8>>) {
        if self.wire.output.len() < OUTPUT_MAX {
            self.wire.output.extend(packets);
        }
    }
}

/// What the TCP takes for a network card.
#[derive(Default)]
struct Wire {
    input: Vec<u8>,
    is_filled: bool,
    output: VecDeque<Vec<u8>>,
}

impl Device for Wire {
    type RxToken<'a> = Input<'a>;
    type TxToken<'a> = Output<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Input<'_>, Output<'_>)> {
        if !self.is_filled {
            return None;
        }
        self.is_filled = false;
        Some((Input(&self.input), Output(&mut self.output)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Output<'_>> {
        (self.output.len() < OUTPUT_MAX).then_some(Output(&mut self.output))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU as usize;
        // Packets from the same machine come with checksums that nobody has filled in.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

struct Input<'a>(&'a [u8]);

impl RxToken for Input<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

struct Output<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Output<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}
