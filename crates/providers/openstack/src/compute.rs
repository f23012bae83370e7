//! Servers, as Nova shows them and as the engine sees them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zenekar_base::{
    Addresses, InfrastructureId, InstanceTag, ResourceId, ResourceState, ResourceView, Token,
};

use crate::mark;
use crate::page::Listed;

/// A server as a list in detail shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) status: String,
    /// None where the cell that knows it does not answer.
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    addresses: Networks,
    fault: Option<Fault>,
    pub(crate) created: Option<String>,
    #[serde(default)]
    pub(crate) locked: bool,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub(crate) task: Option<String>,
}

impl Listed for Server {
    const KEY: &'static str = "servers";

    fn id(&self) -> &str {
        &self.id
    }
}

/// A server's answer to a look at it alone.
#[derive(Deserialize)]
pub(crate) struct OneServer {
    pub(crate) server: Server,
}

#[derive(Clone, Debug, Deserialize)]
struct Fault {
    message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Address {
    addr: String,
    #[serde(rename = "OS-EXT-IPS:type")]
    kind: Option<String>,
}

impl Address {
    fn is_floating(&self) -> bool {
        self.kind.as_deref() == Some("floating")
    }

    fn is_old(&self) -> bool {
        !self.addr.contains(':')
    }
}

/// The addresses of all networks, in the order of the answer.
#[derive(Clone, Debug, Default)]
struct Networks(Vec<Address>);

struct NetworksVisitor;

impl<'de> Visitor<'de> for NetworksVisitor {
    type Value = Networks;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("lists of addresses by network")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Networks, A::Error> {
        let mut all = Vec::new();
        while let Some((_, addresses)) = map.next_entry::<String, Vec<Address>>()? {
            all.extend(addresses);
        }
        Ok(Networks(all))
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NetworksVisitor)
    }
}

