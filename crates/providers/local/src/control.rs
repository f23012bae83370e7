//! Questions and answers over Unix sockets, with descriptors where an answer is one.
//!
//! One connection carries one question and one answer, each a line of JSON.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message: the names of some ten thousand instances.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The longest message of a conversation: user-data with all that JSON adds to it.
const LINK_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long the other side may take for one part of a message.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Listens at a path; a socket that a dead process left there is replaced.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_directory, short) = short_path(path)?;
    UnixListener::bind(short)
}

/// Connects to whoever listens at a path.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let (_directory, short) = short_path(path)?;
    let stream = UnixStream::connect(short)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Asks whoever listens at a path.
pub(crate) fn ask<Q: Serialize, A: DeserializeOwned>(
    path: &Path,
    question: &Q,
) -> io::Result<(A, Option<OwnedFd>)> {
    let stream = connect(path)?;
    send(&stream, question, None)?;
    receive(&stream)
}

/// Sends a message, with a descriptor if there is one.
pub(crate) fn send<M: Serialize>(
    stream: &UnixStream,
    message: &M,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.map(|descriptor| [descriptor]);
    if let Some(descriptors) = &descriptors {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let mut sent = rustix::net::sendmsg(
        stream,
        &[IoSlice::new(&bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    while sent < bytes.len() {
        let more = rustix::net::send(stream, &bytes[sent..], SendFlags::NOSIGNAL)?;
        if more == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        sent += more;
    }
    Ok(())
}

/// Receives a message, with a descriptor if one comes with it.
pub(crate) fn receive<M: DeserializeOwned>(
    stream: &UnixStream,
) -> io::Result<(M, Option<OwnedFd>)> {
    let mut bytes = vec![0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    bytes.truncate(received.bytes);
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let mut reader = stream;
    while !bytes.ends_with(b"\n") {
        let mut piece = [0; 4096];
        let count = reader.read(&mut piece)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the message is too long",
            ));
        }
    }
    Ok((serde_json::from_slice(&bytes)?, descriptor))
}

/// A lasting conversation, in which many messages go both ways.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    /// What has come and was not taken yet.
    buffer: Vec<u8>,
}

impl Link {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn send<M: Serialize>(&self, message: &M) -> io::Result<()> {
        send(&self.stream, message, None)
    }

    /// Says whether a message is there without waiting.
    pub(crate) fn has_message(&self) -> bool {
        self.buffer.contains(&b'\n')
    }

    /// Takes the next message; waits until there is one.
    pub(crate) fn next<M: DeserializeOwned>(&mut self) -> io::Result<M> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Ok(serde_json::from_slice(&line)?);
            }
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&piece[..count]);
            if self.buffer.len() > LINK_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the message is too long",
                ));
            }
        }
    }
}

/// Returns a short path to the same file: the address of a Unix socket has
/// room for 107 bytes only. It is good while the directory stays open.
fn short_path(path: &Path) -> io::Result<(File, PathBuf)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = File::open(parent)?;
    let number = directory.as_fd().as_raw_fd();
    let short = PathBuf::from(format!("/proc/self/fd/{number}")).join(name);
    Ok((directory, short))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn descriptors_travel_and_paths_may_be_long() {
        let directory = tempfile::tempdir().expect("a directory");
        let deep = directory.path().join("x".repeat(120));
        fs::create_dir(&deep).expect("it is writable");
        let path = deep.join("control");
        let listener = listen(&path).expect("a long path is fine");
        let client = std::thread::spawn(move || ask::<_, String>(&path, &"who"));
        let (stream, _) = listener.accept().expect("somebody asks");
        let (question, none) = receive::<String>(&stream).expect("a question");
        assert_eq!((question.as_str(), none.is_none()), ("who", true));
        let (reader, writer) = io::pipe().expect("a pipe");
        send(&stream, &"me", Some(writer.as_fd())).expect("an answer");
        drop(writer);
        let (answer, descriptor) = client.join().expect("no panic").expect("an answer");
        assert_eq!(answer, "me");
        let mut file = File::from(descriptor.expect("a descriptor"));
        file.write_all(b"through").expect("the pipe is open");
        drop(file);
        assert_eq!(
            io::read_to_string(reader).expect("the pipe closes"),
            "through"
        );
    }
}
