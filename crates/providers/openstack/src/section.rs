//! What the `resource` section of a descriptor can say to this provider.

use std::fmt;
use std::net::IpAddr;

use zenekar_base::{ProviderError, Value};

use crate::session::invalid;

/// The most rules of one `ports`: as many as a security group has by default.
const PORTS_MAX: usize = 100;

/// The largest disk in GiB: keeps sums far from overflow.
const VOLUME_GIB_MAX: u64 = 1 << 24;

/// A section that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// An image by id or name.
    pub(crate) image: Option<String>,
    /// A flavour by name or id.
    pub(crate) flavor: Option<String>,
    pub(crate) server_name: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) security_groups: Vec<String>,
    /// Ports that a security group of our own opens.
    pub(crate) ports: Option<Vec<PortRule>>,
    /// Networks by id or name.
    pub(crate) networks: Vec<String>,
    pub(crate) has_floating: bool,
    pub(crate) floating_pool: Option<String>,
    pub(crate) disk: Disk,
    pub(crate) availability_zone: Option<String>,
    pub(crate) apart: Option<Apart>,
    pub(crate) config_drive: Option<bool>,
}

/// What a server boots from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Disk {
    /// The image, on the disk that comes with the flavour.
    #[default]
    Image,
    /// A volume that Nova makes from the image.
    Volume {
        /// In GiB; none for as much as the image needs.
        size_gib: Option<u64>,
        /// Whether it stays when the server is deleted.
        persists: bool,
    },
}

/// How the servers of a node are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    /// No two on one host.
    Strictly,
    /// On one host only if there is no other.
    IfPossible,
}

/// Ports that are open, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortRule {
    pub(crate) protocol: Protocol,
    /// First and last; none for protocols without ports.
    pub(crate) range: Option<(u16, u16)>,
    /// Networks with the lengths of their prefixes.
    pub(crate) from: Vec<Source>,
}

/// A network that may come in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) network: String,
    pub(crate) is_version_6: bool,
}

/// Whoever there is.
const ANYBODY: &str = "0.0.0.0/0";

