//! Where real nodes do what the model of them does not allow.

use std::collections::BTreeMap;

use zenekar_live::{GlobalState, ProcessName};
use zenekar_model::behaviour::{Behaviours, Contact, Give, Need, Quantifier, Segment};

/// The model of the nodes, next to what they do.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    behaviours: Behaviours,
    /// How many commands of each steered node have run at each of its breakpoints.
    points: BTreeMap<String, Vec<usize>>,
}

impl Model {
    pub(crate) fn new(behaviours: Behaviours, points: BTreeMap<String, Vec<usize>>) -> Self {
        Self { behaviours, points }
    }

    /// Returns how many breakpoints a node has, if that is known.
    pub(crate) fn breakpoints_of(&self, node: &str) -> Option<u32> {
        u32::try_from(self.points.get(node)?.len()).ok()
    }

    /// Returns the segments that a process runs behind a breakpoint, by its
    /// number; none if that is not known.
    pub(crate) fn run_behind(&self, node: &str, number: u32) -> Option<&[Segment]> {
        let done = self.done_at(node, number)?;
        let then = self.done_at(node, number + 1)?;
        self.behaviours.segments_of(node).get(done..then)
    }

    /// Returns how many steps an instance takes until it is ready; none if that
    /// is not known, or never.
    pub(crate) fn steps_until_ready(&self, node: &str) -> Option<u32> {
        let behaviour = self.behaviours.nodes.get(node)?;
        let mut needed = behaviour.ready.iter().map(|give| {
            let contact = match give {
                Give::Port(port) => Contact::Port(*port),
                Give::Name(name) => Contact::Name(name.clone()),
            };
            done_for(&behaviour.segments, &contact)
        });
        let needed = needed.try_fold(0, |most, done| Some(done?.max(most)))?;
        let last = u32::try_from(self.points.get(node)?.len()).ok()?;
        (1..=last)
            .find(|number| {
                self.done_at(node, *number)
                    .is_some_and(|done| done >= needed)
            })
            .map(|number| number - 1)
    }

    /// Returns how many segments an instance has done at a breakpoint, by its
    /// number from 1; none if that is not known.
    pub(crate) fn done_at(&self, node: &str, number: u32) -> Option<usize> {
        let (segments, points) = (self.behaviours.segments_of(node), self.points.get(node)?);
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        let commands = *points.get(at)?;
        if at + 1 == points.len() {
            return Some(segments.len());
        }
        let (last, others) = segments.split_last()?;
        if others.iter().all(|segment| segment.commands.is_some()) {
            let is_done = |segment: &&Segment| {
                let needed = segment.commands.and_then(|done| usize::try_from(done).ok());
                needed.is_some_and(|needed| needed <= commands)
            };
            let done = others.iter().chain([last]).take_while(is_done).count();
            return Some(done);
        }
        // Each lies between two breakpoints.
        (points.len() == segments.len() + 1).then_some(at)
    }

    /// Returns the segment that a process runs from where it is in a state, if it
    /// is one.
    fn next(&self, before: &GlobalState, process: &ProcessName) -> Option<&Segment> {
        let number = number_of(before, process)?;
        let done = self.done_at(&process.node, number)?;
        let then = self.done_at(&process.node, number + 1)?;
        let segment = self.behaviours.segments_of(&process.node).get(done)?;
        (then == done + 1).then_some(segment)
    }

    /// Returns a need that a segment has and that nobody gives in a state; none
    /// also where that is not known.
    fn missing<'s>(
        &self,
        before: &GlobalState,
        process: &ProcessName,
        segment: &'s Segment,
    ) -> Option<&'s Need> {
        segment
            .needs
            .iter()
            .find(|need| self.is_given(before, process, need) == Some(false))
    }

    /// Says whether a need is fulfilled in a state; none if that is not known.
    fn is_given(&self, state: &GlobalState, process: &ProcessName, need: &Need) -> Option<bool> {
        if need.what == Contact::Address {
            return Some(true);
        }
        let segments = self.behaviours.segments_of(&need.node);
        let numbers = state.breakpoints.0.get(&need.node)?;
        let others = numbers
            .iter()
            .zip(1..)
            .filter(|(_, number)| need.node != process.node || *number != process.number);
        let needed = done_for(segments, &need.what);
        // One that is not there yet has nothing.
        let gives = |number: u32| match number {
            0 => Some(false),
            number => {
                let done = self.done_at(&need.node, number)?;
                Some(needed.is_some_and(|needed| done >= needed))
            }
        };
        let has: Option<Vec<bool>> = others.map(|(number, _)| gives(*number)).collect();
        let mut has = has?.into_iter();
        Some(match need.quantifier {
            Quantifier::One => has.any(|has| has),
            Quantifier::All => has.all(|has| has),
        })
    }

    /// Says how a step differs from what the model allows, if it does. `status` is
    /// the exit status of the last command of the step, if it was reported.
    pub(crate) fn of_step(
        &self,
        before: &GlobalState,
        process: &ProcessName,
        status: Option<&str>,
    ) -> Option<String> {
        let segment = self.next(before, process)?;
        let has_failed = status.is_some_and(|status| status != "0");
        let (label, at) = (&segment.label, &before.breakpoints);
        match self.missing(before, process, segment) {
            Some(_) if has_failed => None,
            Some(need) => Some(format!(
                "`{process}` got through `{label}` although `{need}` is not given at {at}"
            )),
            None if has_failed && !segment.needs.is_empty() => Some(format!(
                "`{process}` failed at `{label}` although all that it is known to need is given at {at}"
            )),
            None => None,
        }
    }

    /// Says how it differs from the model that a process did not get through.
    pub(crate) fn of_stuck(&self, before: &GlobalState, process: &ProcessName) -> Option<String> {
        let segment = self.next(before, process)?;
        if self.missing(before, process, segment).is_some() {
            return None;
        }
        Some(format!(
            "`{process}` did not get through `{}` although all that it is known to need is given at {}",
            segment.label, before.breakpoints
        ))
    }
}

