//! ICMP echoes, and signs of life over TCP where echoes need a right that is missing.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::Network;
use crate::dial::connect_over;
use crate::reason::{Reason, describe, seconds};

/// An instance answers within this time, as Occopus's `ping -W 1` asks.
const PING_DEADLINE: Duration = Duration::from_secs(1);

/// Echoes that are sent; one answer is enough. Where every tenth packet is lost
/// each way, one check in 150 fails falsely; with one echo it would be one in five.
const ECHOES: u16 = 3;

/// The pause between echoes: the last one still has 400 ms for its answer.
const ECHO_INTERVAL: Duration = Duration::from_millis(300);

/// Errors that a socket may report, each about an earlier echo, before it is
/// taken for broken.
const RECEIVE_ERRORS_MAX: u16 = 8;

/// Ports that are tried for signs of life beside those of the specification:
/// a host refuses at once where it does not serve and no firewall is in the way.
const COMMON_PORTS: [u16; 3] = [22, 80, 443];

/// Ports of the specification that are tried for signs of life, to bound the sockets.
const GIVEN_PORTS_MAX: usize = 5;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ICMP_HEADER_BYTES: usize = 8;
const IP_HEADER_BYTES_MIN: usize = 20;

/// Larger than any packet on a usual link; what is cut off is not our answer.
const PACKET_BYTES_MAX: usize = 2048;

/// Asks an instance for signs of life under the first of its addresses.
pub(crate) async fn check(
    network: &dyn Network,
    addresses: &[Ipv4Addr],
    ports: &[u16],
) -> Result<(), Reason> {
    let Some(address) = addresses.first().copied() else {
        return Err("no address".to_owned());
    };
    match network.icmp() {
        Ok(socket) => echo(socket, address).await,
        Err(error) if is_missing_right(&error) => alive(network, address, ports, &error).await,
        Err(error) => Err(format!("cannot make a socket: {}", describe(&error))),
    }
}

fn is_missing_right(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    )
}

/// Sends echoes over a datagram or raw socket until one is answered.
async fn echo(socket: socket2::Socket, address: Ipv4Addr) -> Result<(), Reason> {
    // The names of the two kinds of sockets do not matter to the system calls
    // behind `send` and `recv`.
    let open = || -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        // Keeps answers of other hosts away, and lets the system report that
        // this one is unreachable.
        socket.connect(&SocketAddrV4::new(address, 0).into())?;
        UdpSocket::from_std(socket.into())
    };
    let socket = open().map_err(|error| describe(&error))?;
    let mut failure = None;
    match timeout(PING_DEADLINE, exchange(&socket, &Echo::new(), &mut failure)).await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(match failure {
            Some(error) => describe(&error),
            None => format!("no answer within {}", seconds(PING_DEADLINE)),
        }),
    }
}

/// Sends echoes and waits for an answer; false if that has become pointless.
async fn exchange(socket: &UdpSocket, echo: &Echo, failure: &mut Option<io::Error>) -> bool {
    let mut sends = interval(ECHO_INTERVAL);
    let mut tried = 0;
    let mut sent = 0;
    let mut errors = 0;
    let mut packet = [0; PACKET_BYTES_MAX];
    loop {
        tokio::select! {
            biased;
            received = socket.recv(&mut packet) => match received {
                Ok(bytes) => {
                    if packet.get(..bytes).is_some_and(|packet| echo.is_answered_by(packet)) {
                        return true;
                    }
                }
                Err(error) => {
                    *failure = Some(error);
                    errors += 1;
                    if errors == RECEIVE_ERRORS_MAX {
                        return false;
                    }
                }
            },
            _ = sends.tick(), if tried < ECHOES => {
                tried += 1;
                match socket.send(&echo.request(tried)).await {
                    Ok(_) => sent += 1,
                    Err(error) => *failure = Some(error),
                }
                if tried == ECHOES && sent == 0 {
                    return false;
                }
            }
        }
    }
}

/// What makes our echoes ours.
struct Echo {
    identifier: u16,
    /// Unguessable, so that no other program's echo is taken for ours.
    nonce: [u8; 16],
}

impl Echo {
    fn new() -> Self {
        let random = || RandomState::new().hash_one(0_u8);
        let nonce = (u128::from(random()) << 64) | u128::from(random());
        let [high, low, ..] = random().to_be_bytes();
        Self {
            identifier: u16::from_be_bytes([high, low]),
            nonce: nonce.to_be_bytes(),
        }
    }

    /// Returns an echo request; a datagram socket replaces the identifier.
    fn request(&self, sequence: u16) -> Vec<u8> {
        let mut packet = vec![ECHO_REQUEST, 0, 0, 0];
        packet.extend(self.identifier.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.nonce);
        let sum = checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
        packet
    }

