//! `zenekar verify --live`: runs it for real instead.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zenekar_model::Topology;
use zenekar_verify::{
    Allowance, Comparison, Counts, Faults, Header, Provenance, ReplayFile, Setting, World,
    counts_that_differ, follow, itinerary, with_counts,
};

use super::behaviours::{self, Known};
use super::replay::{self, Again};
use super::stated;
use crate::arguments::{DescriptorArguments, Global, ReplayArguments, VerifyArguments};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::live::{self, Observations, Recorded};
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
    let task_setting = model_of(&topology, &known, properties, output)?;
    let record = |observed: &Observations| {
        let Some(file) = &arguments.report else {
            return Ok(());
        };
        let provenance = Provenance {
            descriptor: known.described.clone(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            properties: stated::describe(properties)?,
            on: descriptor.on.clone(),
            ..Provenance::default()
        };
        let mut header = Header::of(&task_setting, &known.topology, provenance);
        header.live = true;
        write(file, header, task_setting.clone(), observed, output)
    };
    let task = live::Task {
        arguments: &arguments.live,
        descriptor: &descriptor,
        properties,
        topology: &topology,
        behaviours: known.behaviours.clone(),
        recorded: explored.map(|explored| &explored.recorded),
        record: arguments
            .report
            .is_some()
            .then_some(&record as &live::Record<'_>),
        graph: arguments.graph.as_deref(),
        diagram: arguments.diagram.as_deref(),
    };
    live::run(task, global, output)
}

/// Returns what real nodes are compared with: that it comes up, and nothing fails.
fn model_of(
    topology: &Topology,
    known: &Known,
    properties: &[PathBuf],
    output: Output,
) -> Result<Setting, Failure> {
    let mut setting = Setting::new(Arc::new(topology.clone()), known.behaviours.clone());
    setting.script.truncate(1);
    setting.faults = Faults::default();
    setting.allowance = Allowance {
        faults: 0,
        // Real nodes take as long as they like.
        delays: u8::MAX,
        ..setting.allowance
    };
    setting.properties = Arc::new(stated::read(properties, &setting, output)?);
    Ok(setting)
}

/// Writes what was seen as a replay file, and tells what the model does not allow.
fn write(
    file: &Path,
    header: Header,
    setting: Setting,
    observed: &Observations,
    output: Output,
) -> Result<(), Failure> {
    for node in &observed.unseen {
        output.warn(&format!(
            "the file does not have what `{node}` did: nobody sees which of its segments are done at its breakpoints"
        ));
    }
    let world = World::new(setting);
    let violated = observed.violated.as_deref();
    let followed = follow(&world, &observed.sightings, &observed.unseen, violated);
    let text = ReplayFile::new(header, &followed.run, false).to_text();
    std::fs::write(file, text).map_err(|error| Failure::from_file("write", file, &error))?;
    if !output.is_json() {
        let file = file.display();
        output.line(&format!(
            "it happens again in the model by `zenekar replay {file}`"
        ));
        if let Some((step, seen)) = &followed.gap {
            output.line(&format!("as far as step {step}: seen was {seen}"));
        }
    }
    Ok(())
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
