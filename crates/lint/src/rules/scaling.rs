//! Instances that go away: `ZK0701`, `ZK0702`, `ZK0703`.

use zenekar_diagnostics::Diagnostic;
use zenekar_diagnostics::codes::lint as codes;

use crate::landscape::{Landscape, Subject};
use crate::machine::{Machine, Origin, unit_of};
use crate::report::Report;
use crate::services;
use crate::shell::{Command, base_name};
use crate::text::Text;

use super::{is_comment, lines_of};

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        check_drain(landscape, subject, report);
        check_restarts(&subject.machine, report);
    }
    check_copies(landscape, report);
}

fn check_drain(landscape: &Landscape<'_>, subject: &Subject<'_>, report: &mut Report) {
    let Some(user) = subject.shrinking_user() else {
        return;
    };
    let missing = services::stateful_on(&subject.machine).find(|service| {
        let words = service.drains.unwrap_or_default();
        !words.iter().any(|word| landscape.mentions(word))
    });
    let Some(service) = missing else { return };
    let (min, max) = (user.min, user.max);
    let place = user.section.view.get("scaling").map_or(
        user.section.name_span,
        zenekar_document::View::definition_span,
    );
    let start = service
        .started_in(&subject.machine)
        .map(|step| subject.machine.place(step));
    let message = format!(
        "node `{}` can shrink from {max} to {min} instances, and nothing drains its {} first",
        user.section.name, service.name
    );
    let diagnostic = Diagnostic::warning(&codes::SCALE_IN_WITHOUT_DRAIN, message)
        .at(place)
        .help("let the member hand over its data before it goes, or set `max` to `min`");
    report.add(match start {
        Some(start) => diagnostic.also(start, "started here"),
        None => diagnostic,
    });
}

