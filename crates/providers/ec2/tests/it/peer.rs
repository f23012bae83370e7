//! A peer that answers what a test tells it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that a request of a test may have.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What a request asked for: its parameters, and its head for looks at headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pub(crate) head: String,
    pub(crate) path: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Form {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    pub(crate) fn action(&self) -> &str {
        self.get("Action")
    }
}

/// What the peer does with a request.
pub(crate) enum Reply {
    /// It answers.
    Answer {
        status: u16,
        kind: &'static str,
        headers: String,
        body: String,
    },
    /// It closes the connection.
    Close,
    /// It promises an answer, sends half of it, and closes the connection.
    Half(String),
}

impl Reply {
    pub(crate) fn xml(body: impl Into<String>) -> Self {
        Self::Answer {
            status: 200,
            kind: "text/xml;charset=UTF-8",
            headers: String::new(),
            body: body.into(),
        }
    }

    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::Answer {
            status: 200,
            kind: "application/json",
            headers: String::new(),
            body: body.into(),
        }
    }

    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::Answer {
            status,
            kind: "text/xml;charset=UTF-8",
            headers: String::new(),
            body: format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>\
                 </Errors><RequestID>r-1</RequestID></Response>"
            ),
        }
    }

    pub(crate) fn page(status: u16, body: &str) -> Self {
        Self::Answer {
            status,
            kind: "text/html",
            headers: String::new(),
            body: body.to_owned(),
        }
    }
}

type Script = dyn Fn(&Form) -> Reply + Send + Sync;

/// A listening peer.
pub(crate) struct Peer {
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Form>>>,
}

impl Peer {
    /// Starts to listen.
    pub(crate) async fn start(script: impl Fn(&Form) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (script, shared): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&log));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&shared));
                tokio::spawn(async move { serve(stream, &script, &log).await });
            }
        });
        Self { url, log }
    }

    /// Returns what was asked so far.
    pub(crate) fn log(&self) -> Vec<Form> {
        self.log
            .lock()
            .expect("no test panics while it logs")
            .clone()
    }

    /// Counts the requests of an action.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.log()
            .iter()
            .filter(|form| form.action() == action)
            .count()
    }
}

async fn serve(mut stream: TcpStream, script: &Arc<Script>, log: &Mutex<Vec<Form>>) {
    let mut data = Vec::new();
    while let Some(form) = read(&mut stream, &mut data).await {
        log.lock()
            .expect("no test panics while it logs")
            .push(form.clone());
        let (text, is_last) = match script(&form) {
            Reply::Close => return,
            Reply::Half(body) => (
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{}",
                    body.len(),
                    &body[..body.len() / 2]
                ),
                true,
            ),
            Reply::Answer {
                status,
                kind,
                headers,
                body,
            } => (
                format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\n{headers}content-length: {}\r\n\r\n{body}",
                    body.len()
                ),
                false,
            ),
        };
        if stream.write_all(text.as_bytes()).await.is_err() || is_last {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, data: &mut Vec<u8>) -> Option<Form> {
    loop {
        if let Some((form, used)) = parse(data) {
            data.drain(..used);
            return Some(form);
        }
        let mut piece = vec![0u8; 16 * 1024];
        let count = stream.read(&mut piece).await.ok()?;
        if count == 0 || data.len() > REQUEST_BYTES_MAX {
            return None;
        }
        data.extend_from_slice(&piece[..count]);
    }
}

fn parse(data: &[u8]) -> Option<(Form, usize)> {
    let end = data.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&data[..end]).into_owned();
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    let body = data.get(end..end + length)?;
    let parameters = String::from_utf8_lossy(body)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let form = Form {
        head,
        path,
        parameters,
    };
    Some((form, end + length))
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Writes an instance as EC2 shows it, with the tags of ours.
pub(crate) fn instance(id: &str, infrastructure: &str, tag: &str, state: &str) -> String {
    format!(
        "<item><instanceId>{id}</instanceId><instanceState><code>16</code><name>{state}</name>\
         </instanceState><privateIpAddress>10.9.0.1</privateIpAddress><tagSet>\
         <item><key>zenekar:infrastructure</key><value>{infrastructure}</value></item>\
         <item><key>zenekar:instance</key><value>{tag}</value></item></tagSet></item>"
    )
}

/// Writes a page of a list of instances.
pub(crate) fn instances(items: &str, next: Option<&str>) -> Reply {
    let next = next.map_or(String::new(), |next| {
        format!("<nextToken>{next}</nextToken>")
    });
    Reply::xml(format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet>\
         </item></reservationSet>{next}</DescribeInstancesResponse>"
    ))
}

/// Writes the answer to a launch.
pub(crate) fn launched(item: &str) -> Reply {
    Reply::xml(format!(
        "<RunInstancesResponse><instancesSet>{item}</instancesSet></RunInstancesResponse>"
    ))
}
