//! What a run is made of for those who let it happen on real nodes: which
//! instance does which segment after which, and what nobody can make happen there.

use zenekar_simcloud::Change;

use crate::action::{Action, Outcome};
use crate::moment::Moment;
use crate::trace::{Run, Verdict};
use crate::world::World;

/// How much of its segment an instance does in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// It begins, and others can tell.
    Begins,
    /// It ends.
    Ends,
    /// It begins and fails.
    Fails,
}

/// A step of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stride {
    /// The step of the run, from 1.
    pub step: u32,
    /// The node.
    pub node: String,
    /// Which of its instances, from 1.
    pub number: u32,
    /// The place of the segment in the behaviour of the node.
    pub segment: usize,
    /// How much of it.
    pub part: Part,
}

/// A run as it can be asked of real nodes, as far as the step of its verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Itinerary {
    /// The steps of instances, in their order.
    pub strides: Vec<Stride>,
    /// The steps that cannot be asked of anybody, with what happens in them.
    pub obstacles: Vec<(u32, String)>,
}

/// Returns who does what in a run.
pub fn itinerary(world: &World, run: &Run) -> Itinerary {
    let moments = world.moments(&run.actions);
    let last = match &run.verdict {
        Verdict::Violated { step, .. } => *step as usize,
        Verdict::Passed | Verdict::Open => run.actions.len(),
    };
    let mut found = Itinerary::default();
    for (at, action) in run.actions.iter().enumerate().take(last) {
        let step = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let (before, after) = (&moments[at], &moments[at + 1]);
        let stride = match action {
            Action::Run { machine } => world.stride(before, after, step, usize::from(*machine)),
            action if is_usual(*action, before) => continue,
            _ => None,
        };
        match stride {
            Some(stride) => found.strides.push(stride),
            None => found.obstacles.push((step, run.choices[at].label.clone())),
        }
    }
    found
}

/// Says whether something happens by itself wherever an infrastructure comes up.
fn is_usual(action: Action, before: &Moment) -> bool {
    match action {
        Action::Call { outcome, .. } => outcome == Outcome::Served,
        Action::Machine { change, .. } => matches!(change, Change::Boots | Change::IsDeleted),
        Action::Arrive { .. } | Action::Tick => true,
        // The first thing that people ask for is that it comes up.
        Action::Demand => before.script == 0,
        _ => false,
    }
}

impl World {
    /// Returns what an instance does; none if it is not the only one of its kind.
    fn stride(&self, before: &Moment, after: &Moment, step: u32, at: usize) -> Option<Stride> {
        let machine = self.cloud(before).machines().get(at)?;
        let state = self.control(before).state();
        let instance = state.instances.get(&machine.instance)?;
        let agent = before.agents.get(at)?;
        let segments = &self.roles[usize::from(machine.node)].segments;
        let segment = segments.get(usize::from(agent.done))?;
        let later = after.agents.get(at)?;
        let part = match (agent.is_within, later.has_failed, later.is_within) {
            (_, true, _) => Part::Fails,
            (true, _, _) => Part::Ends,
            (false, _, true) => Part::Begins,
            (false, _, false) => Part::Whole,
        };
        (machine.number == 0).then(|| Stride {
            step,
            node: state.node(instance.node).name.clone(),
            number: instance.ordinal,
            segment: usize::from(segment.place),
            part,
        })
    }
}
