//! Contextualisation inside a node: does with user-data what cloud-init does.
//!
//! It runs as root of the node (or as an ordinary user where the node is only
//! a directory), reads user-data in all the forms that clouds accept, and
//! carries it out stage by stage. What it cannot do it reports.

mod accounts;
mod config;
mod decode;
mod limits;
mod merge;
mod modules;
mod place;
mod scalar;
mod session;
mod status;
mod user_data;
mod values;

use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zenekar_base::Value;

pub use user_data::{Frequency, Part, PartKind, Parts, Unreadable, read_user_data};

use modules::scripts;
use session::{Ending, Session, Stage};

/// The node that is contextualised.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node's root directory: `/`, or a directory where the node has no file system of its own.
    pub root: PathBuf,
    /// The instance's id, for modules that run once per instance.
    pub instance_id: String,
    /// The host name that the provider gives.
    pub host_name: String,
    /// The number of this contextualisation: 0 for the first, more for those in place.
    pub revision: u32,
    /// Whether accounts, packages and system settings can be changed: root of
    /// an own file system. Otherwise such modules are reported as not possible.
    pub can_administer: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// Done.
    Done,
    /// It failed; later steps went on, as with cloud-init.
    Failed,
    /// Not possible on this node; nothing was changed.
    Impossible,
    /// No module of that name is known; nothing was changed.
    Unknown,
}

/// One step of a contextualisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The stage as cloud-init names it: `init`, `config` or `final`.
    pub stage: String,
    /// The module or the kind of part: `write_files`, `runcmd`, `script`.
    pub module: String,
    /// What of it, in a few words: a path, a package, a command's first line.
    pub subject: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// The exit status of its command, if it ran one that ended by itself.
    pub exit_code: Option<i32>,
    /// Why it did not succeed, or what there is to say about it all the same,
    /// in one line; mostly empty if it did.
    pub message: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where its output begins in the log, in bytes.
    pub output_start: u64,
    /// Where its output ends in the log, in bytes.
    pub output_end: u64,
}

/// What came of a contextualisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The number of the contextualisation.
    pub revision: u32,
    /// All steps, in the order in which they ran.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// Returns the steps that did not succeed.
    pub fn troubles(&self) -> impl Iterator<Item = &StepReport> {
        self.steps
            .iter()
            .filter(|step| step.outcome != StepOutcome::Done)
    }
}

/// Carries user-data out, and writes what happens and what commands print to `log`.
///
/// Never fails as a whole: what does not succeed is a step of the report.
/// `log` should be a file that is open for appending; what is left running in
/// the background goes on writing to it.
pub fn contextualise(user_data: &[u8], target: &Target, log: &File) -> Report {
    let mut session = Session::new(target, log);
    prepare(&mut session, user_data);
    session.enter(Stage::Init);
    let config = consume(&mut session, user_data);
    modules::run(&mut session, &config);
    session.finish()
}

const CLOUD: &str = "/var/lib/cloud";

/// Lays out the folders in which cloud-init keeps what it knows.
fn prepare(session: &mut Session<'_>, user_data: &[u8]) {
    let prepared = lay_out(session, user_data);
    if let Err(message) = prepared {
        session.note("prepare", CLOUD, Ending::failed(message));
    }
    if let Err(cause) = session.open_transcript() {
        let message = format!("cannot keep a copy of the log: {cause}");
        session.note(
            "prepare",
            "/var/log/cloud-init-output.log",
            Ending::failed(message),
        );
    }
    scripts::forget(session);
}

fn lay_out(session: &Session<'_>, user_data: &[u8]) -> Result<(), String> {
    let place = &session.place;
    let instance = directory_name(&session.target.instance_id);
    let folder = format!("{CLOUD}/instances/{instance}");
    for path in [&folder, &format!("{folder}/sem"), &format!("{CLOUD}/data")] {
        place
            .create_folder(path, 0o755)
            .map_err(|cause| format!("cannot create `{path}`: {cause}"))?;
    }
    for path in ["/tmp", "/root"] {
        if !session.target.can_administer {
            place
                .create_folder(path, 0o700)
                .map_err(|cause| format!("cannot create `{path}`: {cause}"))?;
        }
    }
    let link = format!("{CLOUD}/instance");
    place
        .link(&format!("instances/{instance}"), &link)
        .map_err(|cause| format!("cannot link `{link}`: {cause}"))?;
    // Scripts wait for this file; it must not be there from an earlier time.
    let _ = std::fs::remove_file(place.of(&format!("{link}/boot-finished")));
    let id = format!("{}\n", session.target.instance_id);
    place.write(&format!("{CLOUD}/data/instance-id"), id.as_bytes(), 0o644)?;
    place.write("/run/cloud-init/.instance-id", id.as_bytes(), 0o644)?;
    place.write(&format!("{link}/datasource"), b"DataSourceZenekar\n", 0o644)?;
    place.write(&format!("{link}/user-data.txt"), user_data, 0o600)
}

