//! `zenekar verify --live`: runs it for real instead.

use std::path::{Path, PathBuf};

use zenekar_verify::{Comparison, Counts, counts_that_differ, itinerary, with_counts};

use super::behaviours;
use super::replay::{self, Again};
use crate::arguments::{DescriptorArguments, Global, ReplayArguments, VerifyArguments};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::live::{self, Recorded};
use crate::output::Output;
use crate::place::Place;

/// A run that was explored, and what it was explored of.
struct Explored {
    recorded: Recorded,
    counts: Counts,
    on: Option<String>,
    /// The files of its properties.
    properties: Vec<PathBuf>,
}

pub(super) fn run(
    arguments: &VerifyArguments,
    place: &Place,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let file = arguments.live.from_report.as_ref();
    let explored = file.map(|file| read(file, arguments, place, output));
    let explored = explored.transpose()?;
    let explored = explored.as_ref();
    let own = &arguments.descriptor;
    let descriptor = DescriptorArguments {
        file: own.file.clone(),
        nodes: own.nodes.clone(),
        on: own.on.clone().or_else(|| explored?.on.clone()),
        allow_host_commands: own.allow_host_commands,
    };
    let known = behaviours::read(&descriptor, place, output)?;
    let mut topology = descriptor::settle(&known.topology, None, place, output)?;
    if let Some(explored) = explored {
        let counted = with_counts(&topology, &explored.counts);
        topology = counted.map_err(|error| Failure::internal(error.to_string()))?;
    }
    let properties = match explored {
        Some(explored) if arguments.property.is_empty() => &explored.properties,
        _ => &arguments.property,
    };
    let task = live::Task {
        arguments: &arguments.live,
        descriptor: &descriptor,
        properties,
        topology: &topology,
        behaviours: known.behaviours,
        recorded: explored.map(|explored| &explored.recorded),
        graph: arguments.graph.as_deref(),
        diagram: arguments.diagram.as_deref(),
    };
    live::run(task, global, output)
}

/// Reads a replay file, and lets its run happen again in the model.
fn read(
    file: &Path,
    arguments: &VerifyArguments,
    place: &Place,
    output: Output,
) -> Result<Explored, Failure> {
    let own = &arguments.descriptor;
    let again = ReplayArguments {
        file: file.to_owned(),
        descriptor: Some(own.file.clone()),
        nodes: own.nodes.clone(),
        on: own.on.clone(),
        property: Vec::new(),
        full: false,
    };
    let Again {
        recorded,
        world,
        replayed,
        ..
    } = replay::again(&again, place, output)?;
    if let Comparison::Diverged { step, expected, .. } = &replayed.comparison {
        let text = format!(
            "`{}` is no run of this descriptor: step {step} is not possible: {expected}",
            file.display()
        );
        let hint = "`zenekar replay` tells what is possible instead";
        return Err(Failure::new(Exit::Diverged, text).hint(hint));
    }
    let described = behaviours::read(&arguments.descriptor, place, output)?;
    let counts = counts_that_differ(&described.topology, &world.setting().topology);
    let files = recorded.header.properties.iter();
    let properties = files.map(|one| replay::find(&one.path, file)).collect();
    Ok(Explored {
        recorded: Recorded {
            property: replayed.run.verdict.property().map(str::to_owned),
            itinerary: itinerary(&world, &replayed.run),
        },
        counts,
        on: recorded.header.on,
        properties,
    })
}
