//! `occopus-build`: builds an infrastructure, or changes a running one.

use std::sync::Arc;

use zenekar_base::InfrastructureId;
use zenekar_diagnostics::render_human;
use zenekar_model::Topology;

use super::arguments::BuildArguments;
use super::operations::{self, Audience, Bench, BuildFailure, Description, Remains};
use super::report::Report;
use super::{Tool, bench, log};
use crate::arguments::Global;
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::providers;
use crate::world;

pub(crate) fn run(
    arguments: &BuildArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let bench = bench(&arguments.files, arguments.parallelize, global, output)?;
    let topology = Arc::new(compile(arguments, &bench, output)?);
    let id = match &arguments.id {
        Some(id) => InfrastructureId::new(id.as_str()),
        None => InfrastructureId::new(uuid::Uuid::new_v4().to_string()),
    };
    // Scripts take the next line for a start, so that nothing may be wrong by then.
    if let Err(failure) = providers::check_topology(&topology) {
        return Err(tell_failure(failure.into(), &id, output)?);
    }
    let quoted = log::quoted(id.as_str());
    if arguments.id.is_some() {
        log::line(output, &format!("Updating infrastructure: {quoted}"))?;
    } else {
        log::line(output, &format!("Submitted infrastructure: {quoted}"))?;
    }
    let audience = Audience::Terminal(output);
    let work = operations::build(&bench, &id, topology, Tool::Build.name(), audience);
    // A failure to build is no failure of the runtime: it is told in Occopus's words.
    match world::block_on(async { Ok(work.await) })? {
        Ok(report) => {
            if arguments.id.is_some() {
                log::line(output, &format!("Submitted infrastructure: {quoted}"))?;
            }
            log::line(output, "List of nodes/instances/addresses:")?;
            tell_report(&report, None, output)?;
            log::bare(output, id.as_str())?;
            Ok(Exit::Success)
        }
        Err(failure) => Err(tell_failure(failure, &id, output)?),
    }
}

/// Reads the description, and tells what is wrong with it.
fn compile(arguments: &BuildArguments, bench: &Bench, output: Output) -> Result<Topology, Failure> {
    let compiled = operations::compile(bench, Description::File(&arguments.file))?;
    for text in compiled.texts.warnings.iter().chain(&compiled.texts.error) {
        log::bare(output, text)?;
    }
    if !compiled.diagnostics.is_empty() {
        let paints = output.talk_paint.is_enabled();
        let text = render_human(&compiled.diagnostics, &compiled.sources, paints);
        output.talk(&text);
    }
    if let Some(provider) = &bench.on {
        descriptor::tell_not_carried(&compiled.not_carried, provider, output);
    }
    let errors = compiled.diagnostics.iter().filter(|one| one.is_error());
    let errors = errors.count();
    compiled
        .topology
        .ok_or_else(|| descriptor::invalid(&arguments.file, errors))
}

/// Lists nodes, instances and addresses as Occopus does; only nodes whose
/// names contain the filter, if there is one.
pub(crate) fn tell_report(
    report: &Report,
    filter: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    for node in &report.nodes {
        if node.instances.is_empty() || filter.is_some_and(|part| !node.name.contains(part)) {
            continue;
        }
        log::line(output, &format!("{}:", node.name))?;
        for instance in &node.instances {
            log::line(output, &format!("  {}:", instance.id))?;
            for address in &instance.addresses {
                log::line(output, &format!("    {address}"))?;
            }
        }
    }
    Ok(())
}

/// Tells what a build that failed leaves, and returns why it failed.
fn tell_failure(
    failed: BuildFailure,
    id: &InfrastructureId,
    output: Output,
) -> Result<Failure, Failure> {
    let BuildFailure { failure, remains } = failed;
    let is_stopped = failure.exit == Exit::Cancelled;
    let text = match &remains {
        Remains::Nothing if is_stopped => {
            "Cancelled starting infrastructure (Ctrl+C); the partially built infrastructure has been torn down."
        }
        Remains::Nothing => {
            "An unrecoverable error occured; the partially built infrastructure has been torn down, because of the following error:"
        }
        Remains::Untouched => {
            "An error occured; nothing was changed, because of the following error:"
        }
        Remains::Kept => {
            "An error occured; everything that ran goes on running. The change is not complete, because of the following error:"
        }
        Remains::Orphans(_) => {
            "An unrecoverable error occured; the partially built infrastructure could not be torn down completely, because of the following error:"
        }
    };
    log::line(output, text)?;
    log::line(output, failure.message())?;
    let hint = match remains {
        Remains::Nothing => return Ok(failure.hint("everything that was created is deleted again")),
        Remains::Untouched => return Ok(failure),
        Remains::Kept => format!("`occopus-build -i {id} FILE` tries again, or undoes the change"),
        Remains::Orphans(left) => {
            left.tell(output);
            format!("`occopus-destroy -i {id}` deletes what is left")
        }
    };
    Ok(failure.hint(hint))
}
