//! Signed requests and their answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use roxmltree::Node;
use tokio::sync::OnceCell;
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_http::{
    HeaderName, HeaderValue, HttpAnswer, HttpClient, HttpRequest, HttpSettings, Method,
};

use crate::answer::{child, items, parse, text};
use crate::credentials::Keys;
use crate::endpoint::Endpoint;
use crate::error::{ApiError, Refusal, class_of_status, one_line, refused};
use crate::limits::{ANSWER_BYTES_MAX, PAGES_MAX};
use crate::request::{Nature, Request, Service};
use crate::settings::Ec2Settings;

/// How many requests were sent, by action.
pub type CallCounts = BTreeMap<&'static str, u64>;

/// The cloud's interface.
pub(crate) struct Api {
    http: HttpClient,
    keys: Keys,
    region: Option<String>,
    address: Option<String>,
    endpoint: OnceCell<Endpoint>,
    counts: Mutex<CallCounts>,
}

impl Api {
    /// Makes a client. Makes no call.
    pub(crate) fn new(settings: &Ec2Settings) -> Result<Self, ProviderError> {
        let http = HttpClient::new(&HttpSettings {
            certificates: settings.certificates.clone(),
            accepts_any_certificate: false,
        })?;
        if settings.region.is_some() || settings.endpoint.is_some() {
            // Says at once what cannot be right.
            let region = settings.region.as_deref().or(Some("unknown"));
            Endpoint::new(region, settings.endpoint.as_deref(), false)?;
        }
        Ok(Self {
            keys: Keys::new(settings, http.clone())?,
            http,
            region: settings.region.clone(),
            address: settings.endpoint.clone(),
            endpoint: OnceCell::new(),
            counts: Mutex::new(CallCounts::new()),
        })
    }

    /// Returns how many requests were sent.
    pub(crate) fn counts(&self) -> CallCounts {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says where the keys were found that were not given.
    pub(crate) async fn origin(&self) -> Option<String> {
        self.keys.origin().await
    }

    /// Returns where the interface is.
    pub(crate) async fn endpoint(&self) -> Result<&Endpoint, ProviderError> {
        self.endpoint
            .get_or_try_init(|| async {
                if let (Some(region), Some(address)) = (&self.region, &self.address) {
                    return Endpoint::new(Some(region), Some(address), false);
                }
                let chain = self.keys.chain().await;
                let region = self.region.as_deref();
                let known = chain.region().map(AsRef::as_ref);
                let address = self.address.as_deref();
                let use_fips = chain.use_fips().unwrap_or(false);
                // The endpoint's own region comes before that of the environment.
                Endpoint::new(region, address, use_fips).or_else(|error| {
                    if region.or(known).is_none() {
                        return Err(error);
                    }
                    Endpoint::new(region.or(known), address, use_fips)
                })
            })
            .await
    }

    /// Makes one request, and reads its answer. If the session is over, new
    /// credentials are got and the request, which had no effect, is sent again.
    pub(crate) async fn call<T>(
        &self,
        request: &Request,
        read: impl FnOnce(Node<'_, '_>) -> Option<T> + Send,
    ) -> Result<T, ApiError> {
        let credentials = self.keys.get(None).await?;
        let mut result = self.send(request, &credentials).await;
        if let Err(error) = &result
            && error.is_expired()
            && self.keys.can_renew()
        {
            let renewed = self.keys.get(Some(&credentials)).await?;
            result = self.send(request, &renewed).await;
        }
        let body = result?;
        let unreadable = |reason: &str| {
            let class = class_of_status(500, request.nature);
            ApiError::new(
                class,
                format!("{}: the answer cannot be read: {reason}", request.action),
            )
        };
        let document = parse(&body).map_err(|reason| unreadable(&one_line(&reason)))?;
        read(document.root_element()).ok_or_else(|| unreadable("something is missing in it"))
    }

    /// Makes a request page by page, and collects what is read from them.
    pub(crate) async fn pages<T: Send>(
        &self,
        request: &Request,
        read: impl Fn(Node<'_, '_>, &mut Vec<T>) + Send + Sync,
    ) -> Result<Vec<T>, ApiError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = match &token {
                Some(token) => request.clone().with("NextToken", token),
                None => request.clone(),
            };
            let next = {
                let found = &mut found;
                self.call(&page, |root| {
                    read(root, found);
                    Some(text(root, "nextToken").map(str::to_owned))
                })
                .await?
            };
            if next.is_none() {
                return Ok(found);
            }
            if next == token {
                return Err(ApiError::new(
                    ErrorClass::Retryable,
                    format!("{}: the list has no end", request.action),
                ));
            }
            token = next;
        }
        Err(ApiError::new(
            ErrorClass::Invalid,
            format!("{}: more than {PAGES_MAX} pages", request.action),
        ))
    }

    async fn send(&self, request: &Request, credentials: &Credentials) -> Result<String, ApiError> {
        let endpoint = self.endpoint().await?;
        let http = signed(request, endpoint, credentials, SystemTime::now())?;
        self.count(request.action);
        let answer = self.http.call(http).await.map_err(|error| {
            let class = match request.nature {
                Nature::Reads => error.class_of_reading(),
                Nature::Changes => error.class(),
            };
            ApiError::new(class, format!("{}: {error}", request.action))
        })?;
        accept(request, answer)
    }

    fn count(&self, action: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(action).or_default() += 1;
    }
}

