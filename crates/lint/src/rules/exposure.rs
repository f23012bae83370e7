//! Control ports that ask nobody who he is: `ZK0705`.

use zenekar_diagnostics::Severity;
use zenekar_diagnostics::codes::lint as codes;

use crate::landscape::Landscape;
use crate::machine::Machine;
use crate::report::Report;
use crate::shell::base_name;
use crate::text::Text;

use super::{is_comment, lines_of};

/// A way to open a control port, as it stands in one line.
struct Opening {
    /// All of these are in the line, in lower case.
    all: &'static [&'static str],
    /// One of these is, too; any line for an empty list.
    any: &'static [&'static str],
    /// None of these is anywhere in the texts of the machine.
    unless: &'static [&'static str],
    /// Whether strangers can run commands through it.
    is_fatal: bool,
    message: &'static str,
    help: &'static str,
}

const PASSWORD_HELP: &str =
    "listen on `127.0.0.1` or require a password that is not in the descriptor";
const TLS_HELP: &str = "listen on `127.0.0.1` or require TLS with client certificates";

const OPENINGS: &[Opening] = &[
    Opening {
        all: &["tcp://", ":2375"],
        any: &[
            "-h ",
            "-h=",
            "--host",
            "\"hosts\"",
            "dockerd",
            "docker_opts",
            "\"tcp://",
        ],
        unless: &["tlsverify"],
        is_fatal: true,
        message: "Docker's control port is open without TLS: whoever reaches it is root",
        help: "listen on `fd://` only, or use `--tlsverify` on port 2376",
    },
    Opening {
        all: &["dockerd", " 0.0.0.0:2375"],
        any: &[],
        unless: &["tlsverify"],
        is_fatal: true,
        message: "Docker's control port is open without TLS: whoever reaches it is root",
        help: "listen on `fd://` only, or use `--tlsverify` on port 2376",
    },
    Opening {
        all: &["bind", "0.0.0.0"],
        any: &["redis"],
        unless: &["requirepass", "aclfile"],
        is_fatal: true,
        message: "Redis listens on all addresses without a password",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["protected-mode", "no"],
        any: &[],
        unless: &["requirepass", "aclfile"],
        is_fatal: true,
        message: "Redis answers strangers: its protected mode is off and there is no password",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["bind_ip_all"],
        any: &[],
        unless: &["--auth", "authorization: enabled", "keyfile"],
        is_fatal: true,
        message: "MongoDB listens on all addresses without authorisation",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["0.0.0.0"],
        any: &["bindip", "bind_ip"],
        unless: &[
            "--auth",
            "authorization: enabled",
            "authorization: \"enabled\"",
            "keyfile",
        ],
        is_fatal: true,
        message: "MongoDB listens on all addresses without authorisation",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["http://0.0.0.0:2379"],
        any: &[],
        unless: &["client-cert-auth", "client_cert_auth"],
        is_fatal: true,
        message: "etcd serves all addresses without client certificates",
        help: TLS_HELP,
    },
    Opening {
        all: &["read-only-port=10255"],
        any: &[],
        unless: &[],
        is_fatal: false,
        message: "the kubelet tells everybody about all pods on port 10255",
        help: "set the read-only port to 0",
    },
    Opening {
        all: &["readonlyport: 10255"],
        any: &[],
        unless: &[],
        is_fatal: false,
        message: "the kubelet tells everybody about all pods on port 10255",
        help: "set `readOnlyPort` to 0",
    },
    Opening {
        all: &["anonymous-auth=true"],
        any: &[],
        unless: &[],
        is_fatal: true,
        message: "a Kubernetes component takes orders from everybody",
        help: "leave `--anonymous-auth` off",
    },
    Opening {
        all: &["authorization-mode=alwaysallow"],
        any: &[],
        unless: &[],
        is_fatal: true,
        message: "a Kubernetes component takes orders from everybody",
        help: "use `--authorization-mode=Webhook` or `RBAC`",
    },
    Opening {
        all: &["--insecure-bind-address=0.0.0.0"],
        any: &[],
        unless: &[],
        is_fatal: true,
        message: "the Kubernetes API is served without authentication",
        help: TLS_HELP,
    },
    Opening {
        all: &["--enable-skip-login"],
        any: &[],
        unless: &[],
        is_fatal: false,
        message: "the login of the Kubernetes dashboard can be skipped",
        help: "leave `--enable-skip-login` out and log in with a token",
    },
    Opening {
        all: &["kubectl", "proxy", "--address"],
        any: &["0.0.0.0"],
        unless: &[],
        is_fatal: true,
        message: "the Kubernetes API is handed to everybody by `kubectl proxy`",
        help: "let `kubectl proxy` listen on `127.0.0.1`",
    },
    Opening {
        all: &["xpack.security.enabled", "false"],
        any: &[],
        unless: &[],
        is_fatal: false,
        message: "Elasticsearch answers everybody: its security is off",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["plugins.security.disabled", "true"],
        any: &[],
        unless: &[],
        is_fatal: false,
        message: "OpenSearch answers everybody: its security is off",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["client_addr", "0.0.0.0"],
        any: &[],
        unless: &["acl_default_policy", "default_policy", "acl {"],
        is_fatal: false,
        message: "Consul's API is open on all addresses without access rules",
        help: "leave `client_addr` at `127.0.0.1`, or set up access rules",
    },
    Opening {
        all: &["dfs.permissions", "<value>false"],
        any: &[],
        unless: &[],
        is_fatal: false,
        message: "HDFS lets everybody read, change and delete all files",
        help: "leave `dfs.permissions.enabled` on",
    },
    Opening {
        all: &["no_root_squash"],
        any: &["*("],
        unless: &[],
        is_fatal: false,
        message: "everybody can mount the exported folder and write as root",
        help: "name the network of the clients, and leave `root_squash` on",
    },
    Opening {
        all: &["code-server", "--auth", "none"],
        any: &[],
        unless: &[],
        is_fatal: true,
        message: "the editor gives a shell to everybody",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["auth-none=1"],
        any: &[],
        unless: &[],
        is_fatal: true,
        message: "RStudio Server gives a session to everybody",
        help: PASSWORD_HELP,
    },
    Opening {
        all: &["vnc", "none"],
        any: &["securitytypes"],
        unless: &[],
        is_fatal: true,
        message: "the VNC server gives the desktop to everybody",
        help: PASSWORD_HELP,
    },
];

