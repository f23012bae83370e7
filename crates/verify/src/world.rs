//! The production engine, clouds and instances as one system that can be explored.

use std::collections::BTreeMap;

use smallvec::SmallVec;
use zenekar_base::{ResourceState, Timestamp};
use zenekar_engine::Engine;
use zenekar_model::behaviour::{Behaviour, Contact, Give, Segment};
use zenekar_model::{Health, Topology};
use zenekar_search::{Fingerprint128, Model};
use zenekar_simcloud::UntimedCloud;

use crate::action::{Action, Outcome};
use crate::agent::{Compiled, OBJECTS_MAX, Role, compile, done_for, fuse};
use crate::asked::Asked;
use crate::breach::Breach;
use crate::control::{Control, Kind};
use crate::likeness::CloudPart;
use crate::moment::Moment;
use crate::parts::{CallFacts, Facts, Parts};
use crate::setting::{Demand, Fault, Faults, Setting};
use crate::watched::Watched;

/// The system that is explored: a [`Model`] of the whole world.
#[derive(Debug)]
pub struct World {
    pub(crate) parts: Parts,
    pub(crate) roles: Vec<Role>,
    asked: Asked,
    /// Faults that the provider of each place has.
    faults: Vec<Faults>,
    pub(crate) watched: Watched,
    /// Whether orders that make no difference are left out.
    reduces: bool,
    /// Whether it makes no difference which instance of a node is which.
    pub(crate) exchanges: bool,
    /// Whether looks of which nobody learns anything are one step.
    pub(crate) pauses: bool,
}

impl World {
    /// Makes the world of a setting, in which nothing has happened.
    pub fn new(setting: Setting) -> Self {
        let topologies = topologies(&setting);
        let mut nodes: Vec<String> = Vec::new();
        let mut health = BTreeMap::new();
        for topology in topologies {
            for index in topology.indices() {
                let name = &topology.node(index).name;
                if !nodes.contains(name) {
                    nodes.push(name.clone());
                }
                if let Some(candidate) = topology.candidate(index, 0) {
                    health.insert(name.clone(), candidate.health.clone());
                }
            }
        }
        let roles = roles(&setting, &nodes, &health);
        let faults = setting.providers();
        let faults = faults
            .iter()
            .map(|name| setting.personality_of(name).faults);
        Self {
            faults: faults.collect(),
            reduces: true,
            exchanges: setting.has_room_for_all(),
            pauses: true,
            roles,
            watched: Watched::new(&setting.properties, &setting.behaviours, &nodes),
            asked: Asked::new(&setting, &nodes),
            parts: Parts::new(setting, nodes),
        }
    }

    /// Makes the same world, in which states that differ only in when they are
    /// stay different. There are more of them, and nothing else is different:
    /// for those who check that.
    pub fn keeping_time(setting: Setting) -> Self {
        let mut world = Self::new(setting);
        world.parts.rebases = false;
        world
    }

    /// Makes the same world, of which every order is explored: for those who
    /// check that those that are left out make no difference.
    pub fn in_every_order(setting: Setting) -> Self {
        Self {
            reduces: false,
            ..Self::new(setting)
        }
    }

    /// Makes the same world, in which every look is a step, also those of which
    /// nobody learns anything.
    pub fn looking_each_time(setting: Setting) -> Self {
        Self {
            pauses: false,
            ..Self::new(setting)
        }
    }

    /// Makes the same world, in which states that differ only in which instance
    /// is which stay different: for those who check that it makes none.
    pub fn telling_apart(setting: Setting) -> Self {
        Self {
            exchanges: false,
            ..Self::in_every_order(setting)
        }
    }

    /// Returns the engine as it is in a state. Times are told from a present
    /// that is always the same.
    pub fn engine(&self, moment: &Moment) -> &Engine {
        &self.control(moment).engine
    }

    /// Returns what the world was made from.
    pub fn setting(&self) -> &Setting {
        &self.parts.setting
    }

    /// Returns how many different engines and clouds were seen so far.
    pub fn parts_seen(&self) -> (usize, usize) {
        (self.parts.controls.len(), self.parts.clouds.len())
    }

    pub(crate) fn facts(&self, moment: &Moment) -> &Facts {
        &self.parts.controls.get(moment.control).facts
    }

