//! What the instances of a descriptor's nodes do while they are contextualised.
//!
//! [`derive`] looks at every node like this:
//!
//! 1. It renders what an instance gets, with addresses that tell whose they
//!    are (module `stage`). What a template computes needs no guessing then.
//! 2. It goes through the commands in the order in which they run, and follows
//!    variables, files and host names (modules `walk` and `words`).
//! 3. A command that names another instance either surely connects to it at
//!    once (module `call`), and surely runs (module `manner`), or has just its
//!    address.
//! 4. What others need is sought on the node that they need it of: which of
//!    its commands opens the port or writes the file (module `plot`).
//! 5. The segments are put together (module `assemble`).
//! 6. What annotations say replaces or refines all that (module `annotate`).
//! 7. Every node is rendered once more with marks in the place of secrets: who
//!    has a mark and does not name the secret is given one of others (module
//!    `secrets`).
//!
//! Architecture invariant: a need that is not certain is left out. Who has
//! doubts about a contact states only the address, which whoever runs has.

mod annotate;
mod assemble;
mod call;
mod manner;
mod place;
mod plot;
mod secrets;
mod stage;
mod walk;
mod words;

use std::cell::RefCell;

use zenekar_diagnostics::SourceMap;
use zenekar_lint::machine::Machine;
use zenekar_model::{Behaviour, Behaviours, NodeIndex, Origin, Topology};
use zenekar_occopus::Annotations;

use place::Lines;
use plot::Plot;
use stage::{Performance, Stage};

/// Nodes of one topology for which behaviours are derived: each is rendered,
/// and no explorer goes through as many.
const NODES_MAX: usize = 10_000;

const _: () = assert!(NODES_MAX <= stage::NODES_MAX);

/// Derives what the instances of all nodes do.
///
/// Of a node with several implementations the first one counts. A node whose
/// templates cannot be rendered, and every node of a topology with more than
/// 10,000 of them, has nothing but what its annotation says. `sources` are the
/// files that the topology was loaded from; they give segments their places.
pub fn derive(topology: &Topology, annotations: &Annotations, sources: &SourceMap) -> Behaviours {
    let stage = Stage::new(topology);
    let is_small = topology.nodes().len() <= NODES_MAX;
    let performances: Vec<Option<Performance>> = topology
        .indices()
        .map(|index| is_small.then(|| stage.perform(index)).flatten())
        .collect();
    let machines: Vec<Option<Machine<'_>>> = performances
        .iter()
        .map(|performance| performance.as_ref().map(Performance::machine))
        .collect();
    let name_of = |node: usize| {
        let node = topology.nodes().get(node);
        node.map(|node| node.name.clone()).unwrap_or_default()
    };
    let plots: Vec<Option<Plot<'_>>> = performances
        .iter()
        .zip(&machines)
        .enumerate()
        .map(|(node, (performance, machine))| {
            let (performance, machine) = (performance.as_ref()?, machine.as_ref()?);
            let index = NodeIndex(u32::try_from(node).ok()?);
            let implementation = topology.candidate(index, 0)?;
            Some(Plot {
                machine,
                acts: walk::walk(machine, node, &name_of),
                probes: &performance.probes,
                image: performance.image.as_deref(),
                is_ready_late: implementation.provider == "local",
                openings: RefCell::default(),
            })
        })
        .collect();
    let nodes = assemble::assemble(topology, &plots, &Lines::new(sources));
    let mut behaviours = Behaviours { nodes };
    annotate::apply(annotations, sources, &mut behaviours);
    if is_small {
        for (node, foreign) in secrets::foreign(topology) {
            let behaviour = behaviours.nodes.entry(node).or_default();
            behaviour.foreign_secrets = foreign;
        }
    }
    for (index, machine) in topology.indices().zip(&machines) {
        let behaviour = behaviours.nodes.get_mut(&topology.node(index).name);
        if let (Some(behaviour), Some(machine)) = (behaviour, machine) {
            place_stated(behaviour, machine);
        }
    }
    behaviours
}

/// Where as many segments are stated as there are commands, each is one.
fn place_stated(behaviour: &mut Behaviour, machine: &Machine<'_>) {
    let commands = machine
        .config
        .and_then(|(config, _)| config.get("runcmd"))
        .map_or(0, |commands| commands.items().count());
    if behaviour.origin == Origin::Stated && behaviour.segments.len() == commands {
        for (segment, number) in behaviour.segments.iter_mut().zip(1..) {
            segment.commands = Some(number);
        }
    }
}