/// Returns how many segments have to be done until an instance has something;
/// none if it never has. The same is assumed where the model is explored.
fn done_for(segments: &[Segment], contact: &Contact) -> Option<usize> {
    let gives = |segment: &Segment| segment.gives.iter().any(|give| give.fulfils(contact));
    match (contact, segments.iter().position(gives)) {
        (Contact::Address, _) => Some(0),
        (_, Some(at)) => Some(at + 1),
        // Nobody says when the port opens: at the end it is open.
        (Contact::Finished | Contact::Port(_), None) => Some(segments.len()),
        (Contact::Name(_), None) => None,
    }
}

fn number_of(state: &GlobalState, process: &ProcessName) -> Option<u32> {
    let numbers = state.breakpoints.0.get(&process.node)?;
    let index = process.number.checked_sub(1)?;
    numbers.get(index as usize).copied()
}

#[cfg(test)]
mod tests {
    use zenekar_live::CollectiveBreakpoint;
    use zenekar_model::behaviour::Behaviour;

    use super::*;

    fn behaviour(segments: Vec<Segment>) -> Behaviour {
        Behaviour {
            segments,
            ..Behaviour::default()
        }
    }

    fn model() -> Model {
        let serve = Segment {
            label: "serve".to_owned(),
            gives: vec![Give::Port(80)],
            ..Segment::default()
        };
        let ask = Segment {
            label: "ask".to_owned(),
            needs: vec![Need {
                node: "srv".to_owned(),
                what: Contact::Port(80),
                quantifier: Quantifier::One,
            }],
            ..Segment::default()
        };
        let nodes = [
            ("srv".to_owned(), behaviour(vec![serve])),
            ("cl".to_owned(), behaviour(vec![ask, Segment::default()])),
        ];
        let points = [
            ("srv".to_owned(), vec![0, 1]),
            ("cl".to_owned(), vec![0, 1, 2]),
        ];
        let nodes = nodes.into_iter().collect();
        Model::new(Behaviours { nodes }, points.into_iter().collect())
    }

    fn at(srv: u32, cl: u32) -> GlobalState {
        let numbers = [("srv".to_owned(), vec![srv]), ("cl".to_owned(), vec![cl])];
        GlobalState {
            breakpoints: CollectiveBreakpoint(numbers.into_iter().collect()),
            ..GlobalState::default()
        }
    }

    #[test]
    fn steps_that_the_model_does_not_have_are_told() {
        let (model, client) = (model(), ProcessName::new("cl", 1));
        let early = model
            .of_step(&at(1, 1), &client, Some("0"))
            .expect("it differs");
        assert!(early.contains("`srv:80` is not given"), "{early}");
        assert_eq!(model.of_step(&at(1, 1), &client, Some("7")), None);
        assert_eq!(model.of_step(&at(2, 1), &client, None), None);
        assert_eq!(model.of_step(&at(1, 2), &client, Some("1")), None);
        let late = model
            .of_step(&at(2, 1), &client, Some("7"))
            .expect("it differs");
        assert!(late.contains("failed at `ask`"), "{late}");
        assert_eq!(model.of_stuck(&at(1, 1), &client), None);
        assert!(model.of_stuck(&at(2, 1), &client).is_some());
    }

    #[test]
    fn ports_that_nobody_is_seen_to_open_are_open_at_the_end() {
        let plain = vec![Segment::default(), Segment::default()];
        assert_eq!(done_for(&plain, &Contact::Port(80)), Some(2));
        assert_eq!(done_for(&plain, &Contact::Finished), Some(2));
        assert_eq!(done_for(&plain, &Contact::Name("token".to_owned())), None);
        assert_eq!(done_for(&plain, &Contact::Address), Some(0));
    }

    #[test]
    fn what_is_not_known_is_no_gap() {
        let mut model = model();
        // With which command the first of two segments ends is not known.
        let mut segments = model.behaviours.segments_of("srv").to_vec();
        segments.push(Segment::default());
        model
            .behaviours
            .nodes
            .insert("srv".to_owned(), behaviour(segments));
        let more = vec![0, 1, 2, 3, 4];
        model.points.insert("srv".to_owned(), more);
        assert_eq!(
            model.of_step(&at(1, 1), &ProcessName::new("cl", 1), None),
            None
        );
        assert_eq!(
            model.of_step(&at(1, 1), &ProcessName::new("cl", 7), None),
            None
        );
        assert_eq!(
            model.of_step(&at(1, 1), &ProcessName::new("x", 1), None),
            None
        );
    }
}