    pub(crate) fn control(&self, moment: &Moment) -> &Control {
        &self.parts.controls.get(moment.control).control
    }

    pub(crate) fn cloud(&self, moment: &Moment) -> &UntimedCloud {
        &self.parts.clouds.get(moment.cloud).cloud
    }

    /// Says whether an instance can go on with its contextualisation now, or would fail at once.
    pub(crate) fn can_run(&self, moment: &Moment, cloud: &UntimedCloud, at: usize) -> bool {
        let (machine, agent) = (&cloud.machines()[at], moment.agents[at]);
        if machine.state != ResourceState::Running || agent.has_failed {
            return false;
        }
        let segments = &self.roles[usize::from(machine.node)].segments;
        let Some(segment) = segments.get(usize::from(agent.done)) else {
            return false;
        };
        if agent.is_within {
            return true;
        }
        let is_held = segment.reads | segment.writes | segment.holds;
        if self.held_by_others(moment, cloud, at) & is_held != 0 {
            return false;
        }
        !segment.retries || Self::needs_met(moment, cloud, at, segment)
    }

    /// Returns the shared objects that other instances hold.
    fn held_by_others(&self, moment: &Moment, cloud: &UntimedCloud, at: usize) -> u16 {
        let machines = cloud.machines().iter().zip(&moment.agents).enumerate();
        let others = machines.filter(|(other, _)| *other != at);
        let held = others.filter_map(|(_, (machine, agent))| {
            let segments = &self.roles[usize::from(machine.node)].segments;
            let runs = machine.state == ResourceState::Running && !agent.has_failed;
            let current = segments.get(usize::from(agent.done)).filter(|_| runs)?;
            let before = usize::from(agent.done).checked_sub(1);
            let before = before.and_then(|before| segments.get(before));
            Some(if agent.is_within {
                current.holds
            } else {
                // What two neighbours hold is not let go between them.
                before.map_or(0, |before| before.holds & current.holds)
            })
        });
        held.fold(0, |all, one| all | one)
    }

    pub(crate) fn needs_met(
        moment: &Moment,
        cloud: &UntimedCloud,
        at: usize,
        segment: &Compiled,
    ) -> bool {
        let own = moment.agents[at];
        segment.needs.iter().all(|need| {
            let machines = cloud.machines().iter().zip(&moment.agents).enumerate();
            let mut others = machines
                .filter(|(other, (machine, _))| *other != at && machine.node == need.node)
                .filter(|(_, (machine, _))| machine.state == ResourceState::Running)
                .map(|(_, (_, agent))| {
                    own.reaches(*agent) && need.done.is_some_and(|done| agent.done >= done)
                })
                .peekable();
            if others.peek().is_none() {
                // An only instance has no others that it could need.
                return cloud.machines()[at].node == need.node;
            }
            if need.all {
                others.all(|has| has)
            } else {
                others.any(|has| has)
            }
        })
    }

    /// Says whether nothing is on its way: what comes next is up to time or people.
    pub(crate) fn is_quiet(&self, moment: &Moment) -> bool {
        let facts = self.facts(moment);
        if !facts.calls.is_empty() || !facts.abandoned.is_empty() {
            return false;
        }
        let cloud = self.cloud(moment);
        (0..cloud.machines().len()).all(|at| {
            let state = cloud.machines()[at].state;
            let moves = matches!(state, ResourceState::Pending | ResourceState::Deleting);
            !moves && !self.can_run(moment, cloud, at) && !self.is_out_of_reach(moment, at)
        })
    }

    /// Says whether the cloud has exactly what the engine believes and people want.
    pub(crate) fn is_as_wanted(&self, moment: &Moment) -> bool {
        let state = self.control(moment).state();
        let cloud = self.cloud(moment);
        let alive = cloud.machines().iter().filter(|machine| machine.is_alive());
        let alive: SmallVec<[_; 16]> = alive.collect();
        if alive.len() != state.instances.len() {
            return false;
        }
        let known = alive.iter().all(|machine| {
            let instance = state.instances.get(&machine.instance);
            machine.state == ResourceState::Running
                && instance.is_some_and(|instance| {
                    instance.resource.as_ref() == Some(&machine.resource()) && instance.serves()
                })
        });
        let released = !state.teardown() || cloud.networks().next().is_none();
        known && released && self.is_as_asked(moment)
    }

