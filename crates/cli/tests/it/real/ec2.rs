//! A simulated EC2, asked by plain requests: it checks no signatures.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use zenekar_http::{HttpClient, HttpRequest, HttpSettings, Method};

use super::{Cloud, Machine, skipped, variable};

const ENDPOINT: &str = "ZENEKAR_TEST_EC2_ENDPOINT";

/// What a request without a signature has in its place: the simulator finds the
/// region there.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=other/20260101/REGION/SERVICE/aws4_request, SignedHeaders=host, Signature=0";

/// The simulator, with containers as its instances.
pub(crate) struct Ec2Cloud {
    pub(crate) endpoint: String,
    region: String,
    image: String,
    subnet: String,
}

impl Ec2Cloud {
    pub(crate) fn find() -> Option<Self> {
        let Some(endpoint) = variable(ENDPOINT) else {
            skipped("simulated EC2", ENDPOINT);
            return None;
        };
        let of = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} is not set"));
        Some(Self {
            endpoint,
            region: of("ZENEKAR_TEST_EC2_REGION"),
            image: of("ZENEKAR_TEST_EC2_IMAGE"),
            subnet: of("ZENEKAR_TEST_EC2_SUBNET"),
        })
    }

    /// The section `resource` of machines that are records only, without hosts
    /// that would keep this machine busy.
    pub(crate) fn hostless(&self) -> String {
        self.resource()
            .replace(", ports: [22, 80]", ", tags: {hostless: 'yes'}")
    }

    /// Tells the simulator itself something.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) {
        let url = format!("{}{path}", self.endpoint.trim_end_matches('/'));
        let url = url.parse().expect("the environment tells an address");
        let mut request = HttpRequest::new(Method::POST, url);
        request.body = body.to_string().into_bytes();
        let answer = super::block_on(async {
            let client = HttpClient::new(&HttpSettings::default()).expect("HTTP works");
            client.call(request).await
        });
        assert_eq!(answer.expect("the simulator answers").status, 200);
    }

    /// Adds one page of the machines that exist; returns where the next one begins.
    fn list(
        &self,
        infrastructure: &str,
        token: Option<&str>,
        machines: &mut Vec<Machine>,
    ) -> Option<String> {
        let mut parameters =
            "Action=DescribeInstances&MaxResults=500&Filter.1.Name=instance-state-name".to_owned();
        for (number, state) in ["pending", "running", "stopping", "stopped"]
            .iter()
            .enumerate()
        {
            let _infallible = write!(parameters, "&Filter.1.Value.{}={state}", number + 1);
        }
        if let Some(token) = token {
            parameters.push_str("&NextToken=");
            parameters.push_str(
                &token
                    .replace('+', "%2B")
                    .replace('/', "%2F")
                    .replace('=', "%3D"),
            );
        }
        let text = self.ask(&parameters);
        let document = roxmltree::Document::parse(&text).expect("the simulator answers XML");
        let items = document.descendants().filter(|node| {
            node.has_tag_name_local("item")
                && node
                    .parent()
                    .is_some_and(|parent| parent.has_tag_name_local("instancesSet"))
        });
        for item in items.filter(|item| is_of(*item, infrastructure)) {
            let state = item
                .children()
                .find(|child| child.has_tag_name_local("instanceState"))
                .and_then(|state| child(state, "name"))
                .unwrap_or_default();
            if matches!(state, "terminated" | "shutting-down") {
                continue;
            }
            machines.push(Machine {
                name: tag(item, "zenekar:name"),
                instance: tag(item, "zenekar:instance"),
                id: child(item, "instanceId").unwrap_or_default().to_owned(),
                is_running: state == "running",
            });
        }
        child(document.root_element(), "nextToken").map(str::to_owned)
    }

    /// Returns what leads to a role in another account.
    #[track_caller]
    pub(crate) fn assume_role_in(&self, account: &str) -> Vec<(&'static str, String)> {
        let text = self.ask_service(
            "sts",
            &format!(
                "Action=AssumeRole&RoleArn=arn:aws:iam::{account}:role/other&RoleSessionName=other&Version=2011-06-15"
            ),
        );
        let document = roxmltree::Document::parse(&text).expect("the simulator answers XML");
        let mut elements = document.descendants();
        let credentials = elements.find(|node| node.has_tag_name_local("Credentials"));
        let credentials = credentials.expect("a role that is assumed has credentials");
        [
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ]
        .map(|(variable, name)| {
            let value = child(credentials, name).expect("they are complete");
            (variable, value.to_owned())
        })
        .to_vec()
    }

    /// Makes a request, and returns the answer's text.
    #[track_caller]
    fn ask(&self, parameters: &str) -> String {
        self.ask_service("ec2", &format!("{parameters}&Version=2016-11-15"))
    }

    #[track_caller]
    fn ask_service(&self, service: &str, parameters: &str) -> String {
        let mut request = HttpRequest::new(
            Method::POST,
            format!("{}/", self.endpoint.trim_end_matches('/'))
                .parse()
                .expect("the environment tells an address"),
        );
        request.timeout = Duration::from_secs(30);
        request.body = parameters.as_bytes().to_vec();
        let headers = &mut request.headers;
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert("content-type", form.parse().expect("it is a header"));
        let authorization = AUTHORIZATION
            .replace("REGION", &self.region)
            .replace("SERVICE", service);
        headers.insert(
            "authorization",
            authorization.parse().expect("it is a header"),
        );
        let host = format!("{service}.amazonaws.com");
        let host = host.parse().expect("it is a header");
        headers.insert("host", host);
        let answer = super::block_on(async {
            let client = HttpClient::new(&HttpSettings::default()).expect("HTTP works");
            client.call(request).await
        });
        let answer = answer.expect("the simulator answers");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{parameters}: {text}");
        text
    }
}

