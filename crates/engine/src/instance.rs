//! What facts mean to the instance that they are about.

use zenekar_base::{Addresses, InstanceKey, InstanceTag, NodeKey, Timestamp};
use zenekar_model::NodeFingerprint;

use crate::record::Record;
use crate::state::{Instance, Phase, ProviderIndex};

impl Instance {
    /// Makes an instance that is wanted and of which nothing is there.
    pub(crate) fn planned(
        key: InstanceKey,
        tag: InstanceTag,
        node: NodeKey,
        ordinal: u32,
        at: Timestamp,
    ) -> Self {
        Self {
            key,
            tag,
            adopted: false,
            node,
            ordinal,
            replaces: None,
            phase: Phase::Planned,
            phase_since: at,
            doom: None,
            breakage: None,
            attempt: 0,
            uncertain_since: None,
            candidate: 0,
            provider: None,
            resource: None,
            created_at: None,
            addresses: Addresses::default(),
            fingerprint: NodeFingerprint::default(),
            given: None,
            revision: 0,
            ready_at: None,
            last_error: None,
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) {
        if self.phase != phase {
            self.phase = phase;
            self.phase_since = at;
        }
    }

    /// Applies a fact about the instance; `provider` is the one of the chosen candidate.
    pub(crate) fn apply(
        &mut self,
        record: &Record,
        provider: Option<ProviderIndex>,
        at: Timestamp,
    ) {
        match record {
            Record::CreateIntended {
                attempt,
                candidate,
                fingerprint,
                given,
                ..
            } => {
                self.attempt = *attempt;
                self.candidate = *candidate;
                self.provider = provider;
                self.fingerprint = *fingerprint;
                self.given = *given;
                self.uncertain_since = Some(at);
                self.enter(Phase::Creating, at);
            }
            Record::CreateFailed {
                class,
                message,
                candidate,
                ..
            } if self.resource.is_none() => {
                self.candidate = *candidate;
                self.last_error = Some((*class, message.clone()));
                self.uncertain_since = None;
                self.given = None;
                self.enter(Phase::Planned, at);
            }
            Record::Created { resource, .. } => {
                self.resource = Some(resource.clone());
                self.created_at = Some(at);
                self.uncertain_since = None;
                self.last_error = None;
                self.enter(Phase::Booting, at);
            }
            Record::Running { addresses, .. } => {
                self.addresses = addresses.clone();
                if self.phase < Phase::Checking {
                    self.enter(Phase::Checking, at);
                }
            }
            Record::Ready { .. } => {
                self.ready_at.get_or_insert(at);
                self.enter(Phase::Ready, at);
            }
            Record::Unready { .. } => self.enter(Phase::Unready, at),
            Record::RecontextualiseIntended {
                revision, given, ..
            } => {
                self.revision = *revision;
                self.given = *given;
                self.enter(Phase::Restarting, at);
            }
            Record::Recontextualised { .. } => self.enter(Phase::Checking, at),
            Record::Broke { breakage, .. } => self.breakage = Some(breakage.clone()),
            Record::Recovered { .. } => self.breakage = None,
            Record::Doomed { reason, .. } => self.doom = Some(reason.clone()),
            _ => {}
        }
    }
}
