//! What people ask for in the runs that are explored.

use std::path::Path;

use zenekar_diagnostics::did_you_mean;
use zenekar_model::Topology;
use zenekar_model::behaviour::Behaviours;
use zenekar_verify::{Demand, Described, Step};

use super::behaviours;
use crate::arguments::{DescriptorArguments, VerifyArguments};
use crate::errors::Failure;
use crate::output::Output;
use crate::place::Place;

/// Steps at most: each multiplies what can happen.
const STEPS_MAX: usize = 16;

/// A script, and what nodes of other descriptors in it do.
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) behaviours: Vec<Behaviours>,
    /// Those other descriptors.
    pub(crate) updates: Vec<Described>,
}

/// Reads the script of the command line, or makes the usual one.
pub(crate) fn read(
    arguments: &VerifyArguments,
    topology: &Topology,
    place: &Place,
    output: Output,
) -> Result<Script, Failure> {
    let mut script = Script {
        steps: Vec::new(),
        behaviours: Vec::new(),
        updates: Vec::new(),
    };
    let Some(text) = &arguments.script else {
        script.steps = usual(topology);
        return Ok(script);
    };
    let steps: Vec<&str> = text.split(',').map(str::trim).collect();
    if steps.len() > STEPS_MAX {
        return Err(Failure::usage(format!(
            "the script has {} steps, {STEPS_MAX} are allowed",
            steps.len()
        )));
    }
    for (at, text) in steps.into_iter().enumerate() {
        let (waits, text) = match text.strip_prefix('~') {
            Some(text) => (false, text.trim()),
            None => (at > 0, text),
        };
        let (verb, object) = text.split_once(' ').unwrap_or((text, ""));
        let demand = match (verb, object.trim()) {
            ("up", "") => Demand::Up,
            ("down", "") => Demand::Down,
            ("scale", object) if !object.is_empty() => scale(object, topology)?,
            ("update", file) if !file.is_empty() => {
                let descriptor = DescriptorArguments {
                    file: Path::new(file).to_owned(),
                    ..arguments.descriptor.clone()
                };
                let known = behaviours::read(&descriptor, place, output)?;
                script.behaviours.push(known.behaviours);
                script.updates.push(known.described);
                Demand::Update(known.topology)
            }
            _ => {
                return Err(Failure::usage(format!(
                    "`{}` is no step of a script",
                    text.escape_debug()
                ))
                .hint("steps are `up`, `scale NODE=COUNT`, `update FILE` and `down`, with commas between them"));
            }
        };
        if at == 0 && demand != Demand::Up {
            return Err(Failure::usage("a script begins with `up`"));
        }
        script.steps.push(Step { demand, waits });
    }
    Ok(script)
}

fn scale(object: &str, topology: &Topology) -> Result<Demand, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "`{}` names no node and count",
            object.escape_debug()
        ))
        .hint("write `scale worker=3`")
    };
    let (node, count) = object.split_once('=').ok_or_else(wrong)?;
    let count: u32 = count.trim().parse().map_err(|_| wrong())?;
    let node = node.trim();
    let mut nodes = topology.nodes().iter();
    if !nodes.any(|known| known.name == node) {
        let failure = Failure::usage(format!("there is no node `{}`", node.escape_debug()));
        let names = topology.nodes().iter().map(|node| node.name.as_str());
        return Err(match did_you_mean(node, names) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure,
        });
    }
    Ok(Demand::Scale {
        node: node.to_owned(),
        count,
    })
}

/// Up, one more and one fewer of the first node that can be scaled, and down.
pub(crate) fn usual(topology: &Topology) -> Vec<Step> {
    let mut demands = vec![Demand::Up];
    let mut nodes = topology.nodes().iter();
    if let Some(node) = nodes.find(|node| node.count.max > node.count.min) {
        let to = |count| Demand::Scale {
            node: node.name.clone(),
            count,
        };
        demands.extend([to(node.count.min + 1), to(node.count.min)]);
    }
    demands.push(Demand::Down);
    let steps = demands.into_iter().enumerate();
    let steps = steps.map(|(at, demand)| Step {
        demand,
        waits: at > 0,
    });
    steps.collect()
}
