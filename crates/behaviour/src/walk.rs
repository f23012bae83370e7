//! Goes through the setup of a machine in the order in which it runs, and
//! notes what concerns other instances.

mod share;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use zenekar_lint::machine::{Machine, Origin, Script};
use zenekar_lint::shared_files::shared_mounts;
use zenekar_lint::shell::{Command, Link, Where};

use crate::call;
use crate::manner::{self, Manner, Outline};
use crate::words::{Knowledge, is_hosts_file, normal_path, without_substitutions};

/// Commands that are followed; scripts that call each other would make more.
const ACTS_MAX: usize = 20_000;

/// Commands of one machine of which it is found out how they stand in their
/// script; later ones may run or not. More have nothing to do with others.
const JUDGED_MAX: usize = 2_000;

/// Demands of one machine: more than a node has segments are of no use.
const DEMANDS_MAX: usize = 64;

/// How deep scripts that run scripts are followed.
const DEPTH_MAX: usize = 8;

/// Commands that set variables.
const SETTERS: &[&str] = &["export", "local", "declare", "readonly", "typeset"];

/// Programs that copy files between machines or run commands on another one.
const REMOTE: &[&str] = &["scp", "rsync", "sftp", "ssh", "sshpass", "ssh-copy-id"];

/// What a command needs of the instances of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The position of their node.
    pub(crate) node: usize,
    /// Whether all that the node had are named.
    pub(crate) is_all: bool,
    pub(crate) port: Option<u16>,
    /// A file that has to be there.
    pub(crate) path: Option<String>,
    /// Something else that has to be there, as `database shop`.
    pub(crate) object: Option<String>,
    pub(crate) retries: bool,
}

/// A command that runs.
#[derive(Clone, Debug)]
pub(crate) struct Act<'m> {
    pub(crate) command: &'m Command,
    /// The line of the rendered script.
    pub(crate) line: &'m str,
    /// The arguments, with all known put in.
    pub(crate) words: Vec<String>,
    pub(crate) demand: Option<Demand>,
    /// Nodes of which it has addresses.
    pub(crate) named: BTreeSet<usize>,
    /// Files of the machine that it writes.
    pub(crate) files: Vec<String>,
    /// Shared objects, by names.
    pub(crate) reads: Vec<String>,
    pub(crate) writes: Vec<String>,
    /// Those that are locked meanwhile.
    pub(crate) holds: Vec<String>,
    /// The item of `runcmd` that it is part of.
    pub(crate) item: Option<usize>,
}

/// Goes through a machine of the node at position `own`. `name_of` gives the
/// names of nodes.
pub(crate) fn walk<'m>(
    machine: &'m Machine<'_>,
    own: usize,
    name_of: &dyn Fn(usize) -> String,
) -> Vec<Act<'m>> {
    let mut known = Knowledge::default();
    for file in &machine.files {
        known.read_file(file);
    }
    let mut walker = Walker {
        machine,
        own,
        name_of,
        known,
        mounts: shared_mounts(machine),
        seen: BTreeMap::new(),
        telling: BTreeMap::new(),
        waited: BTreeSet::new(),
        may_have_waited: false,
        outlines: BTreeMap::new(),
        judged: 0,
        demands: 0,
        acts: Vec::new(),
        item: None,
    };
    walker.note_telling_files();
    for (position, script) in machine.scripts.iter().enumerate() {
        if matches!(script.origin, Origin::Boot | Origin::Container) {
            walker.item = script.item;
            walker.follow(position, 0, Manner::Once);
        }
    }
    walker.acts
}

struct Walker<'m, 'd, 'n> {
    machine: &'m Machine<'d>,
    own: usize,
    name_of: &'n dyn Fn(usize) -> String,
    known: Knowledge,
    mounts: Vec<String>,
    /// Shared objects that were read, by name, with the position of the command.
    seen: BTreeMap<String, usize>,
    /// Files in which addresses stand and that are no scripts of a shell, with
    /// the nodes that are named.
    telling: BTreeMap<String, BTreeSet<usize>>,
    /// Nodes for which something that is not understood may have waited.
    waited: BTreeSet<usize>,
    /// The same of nodes that are not known.
    may_have_waited: bool,
    /// The outlines of scripts, by position.
    outlines: BTreeMap<usize, Outline>,
    judged: usize,
    demands: usize,
    acts: Vec<Act<'m>>,
    /// The item of `runcmd` that is gone through.
    item: Option<usize>,
}

