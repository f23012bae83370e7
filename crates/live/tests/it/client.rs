//! A server with its controller, and the simplest client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use zenekar_live::{Controller, Server};

/// How long an answer may take; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until the test ends.
pub(crate) struct Running {
    pub(crate) runtime: Runtime,
    pub(crate) controller: Controller,
    pub(crate) address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
}

impl Running {
    pub(crate) fn start(token: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let controller = runtime.block_on(async { Controller::new() });
        let mut server = runtime
            .block_on(Server::listen("127.0.0.1", 0))
            .expect("a port is free");
        if let Some(token) = token {
            server = server.with_token(token);
        }
        let address = server.address();
        let (end, ended) = oneshot::channel();
        let shared = controller.clone();
        runtime.spawn(async move {
            server
                .run(shared, async {
                    let _ = ended.await;
                })
                .await;
        });
        Self {
            runtime,
            controller,
            address,
            end: Some(end),
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.ask_with(method, path, "", body)
    }

    pub(crate) fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: debugger\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        // A server that refuses a body need not read it.
        let _ = stream.write_all(body.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("the answer is UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("the answer has a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        (status.expect("the answer has a status"), body)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
    }
}