/// Reads a network: `192.0.2.0/24`.
fn source(text: &str) -> Option<Source> {
    let text = text.trim();
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let length_max = if address.is_ipv6() { 128 } else { 32 };
    (length <= length_max).then(|| Source {
        network: text.to_owned(),
        is_version_6: address.is_ipv6(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

impl Protocol {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

impl fmt::Display for PortRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.protocol.name())?;
        if let Some((first, last)) = self.range {
            write!(formatter, "/{first}-{last}")?;
        }
        for source in &self.from {
            write!(formatter, " {}", source.network)?;
        }
        Ok(())
    }
}

/// Reads one item of `ports`, with or without who may come.
fn rule_of_item(item: &Value) -> Option<PortRule> {
    let Value::Map(entries) = item else {
        return port_rule(&scalar(item)?, vec![source(ANYBODY)?]);
    };
    if entries
        .iter()
        .any(|(key, _)| key != "port" && key != "from")
    {
        return None;
    }
    let networks = texts(item, "from").ok()?;
    let mut from = Vec::new();
    for network in &networks {
        from.push(source(network)?);
    }
    if from.is_empty() {
        from.push(source(ANYBODY)?);
    }
    port_rule(&scalar(item.get("port")?)?, from)
}

/// Reads the port of one item of `ports`: `80`, `8000-8100`, `53/udp`, `icmp`.
fn port_rule(text: &str, from: Vec<Source>) -> Option<PortRule> {
    let text = text.trim();
    if text == "icmp" {
        return Some(PortRule {
            protocol: Protocol::Icmp,
            range: None,
            from,
        });
    }
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let range = (number(first)?, number(last)?);
    (range.0 <= range.1).then_some(PortRule {
        protocol,
        range: Some(range),
        from,
    })
}

impl Section {
    /// Reads a section; the error says which key is wrong.
    pub(crate) fn read(section: &Value) -> Result<Self, ProviderError> {
        Self::read_telling_key(section).map_err(|(_, error)| error)
    }

    /// Reads a section; the error comes with the key that is wrong.
    pub(crate) fn read_telling_key(section: &Value) -> Result<Self, (&'static str, ProviderError)> {
        let floating_pool = text(section, "floating_ip_pool")?;
        Ok(Self {
            image: text(section, "image_id")?,
            flavor: text(section, "flavor_name")?,
            server_name: text(section, "server_name")?,
            key_name: text(section, "key_name")?,
            security_groups: texts(section, "security_groups")?,
            ports: ports(section)?,
            networks: texts(section, "network_id")?,
            // As in Occopus: the key alone counts, whatever its value.
            has_floating: section.get("floating_ip").is_some() || floating_pool.is_some(),
            floating_pool,
            disk: disk(section)?,
            availability_zone: text(section, "availability_zone")?,
            apart: apart(section)?,
            config_drive: truth(section, "config_drive")?,
        })
    }
}

type Wrong = (&'static str, ProviderError);

fn wrong(key: &'static str, wanted: &str) -> Wrong {
    (key, invalid(format!("resource key `{key}` needs {wanted}")))
}

/// Returns a key's value, unless there is none.
fn value_of<'a>(section: &'a Value, key: &str) -> Option<&'a Value> {
    section.get(key).filter(|value| **value != Value::Null)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) | Value::Date(text) => Some(text.trim().to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.0.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn text(section: &Value, key: &'static str) -> Result<Option<String>, Wrong> {
    let Some(value) = value_of(section, key) else {
        return Ok(None);
    };
    let text = scalar(value).ok_or_else(|| wrong(key, "text"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn texts(section: &Value, key: &'static str) -> Result<Vec<String>, Wrong> {
    let items = match value_of(section, key) {
        None => return Ok(Vec::new()),
        Some(Value::List(items)) => items.as_slice(),
        Some(item) => std::slice::from_ref(item),
    };
    let texts: Option<Vec<String>> = items
        .iter()
        .map(|item| scalar(item).filter(|text| !text.is_empty()))
        .collect();
    texts.ok_or_else(|| wrong(key, "text, or a list of texts"))
}

fn ports(section: &Value) -> Result<Option<Vec<PortRule>>, Wrong> {
    let key = "ports";
    if value_of(section, key).is_none() {
        return Ok(None);
    }
    let wanted =
        "ports such as `80`, `8000-8100`, `53/udp`, `icmp` or `{port: 22, from: 192.0.2.0/24}`";
    let items = match section.get(key) {
        Some(Value::List(items)) => items.as_slice(),
        Some(item) => std::slice::from_ref(item),
        None => &[],
    };
    let rules: Option<Vec<PortRule>> = items.iter().map(rule_of_item).collect();
    let mut rules = rules.ok_or_else(|| wrong(key, wanted))?;
    rules.sort();
    rules.dedup();
    if rules.len() > PORTS_MAX {
        return Err(wrong(key, &format!("at most {PORTS_MAX} ports or ranges")));
    }
    Ok(Some(rules))
}

fn truth(section: &Value, key: &'static str) -> Result<Option<bool>, Wrong> {
    let Some(text) = text(section, key)? else {
        return Ok(None);
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(Some(true)),
        "false" | "no" | "off" | "0" => Ok(Some(false)),
        _ => Err(wrong(key, "`true` or `false`")),
    }
}

fn disk(section: &Value) -> Result<Disk, Wrong> {
    let key = "volume_size";
    let Some(text) = text(section, key)? else {
        return Ok(Disk::Image);
    };
    let size: Option<u64> = text.parse().ok().filter(|size| *size <= VOLUME_GIB_MAX);
    let size = size.ok_or_else(|| wrong(key, "a whole number of GiB"))?;
    Ok(Disk::Volume {
        size_gib: (size > 0).then_some(size),
        persists: truth(section, "volume_persist")?.unwrap_or(false),
    })
}

fn apart(section: &Value) -> Result<Option<Apart>, Wrong> {
    let key = "anti_affinity";
    if text(section, key)?.as_deref() == Some("soft") {
        return Ok(Some(Apart::IfPossible));
    }
    let truth = truth(section, key).map_err(|_| wrong(key, "`true`, `false` or `soft`"))?;
    Ok(truth.filter(|wanted| *wanted).map(|_| Apart::Strictly))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(entries: &[(&str, Value)]) -> Value {
        let entries = entries.iter();
        Value::Map(
            entries
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    }

    #[test]
    fn keys_of_occopus_mean_what_they_mean_there() {
        let read = Section::read(&section(&[
            ("image_id", "4b".into()),
            ("flavor_name", 3.into()),
            ("security_groups", "default".into()),
            ("floating_ip", "no".into()),
            ("volume_size", "0".into()),
            ("volume_persist", "True".into()),
            ("network_id", Value::Null),
        ]))
        .expect("valid");
        assert_eq!(read.flavor.as_deref(), Some("3"));
        assert_eq!(read.security_groups, ["default"]);
        assert!(read.has_floating && read.floating_pool.is_none() && read.networks.is_empty());
        let persists = true;
        assert_eq!(
            read.disk,
            Disk::Volume {
                size_gib: None,
                persists
            }
        );
        let pool = Section::read(&section(&[("floating_ip_pool", "ext".into())])).expect("valid");
        assert!(pool.has_floating);
        let size = Section::read(&section(&[("volume_size", 12.into())])).expect("valid");
        assert_eq!(
            size.disk,
            Disk::Volume {
                size_gib: Some(12),
                persists: false
            }
        );
        assert_eq!(Section::read(&Value::Null), Ok(Section::default()));
    }

    #[test]
    fn ports_are_numbers_ranges_and_protocols() {
        let list = ["80", "8000-8100", "53/udp", "icmp", "80/tcp"];
        let narrow = section(&[("port", 22.into()), ("from", "2001:db8::/32".into())]);
        let list = list.into_iter().map(Value::from).chain([narrow]);
        let read = Section::read(&section(&[("ports", Value::List(list.collect()))]));
        let rules: Vec<String> = read
            .expect("valid")
            .ports
            .expect("ports")
            .iter()
            .map(PortRule::to_string)
            .collect();
        assert_eq!(
            rules,
            [
                "tcp/22-22 2001:db8::/32",
                "tcp/80-80 0.0.0.0/0",
                "tcp/8000-8100 0.0.0.0/0",
                "udp/53-53 0.0.0.0/0",
                "icmp 0.0.0.0/0"
            ]
        );
        for from in ["192.0.2.0", "192.0.2.0/33", "here/8"] {
            let item = section(&[("port", 22.into()), ("from", from.into())]);
            assert_eq!(rule_of_item(&item), None, "{from}");
        }
        for mistake in ["0", "9-8", "70000", "80/sctp", "http"] {
            assert_eq!(rule_of_item(&mistake.into()), None, "{mistake}");
        }
    }

    #[test]
    fn mistakes_name_the_key() {
        let map = Value::Map(Vec::new());
        let mistakes: [(&'static str, Value); 6] = [
            ("image_id", map.clone()),
            ("security_groups", Value::List(vec![map])),
            ("ports", "http".into()),
            ("volume_size", (-1).into()),
            ("config_drive", "maybe".into()),
            ("anti_affinity", "hard".into()),
        ];
        for (key, value) in mistakes {
            let (told, error) =
                Section::read_telling_key(&section(&[(key, value)])).expect_err("invalid");
            assert_eq!(told, key);
            assert!(error.message.contains(&format!("`{key}`")), "{error}");
        }
    }
}
