//! Health checks that say too little or too much: `ZK0708`, `ZK0710`, `ZK0711`, `ZK0720`.

use zenekar_diagnostics::codes::lint as codes;
use zenekar_diagnostics::{Diagnostic, Severity, Span};
use zenekar_document::View;

use crate::landscape::{Landscape, Subject};
use crate::machine::{Machine, Step, started_unit};
use crate::report::Report;
use crate::services::{self, installed_by};
use crate::shell::{Command, Link, Where};

/// The port that every machine has open from the start.
const SSH_PORT: u16 = 22;

/// Clouds whose firewalls drop ICMP until a rule allows it.
const DROPPING_CLOUDS: &[&str] = &["ec2", "nova", "azure_vm", "azure_aci"];

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        check_ping(subject, report);
        check_presence(subject, report);
        check_ports(subject, report);
        check_limit(subject, report);
    }
}

fn check_ping(subject: &Subject<'_>, report: &mut Report) {
    if !DROPPING_CLOUDS.contains(&subject.provider) {
        return;
    }
    match subject.health.and_then(|health| health.get_entry("ping")) {
        None => report.warn(
            &codes::PING_REQUIRED,
            subject.health_place(),
            format!(
                "a ping is required by default, and `{}` drops it until a rule allows it",
                subject.provider
            ),
            "set `ping: false` in `health_check` and check a port, or allow ICMP",
        ),
        Some(entry) if entry.value.as_bool() == Some(true) => report.say(
            Severity::Note,
            &codes::PING_REQUIRED,
            entry.key.span(),
            format!(
                "a ping is required, and `{}` drops it until a rule allows it",
                subject.provider
            ),
            "make sure that the security group allows ICMP",
        ),
        Some(_) => {}
    }
}

fn has_checks(subject: &Subject<'_>) -> bool {
    !subject.checked_ports().is_empty() || subject.checks_answers()
}

fn check_presence(subject: &Subject<'_>, report: &mut Report) {
    let does_work =
        subject.machine.does_something() || subject.section.view.get("config_management").is_some();
    if has_checks(subject) || !does_work {
        return;
    }
    let is_container = matches!(subject.provider, "docker" | "azure_aci");
    let many = subject.users.iter().find(|user| user.max > 1);
    let needed = subject.users.iter().find(|user| user.is_needed);
    let (severity, message) = match (many, needed) {
        (Some(user), _) => (
            Severity::Warning,
            format!(
                "nothing checks what the up to {} instances of node `{}` do",
                user.max, user.section.name
            ),
        ),
        (None, Some(user)) => (
            Severity::Warning,
            format!(
                "other nodes depend on `{}`, but nothing checks what it does",
                user.section.name
            ),
        ),
        (None, None) if !is_container && starts_something(&subject.machine) => (
            Severity::Note,
            format!(
                "nothing checks what instances of `{}` do",
                subject.section.type_name
            ),
        ),
        (None, None) => return,
    };
    report.say(
        severity,
        &codes::NO_HEALTH_CHECK,
        subject.health_place(),
        message,
        "check the port or the URL of its service in `health_check`",
    );
}

/// Says whether something goes on running after the setup.
fn starts_something(machine: &Machine<'_>) -> bool {
    machine
        .packages
        .iter()
        .any(|package| services::is_service_package(package))
        || machine.commands().any(|(_, command)| {
            started_unit(command).is_some()
                || command.after == Link::Background
                || command.is_wrapped_in("nohup")
                || command.program() == "chef-client"
                || command.program() == "docker" && command.has_argument("run")
                || command.line().contains("--daemon")
        })
}

fn check_ports(subject: &Subject<'_>, report: &mut Report) {
    let ports = subject.checked_ports();
    if subject.checks_answers() || !subject.machine.does_something() {
        return;
    }
    if let [(SSH_PORT, place)] = ports[..] {
        report.warn(
            &codes::EARLY_READINESS,
            place,
            "only the SSH server is checked, and it answers before the setup has begun",
            "check the port of the service that the instance is for",
        );
        return;
    }
    // The last port to open decides; each of them must be early.
    let checked: Vec<(u16, Span)> = ports
        .into_iter()
        .filter(|(port, _)| *port != SSH_PORT)
        .collect();
    let mut early = Vec::new();
    for (port, place) in checked {
        let Some(found) = later_setup(&subject.machine, port) else {
            return;
        };
        early.push((port, place, found));
    }
    for (port, place, (opened, later)) in early {
        let machine = &subject.machine;
        let words = machine.command(later);
        let message = format!(
            "port {port} is open before the setup is over: `{}` comes later",
            shortened(&words.line())
        );
        let diagnostic = Diagnostic::warning(&codes::EARLY_READINESS, message)
            .at(place)
            .also(machine.place(later), "comes later")
            .help("check something that only the finished setup answers");
        report.add(match opened {
            Some(opened) => diagnostic.also(machine.place(opened), "opens the port"),
            None => diagnostic,
        });
    }
}

