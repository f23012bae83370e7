//! What is written down of an instance, and what its processes tell each other.

use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zenekar_agent::Report;
use zenekar_base::{Fingerprint, InfrastructureId, InstanceTag, Token};

use crate::Isolation;
use crate::network::Subnet;

/// The version of the files that this program writes.
pub(crate) const FORMAT: u32 = 1;

/// What an instance is. Written before anything of it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) format: u32,
    pub(crate) infrastructure: InfrastructureId,
    pub(crate) instance: InstanceTag,
    pub(crate) token: Token,
    /// Tells this instance's processes and groups from those of all others on
    /// the machine, also from those of other state directories.
    pub(crate) mark: String,
    /// The name for people: `spark-worker/3`.
    pub(crate) name: String,
    pub(crate) isolation: Isolation,
    pub(crate) address: Ipv4Addr,
    /// The network of its infrastructure; none in the machine's own network.
    pub(crate) subnet: Option<Subnet>,
    pub(crate) limits: Limits,
    /// The layer of directories that its root lies on, for an ordinary user's instance.
    pub(crate) skeleton: Option<String>,
}

impl Description {
    /// Returns the node's name.
    pub(crate) fn node(&self) -> &str {
        self.name
            .split_once('/')
            .map_or(self.name.as_str(), |(node, _)| node)
    }

    /// Returns the host name: `spark-worker-3`.
    pub(crate) fn host_name(&self) -> String {
        host_name(&self.name)
    }
}

/// The longest label of a host name (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// Turns a name into a host name: letters, digits and dashes. The number of an
/// instance stays, however long its node's name is.
pub(crate) fn host_name(name: &str) -> String {
    let (node, number) = match name.rsplit_once('/') {
        Some((node, number)) => (node, format!("-{}", label(number))),
        None => (name, String::new()),
    };
    let mut text = label(node);
    let room = LABEL_BYTES_MAX.saturating_sub(number.len());
    if text.len() > room {
        // Long names often differ at their ends only.
        let mark = &Fingerprint::of_text(node).to_string()[..MARK_BYTES];
        text.truncate(room.saturating_sub(MARK_BYTES + 1));
        text = format!("{}-{mark}", text.trim_end_matches('-'));
    }
    let all = format!("{text}{number}");
    let trimmed = all.trim_matches('-');
    if trimmed.is_empty() {
        "node".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// Letters that tell shortened names apart.
const MARK_BYTES: usize = 6;

fn label(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

/// What an instance may use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) cores: Option<u64>,
    pub(crate) memory_mb: Option<u64>,
}

/// What an instance is contextualised with. Secret: its file is readable by its owner only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contextualisation {
    pub(crate) revision: u32,
    pub(crate) user_data: Option<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) command: Option<Vec<String>>,
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Its processes run.
    Running,
    /// Its init ended.
    Ended,
}

/// How far an instance is, as its shim says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) phase: Phase,
    /// The init as the machine numbers it.
    pub(crate) init_pid: i32,
    /// The newest contextualisation that was asked for.
    pub(crate) revision: u32,
    /// The newest contextualisation that was carried out to its end.
    pub(crate) contextualised: Option<u32>,
    /// Why it ended, or what is not as it should be.
    pub(crate) detail: Option<String>,
}

/// What a shim is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Question {
    /// Carry out the contextualisation that was written down.
    Contextualise,
    /// Make these names known.
    Hosts(String),
    /// Make a socket in the infrastructure's network.
    Socket(SocketKind),
}

/// Which socket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SocketKind {
    Tcp,
    Icmp,
}

/// What a shim answers: an error, if there was one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) error: Option<String>,
}

/// What a shim tells its init.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToInit {
    /// Its network and its limits are there.
    Go { hosts: String },
    /// Carry out this contextualisation.
    Contextualise(Contextualisation),
    /// Make these names known.
    Hosts(String),
}

/// What an init tells its shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FromInit {
    /// It is in its namespaces and waits for its network.
    Separated,
    /// It is up.
    Booted,
    /// It cannot come up.
    Failed { reason: String, lacks_space: bool },
    /// A contextualisation ended.
    Contextualised { report: Report },
    /// The command of a container ended.
    CommandEnded { detail: String },
}

/// The first line that a shim prints for whoever started it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Started {
    Up,
    Failed { reason: String, lacks_space: bool },
}

/// Reads a file of ours; none if there is none or if it is broken.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file of ours in one step: whoever reads it sees the old one or the new one.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&bytes)?;
    drop(file);
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_labels() {
        for (name, label) in [
            ("spark-worker/3", "spark-worker-3"),
            ("Data_Base/1", "data-base-1"),
            ("/", "node"),
            ("-x-", "x"),
        ] {
            assert_eq!(host_name(name), label);
        }
        let long = "x".repeat(100);
        let (one, two) = (
            host_name(&format!("{long}/1")),
            host_name(&format!("{long}/2")),
        );
        assert!(one.ends_with("-1") && two.ends_with("-2"), "{one} {two}");
        assert_eq!(one.len(), LABEL_BYTES_MAX);
    }
}
