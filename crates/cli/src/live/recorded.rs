//! Runs that were explored, to be tried on real nodes: who is let go in which
//! order, what has to be seen then, and what real nodes cannot be made to do.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_live::ProcessName;
use zenekar_model::behaviour::Behaviours;
use zenekar_verify::{Itinerary, Part, Stride};

/// A run that was explored, and has happened again as it was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The property that does not hold in it, if there is one.
    pub(crate) property: Option<String>,
    /// Who does which segment after which.
    pub(crate) itinerary: Itinerary,
}

/// What real nodes are asked to do of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course {
    /// The processes in the order in which they are let go.
    pub(crate) schedule: Vec<ProcessName>,
    /// Who fails in the end, and the number of the breakpoint behind that.
    pub(crate) failure: Option<(ProcessName, u32)>,
    /// What cannot be done.
    pub(crate) obstacles: Vec<String>,
}

/// Returns the commands of nodes behind which segments end, by their places.
pub(crate) fn ends_of_segments(behaviours: &Behaviours) -> BTreeMap<String, BTreeSet<usize>> {
    let commands = |node: &str| {
        let segments = behaviours.segments_of(node).iter();
        let done = segments.filter_map(|segment| segment.commands);
        done.filter_map(|done| usize::try_from(done.checked_sub(1)?).ok())
            .collect()
    };
    let nodes = behaviours.nodes.keys();
    nodes.map(|node| (node.clone(), commands(node))).collect()
}

impl Recorded {
    /// Plans the run for real nodes. `points` has how many commands have run at
    /// each breakpoint of a node.
    pub(crate) fn course(
        &self,
        behaviours: &Behaviours,
        points: &BTreeMap<String, Vec<usize>>,
        processes: &[ProcessName],
    ) -> Course {
        let mut planner = Planner {
            behaviours,
            points,
            known: processes.iter().collect(),
            at: BTreeMap::new(),
            before: None,
            course: Course::default(),
        };
        for (step, label) in &self.itinerary.obstacles {
            let text = format!("step {step}: {label}");
            planner.course.obstacles.push(text);
        }
        for stride in &self.itinerary.strides {
            planner.take(stride);
        }
        planner.course
    }
}

/// Where a process is in the plan.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// How many of its breakpoints it has left behind.
    passed: usize,
    /// The stride of the run in which it was let go for the last time.
    stride: usize,
    /// Whether it is inside of a segment.
    is_within: bool,
}

/// Goes through the strides of a run.
struct Planner<'a> {
    behaviours: &'a Behaviours,
    points: &'a BTreeMap<String, Vec<usize>>,
    known: BTreeSet<&'a ProcessName>,
    at: BTreeMap<ProcessName, Place>,
    /// The last stride, and how many there were of others before it.
    before: Option<(ProcessName, usize)>,
    course: Course,
}

impl Planner<'_> {
    fn take(&mut self, stride: &Stride) {
        let process = ProcessName::new(stride.node.clone(), stride.number);
        let Some(target) = self.target(&process, stride) else {
            let text = format!("`{process}` is not steered, or nobody sees where it is");
            self.hinder(text);
            return;
        };
        if stride.part != Part::Fails && self.may_wait(stride) {
            return;
        }
        // Strides of one process after another count as one: nobody came between.
        let number = match &self.before {
            Some((before, number)) if *before == process => *number,
            Some((_, number)) => number + 1,
            None => 1,
        };
        self.before = Some((process.clone(), number));
        let mut place = self.at.get(&process).copied().unwrap_or_default();
        let is_interrupted = place.stride != number;
        if place.is_within && is_interrupted {
            self.hinder(format!(
                "`{process}` is inside of `{}` while others go on, and is only held between commands",
                self.label(stride)
            ));
        }
        let is_ahead = target < place.passed + 1 && target > 0;
        if is_ahead && is_interrupted && !place.is_within {
            self.hinder(format!(
                "`{process}` is not held before `{}`: it is part of the command before",
                self.label(stride)
            ));
        }
        if target > place.passed && stride.part != Part::Begins {
            let steps = target - place.passed;
            let steps = std::iter::repeat_n(process.clone(), steps);
            self.course.schedule.extend(steps);
            place.passed = target;
        }
        place.stride = number;
        place.is_within = stride.part == Part::Begins;
        if stride.part == Part::Fails {
            let breakpoint = u32::try_from(target + 1).unwrap_or(u32::MAX);
            self.course.failure = Some((process.clone(), breakpoint));
        }
        self.at.insert(process, place);
    }

    /// Says whether nobody else can tell when a segment is done, and the same
    /// command goes on with another one: it is done together with that.
    fn may_wait(&self, stride: &Stride) -> bool {
        let segments = self.behaviours.segments_of(&stride.node);
        let Some(segment) = segments.get(stride.segment) else {
            return false;
        };
        let touched = [&segment.reads, &segment.writes, &segment.holds];
        let is_quiet = segment.gives.is_empty() && touched.iter().all(|names| names.is_empty());
        let mut later = segments.iter().skip(stride.segment + 1);
        let goes_on = later.any(|later| later.commands == segment.commands);
        is_quiet && segment.commands.is_some() && goes_on
    }

    fn hinder(&mut self, text: String) {
        if !self.course.obstacles.contains(&text) {
            self.course.obstacles.push(text);
        }
    }

    fn label(&self, stride: &Stride) -> String {
        let segments = self.behaviours.segments_of(&stride.node);
        let segment = segments.get(stride.segment);
        segment.map_or_else(String::new, |segment| segment.label.clone())
    }

    /// Returns how many breakpoints a process has left behind when its segment
    /// is done; none if that is not known.
    fn target(&self, process: &ProcessName, stride: &Stride) -> Option<usize> {
        if !self.known.contains(process) {
            return None;
        }
        let points = self.points.get(&process.node)?;
        let last = points.len().checked_sub(1)?;
        let segments = self.behaviours.segments_of(&stride.node);
        let segment = segments.get(stride.segment)?;
        let Some(done) = segment.commands else {
            // Only what has no command of its own is done at the end.
            let is_last = stride.segment + 1 == segments.len();
            return is_last.then_some(last);
        };
        let done = usize::try_from(done).ok()?;
        let at = points.iter().rposition(|commands| *commands == done);
        // Behind the last command is the last breakpoint.
        Some(at.unwrap_or(last))
    }
}

