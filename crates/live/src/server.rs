//! Connections of nodes: how many, for how long, and their end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::hub::Controller;
use crate::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, DRAIN_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX,
};
use crate::routes::{Shared, router};

/// Why the server could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The name of the host could not be resolved, or the port is not free.
    #[error("cannot listen for breakpoints on `{host}:{port}`")]
    Listen {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// A server that listens, and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<Arc<str>>,
}

impl Server {
    /// Listens on a host's port; port 0 is any that is free.
    pub async fn listen(host: &str, port: u16) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen {
            host: host.to_owned(),
            port,
            source,
        };
        let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            token: None,
        })
    }

    /// Answers only whoever knows a token: `Authorization: Bearer TOKEN`, or
    /// `?token=TOKEN`. Scripts of the original know none.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests and keeps the deadlines until `end` is there.
    pub async fn run(self, controller: Controller, end: impl Future<Output = ()>) {
        let routes = router(Shared {
            controller: controller.clone(),
            token: self.token,
        });
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (is_over, over) = watch::channel(false);
        let mut connections = JoinSet::new();
        let clock = controller.keep_time();
        tokio::pin!(end, clock);
        loop {
            tokio::select! {
                biased;
                () = &mut end => break,
                () = &mut clock => {}
                Some(_) = connections.join_next() => {}
                accepted = accept(&self.listener, &places) => match accepted {
                    Ok((stream, place)) => {
                        let service = TowerToHyperService::new(routes.clone());
                        connections.spawn(serve(stream, service, place, over.clone()));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        drop(self.listener);
        is_over.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        // Whoever waits for permission then is cut off.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
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
    _place: OwnedSemaphorePermit,
    mut over: watch::Receiver<bool>,
) {
    // Answers are a few bytes, and a process waits for each.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = over.wait_for(|over| *over) => connection.as_mut().graceful_shutdown(),
    }
    // A client that breaks the rules, or goes away, concerns nobody else.
    let _ = connection.await;
}
