//! Reads what a resource section says of a container.

use std::collections::BTreeSet;
use std::fmt;

use zenekar_base::Value;
use zenekar_model::Rendered;

/// Entries of one list: far more than anybody writes.
const ENTRIES_MAX: usize = 1_000;

/// The least memory that engines give a container, in MiB.
const MEMORY_MIB_MIN: i64 = 6;

/// The longest part of a host name that names are looked up with.
const HOST_NAME_CHARS_MAX: usize = 63;

/// A setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The key of the resource section.
    pub(crate) key: &'static str,
    /// What is wrong.
    pub(crate) message: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "setting `{}`: {}", self.key, self.message)
    }
}

fn unfit(key: &'static str, message: impl Into<String>) -> Unfit {
    Unfit {
        key,
        message: message.into(),
    }
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// From a registry, if it is not there.
    Registry,
    /// It is there.
    Local,
    /// A tarball of a file system, which the engine fetches if the image is not there.
    Tarball(String),
}

/// A port of a container that is open at the engine's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The engine's address; none means all.
    pub(crate) address: Option<String>,
    /// The engine's port; none lets it choose.
    pub(crate) host_port: Option<u16>,
    /// The container's port.
    pub(crate) port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub(crate) protocol: String,
}

impl Published {
    /// Returns how engines name the container's side.
    pub(crate) fn inside(&self) -> String {
        format!("{}/{}", self.port, self.protocol)
    }
}

/// What a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// One that goes with the container.
    Anonymous,
    /// One of the infrastructure, which goes with it.
    Named(String),
    /// One that was there before, and stays.
    External(String),
    /// A folder or file of the engine's machine.
    Folder(String),
}

/// A volume of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) source: Source,
    pub(crate) target: String,
    pub(crate) is_read_only: bool,
}

/// What a resource section says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    /// Name and tag; empty if they, or the origin, cannot be used.
    pub(crate) image: String,
    pub(crate) origin: Origin,
    /// Whether our agent is the container's first process.
    pub(crate) has_agent: bool,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) environment: Vec<String>,
    pub(crate) ports: Vec<Published>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) nano_cpus: Option<i64>,
    pub(crate) pids_max: Option<i64>,
    pub(crate) network: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) hostname: Option<String>,
    pub(crate) stop_grace_s: Option<i64>,
}

/// The longest grace that a container gets before it is killed: the call that
/// waits for it has a minute.
const STOP_GRACE_S_MAX: i64 = 40;

impl Spec {
    /// Reads a resource section in which all has to be fine.
    pub(crate) fn of(rendered: &Rendered, default_image: &str) -> Result<Self, Unfit> {
        let (spec, unfit) = Self::read(rendered, default_image);
        unfit.into_iter().next().map_or(Ok(spec), Err)
    }

    /// Reads a resource section. What cannot be used counts as not said, and is
    /// told besides.
    pub(crate) fn read(rendered: &Rendered, default_image: &str) -> (Self, Vec<Unfit>) {
        let section = Section(&rendered.resource);
        let mut mistakes = Mistakes::default();
        if section.0.get("privileged").is_some_and(is_true) {
            mistakes.0.push(unfit(
                "privileged",
                "containers of an infrastructure get no rights over the engine's machine",
            ));
        }
        let image = mistakes.note(section.image(default_image));
        let origin = mistakes.note(section.origin());
        let command = rendered.command.clone().filter(|words| !words.is_empty());
        // A machine that nothing is said of runs nothing but the agent. The
        // image of such machines may have been filled in where it was moved.
        let has_image = !matches!(section.text("image"), Ok(None))
            && image != image_name(default_image, None).ok();
        let volumes = mistakes.note_all(section.list("volumes", volume));
        mistakes.0.extend(same_targets(&volumes));
        let spec = Self {
            // Of an image from nowhere there is nothing to be known.
            image: image.filter(|_| origin.is_some()).unwrap_or_default(),
            origin: origin.unwrap_or(Origin::Registry),
            has_agent: rendered.user_data.is_some() || (!has_image && command.is_none()),
            command,
            environment: rendered
                .environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            ports: mistakes.note_all(section.list("ports", published)),
            volumes,
            memory_bytes: mistakes
                .note(section.number("memory_mb", MEMORY_MIB_MIN, i64::MAX >> 20))
                .flatten()
                .map(|mib| mib << 20),
            nano_cpus: mistakes.note(section.nano_cpus()).flatten(),
            pids_max: mistakes
                .note(section.number("pids_max", 1, i64::from(i32::MAX)))
                .flatten(),
            network: mistakes.note(section.network()).flatten(),
            labels: mistakes.note_all(section.labels()),
            hostname: mistakes.note(section.hostname()).flatten(),
            stop_grace_s: mistakes
                .note(section.number("stop_grace_s", 0, STOP_GRACE_S_MAX))
                .flatten(),
        };
        (spec, mistakes.0)
    }
}

