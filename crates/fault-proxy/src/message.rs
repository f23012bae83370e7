//! Where a message of HTTP ends.

use std::io::{self, Read};

/// The longest head; clouds allow less.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// The longest line between the chunks of a body.
const LINE_BYTES_MAX: usize = 4096;

/// How much is read at a time.
const READ_BYTES: usize = 16 << 10;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunked,
    /// It ends with the connection, or the connection is no HTTP from here on.
    UntilClosed,
}

/// Reads messages from a stream, and keeps what comes after them.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    stream: R,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    pub(crate) const fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Returns what was read beyond the last message, and the stream.
    pub(crate) fn into_parts(self) -> (Vec<u8>, R) {
        (self.buffer, self.stream)
    }

    /// Returns what was read beyond the last message.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    pub(crate) const fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Reads a head with the empty line at its end; none if the stream ends before.
    pub(crate) fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(self.take(at + 4)));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(invalid("a head without an end"));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads a body, and gives each part of it to a function as it comes.
    pub(crate) fn body(
        &mut self,
        body: Body,
        mut give: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match body {
            Body::Length(length) => self.bytes(length, &mut give),
            Body::UntilClosed => loop {
                let part = std::mem::take(&mut self.buffer);
                if !part.is_empty() {
                    give(&part)?;
                }
                if !self.fill()? {
                    return Ok(());
                }
            },
            Body::Chunked => loop {
                let line = self.line()?;
                let text = String::from_utf8_lossy(&line);
                let digits = text.split([';', '\r']).next().unwrap_or("").trim();
                let length = u64::from_str_radix(digits, 16)
                    .map_err(|_| invalid("a chunk without a length"))?;
                give(&line)?;
                if length > 0 {
                    self.bytes(length, &mut give)?;
                    give(&self.line()?)?;
                    continue;
                }
                // Trailers, up to an empty line.
                loop {
                    let line = self.line()?;
                    give(&line)?;
                    if line == b"\r\n" {
                        return Ok(());
                    }
                }
            },
        }
    }

    fn bytes(
        &mut self,
        length: u64,
        give: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() && !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count =
                usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            let part = self.take(count);
            give(&part)?;
            left -= part.len() as u64;
        }
        Ok(())
    }

    /// Reads a line with its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                return Ok(self.take(at + 2));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(invalid("a line without an end"));
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads more; says whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        let start = self.buffer.len();
        self.buffer.resize(start + READ_BYTES, 0);
        let count = self.stream.read(&mut self.buffer[start..]);
        self.buffer
            .truncate(start + count.as_ref().map_or(0, |count| *count));
        Ok(count? > 0)
    }
}

/// Returns how the body of a request ends.
pub(crate) fn request_body(head: &[u8]) -> Body {
    if is_chunked(head) {
        return Body::Chunked;
    }
    Body::Length(length(head).unwrap_or(0))
}

/// Returns how the body of an answer ends.
pub(crate) fn answer_body(head: &[u8], is_head_request: bool) -> Body {
    let status = String::from_utf8_lossy(head)
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(101) => Body::UntilClosed,
        _ if is_head_request => Body::Length(0),
        Some(204 | 304 | 100..=199) => Body::Length(0),
        _ if is_chunked(head) => Body::Chunked,
        _ => length(head).map_or(Body::UntilClosed, Body::Length),
    }
}

/// Says whether an answer is followed by the one that is meant (100 to 199, but not 101).
pub(crate) fn is_interim(head: &[u8]) -> bool {
    head.get(9).is_some_and(|digit| *digit == b'1') && head.get(9..12) != Some(b"101")
}

fn is_chunked(head: &[u8]) -> bool {
    field(head, "transfer-encoding")
        .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
}

fn length(head: &[u8]) -> Option<u64> {
    field(head, "content-length")?.parse().ok()
}

/// Returns the value of a field of a head.
fn field(head: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    text.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drip<'t>(&'t [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            (buffer[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn messages_end_where_they_say() {
        let text = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nde\r\n0\r\n\r\n";
        let mut reader = Reader::new(Drip(text));
        let mut bodies = Vec::new();
        while let Some(head) = reader.head().unwrap() {
            let mut body = Vec::new();
            let give = |part: &[u8]| {
                body.extend_from_slice(part);
                Ok(())
            };
            reader.body(request_body(&head), give).unwrap();
            bodies.push(String::from_utf8(body).unwrap());
        }
        assert_eq!(bodies, ["abc", "", "2;x\r\nde\r\n0\r\n\r\n"]);
    }

    #[test]
    fn answers_end_by_their_status_too() {
        let body = |head: &str, is_head| answer_body(head.as_bytes(), is_head);
        assert_eq!(body("HTTP/1.1 204 No\r\n\r\n", false), Body::Length(0));
        assert_eq!(body("HTTP/1.1 200 OK\r\n\r\n", false), Body::UntilClosed);
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
        assert_eq!(
            (body(long, false), body(long, true)),
            (Body::Length(7), Body::Length(0))
        );
        assert_eq!(body("HTTP/1.1 101 Up\r\n\r\n", false), Body::UntilClosed);
        assert!(is_interim(b"HTTP/1.1 100 Continue\r\n\r\n") && !is_interim(b"HTTP/1.1 101 x"));
    }
}
