//! A peer that answers HTTP as a script says, and writes down what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use zenekar_provider_openstack::{Authentication, Named, OpenStackProvider, OpenStackSettings};

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Json,
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path() == path
    }
}

/// What is answered; none closes the connection without an answer.
pub(crate) type Answer = Option<(u16, Vec<(&'static str, String)>, Json)>;

#[expect(clippy::unnecessary_wraps, reason = "an answer may also be left out")]
pub(crate) fn ok(body: Json) -> Answer {
    Some((200, Vec::new(), body))
}

#[expect(clippy::unnecessary_wraps, reason = "an answer may also be left out")]
pub(crate) fn status(status: u16, body: Json) -> Answer {
    Some((status, Vec::new(), body))
}

type Script = dyn Fn(&Asked) -> Option<Answer> + Send + Sync;

/// A listening peer. Its threads end with the test's process.
pub(crate) struct Peer {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Peer {
    /// Starts a peer. What the script leaves open is answered by [`usual`].
    pub(crate) fn start(script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let peer = Self {
            address: address.clone(),
            asked: asked.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, asked, address) = (script.clone(), asked.clone(), address.clone());
                std::thread::spawn(move || serve(stream, &address, &*script, &asked));
            }
        });
        peer
    }

    /// Opens a provider at this peer.
    pub(crate) fn provider(&self) -> OpenStackProvider {
        let authentication = Authentication::Password {
            user: Named::in_default_domain("demo"),
            password: "the password".into(),
            project: Some(Named::in_default_domain("demo")),
        };
        let settings = OpenStackSettings::new("nova", self.address.as_str(), authentication);
        OpenStackProvider::open(settings).expect("no call is made")
    }

    /// Returns what was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no thread panics").clone()
    }

    /// Counts the calls of a kind.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.asked()
            .iter()
            .filter(|one| one.is(method, path))
            .count()
    }
}

fn serve(stream: TcpStream, address: &str, script: &Script, log: &Mutex<Vec<Asked>>) -> Option<()> {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked {
        method,
        target,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    log.lock().expect("no thread panics").push(asked.clone());
    let answer = script(&asked).unwrap_or_else(|| usual(&asked, address));
    let (status, more, body) = answer?;
    let body = body.to_string();
    let mut head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in more {
        head = format!("{head}{name}: {value}\r\n");
    }
    let mut stream = stream;
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .ok()
}

/// Returns a token that is good for so many seconds.
#[expect(clippy::unnecessary_wraps, reason = "an answer may also be left out")]
pub(crate) fn token(address: &str, seconds: u32) -> Answer {
    let service = |kind: &str, path: &str| {
        json!({"type": kind, "endpoints": [
            {"interface": "public", "region_id": "here", "url": format!("{address}{path}")}]})
    };
    let body = json!({"token": {
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": format!("2026-01-01T{:02}:{:02}:{:02}.000000Z", seconds / 3600, seconds / 60 % 60, seconds % 60),
        "project": {"id": "p1", "name": "demo"},
        "user": {"id": "u1", "name": "demo"},
        "catalog": [
            service("compute", "/compute/v2.1"),
            service("image", "/image"),
            service("network", "/network"),
        ],
    }});
    Some((201, vec![("x-subject-token", "the-token".to_owned())], body))
}

/// A network as the usual answers have it.
pub(crate) fn network(id: &str, name: &str, is_external: bool) -> Json {
    json!({"id": id, "name": name, "subnets": ["s"], "router:external": is_external,
        "shared": false, "tenant_id": if is_external { "other" } else { "p1" }})
}

/// What a small cloud answers where nothing else is said.
fn usual(asked: &Asked, address: &str) -> Answer {
    let image =
        || json!({"id": "i1", "name": "tiny", "status": "active", "size": 5_000_000_000_u64});
    let named = |query: &str| asked.target.contains(query);
    match (asked.method.as_str(), asked.path()) {
        ("POST", "/v3/auth/tokens") => token(address, 3600),
        ("GET", "/compute/v2.1/") => ok(json!({"version": {"id": "v2.1", "version": "2.93"}})),
        ("GET", "/compute/v2.1/servers/detail") => ok(json!({"servers": []})),
        ("GET", "/compute/v2.1/flavors/detail") => ok(json!({"flavors": [
            {"id": "1", "name": "t1.micro", "vcpus": 1, "ram": 64, "disk": 1}]})),
        ("GET", "/compute/v2.1/os-server-groups") => ok(json!({"server_groups": []})),
        ("POST", "/compute/v2.1/os-server-groups") => {
            ok(json!({"server_group": {"id": "sg1", "name": asked.body["server_group"]["name"]}}))
        }
        ("POST", "/compute/v2.1/servers") => Some((
            202,
            Vec::new(),
            json!({"server": {"id": "new", "adminPass": "x"}}),
        )),
        ("GET", "/image/v2/images/i1") => ok(image()),
        ("GET", "/image/v2/images") if named("name=tiny") => ok(json!({"images": [image()]})),
        ("GET", "/image/v2/images") => ok(json!({"images": []})),
        ("GET", "/network/v2.0/extensions") => ok(json!({"extensions": [
            {"alias": "standard-attr-description"}, {"alias": "revision-if-match"},
            {"alias": "empty-string-filtering"}]})),
        ("GET", "/network/v2.0/networks") if named("external=True") => {
            ok(json!({"networks": [network("n2", "external", true)]}))
        }
        ("GET", "/network/v2.0/networks") if named("name=inner") => {
            ok(json!({"networks": [network("n1", "inner", false)]}))
        }
        ("GET", "/network/v2.0/networks") if named("name=") => ok(json!({"networks": []})),
        ("GET", "/network/v2.0/networks") => ok(json!({"networks":
            [network("n1", "inner", false), network("n2", "external", true)]})),
        ("GET", "/network/v2.0/ports") => ok(json!({"ports": []})),
        ("GET", "/network/v2.0/floatingips") => ok(json!({"floatingips": []})),
        ("GET", "/network/v2.0/security-groups") => ok(json!({"security_groups": []})),
        ("POST", "/network/v2.0/ports") => Some((
            201,
            Vec::new(),
            json!({"port": {"id": "port1", "name": asked.body["port"]["name"]}}),
        )),
        ("POST", "/network/v2.0/floatingips") => {
            let mut address = asked.body["floatingip"].clone();
            address["id"] = "f1".into();
            address["floating_ip_address"] = "192.0.2.7".into();
            Some((201, Vec::new(), json!({"floatingip": address})))
        }
        _ => status(
            404,
            json!({"itemNotFound": {"message": "there is no such thing"}}),
        ),
    }
}
