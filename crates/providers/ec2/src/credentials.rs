//! Whose keys requests are signed with.
//!
//! Given keys come first. Without them the chain of Amazon's own tools is gone
//! through: environment, shared files and profiles (roles and programs too),
//! web identities, container and instance metadata. Its requests go through our
//! own HTTP client, so that there is one TLS stack.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use secrecy::ExposeSecret as _;
use tokio::sync::{Mutex, OnceCell};
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_http::{
    HeaderName, HeaderValue, HttpClient, HttpError, HttpSettings, Method, Url, is_nearby,
};

use crate::error::one_line;
use crate::limits::{CREDENTIALS_ANSWER_BYTES_MAX, CREDENTIALS_TIMEOUT, RENEWAL_LEAD};
use crate::profile;
use crate::settings::Ec2Settings;

/// How long a connection for credentials may take to open where nobody says so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long an answer with credentials may take where nobody says so.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds and keeps credentials.
pub(crate) struct Keys {
    given: Option<Credentials>,
    profile: Option<String>,
    region: Option<String>,
    http: Bridge,
    chain: OnceCell<SdkConfig>,
    cached: Mutex<Option<Credentials>>,
}

impl Keys {
    pub(crate) fn new(settings: &Ec2Settings, http: HttpClient) -> Result<Self, HttpError> {
        let given = settings.credentials.as_ref().map(|given| {
            Credentials::new(
                given.access_key.clone(),
                given.secret_key.expose_secret().to_owned(),
                given
                    .session_token
                    .as_ref()
                    .map(|token| token.expose_secret().to_owned()),
                None,
                "settings",
            )
        });
        let nearby = match &given {
            // Nobody is asked.
            Some(_) => http.clone(),
            None => HttpClient::without_proxies(&HttpSettings::default())?,
        };
        Ok(Self {
            given,
            profile: settings.profile.clone().or_else(profile::of_environment),
            region: settings.region.clone(),
            http: Bridge { http, nearby },
            chain: OnceCell::new(),
            cached: Mutex::new(None),
        })
    }

    /// Says whether new credentials can take the place of those that ended.
    pub(crate) const fn can_renew(&self) -> bool {
        self.given.is_none()
    }

    /// Returns what the environment and the shared files say.
    pub(crate) async fn chain(&self) -> &SdkConfig {
        self.chain
            .get_or_init(|| async {
                let bridge = self.http.clone();
                let mut loader =
                    aws_config::defaults(BehaviorVersion::latest()).http_client(bridge.clone());
                if let Some(region) = &self.region {
                    loader = loader.region(Region::new(region.clone()));
                } else if let Some(fallback) =
                    profile::region_beside_empty_variables(self.profile.as_deref(), bridge)
                {
                    loader = loader.region(fallback);
                }
                if let Some(profile) = &self.profile {
                    loader = loader.profile_name(profile);
                }
                loader.load().await
            })
            .await
    }

    /// Returns credentials that hold for longer than a call takes. Those that are
    /// `refused` are not returned again if there are others.
    pub(crate) async fn get(
        &self,
        refused: Option<&Credentials>,
    ) -> Result<Credentials, ProviderError> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let mut cached = self.cached.lock().await;
        if let Some(held) = cached.as_ref()
            && refused.is_none_or(|refused| !is_same(refused, held))
            && holds(held)
        {
            return Ok(held.clone());
        }
        let found = self.find().await?;
        *cached = Some(found.clone());
        Ok(found)
    }

    /// Says where the keys were found that were not given, as far as it is known.
    pub(crate) async fn origin(&self) -> Option<String> {
        use AwsCredentialFeature as Feature;
        if self.given.is_some() {
            return None;
        }
        let held = self.get(None).await.ok()?;
        let features = held.get_property::<Vec<Feature>>()?;
        let is_of = |feature: &Feature| match feature {
            Feature::CredentialsEnvVars => {
                Some("the variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`".to_owned())
            }
            Feature::CredentialsProfileStsWebIdToken => Some("a web identity's token".to_owned()),
            Feature::CredentialsProfile
            | Feature::CredentialsProfileProcess
            | Feature::CredentialsProfileSourceProfile
            | Feature::CredentialsProfileNamedProvider => Some(format!(
                "profile `{}` of {}",
                self.profile.as_deref().unwrap_or("default"),
                profile::files_in_words()
            )),
            Feature::CredentialsHttp => Some("the service of this container".to_owned()),
            Feature::CredentialsImds => Some("the metadata of this instance".to_owned()),
            _ => None,
        };
        // What begins the chain is named before what it leads to.
        let mut found: Vec<String> = features.iter().filter_map(is_of).collect();
        found.sort_by_key(|text| !text.starts_with("profile"));
        found.into_iter().next()
    }

    async fn find(&self) -> Result<Credentials, ProviderError> {
        if let Some(name) = &self.profile {
            profile::must_exist(name)?;
        }
        let chain = self.chain().await;
        let nothing = || nothing(self.profile.as_deref());
        let Some(provider) = chain.credentials_provider() else {
            return Err(nothing());
        };
        match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(CredentialsError::CredentialsNotLoaded(_))) => Err(nothing()),
            Ok(Err(error)) => Err(ProviderError::new(
                match error {
                    CredentialsError::ProviderTimedOut(_) => ErrorClass::Retryable,
                    _ => ErrorClass::Auth,
                },
                match &self.profile {
                    Some(name) => format!(
                        "cannot get credentials with profile `{name}` of {}: {}",
                        profile::files_in_words(),
                        reason(&error)
                    ),
                    None => format!("cannot get credentials: {}", reason(&error)),
                },
            )),
            Err(_) => Err(ProviderError::new(
                ErrorClass::Retryable,
                format!(
                    "cannot get credentials: nothing answered within {} s",
                    CREDENTIALS_TIMEOUT.as_secs()
                ),
            )),
        }
    }
}

