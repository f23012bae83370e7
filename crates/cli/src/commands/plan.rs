//! `zenekar plan`: what `up` would change, and why, and what keeps it from doing so.

use std::sync::Arc;

use zenekar_engine::Input;

use crate::arguments::{Global, PlanArguments};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{self, Place};
use crate::preflight;
use crate::providers;
use crate::render::graph;
use crate::render::plan::Preview;
use crate::world;

pub(crate) fn run(
    arguments: &PlanArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    if arguments.graph.is_some() && output.is_json() {
        return Err(
            Failure::usage("`--graph` writes a drawing, not JSON").hint("leave one of them out")
        );
    }
    let place = Place::find(global)?;
    let topology = descriptor::prepare(&arguments.descriptor, &place, output)?;
    // A preview can be had of any cloud.
    if let Err(failure) = providers::check_topology(&topology) {
        output.warn(&format!("{}: `up` will refuse", failure.message()));
    }
    let id = place::id_for(arguments.name.as_deref(), topology.name())?;
    let engine = world::read_or_new(&place, &id)?;
    let topology = Arc::new(topology);
    let (changed, plan) = engine.preview(&Input::Intent(Arc::clone(&topology)))?;
    drop(engine);
    let findings = if arguments.skip_checks {
        preflight::Findings::default()
    } else {
        let descriptor = &arguments.descriptor;
        preflight::ask(&place, &id, &topology, &changed, &plan, descriptor)?
    };
    let preview = Preview {
        infrastructure: id.as_str(),
        engine: &changed,
        plan: &plan,
    };
    if let Some(language) = arguments.graph {
        output.data(&graph::draw(language, id.as_str(), &changed, &plan))?;
    } else if output.is_json() {
        let mut value = preview.to_json();
        value["problems"] = findings.to_json();
        output.json(&value)?;
    } else {
        output.data(&preview.to_text(output.data_paint, arguments.full))?;
    }
    findings.tell(&arguments.descriptor, &topology, output);
    if let Some(failure) = findings.failure() {
        return Err(failure);
    }
    let changes = !plan.steps.is_empty() || plan.generation != plan.parent;
    Ok(if arguments.detailed_exit_code && changes {
        Exit::ChangesPending
    } else {
        Exit::Success
    })
}
