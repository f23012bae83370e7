//! Calls to the services of one `OpenStack`: token, catalog, versions.
//!
//! A token is got with the first call, kept, renewed before it ends, and got
//! again once when a service refuses it: a refused call surely had no effect.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::sync::{Mutex, OnceCell};
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_http::{
    HeaderValue, HttpAnswer, HttpClient, HttpError, HttpRequest, HttpSettings, Method, Url,
};

use crate::failure::{Purpose, error_of};
use crate::keystone::{self, Token};
use crate::page::{Listed, Page};
use crate::settings::OpenStackSettings;

/// How long a call that reads may take; below the engine's patience, so that
/// the reason is told.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call that changes something may take: Nova talks to four other
/// services before it answers.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(50);

/// Things on one page; what services allow at most by default.
const PAGE_ITEMS: &str = "1000";

/// Pages of one list: a fifth of a million things in one project is no list.
const PAGES_MAX: usize = 200;

/// A token is renewed this long before it ends, or in the last quarter of a short life.
const RENEWAL_MARGIN: Duration = Duration::from_mins(2);

tokio::task_local! {
    /// Whether nobody waits any more for what a task does.
    pub(crate) static ABANDONED: Arc<AtomicBool>;
}

/// Refuses a change for which nobody waits any more: it would come after the
/// caller has decided what to make of the call.
fn refuse_if_abandoned(operation: &str) -> Result<(), ProviderError> {
    match ABANDONED.try_with(|abandoned| abandoned.load(Ordering::SeqCst)) {
        Ok(true) => Err(ProviderError::new(
            ErrorClass::Retryable,
            format!("{operation}: not begun, because nobody waits for it any more"),
        )),
        _ => Ok(()),
    }
}

/// What stays readable in a piece of a path or query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The services that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Nova.
    Compute,
    /// Glance.
    Image,
    /// Neutron.
    Network,
}

impl Service {
    /// Returns the type as catalogs have it.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Image => "image",
            Self::Network => "network",
        }
    }

    /// Returns where calls go, given what the catalog says: some catalogs name a
    /// version and a project, some only the server.
    fn base_of(self, endpoint: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        match self {
            Self::Compute if version_end(endpoint).is_some() => endpoint.to_owned(),
            Self::Compute => format!("{endpoint}/v2.1"),
            Self::Image => format!("{}/v2", without_version(endpoint)),
            Self::Network => format!("{}/v2.0", without_version(endpoint)),
        }
    }
}

/// Finds the end of the segment of a path that is a version: `v2.1`.
fn version_end(address: &str) -> Option<usize> {
    let mut end = 0;
    for segment in address.split('/') {
        end += segment.len();
        let number = segment.strip_prefix('v').unwrap_or_default();
        if !number.is_empty() && number.chars().all(|one| one.is_ascii_digit() || one == '.') {
            return Some(end);
        }
        end += 1;
    }
    None
}

fn without_version(address: &str) -> &str {
    version_end(address).map_or(address, |end| {
        let version = address[..end].rfind('/').unwrap_or(end);
        &address[..version]
    })
}

/// A microversion of Nova: the number after `2.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Microversion(pub(crate) u32);

/// One call.
pub(crate) struct Ask<'a> {
    /// What it does, for messages: create server, list ports.
    pub(crate) operation: &'a str,
    pub(crate) service: Service,
    pub(crate) method: Method,
    /// The path below the service's base: segments are encoded by [`segment`].
    pub(crate) path: String,
    pub(crate) query: Vec<(&'a str, String)>,
    pub(crate) body: Option<Json>,
    /// The microversion; none is the oldest, which every installation has.
    pub(crate) microversion: Option<Microversion>,
    /// A condition on the state of what is changed.
    pub(crate) if_match: Option<String>,
    /// Whether it only reads, whatever the method says.
    pub(crate) only_reads: bool,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(
        operation: &'a str,
        service: Service,
        method: Method,
        path: impl Into<String>,
    ) -> Self {
        Self {
            operation,
            service,
            path: path.into(),
            query: Vec::new(),
            body: None,
            microversion: None,
            only_reads: method == Method::GET,
            method,
            if_match: None,
        }
    }

    pub(crate) fn get(operation: &'a str, service: Service, path: impl Into<String>) -> Self {
        Self::new(operation, service, Method::GET, path)
    }

    pub(crate) fn post(
        operation: &'a str,
        service: Service,
        path: impl Into<String>,
        body: Json,
    ) -> Self {
        let mut ask = Self::new(operation, service, Method::POST, path);
        ask.body = Some(body);
        ask
    }

    pub(crate) fn query(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn microversion(mut self, version: Option<Microversion>) -> Self {
        self.microversion = version;
        self
    }

    fn purpose(&self) -> Purpose {
        if self.only_reads {
            Purpose::Read
        } else {
            Purpose::Change
        }
    }
}

/// Encodes one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Makes the error of a request that can never succeed.
pub(crate) fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorClass::Invalid, message)
}

