//! `occopus-maintain`: keeps an infrastructure, lists infrastructures, reports one.

use std::fmt::Write as _;
use std::fs;

use zenekar_base::InfrastructureId;
use zenekar_engine::Input;
use zenekar_runtime::{Outcome, Until};

use super::arguments::MaintainArguments;
use super::build::tell_report;
use super::operations::{self, Audience, Bench, Lead};
use super::report::Report;
use super::{Tool, bench, log};
use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::render::progress::Progress;
use crate::world;

pub(crate) fn run(
    arguments: &MaintainArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let bench = bench(&arguments.files, arguments.parallelize, global, output)?;
    let Some(id) = arguments.id.as_deref().filter(|id| !id.is_empty()) else {
        if arguments.list {
            return list(&bench, output);
        }
        log::bare(output, "ERROR: No infra_id (-i) specified! ")?;
        return Err(
            Failure::new(Exit::Refused, "say which infrastructure, with `-i`")
                .hint("`occopus-maintain -l` lists them"),
        );
    };
    let id = InfrastructureId::new(id);
    if arguments.report {
        return report(arguments, &bench, &id, output);
    }
    let Some(row) = operations::existing(&bench, &id)? else {
        return Err(unknown(&id));
    };
    if arguments.cyclic {
        return world::block_on(keep(&bench, &id, &row.name, output));
    }
    let audience = Audience::Terminal(output);
    world::block_on(operations::settle(
        &bench,
        &row,
        Tool::Maintain.name(),
        audience,
    ))?;
    Ok(Exit::Success)
}

fn list(bench: &Bench, output: Output) -> Result<Exit, Failure> {
    let ids = operations::list(bench)?;
    let mut text = if ids.is_empty() {
        "No active infrastructure!\n".to_owned()
    } else {
        "List of active infrastructure:\n".to_owned()
    };
    for id in ids {
        let _ = writeln!(text, "{id}");
    }
    output.data(&text)?;
    Ok(Exit::Success)
}

fn report(
    arguments: &MaintainArguments,
    bench: &Bench,
    id: &InfrastructureId,
    output: Output,
) -> Result<Exit, Failure> {
    let report = operations::report(bench, id)?.ok_or_else(|| unknown(id))?;
    let filter = arguments.filter.as_deref();
    match &arguments.output {
        None => {
            log::line(output, "List of nodes/instances/addresses:")?;
            tell_report(&report, filter, output)?;
        }
        Some(path) => fs::write(path, address_lines(&report, filter))
            .map_err(|error| Failure::from_file("write", path, &error))?,
    }
    Ok(Exit::Success)
}

/// Writes a line for each instance, with its addresses.
fn address_lines(report: &Report, filter: Option<&str>) -> String {
    let nodes = report.nodes.iter();
    let shown = nodes.filter(|node| filter.is_none_or(|part| node.name.contains(part)));
    let mut text = String::new();
    for instance in shown.flat_map(|node| &node.instances) {
        let _ = writeln!(text, "{}", instance.addresses.join(" "));
    }
    text
}

/// Looks after an infrastructure until a signal comes, or it is gone.
async fn keep(
    bench: &Bench,
    id: &InfrastructureId,
    name: &str,
    output: Output,
) -> Result<Exit, Failure> {
    let mut led = match operations::lead(bench, id, name, None, Tool::Maintain.name())? {
        Lead::Ours(led) => *led,
        Lead::Theirs(_, leader) => {
            return Err(operations::led_by_another(id, &leader));
        }
    };
    let (engine, clock) = (led.session.engine(), &led.host.clock);
    let mut progress = Progress::new(output, engine, clock.pace(), clock.now());
    let cancel = world::cancel_on_signals(output, progress.interrupted())?;
    let inputs = vec![Input::Resume];
    let outcome = led
        .session
        .run(inputs, Until::Forever, cancel, &mut progress)
        .await?;
    progress.finish(led.session.engine());
    led.session.close()?;
    match outcome {
        Outcome::Refused(reason) => Err(reason.into()),
        Outcome::Cancelled => {
            log::line(output, "Ctrl+C - exiting.")?;
            Ok(Exit::Success)
        }
        _ => Ok(Exit::Success),
    }
}

fn unknown(id: &InfrastructureId) -> Failure {
    Failure::new(Exit::Refused, format!("there is no infrastructure `{id}`"))
        .hint("`occopus-maintain -l` lists them")
}
