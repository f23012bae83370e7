//! HTTP calls to clouds: bounded, with failures told apart by what they may
//! have done.
//!
//! A call either was surely not sent, or was answered, or may have had its
//! effect. Nothing is repeated here and no redirection is followed: both are
//! decisions of those who know what the call means. Proxies of the environment
//! (`HTTPS_PROXY`, `NO_PROXY`…) are used, and the machine's certificates.

mod echo;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

pub use reqwest::Method;
pub use reqwest::Url;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use zenekar_base::{ErrorClass, ProviderError};

use crate::echo::Echoes;

/// The longest answer that is read if a request does not say otherwise: ten
/// thousand instances in one list are below it.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long connecting may take: what takes longer is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept: shorter than what servers and
/// firewalls between keep, so that a call seldom meets a dead one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The first status whose body is words about what went wrong.
const FAILURE_STATUS_MIN: u16 = 300;

/// One request.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The full address.
    pub url: Url,
    /// Its headers; may hold secrets, which is why a request cannot be printed.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// Secrets in the body. Where an answer that is no success repeats them, or
    /// headers that are marked as sensitive, they are masked.
    pub secrets: Vec<SecretString>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// Bytes that the answer may have.
    pub answer_bytes_max: usize,
}

impl HttpRequest {
    /// Makes a request without headers and body that may take a minute.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Vec::new(),
            secrets: Vec::new(),
            timeout: Duration::from_mins(1),
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, place_of(&self.url))
    }
}

/// One complete answer, whatever its status.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// Returns a header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the pause that the answer asks for, if it is given in seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// No complete answer came.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request was surely not sent.
    #[error("cannot reach {place}: {reason}")]
    NotSent {
        /// The server.
        place: String,
        /// Why, with all causes.
        reason: String,
    },
    /// The request may have had its effect.
    #[error("no answer from {place}: {reason}")]
    Unanswered {
        /// The server.
        place: String,
        /// Why, with all causes.
        reason: String,
    },
    /// The answer was longer than allowed; the request had its effect.
    #[error("the answer of {place} is longer than {bytes_max} bytes")]
    TooLong {
        /// The server.
        place: String,
        /// The bound.
        bytes_max: usize,
    },
    /// No client could be made.
    #[error("cannot prepare HTTP: {reason}")]
    Setup {
        /// Why.
        reason: String,
    },
}

impl HttpError {
    /// Returns the class of the failure, for a call that changes something.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotSent { .. } => ErrorClass::Retryable,
            Self::Unanswered { .. } | Self::TooLong { .. } => ErrorClass::Unknown,
            Self::Setup { .. } => ErrorClass::Invalid,
        }
    }

    /// Returns the class of the failure, for a call that only reads: it can
    /// always be repeated.
    pub const fn class_of_reading(&self) -> ErrorClass {
        match self {
            Self::NotSent { .. } | Self::Unanswered { .. } => ErrorClass::Retryable,
            Self::TooLong { .. } | Self::Setup { .. } => ErrorClass::Invalid,
        }
    }
}

impl From<HttpError> for ProviderError {
    fn from(error: HttpError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

/// How servers are trusted.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Certificates (PEM) that are trusted besides the machine's.
    pub certificates: Vec<Vec<u8>>,
    /// Whether any certificate is taken; only where the user asked for it.
    pub accepts_any_certificate: bool,
}

/// Makes calls, and keeps connections between them.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
}

impl HttpClient {
    /// Makes a client.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        Self::build(settings, |builder| builder)
    }

    /// Makes a client that asks no proxy, whatever the environment says: for
    /// servers that only this machine reaches, see [`is_nearby`].
    pub fn without_proxies(settings: &HttpSettings) -> Result<Self, HttpError> {
        Self::build(settings, reqwest::ClientBuilder::no_proxy)
    }

    fn build(
        settings: &HttpSettings,
        finish: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, HttpError> {
        // Fails only if somebody was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let setup = |error: reqwest::Error| HttpError::Setup {
            reason: reason_of(&error),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("zenekar/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tls_danger_accept_invalid_certs(settings.accepts_any_certificate);
        let mut certificates = Vec::new();
        for certificate in &settings.certificates {
            certificates.extend(reqwest::Certificate::from_pem_bundle(certificate).map_err(setup)?);
        }
        if !certificates.is_empty() {
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            client: finish(builder).build().map_err(setup)?,
        })
    }

    /// Makes one call.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpAnswer, HttpError> {
        let place = place_of(&request.url);
        let bytes_max = request.answer_bytes_max;
        let echoes = Echoes::of(&request.headers, &request.secrets);
        let sent = self
            .client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .timeout(request.timeout)
            .send()
            .await;
        let mut answer = sent.map_err(|error| failure(&place, &error))?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let mut body = Vec::new();
        while let Some(piece) = answer
            .chunk()
            .await
            .map_err(|error| failure(&place, &error))?
        {
            if body.len() + piece.len() > bytes_max {
                return Err(HttpError::TooLong { place, bytes_max });
            }
            body.extend_from_slice(&piece);
        }
        if status >= FAILURE_STATUS_MIN {
            body = echoes.mask(body);
        }
        Ok(HttpAnswer {
            status,
            headers,
            body,
        })
    }
}

/// A client that several adapters share.
pub type SharedHttpClient = Arc<HttpClient>;

fn failure(place: &str, error: &reqwest::Error) -> HttpError {
    let place = place.to_owned();
    let reason = reason_of(error);
    if error.is_connect() || error.is_builder() {
        HttpError::NotSent { place, reason }
    } else {
        HttpError::Unanswered { place, reason }
    }
}

/// Addresses of Amazon's metadata services beyond the link-local ones.
const METADATA_ADDRESSES: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
];

/// Says whether an address leads to this machine or to the services that a
/// cloud gives to each machine of its own (loopback, link-local, metadata). A
/// proxy would ask its own machine's, and could read what is answered.
pub fn is_nearby(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.is_loopback() || address.is_link_local(),
            None => {
                address.is_loopback()
                    || address.is_unicast_link_local()
                    || METADATA_ADDRESSES.contains(&address)
            }
        },
        Err(_) => {
            let host = host.trim_end_matches('.');
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

/// Returns the server of an address: paths and queries can hold secrets.
fn place_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("no host");
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// Returns the innermost causes in one line, without the address.
fn reason_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut reasons: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(one) = cause {
        let text = one.to_string();
        if reasons.last().is_none_or(|last| *last != text) {
            reasons.push(text);
        }
        cause = one.source();
    }
    if reasons.is_empty() {
        return "the exchange failed".to_owned();
    }
    reasons.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_machine_reaches_is_told() {
        for (address, wanted) in [
            ("http://127.0.0.1:51678/creds", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:80/", true),
            ("http://localhost:1/", true),
            ("http://LOCALHOST./", true),
            ("http://169.254.169.254/latest/", true),
            ("http://169.254.170.2/v2/x", true),
            ("http://[::ffff:169.254.169.254]/", true),
            ("http://[fe80::1]/", true),
            ("http://[fd00:ec2::254]/latest/", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://[fd00:ec2::1]/", false),
            ("http://169.253.0.1/", false),
            ("http://10.0.0.1/", false),
            ("https://ec2.eu-west-1.amazonaws.com/", false),
            ("http://localhost.example.com/", false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(is_nearby(&url), wanted, "{address}");
        }
    }
}
