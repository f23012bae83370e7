//! What instances on this machine leave where everybody can see it.
//!
//! Nothing here asks `zenekar`: processes, mounts, links, control groups and
//! directories are counted as the kernel shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use zenekar_base::{Fingerprint, InfrastructureId, InstanceKey, Token};

use crate::local::Machine;

/// How long processes may take to notice that what they live for is gone.
const NOTICE_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at in that time.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// More instances than one test makes.
const KEYS_MAX: u32 = 1500;

/// More attempts than one instance needs.
const ATTEMPTS_MAX: u32 = 4;

/// One process.
pub(crate) struct Seen {
    pub(crate) pid: u32,
    pub(crate) arguments: Vec<String>,
    environment: Vec<String>,
}

impl Seen {
    /// Says whether the process has a hidden role of the binary.
    pub(crate) fn is(&self, role: &str) -> bool {
        self.arguments.get(1).is_some_and(|word| word == "__local")
            && self.arguments.get(2).is_some_and(|word| word == role)
    }

    /// Returns the directory that a process with a role works for.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.arguments.get(3).map(Path::new)
    }
}

/// An instance as its directory describes it.
#[derive(Debug)]
pub(crate) struct Instance {
    /// `app/2`.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    mark: String,
}

impl Instance {
    pub(crate) fn node(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// Where an infrastructure of a test is seen.
pub(crate) struct Traces {
    place: String,
    local: PathBuf,
    instances: PathBuf,
    link: String,
    marks: BTreeSet<String>,
}

impl Traces {
    /// Knows all names that the infrastructure's instances can have.
    pub(crate) fn of(machine: &Machine, infrastructure: &str) -> Self {
        let place = machine.sandbox.path("").display().to_string();
        let local = machine.sandbox.state().join("local");
        let root = local.join(infrastructure);
        let instances = root.join("instances");
        let id = InfrastructureId::new(infrastructure);
        let marks = (0..KEYS_MAX)
            .flat_map(|key| (0..ATTEMPTS_MAX).map(move |attempt| (key, attempt)))
            .map(|(key, attempt)| {
                let token = Token::derive(&id, InstanceKey(key), attempt);
                fingerprint(&instances.join(token.as_str()))
            })
            .collect();
        Self {
            place: place.trim_end_matches('/').to_owned(),
            link: format!("zk-{}", &fingerprint(&root.join("network"))[..8]),
            local,
            instances,
            marks,
        }
    }

    /// Returns the processes that know this place or are marked as an instance's.
    pub(crate) fn processes(&self) -> Vec<Seen> {
        let own = std::process::id();
        let entries = std::fs::read_dir("/proc").expect("there is a /proc");
        let pids = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| *pid != own)
            .map(|pid| Seen {
                pid,
                arguments: words(pid, "cmdline"),
                environment: words(pid, "environ"),
            })
            .filter(|seen| self.is_ours(seen))
            .collect()
    }

    fn is_ours(&self, seen: &Seen) -> bool {
        let mut words = seen.arguments.iter().chain(&seen.environment);
        words.any(|word| {
            word.contains(&self.place)
                || word
                    .strip_prefix("ZENEKAR_INSTANCE=")
                    .is_some_and(|mark| self.marks.contains(mark))
        })
    }

    /// Returns the instances that are there.
    pub(crate) fn instances(&self) -> Vec<Instance> {
        let entries = std::fs::read_dir(&self.instances).into_iter().flatten();
        let mut found: Vec<Instance> = entries
            .flatten()
            .filter_map(|entry| {
                let directory = entry.path();
                let text = std::fs::read(directory.join("instance.json")).ok()?;
                let value: Value = serde_json::from_slice(&text).ok()?;
                Some(Instance {
                    name: value["name"].as_str()?.to_owned(),
                    mark: fingerprint(&directory),
                    directory,
                })
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }

    fn groups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let root = PathBuf::from("/sys/fs/cgroup");
        let trees = names(&root).into_iter().map(|tree| root.join(tree));
        for parent in trees.chain([root.clone()]).map(|tree| tree.join("zenekar")) {
            let ours = names(&parent)
                .into_iter()
                .filter(|name| self.marks.contains(name));
            found.extend(ours.map(|name| parent.join(name)));
        }
        found
    }

    /// Lists everything that is there.
    pub(crate) fn list(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .processes()
            .iter()
            .map(|seen| format!("process {} {}", seen.pid, seen.arguments.join(" ")))
            .collect();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("there is a /proc");
        let mounts = mounts.lines().filter(|line| line.contains(&self.place));
        found.extend(mounts.map(|line| format!("mount {line}")));
        if Path::new("/sys/class/net").join(&self.link).exists() {
            found.push(format!("link {}", self.link));
        }
        let groups = self.groups();
        found.extend(
            groups
                .iter()
                .map(|group| format!("group {}", group.display())),
        );
        let left = names(&self.local).into_iter();
        found.extend(left.map(|name| format!("directory {name}")));
        found
    }

    /// Fails unless nothing is left, after what was interrupted could notice it.
    #[track_caller]
    pub(crate) fn expect_none(&self, what: &str) {
        let started_at = Instant::now();
        loop {
            let left = self.list();
            if left.is_empty() {
                return;
            }
            assert!(
                started_at.elapsed() < NOTICE_PATIENCE,
                "{what}: left over {left:#?}"
            );
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Fails unless exactly these instances are there, each once, and nothing else runs.
    #[track_caller]
    pub(crate) fn expect(&self, wanted: &[(&str, usize)], what: &str) {
        let instances = self.instances();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in &instances {
            *counts.entry(instance.node()).or_default() += 1;
        }
        let wanted: BTreeMap<&str, usize> = wanted.iter().copied().collect();
        assert_eq!(counts, wanted, "{what}: {instances:#?}");
        let directories: Vec<&Path> = instances
            .iter()
            .map(|instance| instance.directory.as_path())
            .collect();
        let started_at = Instant::now();
        loop {
            let seen = self.processes();
            let wrong = wrong_roles(&seen, &directories);
            if wrong.is_empty() {
                return;
            }
            assert!(
                started_at.elapsed() < NOTICE_PATIENCE,
                "{what}: {wrong:#?} for {directories:#?}"
            );
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Fails if this test would not see what is there: names that it derives
    /// have to be those that are used.
    #[track_caller]
    pub(crate) fn expect_visible(&self) {
        let instances = self.instances();
        assert!(!instances.is_empty());
        let processes = self.processes();
        for instance in &instances {
            let mark = format!("ZENEKAR_INSTANCE={}", instance.mark);
            assert!(self.marks.contains(&instance.mark), "{instance:?}");
            assert!(
                processes
                    .iter()
                    .any(|seen| seen.environment.contains(&mark)),
                "no process of {instance:?} has {mark}"
            );
        }
        let is_plain = processes.iter().all(|seen| !seen.is("switch"));
        let is_root = std::fs::metadata(&self.local)
            .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
        if is_root && !is_plain {
            assert!(
                Path::new("/sys/class/net").join(&self.link).exists(),
                "there is no link {}",
                self.link
            );
            let groups = self.groups();
            assert!(
                groups.is_empty() || groups.len().is_multiple_of(instances.len()),
                "{groups:#?}"
            );
        }
    }
}

/// Returns what is not as it should be: each instance has one shim and one
/// init, and the infrastructure one switch and one gateway.
fn wrong_roles(seen: &[Seen], directories: &[&Path]) -> Vec<String> {
    let mut wrong = Vec::new();
    for role in ["shim", "init"] {
        let mut works_for: Vec<&Path> = seen
            .iter()
            .filter(|seen| seen.is(role))
            .filter_map(Seen::directory)
            .collect();
        works_for.sort();
        let mut wanted = directories.to_vec();
        wanted.sort();
        if works_for != wanted {
            wrong.push(format!("{role} of {works_for:?}"));
        }
    }
    for role in ["switch", "gateway"] {
        let count = seen.iter().filter(|seen| seen.is(role)).count();
        if count > 1 {
            wrong.push(format!("{count} processes are {role}"));
        }
    }
    let starting = seen.iter().filter(|seen| seen.is("launch"));
    wrong.extend(starting.map(|seen| format!("{} still starts", seen.pid)));
    wrong
}

fn fingerprint(path: &Path) -> String {
    Fingerprint::of_text(&path.to_string_lossy()).to_string()
}

fn words(pid: u32, file: &str) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