/// Makes the HTTP request of a request.
fn signed(
    request: &Request,
    endpoint: &Endpoint,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<HttpRequest, ApiError> {
    let failed = |reason: &dyn std::fmt::Display| {
        ApiError::new(
            ErrorClass::Invalid,
            format!("{}: cannot sign the request: {reason}", request.action),
        )
    };
    let url = endpoint.of(request.service);
    let mut http = HttpRequest::new(Method::POST, url.clone());
    http.body = request.body().into_bytes();
    http.timeout = request.timeout;
    http.answer_bytes_max = ANSWER_BYTES_MAX;
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    http.headers.insert(
        HeaderName::from_static("content-type"),
        HeaderValue::from_static(content_type),
    );
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&endpoint.region)
        .name(service_name(request.service))
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let signable = SignableRequest::new(
        "POST",
        url.as_str(),
        [("content-type", content_type)].into_iter(),
        SignableBody::Bytes(&http.body),
    )
    .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &parameters)
        .map_err(|error| failed(&error))?
        .into_parts();
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| failed(&error))?;
        value.set_sensitive(true);
        http.headers.insert(name, value);
    }
    Ok(http)
}

const fn service_name(service: Service) -> &'static str {
    service.name()
}

/// Returns the text of a good answer.
fn accept(request: &Request, answer: HttpAnswer) -> Result<String, ApiError> {
    let (status, retry_after) = (answer.status, answer.retry_after());
    let date = answer
        .header("date")
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
        .map(|date| SystemTime::from(date.timestamp()));
    let is_markup = answer
        .header("content-type")
        .is_some_and(|kind| kind.contains("html"));
    let Ok(body) = String::from_utf8(answer.body) else {
        return Err(ApiError::new(
            class_of_status(500, request.nature),
            format!("{}: the answer is not text", request.action),
        ));
    };
    if (200..300).contains(&status) && !is_markup {
        return Ok(body);
    }
    let document = parse(&body).ok();
    let root = document.as_ref().map(roxmltree::Document::root_element);
    let error = root.and_then(error_of);
    let Some((code, message)) = error else {
        let what = if is_markup || body.trim_start().starts_with("<!DOCTYPE html") {
            "a web page instead of an answer: is this the endpoint of EC2?"
        } else {
            "an answer that is not EC2's"
        };
        let class = match status {
            // A page that comes instead of an answer says nothing of the request.
            0..400 if request.nature == Nature::Reads => ErrorClass::Invalid,
            0..400 => ErrorClass::Unknown,
            _ => class_of_status(status, request.nature),
        };
        let mut error = ApiError::new(
            class,
            format!("{}: status {status} with {what}", request.action),
        );
        error.retry_after = retry_after.map(|pause| {
            zenekar_base::Millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
        });
        return Err(error);
    };
    let request_id = root.and_then(|root| {
        text(root, "RequestID")
            .or_else(|| text(root, "RequestId"))
            .or_else(|| text(root, "requestId"))
    });
    Err(refused(
        request,
        &Refusal {
            status,
            code,
            message,
            request_id,
            retry_after,
            date,
        },
    ))
}

/// Finds code and message in the two forms that EC2 and STS have.
fn error_of<'a>(root: Node<'a, '_>) -> Option<(&'a str, &'a str)> {
    let error = items(root, "Errors")
        .next()
        .or_else(|| child(root, "Error"))?;
    Some((
        text(error, "Code")?,
        text(error, "Message").unwrap_or_default(),
    ))
}