    /// Says whether each node has as many machines as people asked for.
    pub(crate) fn is_as_asked(&self, moment: &Moment) -> bool {
        let machines = self.cloud(moment).machines();
        let alive = |node: usize| {
            let alive = machines.iter().filter(|machine| machine.is_alive());
            alive.filter(|one| usize::from(one.node) == node).count()
        };
        self.asked.are(usize::from(moment.script), alive)
    }

    /// Says whether everything that was asked for is done.
    pub(crate) fn is_done(&self, moment: &Moment) -> bool {
        self.facts(moment).is_converged && self.is_quiet(moment) && self.is_as_wanted(moment)
    }

    pub(crate) fn may_fail(&self, moment: &Moment, place: u16, fault: Fault) -> bool {
        let setting = &self.parts.setting;
        moment.faults < setting.allowance.faults
            && setting.faults.contains(fault)
            && self
                .faults
                .get(usize::from(place))
                .is_none_or(|faults| faults.contains(fault))
    }

    fn may_delay(&self, moment: &Moment) -> bool {
        moment.delays < self.parts.setting.allowance.delays
    }

    fn call_actions(&self, moment: &Moment, call: u8, facts: CallFacts, actions: &mut Vec<Action>) {
        if facts.is_answered {
            actions.push(Action::Arrive { call });
            return;
        }
        let mut add = |outcome| actions.push(Action::Call { call, outcome });
        add(Outcome::Served);
        if self.may_delay(moment) && facts.kind.changes() {
            add(Outcome::Postponed);
        }
        let lags = || self.cloud(moment).may_lag(facts.place);
        for fault in self.parts.setting.faults.iter() {
            let applies = match fault {
                Fault::Throttled | Fault::ServerError => true,
                Fault::Capacity => facts.kind == Kind::Create,
                Fault::TimeoutAfterEffect | Fault::TimeoutLateEffect => facts.kind.changes(),
                Fault::StaleList => facts.kind == Kind::Observe && lags(),
                Fault::FalseAlarm => facts.kind == Kind::Probe,
                _ => false,
            };
            if applies && self.may_fail(moment, facts.place, fault) {
                add(Outcome::Faulty(fault));
            }
        }
        if self.may_fail(moment, u16::MAX, Fault::EngineCrash) {
            if facts.kind.changes() {
                add(Outcome::DiesBefore);
            }
            for sent in 0..self.sent_after(moment, call, facts) {
                add(Outcome::DiesAfter(sent));
            }
        }
    }

    fn machine_actions(&self, moment: &Moment, at: usize, actions: &mut Vec<Action>) {
        let cloud = self.cloud(moment);
        let place = cloud.machines()[at].place;
        let Ok(machine) = u8::try_from(at) else {
            return;
        };
        for change in cloud.changes(at) {
            let action = Action::Machine { machine, change };
            match action.fault() {
                Some(fault) if !self.may_fail(moment, place, fault) => {}
                _ => actions.push(action),
            }
        }
        if self.can_run(moment, cloud, at) {
            actions.push(Action::Run { machine });
            if self.may_fail(moment, place, Fault::AgentDies) {
                actions.push(Action::AgentDies { machine });
            }
        }
        self.network_actions(moment, at, actions);
    }

    /// Says whether an abandoned creation can make a second machine: its token
    /// has made one already, and the cloud may not look for it.
    fn may_take_effect_again(&self, moment: &Moment, call: u8) -> bool {
        let facts = self.facts(moment).abandoned[usize::from(call)];
        if facts.kind != Kind::Create
            || !self.may_fail(moment, facts.place, Fault::RepeatedCreation)
        {
            return false;
        }
        let call = &self.control(moment).abandoned[usize::from(call)];
        let zenekar_engine::Operation::Create { token, .. } = &call.operation else {
            return false;
        };
        let mut machines = self.cloud(moment).machines().iter();
        machines.any(|machine| machine.place == facts.place && machine.token == *token)
    }

    /// Says whether time may pass although things are on their way.
    fn may_tick(&self, moment: &Moment) -> bool {
        let facts = self.facts(moment);
        let Some(deadline) = facts.deadline else {
            return false;
        };
        let patience = self.parts.setting.allowance.patience.0;
        self.calm_until(moment, deadline) <= patience
            && deadline <= facts.due
            && (self.may_delay(moment) || self.is_quiet(moment))
    }

