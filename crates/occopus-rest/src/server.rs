//! The service: where it listens, and what it answers with.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use zenekar_serve::{Limits, Listening};

use crate::limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX};
use crate::operations::Operations;
use crate::routes;

pub use zenekar_serve::ServeError;

/// A service that listens, and answers once it runs.
#[derive(Debug)]
pub struct Server(Listening);

impl Server {
    /// Listens on a host's port; port 0 is any that is free.
    pub async fn listen(host: &str, port: u16) -> Result<Self, ServeError> {
        Listening::on(host, port).await.map(Self)
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers requests until `end` is there, then finishes those at hand.
    pub async fn run(self, operations: Arc<dyn Operations>, end: impl Future<Output = ()>) {
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            head_timeout: HEAD_TIMEOUT,
            head_bytes_max: HEAD_BYTES_MAX,
            headers_max: HEADERS_MAX,
            drain_timeout: DRAIN_TIMEOUT,
        };
        self.0.run(routes::router(operations), limits, end).await;
    }
}
