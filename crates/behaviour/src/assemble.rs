//! From the plots of all nodes to the segments of each.

use std::collections::{BTreeMap, BTreeSet};

use zenekar_model::{
    Behaviour, Contact, Give, Need, NodeIndex, Origin, Quantifier, Segment, Topology,
};

use crate::place::Lines;
use crate::plot::{Moment, Plot, SSH_PORT};
use crate::walk::{Act, Demand};

/// Segments of one node. What comes behind them is left out: people do not
/// write as many communication points, and each multiplies what is explored.
const SEGMENTS_MAX: usize = 64;

/// Nodes looked at in search of those that wait for a node.
const DEPENDANTS_MAX: usize = 10_000;

/// A position among the commands of a node; 0 is before the first one.
type Position = usize;

/// What of one node others, or its health checks, look for, and when it is there.
type Given = BTreeMap<Give, Moment>;

/// What happens behind one command.
#[derive(Clone, Debug, Default)]
struct Event {
    needs: Vec<Need>,
    retries: bool,
    gives: Vec<Give>,
    reads: Vec<String>,
    writes: Vec<String>,
    holds: Vec<String>,
}

impl Event {
    /// Says whether it only uses addresses that it was given.
    fn is_quiet(&self) -> bool {
        let is_address = |need: &Need| need.what == Contact::Address;
        self.needs.iter().all(is_address)
            && self.gives.is_empty()
            && self.reads.is_empty()
            && self.writes.is_empty()
            && self.holds.is_empty()
    }
}

