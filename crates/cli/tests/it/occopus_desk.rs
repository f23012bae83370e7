//! A place with Occopus's commands, `MiCADO`'s files and a service, for tests.

#![expect(clippy::print_stderr, reason = "tests say why they failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Run, Sandbox, run};

/// How long something may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What `MiCADO` writes for a worker: keys in order, everything inline.
const NODES: &str = "\
node_def:worker-node:
- contextualisation:
    context_template:
      runcmd:
      - echo micado runcmd placeholder
      write_files:
      - content: 'master {{variables.master_ip}} of {{infra_id}}, worker {{node_id[0:8]}}

          '
        path: /etc/micado-worker
        permissions: '0644'
    type: cloudinit
  health_check:
    ping: false
  resource:
    endpoint: https://ec2.eu-west-1.amazonaws.com
    image_id: ami-0ff760d16d9497662
    instance_type: t2.small
    key_name: micado
    regionname: eu-west-1
    security_group_ids:
    - sg-93d46bf7
    type: ec2
";

/// What `MiCADO` writes for the infrastructure: no dependencies.
pub(crate) const INFRASTRUCTURE: &str = "\
infra_name: micado-worker-infra
nodes:
- name: worker-node
  scaling:
    max: 5
    min: 1
  type: worker-node
user_id: user@micado
variables:
  master_ip: 10.1.2.3
";

const AUTHENTICATION: &str = "\
resource:
- auth_data:
    accesskey: AKIAEXAMPLE
    secretkey: example
  endpoint: https://ec2.eu-west-1.amazonaws.com
  type: ec2
";

/// The id that `MiCADO` gives, which no name of a node could be.
pub(crate) const ID: &str = "micado_worker_infra";

/// A place with Occopus's commands and `MiCADO`'s files.
pub(crate) struct Desk<'a> {
    sandbox: &'a Sandbox,
    on: &'static str,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, on: &'static str) -> Self {
        sandbox.write("nodes.yaml", NODES);
        sandbox.write("infra.yaml", INFRASTRUCTURE);
        sandbox.write("auth_data.yaml", AUTHENTICATION);
        sandbox.ok(&[
            "occopus",
            "install-links",
            "--directory",
            &text(&sandbox.path("bin")),
        ]);
        Self { sandbox, on }
    }

    pub(crate) fn command(&self, tool: &str, arguments: &[&str]) -> Command {
        let model = self.sandbox.command(&[]);
        let mut command = Command::new(self.sandbox.path("bin").join(tool));
        command
            .args(arguments)
            .current_dir(self.sandbox.path(""))
            .env_clear()
            .envs(
                model
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ZENEKAR_ON", self.on)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn tool(&self, tool: &str, arguments: &[&str]) -> Run {
        run(self.command(tool, arguments))
    }

    pub(crate) fn import(&self) {
        let imported = self.tool("occopus-import", &["nodes.yaml"]).expect(0);
        let expected = "Successfully imported nodes: worker-node";
        assert!(imported.stdout.contains(expected), "{imported:?}");
    }

    /// Builds as `MiCADO` does.
    pub(crate) fn build(&self) -> Run {
        let arguments = [
            "infra.yaml",
            "-i",
            ID,
            "--auth_data_path",
            "auth_data.yaml",
            "--parallelize",
        ];
        let built = self.tool("occopus-build", &arguments).expect(0);
        assert!(
            built.stdout.contains("Submitted infrastructure"),
            "{built:?}"
        );
        assert_eq!(built.stdout.lines().last(), Some(ID));
        built
    }

    pub(crate) fn serve(&self) -> Service {
        let arguments = [
            "--auth_data_path",
            "auth_data.yaml",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--parallelize",
        ];
        let mut command = self.command("occopus-rest-service", &arguments);
        let log = self.sandbox.path("service.log");
        let told = std::fs::File::create(&log).expect("the sandbox can be written");
        command.stdout(told);
        let mut child = command.spawn().expect("the link leads to the binary");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut seen = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let _ = child.kill();
                panic!("the service does not begin:\n{seen}");
            };
            if let Some(rest) = line.split_once("Running on http://") {
                break rest.1.split('/').next().unwrap_or_default().to_owned();
            }
            seen.push_str(&line);
        };
        // Read on, so that the service can go on writing.
        let mut errors = std::fs::File::create(self.sandbox.path("service.err"))
            .expect("the sandbox can be written");
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = writeln!(errors, "{line}");
            }
        });
        Service {
            child,
            address,
            log,
            report: Mutex::default(),
        }
    }
}

/// A service that runs, and is stopped at the end of the test.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
    /// What it told.
    log: PathBuf,
    /// What it reported last.
    report: Mutex<Value>,
}

impl Service {
    pub(crate) fn ask(&self, method: &str, path: &str) -> Value {
        self.send(method, path, "").1
    }

    /// Asks, and returns the status of HTTP and the body.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("the service listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: occopus:5000\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the service reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the service answers");
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .expect("the answer has a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let value = serde_json::from_str(body).unwrap_or(Value::Null);
        (status.expect("the answer has a status"), value)
    }

    pub(crate) fn infrastructure(&self, method: &str, rest: &str) -> Value {
        let (status, answer) = self.send(method, &format!("/infrastructures/{ID}{rest}"), "");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Waits until the node has so many instances, all of them ready, and
    /// returns its report.
    pub(crate) fn wait_for(&self, count: usize) -> Value {
        let mut report = Value::Null;
        wait(|| {
            report = self.infrastructure("GET", "")["worker-node"].take();
            report.clone_into(&mut self.report.lock().expect("no test panics with it"));
            let instances = report["instances"].as_object();
            let ready = instances.into_iter().flat_map(|members| members.values());
            let ready = ready.filter(|one| one["state"] == "ready").count();
            ready == count && report["scaling"]["actual"] == count
        });
        report
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Asks the service to end, and returns its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let errors = std::fs::read_to_string(self.log.with_extension("err"));
            let errors = errors.unwrap_or_default();
            eprintln!(
                "last report: {:#}\n{log}{errors}",
                self.report.lock().expect("no test panics with it")
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