/// Returns the first words of a command line.
fn shortened(line: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Finds the step that opens a port, and one of the setup that comes later.
/// The first is none where a package of `packages` opens the port.
fn later_setup(machine: &Machine<'_>, port: u16) -> Option<(Option<Step>, Step)> {
    services::with_port(port).find_map(|service| {
        let opened = service.started_in(machine);
        let by_package = machine
            .packages
            .iter()
            .any(|package| service.is_package(package));
        let begin = match opened {
            Some(step) => machine.steps.iter().position(|other| *other == step)? + 1,
            None if by_package => 0,
            None => return None,
        };
        let later = machine.steps[begin..]
            .iter()
            .copied()
            .find(|step| is_setup(machine, *step))?;
        Some((opened, later))
    })
}

/// Programs that make a running service useful.
const SETTERS: &[(&str, &[&str])] = &[
    (
        "docker",
        &[
            "swarm", "stack", "network", "volume", "run", "pull", "compose", "load",
        ],
    ),
    ("docker-compose", &["up"]),
    (
        "kubectl",
        &["apply", "create", "taint", "label", "patch", "scale", "set"],
    ),
    ("kubeadm", &["init", "join", "token"]),
    ("helm", &["install", "upgrade"]),
    ("mysql", &[]),
    ("mysqladmin", &[]),
    ("mysql_secure_installation", &[]),
    ("mysql_install_db", &[]),
    ("psql", &[]),
    ("createdb", &[]),
    ("createuser", &[]),
    ("mongo", &[]),
    ("mongosh", &[]),
    ("redis-cli", &[]),
    (
        "rabbitmqctl",
        &[
            "add_user",
            "add_vhost",
            "join_cluster",
            "set_permissions",
            "import_definitions",
        ],
    ),
    ("rabbitmq-plugins", &["enable"]),
    ("influx", &[]),
    ("hdfs", &["dfs"]),
    ("hadoop", &["fs"]),
    ("a2ensite", &[]),
    ("a2enmod", &[]),
    ("wp", &[]),
    ("vault", &["operator", "policy", "secrets", "auth"]),
    ("ceph", &["osd", "fs"]),
    ("gluster", &["peer", "volume"]),
    ("kafka-topics.sh", &["--create"]),
];

/// Says whether a step is a part of the setup.
fn is_setup(machine: &Machine<'_>, step: Step) -> bool {
    let command = machine.command(step);
    if command.place == Where::Substitution || command.is_condition {
        return false;
    }
    let is_setter = SETTERS.iter().any(|(program, verbs)| {
        command.program() == *program
            && (verbs.is_empty() || verbs.iter().any(|verb| command.has_argument(verb)))
            && !command.has_argument("--version")
    });
    let installs = installed_by(command).next().is_some();
    is_setter || installs || is_post(command)
}

/// Says whether a command sends something to a service.
fn is_post(command: &Command) -> bool {
    command.program() == "curl"
        && command.arguments().iter().any(|word| {
            matches!(
                word.text.as_str(),
                "POST" | "PUT" | "-XPOST" | "-XPUT" | "-d" | "--data" | "--data-binary"
            )
        })
        && command
            .operands()
            .any(|word| word.text.contains("localhost") || word.text.contains("127.0.0.1"))
}

fn check_limit(subject: &Subject<'_>, report: &mut Report) {
    let Some(health) = subject.health else { return };
    let works_long = subject.machine.commands().any(|(_, command)| {
        installed_by(command).next().is_some()
            || matches!(
                command.program(),
                "wget" | "make" | "pip" | "pip3" | "chef-client"
            )
    });
    if works_long && has_checks(subject) && health.get("timeout").is_none_or(View::is_invalid) {
        report.say(
            Severity::Note,
            &codes::NO_TIME_LIMIT,
            subject.health_place(),
            "the health check has no `timeout`: the default of 600 seconds applies to a setup that installs software",
            "set `timeout` to what the setup takes at most",
        );
    }
}
