//! An `OpenStack`, asked by plain requests to its interfaces.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use zenekar_http::{HttpClient, HttpRequest, HttpSettings, Method};

use super::{Cloud, Machine, skipped, variable};

const CLOUDS: &str = "ZENEKAR_TEST_OPENSTACK_CLOUDS";

/// Whose cloud the tests use: an entry of that file.
const USER: &str = "demo";

/// An installation in a container, with machines that are records.
pub(crate) struct OpenStackCloud {
    auth_url: String,
    user: String,
    password: String,
    project: String,
    image: String,
    flavour: String,
    network: String,
}

impl OpenStackCloud {
    pub(crate) fn find() -> Option<Self> {
        let Some(clouds) = variable(CLOUDS) else {
            skipped("OpenStack", CLOUDS);
            return None;
        };
        let clouds = std::fs::read_to_string(clouds).expect("the file of clouds is there");
        let own = |name: &str| setting(&clouds, USER, name);
        let of = |name: &str| {
            let name = format!("ZENEKAR_TEST_OPENSTACK_{name}");
            variable(&name).unwrap_or_else(|| panic!("{name} is not set"))
        };
        Some(Self {
            auth_url: format!("{}/v3", own("auth_url")),
            user: own("username"),
            password: own("password"),
            project: own("project_name"),
            image: of("IMAGE"),
            flavour: of("FLAVOR"),
            network: of("NETWORK"),
        })
    }

    fn call(
        method: Method,
        url: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value, Option<String>) {
        let mut request = HttpRequest::new(method, url.parse().expect("it is an address"));
        request.timeout = Duration::from_mins(1);
        let json_type = "application/json".parse().expect("it is a header");
        request.headers.insert("content-type", json_type);
        if let Some(token) = token {
            let token = token.parse().expect("it is a header");
            request.headers.insert("x-auth-token", token);
        }
        request.body = body
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default();
        let answer = super::block_on(async {
            let client = HttpClient::new(&HttpSettings::default()).expect("HTTP works");
            client.call(request).await
        });
        let answer = answer.expect("OpenStack answers");
        let token = answer.header("x-subject-token").map(str::to_owned);
        let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer.status, value, token)
    }

    /// Signs in with a user whose project has the same name; returns the token and what was told.
    fn sign_in_as(&self, user: &str) -> (String, Value) {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "password": self.password, "domain": domain}}},
            "scope": {"project": {"name": user, "domain": domain}}}});
        let url = format!("{}/auth/tokens", self.auth_url.trim_end_matches('/'));
        let (status, answer, token) = Self::call(Method::POST, &url, None, Some(&body));
        assert_eq!(status, 201, "{answer}");
        (token.expect("a token"), answer)
    }

    /// Makes a project of the same name in another domain, which the user is in too.
    pub(crate) fn twin(&self) -> Twin {
        let (_, answer) = self.sign_in_as(&self.user);
        let user = text_of(&answer["token"]["user"]["id"]);
        let (token, answer) = self.sign_in_as("admin");
        let roles = answer["token"]["roles"].as_array().expect("roles");
        let member = roles.iter().find(|role| role["name"] == "member");
        let member = text_of(&member.expect("everybody is a member")["id"]);
        let ask = |method: Method, path: &str, body: Option<&Value>, wanted: u16| {
            let url = format!("{}/{path}", self.auth_url.trim_end_matches('/'));
            let (status, answer, _) = Self::call(method, &url, Some(&token), body);
            assert_eq!(status, wanted, "{path}: {answer}");
            answer
        };
        let domain = json!({"domain": {"name": super::unique("twins")}});
        let domain = ask(Method::POST, "domains", Some(&domain), 201);
        let domain = text_of(&domain["domain"]["id"]);
        let twin = Twin {
            url: format!("{}/domains/{domain}", self.auth_url.trim_end_matches('/')),
            domain: domain.clone(),
            token: token.clone(),
        };
        let project = json!({"project": {"name": self.project, "domain_id": domain}});
        let project = ask(Method::POST, "projects", Some(&project), 201);
        let project = text_of(&project["project"]["id"]);
        let role = format!("projects/{project}/users/{user}/roles/{member}");
        ask(Method::PUT, &role, None, 204);
        twin
    }

    /// Signs in; returns the token and where compute and network are.
    fn sign_in(&self) -> (String, String, String) {
        let (token, answer) = self.sign_in_as(&self.user);
        let place = |kind: &str| {
            let catalog = answer["token"]["catalog"].as_array().expect("a catalog");
            let service = catalog.iter().find(|service| service["type"] == kind);
            let endpoints = service.expect("the service")["endpoints"].as_array();
            let public = endpoints
                .expect("endpoints")
                .iter()
                .find(|endpoint| endpoint["interface"] == "public");
            public.expect("a public one")["url"]
                .as_str()
                .expect("an address")
                .trim_end_matches('/')
                .to_owned()
        };
        (token, place("compute"), place("network"))
    }
}

