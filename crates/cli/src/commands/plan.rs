//! `zenekar plan`: what `up` would change, and why.

use std::sync::Arc;

use zenekar_engine::Input;

use crate::arguments::{Global, PlanArguments};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{self, Place};
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
    // A preview calls nobody, so that it can be had of any cloud.
    if let Err(failure) = providers::check_topology(&topology) {
        output.warn(&format!("{}: `up` will refuse", failure.message()));
    }
    let id = place::id_for(arguments.name.as_deref(), topology.name())?;
    let engine = world::read_or_new(&place, &id)?;
    let (changed, plan) = engine.preview(&Input::Intent(Arc::new(topology)))?;
    drop(engine);
    let preview = Preview {
        infrastructure: id.as_str(),
        engine: &changed,
        plan: &plan,
    };
    if let Some(language) = arguments.graph {
        output.data(&graph::draw(language, id.as_str(), &changed, &plan))?;
    } else if output.is_json() {
        output.json(&preview.to_json())?;
    } else {
        output.data(&preview.to_text(output.data_paint, arguments.full))?;
    }
    let changes = !plan.steps.is_empty() || plan.generation != plan.parent;
    Ok(if arguments.detailed_exit_code && changes {
        Exit::ChangesPending
    } else {
        Exit::Success
    })
}
