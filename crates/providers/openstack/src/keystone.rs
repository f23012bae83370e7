//! What is sent to Keystone, and what it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_http::HttpAnswer;

use crate::failure::Purpose;
use crate::session::{invalid, read};
use crate::settings::{Authentication, Credential, Domain, Interface, Named};

/// How long a token is taken to be good if Keystone does not say it readably:
/// the shortest life that installations are advised to give.
const LIFE_DEFAULT: Duration = Duration::from_mins(5);

/// Returns where Keystone's calls go: as Occopus has it, `/v3` is appended
/// unless the address ends in a version.
pub(crate) fn base_of(endpoint: &str) -> String {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let last = endpoint.rsplit('/').next().unwrap_or_default();
    let version = last.strip_prefix('v').unwrap_or_default();
    if !version.is_empty() && version.chars().all(|one| one.is_ascii_digit()) {
        endpoint.to_owned()
    } else {
        format!("{endpoint}/v3")
    }
}

fn domain_of(domain: &Domain) -> Json {
    match domain {
        Domain::Id(id) => json!({ "id": id }),
        Domain::Name(name) => json!({ "name": name }),
    }
}

fn named(thing: &Named) -> Json {
    match thing {
        Named::Id(id) => json!({ "id": id }),
        Named::Name { name, domain } => json!({ "name": name, "domain": domain_of(domain) }),
    }
}

/// Makes the body of the request for a token.
pub(crate) fn body_of(authentication: &Authentication) -> Json {
    let (identity, project) = match authentication {
        Authentication::Password {
            user,
            password,
            project,
        } => {
            let mut user = named(user);
            user["password"] = password.expose_secret().into();
            let identity = json!({ "methods": ["password"], "password": { "user": user } });
            (identity, project.as_ref())
        }
        Authentication::ApplicationCredential { credential, secret } => {
            let mut body = match credential {
                Credential::Id(id) => json!({ "id": id }),
                Credential::Name { name, user } => json!({ "name": name, "user": named(user) }),
            };
            body["secret"] = secret.expose_secret().into();
            let method = "application_credential";
            let identity = json!({ "methods": [method], method: body });
            (identity, None)
        }
        Authentication::Token { token, project } => {
            let id = token.expose_secret();
            let identity = json!({ "methods": ["token"], "token": { "id": id } });
            (identity, project.as_ref())
        }
    };
    let mut auth = json!({ "identity": identity });
    if let Some(project) = project {
        auth["scope"] = json!({ "project": named(project) });
    }
    json!({ "auth": auth })
}

/// Returns the secrets in that body.
pub(crate) fn secrets_of(authentication: &Authentication) -> Vec<SecretString> {
    vec![match authentication {
        Authentication::Password { password, .. } => password.clone(),
        Authentication::ApplicationCredential { secret, .. } => secret.clone(),
        Authentication::Token { token, .. } => token.clone(),
    }]
}

/// A token, and what Keystone says with it.
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    pub(crate) life: Duration,
    pub(crate) project: Option<Reference>,
    pub(crate) user: Option<Reference>,
    catalog: Vec<Entry>,
}

/// A thing with an id and a name.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Reference {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Deserialize)]
struct Answer {
    token: Body,
}

#[derive(Deserialize)]
struct Body {
    expires_at: Option<String>,
    issued_at: Option<String>,
    project: Option<Reference>,
    user: Option<Reference>,
    #[serde(default)]
    catalog: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    region_id: Option<String>,
    region: Option<String>,
    url: String,
}

impl Endpoint {
    fn region(&self) -> &str {
        let region = self.region_id.as_deref().or(self.region.as_deref());
        region.unwrap_or_default()
    }
}

impl Token {
    /// Reads the answer to a request for a token.
    pub(crate) fn read(answer: &HttpAnswer) -> Result<Self, ProviderError> {
        let secret = answer.header("x-subject-token").ok_or_else(|| {
            invalid("authenticate at Keystone: the answer holds no token; is this Keystone?")
        })?;
        let body = read::<Answer>("authenticate at Keystone", Purpose::Read, answer)?.token;
        // The difference of two instants of Keystone: its clock may differ from ours.
        let instant = |text: Option<String>| text?.parse::<Timestamp>().ok();
        let life = match (instant(body.issued_at), instant(body.expires_at)) {
            (Some(from), Some(until)) => Duration::try_from(until.duration_since(from)).ok(),
            _ => None,
        };
        Ok(Self {
            secret: secret.to_owned().into(),
            life: life.unwrap_or(LIFE_DEFAULT),
            project: body.project,
            user: body.user,
            catalog: body.catalog,
        })
    }

    fn endpoints(&self, kind: &str) -> impl Iterator<Item = &Endpoint> {
        self.catalog
            .iter()
            .filter(move |entry| entry.kind == kind)
            .flat_map(|entry| &entry.endpoints)
    }