impl Server {
    /// Returns a value of the metadata.
    pub(crate) fn meta(&self, key: &str) -> Option<&str> {
        let value = self.metadata.as_ref()?.get(key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Says whether it is of this infrastructure.
    pub(crate) fn is_of(&self, infrastructure: &InfrastructureId) -> bool {
        self.meta(mark::INFRASTRUCTURE) == Some(infrastructure.as_str())
    }

    /// Says whether it is of an infrastructure other than this one.
    pub(crate) fn is_foreign(&self, infrastructure: &InfrastructureId) -> bool {
        self.meta(mark::INFRASTRUCTURE)
            .is_some_and(|other| other != infrastructure.as_str())
    }

    /// Says whether the answer leaves out what it is, because the part of the
    /// cloud that knows does not answer.
    pub(crate) fn is_partial(&self) -> bool {
        self.metadata.is_none()
    }

    /// Returns the instance that it is.
    pub(crate) fn instance(&self) -> InstanceTag {
        InstanceTag::new(self.meta(mark::INSTANCE).unwrap_or_default())
    }

    /// Says whether a deletion was accepted; there are softer and harder ones.
    fn is_being_deleted(&self) -> bool {
        self.task
            .as_deref()
            .is_some_and(|task| task.ends_with("deleting"))
    }

    /// Returns how far it is.
    pub(crate) fn state(&self) -> ResourceState {
        let status = self.status.split('(').next().unwrap_or_default();
        match status {
            "DELETED" | "SOFT_DELETED" => ResourceState::Gone,
            _ if self.is_being_deleted() => ResourceState::Deleting,
            "ACTIVE" | "REBOOT" | "HARD_REBOOT" | "PASSWORD" => ResourceState::Running,
            "ERROR" => ResourceState::Failed,
            "SHUTOFF" | "PAUSED" | "SUSPENDED" | "SHELVED" | "SHELVED_OFFLOADED" | "RESCUE" => {
                ResourceState::Stopped
            }
            _ => ResourceState::Pending,
        }
    }

    /// Returns its addresses, best first: floating ones, then those of the old
    /// protocol, then the others; the order of the answer otherwise.
    pub(crate) fn addresses(&self) -> Addresses {
        let all = &self.addresses.0;
        let floating: Vec<&Address> = all.iter().filter(|one| one.is_floating()).collect();
        let fixed = || all.iter().filter(|one| !one.is_floating());
        let private = fixed().find(|one| one.is_old()).or_else(|| fixed().next());
        let mut ordered: Vec<String> = Vec::new();
        // Nova learns of a floating address later than of the port that has it.
        if let Some(address) = self.meta(mark::ADDRESS).filter(|_| !all.is_empty())
            && floating.is_empty()
        {
            ordered.push(address.to_owned());
        }
        let sorted = floating
            .into_iter()
            .chain(fixed().filter(|one| one.is_old()))
            .chain(fixed().filter(|one| !one.is_old()));
        ordered.extend(sorted.map(|one| one.addr.clone()));
        let private = private.map(|one| one.addr.clone());
        Addresses {
            private: private.filter(|private| ordered.first() != Some(private)),
            all: ordered,
        }
    }

    /// Returns what the engine sees.
    pub(crate) fn view(&self) -> ResourceView {
        let state = self.state();
        let words = self.fault.as_ref().and_then(|fault| fault.message.clone());
        let detail = match state {
            ResourceState::Running if self.status == "ACTIVE" => None,
            ResourceState::Gone | ResourceState::Deleting => None,
            ResourceState::Pending if self.status == "BUILD" => None,
            _ => words.or_else(|| Some(format!("the status is {}", self.status))),
        };
        ResourceView {
            instance: self.instance(),
            resource: ResourceId::new(self.id.as_str()),
            state,
            addresses: self.addresses(),
            token: self.meta(mark::TOKEN).map(Token::new),
            revision: 0,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn server(changes: Json) -> Server {
        let mut document = json!({
            "id": "s", "name": "n", "status": "ACTIVE", "created": "2026-01-01T00:00:00Z",
            "metadata": {mark::INFRASTRUCTURE: "i", mark::INSTANCE: "t", mark::TOKEN: "k"},
            "addresses": {}, "OS-EXT-STS:task_state": null,
        });
        for (key, value) in changes.as_object().expect("an object") {
            document[key] = value.clone();
        }
        serde_json::from_value(document).expect("a server")
    }

    #[test]
    fn states_are_those_of_the_engine() {
        use ResourceState::*;
        for (status, wanted) in [
            ("BUILD", Pending),
            ("BUILD(spawning)", Pending),
            ("REBUILD", Pending),
            ("ACTIVE", Running),
            ("ERROR", Failed),
            ("SHUTOFF", Stopped),
            ("PAUSED", Stopped),
            ("SUSPENDED", Stopped),
            ("SHELVED_OFFLOADED", Stopped),
            ("DELETED", Gone),
            ("SOFT_DELETED", Gone),
            ("SOMETHING_NEW", Pending),
        ] {
            assert_eq!(
                server(json!({"status": status})).state(),
                wanted,
                "{status}"
            );
        }
        let going = server(json!({"OS-EXT-STS:task_state": "deleting"}));
        assert_eq!(going.state(), Deleting);
        let unknown = server(json!({"status": "SOMETHING_NEW"})).view();
        assert_eq!(
            unknown.detail.as_deref(),
            Some("the status is SOMETHING_NEW")
        );
        let fault = json!({"status": "ERROR", "fault": {"code": 500, "message": "No valid host was found. "}});
        assert_eq!(
            server(fault).view().detail.as_deref(),
            Some("No valid host was found. ")
        );
    }

    #[test]
    fn floating_addresses_come_first() {
        let text = r#"{"id": "s", "metadata": {"zenekar_address": "8.8.8.9"}, "addresses": {
            "z": [{"addr": "fd00::5", "OS-EXT-IPS:type": "fixed"}, {"addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed"}],
            "a": [{"addr": "10.1.0.5", "OS-EXT-IPS:type": "fixed"}, {"addr": "8.8.8.8", "OS-EXT-IPS:type": "floating"}]}}"#;
        let server: Server = serde_json::from_str(text).expect("a server");
        let addresses = server.addresses();
        assert_eq!(
            addresses.all,
            ["8.8.8.8", "10.0.0.5", "10.1.0.5", "fd00::5"]
        );
        assert_eq!(addresses.private(), Some("10.0.0.5"));
        // Not known to Nova yet.
        let late = text.replace("floating", "fixed");
        let server: Server = serde_json::from_str(&late).expect("a server");
        assert_eq!(server.addresses().primary(), Some("8.8.8.9"));
        // A single address is both.
        let one = r#"{"id": "s", "addresses": {"n": [{"addr": "10.0.0.5"}]}}"#;
        let server: Server = serde_json::from_str(one).expect("a server");
        assert_eq!(server.addresses().private, None);
        assert!(server.is_partial());
    }
}
