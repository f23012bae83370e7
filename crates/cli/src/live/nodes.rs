//! Which nodes are steered: those whose contextualisation has breakpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_base::InfrastructureId;
use zenekar_live::instrument::{self, Access, commands_with_words};
use zenekar_live::{ProcessName, SteeredRenderer};
use zenekar_model::Topology;

use crate::errors::Failure;
use crate::output::Output;
use crate::rehearsal::Rehearsal;

/// How long checks of a held instance may fail: nobody knows how long a person
/// looks at a state.
const HEALTH_PATIENCE: zenekar_base::Millis = zenekar_base::Millis::from_secs(7 * 24 * 3600);

/// The nodes that are steered.
pub(crate) struct Nodes {
    pub(crate) processes: Vec<ProcessName>,
    /// How many commands of each have run at each of its breakpoints, where that is known.
    pub(crate) points: BTreeMap<String, Vec<usize>>,
    /// Those that are not steered, and why.
    pub(crate) unsteered: BTreeMap<String, String>,
}

/// The breakpoints that are put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Whether any are.
    pub(crate) is_automatic: bool,
    /// The commands that get one though they refer to nobody, by node and place.
    pub(crate) more: BTreeMap<String, BTreeSet<usize>>,
}

/// Finds the nodes that are steered, and warns of the others.
pub(crate) fn find(
    topology: &Topology,
    allow_host_commands: bool,
    wanted: &Wanted,
    output: Output,
) -> Result<Nodes, Failure> {
    let is_automatic = wanted.is_automatic;
    let id = InfrastructureId::new("rehearsal");
    let mut rehearsal = Rehearsal::new(topology, id, allow_host_commands);
    let mut found = Nodes {
        processes: Vec::new(),
        points: BTreeMap::new(),
        unsteered: BTreeMap::new(),
    };
    for shown in rehearsal.run(topology, None, false)? {
        let node = shown.node;
        let user_data = shown.rendered.user_data.as_deref();
        let steered = match user_data {
            None => Err("it gets no user-data".to_owned()),
            Some(text) if is_automatic => points_of(text, &rehearsal, wanted.more.get(node)),
            Some(text) if SteeredRenderer::has_own_breakpoints(text) => Ok(None),
            Some(_) => Err("its contextualisation has no breakpoints".to_owned()),
        };
        match steered {
            Ok(points) => {
                found
                    .points
                    .extend(points.map(|points| (node.to_owned(), points)));
                let count = topology
                    .find(node)
                    .map_or(0, |index| topology.node(index).count.min);
                let names = (1..=count).map(|number| ProcessName::new(node, number));
                found.processes.extend(names);
            }
            Err(reason) => {
                if !output.is_json() {
                    output.warn(&format!("node `{node}` is not steered: {reason}"));
                }
                found.unsteered.insert(node.to_owned(), reason);
            }
        }
    }
    if found.processes.is_empty() {
        return Err(Failure::usage("no node of the descriptor can be steered")
            .hint("breakpoints are put into cloud-configs and scripts; `docs/live.md` has more"));
    }
    found.processes.sort();
    Ok(found)
}

/// Returns how many commands of a contextualisation have run at each of its breakpoints.
fn points_of(
    user_data: &str,
    rehearsal: &Rehearsal,
    more: Option<&BTreeSet<usize>>,
) -> Result<Option<Vec<usize>>, String> {
    let access = Access {
        server: "http://192.0.2.1:1".to_owned(),
        infrastructure: "rehearsal".to_owned(),
        infrastructure_name: "rehearsal".to_owned(),
        node: "rehearsal".to_owned(),
        node_name: "rehearsal".to_owned(),
        token: None,
    };
    let given = rehearsal.addresses();
    let words: Vec<&str> = given.iter().map(String::as_str).collect();
    let refers = |config: &zenekar_base::Map| {
        let mut commands = commands_with_words(config, &words);
        commands.extend(more.into_iter().flatten());
        commands
    };
    instrument::instrument_user_data(user_data, &access, &refers)
        .map(|(_, points)| instrument::commands_at_points(user_data, &points))
        .map_err(|error| error.to_string())
}

/// Returns the topology with checks that wait as long as a person does.
pub(crate) fn patient(topology: &Topology) -> Result<Arc<Topology>, Failure> {
    let mut parts = topology.to_parts();
    for definition in &mut parts.definitions {
        for implementation in &mut definition.implementations {
            implementation.health.timeout = implementation.health.timeout.max(HEALTH_PATIENCE);
        }
    }
    Topology::new(parts)
        .map(Arc::new)
        .map_err(|error| Failure::internal(error.to_string()))
}
