//! Commands that may have waited for others in ways that are not understood.
//! What comes behind them needs nothing for certain.

use std::collections::BTreeSet;

use zenekar_lint::machine::Origin;
use zenekar_lint::shell::{Command, Link, base_name};

use super::{Act, REMOTE, Walker};
use crate::call;
use crate::manner::Manner;
use crate::words::normal_path;

/// Programs that call others, of which a loop around them may wait for one.
pub(super) const CALLERS: &[&str] = &[
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "mysql",
    "mysqladmin",
    "psql",
    "pg_isready",
    "redis-cli",
    "mongo",
    "mongosh",
    "ssh",
    "ping",
    "python",
    "python3",
    "timeout",
    "getent",
    "test",
    "[",
    "[[",
];

impl Walker<'_, '_, '_> {
    /// Says whether something may have waited for a node.
    pub(super) fn may_wait_for(&self, node: usize) -> bool {
        self.may_have_waited || self.waited.contains(&node)
    }

    /// Notes files with addresses that something else than a shell may run or read.
    pub(super) fn note_telling_files(&mut self) {
        let machine = self.machine;
        for (position, file) in machine.files.iter().enumerate() {
            let mut scripts = machine.scripts.iter();
            let is_script = scripts.any(|script| script.origin == Origin::File(position));
            if !is_script {
                self.note_telling(&normal_path(file.path), file.content.content);
            }
        }
    }

    /// Notes the nodes that a file names.
    pub(super) fn note_telling(&mut self, path: &str, content: &str) {
        let hosts = self.known.hosts_in(content);
        let nodes: BTreeSet<usize> = hosts
            .into_iter()
            .map(|named| named.host.node)
            .filter(|node| *node != self.own)
            .collect();
        if !nodes.is_empty() {
            self.telling.insert(path.to_owned(), nodes);
        }
    }

    /// Returns the nodes that are named by files that a command is given, or is.
    pub(super) fn told_by(&self, command: &Command, words: &[String]) -> BTreeSet<usize> {
        if self.telling.is_empty() || call::is_prompt(command.program()) {
            return BTreeSet::new();
        }
        let path = command.program_path();
        words
            .iter()
            .map(String::as_str)
            .chain([path])
            .filter(|word| word.contains('/'))
            .filter_map(|word| self.telling.get(&normal_path(word)))
            .flatten()
            .copied()
            .collect()
    }

    /// Notes commands that may have waited for others in ways that are not understood.
    pub(super) fn note_waiting(&mut self, index: usize, act: &Act<'_>, manner: Manner) {
        let command = act.command;
        let is_service = matches!(self.machine.scripts[index].origin, Origin::Service(_));
        if act.demand.is_some() || is_service {
            return;
        }
        let program = command.program();
        let script = command.runs_script().map_or(program, base_name);
        self.may_have_waited |= [program, script].iter().any(|name| name.contains("wait"))
            // `wait` is a shell's own, for what it has started.
            && program != "wait";
        let is_patient = manner == Manner::Again && CALLERS.contains(&program);
        if act.named.is_empty() && !CALLERS.contains(&program) {
            return;
        }
        let outline = self.outlines.get(&index);
        let in_function =
            outline.is_some_and(|outline| outline.is_in_function(command.range.start));
        if act.named.is_empty() {
            let is_open = act.words.iter().any(|word| word.contains(['$', '`']));
            let calls = CALLERS.contains(&program) && !matches!(program, "[" | "[[" | "test");
            self.may_have_waited |= calls && is_open && (is_patient || in_function);
            return;
        }
        let is_caller = CALLERS.contains(&program);
        let is_start = command.after == Link::Background
            || command.is_wrapped_in("nohup")
            || matches!(program, "docker" | "podman" | "docker-compose") && is_detached(command);
        if is_patient
            || is_caller && manner == Manner::Unknown
            || !call::is_prompt(program) && !is_start && !REMOTE.contains(&program)
        {
            self.waited.extend(&act.named);
        }
    }
}

/// Says whether a container is started and left alone.
fn is_detached(command: &Command) -> bool {
    command.arguments().iter().any(|word| {
        let text = word.text.as_str();
        let is_short = text.starts_with('-') && !text.starts_with("--");
        text == "--detach" || is_short && text.contains('d')
    })
}
