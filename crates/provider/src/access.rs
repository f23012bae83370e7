//! Looking into instances: logs, commands inside, connections to ports.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use zenekar_base::ResourceId;

/// Which output of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// What contextualisation printed.
    Contextualisation,
    /// What the instance's console shows.
    Console,
}

/// Asks for a piece of an instance's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// The instance's resource.
    pub resource: ResourceId,
    /// Which output.
    pub source: LogSource,
    /// Where to begin, in bytes.
    pub from: u64,
    /// Bytes that are wanted at most.
    pub bytes_max: usize,
}

/// A piece of an instance's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// The piece; empty at the end of what there is now.
    pub data: Vec<u8>,
    /// Where the next piece begins, in bytes.
    pub next: u64,
}

/// Asks how to run a command inside an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnterRequest {
    /// The instance's resource.
    pub resource: ResourceId,
    /// The command and its arguments; empty asks for a shell.
    pub command: Vec<OsString>,
}

/// A program of this machine that runs a command inside an instance: it is run
/// with the caller's terminal, and its exit code is the command's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnterCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// How a port of an instance is reached from this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Under this address.
    Direct(SocketAddr),
    /// Only through connections that the provider makes.
    Through,
}