    /// Tells whether a packet answers one of our requests.
    fn is_answered_by(&self, packet: &[u8]) -> bool {
        let Some(first) = packet.first() else {
            return false;
        };
        // An IPv4 header begins with a four, an echo reply with a zero.
        let raw = first >> 4 == 4;
        let skipped = if raw {
            (usize::from(first & 0x0f) * 4).max(IP_HEADER_BYTES_MIN)
        } else {
            0
        };
        let Some((header, payload)) = packet
            .get(skipped..)
            .and_then(|message| message.split_at_checked(ICMP_HEADER_BYTES))
        else {
            return false;
        };
        let &[
            kind,
            code,
            _,
            _,
            id_high,
            id_low,
            sequence_high,
            sequence_low,
        ] = header
        else {
            return false;
        };
        let identifier = u16::from_be_bytes([id_high, id_low]);
        let sequence = u16::from_be_bytes([sequence_high, sequence_low]);
        kind == ECHO_REPLY
            && code == 0
            // A datagram socket has an identifier of its own, and gets no others.
            && (!raw || identifier == self.identifier)
            && (1..=ECHOES).contains(&sequence)
            && payload == self.nonce
    }
}

/// Computes the Internet checksum (RFC 1071).
fn checksum(packet: &[u8]) -> u16 {
    let mut sum: u32 = packet
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u32::from(u16::from_be_bytes([high, low])),
            [high] => u32::from(u16::from_be_bytes([high, 0])),
            _ => 0,
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("the loop leaves sixteen bits")
}

/// Looks for signs of life over TCP: a port that accepts or refuses.
async fn alive(
    network: &dyn Network,
    address: Ipv4Addr,
    ports: &[u16],
    missing: &io::Error,
) -> Result<(), Reason> {
    let mut tried: Vec<u16> = ports.iter().copied().take(GIVEN_PORTS_MAX).collect();
    tried.extend(COMMON_PORTS);
    tried.sort_unstable();
    tried.dedup();
    let mut attempts = JoinSet::new();
    for port in &tried {
        let socket = network
            .tcp()
            .map_err(|error| format!("cannot make a socket: {}", describe(&error)))?;
        attempts.spawn(connect_over(socket, SocketAddrV4::new(address, *port)));
    }
    let first_sign = async {
        while let Some(attempt) = attempts.join_next().await {
            if attempt.is_ok_and(|outcome| is_sign_of_life(&outcome)) {
                return true;
            }
        }
        false
    };
    if timeout(PING_DEADLINE, first_sign).await == Ok(true) {
        return Ok(());
    }
    let tried: Vec<String> = tried.iter().map(u16::to_string).collect();
    Err(format!(
        "no socket for echoes ({}), and no sign of life within {} on the TCP ports {}",
        describe(missing),
        seconds(PING_DEADLINE),
        tried.join(", ")
    ))
}

fn is_sign_of_life<T>(outcome: &io::Result<T>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(echo: &Echo, sequence: u16) -> Vec<u8> {
        let mut packet = echo.request(sequence);
        packet[0] = ECHO_REPLY;
        packet
    }

    fn with_ip_header(words: u8, message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x40 | words];
        packet.resize(usize::from(words) * 4, 0);
        packet.extend(message);
        packet
    }

    #[test]
    fn the_checksum_of_a_packet_with_its_checksum_is_zero() {
        // The example of RFC 1071, section 3.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&example), !0xddf2);
        assert_eq!(checksum(&Echo::new().request(7)), 0);
        assert_eq!(checksum(&[0xff; 2048]), 0);
    }

    #[test]
    fn answers_are_told_from_others() {
        let echo = Echo::new();
        let answer = reply(&echo, 2);
        assert!(echo.is_answered_by(&answer));
        assert!(echo.is_answered_by(&with_ip_header(5, &answer)));
        assert!(echo.is_answered_by(&with_ip_header(15, &answer)));

        let mut other_identifier = answer.clone();
        other_identifier[4] ^= 1;
        // Only raw sockets see identifiers of others.
        assert!(echo.is_answered_by(&other_identifier));
        assert!(!echo.is_answered_by(&with_ip_header(5, &other_identifier)));

        assert!(!echo.is_answered_by(&echo.request(2)));
        assert!(!echo.is_answered_by(&with_ip_header(5, &echo.request(2))));
        assert!(!echo.is_answered_by(&reply(&echo, 0)));
        assert!(!echo.is_answered_by(&reply(&echo, ECHOES + 1)));
        assert!(!echo.is_answered_by(&reply(&Echo::new(), 2)));
    }

    #[test]
    fn cut_packets_are_not_answers() {
        let echo = Echo::new();
        for whole in [reply(&echo, 1), with_ip_header(5, &reply(&echo, 1))] {
            for length in 0..whole.len() {
                assert!(!echo.is_answered_by(&whole[..length]), "{length}");
            }
        }
        // A header that claims more or fewer words than there are.
        assert!(!echo.is_answered_by(&[0x4f; 30]));
        assert!(!echo.is_answered_by(&[0x40; 30]));
    }
}