/// Returns the text of an element's child.
fn child<'a>(node: roxmltree::Node<'a, 'a>, name: &str) -> Option<&'a str> {
    let mut children = node.children();
    children
        .find(|child| child.has_tag_name_local(name))?
        .text()
}

/// Elements are compared by their local names.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

fn tag(node: roxmltree::Node<'_, '_>, key: &str) -> String {
    let sets = node
        .children()
        .filter(|child| child.has_tag_name_local("tagSet"));
    let mut items = sets.flat_map(|set| set.children());
    let found = items.find(|item| child(*item, "key") == Some(key));
    found
        .and_then(|item| child(item, "value").map(str::to_owned))
        .unwrap_or_default()
}

fn is_of(node: roxmltree::Node<'_, '_>, infrastructure: &str) -> bool {
    tag(node, "zenekar:infrastructure")
        .rsplit_once('.')
        .is_some_and(|(name, _)| name == infrastructure)
}

impl Cloud for Ec2Cloud {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn resource(&self) -> String {
        format!(
            "{{type: ec2, endpoint: '{}', regionname: {}, image_id: {}, instance_type: t3.micro, subnet_id: {}, ports: [22, 80]}}",
            self.endpoint, self.region, self.image, self.subnet
        )
    }

    fn equip(&self, command: &mut Command) {
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
    }

    fn machines(&self, infrastructure: &str) -> Vec<Machine> {
        let mut machines = Vec::new();
        let mut next = self.list(infrastructure, None, &mut machines);
        while let Some(token) = next {
            next = self.list(infrastructure, Some(&token), &mut machines);
        }
        machines.sort();
        machines
    }

    fn others(&self, infrastructure: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (action, set, id) in [
            ("DescribeSecurityGroups", "securityGroupInfo", "groupName"),
            ("DescribeVolumes", "volumeSet", "volumeId"),
        ] {
            let text = self.ask(&format!("Action={action}"));
            let document = roxmltree::Document::parse(&text).expect("the simulator answers XML");
            let items = document.descendants().filter(|node| {
                node.has_tag_name_local("item")
                    && node
                        .parent()
                        .is_some_and(|parent| parent.has_tag_name_local(set))
            });
            let names = items
                .filter(|item| is_of(*item, infrastructure))
                .map(|item| child(item, id).unwrap_or_default().to_owned());
            found.extend(names);
        }
        found
    }

    fn destroy(&self, machine: &Machine) {
        self.ask(&format!(
            "Action=TerminateInstances&InstanceId.1={}",
            machine.id
        ));
    }

    fn stop(&self, machine: &Machine) {
        self.ask(&format!("Action=StopInstances&InstanceId.1={}", machine.id));
    }
}
