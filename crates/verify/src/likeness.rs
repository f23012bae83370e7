//! States that differ only in who is who.
//!
//! Instances of one node that do the same are as good as each other. A state is
//! known by what is not about a single instance, and by what is about each, in
//! an order that does not depend on their numbers. Nothing is left out, so what
//! is known by the same is the same but for names.
//!
//! Engines treat instances by their numbers where only some of them can have
//! what all want. So this is of use only where all can; see
//! [`World::may_exchange`].

use std::hash::{Hash, Hasher};

use smallvec::SmallVec;
use zenekar_base::{InfrastructureId, InstanceKey, InstanceTag, ResourceView, Timestamp, Token};
use zenekar_engine::{Operation, Response};
use zenekar_search::Fingerprint128;
use zenekar_simcloud::{Machine, UntimedCloud, nameless};

use crate::control::{Control, Kind, Outstanding};
use crate::moment::Moment;
use crate::setting::{Demand, Setting};
use crate::world::World;

/// Attempts whose tokens are recognised; machines of later ones are known by their tokens.
const ATTEMPTS_KNOWN_MAX: u32 = 16;

/// A control without who is who.
#[derive(Debug)]
pub(crate) struct Likeness {
    rest: Fingerprint128,
    faces: SmallVec<[(InstanceKey, Fingerprint128); 8]>,
    /// Instances that a lagging list may still show.
    gone: SmallVec<[(InstanceTag, Timestamp); 2]>,
}

/// What a closure gives to a hasher.
struct Given<F>(F);

impl<F: Fn(&mut dyn Hasher)> Hash for Given<F> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.0)(hasher);
    }
}

impl Control {
    /// Returns the control without who is who, if that can be told.
    pub(crate) fn likeness(&self) -> Option<Likeness> {
        let state = self.state();
        let is_plain =
            state.orphans.is_empty() && state.adopted.is_empty() && self.abandoned.is_empty();
        let mut nodes = state.nodes.iter();
        // Former ones count: which of two is gone makes no difference either.
        let has_likes = nodes.any(|node| node.next_ordinal > 2);
        if !is_plain || !has_likes {
            return None;
        }
        let rest = Given(|mut hasher: &mut dyn Hasher| {
            self.engine.hash_rest(&mut hasher);
            for call in self.calls.iter().filter(|call| call.instance().is_none()) {
                (call.place, call.due, Kind::of(&call.operation)).hash(&mut hasher);
                call.answer.hash(&mut hasher);
            }
        });
        let face = |key: &InstanceKey| {
            let face = Given(|mut hasher: &mut dyn Hasher| {
                self.engine.hash_instance(*key, &nameless, &mut hasher);
                let calls = self.calls.iter();
                for call in calls.filter(|call| call.instance() == Some(*key)) {
                    self.hash_call(*key, call, &mut hasher);
                }
            });
            (*key, Fingerprint128::of(&face))
        };
        Some(Likeness {
            rest: Fingerprint128::of(&rest),
            faces: state.instances.keys().map(face).collect(),
            gone: self
                .engine
                .lately_gone()
                .map(|(tag, at)| (tag.clone(), at))
                .collect(),
        })
    }

    /// Gives to a hasher all of a call about an instance but which one it is.
    fn hash_call(&self, key: InstanceKey, call: &Outstanding, mut hasher: &mut dyn Hasher) {
        let state = self.state();
        let given = state.instances.get(&key).and_then(|one| one.given);
        let given = given.and_then(|set| state.given.get(&set));
        let token = |token: &Token| attempt_of(&state.infrastructure, key, token);
        (call.place, call.due, Kind::of(&call.operation)).hash(&mut hasher);
        match &call.operation {
            Operation::Create {
                token: sent,
                node,
                candidate,
                given: told,
                ..
            } => {
                let unknown = given.is_none_or(|(nodes, _)| nodes != told);
                (token(sent), node, candidate).hash(&mut hasher);
                unknown.then_some(told).hash(&mut hasher);
            }
            Operation::Recontextualise {
                revision,
                node,
                candidate,
                given: told,
                ..
            } => {
                let unknown = given.is_none_or(|(nodes, _)| nodes != told);
                (revision, node, candidate).hash(&mut hasher);
                unknown.then_some(told).hash(&mut hasher);
            }
            Operation::Probe {
                node, candidate, ..
            } => (node, candidate).hash(&mut hasher),
            Operation::Delete { resource, .. } => {
                nameless(key, resource.as_str()).hash(&mut hasher);
            }
            Operation::Observe { .. } | Operation::Release => {}
        }
        match &call.answer {
            Some(Ok(Response::Created(view))) => {
                let ResourceView {
                    instance: _,
                    resource,
                    state: shown,
                    addresses,
                    token: carried,
                    revision,
                    detail,
                } = view;
                nameless(key, resource.as_str()).hash(&mut hasher);
                for address in addresses.all.iter().chain(&addresses.private) {
                    nameless(key, address).hash(&mut hasher);
                }
                (shown, carried.as_ref().map(token), revision, detail).hash(&mut hasher);
            }
            answer => answer.hash(&mut hasher),
        }
    }
}

