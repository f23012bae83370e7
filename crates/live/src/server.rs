//! The service that nodes report to: where it listens, and whom it answers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use zenekar_serve::{Limits, Listening};

use crate::hub::Controller;
use crate::limits::{CONNECTIONS_MAX, DRAIN_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX};
use crate::routes::{Shared, router};

pub use zenekar_serve::ServeError;

/// A server that listens, and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listening: Listening,
    token: Option<Arc<str>>,
}

impl Server {
    /// Listens on a host's port; port 0 is any that is free.
    pub async fn listen(host: &str, port: u16) -> Result<Self, ServeError> {
        let listening = Listening::on(host, port).await?;
        Ok(Self {
            listening,
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
        self.listening.address()
    }

    /// Answers requests and keeps the deadlines until `end` is there. Whoever
    /// waits for permission then is cut off.
    pub async fn run(self, controller: Controller, end: impl Future<Output = ()>) {
        let routes = router(Shared {
            controller: controller.clone(),
            token: self.token,
        });
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            head_timeout: HEAD_TIMEOUT,
            head_bytes_max: HEAD_BYTES_MAX,
            headers_max: HEADERS_MAX,
            drain_timeout: DRAIN_TIMEOUT,
        };
        tokio::select! {
            () = self.listening.run(routes, limits, end) => {}
            // Which has no end.
            () = controller.keep_time() => {}
        }
    }
}
