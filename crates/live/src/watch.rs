//! Properties along one run.

use zenekar_property::{Monitor, MonitorState, Property, PropertySet, Verdict};

use crate::observed::Observed;
use crate::session::GlobalState;

/// The monitors of a set of properties, somewhere in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    monitors: Vec<(Monitor, MonitorState)>,
}

impl Watch {
    pub(crate) fn new(set: &PropertySet) -> Self {
        let monitors = set.properties.iter().map(Property::compile);
        Self {
            monitors: monitors
                .map(|monitor| {
                    let state = monitor.initial();
                    (monitor, state)
                })
                .collect(),
        }
    }

    /// Goes on to a state; returns the properties that became violated there.
    pub(crate) fn check(&mut self, state: &GlobalState, set: &PropertySet) -> Vec<String> {
        let observed = Observed::new(state, set);
        let mut violated = Vec::new();
        for ((monitor, at), property) in self.monitors.iter_mut().zip(&set.properties) {
            let was_violated = monitor.verdict(*at) == Verdict::Violated;
            // Steps of a debugger take as long as people do: time does not count.
            let (after, verdict) = monitor.step(*at, &observed, 0);
            *at = after;
            if verdict == Verdict::Violated && !was_violated {
                violated.push(property.name.clone());
            }
        }
        violated
    }

    /// Ends the run; returns the properties that are violated only thereby.
    pub(crate) fn check_end(&self, is_complete: bool, set: &PropertySet) -> Vec<String> {
        let mut violated = Vec::new();
        for ((monitor, at), property) in self.monitors.iter().zip(&set.properties) {
            let was_violated = monitor.verdict(*at) == Verdict::Violated;
            if !was_violated && monitor.at_end(*at, is_complete) == Verdict::Violated {
                violated.push(property.name.clone());
            }
        }
        violated
    }
}
