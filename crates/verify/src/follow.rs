//! What was seen of real nodes, told as a run of the model: who came and did
//! what, in its order, and in between whatever the engine does by itself.

use std::collections::BTreeSet;

use zenekar_search::Fingerprint128;
use zenekar_simcloud::Change;

use crate::action::{Action, Outcome};
use crate::breach::Breach;
use crate::trace::{Choice, Recorder, Run, Verdict, label, promises};
use crate::world::World;

/// Steps of the engine and its clouds between two sightings at most: it makes a
/// few calls for each instance, and looks every few seconds for minutes.
const STEPS_BETWEEN_MAX: usize = 5_000;

/// Something that was seen of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When, in ms since the run began.
    pub at_ms: u64,
    /// The node.
    pub node: String,
    /// Which of its instances, from 1.
    pub number: u32,
    /// What.
    pub what: Seen,
}

/// What an instance was seen to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It began with its contextualisation.
    Came,
    /// It has done a segment, by its place in the behaviour of its node.
    Did(usize),
    /// It has failed in a segment.
    Failed(usize),
    /// It did not come to the end of what it does next.
    Stuck,
}

/// Real nodes, followed in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The run, with the verdict that is right for the real nodes. Where the model
    /// does not allow what was seen, that is its last step.
    pub run: Run,
    /// Where the model differs from what was seen: the step, and how.
    pub gap: Option<(u32, String)>,
}

/// Follows real nodes as far as the model allows. Instances of the nodes in
/// `free` were not seen, and may do what they like. `broken` is a property that
/// was violated by what the nodes have reported.
pub fn follow(
    world: &World,
    sightings: &[Sighting],
    free: &BTreeSet<String>,
    broken: Option<&str>,
) -> Followed {
    let mut follower = Follower {
        world,
        recorder: Recorder::new(world, &mut promises),
        free,
        at_ms: 0,
        has_failed: false,
    };
    let mut gap = None;
    for sighting in sightings {
        follower.at_ms = sighting.at_ms;
        gap = follower.see(sighting);
        if gap.is_some() || follower.recorder.is_violated() {
            break;
        }
    }
    let is_stuck = sightings.iter().any(|one| one.what == Seen::Stuck);
    follower.finish(gap, is_stuck, broken)
}

/// What the model does not allow.
enum Gap {
    /// This cannot happen.
    NotPossible(String),
    /// It can, and something else comes of it: this is what was seen.
    Other(String, Verdict),
}

struct Follower<'w> {
    world: &'w World,
    recorder: Recorder<'w>,
    free: &'w BTreeSet<String>,
    at_ms: u64,
    /// Whether what fails in the model was seen to fail.
    has_failed: bool,
}