/// A domain with a project of the same name; gone when this is dropped.
pub(crate) struct Twin {
    pub(crate) domain: String,
    url: String,
    token: String,
}

impl Drop for Twin {
    fn drop(&mut self) {
        let disabled = json!({"domain": {"enabled": false}});
        for (method, body) in [(Method::PATCH, Some(&disabled)), (Method::DELETE, None)] {
            OpenStackCloud::call(method, &self.url, Some(&self.token), body);
        }
    }
}

#[track_caller]
fn text_of(value: &Value) -> String {
    value.as_str().expect("it is a text").to_owned()
}

/// Reads a setting of one entry of a `clouds.yaml` as the environment writes it:
/// one setting in a line.
fn setting(clouds: &str, entry: &str, name: &str) -> String {
    let heading = format!("  {entry}:");
    let lines = clouds.lines().skip_while(|line| *line != heading).skip(1);
    let mut own = lines.take_while(|line| line.starts_with("    "));
    let prefix = format!("{name}: ");
    let found = own.find_map(|line| line.trim_start().strip_prefix(&prefix));
    found
        .unwrap_or_else(|| panic!("`{entry}` has no `{name}`"))
        .to_owned()
}

fn is_of(server: &Value, infrastructure: &str) -> bool {
    server["metadata"]["zenekar_infrastructure"]
        .as_str()
        .and_then(|text| text.rsplit_once('.'))
        .is_some_and(|(name, _)| name == infrastructure)
}

impl Cloud for OpenStackCloud {
    fn name(&self) -> &'static str {
        "openstack"
    }

    fn resource(&self) -> String {
        format!(
            "{{type: nova, endpoint: '{}', project_id: {}, image_id: '{}', flavor_name: '{}', network_id: '{}', ports: [22]}}",
            self.auth_url, self.project, self.image, self.flavour, self.network
        )
    }

    fn equip(&self, command: &mut Command) {
        command
            .env("OS_AUTH_URL", &self.auth_url)
            .env("OS_USERNAME", &self.user)
            .env("OS_PASSWORD", &self.password)
            .env("OS_PROJECT_NAME", &self.project)
            .env("OS_USER_DOMAIN_ID", "default")
            .env("OS_PROJECT_DOMAIN_ID", "default");
    }

    fn machines(&self, infrastructure: &str) -> Vec<Machine> {
        let (token, compute, _) = self.sign_in();
        let url = format!("{compute}/servers/detail?limit=1000");
        let (status, answer, _) = Self::call(Method::GET, &url, Some(&token), None);
        assert_eq!(status, 200, "{answer}");
        let servers = answer["servers"].as_array().expect("a list of servers");
        let mut machines: Vec<Machine> = servers
            .iter()
            .filter(|server| is_of(server, infrastructure))
            .map(|server| Machine {
                name: server["metadata"]["zenekar_name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                instance: server["metadata"]["zenekar_instance"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                id: server["id"].as_str().unwrap_or_default().to_owned(),
                is_running: server["status"] == "ACTIVE",
            })
            .collect();
        machines.sort();
        machines
    }

    fn others(&self, infrastructure: &str) -> Vec<String> {
        let (token, _, network) = self.sign_in();
        let mut found = Vec::new();
        for (path, list) in [
            ("security-groups", "security_groups"),
            ("ports", "ports"),
            ("floatingips", "floatingips"),
        ] {
            let url = format!("{network}/v2.0/{path}");
            let (status, answer, _) = Self::call(Method::GET, &url, Some(&token), None);
            assert_eq!(status, 200, "{answer}");
            let things = answer[list].as_array().expect("a list");
            // Names and descriptions of ours hold the infrastructure and its origin.
            let mark = format!("{infrastructure}.");
            found.extend(
                things
                    .iter()
                    .filter(|thing| thing.to_string().contains(&mark))
                    .map(|thing| format!("{path}: {}", thing["name"])),
            );
        }
        found
    }

    fn destroy(&self, machine: &Machine) {
        let (token, compute, _) = self.sign_in();
        let url = format!("{compute}/servers/{}", machine.id);
        let (status, answer, _) = Self::call(Method::DELETE, &url, Some(&token), None);
        assert_eq!(status, 204, "{answer}");
    }

    fn stop(&self, machine: &Machine) {
        let (token, compute, _) = self.sign_in();
        let url = format!("{compute}/servers/{}/action", machine.id);
        let body = json!({"os-stop": null});
        let (status, answer, _) = Self::call(Method::POST, &url, Some(&token), Some(&body));
        assert_eq!(status, 202, "{answer}");
    }
}