/// Puts together what the nodes do; a node without a plot stays out.
pub(crate) fn assemble(
    topology: &Topology,
    plots: &[Option<Plot<'_>>],
    lines: &Lines,
) -> BTreeMap<String, Behaviour> {
    let given = all_given(plots);
    let mut behaviours = BTreeMap::new();
    for (index, plot) in topology.indices().zip(plots) {
        let Some(plot) = plot else { continue };
        let node = Assembly {
            topology,
            plots,
            given: &given,
            lines,
            index,
            plot,
        };
        behaviours.insert(topology.node(index).name.clone(), node.behaviour());
    }
    behaviours
}

/// Returns for every node what is looked for of it.
fn all_given(plots: &[Option<Plot<'_>>]) -> Vec<Given> {
    let mut given = vec![Given::new(); plots.len()];
    for (plot, own) in plots.iter().zip(&mut given) {
        for give in plot.iter().flat_map(Plot::ready) {
            let moment = match &give {
                Give::Port(port) => plot.as_ref().and_then(|plot| plot.opening(*port)),
                Give::Name(name) => plot.as_ref().and_then(|plot| plot.making(name)),
            };
            own.insert(give, moment.unwrap_or(Moment::Hidden));
        }
    }
    for plot in plots.iter().flatten() {
        for demand in plot.acts.iter().filter_map(|act| act.demand.as_ref()) {
            let Some(Some(other)) = plots.get(demand.node) else {
                continue;
            };
            for (give, moment) in found(demand, other) {
                given[demand.node].entry(give).or_insert(moment);
            }
        }
    }
    given
}

/// Returns what of another node fulfils a demand, as far as anything is known of that.
fn found(demand: &Demand, other: &Plot<'_>) -> Vec<(Give, Moment)> {
    let mut found = Vec::new();
    if let Some(port) = demand.port {
        // The SSH server answers from the start, and so does nobody who is not seen.
        let Some(moment) = other.opening(port).filter(|_| port != SSH_PORT) else {
            return found;
        };
        found.push((Give::Port(port), moment));
        // The file behind a URL counts if it is surely that one.
        if let Some(file) = demand.path.as_ref().and_then(|path| other.served(path))
            && let Some(moment) = other.writing(&file)
        {
            found.push((Give::Name(file), moment));
        }
        if let Some(object) = &demand.object
            && let Some(moment) = other.making(object)
        {
            found.push((Give::Name(object.clone()), moment));
        }
    } else if let Some(path) = &demand.path
        && let Some(moment) = other.writing(path)
    {
        found.push((Give::Name(path.clone()), moment));
    }
    found
}

/// One node, with all that its segments are made of.
struct Assembly<'a, 'm> {
    topology: &'a Topology,
    plots: &'a [Option<Plot<'m>>],
    given: &'a [Given],
    lines: &'a Lines,
    index: NodeIndex,
    plot: &'a Plot<'m>,
}

impl Assembly<'_, '_> {
    fn behaviour(&self) -> Behaviour {
        let mut events: BTreeMap<Position, Event> = BTreeMap::new();
        for (at, act) in self.plot.acts.iter().enumerate() {
            if let Some(event) = self.event_of(act) {
                events.insert(at + 1, event);
            }
        }
        let last = self.give(&mut events);
        let mut segments = self.segments(&events, last);
        self.add_addresses(&mut segments);
        if segments.len() > SEGMENTS_MAX {
            // What others wait for must come all the same.
            let cut = segments.split_off(SEGMENTS_MAX);
            let gives = cut.into_iter().flat_map(|segment| segment.gives);
            segments[SEGMENTS_MAX - 1].gives.extend(gives);
        }
        Behaviour {
            segments,
            ready: self.plot.ready(),
            quorum: None,
            foreign_secrets: Vec::new(),
            origin: Origin::Derived,
        }
    }

    fn name_of(&self, node: usize) -> Option<&str> {
        Some(self.topology.nodes().get(node)?.name.as_str())
    }

    /// Returns what a command has to do with others; none if it has nothing.
    fn event_of(&self, act: &Act<'_>) -> Option<Event> {
        let mut event = Event::default();
        if let Some(demand) = &act.demand {
            event.needs = self.needs_of(demand);
            event.retries = demand.retries && !event.needs.is_empty();
        }
        for &node in &act.named {
            let is_needed = |need: &Need| self.name_of(node) == Some(need.node.as_str());
            if !event.needs.iter().any(is_needed) {
                event.needs.extend(self.address_of(node));
            }
        }
        event.reads.clone_from(&act.reads);
        event.writes.clone_from(&act.writes);
        event.holds.clone_from(&act.holds);
        let is_alone = event.reads.is_empty() && event.writes.is_empty();
        let is_empty = event.needs.is_empty() && is_alone;
        (!is_empty).then_some(event)
    }

    fn needs_of(&self, demand: &Demand) -> Vec<Need> {
        let Some(Some(other)) = self.plots.get(demand.node) else {
            return Vec::new();
        };
        let Some(node) = self.name_of(demand.node) else {
            return Vec::new();
        };
        let quantifier = if demand.is_all {
            Quantifier::All
        } else {
            Quantifier::One
        };
        found(demand, other)
            .into_iter()
            .map(|(give, _)| Need {
                node: node.to_owned(),
                what: match give {
                    Give::Port(port) => Contact::Port(port),
                    Give::Name(name) => Contact::Name(name),
                },
                quantifier,
            })
            .collect()
    }

    fn address_of(&self, node: usize) -> Option<Need> {
        Some(Need {
            node: self.name_of(node)?.to_owned(),
            what: Contact::Address,
            quantifier: Quantifier::One,
        })
    }

    /// Puts what is given into the events, and returns what is given at the end.
    fn give(&self, events: &mut BTreeMap<Position, Event>) -> Vec<Give> {
        let given = &self.given[self.index.index()];
        let ready = self.plot.ready();
        let is_checked = |give: &Give| ready.contains(give);
        let seen = given
            .iter()
            .filter(|(give, _)| is_checked(give))
            .map(|(_, moment)| *moment)
            .max();
        // Whoever waits for this node cannot be waited for before it is ready.
        let bound = self.first_wait(events);
        let mut last = Vec::new();
        for (give, moment) in given {
            let position = match (moment, seen) {
                (Moment::Boot, _) => Some(0),
                (Moment::After(at), _) => Some(at + 1),
                (Moment::Hidden, Some(Moment::Boot)) if !is_checked(give) => Some(0),
                (Moment::Hidden, Some(Moment::After(at))) if !is_checked(give) => Some(at + 1),
                (Moment::Hidden, _) => bound.map(|bound| bound.saturating_sub(1)),
                (Moment::End, _) => None,
            };
            match position {
                Some(at) => events.entry(at).or_default().gives.push(give.clone()),
                None => last.push(give.clone()),
            }
        }
        last
    }

    /// Returns the position of the first command that needs something of a
    /// node that waits for this one.
    fn first_wait(&self, events: &BTreeMap<Position, Event>) -> Option<Position> {
        let mut dependants = BTreeSet::new();
        let mut open = vec![self.index];
        while let Some(node) = open.pop() {
            for dependant in self.topology.dependents(node) {
                if dependants.len() < DEPENDANTS_MAX
                    && dependants.insert(self.topology.node(*dependant).name.as_str())
                {
                    open.push(*dependant);
                }
            }
        }
        let waits = |event: &Event| {
            event.needs.iter().any(|need| {
                need.what != Contact::Address && dependants.contains(need.node.as_str())
            })
        };
        let mut all = events.iter();
        all.find(|(_, event)| waits(event)).map(|(at, _)| *at)
    }

    fn segments(&self, events: &BTreeMap<Position, Event>, last: Vec<Give>) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut was_quiet = false;
        for (&at, event) in events {
            let is_quiet = event.is_quiet();
            if is_quiet && was_quiet {
                let segment = segments.last_mut().expect("a quiet one came before");
                for need in &event.needs {
                    if !segment.needs.contains(need) {
                        segment.needs.push(need.clone());
                    }
                }
                segment.commands = self.commands(at);
                continue;
            }
            was_quiet = is_quiet;
            segments.push(self.segment(at, event));
        }
        let end = events.keys().next_back().copied().unwrap_or_default();
        let has_rest = self.has_rest(end);
        if !last.is_empty() || has_rest {
            let label = if segments.is_empty() {
                "the setup"
            } else {
                "the rest"
            };
            segments.push(Segment {
                label: label.to_owned(),
                gives: last,
                ..Segment::default()
            });
        }
        segments
    }

    /// Says whether anything is done behind a position that a person would call a step.
    fn has_rest(&self, end: Position) -> bool {
        const NOTHING: &[&str] = &["", "sleep", "true", ":", "break", "exit", "echo", "["];
        let last = end.checked_sub(1).and_then(|at| self.plot.acts.get(at));
        self.plot.acts[end.min(self.plot.acts.len())..]
            .iter()
            .any(|act| {
                let is_same_line = last.is_some_and(|last| std::ptr::eq(last.line, act.line));
                !is_same_line && !NOTHING.contains(&act.command.program())
            })
    }

    fn segment(&self, at: Position, event: &Event) -> Segment {
        let act = at.checked_sub(1).and_then(|at| self.plot.acts.get(at));
        Segment {
            label: label_of(act, event),
            needs: event.needs.clone(),
            gives: event.gives.clone(),
            reads: event.reads.clone(),
            writes: event.writes.clone(),
            holds: event.holds.clone(),
            retries: event.retries,
            commands: self.commands(at),
            place: act.and_then(|act| self.lines.find(act.line)),
        }
    }

    /// Returns how many items of `runcmd` have run at a position, if that is known.
    fn commands(&self, at: Position) -> Option<u32> {
        let Some(act) = at.checked_sub(1) else {
            return Some(0);
        };
        let item = self.plot.acts.get(act)?.item?;
        u32::try_from(item + 1).ok()
    }

    /// Adds the addresses that only files have to the first segment.
    fn add_addresses(&self, segments: &mut Vec<Segment>) {
        let mut missing: Vec<Need> = Vec::new();
        for other in &self.topology.node(self.index).references {
            let name = self.name_of(other.index());
            let mut needs = segments.iter().flat_map(|segment| &segment.needs);
            if !needs.any(|need| Some(need.node.as_str()) == name) {
                missing.extend(self.address_of(other.index()));
            }
        }
        if missing.is_empty() {
            return;
        }
        if segments.is_empty() {
            segments.push(Segment {
                label: "the setup".to_owned(),
                ..Segment::default()
            });
        }
        segments[0].needs.extend(missing);
    }
}

/// Returns a few words on a segment. Arguments stay out: they may be secret.
fn label_of(act: Option<&Act<'_>>, event: &Event) -> String {
    let Some(act) = act else {
        return "the start".to_owned();
    };
    let program = match act.command.program() {
        "" => "assignment",
        name => name,
    };
    let mut objects: Vec<String> = event.needs.iter().map(Need::to_string).collect();
    let shared = event.reads.iter().chain(&event.writes);
    for object in shared {
        if !objects.contains(object) {
            objects.push(object.clone());
        }
    }
    if objects.is_empty() {
        objects.extend(event.gives.iter().map(|give| format!("({give})")));
    }
    format!("{program} {}", objects.join(", "))
}