/// Collects what cannot be used.
#[derive(Default)]
struct Mistakes(Vec<Unfit>);

impl Mistakes {
    fn note<T>(&mut self, read: Result<T, Unfit>) -> Option<T> {
        read.map_err(|unfit| self.0.push(unfit)).ok()
    }

    fn note_all<T>(&mut self, read: Vec<Result<T, Unfit>>) -> Vec<T> {
        read.into_iter().filter_map(|one| self.note(one)).collect()
    }
}

/// Finds volumes of which one would lie over the other.
fn same_targets(volumes: &[Volume]) -> Option<Unfit> {
    let mut targets = BTreeSet::new();
    let second = volumes
        .iter()
        .map(|volume| volume.target.trim_end_matches('/'))
        .find(|target| !targets.insert(*target))?;
    Some(unfit(
        "volumes",
        format!("two volumes have the target `{second}`"),
    ))
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => matches!(text.to_lowercase().as_str(), "true" | "yes" | "on"),
        _ => false,
    }
}

/// Joins an image's name and tag.
pub(crate) fn image_name(name: &str, tag: Option<&str>) -> Result<String, Unfit> {
    if name
        .chars()
        .any(|one| one.is_whitespace() || one.is_control())
        || name.is_empty()
    {
        return Err(unfit("image", format!("`{name}` is no name of an image")));
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    if name.contains('@') || (last.contains(':') && tag.is_none()) {
        return Ok(name.to_owned());
    }
    if last.contains(':') {
        // The tag is in both; that of its own key is the one that people change.
        let bare = name.rsplit_once(':').map_or(name, |(bare, _)| bare);
        return Ok(format!("{bare}:{}", tag.unwrap_or("latest")));
    }
    Ok(format!("{name}:{}", tag.unwrap_or("latest")))
}

/// The keys of a resource section.
struct Section<'v>(&'v Value);