#[cfg(test)]
mod tests {
    use zenekar_model::behaviour::{Behaviour, Give, Segment};

    use super::*;

    fn segment(commands: Option<u32>, gives: Vec<Give>) -> Segment {
        Segment {
            label: format!("to {commands:?}"),
            commands,
            gives,
            ..Segment::default()
        }
    }

    fn stride(node: &str, segment: usize, part: Part) -> Stride {
        Stride {
            step: 1,
            node: node.to_owned(),
            number: 1,
            segment,
            part,
        }
    }

    /// Plans strides of a server with breakpoints behind its second and third
    /// command, and of a client with one command.
    fn course(strides: Vec<Stride>) -> Course {
        let open = || vec![Give::Port(80)];
        let server = vec![
            segment(Some(2), open()),
            segment(Some(2), Vec::new()),
            segment(Some(3), open()),
            segment(Some(3), Vec::new()),
            segment(Some(3), open()),
            segment(None, Vec::new()),
        ];
        let client = vec![segment(Some(1), Vec::new())];
        let nodes = [("srv", server), ("cl", client)];
        let nodes = nodes.map(|(name, segments)| {
            let behaviour = Behaviour {
                segments,
                ..Behaviour::default()
            };
            (name.to_owned(), behaviour)
        });
        let points = [("srv", vec![0, 1, 2, 3, 4]), ("cl", vec![0, 1])];
        let points = points.map(|(name, points)| (name.to_owned(), points));
        let processes = [ProcessName::new("cl", 1), ProcessName::new("srv", 1)];
        let recorded = Recorded {
            property: None,
            itinerary: Itinerary {
                strides,
                obstacles: Vec::new(),
            },
        };
        let behaviours = Behaviours {
            nodes: nodes.into_iter().collect(),
        };
        recorded.course(&behaviours, &points.into_iter().collect(), &processes)
    }

    fn names(course: &Course) -> String {
        let names = course.schedule.iter().map(|name| name.node.as_str());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn processes_go_to_the_breakpoint_behind_their_segment() {
        let early = course(vec![
            stride("srv", 0, Part::Whole),
            stride("cl", 0, Part::Fails),
        ]);
        assert_eq!(names(&early), "srv srv cl");
        assert_eq!(early.failure, Some((ProcessName::new("cl", 1), 2)));
        assert_eq!(early.obstacles, Vec::<String>::new());
        let all = course(vec![
            stride("srv", 0, Part::Begins),
            stride("srv", 0, Part::Ends),
            stride("srv", 5, Part::Whole),
            stride("cl", 0, Part::Whole),
        ]);
        assert_eq!(names(&all), "srv srv srv srv cl");
        assert_eq!(all.obstacles, Vec::<String>::new());
    }

    #[test]
    fn what_nobody_can_tell_from_later_is_done_later() {
        let later = course(vec![
            stride("srv", 3, Part::Whole),
            stride("cl", 0, Part::Whole),
            stride("srv", 4, Part::Whole),
        ]);
        assert_eq!(names(&later), "cl srv srv srv");
        assert_eq!(later.obstacles, Vec::<String>::new());
    }

    #[test]
    fn commands_are_not_held_inside() {
        let within = course(vec![
            stride("srv", 2, Part::Begins),
            stride("cl", 0, Part::Whole),
            stride("srv", 2, Part::Ends),
        ]);
        assert!(within.obstacles[0].contains("is inside of"), "{within:?}");
        let same = course(vec![
            stride("srv", 2, Part::Whole),
            stride("cl", 0, Part::Whole),
            stride("srv", 4, Part::Whole),
        ]);
        assert!(
            same.obstacles[0].contains("part of the command before"),
            "{same:?}"
        );
        let unknown = course(vec![stride("nobody", 0, Part::Whole)]);
        assert!(unknown.obstacles[0].contains("not steered"), "{unknown:?}");
    }
}