/// Names of the settings that protect a notebook.
const NOTEBOOK_SETTINGS: &[&str] = &[
    "notebookapp.token",
    "serverapp.token",
    "identityprovider.token",
    "notebookapp.password",
    "serverapp.password",
    "passwordidentityprovider.hashed_password",
];

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        let machine = &subject.machine;
        for leaf in &machine.leaves {
            check_text(machine, &leaf.text, report);
        }
        check_consul(machine, report);
        check_published(machine, report);
    }
}

fn check_text(machine: &Machine<'_>, text: &Text<'_>, report: &mut Report) {
    let mut before = String::new();
    for (offset, line) in lines_of(text.content) {
        let lower = line.to_ascii_lowercase();
        // Hadoop's files have the name in one line and the value in the next.
        let joined = if lower.trim_start().starts_with("<value>") {
            format!("{before}{lower}")
        } else {
            lower.clone()
        };
        before.clone_from(&lower);
        if is_comment(line) {
            continue;
        }
        let start = offset + (line.len() - line.trim_start().len());
        let place = || text.span(start..offset + line.trim_end().len());
        let found = OPENINGS
            .iter()
            .find(|opening| opening.is_in(&joined, machine));
        if let Some(opening) = found {
            let severity = if opening.is_fatal {
                Severity::Error
            } else {
                Severity::Warning
            };
            report.say(
                severity,
                &codes::OPEN_CONTROL_PORT,
                place(),
                opening.message,
                opening.help,
            );
        }
        if is_open_notebook(&lower) {
            report.say(
                Severity::Error,
                &codes::OPEN_CONTROL_PORT,
                place(),
                "the notebook server gives a shell to everybody: its token or password is empty",
                PASSWORD_HELP,
            );
        }
    }
}