/// Settings that say how many copies there are: a word in front, and the value for one copy.
const SINGLE_COPY: &[(&str, &str)] = &[
    ("default.replication.factor", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("--replication-factor", "1"),
    ("replication_factor", "1"),
    ("number_of_replicas", "0"),
    ("osd pool default size", "1"),
    ("osd_pool_default_size", "1"),
];

fn check_copies(landscape: &Landscape<'_>, report: &mut Report) {
    let shrinking = landscape.subjects.iter().find_map(|subject| {
        let user = subject.shrinking_user()?;
        services::stateful_on(&subject.machine).next()?;
        Some(user)
    });
    let Some(user) = shrinking else { return };
    for subject in &landscape.subjects {
        for text in subject.machine.texts() {
            for (start, end) in single_copies(text) {
                let message = format!(
                    "one copy of the data, while node `{}` can lose instances",
                    user.section.name
                );
                let diagnostic = Diagnostic::warning(&codes::STORAGE_WITHOUT_COPIES, message)
                    .at(text.span(start..end))
                    .also(user.section.name_span, "the node")
                    .help("keep two copies or more, and at least as many instances");
                report.add(diagnostic);
            }
        }
    }
}

/// Finds the lines that ask for a single copy.
fn single_copies(text: &Text<'_>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut is_replication = false;
    for (offset, line) in lines_of(text.content) {
        if is_comment(line) {
            continue;
        }
        // Hadoop's files: the name in one line, mostly, and the value in the next.
        is_replication |= line.contains("<name>dfs.replication</name>");
        if let Some(at) = line.find("<value>").filter(|_| is_replication) {
            let value = line[at + "<value>".len()..].split('<').next().unwrap_or("");
            if value.trim() == "1" {
                found.push((offset + at, offset + line.len()));
            }
            is_replication = false;
        }
        let rest_is = |at: usize, name: &str, value: &str| {
            let rest = line[at + name.len()..].trim_start_matches(['"', '\'', ' ', '=', ':', '\t']);
            let word: String = rest
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            word == value
        };
        let is_single =
            SINGLE_COPY
                .iter()
                .chain(&[("dfs.replication", "1")])
                .any(|(name, value)| {
                    line.find(name)
                        .is_some_and(|at| !line.contains('<') && rest_is(at, name, value))
                });
        if is_single {
            let start = line.len() - line.trim_start().len();
            found.push((offset + start, offset + line.len()));
        }
    }
    found
}

fn check_restarts(machine: &Machine<'_>, report: &mut Report) {
    for script in &machine.scripts {
        let is_hook = match script.origin {
            Origin::File(file) => is_membership_hook(machine, machine.files[file].path),
            Origin::Boot | Origin::Service(_) | Origin::Container => false,
        };
        for command in &script.parsed.commands {
            if let Some(inline) = inline_hook(command) {
                report_restart_in_text(inline, script.text, command, report);
            }
            let Some(service) = restarted_by(command, &script.parsed.commands).filter(|_| is_hook)
            else {
                continue;
            };
            report.warn(
                &codes::CENTRAL_RESTART,
                script.place(command),
                format!("the {service} restarts whenever members change"),
                "reload its list of members instead",
            );
        }
    }
}

/// Says whether a script runs whenever members come or go.
fn is_membership_hook(machine: &Machine<'_>, path: &str) -> bool {
    let name = base_name(path);
    machine.commands().any(|(_, command)| {
        let line = command.line();
        let is_renderer = matches!(
            command.program(),
            "consul-template" | "confd" | "serf" | "consul" | "inotifywait"
        );
        is_renderer && line.contains(name) && hook_of(&line).is_some_and(|hook| hook.contains(name))
    }) || machine.texts().any(|text| {
        lines_of(text.content).any(|(_, line)| {
            !is_comment(line) && line.contains(name) && {
                let is_watch = line.contains("reload_cmd")
                    || line.contains("event-handler")
                    || line.contains("-watch");
                is_watch || hook_of(line).is_some_and(|hook| hook.contains(name))
            }
        })
    }) || is_cron_job(machine, name) && notices_members(machine, path)
}

/// Returns the command of `-template SOURCE:TARGET:COMMAND`.
fn hook_of(line: &str) -> Option<&str> {
    let (_, behind) = line.split_once("-template")?;
    let argument = behind.trim_start_matches(['=', ' ', '"', '\\', '\'']);
    let mut parts = argument.splitn(3, ':');
    let (_source, _target) = (parts.next()?, parts.next()?);
    let hook = parts.next()?;
    Some(hook.split(['"', '\\', '\'']).next().unwrap_or(hook))
}

fn is_cron_job(machine: &Machine<'_>, name: &str) -> bool {
    machine.texts().any(|text| {
        lines_of(text.content)
            .any(|(_, line)| line.contains(name) && line.contains("* *") && !is_comment(line))
    })
}

/// Says whether a script compares lists of members.
fn notices_members(machine: &Machine<'_>, path: &str) -> bool {
    machine.files.iter().any(|file| {
        let text = file.content.content;
        file.path == path
            && ["/etc/hosts", "members", "NotReady", "nodes"]
                .iter()
                .any(|word| text.contains(word))
    })
}

/// Returns the central service that a command restarts: by its own verb, or by
/// a stop that a start follows.
fn restarted_by(command: &Command, all: &[Command]) -> Option<&'static str> {
    let by_unit = unit_of(command, &["restart"]);
    if let Some(unit) = by_unit {
        return services::central()
            .find(|service| service.is_unit(unit))
            .map(|service| service.name);
    }
    // What `su -c` runs is looked at by itself.
    if command.script_argument().is_some() {
        return None;
    }
    let line = command.line();
    let is_stop = line.contains(" stop ")
        || command.program().starts_with("stop-")
        || line.contains("restart");
    if !is_stop {
        return None;
    }
    let started = line
        .replace(" stop ", " start ")
        .replace("stop-", "start-")
        .replace("restart", "start");
    let is_started = line.contains("restart") || all.iter().any(|other| other.line() == started);
    let probe = Command {
        words: words_of(&started),
        ..Command::default()
    };
    services::central()
        .find(|service| is_started && service.is_started_by(&probe))
        .map(|service| service.name)
}

fn words_of(line: &str) -> Vec<crate::shell::Word> {
    line.split_whitespace()
        .map(|word| crate::shell::Word {
            text: word.to_owned(),
            ..crate::shell::Word::default()
        })
        .collect()
}

/// Returns the command that a renderer runs, where it is written in the call itself.
fn inline_hook(command: &Command) -> Option<String> {
    if command.program() != "consul-template" {
        return None;
    }
    let line = command.line();
    hook_of(&line).map(str::to_owned)
}

fn report_restart_in_text(hook: String, text: Text<'_>, command: &Command, report: &mut Report) {
    let script = crate::shell::read(&hook, 0..hook.len());
    let restarted = script
        .commands
        .iter()
        .find_map(|inner| restarted_by(inner, &script.commands));
    if let Some(service) = restarted {
        report.warn(
            &codes::CENTRAL_RESTART,
            text.span(command.range.clone()),
            format!("the {service} restarts whenever members change"),
            "reload its list of members instead",
        );
    }
}