/// Makes a folder's name of an instance's id.
fn directory_name(id: &str) -> String {
    let name = id.replace(['/', '\0'], "_");
    match name.as_str() {
        "" | "." | ".." => "instance".to_owned(),
        _ => name,
    }
}

/// The line that begins what the provider keeps in `/etc/hosts`. A module that
/// rewrites the file leaves everything from it to [`HOSTS_END`] as it is.
pub const HOSTS_BEGIN: &str = "# begin: nodes of this infrastructure";
/// The line that ends what the provider keeps in `/etc/hosts`.
pub const HOSTS_END: &str = "# end: nodes of this infrastructure";

/// Takes user-data apart, runs what runs at once, keeps the scripts, and
/// returns the cloud-config.
fn consume(session: &mut Session<'_>, user_data: &[u8]) -> Vec<(String, Value)> {
    let found = read_user_data(user_data);
    for problem in found.unreadable {
        session.note(
            "user-data",
            problem.subject,
            Ending::failed(problem.message),
        );
    }
    let mut config = Value::Map(Vec::new());
    for part in &found.parts {
        match &part.kind {
            PartKind::CloudConfig => merge_part(session, &mut config, part),
            PartKind::Script => scripts::keep(session, part, None),
            PartKind::ScriptOf(frequency) => scripts::keep(session, part, Some(*frequency)),
            PartKind::Boothook => scripts::boothook(session, part),
            other => refuse(session, part, other),
        }
    }
    match config {
        Value::Map(entries) => entries,
        // A mapping that is merged with a mapping stays one.
        _ => Vec::new(),
    }
}

/// Merges a cloud-config with those before it. One that is wrong changes nothing.
fn merge_part(session: &mut Session<'_>, config: &mut Value, part: &Part) {
    const MODULE: &str = "cloud-config";
    let ending = match config::read(&part.name, &part.content) {
        Err(message) => Ending::failed(message),
        Ok(read) => match read.value {
            Value::Map(mut entries) => {
                match merge::Rules::of_part(&mut entries, part.merge_type.as_deref()) {
                    Err(message) => Ending::failed(message),
                    Ok(rules) => {
                        *config = rules.merge(std::mem::take(config), Value::Map(entries));
                        if read.remarks.is_empty() {
                            return;
                        }
                        Ending::remark(read.remarks.join("; "))
                    }
                }
            }
            Value::Null => Ending::remark("it is empty"),
            _ => Ending::failed("a cloud-config is a mapping of keys"),
        },
    };
    session.note(MODULE, part.name.clone(), ending);
}

/// Reports a part that is not carried out.
fn refuse(session: &mut Session<'_>, part: &Part, kind: &PartKind) {
    let (module, ending) = match kind {
        PartKind::Include => (
            "include",
            Ending::impossible("user-data is not fetched from other machines"),
        ),
        PartKind::PartHandler => (
            "part-handler",
            Ending::impossible("handlers in Python are not carried out"),
        ),
        PartKind::Template => (
            "jinja",
            Ending::impossible("templates of user-data are not rendered inside the node"),
        ),
        PartKind::JsonPatch => (
            "cloud-config-jsonp",
            Ending::impossible("JSON patches are not carried out"),
        ),
        PartKind::Other(content_type) if content_type.is_empty() => (
            "user-data",
            Ending::unknown(
                "its first line does not say what it is, such as `#cloud-config` or `#!`",
            ),
        ),
        PartKind::Other(content_type) => (
            "user-data",
            Ending::unknown(format!("nothing knows the content type `{content_type}`")),
        ),
        PartKind::CloudConfig
        | PartKind::Script
        | PartKind::ScriptOf(_)
        | PartKind::Boothook
        | PartKind::Archive => return,
    };
    session.note(module, part.name.clone(), ending);
}
