//! The ports that a descriptor opens: rules of a security group.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zenekar_base::Value;

/// Who may come in where nothing else is said.
const EVERYWHERE: &str = "0.0.0.0/0";

/// One rule for traffic that comes in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rule {
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    pub(crate) protocol: String,
    /// The first port; -1 for ICMP.
    pub(crate) from: i32,
    /// The last port; -1 for ICMP.
    pub(crate) to: i32,
    /// Who may come in, as an address with a prefix length.
    pub(crate) source: String,
}

impl Rule {
    /// Says whether the source is a network of IPv6.
    pub(crate) fn is_ipv6(&self) -> bool {
        self.source.contains(':')
    }
}

/// Reads one item of `ports`: `22`, `8000-8010`, `53/udp`, `icmp`, or a mapping of
/// such a text (`port`) and the networks that may come in (`from`).
pub(crate) fn read(item: &Value) -> Result<Vec<Rule>, String> {
    let Some(entries) = item.as_map() else {
        return Ok(vec![rule(&port_text(item)?, EVERYWHERE)?]);
    };
    if let Some((key, _)) = entries
        .iter()
        .find(|(key, _)| key != "port" && key != "from")
    {
        return Err(format!("`{key}` is unknown: a rule has `port` and `from`"));
    }
    let port = item.get("port").ok_or("a rule without `port`")?;
    let port = port_text(port)?;
    let sources = match item.get("from") {
        None | Some(Value::Null) => vec![EVERYWHERE.to_owned()],
        Some(Value::List(items)) => items.iter().map(source).collect::<Result<_, _>>()?,
        Some(one) => vec![source(one)?],
    };
    sources.iter().map(|source| rule(&port, source)).collect()
}

fn port_text(value: &Value) -> Result<String, String> {
    match value {
        Value::Int(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.trim().to_owned()),
        other => Err(format!(
            "a port is a number or a text, not {}",
            other.type_name()
        )),
    }
}

fn source(value: &Value) -> Result<String, String> {
    let wrong = || "`from` is a network such as `10.0.0.0/8`".to_owned();
    let text = value.as_str().ok_or_else(wrong)?.trim();
    let (address, prefix) = text
        .split_once('/')
        .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u32 = match prefix {
        Some(prefix) => prefix.parse().map_err(|_| wrong())?,
        None => most,
    };
    if prefix > most {
        return Err(wrong());
    }
    Ok(format!("{}/{prefix}", network(address, prefix)))
}

/// Returns the first address of a network: what EC2 shows again, whichever of
/// its addresses is written.
fn network(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

fn rule(port: &str, source: &str) -> Result<Rule, String> {
    let made = |protocol: &str, from, to| Rule {
        protocol: protocol.to_owned(),
        from,
        to,
        source: source.to_owned(),
    };
    if port == "icmp" {
        let protocol = if source.contains(':') {
            "icmpv6"
        } else {
            "icmp"
        };
        return Ok(made(protocol, -1, -1));
    }
    let wrong = || format!("`{port}` is no port: write `22`, `8000-8010`, `53/udp` or `icmp`");
    let (range, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    if !matches!(protocol, "tcp" | "udp") {
        return Err(wrong());
    }
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    let (from, to) = (number(from)?, number(to)?);
    if from > to || to == 0 {
        return Err(wrong());
    }
    Ok(made(protocol, from.into(), to.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_in_all_forms() {
        let one = |value: Value| read(&value).unwrap().remove(0);
        let tcp = |from, to| Rule {
            protocol: "tcp".into(),
            from,
            to,
            source: "0.0.0.0/0".into(),
        };
        assert_eq!(one(Value::from(22)), tcp(22, 22));
        assert_eq!(one(Value::from("8000-8010")), tcp(8000, 8010));
        assert_eq!(one(Value::from("53/udp")).protocol, "udp");
        assert_eq!(one(Value::from("icmp")).from, -1);
        let rules = read(&Value::Map(vec![
            ("port".into(), Value::from(22)),
            (
                "from".into(),
                Value::List(vec!["10.0.0.0/8".into(), "2001:db8::/32".into()]),
            ),
        ]))
        .unwrap();
        assert_eq!(rules.len(), 2);
        assert!(!rules[0].is_ipv6() && rules[1].is_ipv6());
    }

    #[test]
    fn sources_are_written_as_ec2_shows_them() {
        for (written, shown) in [
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.77", "192.0.2.77/32"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::1/0", "::/0"),
        ] {
            assert_eq!(source(&written.into()).unwrap(), shown);
        }
        let ping = rule("icmp", "::/0").unwrap();
        assert_eq!(ping.protocol, "icmpv6");
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in ["0", "65536", "9-3", "x", "1/sctp", "8080:80", "", "-1"] {
            assert!(read(&Value::from(text)).is_err(), "{text}");
        }
        for source in ["10.0.0.0/33", "here", "::/129"] {
            let item = Value::Map(vec![
                ("port".into(), Value::from(1)),
                ("from".into(), source.into()),
            ]);
            assert!(read(&item).is_err(), "{source}");
        }
        assert!(read(&Value::Map(vec![("ports".into(), Value::from(1))])).is_err());
    }
}