impl Walker<'_, '_, '_> {
    fn follow(&mut self, script: usize, depth: usize, outer: Manner) {
        if depth > DEPTH_MAX {
            return;
        }
        let machine = self.machine;
        let index = script;
        let script = &machine.scripts[index];
        self.outlines
            .entry(index)
            .or_insert_with(|| Outline::new(script.text.content));
        for (position, command) in script.parsed.commands.iter().enumerate() {
            if self.acts.len() >= ACTS_MAX {
                return;
            }
            let manner = self.act(index, position, outer);
            if command.place == Where::Remote {
                continue;
            }
            for next in machine.called_by(command) {
                self.follow(next, depth + 1, manner);
            }
        }
    }

    /// Notes one command, and returns how it runs.
    fn act(&mut self, index: usize, position: usize, outer: Manner) -> Manner {
        let script = &self.machine.scripts[index];
        let command = &script.parsed.commands[position];
        let words: Vec<String> = command
            .arguments()
            .iter()
            .map(|word| self.known.expand(&word.text))
            .collect();
        self.learn(script, position, &words);
        let call = call::of(command, &words, &self.known);
        let mut named = self.named(script, command, &words);
        let told = self.told_by(command, &words);
        named.extend(&told);
        let concerns_others = call.is_some()
            || !named.is_empty()
            || waiting::CALLERS.contains(&command.program())
            || command.runs_script().is_some();
        let manner = if concerns_others {
            let is_test = call.as_ref().is_some_and(|call| call.is_test);
            outer.max(self.judge(index, position, is_test))
        } else {
            outer
        };
        let mut act = Act {
            command,
            line: line_at(script.text.content, command.range.start),
            named,
            files: written_files(command, &words),
            words,
            demand: None,
            reads: Vec::new(),
            writes: Vec::new(),
            holds: Vec::new(),
            item: self.item,
        };
        self.share(script, position, &mut act);
        if command.place != Where::Remote {
            act.demand = match call {
                Some(call) => self.demand_of(&call, &mut act, manner),
                None => self.copied(&act, manner),
            }
            .filter(|_| self.demands < DEMANDS_MAX);
            self.demands += usize::from(act.demand.is_some());
            self.note_waiting(index, &act, manner);
        }
        self.acts.push(act);
        manner
    }

    /// Says how a command stands in its script, as long as that is affordable.
    fn judge(&mut self, index: usize, position: usize, is_test: bool) -> Manner {
        self.judged += 1;
        let script = &self.machine.scripts[index];
        match self.outlines.get(&index) {
            Some(outline) if self.judged <= JUDGED_MAX => {
                manner::of(script, outline, position, is_test)
            }
            _ => Manner::Unknown,
        }
    }

    /// Takes in what a command tells of variables and files.
    fn learn(&mut self, script: &Script<'_>, position: usize, words: &[String]) {
        let command = &script.parsed.commands[position];
        for assignment in &command.assignments {
            self.known.assign(&assignment.text);
        }
        if SETTERS.contains(&command.program()) {
            for word in command.operands() {
                self.known.assign(&word.text);
            }
        }
        let document = command.document.clone();
        let document = document.and_then(|range| script.text.content.get(range));
        let printed = match command.program() {
            "echo" | "printf" => words.join(" "),
            "cat" => document
                .map(|text| self.known.expand(text))
                .unwrap_or_default(),
            "tee" if command.before == Link::Pipe && position > 0 => {
                let source = script.parsed.commands[position - 1].arguments();
                let source: Vec<String> = source
                    .iter()
                    .map(|word| self.known.expand(&word.text))
                    .collect();
                source.join(" ")
            }
            _ => return,
        };
        for path in written_files(command, words) {
            self.note_telling(&path, &printed);
            if is_hosts_file(&path) {
                self.known.read_hosts(&printed.replace("\\n", "\n"));
            } else {
                self.known.read_content(&path, &printed);
            }
        }
    }

    /// Returns the other nodes of which a command has addresses.
    fn named(&self, script: &Script<'_>, command: &Command, words: &[String]) -> BTreeSet<usize> {
        // A variable that is set talks to nobody.
        if command.words.is_empty() || SETTERS.contains(&command.program()) {
            return BTreeSet::new();
        }
        if command
            .script_argument()
            .is_some_and(|(_, place)| place == Where::Inner)
        {
            // What is in there follows as commands of its own.
            return BTreeSet::new();
        }
        let document = command.document.clone();
        let document = document.and_then(|range| script.text.content.get(range));
        let more = command
            .assignments
            .iter()
            .chain(command.redirects.iter().map(|redirect| &redirect.target))
            .map(|word| self.known.expand(&word.text));
        let document = document.map(|text| self.known.expand(text));
        words
            .iter()
            .cloned()
            .chain(more)
            .chain(document)
            .flat_map(|text| self.known.hosts_in(&without_substitutions(&text)))
            .map(|named| named.host.node)
            .filter(|node| *node != self.own)
            .collect()
    }

    fn demand_of(
        &mut self,
        call: &call::Call,
        act: &mut Act<'_>,
        manner: Manner,
    ) -> Option<Demand> {
        let node = call.host.node;
        let retries = call.retries || manner == Manner::Again;
        if manner == Manner::Unknown || node == self.own || !retries && self.may_wait_for(node) {
            return None;
        }
        let demand = Demand {
            node,
            is_all: false,
            port: Some(call.port),
            path: call.path.clone(),
            object: call.object.clone(),
            retries,
        };
        let hosts: Vec<usize> = act
            .words
            .iter()
            .flat_map(|word| self.known.hosts_in(word))
            .filter(|named| named.host.node == node)
            .map(|named| named.host.instance)
            .collect();
        if hosts.iter().all(|instance| *instance > 0) && !hosts.is_empty() {
            // A loop of the template has written the same for each instance.
            let mut earlier = self.acts.iter_mut().filter_map(|act| act.demand.as_mut());
            let same = |other: &&mut Demand| {
                let other = Demand {
                    is_all: false,
                    ..(**other).clone()
                };
                other == demand
            };
            if let Some(first) = earlier.find(same) {
                first.is_all = true;
                act.named.remove(&node);
                return None;
            }
        }
        Some(Demand {
            is_all: hosts.iter().any(|instance| *instance > 0),
            ..demand
        })
    }

    /// Returns the file of another machine that a command copies or prints.
    fn copied(&self, act: &Act<'_>, manner: Manner) -> Option<Demand> {
        let program = act.command.program();
        if manner == Manner::Unknown || !REMOTE.contains(&program) {
            return None;
        }
        let words: Vec<&String> = act
            .words
            .iter()
            .filter(|word| !word.starts_with('-'))
            .collect();
        let (host, path) = if matches!(program, "scp" | "rsync") {
            let (_, sources) = words.split_last()?;
            sources.iter().find_map(|word| {
                let named = *self.known.hosts_in(word).first()?;
                let path = word[named.end..].strip_prefix(':')?;
                Some((named.host, path.to_owned()))
            })?
        } else {
            let at = words
                .iter()
                .position(|word| !self.known.hosts_in(word).is_empty())?;
            let host = self.known.hosts_in(words[at]).first()?.host;
            let rest: Vec<&str> = words[at + 1..]
                .iter()
                .flat_map(|word| word.split_whitespace())
                .collect();
            match rest[..] {
                ["cat", path] => (host, path.to_owned()),
                _ => return None,
            }
        };
        let node = host.node;
        let retries = manner == Manner::Again;
        let is_exact = path.starts_with('/') && !path.contains(['*', '$', '`', '?']);
        if node == self.own || !is_exact || !retries && self.may_wait_for(node) {
            return None;
        }
        Some(Demand {
            node,
            is_all: false,
            port: None,
            path: Some(path),
            object: None,
            retries,
        })
    }
}

/// Returns the files that a command writes.
fn written_files(command: &Command, words: &[String]) -> Vec<String> {
    if command.place == Where::Remote {
        return Vec::new();
    }
    let redirected = command.written().map(|word| word.text.clone());
    let mut files: Vec<String> = redirected.collect();
    let operands = || words.iter().filter(|word| !word.starts_with('-'));
    match command.program() {
        "tee" => files.extend(operands().cloned()),
        "cp" | "mv" | "install" => files.extend(operands().next_back().cloned()),
        "curl" | "wget" => {
            let position = words
                .iter()
                .position(|word| matches!(word.as_str(), "-o" | "-O" | "--output"));
            files.extend(position.and_then(|at| words.get(at + 1)).cloned());
        }
        _ => {}
    }
    files.retain(|file| !file.starts_with("/dev/") && !file.starts_with('&'));
    files.iter().map(|file| normal_path(file)).collect()
}

/// Returns the line at a place of a text.
fn line_at(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|before| before.rfind('\n'));
    let start = start.map_or(0, |newline| newline + 1);
    let rest = text.get(start..).unwrap_or_default();
    rest.lines().next().unwrap_or_default()
}
