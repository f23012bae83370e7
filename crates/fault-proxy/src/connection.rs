//! One connection: requests one after the other, each with its answer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::message::{self, Body, Reader};
use crate::{Fault, Peer, Shared};

/// The largest request that is kept in memory; user-data is far smaller.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// How much is thrown away at a time.
const READ_BYTES: usize = 16 << 10;

/// Serves one connection until it ends.
pub(crate) fn serve(shared: &Shared, client: &mut Reader<TcpStream>) -> io::Result<()> {
    let mut cloud: Option<Reader<Peer>> = None;
    while let Some(request) = request(client)? {
        let fault = shared.fault_for(&request);
        match fault {
            Some(Fault::Refuse) => return reset(client.stream()),
            Some(Fault::Swallow) => return hold(client.stream()),
            _ => {}
        }
        let mut upstream = match cloud.take() {
            Some(upstream) => upstream,
            None => Reader::new(shared.connect()?),
        };
        upstream.stream().write_all(&request)?;
        shared.count(|counts| counts.forwarded += 1);
        // From here on the cloud carries the request out: its head says that it did.
        let Some(head) = answer_head(&mut upstream)? else {
            return Ok(());
        };
        let body = message::answer_body(&head, request.starts_with(b"HEAD "));
        match fault {
            Some(Fault::Lose) => return reset(client.stream()),
            Some(Fault::Mute) => return hold(client.stream()),
            Some(Fault::Cut(count)) => return cut(&mut upstream, &head, body, count, client),
            Some(Fault::Delay(delay)) => thread::sleep(delay),
            Some(Fault::Refuse | Fault::Swallow) | None => {}
        }
        client.stream().write_all(&head)?;
        if body == Body::UntilClosed {
            return tunnel(upstream, client, shared);
        }
        // Before its end, so that who has read it all sees it counted.
        shared.count(|counts| counts.answered += 1);
        upstream.body(body, |part| client.stream().write_all(part))?;
        cloud = Some(upstream);
    }
    Ok(())
}

/// Reads one request as it is; none if there is none any more.
fn request(client: &mut Reader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let Some(mut request) = client.head()? else {
        return Ok(None);
    };
    let body = message::request_body(&request);
    if has_expectation(&request) {
        client
            .stream()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    client.body(body, |part| {
        if request.len() + part.len() > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        request.extend_from_slice(part);
        Ok(())
    })?;
    Ok(Some(request))
}

/// Says whether a client waits before it sends the body.
fn has_expectation(head: &[u8]) -> bool {
    String::from_utf8_lossy(head)
        .to_ascii_lowercase()
        .contains("\r\nexpect: 100-continue")
}

/// Reads the head of the answer that is meant.
fn answer_head(upstream: &mut Reader<Peer>) -> io::Result<Option<Vec<u8>>> {
    loop {
        match upstream.head()? {
            Some(head) if message::is_interim(&head) => {}
            other => return Ok(other),
        }
    }
}

/// Ends a connection so that the other side sees a reset, not an end.
fn reset(client: &TcpStream) -> io::Result<()> {
    rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO))?;
    Ok(())
}

/// Says nothing any more until the other side, or the proxy, gives up.
fn hold(client: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; READ_BYTES];
    while client.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Passes on the first bytes of an answer, then ends the connection.
fn cut(
    upstream: &mut Reader<Peer>,
    head: &[u8],
    body: Body,
    count: usize,
    client: &mut Reader<TcpStream>,
) -> io::Result<()> {
    let mut left = count;
    let mut give = |part: &[u8]| {
        let part = &part[..part.len().min(left)];
        left -= part.len();
        client.stream().write_all(part)?;
        if left == 0 {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    };
    give(head)?;
    upstream.body(body, give)
}

/// Passes on what is no HTTP any more, in both directions.
fn tunnel(
    upstream: Reader<Peer>,
    client: &mut Reader<TcpStream>,
    shared: &Shared,
) -> io::Result<()> {
    let (early, mut cloud) = upstream.into_parts();
    let from_client = client.take_rest();
    let client = client.stream();
    client.write_all(&early)?;
    cloud.write_all(&from_client)?;
    let (mut cloud_writer, mut client_reader) = (cloud.try_clone()?, client.try_clone()?);
    let upwards = thread::spawn(move || {
        // Who stops to send may still read.
        let _ = io::copy(&mut client_reader, &mut cloud_writer);
        let _ = cloud_writer.shutdown_write();
    });
    let copied = io::copy(&mut cloud, client);
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = upwards.join();
    shared.count(|counts| counts.answered += 1);
    copied.map(|_| ())
}
