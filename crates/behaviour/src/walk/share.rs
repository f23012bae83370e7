//! Objects that several instances read and write.
//!
//! An update is lost where what is written follows from what was read before,
//! and nobody keeps the others away meanwhile: an edit in place, or a file, a
//! key or a copy that is read first and written later. What one program
//! changes for all (`>>` on one machine, `INCR`, `SETNX`) is never lost.

use zenekar_lint::machine::Script;
use zenekar_lint::shared_files::{edited_file, is_locked};
use zenekar_lint::shell::{Command, RedirectKind, Where};

use super::{Act, REMOTE, Walker};
use crate::stage::Host;

/// Stores of keys: the program, its verbs that read, and those that write.
const STORES: &[(&str, &[&str], &[&str])] = &[
    ("redis-cli", &["get"], &["set"]),
    ("etcdctl", &["get"], &["put"]),
    ("consul", &["get"], &["put"]),
];

/// Words by which a store writes only if nobody else has.
const CONDITIONS: &[&str] = &["nx", "xx", "-cas", "--prev-kv", "txn"];

/// What a command does to a shared object.
enum Use {
    /// Reads it, and writes what follows from that.
    Edit(String),
    Read(String),
    Write(String),
}

impl Walker<'_, '_, '_> {
    /// Notes which shared objects a command reads and writes.
    pub(super) fn share(&mut self, script: &Script<'_>, position: usize, act: &mut Act<'_>) {
        let found = self.use_of(script, position, act);
        let is_locked = |command: &Command| is_locked(script, command);
        match found {
            None => {}
            Some(Use::Edit(object)) => {
                if is_locked(act.command) {
                    act.holds.push(object.clone());
                }
                act.reads.push(object.clone());
                act.writes.push(object);
            }
            Some(Use::Read(object)) => {
                self.seen.insert(object, self.acts.len());
            }
            Some(Use::Write(object)) => {
                let Some(at) = self.seen.remove(&object) else {
                    return;
                };
                let first = &mut self.acts[at];
                let is_locked = is_locked(first.command) && is_locked(act.command);
                first.reads.push(object.clone());
                if is_locked {
                    // Nobody comes between the two.
                    for between in &mut self.acts[at..] {
                        between.holds.push(object.clone());
                    }
                    act.holds.push(object.clone());
                }
                act.writes.push(object);
            }
        }
    }

    fn use_of(&self, script: &Script<'_>, position: usize, act: &Act<'_>) -> Option<Use> {
        let own = &script.parsed.commands[position];
        let unlocked = unlocked(own);
        let command = unlocked.as_ref().unwrap_or(own);
        if let Some(found) = self.stored(command, act) {
            return Some(found);
        }
        if matches!(command.program(), "scp" | "rsync") {
            return self.copied_object(act);
        }
        let owner = match command.place {
            Where::Remote => Some(self.remote_host(script, position)?),
            _ => None,
        };
        let object = |file: &str| self.object(owner, file);
        if command.program() == "cat"
            && let Some(word) = command.operands().next()
        {
            return object(&word.text).map(Use::Read);
        }
        if matches!(command.program(), "cp" | "mv") {
            let files: Vec<_> = command.operands().collect();
            let (target, sources) = files.split_last()?;
            let read = || sources.iter().find_map(|source| object(&source.text));
            let written = object(&target.text).map(Use::Write);
            return written.or_else(|| read().map(Use::Read));
        }
        let written = command.redirects.iter().find(|redirect| {
            redirect.kind == RedirectKind::Write && !redirect.target.text.starts_with("/dev/")
        });
        if let Some(redirect) = written {
            return object(&redirect.target.text).map(Use::Write);
        }
        let is_in_place = matches!(command.program(), "sed" | "perl");
        let file = edited_file(command)?;
        // One machine appends for all of its users.
        let loses = is_in_place || owner.is_none() && self.is_nfs(&file);
        object(&file).filter(|_| loses).map(Use::Edit)
    }

    /// Names the object that a file is: of another machine, or of a file system
    /// that is shared.
    fn object(&self, owner: Option<usize>, file: &str) -> Option<String> {
        let file = self.known.expand(file);
        let is_own = file.contains(['$', '`', '*']) || file.contains("instance-");
        if is_own || !self.known.hosts_in(&file).is_empty() {
            return None;
        }
        if let Some(owner) = owner {
            return Some(format!("{}:{file}", (self.name_of)(owner)));
        }
        let is_shared = self.mount_of(&file).is_some();
        is_shared.then(|| format!("shared:{file}"))
    }

    /// Returns what a copy from or to another machine does to a file there.
    fn copied_object(&self, act: &Act<'_>) -> Option<Use> {
        let words: Vec<&String> = act
            .words
            .iter()
            .filter(|word| !word.starts_with('-'))
            .collect();
        let (target, sources) = words.split_last()?;
        let place = |word: &String| -> Option<(Host, String)> {
            let named = *self.known.hosts_in(word).first()?;
            let path = word[named.end..].strip_prefix(':')?;
            Some((named.host, path.to_owned()))
        };
        if let Some((host, path)) = place(target) {
            return self.object(Some(host.node), &path).map(Use::Write);
        }
        let (host, path) = sources.iter().find_map(|word| place(word))?;
        self.object(Some(host.node), &path).map(Use::Read)
    }

    /// Returns what a client of a store of keys does to a key.
    fn stored(&self, command: &Command, act: &Act<'_>) -> Option<Use> {
        let program = command.program();
        let (_, reads, writes) = STORES.iter().find(|(name, _, _)| *name == program)?;
        let mut hosts = act.words.iter().flat_map(|word| self.known.hosts_in(word));
        let node = hosts.next()?.host.node;
        let words: Vec<String> = act.words.iter().map(|word| word.to_lowercase()).collect();
        if words.iter().any(|word| {
            let word = word.split('=').next().unwrap_or_default();
            CONDITIONS.contains(&word)
        }) {
            return None;
        }
        let at = words
            .iter()
            .position(|word| reads.contains(&word.as_str()) || writes.contains(&word.as_str()))?;
        let mut behind = act.words[at + 1..].iter();
        let key = behind.find(|word| !word.starts_with('-'))?;
        if key.contains(['$', '`']) || key.contains("instance-") {
            return None;
        }
        let object = format!("{}:{key}", (self.name_of)(node));
        let is_read = reads.contains(&words[at].as_str());
        Some(if is_read {
            Use::Read(object)
        } else {
            Use::Write(object)
        })
    }

    /// Returns the folder of a shared file system that a file is in.
    fn mount_of(&self, file: &str) -> Option<&String> {
        self.mounts.iter().find(|mount| {
            file.strip_prefix(mount.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Says whether a file is on NFS, of whose clients each appends where it
    /// believes the end to be.
    fn is_nfs(&self, file: &str) -> bool {
        let Some(folder) = self.mount_of(file) else {
            return false;
        };
        let mut leaves = self.machine.leaves.iter();
        leaves.any(|leaf| {
            let mut lines = leaf.text.content.lines();
            lines.any(|line| line.contains(folder.as_str()) && line.contains("nfs"))
        })
    }

    /// Returns the node on which a command runs that is handed to `ssh`.
    fn remote_host(&self, script: &Script<'_>, position: usize) -> Option<usize> {
        let range = &script.parsed.commands[position].range;
        let mut outer = script.parsed.commands[..position].iter().rev();
        let ssh = outer.find(|other| {
            other.range.start <= range.start
                && other.range.end >= range.end
                && REMOTE.contains(&other.program())
        })?;
        let mut hosts = ssh
            .arguments()
            .iter()
            .flat_map(|word| self.known.hosts_in(&self.known.expand(&word.text)));
        hosts.next().map(|named| named.host.node)
    }
}

/// Returns the command that `flock FILE command` runs.
fn unlocked(command: &Command) -> Option<Command> {
    let words = command.arguments();
    let file = words.iter().position(|word| !word.text.starts_with('-'))?;
    (command.program() == "flock").then(|| Command {
        words: words[file + 1..].to_vec(),
        ..command.clone()
    })
}