fn nothing(profile: Option<&str>) -> ProviderError {
    let mut message = "no credentials: neither a stored cloud nor the environment, the shared \
                       files of Amazon's tools or a metadata service has any"
        .to_owned();
    if let Some(name) = profile {
        let files = profile::files_in_words();
        message = format!("{message}; profile `{name}` of {files} has none either");
    }
    ProviderError::new(ErrorClass::Auth, message)
}

fn is_same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id() && one.session_token() == other.session_token()
}

fn holds(credentials: &Credentials) -> bool {
    credentials
        .expiry()
        .is_none_or(|end| end > SystemTime::now() + RENEWAL_LEAD)
}

/// Returns all causes in one line.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    one_line(&text)
}

/// Lets Amazon's crates make their requests through our HTTP client. What only
/// this machine reaches (metadata, a container's service) is never asked through
/// a proxy, which would see its answer or give that of its own machine.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    http: HttpClient,
    nearby: HttpClient,
}

impl SmithyClient for Bridge {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect = settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
        let read = settings.read_timeout().unwrap_or(READ_TIMEOUT);
        SharedHttpConnector::new(Connector {
            bridge: Arc::new(self.clone()),
            timeout: connect + read,
        })
    }
}

/// The client with the time-outs of one kind of request.
struct Connector {
    bridge: Arc<Bridge>,
    timeout: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (bridge, timeout) = (Arc::clone(&self.bridge), self.timeout);
        HttpConnectorFuture::new(async move {
            let request = translate(&request, timeout)?;
            let http = if is_nearby(&request.url) {
                &bridge.nearby
            } else {
                &bridge.http
            };
            let answer = http.call(request).await.map_err(|error| match error {
                HttpError::NotSent { .. } => ConnectorError::io(error.into()).never_connected(),
                HttpError::Unanswered { .. } => ConnectorError::timeout(error.into()),
                HttpError::TooLong { .. } | HttpError::Setup { .. } => {
                    ConnectorError::user(error.into())
                }
            })?;
            let status = answer
                .status
                .try_into()
                .map_err(|_| ConnectorError::user("the answer has no status".into()))?;
            let mut response = HttpResponse::new(status, answer.body.into());
            for (name, value) in &answer.headers {
                if let Ok(value) = value.to_str() {
                    response
                        .headers_mut()
                        .append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

fn translate(
    request: &HttpRequest,
    timeout: Duration,
) -> Result<zenekar_http::HttpRequest, ConnectorError> {
    let method = Method::from_bytes(request.method().as_bytes())
        .map_err(|error| ConnectorError::user(error.into()))?;
    let url = Url::parse(request.uri()).map_err(|error| ConnectorError::user(error.into()))?;
    let mut made = zenekar_http::HttpRequest::new(method, url);
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|error| ConnectorError::user(error.into()))?;
        let value =
            HeaderValue::from_str(value).map_err(|error| ConnectorError::user(error.into()))?;
        made.headers.append(name, value);
    }
    let body = request
        .body()
        .bytes()
        .ok_or_else(|| ConnectorError::user("the request's body is not at hand".into()))?;
    made.body = body.to_vec();
    made.timeout = timeout;
    made.answer_bytes_max = CREDENTIALS_ANSWER_BYTES_MAX;
    Ok(made)
}
