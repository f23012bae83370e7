//! Reading and writing IPv4 packets, as far as the gateway does it itself.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, UdpPacket, UdpRepr};

use super::super::links::MTU;

/// The length of an IPv4 header without options.
const IP_HEADER_BYTES: usize = 20;

/// The length of a UDP header.
const UDP_HEADER_BYTES: usize = 8;

/// How far a packet may travel; it has one link to cross.
const HOPS: u8 = 64;

/// What one packet carries of a datagram at most: pieces begin at multiples of eight bytes.
const PIECE_BYTES: usize = (MTU as usize - IP_HEADER_BYTES) / 8 * 8;

/// A packet of an instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) source: SocketAddrV4,
    pub(super) destination: SocketAddrV4,
    pub(super) transport: Transport<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transport<'a> {
    Tcp {
        /// Whether it asks for a new connection.
        opens: bool,
    },
    Udp {
        payload: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// Reads a packet; none if it is neither TCP nor UDP, a piece of one, or damaged.
    ///
    /// Checksums do not matter: the packet never was on a wire, and its sender
    /// leaves them to the network card that a link between namespaces has not.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(bytes).ok()?;
        if packet.version() != 4 || packet.more_frags() || packet.frag_offset() != 0 {
            return None;
        }
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        let protocol = packet.next_header();
        let start = usize::from(packet.header_len());
        let payload = bytes.get(start..usize::from(packet.total_len()))?;
        let (source_port, destination_port, transport) = match protocol {
            IpProtocol::Tcp => {
                let segment = TcpPacket::new_checked(payload).ok()?;
                let opens = segment.syn() && !segment.ack() && !segment.rst();
                (
                    segment.src_port(),
                    segment.dst_port(),
                    Transport::Tcp { opens },
                )
            }
            IpProtocol::Udp => {
                let datagram = UdpPacket::new_checked(payload).ok()?;
                let end = usize::from(datagram.len());
                (
                    datagram.src_port(),
                    datagram.dst_port(),
                    Transport::Udp {
                        payload: payload.get(UDP_HEADER_BYTES..end)?,
                    },
                )
            }
            _ => return None,
        };
        Some(Self {
            source: SocketAddrV4::new(source, source_port),
            destination: SocketAddrV4::new(destination, destination_port),
            transport,
        })
    }
}

/// Writes a datagram as one packet, or several where it is too long for one.
/// Pieces of the same datagram have the same identification.
pub(super) fn datagram(
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: &[u8],
    identification: u16,
) -> Vec<Vec<u8>> {
    let header = UdpRepr {
        src_port: source.port(),
        dst_port: destination.port(),
    };
    let length = UDP_HEADER_BYTES + payload.len();
    if u16::try_from(IP_HEADER_BYTES + length).is_err() {
        return Vec::new();
    }
    let mut bytes = vec![0; length];
    header.emit(
        &mut UdpPacket::new_unchecked(&mut bytes),
        &IpAddress::Ipv4(*source.ip()),
        &IpAddress::Ipv4(*destination.ip()),
        payload.len(),
        |space| space.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    let pieces = bytes.chunks(PIECE_BYTES);
    let last = pieces.len() - 1;
    pieces
        .enumerate()
        .map(|(index, piece)| {
            piece_of(
                *source.ip(),
                *destination.ip(),
                piece,
                Place {
                    identification,
                    offset: index * PIECE_BYTES,
                    is_last: index == last,
                },
            )
        })
        .collect()
}

/// Which part of a datagram a piece is.
struct Place {
    identification: u16,
    offset: usize,
    is_last: bool,
}

fn piece_of(source: Ipv4Addr, destination: Ipv4Addr, piece: &[u8], place: Place) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Udp,
        payload_len: piece.len(),
        hop_limit: HOPS,
    };
    let mut bytes = vec![0; IP_HEADER_BYTES + piece.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    header.emit(&mut packet, &ChecksumCapabilities::default());
    packet.set_ident(place.identification);
    packet.set_dont_frag(false);
    packet.set_more_frags(!place.is_last);
    packet.set_frag_offset(u16::try_from(place.offset).expect("a datagram is shorter than 64 KiB"));
    packet.payload_mut().copy_from_slice(piece);
    packet.fill_checksum();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (SocketAddrV4, SocketAddrV4) {
        (
            SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 53),
            SocketAddrV4::new(Ipv4Addr::new(10, 64, 4, 3), 4000),
        )
    }

    #[test]
    fn a_written_datagram_reads_the_same() {
        let (source, destination) = ends();
        let packets = datagram(source, destination, b"answer", 1);
        assert_eq!(packets.len(), 1);
        let packet = Packet::parse(&packets[0]).expect("it is whole");
        assert_eq!((packet.source, packet.destination), (source, destination));
        assert_eq!(packet.transport, Transport::Udp { payload: b"answer" });
        assert!(Ipv4Packet::new_unchecked(&packets[0]).verify_checksum());
        for length in 0..packets[0].len() {
            assert_eq!(Packet::parse(&packets[0][..length]), None);
        }
    }

    #[test]
    fn a_long_datagram_comes_in_pieces_that_fit() {
        let (source, destination) = ends();
        let payload: Vec<u8> = (0..4000_u32)
            .map(|number| number.to_be_bytes()[3])
            .collect();
        let packets = datagram(source, destination, &payload, 7);
        assert_eq!(packets.len(), 3);
        let mut whole = Vec::new();
        for (index, bytes) in packets.iter().enumerate() {
            let packet = Ipv4Packet::new_checked(bytes).expect("it is a packet");
            assert!(bytes.len() <= MTU as usize && packet.verify_checksum());
            assert_eq!(packet.ident(), 7);
            assert_eq!(usize::from(packet.frag_offset()), whole.len());
            assert_eq!(packet.more_frags(), index != 2);
            whole.extend_from_slice(packet.payload());
            assert_eq!(Packet::parse(bytes), None);
        }
        assert_eq!(&whole[UDP_HEADER_BYTES..], payload.as_slice());
        assert_eq!(
            datagram(source, destination, &vec![0; 65_535], 1),
            Vec::<Vec<u8>>::new()
        );
    }
}
