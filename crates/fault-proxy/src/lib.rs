//! A proxy for tests that loses, cuts and delays answers.
//!
//! It stands between an adapter and a cloud and passes HTTP on. What it does
//! wrong is a [`Plan`]; what it has done is in [`Counts`]. It knows of HTTP
//! only where a request ends and where its answer ends, so that an answer can
//! be lost *after* the cloud has carried out the request.
//!
//! Architecture invariant: no crate but for its tests uses this one.

mod connection;
mod message;
mod plan;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use message::Reader;
pub use plan::{Fault, Plan};

/// How often is looked whether somebody connects, or the proxy is to end.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(2);

/// More connections than a test opens; beyond it none is accepted.
const CONNECTIONS_MAX: usize = 1024;

/// Where requests are passed on to.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// An address.
    Tcp(SocketAddr),
    /// A socket in the file system, such as that of a Docker engine.
    Unix(PathBuf),
}

/// What a proxy has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Requests that were read to their end.
    pub requests: u64,
    /// Requests that were passed on.
    pub forwarded: u64,
    /// Answers of which the proxy has begun to pass on all.
    pub answered: u64,
    /// Requests that something was done wrong with, delays included.
    pub faults: u64,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    plan: Mutex<Plan>,
    counts: Mutex<Counts>,
    /// The connections by their number, to end them with the proxy.
    open: Mutex<BTreeMap<u64, TcpStream>>,
    is_ending: AtomicBool,
}

/// A running proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy on a free port of the loopback interface.
    pub fn start(upstream: Upstream, plan: Plan) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            plan: Mutex::new(plan),
            counts: Mutex::new(Counts::default()),
            open: Mutex::new(BTreeMap::new()),
            is_ending: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let handle = thread::spawn(move || theirs.accept(&listener));
        Ok(Self {
            address,
            shared,
            listener: Some(handle),
        })
    }

    /// Returns where the proxy listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what it has done so far.
    pub fn counts(&self) -> Counts {
        *locked(&self.shared.counts)
    }

    /// Changes what it does from the next request on.
    pub fn set_plan(&self, plan: Plan) {
        *locked(&self.shared.plan) = plan;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::SeqCst);
        for stream in locked(&self.shared.open).values() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(handle) = self.listener.take() {
            let _ = handle.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut number = 0;
        while !self.is_ending() {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(ACCEPT_INTERVAL);
                continue;
            };
            let Ok(remembered) = stream.try_clone() else {
                continue;
            };
            let mut open = locked(&self.open);
            if open.len() >= CONNECTIONS_MAX || stream.set_nonblocking(false).is_err() {
                continue;
            }
            number += 1;
            open.insert(number, remembered);
            drop(open);
            self.count(|counts| counts.connections += 1);
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let mut client = Reader::new(stream);
                // A connection that breaks is what this proxy is for.
                let _ = connection::serve(&shared, &mut client);
                // The last one who has it closes it, and so resets it where that is wanted.
                locked(&shared.open).remove(&number);
            });
        }
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut locked(&self.counts));
    }

    /// Decides what is done with a request.
    fn fault_for(&self, request: &[u8]) -> Option<Fault> {
        let fault = locked(&self.plan).next(request);
        self.count(|counts| {
            counts.requests += 1;
            counts.faults += u64::from(fault.is_some());
        });
        fault
    }

    fn connect(&self) -> io::Result<Peer> {
        Ok(match &self.upstream {
            Upstream::Tcp(address) => Peer::Tcp(TcpStream::connect(address)?),
            Upstream::Unix(path) => Peer::Unix(UnixStream::connect(path)?),
        })
    }
}

/// A connection to the cloud.
#[derive(Debug)]
enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Peer {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl io::Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl io::Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

/// Locks, also after a thread has panicked: a plan and counts are never half written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
