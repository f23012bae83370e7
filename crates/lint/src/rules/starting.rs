//! What is there and never started: `ZK0704`.

use zenekar_diagnostics::codes::lint as codes;
use zenekar_diagnostics::{Diagnostic, Severity};

use crate::landscape::{Landscape, Subject};
use crate::machine::{File, Machine, Origin, is_service_file, started_unit, unit_name};
use crate::report::Report;
use crate::services;
use crate::shell::{Command, Link, base_name};

use super::{is_comment, lines_of};

/// The port that every machine has open from the start.
const SSH_PORT: u16 = 22;

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        for (position, file) in subject.machine.files.iter().enumerate() {
            check_file(&subject.machine, position, file, report);
        }
        check_ports(subject, report);
        check_packages(&subject.machine, report);
    }
    let starts_yarn = |subject: &Subject<'_>| services::starts_yarn(&subject.machine);
    if landscape.mentions("namenode") && !landscape.subjects.iter().any(starts_yarn) {
        for subject in &landscape.subjects {
            check_yarn(subject, report);
        }
    }
}

fn check_file(machine: &Machine<'_>, position: usize, file: &File<'_>, report: &mut Report) {
    let name = base_name(file.path);
    if is_service_file(file.path) {
        let starts_itself = file
            .content
            .content
            .lines()
            .any(|line| line.trim_start().starts_with("start on "));
        if !starts_itself && !is_service_started(machine, file) {
            report.warn(
                &codes::NEVER_STARTED,
                file.path_span,
                format!("nothing starts the service `{}`", unit_name(file.path)),
                "add `systemctl enable --now` for it to `runcmd`, or remove the file",
            );
        }
        return;
    }
    let is_script = machine
        .scripts
        .iter()
        .any(|script| script.origin == Origin::File(position));
    let runs_by_itself = [
        "/etc/cron",
        "/etc/profile.d/",
        "/etc/rc",
        "/etc/init.d/",
        "/etc/dhcp/",
        "/etc/network/",
        "/etc/update-motd.d/",
        "/var/lib/cloud/scripts/",
        "/etc/NetworkManager/",
        "/usr/lib/",
        "/lib/",
        "/etc/kernel/",
        "/etc/ppp/",
    ]
    .iter()
    .any(|folder| file.path.starts_with(folder));
    let is_template = [".ctmpl", ".tmpl", ".j2"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    if !(is_script || is_template) || runs_by_itself || is_mentioned(machine, file, is_script) {
        return;
    }
    let (severity, what) = if is_script {
        // People also call scripts by hand, but hardly in a folder for temporary files.
        let is_for_people = !["/tmp/", "/var/tmp/", "/var/lib/"]
            .iter()
            .any(|folder| file.path.starts_with(folder));
        (
            if is_for_people {
                Severity::Note
            } else {
                Severity::Warning
            },
            "runs the script",
        )
    } else {
        (Severity::Warning, "renders the template")
    };
    report.say(
        severity,
        &codes::NEVER_STARTED,
        file.path_span,
        format!("nothing {what} `{}`", file.path),
        "use it in `runcmd` or in another script, or remove it",
    );
}

/// Says whether a file is named anywhere outside of itself: by path, by name,
/// or by its folder, of which somebody may take all files.
fn is_mentioned(machine: &Machine<'_>, file: &File<'_>, by_folder: bool) -> bool {
    let name = base_name(file.path);
    let folder = file
        .path
        .strip_suffix(name)
        .unwrap_or("")
        .trim_end_matches('/');
    let own = file.content.content.as_ptr();
    let all = format!("{folder}/*");
    machine.leaves.iter().any(|leaf| {
        let is_own = leaf.text.content.as_ptr() == own
            || leaf.key == "path" && leaf.text.content == file.path;
        if is_own {
            return false;
        }
        lines_of(leaf.text.content).any(|(_, line)| {
            !is_comment(line)
                && (line.contains(name)
                    || !folder.is_empty() && line.contains(&all)
                    || by_folder
                        && folder.matches('/').count() > 1
                        && line
                            .split_whitespace()
                            .any(|word| word.trim_end_matches('/') == folder))
        })
    })
}

fn is_service_started(machine: &Machine<'_>, file: &File<'_>) -> bool {
    let unit = unit_name(file.path);
    let is_meant = |named: &str| {
        named == unit
            || unit
                .strip_suffix('@')
                .is_some_and(|stem| named.split('@').next() == Some(stem))
    };
    let by_command = machine.commands().any(|(_, command)| {
        started_unit(command).is_some_and(is_meant)
            || matches!(command.program(), "systemctl" | "update-rc.d" | "chkconfig")
                && command
                    .operands()
                    .skip(1)
                    .any(|word| is_meant(word.text.strip_suffix(".service").unwrap_or(&word.text)))
    });
    // A timer, a socket or another service may start it.
    let named = format!("{unit}.service");
    by_command
        || machine.files.iter().any(|other| {
            other.path != file.path
                && (other.path.ends_with(&format!("/{unit}.timer"))
                    || other.path.ends_with(&format!("/{unit}.socket"))
                    || other.path.ends_with(&format!("/{unit}.path"))
                    || other.content.content.contains(&named))
        })
}

/// Looks for checked ports that nothing on the machine has to do with.
fn check_ports(subject: &Subject<'_>, report: &mut Report) {
    let machine = &subject.machine;
    let is_managed = subject.section.view.get("config_management").is_some();
    let may_hide_services = is_managed
        || machine.steps.is_empty()
        || machine
            .commands()
            .any(|(_, command)| may_open_anything(machine, command));
    if may_hide_services {
        return;
    }
    for (port, place) in subject.checked_ports() {
        let digits = port.to_string();
        let is_known = services::with_port(port).any(|service| service.is_started_on(machine));
        let is_named = machine
            .leaves
            .iter()
            .any(|leaf| leaf.text.content.contains(&digits));
        if port == SSH_PORT || is_known || is_named {
            continue;
        }
        let mut likely = services::with_port(port);
        let message = match (likely.next(), likely.next()) {
            (Some(service), None) => format!(
                "port {port} is checked, but nothing starts {} or names the port",
                service.name
            ),
            _ => format!("port {port} is checked, but nothing here opens or names it"),
        };
        report.say(
            Severity::Note,
            &codes::NEVER_STARTED,
            place,
            message,
            "start what opens it, unless the image does that by itself",
        );
    }
}

/// Says whether a command starts something of which nobody knows the ports.
fn may_open_anything(machine: &Machine<'_>, command: &Command) -> bool {
    let is_known = services::is_start_of_any(command);
    let managers = ["ansible-playbook", "chef-client", "puppet", "salt-call"];
    let is_unknown_script = command
        .runs_script()
        .is_some_and(|path| machine.files.iter().all(|file| file.path != path));
    let starts = started_unit(command).is_some()
        || command.after == Link::Background
        || command.is_wrapped_in("nohup")
        || matches!(command.program(), "docker" | "podman") && command.has_argument("run")
        || matches!(
            command.program(),
            "docker-compose" | "kubectl" | "helm" | "java" | "node"
        )
        || managers.contains(&command.program())
        || is_unknown_script;
    command.is_shell_on_pipe() || starts && !is_known
}

/// Looks for `MapReduce` jobs without anything that could run them.
fn check_yarn(subject: &Subject<'_>, report: &mut Report) {
    let evidence = [
        "org.apache.hadoop.mapreduce",
        "yarn-site.xml",
        "yarn.resourcemanager",
        "mapreduce.framework.name",
    ];
    for leaf in &subject.machine.leaves {
        let first = lines_of(leaf.text.content)
            .find(|(_, line)| !is_comment(line) && evidence.iter().any(|word| line.contains(word)));
        if let Some((start, line)) = first {
            let diagnostic = Diagnostic::warning(&codes::NEVER_STARTED, "MapReduce is used, but nothing starts YARN")
                .at(leaf.text.span(start + (line.len() - line.trim_start().len())..start + line.len()))
                .help("start the resource manager and the node managers; jobs run inside the client otherwise");
            report.add(diagnostic);
            return;
        }
    }
}

/// Looks for services of packages that do not start with them.
fn check_packages(machine: &Machine<'_>, report: &mut Report) {
    for (script, command) in machine.commands() {
        // Packages of Debian and its kind start their services.
        if !matches!(command.program(), "yum" | "dnf" | "zypper") {
            continue;
        }
        for word in services::installed_by(command) {
            let Some(service) = services::of_package(&word.text) else {
                continue;
            };
            let is_started = machine
                .commands()
                .any(|(_, other)| other.range != command.range && service.is_started_by(other));
            if !is_started {
                report.warn(
                    &codes::NEVER_STARTED,
                    script.text.span(word.range.clone()),
                    format!("nothing starts {}, which this installs", service.name),
                    "add `systemctl enable --now` for it",
                );
            }
        }
    }
}