impl Section<'_> {
    /// Reads a text; one that is empty or was never filled in is none.
    fn text(&self, key: &'static str) -> Result<Option<String>, Unfit> {
        let text = match self.0.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => text_of(value).ok_or_else(|| {
                unfit(
                    key,
                    format!("a text is wanted, not a {}", value.type_name()),
                )
            })?,
        };
        let text = text.trim();
        let is_said = !text.is_empty() && !text.starts_with("replace_with_");
        Ok(is_said.then(|| text.to_owned()))
    }

    fn image(&self, default_image: &str) -> Result<String, Unfit> {
        let named = self.text("image")?;
        let tag = self.text("tag")?.filter(|_| named.is_some());
        image_name(named.as_deref().unwrap_or(default_image), tag.as_deref())
    }

    fn hostname(&self) -> Result<Option<String>, Unfit> {
        const KEY: &str = "hostname";
        let Some(name) = self.text(KEY)? else {
            return Ok(None);
        };
        let is_fine = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '.' | '_');
        if name.len() > HOST_NAME_CHARS_MAX {
            let length = name.len();
            let reason = format!(
                "a host name has {HOST_NAME_CHARS_MAX} characters at most, and this one {length}"
            );
            return Err(unfit(KEY, reason));
        }
        if !name.chars().all(is_fine) || name.starts_with(['-', '.']) {
            return Err(unfit(KEY, format!("`{name}` is no host name")));
        }
        Ok(Some(name))
    }

    fn number(&self, key: &'static str, least: i64, most: i64) -> Result<Option<i64>, Unfit> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(unfit(
                key,
                format!("`{text}` is no whole number from {least} to {most}"),
            )),
        }
    }

    fn nano_cpus(&self) -> Result<Option<i64>, Unfit> {
        for key in ["cpus", "cores"] {
            if let Some(text) = self.text(key)? {
                return nano_cpus(&text)
                    .map(Some)
                    .ok_or_else(|| unfit(key, format!("`{text}` is no number of processors")));
            }
        }
        Ok(None)
    }

    fn origin(&self) -> Result<Origin, Unfit> {
        let Some(text) = self.text("origin")? else {
            return Ok(Origin::Registry);
        };
        match text.as_str() {
            "local" => Ok(Origin::Local),
            "dockerhub" | "registry" => Ok(Origin::Registry),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Origin::Tarball(text))
            }
            _ => Err(unfit(
                "origin",
                format!("`{text}` is neither `dockerhub` nor `local` nor the address of a tarball"),
            )),
        }
    }

    fn network(&self) -> Result<Option<String>, Unfit> {
        const KEY: &str = "network";
        let network = self.text(KEY)?;
        match network.as_deref() {
            Some("host" | "none") => Err(unfit(KEY, "containers need a network of their own")),
            Some(text) if text.starts_with("container:") => {
                Err(unfit(KEY, "containers need a network of their own"))
            }
            _ => Ok(network),
        }
    }

    fn labels(&self) -> Vec<Result<(String, String), Unfit>> {
        const KEY: &str = "labels";
        let entries = match self.0.get(KEY) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Map(entries)) => entries,
            Some(_) => return vec![Err(unfit(KEY, "names and values are wanted"))],
        };
        if let Err(unfit) = check_count(KEY, entries.len()) {
            return vec![Err(unfit)];
        }
        entries
            .iter()
            .map(|(name, value)| {
                if name.starts_with("io.zenekar.") {
                    return Err(unfit(KEY, format!("`{name}` is one of our own labels")));
                }
                let text = text_of(value)
                    .ok_or_else(|| unfit(KEY, format!("the value of `{name}` is no text")))?;
                Ok((name.clone(), text))
            })
            .collect()
    }

    /// Reads a list; one thing alone is a list, too.
    fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<Result<T, Unfit>> {
        let entries = match self.0.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::List(entries)) => entries.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        if let Err(unfit) = check_count(key, entries.len()) {
            return vec![Err(unfit)];
        }
        entries
            .iter()
            .map(|entry| read(entry).map_err(|message| unfit(key, message)))
            .collect()
    }
}

