//! Upgrades at boot and too many rights: `ZK0718`, `ZK0719`.

use zenekar_diagnostics::codes::lint as codes;
use zenekar_diagnostics::{Severity, Span};
use zenekar_document::View;

use crate::landscape::Landscape;
use crate::machine::{Machine, Origin, is_service_file};
use crate::report::Report;
use crate::shell::{Command, Link};
use crate::text::{Text, place_of};

use super::{is_comment, lines_of};

/// Keys of cloud-init that upgrade all packages.
const UPGRADE_KEYS: &[&str] = &["package_upgrade", "apt_upgrade", "apt-upgrade"];

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        let machine = &subject.machine;
        if let Some((config, outer)) = machine.config {
            check_config(config, outer, report);
        }
        for (script, command) in machine.commands() {
            check_upgrade(command, script.place(command), report);
            check_rights(command, script.place(command), report);
        }
        for text in machine.texts() {
            check_lines(text, report);
        }
        check_services(machine, report);
        check_daemons(machine, report);
    }
}

fn check_config(config: View<'_>, outer: Option<View<'_>>, report: &mut Report) {
    for key in UPGRADE_KEYS {
        if let Some(entry) = config.get_entry(key).filter(|entry| is_true(entry.value)) {
            tell_upgrade(place_of(entry.key.view(), outer), report);
        }
    }
    if let Some(entry) = config
        .get_entry("disable_root")
        .filter(|entry| entry.value.as_bool() == Some(false))
    {
        tell_rights(
            Severity::Warning,
            place_of(entry.key.view(), outer),
            "logging in as root is allowed",
            report,
        );
    }
    for user in config.get("users").into_iter().flat_map(View::items) {
        let sudo = user
            .get("sudo")
            .and_then(|sudo| Text::of(sudo.items().next().unwrap_or(sudo), outer));
        if let Some(text) =
            sudo.filter(|text| text.content.contains("NOPASSWD") && text.content.contains("ALL"))
        {
            tell_rights(
                Severity::Note,
                text.whole(),
                "this login may do everything, without a password",
                report,
            );
        }
    }
}

fn is_true(view: View<'_>) -> bool {
    view.as_bool() == Some(true) || matches!(view.as_str(), Some("yes" | "on" | "true"))
}

fn tell_upgrade(place: Span, report: &mut Report) {
    report.warn(
        &codes::UPGRADE_AT_BOOT,
        place,
        "all packages are upgraded while the instance starts",
        "upgrade the image instead",
    );
}

fn tell_rights(severity: Severity, place: Span, message: &str, report: &mut Report) {
    report.say(
        severity,
        &codes::TOO_MUCH_PRIVILEGE,
        place,
        message,
        "give it the rights that it needs, and no more",
    );
}

fn check_upgrade(command: &Command, place: Span, report: &mut Report) {
    let names = command
        .operands()
        .map(|word| word.text.as_str())
        .collect::<Vec<_>>();
    let is_upgrade = match command.program() {
        "apt-get" | "apt" | "aptitude" => names.iter().any(|name| {
            matches!(
                *name,
                "upgrade" | "dist-upgrade" | "full-upgrade" | "safe-upgrade"
            )
        }),
        // Without the name of a package.
        "yum" | "dnf" => matches!(names[..], ["update" | "upgrade"]),
        "zypper" => matches!(names[..], ["update" | "up" | "dup", ..]),
        "apk" => names.contains(&"upgrade"),
        _ => false,
    };
    if is_upgrade {
        tell_upgrade(place, report);
    }
}

fn check_rights(command: &Command, place: Span, report: &mut Report) {
    let written: Vec<&str> = command.written().map(|word| word.text.as_str()).collect();
    let line = command.line();
    let message = match command.program() {
        "chmod"
            if command.operands().next().is_some_and(|mode| {
                matches!(
                    mode.text.as_str(),
                    "777" | "0777" | "a+rwx" | "ugo+rwx" | "666"
                )
            }) =>
        {
            "everybody may change this"
        }
        "docker" | "podman" if command.has_argument("--privileged") => {
            "the container may do everything to the machine"
        }
        "docker" | "podman" if line.contains("/var/run/docker.sock") && line.contains("run") => {
            "the container has Docker's socket, and may do everything to the machine"
        }
        "jupyter" | "jupyter-lab" | "jupyter-notebook" if command.has_argument("--allow-root") => {
            "the notebook runs as root"
        }
        "echo" | "printf" if line.contains("NOPASSWD") && !line.starts_with('#') => {
            "this user may do everything, without a password"
        }
        "sed" if line.contains("PermitRootLogin yes") => "logging in as root is allowed",
        "passwd" if command.has_argument("root") && command.has_argument("-u") => {
            "logging in as root is allowed"
        }
        _ if written.iter().any(|file| file.starts_with("/etc/cron.d/"))
            && line.contains(" root ") =>
        {
            return tell_rights(Severity::Note, place, "this job runs as root", report);
        }
        _ => return,
    };
    tell_rights(Severity::Warning, place, message, report);
}

/// Looks for settings of the SSH server and of `sudo` in files.
fn check_lines(text: &Text<'_>, report: &mut Report) {
    for (offset, line) in lines_of(text.content) {
        let trimmed = line.trim();
        let message = if trimmed.starts_with("PermitRootLogin yes") {
            "logging in as root is allowed"
        } else if !is_comment(line)
            && trimmed.ends_with("NOPASSWD:ALL")
            && trimmed.contains("ALL=")
            && !trimmed.contains("echo")
            && text.content.lines().count() <= 5
        {
            "this user may do everything, without a password"
        } else {
            continue;
        };
        let start = offset + (line.len() - line.trim_start().len());
        tell_rights(
            Severity::Warning,
            text.span(start..start + trimmed.len()),
            message,
            report,
        );
    }
}

/// Looks for services that run as root without a need to.
fn check_services(machine: &Machine<'_>, report: &mut Report) {
    for file in &machine.files {
        let has_user = file.content.content.lines().any(|line| {
            let line = line.trim();
            line.starts_with("User=")
                || line.starts_with("DynamicUser=")
                || line.starts_with("setuid ")
        });
        let is_once = file.content.content.contains("Type=oneshot");
        if is_service_file(file.path) && !has_user && !is_once {
            tell_rights(
                Severity::Note,
                file.path_span,
                "this service runs as root",
                report,
            );
        }
    }
}

/// Looks for programs that the setup leaves running as root.
fn check_daemons(machine: &Machine<'_>, report: &mut Report) {
    for step in machine.steps.iter().filter(|step| step.is_root) {
        let command = machine.command(*step);
        let is_script = machine.scripts[step.script].origin != Origin::Container
            && !matches!(machine.scripts[step.script].origin, Origin::Service(_));
        let stays = command.after == Link::Background || command.is_wrapped_in("nohup");
        let is_harmless = matches!(
            command.program(),
            "sleep" | "echo" | "wait" | "su" | "tail" | ""
        ) || command.in_loop.is_some();
        if is_script && stays && !is_harmless {
            tell_rights(
                Severity::Note,
                machine.place(*step),
                "this goes on running as root",
                report,
            );
        }
    }
}
