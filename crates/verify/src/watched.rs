//! Properties that users state, followed along runs.

use smallvec::SmallVec;
use zenekar_base::ResourceState;
use zenekar_engine::Phase;
use zenekar_model::behaviour::{Behaviours, Contact};
use zenekar_property::{
    Datum, Monitor, MonitorState, NameRef, NodeRef, Property, PropertySet, Valuation, Verdict,
};

use crate::agent::done_for;
use crate::breach::Breach;
use crate::moment::Moment;
use crate::world::World;

/// What monitors remember, one after the other.
pub(crate) type Memory = SmallVec<[MonitorState; 1]>;

/// Properties that are followed.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    monitors: Vec<Monitor>,
    names: Vec<String>,
    /// The place of each node that a property names in the world's table.
    nodes: Vec<Option<u16>>,
    /// Of each of those nodes, how many segments have to be done until an
    /// instance has reported a name.
    reported: Vec<Vec<Option<u8>>>,
}

impl Watched {
    /// Prepares the properties of a setting for a world with these nodes.
    pub(crate) fn new(set: &PropertySet, behaviours: &Behaviours, nodes: &[String]) -> Self {
        let place = |name: &String| {
            let place = nodes.iter().position(|known| known == name)?;
            u16::try_from(place).ok()
        };
        let reported = |node: &String| {
            let segments = behaviours.segments_of(node);
            let needed = |name: &String| {
                let is_known = is_reported(behaviours, node, name);
                let contact = contact_of(name);
                is_known.then(|| done_for(segments, &contact)).flatten()
            };
            set.names().iter().map(needed).collect()
        };
        let properties = &set.properties;
        Self {
            monitors: properties.iter().map(Property::compile).collect(),
            names: properties.iter().map(|one| one.name.clone()).collect(),
            nodes: set.nodes().iter().map(place).collect(),
            reported: set.nodes().iter().map(reported).collect(),
        }
    }

    /// Says whether there is nothing to follow.
    pub(crate) fn is_empty(&self) -> bool {
        self.monitors.is_empty()
    }
}

/// Says whether instances of a node are known to report a name, or to open a
/// port of that number.
pub fn is_reported(behaviours: &Behaviours, node: &str, name: &str) -> bool {
    let contact = contact_of(name);
    let mut segments = behaviours.segments_of(node).iter();
    segments.any(|segment| segment.gives.iter().any(|give| give.fulfils(&contact)))
}

/// What it means that an instance has reported a name: that it gave it. A
/// number is a port.
fn contact_of(name: &str) -> Contact {
    match name.parse() {
        Ok(port) => Contact::Port(port),
        Err(_) => Contact::Name(name.to_owned()),
    }
}

/// A state as properties see it.
struct View<'a> {
    world: &'a World,
    moment: &'a Moment,
}

impl View<'_> {
    fn place(&self, node: NodeRef) -> Option<u16> {
        *self.world.watched.nodes.get(node.index())?
    }

    /// Returns the places of the machines of a node that exist.
    fn machines(&self, node: NodeRef) -> impl Iterator<Item = usize> {
        let place = self.place(node);
        let machines = self.world.cloud(self.moment).machines().iter().enumerate();
        machines
            .filter(move |(_, machine)| {
                Some(machine.node) == place
                    && matches!(
                        machine.state,
                        ResourceState::Pending | ResourceState::Running
                    )
            })
            .map(|(at, _)| at)
    }

    /// Counts the instances of a node of which the engine believes something.
    fn believed(&self, node: NodeRef, holds: impl Fn(&zenekar_engine::Instance) -> bool) -> u32 {
        let state = self.world.control(self.moment).state();
        let Some(name) = self.world.watched_name(node) else {
            return 0;
        };
        let of_node = state
            .instances
            .values()
            .filter(|instance| state.node(instance.node).name == name && holds(instance));
        u32::try_from(of_node.count()).unwrap_or(u32::MAX)
    }
}

impl Valuation for View<'_> {
    fn count(&self, node: NodeRef) -> u32 {
        u32::try_from(self.machines(node).count()).unwrap_or(u32::MAX)
    }

    fn ready(&self, node: NodeRef) -> u32 {
        self.believed(node, |instance| instance.phase == Phase::Ready)
    }

    fn serving(&self, node: NodeRef) -> u32 {
        self.believed(node, zenekar_engine::Instance::serves)
    }

    fn finished(&self, node: NodeRef) -> u32 {
        let finished = self.machines(node).filter(|at| {
            let machine = &self.world.cloud(self.moment).machines()[*at];
            let agent = self.moment.agents[*at];
            let all = self.world.roles[usize::from(machine.node)].segments.len();
            machine.state == ResourceState::Running && usize::from(agent.done) >= all
        });
        u32::try_from(finished.count()).unwrap_or(u32::MAX)
    }

    fn breakpoint(&self, node: NodeRef, instance: u32) -> u32 {
        let at = self.machines(node).nth(instance as usize);
        at.map_or(0, |at| u32::from(self.moment.agents[at].done))
    }

    fn value(&self, node: NodeRef, instance: u32, name: NameRef) -> Option<Datum<'_>> {
        let at = self.machines(node).nth(instance as usize)?;
        let reported = self.world.watched.reported.get(node.index())?;
        let needed = (*reported.get(name.index())?)?;
        (self.moment.agents[at].done >= needed).then_some(Datum::Truth(true))
    }
}

impl World {
    fn watched_name(&self, node: NodeRef) -> Option<&str> {
        let place = *self.watched.nodes.get(node.index())?;
        let name = self.parts.nodes.get(usize::from(place?))?;
        Some(name)
    }

    /// Returns what monitors remember before the first state.
    pub(crate) fn fresh_memory(&self) -> Memory {
        self.watched.monitors.iter().map(Monitor::initial).collect()
    }

    /// Lets the monitors see a state.
    pub(crate) fn watch(&self, next: &mut Moment, elapsed_ms: u64) {
        let mut memory = std::mem::take(&mut next.memory);
        let is_end = self.is_end(next);
        let view = View {
            world: self,
            moment: next,
        };
        let mut is_violated = false;
        for (monitor, state) in self.watched.monitors.iter().zip(&mut memory) {
            let (after, _) = monitor.step(*state, &view, elapsed_ms);
            *state = after;
            is_violated |= monitor.at_end(after, is_end) == Verdict::Violated;
        }
        next.memory = memory;
        if is_violated {
            next.breach.get_or_insert(Breach::Stated);
        }
    }

    /// Returns the name of the stated property that does not hold in a state.
    pub(crate) fn stated(&self, moment: &Moment) -> Option<&str> {
        let is_end = self.is_end(moment);
        let monitors = self.watched.monitors.iter().zip(&moment.memory);
        let mut all = monitors.zip(&self.watched.names);
        let violated =
            all.find(|((monitor, state), _)| monitor.at_end(**state, is_end) == Verdict::Violated);
        violated.map(|(_, name)| name.as_str())
    }

    /// Returns the name of the property that does not hold in a state, those
    /// that users state included.
    pub fn broken(&self, moment: &Moment) -> Option<&str> {
        match moment.breach? {
            Breach::Stated => self.stated(moment),
            breach => Some(breach.name()),
        }
    }
}
