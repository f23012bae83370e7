//! Between a setting and the header of a replay file.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::Millis;
use zenekar_diagnostics::codes::replay as codes;
use zenekar_diagnostics::{Diagnostic, Span, did_you_mean};
use zenekar_model::behaviour::Behaviours;
use zenekar_model::{CountRange, Topology, TopologyError};

use crate::replay_file::{AllowanceLine, CountLine, Described, Header, REPLAY_FORMAT, ScriptLine};
use crate::setting::{Allowance, Demand, Fault, PERSONALITIES, Personality, Setting, Step};

/// What a header says that a setting does not: where things came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The descriptor that is brought up.
    pub descriptor: Described,
    /// The descriptors of updates, in the order of the script.
    pub updates: Vec<Described>,
    /// The version of Zenekar.
    pub engine: String,
    /// The files of the user's properties that were looked at.
    pub properties: Vec<Described>,
    /// The provider that was put in place of the descriptor's.
    pub on: Option<String>,
}

/// Counts of nodes that are explored in place of the descriptor's.
pub type Counts = BTreeMap<String, CountRange>;

/// Returns a topology with other counts. Nodes that it does not have are passed over.
pub fn with_counts(topology: &Topology, counts: &Counts) -> Result<Topology, TopologyError> {
    let mut parts = topology.to_parts();
    for node in &mut parts.nodes {
        if let Some(count) = counts.get(&node.name) {
            node.count = *count;
        }
    }
    Topology::new(parts)
}

/// Returns the counts of a topology that differ from a descriptor's.
pub fn counts_that_differ(descriptor: &Topology, topology: &Topology) -> Counts {
    let nodes = topology.nodes().iter().filter(|node| {
        let index = descriptor.find(&node.name);
        index.is_some_and(|index| descriptor.node(index).count != node.count)
    });
    nodes.map(|node| (node.name.clone(), node.count)).collect()
}

impl Header {
    /// Makes the header of a setting. `described` is the topology of the
    /// descriptor, whose counts the setting may have changed.
    pub fn of(setting: &Setting, described: &Topology, provenance: Provenance) -> Self {
        let mut updates = provenance.updates.into_iter();
        let script = setting.script.iter().map(|step| {
            let is_update = matches!(step.demand, Demand::Update(_));
            let descriptor = is_update.then(|| updates.next().unwrap_or_default());
            script_line(step, descriptor)
        });
        let count_line = |count: CountRange| CountLine {
            min: count.min,
            max: count.max,
        };
        let counts = counts_that_differ(described, &setting.topology);
        let counts = counts.into_iter();
        Self {
            replay: REPLAY_FORMAT,
            engine: provenance.engine,
            descriptor: provenance.descriptor,
            counts: counts
                .map(|(name, count)| (name, count_line(count)))
                .collect(),
            script: script.collect(),
            allowance: AllowanceLine {
                faults: setting.allowance.faults,
                delays: setting.allowance.delays,
                patience_ms: setting.allowance.patience.0,
            },
            faults: setting
                .faults
                .iter()
                .map(|fault| fault.name().to_owned())
                .collect(),
            personality: setting.personality.map(|one| one.name.to_owned()),
            quota: setting.quota,
            properties: provenance.properties,
            on: provenance.on,
            live: false,
            beginning: String::new(),
        }
    }

    /// Returns the descriptors of updates, in the order of the script.
    pub fn updates(&self) -> impl Iterator<Item = &Described> {
        let lines = self.script.iter();
        lines.filter_map(|line| line.descriptor.as_ref())
    }

    /// Makes the setting of a header: of the descriptor that it names, and the
    /// topologies of its [`updates`](Self::updates) in their order. `at` is the
    /// place of the header. Whoever has read the files of properties sets them.
    pub fn setting(
        &self,
        described: &Arc<Topology>,
        behaviours: Behaviours,
        updates: Vec<Arc<Topology>>,
        at: Span,
    ) -> Result<Setting, Vec<Diagnostic>> {
        let mut mistakes = Mistakes {
            at,
            found: Vec::new(),
        };
        let topology = self.topology(described, &mut mistakes);
        let script = self.script(described, updates, &mut mistakes);
        let faults = self.faults.iter().filter_map(|name| {
            let known = Fault::ALL.map(Fault::name);
            mistakes.known(Fault::named(name), "fault", name, &known)
        });
        let faults = faults.collect();
        let personality = self.personality.as_ref().and_then(|name| {
            let known = PERSONALITIES.contains(&name.as_str());
            let known = known.then(|| Personality::of(name));
            mistakes.known(known, "personality", name, &PERSONALITIES)
        });
        if !mistakes.found.is_empty() {
            return Err(mistakes.found);
        }
        Ok(Setting {
            script,
            allowance: Allowance {
                faults: self.allowance.faults,
                delays: self.allowance.delays,
                patience: Millis(self.allowance.patience_ms),
            },
            faults,
            personality,
            quota: self.quota,
            ..Setting::new(topology, behaviours)
        })
    }

