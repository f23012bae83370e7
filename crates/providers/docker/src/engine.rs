//! The connection to an engine.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;
use zenekar_base::{ErrorClass, ProviderError};

use crate::error::failed;
use crate::settings::Endpoint;

/// How long one request may take until its answer begins, in seconds: less
/// than the minute after which the caller gives a call up, so that it ends
/// with a reason.
const REQUEST_PATIENCE_S: u64 = 50;

/// How long an engine may take to say which version it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);

/// An engine, which is connected to when it is first needed.
#[derive(Debug)]
pub(crate) struct Engine {
    endpoint: Endpoint,
    connected: OnceCell<Docker>,
}

impl Engine {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            connected: OnceCell::new(),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the engine's interface, in the newest version that both sides know.
    pub(crate) async fn docker(&self) -> Result<&Docker, ProviderError> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Docker, ProviderError> {
        let operation = || format!("reach the engine at `{}`", self.endpoint);
        let docker = self.client().map_err(failed(operation()))?;
        let greeting = tokio::time::timeout(GREETING_PATIENCE, docker.negotiate_version()).await;
        match greeting {
            Ok(greeted) => greeted.map_err(|error| {
                let mut error = failed(operation())(error);
                // Asking for the version changes nothing.
                if error.class == ErrorClass::Unknown {
                    error.class = ErrorClass::Retryable;
                }
                error
            }),
            Err(_) => Err(ProviderError::new(
                ErrorClass::Retryable,
                format!(
                    "cannot {}: no answer within {} s",
                    operation(),
                    GREETING_PATIENCE.as_secs()
                ),
            )),
        }
    }

    fn client(&self) -> Result<Docker, bollard::errors::Error> {
        match &self.endpoint {
            Endpoint::Socket(path) => Docker::connect_with_unix(
                &path.to_string_lossy(),
                REQUEST_PATIENCE_S,
                API_DEFAULT_VERSION,
            ),
            Endpoint::Plain { host, port } => Docker::connect_with_http(
                &format!("http://{host}:{port}"),
                REQUEST_PATIENCE_S,
                API_DEFAULT_VERSION,
            ),
            Endpoint::Tls { host, port, folder } => Docker::connect_with_ssl(
                &format!("https://{host}:{port}"),
                &folder.join("key.pem"),
                &folder.join("cert.pem"),
                &folder.join("ca.pem"),
                REQUEST_PATIENCE_S,
                API_DEFAULT_VERSION,
            ),
        }
    }
}