impl Opening {
    fn is_in(&self, line: &str, machine: &Machine<'_>) -> bool {
        let is_local = line.contains("127.0.0.1:2375") || line.contains("localhost:2375");
        // A client is not what opens the port.
        let is_client = line.contains("docker -h ") || line.contains("docker_host");
        !(is_local || is_client)
            && self.all.iter().all(|word| line.contains(word))
            && (self.any.is_empty()
                || self.any.iter().any(|word| line.contains(word))
                // The name of the service may stand elsewhere on the machine.
                || self.any == ["redis"] && line.trim_start().starts_with("bind") && machine.mentions("redis"))
            && !self.unless.iter().any(|word| machine.mentions(word))
    }
}

/// Says whether a line empties the token or the password of a notebook server.
fn is_open_notebook(line: &str) -> bool {
    NOTEBOOK_SETTINGS.iter().any(|setting| {
        let Some(at) = line.find(setting) else {
            return false;
        };
        let value = line[at + setting.len()..]
            .trim_start()
            .trim_start_matches('=')
            .trim_start();
        let value = value.strip_prefix('u').unwrap_or(value);
        let behind = line[at + setting.len()..].strip_prefix('=');
        let is_bare = line[..at].ends_with("--")
            && behind.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\\']));
        let is_password = setting.contains("password");
        let is_empty =
            value.starts_with("''") || value.starts_with("\"\"") || value.starts_with("\\\"\\\"");
        // An empty password alone leaves the token, which is made by itself.
        (is_empty || is_bare) && !is_password
    })
}

/// Looks for agents of Consul whose API is open to the network.
fn check_consul(machine: &Machine<'_>, report: &mut Report) {
    let is_guarded = [
        "acl_default_policy",
        "default_policy",
        "acl_master_token",
        "\"acl\"",
    ]
    .iter()
    .any(|word| machine.mentions(word));
    if is_guarded {
        return;
    }
    for (script, command) in machine.commands() {
        if command.program() != "consul" || !command.has_argument("agent") {
            continue;
        }
        let arguments = command.arguments();
        for (position, word) in arguments.iter().enumerate() {
            let address = match word.text.split_once('=') {
                Some(("-client", address)) => address,
                None if word.text == "-client" => arguments
                    .get(position + 1)
                    .map_or("", |next| next.text.as_str()),
                _ => continue,
            };
            if matches!(address, "" | "127.0.0.1" | "localhost" | "::1") {
                continue;
            }
            report.warn(
                &codes::OPEN_CONTROL_PORT,
                script.text.span(word.range.clone()),
                "Consul's API is open to the network without access rules",
                "leave `-client` at `127.0.0.1`, or set up access rules",
            );
        }
    }
}

/// Stores that take orders from everybody unless they are given a password:
/// the image, and words of which one sets a password.
const OPEN_STORES: &[(&str, &[&str])] = &[
    ("redis", &["requirepass", "aclfile"]),
    ("mongo", &["MONGO_INITDB_ROOT_PASSWORD", "--auth"]),
    ("etcd", &["client-cert-auth"]),
];

/// Looks for containers of stores whose port is published without a password.
fn check_published(machine: &Machine<'_>, report: &mut Report) {
    for (script, command) in machine.commands() {
        if !matches!(command.program(), "docker" | "podman") || !command.has_argument("run") {
            continue;
        }
        let arguments = command.arguments();
        let is_published = arguments.iter().enumerate().any(|(at, word)| {
            let port = match word.text.as_str() {
                "-p" | "--publish" => arguments.get(at + 1).map(|next| next.text.as_str()),
                other => other.strip_prefix("--publish="),
            };
            port.is_some_and(|port| {
                !port.starts_with("127.0.0.1:") && !port.starts_with("localhost:")
            })
        }) || command.has_argument("--net=host")
            || command.has_argument("--network=host");
        let line = command.line();
        let store = OPEN_STORES.iter().find(|(image, guards)| {
            let is_image = |word: &crate::shell::Word| {
                base_name(&word.text).split([':', '@']).next() == Some(*image)
            };
            command.operands().any(is_image) && !guards.iter().any(|guard| line.contains(guard))
        });
        if let Some((image, _)) = store.filter(|_| is_published) {
            report.say(
                Severity::Error,
                &codes::OPEN_CONTROL_PORT,
                script.place(command),
                format!("the port of `{image}` is published without a password"),
                PASSWORD_HELP,
            );
        }
    }
}