    /// Says whether the catalog has a service.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.endpoints(kind).next().is_some()
    }

    /// Finds a service in the catalog.
    pub(crate) fn endpoint(
        &self,
        kind: &str,
        region: Option<&str>,
        interface: Interface,
    ) -> Result<&str, ProviderError> {
        if self.catalog.is_empty() {
            return Err(ProviderError::new(
                ErrorClass::Auth,
                "the token is for no project, so it opens no service; name one with `project_id`",
            ));
        }
        let interface = interface.name();
        let fitting: Vec<&Endpoint> = self
            .endpoints(kind)
            .filter(|one| one.interface.trim_end_matches("URL") == interface)
            .collect();
        let regions: BTreeSet<&str> = fitting.iter().map(|one| one.region()).collect();
        let chosen = match region {
            Some(region) => fitting.iter().find(|one| one.region() == region),
            None if regions.len() > 1 => {
                return Err(invalid(format!(
                    "the cloud has several regions; name one with `region_name`: {}",
                    listed(&regions)
                )));
            }
            None => fitting.first(),
        };
        chosen.map(|one| one.url.as_str()).ok_or_else(|| {
            let place = region.map_or(String::new(), |region| format!(" in region `{region}`"));
            let there = if regions.is_empty() {
                String::new()
            } else {
                format!("; it is in {}", listed(&regions))
            };
            invalid(format!(
                "the cloud has no {interface} service `{kind}`{place}{there}"
            ))
        })
    }
}

/// Writes names between backticks; enough of them to recognise one's own.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> String {
    const NAMES_MAX: usize = 12;
    let mut names = names.into_iter();
    let mut text = String::new();
    for name in names.by_ref().take(NAMES_MAX) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    if names.next().is_some() {
        text.push_str(" and others");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_occopus_reads_them() {
        for (endpoint, wanted) in [
            ("http://a:5000", "http://a:5000/v3"),
            ("http://a:5000/v3/", "http://a:5000/v3"),
            ("http://a/identity", "http://a/identity/v3"),
            ("http://a/identity/v2", "http://a/identity/v2"),
            ("http://a/v2.0", "http://a/v2.0/v3"),
        ] {
            assert_eq!(base_of(endpoint), wanted);
        }
    }

    #[test]
    fn bodies_are_those_of_the_protocol() {
        let user = Named::in_default_domain("demo");
        let password = Authentication::Password {
            user: user.clone(),
            password: "p".into(),
            project: Some(Named::Id("4c".to_owned())),
        };
        assert_eq!(
            body_of(&password),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user":
                    {"name": "demo", "domain": {"name": "Default"}, "password": "p"}}},
                "scope": {"project": {"id": "4c"}},
            }})
        );
        let named = Authentication::ApplicationCredential {
            credential: Credential::Name {
                name: "robot".to_owned(),
                user,
            },
            secret: "s".into(),
        };
        assert_eq!(
            body_of(&named),
            json!({"auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"name": "robot", "secret": "s",
                    "user": {"name": "demo", "domain": {"name": "Default"}}}}}})
        );
        let token = Authentication::Token {
            token: "t".into(),
            project: None,
        };
        assert_eq!(
            body_of(&token),
            json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "t"}}}})
        );
    }

    fn token(catalog: Json) -> Token {
        Token {
            secret: "t".into(),
            life: LIFE_DEFAULT,
            project: None,
            user: None,
            catalog: serde_json::from_value(catalog).expect("a catalog"),
        }
    }

    #[test]
    fn the_catalog_is_searched_by_region_and_interface() {
        let entry = |region: &str, interface: &str| json!({"interface": interface, "region_id": region, "url": format!("http://{region}.{interface}")});
        let two = token(json!([{"type": "compute", "endpoints":
            [entry("a", "public"), entry("a", "internal"), entry("b", "public")]}]));
        let find = |region, interface| two.endpoint("compute", region, interface);
        assert_eq!(
            find(Some("b"), Interface::Public).expect("is there"),
            "http://b.public"
        );
        assert_eq!(
            find(None, Interface::Internal).expect("the only one"),
            "http://a.internal"
        );
        let message = find(None, Interface::Public)
            .expect_err("two regions")
            .message;
        assert!(message.ends_with("`region_name`: `a`, `b`"), "{message}");
        let message = find(Some("c"), Interface::Public)
            .expect_err("no region")
            .message;
        assert!(
            message.contains("in region `c`; it is in `a`, `b`"),
            "{message}"
        );
        assert!(!two.has("volumev3"));
        let unscoped = token(json!([]));
        let error = unscoped
            .endpoint("compute", None, Interface::Public)
            .expect_err("no project");
        assert_eq!(error.class, ErrorClass::Auth);
    }
}
