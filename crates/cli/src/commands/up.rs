//! `zenekar up`: brings an infrastructure up, or changes a running one.

use std::fmt::Write as _;

use std::sync::Arc;

use zenekar_engine::Input;
use zenekar_runtime::Session;

use crate::arguments::{Global, UpArguments};
use crate::commands::run::{self, Work};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{self, Place};
use crate::{providers, world};

pub(crate) fn run(
    arguments: &UpArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let topology = Arc::new(descriptor::prepare(&arguments.descriptor, output)?);
    providers::check_topology(&topology)?;
    let id = place::id_for(arguments.name.as_deref(), topology.name())?;
    let place = Place::find(global)?;
    let input = Input::Intent(Arc::clone(&topology));
    let seen = if arguments.yes {
        None
    } else {
        Some(ask(arguments, &place, &id, &input, output)?)
    };
    let again = again(arguments);
    world::block_on(async {
        let host = world::host(&place, place.change()?, &arguments.run)?;
        let session = Session::lead(Arc::clone(&host), &id, topology.name(), "zenekar up")?;
        let (changed, plan) = session.engine().preview(&input)?;
        match seen {
            None => run::show_preview(&id, &changed, &plan, output),
            Some(generation) if generation != session.engine().state().generation() => {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("`{id}` was changed by somebody else since the preview"),
                )
                .hint("run the command again to see what would change now"));
            }
            Some(_) => {}
        }
        drop(changed);
        let work = Work {
            id: &id,
            inputs: vec![input],
            until: world::until_settled(&arguments.run),
            again,
        };
        run::run(session, &host, work, output).await
    })
}

/// Shows what would change and asks; returns the generation that was shown.
fn ask(
    arguments: &UpArguments,
    place: &Place,
    id: &zenekar_base::InfrastructureId,
    input: &Input,
    output: Output,
) -> Result<u64, Failure> {
    let engine = world::read_or_new(place, id)?;
    let (changed, plan) = engine.preview(input)?;
    run::show_preview(id, &changed, &plan, output);
    if !plan.steps.is_empty() {
        run::confirm("Go on?", arguments.yes, output)?;
    }
    Ok(engine.state().generation())
}

/// Returns the command line that continues this one.
fn again(arguments: &UpArguments) -> String {
    let descriptor = &arguments.descriptor;
    let mut text = format!("zenekar up {}", descriptor.file.display());
    for file in &descriptor.nodes {
        let _ = write!(text, " --nodes {}", file.display());
    }
    if let Some(provider) = &descriptor.on {
        let _ = write!(text, " --on {provider}");
    }
    if let Some(name) = &arguments.name {
        let _ = write!(text, " --name {name}");
    }
    text
}
