//! One machine of the cloud and what is still known of its past.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{
    Addresses, Fingerprint, FingerprintBuilder, InfrastructureId, InstanceTag, Millis, ResourceId,
    ResourceState, ResourceView, Timestamp, Token,
};

use crate::request::CreateInstance;
use crate::settings::SpanRange;

/// How many machines one cloud can ever have: the addresses of 10.0.0.0/8
/// that end in 1 to 254.
pub(crate) const RESOURCES_MAX: u32 = 256 * 256 * 254;

/// Cores of a machine that somebody else has made.
const FOREIGN_CORES: u32 = 1;

/// What a machine was created as; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Stands for all that follows, so that hashing a state need not read it again.
    digest: Fingerprint,
    pub(crate) infrastructure: InfrastructureId,
    pub(crate) instance: InstanceTag,
    pub(crate) token: Token,
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) cores: u32,
    pub(crate) contextualise: Option<SpanRange>,
    /// What was there without us: its id, and addresses of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) foreign: Option<(ResourceId, Addresses)>,
}

impl Identity {
    /// Makes the identity of a machine that somebody else has made.
    pub(crate) fn foreign(resource: &ResourceId, name: &str, addresses: &Addresses) -> Self {
        let mut builder = FingerprintBuilder::default();
        builder.text("foreign").text(resource.as_str()).text(name);
        for address in &addresses.all {
            builder.text(address);
        }
        builder.text(addresses.private.as_deref().unwrap_or_default());
        Self {
            digest: builder.finish(),
            infrastructure: InfrastructureId::new(""),
            instance: InstanceTag::new(""),
            token: Token::new(""),
            name: name.to_owned(),
            fingerprint: Fingerprint::of_text(""),
            cores: FOREIGN_CORES,
            contextualise: None,
            foreign: Some((resource.clone(), addresses.clone())),
        }
    }

    pub(crate) fn new(create: &CreateInstance) -> Self {
        let CreateInstance {
            infrastructure,
            instance,
            token,
            name,
            fingerprint,
            cores,
            contextualise,
            ..
        } = create;
        let mut builder = FingerprintBuilder::default();
        builder
            .text(infrastructure.as_str())
            .text(instance.as_str())
            .text(token.as_str())
            .text(name);
        builder
            .piece(b'f', &fingerprint.0.to_be_bytes())
            .number(u64::from(*cores));
        for end in contextualise.map(<[u64; 2]>::from).into_iter().flatten() {
            builder.number(end);
        }
        Self {
            digest: builder.finish(),
            infrastructure: infrastructure.clone(),
            instance: instance.clone(),
            token: token.clone(),
            name: name.clone(),
            fingerprint: *fingerprint,
            cores: *cores,
            contextualise: *contextualise,
            foreign: None,
        }
    }
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

/// Why a machine is in the state it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Detail {
    BootFailed,
    StoppedOutside,
    DeletedOutside,
}

impl Detail {
    const fn text(self) -> &'static str {
        match self {
            Self::BootFailed => "the machine did not boot",
            Self::StoppedOutside => "stopped from outside",
            Self::DeletedOutside => "deleted from outside",
        }
    }
}

/// One change of a machine, as the cloud's own listings show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) at: Timestamp,
    /// `None`: it is not shown any more.
    pub(crate) state: Option<ResourceState>,
    pub(crate) revision: u32,
    pub(crate) detail: Option<Detail>,
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) identity: Arc<Identity>,
    pub(crate) number: u32,
    pub(crate) created_at: Timestamp,
    /// When its address became known.
    pub(crate) addressed_at: Option<Timestamp>,
    /// From when on it answers health checks; `MAX` is never.
    pub(crate) healthy_at: Timestamp,
    /// When it ceased to exist.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Its changes within the staleness bound, and the last one before; never empty.
    history: Vec<Change>,
}

impl Resource {
    pub(crate) fn new(number: u32, identity: Arc<Identity>, at: Timestamp) -> Self {
        let first = Change {
            at,
            state: Some(ResourceState::Pending),
            revision: 0,
            detail: None,
        };
        Self {
            identity,
            number,
            created_at: at,
            addressed_at: None,
            healthy_at: Timestamp::MAX,
            deleted_at: None,
            history: vec![first],
        }
    }

    /// Returns the latest change: the present.
    pub(crate) fn present(&self) -> Change {
        *self
            .history
            .last()
            .expect("a resource is made with its first change, and the last one is always kept")
    }

