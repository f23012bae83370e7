//! Connections to services of our own: how many, for how long, and their end.
//!
//! `axum::serve` bounds neither the number of connections nor how long a client
//! may take to say what it wants, so connections are accepted here.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// How long a service waits after it could not accept a connection, mostly
/// because the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How much a service takes at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// How long a client may take to send the head of a request, and how long a
    /// connection may lie idle before the next one.
    pub head_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// How long requests that are being answered may take when the service ends.
    pub drain_timeout: Duration,
}

/// Why a service could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The name of the host could not be resolved, or the port is not free.
    #[error("cannot listen on `{host}:{port}`")]
    Listen {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// A service that listens, and answers once it runs.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Listens on a host's port; port 0 is any that is free.
    pub async fn on(host: &str, port: u16) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen {
            host: host.to_owned(),
            port,
            source,
        };
        let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `end` is there, then finishes those at hand.
    pub async fn run(self, routes: axum::Router, limits: Limits, end: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let (is_over, over) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                Some(_) = connections.join_next() => {}
                accepted = accept(&self.listener, &places) => match accepted {
                    Ok((stream, place)) => {
                        let service = TowerToHyperService::new(routes.clone());
                        connections.spawn(serve(stream, service, limits, place, over.clone()));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        drop(self.listener);
        is_over.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        // Whoever is not done by then is cut off.
        let _ = tokio::time::timeout(limits.drain_timeout, drained).await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn serve(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    limits: Limits,
    _place: OwnedSemaphorePermit,
    mut over: watch::Receiver<bool>,
) {
    // Answers are small, and nobody wants to wait for the next one to fill a packet.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = over.wait_for(|over| *over) => connection.as_mut().graceful_shutdown(),
    }
    // A client that breaks the rules, or goes away, concerns nobody else.
    let _ = connection.await;
}