/// Returns which attempt of an instance a token is of, or the token.
fn attempt_of(
    infrastructure: &InfrastructureId,
    key: InstanceKey,
    token: &Token,
) -> Result<u32, Token> {
    let mut attempts = 0..=ATTEMPTS_KNOWN_MAX;
    let found = attempts.find(|attempt| Token::derive(infrastructure, key, *attempt) == *token);
    found.ok_or_else(|| token.clone())
}

/// A cloud, and its machines without whose they are.
#[derive(Debug)]
pub(crate) struct CloudPart {
    pub(crate) cloud: UntimedCloud,
    faces: SmallVec<[Fingerprint128; 8]>,
    networks: Fingerprint128,
}

impl Hash for CloudPart {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.cloud.hash(hasher);
    }
}

impl CloudPart {
    pub(crate) fn new(cloud: UntimedCloud) -> Self {
        let infrastructure = Setting::infrastructure();
        let face = |machine: &Machine| {
            let attempt = attempt_of(&infrastructure, machine.instance, &machine.token);
            let place = (machine.number, machine.place, machine.node, attempt);
            let state = (machine.state, machine.addressed, machine.revision);
            Fingerprint128::of(&(place, state, machine.lag, machine.is_harmed))
        };
        let networks: SmallVec<[u16; 4]> = cloud.networks().collect();
        Self {
            faces: cloud.machines().iter().map(face).collect(),
            networks: Fingerprint128::of(&networks[..]),
            cloud,
        }
    }
}

impl Setting {
    /// Says whether engines never have to choose between instances that want the
    /// same: nobody asks for fewer of them, there is room for all, and as many
    /// calls may be in flight as there are instances.
    pub(crate) fn has_room_for_all(&self) -> bool {
        let engine = self.limits().engine;
        let providers = self.providers();
        let in_flight = providers.iter();
        let in_flight = in_flight.map(|name| engine.calls_in_flight_max(name)).min();
        let counts = self.topology.indices();
        let counts = counts.map(|index| self.topology.node(index).count.max);
        let mut script = self.script.iter();
        self.quota.is_none()
            && script.all(|step| matches!(step.demand, Demand::Up | Demand::Down))
            && counts.sum::<u32>() <= in_flight.unwrap_or(0)
    }
}

impl World {
    /// Says whether instances of a node may be exchanged from here on. Pauses
    /// after failures depend on the number of an instance, so nothing may fail.
    fn may_exchange(&self, moment: &Moment) -> bool {
        self.exchanges
            && self.watched.is_empty()
            && moment.faults >= self.parts.setting.allowance.faults
    }

    /// Returns what is the same of all states that differ only in who is who,
    /// and in nothing else; `None` where that cannot be told.
    pub(crate) fn likeness(&self, moment: &Moment) -> Option<Fingerprint128> {
        if !self.may_exchange(moment) {
            return None;
        }
        let control = self.parts.likeness(moment.control)?;
        let cloud = self.parts.clouds.get(moment.cloud);
        let machines = cloud.cloud.machines();
        let of_machine = |at: usize, bytes: &mut SmallVec<[u8; 64]>| {
            bytes.extend_from_slice(&cloud.faces[at].0.to_le_bytes());
            bytes.extend_from_slice(&moment.agents[at].bytes());
        };
        let mut faces: SmallVec<[u128; 16]> = SmallVec::new();
        let mut at = 0;
        let mut known = control.faces.iter().peekable();
        // Both are in the order of instances; former ones have machines only.
        loop {
            let key = machines.get(at).map(|machine| machine.instance);
            let next = known.peek().map(|(key, _)| *key);
            let Some(key) = [key, next].into_iter().flatten().min() else {
                break;
            };
            let mut bytes: SmallVec<[u8; 64]> = SmallVec::new();
            if let Some((_, face)) = known.next_if(|(known, _)| *known == key) {
                bytes.extend_from_slice(&face.0.to_le_bytes());
            } else {
                let mut gone = control.gone.iter();
                let gone = gone.find(|(tag, _)| *tag == machines[at].tag);
                let gone = gone.map_or(-1, |(_, since)| since.0);
                bytes.extend_from_slice(&gone.to_le_bytes());
            }
            while machines.get(at).is_some_and(|one| one.instance == key) {
                of_machine(at, &mut bytes);
                at += 1;
            }
            faces.push(Fingerprint128::of(&bytes[..]).0);
        }
        faces.sort_unstable();
        let shared = (control.rest.0, cloud.networks.0);
        Some(Fingerprint128::of(&(shared, &faces[..])))
    }
}