    /// Says whether it exists: until then it counts against the quota.
    pub(crate) fn is_alive(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Says whether a machine that was read from a file can be one.
    pub(crate) fn is_sound(&self, number: u32) -> bool {
        self.number == number
            && self
                .history
                .last()
                .is_some_and(|change| change.at >= self.created_at)
    }

    /// Records a change and forgets what no list can show any more.
    pub(crate) fn change(
        &mut self,
        at: Timestamp,
        staleness_max: Millis,
        edit: impl FnOnce(&mut Change),
    ) {
        let mut next = self.present();
        assert!(next.at <= at, "time does not run backwards");
        next.at = at;
        edit(&mut next);
        let horizon = at - staleness_max;
        let first_needed = self
            .history
            .iter()
            .rposition(|change| change.at <= horizon)
            .unwrap_or(0);
        self.history.drain(..first_needed);
        self.history.push(next);
    }

    /// Returns what a list shows that is as old as `at`.
    pub(crate) fn at(&self, at: Timestamp) -> Option<Change> {
        if at < self.created_at {
            return None;
        }
        // Everything before the first change kept was out of reach of the
        // staleness bound that was in force then.
        Some(
            *self
                .history
                .iter()
                .rev()
                .find(|change| change.at <= at)
                .unwrap_or(&self.history[0]),
        )
    }

    /// Returns its id.
    pub(crate) fn id(&self) -> ResourceId {
        match &self.identity.foreign {
            Some((id, _)) => id.clone(),
            None => resource_id(self.number),
        }
    }

    /// Returns its addresses as known at `at`.
    pub(crate) fn addresses(&self, at: Timestamp) -> Addresses {
        match self.addressed_at {
            Some(known) if known <= at => match &self.identity.foreign {
                Some((_, addresses)) if !addresses.all.is_empty() => addresses.clone(),
                _ => Addresses {
                    all: vec![address(self.number)],
                    private: None,
                },
            },
            _ => Addresses::default(),
        }
    }

    /// Returns what a list shows that is as old as `at`.
    pub(crate) fn view(&self, at: Timestamp) -> Option<ResourceView> {
        let change = self.at(at)?;
        change.state.map(|state| self.view_of(change, state, at))
    }

    /// Returns its present for the caller that repeats its creation: a
    /// resource that is not shown any more is gone.
    pub(crate) fn view_now(&self, now: Timestamp) -> ResourceView {
        let change = self.present();
        self.view_of(change, change.state.unwrap_or(ResourceState::Gone), now)
    }

    fn view_of(&self, change: Change, state: ResourceState, at: Timestamp) -> ResourceView {
        let addresses = if state == ResourceState::Gone {
            Addresses::default()
        } else {
            self.addresses(at)
        };
        ResourceView {
            instance: self.identity.instance.clone(),
            resource: self.id(),
            state,
            addresses,
            token: Some(self.identity.token.clone()).filter(|token| !token.as_str().is_empty()),
            revision: change.revision,
            detail: change.detail.map(|detail| detail.text().to_owned()),
        }
    }
}

/// Returns the id of resource `number`.
pub(crate) fn resource_id(number: u32) -> ResourceId {
    ResourceId::new(format!("sim-{number:06}"))
}

/// Returns the number of a resource id, if it has the one form of such ids.
pub(crate) fn resource_number(id: &ResourceId) -> Option<u32> {
    let digits = id.as_str().strip_prefix("sim-")?;
    let canonical = digits.len() == 6 || (digits.len() > 6 && !digits.starts_with('0'));
    if canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

/// Returns the address of resource `number`: private and public are the same.
fn address(number: u32) -> String {
    let (net, host) = (number / 254, number % 254 + 1);
    format!("10.{}.{}.{host}", net / 256, net % 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form_only() {
        for number in [0, 7, 999_999, 1_000_000, RESOURCES_MAX - 1] {
            assert_eq!(resource_number(&resource_id(number)), Some(number));
        }
        for id in [
            "sim-7",
            "sim-0000007",
            "sim-+00007",
            "i-000007",
            "sim-99999999999",
        ] {
            assert_eq!(resource_number(&ResourceId::new(id)), None, "{id}");
        }
    }

    #[test]
    fn addresses_are_distinct_at_the_borders() {
        assert_eq!(address(0), "10.0.0.1");
        assert_eq!(address(253), "10.0.0.254");
        assert_eq!(address(254), "10.0.1.1");
        assert_eq!(address(RESOURCES_MAX - 1), "10.255.255.254");
    }
}