/// The connection to one `OpenStack`.
pub(crate) struct Session {
    http: HttpClient,
    settings: OpenStackSettings,
    token: Mutex<Option<Held>>,
    microversion_max: OnceCell<Option<Microversion>>,
    extensions: OnceCell<BTreeSet<String>>,
}

struct Held {
    token: Arc<Token>,
    renew_at: Instant,
}

impl Session {
    pub(crate) fn new(settings: OpenStackSettings) -> Result<Self, ProviderError> {
        let http = HttpClient::new(&HttpSettings {
            certificates: settings.certificates.clone(),
            accepts_any_certificate: settings.accepts_any_certificate,
        })?;
        Ok(Self {
            http,
            settings,
            token: Mutex::new(None),
            microversion_max: OnceCell::new(),
            extensions: OnceCell::new(),
        })
    }

    pub(crate) fn settings(&self) -> &OpenStackSettings {
        &self.settings
    }

    /// Returns a token that is good for a while.
    pub(crate) async fn token(&self) -> Result<Arc<Token>, ProviderError> {
        let mut held = self.token.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.renew_at) {
            return Ok(held.token.clone());
        }
        let token = Arc::new(self.authenticate().await?);
        let margin = RENEWAL_MARGIN.min(token.life / 4);
        let renew_at = Instant::now() + token.life.saturating_sub(margin);
        *held = Some(Held {
            token: token.clone(),
            renew_at,
        });
        Ok(token)
    }

    /// Forgets a token that was refused, unless somebody has got another one since.
    async fn forget(&self, token: &Arc<Token>) {
        let mut held = self.token.lock().await;
        if held
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(&held.token, token))
        {
            *held = None;
        }
    }

    async fn authenticate(&self) -> Result<Token, ProviderError> {
        let operation = "authenticate at Keystone";
        let address = format!("{}/auth/tokens", keystone::base_of(&self.settings.endpoint));
        let mut request = HttpRequest::new(Method::POST, Self::url_of(operation, &address)?);
        request.timeout = READ_TIMEOUT;
        request
            .headers
            .insert("content-type", HeaderValue::from_static("application/json"));
        request.body = keystone::body_of(&self.settings.authentication)
            .to_string()
            .into_bytes();
        request.secrets = keystone::secrets_of(&self.settings.authentication);
        let answer = self.http.call(request).await;
        let answer = answer.map_err(|error| reading_error(operation, &error))?;
        match answer.status {
            200..=299 => Token::read(&answer),
            // A project or user that is not there, or another service that answers here.
            404 | 300..=399 => {
                let mut error = error_of(operation, Purpose::Read, &answer);
                error.class = ErrorClass::Invalid;
                Err(error)
            }
            _ => Err(error_of(operation, Purpose::Read, &answer)),
        }
    }

    fn url_of(operation: &str, address: &str) -> Result<Url, ProviderError> {
        let url = Url::parse(address).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                invalid(format!(
                    "{operation}: `{address}` is not an address of HTTP"
                ))
            })
    }

    /// Says whether the cloud has a service.
    pub(crate) async fn has(&self, service: Service) -> Result<bool, ProviderError> {
        if self.settings.endpoints.contains_key(service.kind()) {
            return Ok(true);
        }
        Ok(self.token().await?.has(service.kind()))
    }

    fn base(&self, service: Service, token: &Token) -> Result<String, ProviderError> {
        if let Some(own) = self.settings.endpoints.get(service.kind()) {
            return Ok(service.base_of(own));
        }
        let region = self.settings.region.as_deref();
        let endpoint = token.endpoint(service.kind(), region, self.settings.interface)?;
        Ok(service.base_of(endpoint))
    }

    /// Makes a call, and returns its answer if it is a success.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Result<HttpAnswer, ProviderError> {
        let token = self.token().await?;
        let answer = self.send(&ask, &token).await?;
        let answer = if answer.status == 401 {
            self.forget(&token).await;
            let token = self.token().await?;
            self.send(&ask, &token).await?
        } else {
            answer
        };
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(error_of(ask.operation, ask.purpose(), &answer)),
        }
    }

    async fn send(&self, ask: &Ask<'_>, token: &Token) -> Result<HttpAnswer, ProviderError> {
        let mut address = format!("{}/{}", self.base(ask.service, token)?, ask.path);
        for (index, (name, value)) in ask.query.iter().enumerate() {
            address.push(if index == 0 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            address.push_str(&segment(value));
        }
        let url = Self::url_of(ask.operation, &address)?;
        let mut request = HttpRequest::new(ask.method.clone(), url);
        let purpose = ask.purpose();
        if purpose == Purpose::Change {
            refuse_if_abandoned(ask.operation)?;
        }
        request.timeout = match purpose {
            Purpose::Read => READ_TIMEOUT,
            Purpose::Change => CHANGE_TIMEOUT,
        };
        let mut headers = vec![("accept", "application/json".to_owned())];
        if let Some(Microversion(number)) = ask.microversion {
            headers.push(("openstack-api-version", format!("compute 2.{number}")));
            headers.push(("x-openstack-nova-api-version", format!("2.{number}")));
        }
        if let Some(condition) = &ask.if_match {
            headers.push(("if-match", condition.clone()));
        }
        if let Some(body) = &ask.body {
            headers.push(("content-type", "application/json".to_owned()));
            request.body = body.to_string().into_bytes();
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| invalid(format!("{}: `{name}` is no header", ask.operation)))?;
            request.headers.insert(name, value);
        }
        let mut secret = HeaderValue::from_str(token.secret.expose_secret())
            .map_err(|_| invalid("the token that Keystone gave is no header"))?;
        secret.set_sensitive(true);
        request.headers.insert("x-auth-token", secret);
        let answer = self.http.call(request).await;
        answer.map_err(|error| match purpose {
            Purpose::Read => reading_error(ask.operation, &error),
            Purpose::Change => {
                ProviderError::new(error.class(), format!("{}: {error}", ask.operation))
            }
        })
    }

    /// Makes a call and reads what it answers.
    pub(crate) async fn ask_for<T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
    ) -> Result<T, ProviderError> {
        let operation = ask.operation.to_owned();
        let purpose = ask.purpose();
        let answer = self.ask(ask).await?;
        read(&operation, purpose, &answer)
    }

    /// Reads a list with all its pages.
    pub(crate) async fn list<T: Listed>(
        &self,
        operation: &str,
        service: Service,
        path: &str,
        query: &[(&str, &str)],
        microversion: Option<Microversion>,
    ) -> Result<Vec<T>, ProviderError> {
        let mut items: Vec<T> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut ask = Ask::get(operation, service, path).microversion(microversion);
            for (name, value) in query {
                ask = ask.query(name, *value);
            }
            ask = ask.query("limit", PAGE_ITEMS);
            if let Some(last) = items.last() {
                ask = ask.query("marker", last.id());
            }
            let page: Page<T> = self.ask_for(ask).await?;
            let is_last = page.items.is_empty() || !page.has_next;
            items.extend(page.items);
            if is_last {
                return Ok(items);
            }
        }
        Err(invalid(format!(
            "{operation}: the list has more than {PAGES_MAX} pages"
        )))
    }

    /// Returns a microversion that a call wants, if the installation has it.
    pub(crate) async fn microversion(
        &self,
        wanted: u32,
    ) -> Result<Option<Microversion>, ProviderError> {
        let newest = self.newest_microversion().await?;
        Ok(newest
            .filter(|newest| newest.0 >= wanted)
            .map(|_| Microversion(wanted)))
    }

    /// Returns the newest microversion of the installation; none if it is older
    /// than microversions.
    pub(crate) async fn newest_microversion(&self) -> Result<Option<Microversion>, ProviderError> {
        let found = self.microversion_max.get_or_try_init(|| async {
            let token = self.token().await?;
            let base = self.base(Service::Compute, &token)?;
            let end = version_end(&base).unwrap_or(base.len());
            let operation = "read the versions of Nova";
            let url = Self::url_of(operation, &format!("{}/", &base[..end]))?;
            let mut request = HttpRequest::new(Method::GET, url);
            request.timeout = READ_TIMEOUT;
            let answer = self.http.call(request).await;
            let answer = answer.map_err(|error| reading_error(operation, &error))?;
            match answer.status {
                500..=599 | 429 | 413 => Err(error_of(operation, Purpose::Read, &answer)),
                _ => Ok(newest_of(&answer.body)),
            }
        });
        found.await.copied()
    }

    /// Says whether Neutron has an extension.
    pub(crate) async fn has_extension(&self, alias: &str) -> Result<bool, ProviderError> {
        let found = self.extensions.get_or_try_init(|| async {
            let ask = Ask::get("list extensions of Neutron", Service::Network, "extensions");
            let list: Json = self.ask_for(ask).await?;
            let list = list.get("extensions").and_then(Json::as_array);
            let aliases = list.into_iter().flatten().filter_map(|one| {
                let alias = one.get("alias")?.as_str()?;
                Some(alias.to_owned())
            });
            Ok(aliases.collect())
        });
        found
            .await
            .map(|aliases: &BTreeSet<String>| aliases.contains(alias))
    }
}