fn check_count(key: &'static str, count: usize) -> Result<(), Unfit> {
    if count > ENTRIES_MAX {
        return Err(unfit(key, format!("more than {ENTRIES_MAX} entries")));
    }
    Ok(())
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) | Value::Date(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.0.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Reads a number of processors, in billionths: `2`, `0.5`.
fn nano_cpus(text: &str) -> Option<i64> {
    /// The digits of a billionth.
    const DIGITS: usize = 9;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|one| one.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > DIGITS {
        return None;
    }
    let part = format!("{part:0<DIGITS$}").parse::<i64>().ok()?;
    let nano = whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(part)?;
    (nano > 0).then_some(nano)
}

/// Reads a port: `80`, `"8080:80"`, `"127.0.0.1:8080:80"`, `"53:53/udp"`.
fn published(value: &Value) -> Result<Published, String> {
    let text = text_of(value).ok_or("a port is a number or a text such as `8080:80`")?;
    let wrong = || format!("`{text}` is no port such as `80`, `8080:80` or `8080:80/udp`");
    let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    if !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    let number = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(wrong)
    };
    let (outside, port) = match ports.rsplit_once(':') {
        Some((outside, port)) => (Some(outside), number(port)?),
        None => (None, number(ports)?),
    };
    // The engine drops what is no address, and publishes on all of them.
    let address_of = |text: &str| {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let parsed = bare.unwrap_or(text).parse::<std::net::IpAddr>();
        parsed
            .map(|address| address.to_string())
            .map_err(|_| wrong())
    };
    let (address, host_port) = match outside.map(|outside| outside.rsplit_once(':')) {
        None => (None, None),
        Some(Some((address, ""))) => (Some(address_of(address)?), None),
        Some(Some((address, port))) => (Some(address_of(address)?), Some(number(port)?)),
        Some(None) => (None, Some(number(outside.unwrap_or_default())?)),
    };
    Ok(Published {
        address,
        host_port,
        port,
        protocol: protocol.to_owned(),
    })
}

/// What a volume that is written as a mapping may have.
const VOLUME_MEMBERS: [&str; 4] = ["source", "target", "read_only", "external"];

/// Reads a volume: `/path`, `name:/path`, `/folder:/path:ro`, or a mapping with
/// `source`, `target`, `read_only` and `external`.
fn volume(value: &Value) -> Result<Volume, String> {
    if let Value::Map(members) = value {
        let is_known = |name: &str| VOLUME_MEMBERS.contains(&name);
        if let Some((unknown, _)) = members.iter().find(|(name, _)| !is_known(name)) {
            return Err(format!(
                "a volume has no member `{unknown}`: there are `{}`",
                VOLUME_MEMBERS.join("`, `")
            ));
        }
        let member = |name: &str| value.get(name).and_then(text_of);
        let target = member("target").ok_or("a volume lacks its `target`")?;
        let is_external = value.get("external").is_some_and(is_true);
        let source = match member("source") {
            None => Source::Anonymous,
            Some(source) => source_of(&source, is_external)?,
        };
        return Ok(Volume {
            source,
            target: path(&target)?,
            is_read_only: value.get("read_only").is_some_and(is_true),
        });
    }
    let text = text_of(value).ok_or("a volume is a text such as `name:/path`")?;
    let (text, is_read_only) = match text.rsplit_once(':') {
        Some((rest, "ro")) => (rest.to_owned(), true),
        Some((rest, "rw")) => (rest.to_owned(), false),
        _ => (text, false),
    };
    let (source, target) = match text.split_once(':') {
        Some((source, target)) => (source_of(source, false)?, path(target)?),
        None => (Source::Anonymous, path(&text)?),
    };
    Ok(Volume {
        source,
        target,
        is_read_only,
    })
}

fn source_of(text: &str, is_external: bool) -> Result<Source, String> {
    if text.starts_with('/') {
        return Ok(Source::Folder(text.to_owned()));
    }
    let is_name = text
        .chars()
        .all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '.' | '-'))
        && text.starts_with(|one: char| one.is_ascii_alphanumeric());
    match (is_name, is_external) {
        (false, _) => Err(format!(
            "`{text}` is neither a whole path nor the name of a volume"
        )),
        (true, true) => Ok(Source::External(text.to_owned())),
        (true, false) => Ok(Source::Named(text.to_owned())),
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.len() > 1 && !text.contains(':') {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no whole path inside the container"))
    }
}

/// Makes a host name of an instance's name: `spark-worker/3` becomes `spark-worker-3`.
pub(crate) fn host_name(name: &str) -> String {
    let mapped: String = name
        .chars()
        .map(|one| {
            if one.is_ascii_alphanumeric() {
                one
            } else {
                '-'
            }
        })
        .take(HOST_NAME_CHARS_MAX)
        .collect();
    let name = mapped.trim_matches('-');
    if name.is_empty() {
        "instance".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
