//! What the cloud itself says that it has, told to its administrator.

use serde_json::{Value as Json, json};
use zenekar_base::InfrastructureId;
use zenekar_http::{HttpClient, HttpRequest, HttpSettings, Method, Url};

/// Calls of the administrator, apart from the code under test.
pub(crate) struct Administrator {
    client: HttpClient,
    host: String,
    token: String,
}

impl Administrator {
    /// Enters the cloud of the tests, whose administrator has this password.
    pub(crate) async fn enter(endpoint: &str) -> Self {
        let client = HttpClient::new(&HttpSettings::default()).expect("a client");
        let host = endpoint.rsplit_once(':').expect("a port").0.to_owned();
        let mut this = Self {
            client,
            host,
            token: String::new(),
        };
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user":
                {"name": "admin", "domain": domain, "password": "secret"}}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }});
        let (answer, _) = this
            .call(Method::POST, ":5000/v3/auth/tokens", Some(body))
            .await;
        this.token = answer.expect("a token");
        this
    }

    /// Makes a call, and returns the token that came with the answer, and the answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
    ) -> (Option<String>, Json) {
        let url = Url::parse(&format!("{}{path}", self.host)).expect("an address");
        let mut request = HttpRequest::new(method, url);
        for (name, value) in [
            ("x-auth-token", self.token.as_str()),
            ("content-type", "application/json"),
            ("openstack-api-version", "compute 2.60"),
        ] {
            request
                .headers
                .insert(name, value.parse().expect("a header"));
        }
        request.body = body
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default();
        let answer = self.client.call(request).await.expect("an answer");
        assert!(
            (200..300).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        let token = answer.header("x-subject-token").map(str::to_owned);
        (
            token,
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        )
    }

    /// Lists what the cloud has of an infrastructure, as `kind name`.
    pub(crate) async fn ledger(&self, infrastructure: &InfrastructureId) -> Vec<String> {
        let mut found = Vec::new();
        for (kind, path) in [
            ("servers", ":8774/v2.1/servers/detail?all_tenants=1"),
            (
                "server_groups",
                ":8774/v2.1/os-server-groups?all_projects=True",
            ),
            ("ports", ":9696/v2.0/ports"),
            ("floatingips", ":9696/v2.0/floatingips"),
            ("security_groups", ":9696/v2.0/security-groups"),
        ] {
            let (_, answer) = self.call(Method::GET, path, None).await;
            for one in answer[kind].as_array().expect("a list") {
                let text = one.to_string();
                if text.contains(infrastructure.as_str()) {
                    found.push(format!("{kind} {}", one["id"].as_str().unwrap_or_default()));
                }
            }
        }
        found
    }
}