    /// Returns how long it has been calm when a time has come, in ms.
    pub(crate) fn calm_until(&self, moment: &Moment, time: Timestamp) -> u64 {
        let ahead = time.since(self.facts(moment).now);
        moment.calm_ms.saturating_add(ahead.0)
    }

    /// Says whether people may ask for the next thing now.
    fn may_demand(&self, moment: &Moment) -> bool {
        let next = self.parts.setting.script.get(usize::from(moment.script));
        next.is_some_and(|step| !step.waits || self.is_done(moment))
    }

    /// Says whether it all ends here: nothing is left to do and all is well.
    pub(crate) fn is_end(&self, moment: &Moment) -> bool {
        usize::from(moment.script) == self.parts.setting.script.len() && self.is_done(moment)
    }

    /// Returns what a state is remembered by where states are told apart that
    /// differ only in which instance is which.
    pub fn exact_fingerprint(&self, moment: &Moment) -> Fingerprint128 {
        self.fingerprint_of(moment, None)
    }

    fn fingerprint_of(&self, moment: &Moment, likeness: Option<Fingerprint128>) -> Fingerprint128 {
        let mut bytes: SmallVec<[u8; 128]> = SmallVec::new();
        if let Some(likeness) = likeness {
            bytes.extend_from_slice(&likeness.0.to_le_bytes());
        } else {
            let control = self.parts.controls.fingerprint(moment.control);
            let cloud = self.parts.clouds.fingerprint(moment.cloud);
            bytes.extend_from_slice(&control.0.to_le_bytes());
            bytes.extend_from_slice(&cloud.0.to_le_bytes());
        }
        bytes.extend_from_slice(&moment.calm_ms.to_le_bytes());
        let breach = moment.breach.map_or(u8::MAX, |breach| breach as u8);
        let uneventful = u8::from(moment.is_uneventful);
        bytes.extend_from_slice(&[moment.script, moment.faults, moment.delays, breach]);
        bytes.push(uneventful);
        // A likeness says how far they are already.
        for agent in moment.agents.iter().filter(|_| likeness.is_none()) {
            bytes.extend_from_slice(&agent.bytes());
        }
        for state in &moment.memory {
            bytes.extend_from_slice(&state.bytes());
        }
        Fingerprint128::of(&bytes[..])
    }
}

impl Model for World {
    type State = Moment;
    type Action = Action;

    fn initial(&self) -> Vec<Moment> {
        let engine = Engine::new(Setting::infrastructure(), self.parts.limits.engine.clone());
        let mut first = Moment {
            control: self.parts.begin(engine),
            cloud: self
                .parts
                .clouds
                .intern(CloudPart::new(UntimedCloud::default())),
            calm_ms: 0,
            script: 0,
            faults: 0,
            delays: 0,
            is_uneventful: false,
            pause: None,
            breach: None,
            agents: SmallVec::new(),
            memory: self.fresh_memory(),
        };
        self.watch(&mut first, 0);
        vec![first]
    }

    fn actions(&self, moment: &Moment, actions: &mut Vec<Action>) {
        if moment.breach.is_some() {
            return;
        }
        if moment.pause.is_some() {
            actions.push(Action::Tick);
            return;
        }
        let facts = self.facts(moment);
        for (call, known) in (0..).zip(&facts.calls) {
            self.call_actions(moment, call, *known, actions);
        }
        for call in (0..).take(facts.abandoned.len()) {
            actions.push(Action::LateEffect { call });
            actions.push(Action::NoEffect { call });
            if self.may_take_effect_again(moment, call) {
                actions.push(Action::EffectAgain { call });
            }
        }
        for at in 0..self.cloud(moment).machines().len() {
            self.machine_actions(moment, at, actions);
        }
        if self.may_demand(moment) {
            actions.push(Action::Demand);
        }
        if moment.script > 0 && self.may_fail(moment, u16::MAX, Fault::EngineCrash) {
            actions.push(Action::Crash);
        }
        // Where all is done, people ask at once: waiting would only repeat itself.
        if !self.is_done(moment) && self.may_tick(moment) {
            actions.push(Action::Tick);
        }
    }