impl Follower<'_> {
    fn see(&mut self, sighting: &Sighting) -> Option<Gap> {
        match sighting.what {
            Seen::Came => self.come(sighting),
            Seen::Did(segment) => self.work(sighting, segment, true),
            Seen::Failed(segment) => self.work(sighting, segment, false),
            // Who waits does nothing; what comes of it shows in the end.
            Seen::Stuck => None,
        }
    }

    /// Lets the engine make an instance, and its machine boot.
    fn come(&mut self, sighting: &Sighting) -> Option<Gap> {
        for _ in 0..STEPS_BETWEEN_MAX {
            if let Some(machine) = self.machine_of(sighting) {
                let change = Change::Boots;
                if self.take(Action::Machine { machine, change }) {
                    return None;
                }
            }
            if !self.go_on() {
                break;
            }
        }
        let (node, number) = (&sighting.node, sighting.number);
        Some(Gap::NotPossible(format!("{node}/{number} boots")))
    }

    /// Lets an instance do its segments up to one.
    fn work(&mut self, sighting: &Sighting, segment: usize, is_well: bool) -> Option<Gap> {
        let name = format!("{}/{}", sighting.node, sighting.number);
        let Some(machine) = self.machine_of(sighting) else {
            return Some(Gap::NotPossible(format!("{name} goes on")));
        };
        let at = usize::from(machine);
        while self.next_segment(at).is_some_and(|next| next <= segment) {
            let action = Action::Run { machine };
            let label = self.world.describe(&self.recorder.moment, &action);
            if !self.take(action) {
                return Some(Gap::NotPossible(label));
            }
            if self.recorder.moment.agents[at].has_failed {
                self.has_failed = !is_well;
                let verdict = Verdict::Open;
                let text = format!("{name} does not fail");
                return is_well.then_some(Gap::Other(text, verdict));
            }
            if self.recorder.is_violated() {
                return None;
            }
        }
        if is_well || !self.needs_something(sighting, segment) {
            return None;
        }
        let verdict = Verdict::Violated {
            property: Breach::Contact.name().to_owned(),
            step: self.recorder.steps(),
        };
        Some(Gap::Other(format!("{name} fails"), verdict))
    }

    /// Says whether the model knows why a segment could fail.
    fn needs_something(&self, sighting: &Sighting, segment: usize) -> bool {
        let behaviours = &self.world.setting().behaviours;
        let segment = behaviours.segments_of(&sighting.node).get(segment);
        segment.is_some_and(|segment| !segment.needs.is_empty())
    }

    /// Returns the place of the segment that is next in the behaviour of an instance.
    fn next_segment(&self, at: usize) -> Option<usize> {
        let moment = &self.recorder.moment;
        let node = self.world.cloud(moment).machines().get(at)?.node;
        let done = usize::from(moment.agents.get(at)?.done);
        let segments = &self.world.roles[usize::from(node)].segments;
        segments.get(done).map(|next| usize::from(next.place))
    }

    fn machine_of(&self, sighting: &Sighting) -> Option<u8> {
        let moment = &self.recorder.moment;
        let name = format!("{}/{}", sighting.node, sighting.number);
        let machines = 0..u8::try_from(self.world.cloud(moment).machines().len()).ok()?;
        let mut machines = machines;
        machines.find(|machine| self.world.machine_name(moment, *machine) == name)
    }

    /// Lets the engine, its clouds and those that were not seen do one thing; says
    /// whether there was any.
    fn go_on(&mut self) -> bool {
        let possible = self.recorder.possible();
        let moment = &self.recorder.moment;
        let is_free = |machine: u8| {
            let machine = &self.world.cloud(moment).machines()[usize::from(machine)];
            let node = &self.world.parts.nodes[usize::from(machine.node)];
            self.free.contains(node)
        };
        let by_itself = |action: &&Action| match **action {
            Action::Call { outcome, .. } => outcome == Outcome::Served,
            Action::Arrive { .. } | Action::Demand => true,
            Action::Machine { machine, change } => change == Change::Boots && is_free(machine),
            Action::Run { machine } => is_free(machine),
            _ => false,
        };
        let next = possible.iter().find(by_itself);
        let next = next.or_else(|| possible.iter().find(|action| **action == Action::Tick));
        next.copied().is_some_and(|next| self.take(next))
    }

    /// Lets something happen, if it is possible.
    fn take(&mut self, action: Action) -> bool {
        let possible = self.recorder.possible();
        let Some(pick) = possible.iter().position(|one| *one == action) else {
            return false;
        };
        let label = label(self.world, &self.recorder.moment, &possible, pick);
        self.recorder.take(&possible, pick, label, &mut promises);
        self.recorder.set_time(self.at_ms);
        true
    }

    /// Ends the run: as the model has it, or as it was seen where that differs.
    fn finish(mut self, gap: Option<Gap>, is_stuck: bool, broken: Option<&str>) -> Followed {
        if gap.is_none() {
            for _ in 0..STEPS_BETWEEN_MAX {
                if self.recorder.is_violated() || !self.go_on() {
                    break;
                }
            }
        }
        let (at_ms, was_seen) = (self.at_ms, self.has_failed);
        let mut run = self.recorder.finish();
        let steps = u32::try_from(run.choices.len()).unwrap_or(u32::MAX);
        let violated = |property: &str| Verdict::Violated {
            property: property.to_owned(),
            step: steps,
        };
        let (verdict, text) = match gap {
            Some(Gap::NotPossible(label)) => {
                run.choices.push(Choice {
                    label: label.clone(),
                    pick: 0,
                    // Nobody counts beyond what is possible.
                    of: 1,
                    at_ms,
                    state: Fingerprint128(0),
                });
                run.verdict = Verdict::Open;
                let text = format!("{label}, which is not possible");
                return Followed {
                    run,
                    gap: Some((steps + 1, text)),
                };
            }
            Some(Gap::Other(text, verdict)) => (verdict, text),
            None => match (broken, is_stuck, run.verdict.property()) {
                (Some(broken), _, None) => (violated(broken), format!("`{broken}` is violated")),
                (None, true, None) => {
                    let name = Breach::NeverReady.name();
                    (violated(name), "somebody does not come".to_owned())
                }
                // No status tells that an update is lost: the order does.
                (None, false, Some(known)) if !was_seen && known != Breach::LostUpdate.name() => {
                    (Verdict::Open, format!("`{known}` holds"))
                }
                _ => return Followed { run, gap: None },
            },
        };
        run.verdict = verdict;
        Followed {
            run,
            gap: Some((steps, text)),
        }
    }
}