/// Reads the newest microversion in a document of versions.
fn newest_of(body: &[u8]) -> Option<Microversion> {
    let document: Json = serde_json::from_slice(body).ok()?;
    let version = document.get("version")?.get("version")?.as_str()?;
    let number = version.strip_prefix("2.")?.parse().ok()?;
    Some(Microversion(number))
}

/// Reads the body of a success.
pub(crate) fn read<T: DeserializeOwned>(
    operation: &str,
    purpose: Purpose,
    answer: &HttpAnswer,
) -> Result<T, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // What a change answers is not understood, but it had its effect.
        let class = match purpose {
            Purpose::Read => ErrorClass::Retryable,
            Purpose::Change => ErrorClass::Unknown,
        };
        ProviderError::new(
            class,
            format!("{operation}: the answer cannot be read: {error}"),
        )
    })
}

fn reading_error(operation: &str, error: &HttpError) -> ProviderError {
    ProviderError::new(error.class_of_reading(), format!("{operation}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_all_ages_lead_to_the_same_calls() {
        for (service, endpoint, wanted) in [
            (
                Service::Compute,
                "http://a:8774/v2.1/",
                "http://a:8774/v2.1",
            ),
            (
                Service::Compute,
                "http://a:8774/v2/4f1",
                "http://a:8774/v2/4f1",
            ),
            (
                Service::Compute,
                "http://a/compute",
                "http://a/compute/v2.1",
            ),
            (Service::Image, "http://a:9292", "http://a:9292/v2"),
            (Service::Image, "http://a/image/v1/", "http://a/image/v2"),
            (Service::Network, "http://a:9696/", "http://a:9696/v2.0"),
            (Service::Network, "http://a:9696/v2.0", "http://a:9696/v2.0"),
        ] {
            assert_eq!(service.base_of(endpoint), wanted);
        }
    }

    #[test]
    fn installations_without_microversions_are_recognised() {
        let newest = |text: &str| newest_of(text.as_bytes());
        assert_eq!(
            newest(r#"{"version": {"id": "v2.1", "version": "2.93"}}"#),
            Some(Microversion(93))
        );
        assert_eq!(
            newest(r#"{"version": {"id": "v2.0", "version": ""}}"#),
            None
        );
        assert_eq!(newest(r#"{"version": {"id": "v2.0"}}"#), None);
        assert_eq!(newest("<html>"), None);
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(segment("../a?b#c"), "..%2Fa%3Fb%23c");
    }
}
