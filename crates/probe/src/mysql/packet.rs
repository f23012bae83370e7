//! Packets: three bytes of length, a sequence number, a payload.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::reason::{Reason, describe};

/// Bytes of a packet in either direction: a login's largest, the greeting and
/// an error, stay far below, and other protocols' first bytes mostly look longer.
pub(super) const PACKET_BYTES_MAX: usize = 16 * 1024;

const HEADER_BYTES: usize = 4;

/// Reads and writes packets and counts them.
pub(super) struct Channel<S> {
    stream: S,
    sequence: u8,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    pub(super) fn new(stream: S) -> Self {
        Self::with_sequence(stream, 0)
    }

    pub(super) fn with_sequence(stream: S, sequence: u8) -> Self {
        Self { stream, sequence }
    }

    /// Returns the stream and the number of the next packet.
    pub(super) fn into_parts(self) -> (S, u8) {
        (self.stream, self.sequence)
    }

    /// Begins a new exchange.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
    }

    /// Reads the payload of the next packet.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, Reason> {
        let mut header = [0; HEADER_BYTES];
        self.fill(&mut header).await?;
        let [low, middle, high, sequence] = header;
        let length = u32::from_le_bytes([low, middle, high, 0]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > PACKET_BYTES_MAX || sequence != self.sequence {
            return Err("the server does not speak the protocol of MySQL".to_owned());
        }
        self.sequence = self.sequence.wrapping_add(1);
        let mut payload = vec![0; length];
        self.fill(&mut payload).await?;
        Ok(payload)
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Reason> {
        match self.stream.read_exact(buffer).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err("the server closed the connection".to_owned())
            }
            Err(error) => Err(describe(&error)),
        }
    }

    /// Writes a packet.
    pub(super) async fn write(&mut self, payload: &[u8]) -> Result<(), Reason> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= PACKET_BYTES_MAX)
            .ok_or_else(|| format!("the login needs more than {PACKET_BYTES_MAX} bytes"))?;
        let [low, middle, high, _] = length.to_le_bytes();
        let mut packet = vec![low, middle, high, self.sequence];
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        let written = async {
            self.stream.write_all(&packet).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| describe(&error))
    }
}

/// Reads the fields of a payload.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Takes a number of bytes, or nothing if there are fewer.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// Takes a number of two bytes, the low one first.
    pub(super) fn short(&mut self) -> Option<u16> {
        let bytes = self.bytes(2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Takes bytes up to a zero, or all where there is none.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        taken
    }

    /// Takes all that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }
}