    fn apply(&self, moment: &Moment, action: &Action) -> Option<Moment> {
        Some(self.next(moment, *action))
    }

    fn fingerprint(&self, moment: &Moment) -> Fingerprint128 {
        self.fingerprint_of(moment, self.likeness(moment))
    }

    fn are_independent(&self, moment: &Moment, one: &Action, other: &Action) -> bool {
        self.commute(moment, *one, *other)
    }

    fn ample(&self, moment: &Moment, actions: &[Action]) -> Option<Vec<usize>> {
        if !self.reduces {
            return None;
        }
        self.first_alone(moment, actions).map(|place| vec![place])
    }

    fn violation(&self, moment: &Moment) -> Option<u32> {
        moment.breach.map(Breach::number)
    }

    fn is_accepting(&self, moment: &Moment) -> bool {
        self.is_end(moment)
    }

    fn score(&self, moment: &Moment) -> u64 {
        self.trouble(moment)
    }

    fn actor(&self, action: &Action) -> u32 {
        Self::actor_of(*action)
    }
}

fn topologies(setting: &Setting) -> Vec<&Topology> {
    let updates = setting.script.iter().filter_map(|step| match &step.demand {
        Demand::Update(topology) => Some(&**topology),
        _ => None,
    });
    std::iter::once(&*setting.topology).chain(updates).collect()
}

/// Replaces names in behaviours by places.
fn roles(setting: &Setting, nodes: &[String], health: &BTreeMap<String, Health>) -> Vec<Role> {
    let segments_of = |name: &str| setting.behaviours.segments_of(name);
    let node_of = |name: &str| {
        let at = nodes.iter().position(|node| node == name)?;
        Some((u16::try_from(at).ok()?, segments_of(name).to_vec()))
    };
    let mut objects: Vec<String> = Vec::new();
    let mut object_of = |name: &str| {
        let at = objects.iter().position(|object| object == name);
        let at = at.unwrap_or_else(|| {
            objects.push(name.to_owned());
            objects.len() - 1
        });
        1_u16 << at.min(OBJECTS_MAX - 1)
    };
    let roles = nodes.iter().map(|name| {
        let segments = segments_of(name);
        let compiled = segments.iter().enumerate();
        let compiled = compiled.map(|(at, segment)| compile(segment, at, &node_of, &mut object_of));
        let behaviour = setting.behaviours.nodes.get(name);
        Role {
            segments: compiled.collect(),
            healthy: match behaviour {
                Some(behaviour) => ready_of(behaviour),
                None => health_of(segments, health.get(name)),
            },
            is_checked: health.get(name).is_none_or(looks_at_anything),
            is_given_secrets: behaviour.is_some_and(|one| !one.foreign_secrets.is_empty()),
        }
    });
    let mut roles: Vec<Role> = roles.collect();
    // Properties may name each of them.
    if setting.properties.properties.is_empty() {
        fuse(&mut roles);
    }
    roles
}

/// Says whether checks look at anything that the network could keep from them.
fn looks_at_anything(health: &Health) -> bool {
    health.ping
        || !health.ports.is_empty()
        || !health.urls.is_empty()
        || !health.mysql_databases.is_empty()
}

/// Returns how many segments have to be done until an instance has all that its checks look at.
fn ready_of(behaviour: &Behaviour) -> Option<u8> {
    let contacts = behaviour.ready.iter().map(|give| match give {
        Give::Port(port) => Contact::Port(*port),
        Give::Name(name) => Contact::Name(name.clone()),
    });
    contacts
        .map(|contact| done_for(&behaviour.segments, &contact))
        .try_fold(0, |most, done| Some(done?.max(most)))
}

/// Returns how many segments have to be done before an instance's checks pass.
fn health_of(segments: &[Segment], health: Option<&Health>) -> Option<u8> {
    let Some(health) = health else { return Some(0) };
    let mut needed = Some(0);
    let mut need = |done: Option<u8>| needed = needed.zip(done).map(|(one, two)| one.max(two));
    for port in &health.ports {
        need(done_for(segments, &Contact::Port(*port)));
    }
    if !health.urls.is_empty() || !health.mysql_databases.is_empty() {
        need(done_for(segments, &Contact::Finished));
    }
    needed
}