    fn topology(&self, described: &Arc<Topology>, mistakes: &mut Mistakes) -> Arc<Topology> {
        if self.counts.is_empty() {
            return Arc::clone(described);
        }
        let names: Vec<&str> = described
            .nodes()
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        let mut counts = Counts::new();
        for (name, count) in &self.counts {
            let index = described.find(name);
            if mistakes.known(index, "node", name, &names).is_some() {
                let (min, max) = (count.min, count.max);
                counts.insert(name.clone(), CountRange { min, max });
            }
        }
        match with_counts(described, &counts) {
            Ok(topology) => Arc::new(topology),
            Err(error) => {
                let diagnostic = Diagnostic::error(&codes::BROKEN_LINE, error.to_string());
                mistakes.found.push(diagnostic.at(mistakes.at));
                Arc::clone(described)
            }
        }
    }

    fn script(
        &self,
        described: &Topology,
        updates: Vec<Arc<Topology>>,
        mistakes: &mut Mistakes,
    ) -> Vec<Step> {
        let mut updates = updates.into_iter();
        let mut known: Vec<String> = described
            .nodes()
            .iter()
            .map(|node| node.name.clone())
            .collect();
        let mut script = Vec::new();
        for line in &self.script {
            let demand = match (line.demand.as_str(), &line.node, line.count) {
                ("up", None, None) => Some(Demand::Up),
                ("down", None, None) => Some(Demand::Down),
                ("scale", Some(node), Some(count)) => {
                    let is_known = known.contains(node);
                    let names: Vec<&str> = known.iter().map(String::as_str).collect();
                    let node = is_known.then(|| node.clone());
                    let name = line.node.as_deref().unwrap_or_default();
                    let node = mistakes.known(node, "node", name, &names);
                    node.map(|node| Demand::Scale { node, count })
                }
                ("update", None, None) => {
                    let topology = updates.next();
                    let nodes = topology.iter().flat_map(|topology| topology.nodes());
                    known.extend(nodes.map(|node| node.name.clone()));
                    let path = line.descriptor.as_ref().map_or("", |one| one.path.as_str());
                    let topology = mistakes.known(topology, "descriptor", path, &[]);
                    topology.map(Demand::Update)
                }
                ("up" | "down" | "scale" | "update", _, _) => {
                    let message = format!("`{}` has not the keys that it needs", line.demand);
                    let diagnostic = Diagnostic::error(&codes::BROKEN_LINE, message);
                    mistakes.found.push(diagnostic.at(mistakes.at));
                    None
                }
                (other, _, _) => {
                    let known = ["up", "update", "scale", "down"];
                    mistakes.known(None, "demand", other, &known)
                }
            };
            let waits = line.waits;
            script.extend(demand.map(|demand| Step { demand, waits }));
        }
        script
    }
}

fn script_line(step: &Step, descriptor: Option<Described>) -> ScriptLine {
    let (demand, node, count) = match &step.demand {
        Demand::Up => ("up", None, None),
        Demand::Update(_) => ("update", None, None),
        Demand::Scale { node, count } => ("scale", Some(node.clone()), Some(*count)),
        Demand::Down => ("down", None, None),
    };
    ScriptLine {
        demand: demand.to_owned(),
        node,
        count,
        descriptor,
        waits: step.waits,
    }
}

/// What is wrong with a header.
struct Mistakes {
    at: Span,
    found: Vec<Diagnostic>,
}

impl Mistakes {
    /// Tells that a name is not known, if it is not.
    fn known<T>(&mut self, found: Option<T>, kind: &str, name: &str, names: &[&str]) -> Option<T> {
        if found.is_none() {
            let message = format!("there is no {kind} `{name}`");
            let mut diagnostic = Diagnostic::error(&codes::UNKNOWN_NAME, message).at(self.at);
            if let Some(like) = did_you_mean(name, names.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `{like}`?"));
            }
            self.found.push(diagnostic);
        }
        found
    }
}
