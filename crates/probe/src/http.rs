//! URLs that answer `HEAD` with success.

use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::reason::{Reason, describe, seconds};
use crate::url::Target;
use crate::{Network, dial, tls};

/// A URL answers within this time, redirections included: longer than a page
/// should take, shorter than a client waits.
const URL_DEADLINE: Duration = Duration::from_secs(5);

/// Redirections that are followed. A new scheme, a new name, a page to log in
/// and a slash at the end make four; more is mostly a circle.
const REDIRECTS_MAX: u32 = 5;

/// Bytes of an answer's head: twice what common servers send at most.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Checks that a URL, or what it redirects to, answers `HEAD` with a status from 200 to 299.
pub(crate) async fn check(network: &dyn Network, target: Target) -> Result<(), Reason> {
    let mut waiting_for = "answer";
    match timeout(URL_DEADLINE, follow(network, target, &mut waiting_for)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no {waiting_for} within {}", seconds(URL_DEADLINE))),
    }
}

async fn follow(
    network: &dyn Network,
    mut target: Target,
    waiting_for: &mut &'static str,
) -> Result<(), Reason> {
    let mut trail = String::new();
    for _ in 0..=REDIRECTS_MAX {
        let response = head(network, &target, waiting_for)
            .await
            .map_err(|reason| format!("{trail}{reason}"))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let location = match status.as_u16() {
            301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
            _ => None,
        };
        let Some(location) = location else {
            return Err(format!("{trail}status {}", status.as_u16()));
        };
        let location = str::from_utf8(location.as_bytes())
            .map_err(|_| format!("{trail}redirected to something that is not a valid URL"))?;
        target = target
            .redirected(location)
            .map_err(|reason| format!("{trail}{reason}"))?;
        trail = format!("redirected to `{}`: ", target.shown());
    }
    Err(format!("more than {REDIRECTS_MAX} redirections"))
}

/// Sends one request over a connection of its own.
async fn head(
    network: &dyn Network,
    target: &Target,
    waiting_for: &mut &'static str,
) -> Result<Response<Incoming>, Reason> {
    let mut request = Request::builder()
        .method(Method::HEAD)
        .uri(target.path.as_str())
        .header(HOST, target.host_header())
        .header(USER_AGENT, "zenekar")
        .header(CONNECTION, "close");
    if let Some(authorization) = &target.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("cannot be asked for: {error}"))?;
    *waiting_for = "connection";
    let addresses = dial::resolve(&target.host).await?;
    let stream = dial::connect(network, &addresses, target.port).await?;
    if target.secure {
        *waiting_for = "TLS handshake";
        let stream = tls::start(&target.host, stream).await?;
        *waiting_for = "answer";
        exchange(stream, request).await
    } else {
        *waiting_for = "answer";
        exchange(stream, request).await
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, Reason>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| in_words(&error))?;
    let mut connection = pin!(connection);
    let mut answer = pin!(sender.send_request(request));
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        // The connection drives the request. When it ends, the request has
        // its answer or its error.
        _ = &mut connection => answer.await,
    };
    answered.map_err(|error| in_words(&error))
}

/// Says what went wrong; the library's own words leave out the cause.
fn in_words(error: &hyper::Error) -> Reason {
    if let Some(cause) = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>())
    {
        return describe(cause);
    }
    if error.is_incomplete_message() || error.is_canceled() {
        return "connection closed without an answer".to_owned();
    }
    if error.is_parse() {
        return format!("not an HTTP answer ({error})");
    }
    error.to_string()
}
