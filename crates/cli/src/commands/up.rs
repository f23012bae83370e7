//! `zenekar up`: brings an infrastructure up, or changes a running one.

use std::fmt::Write as _;

use std::sync::Arc;

use zenekar_base::InfrastructureId;
use zenekar_engine::{Engine, Input};
use zenekar_runtime::{RuntimeError, Session, SharedStore};
use zenekar_store::StoreError;

use crate::arguments::{Global, UpArguments};
use crate::commands::run::{self, Work};
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{self, Place};
use crate::preflight;
use crate::providers::{self, Needs};
use crate::render::plan::notices_shown;
use crate::world::{self, World};

pub(crate) fn run(
    arguments: &UpArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let topology = Arc::new(descriptor::prepare(&arguments.descriptor, &place, output)?);
    providers::check_topology(&topology)?;
    let id = place::id_for(arguments.name.as_deref(), topology.name())?;
    let input = Input::Intent(Arc::clone(&topology));
    let engine = world::read_or_new(&place, &id)?;
    let needs = Needs::of(engine.state(), Some(&topology));
    let isolation = arguments.local.isolation;
    needs.check(&arguments.run.sim, isolation)?;
    if !arguments.skip_checks {
        let (changed, plan) = engine.preview(&input)?;
        let descriptor = &arguments.descriptor;
        let findings = preflight::ask(&place, &id, &topology, &changed, &plan, descriptor)?;
        findings.tell(descriptor, &topology, output);
        if let Some(failure) = findings.failure() {
            return Err(failure);
        }
    }
    let seen = if arguments.yes {
        None
    } else {
        Some(ask(arguments, &engine, &id, &input, output)?)
    };
    drop(engine);
    let again = again(arguments);
    world::block_on(async {
        let store = SharedStore::new(place.change()?);
        let World { host, isolation } =
            world::world(&place, store, &arguments.run, isolation, &needs)?;
        let session = Session::lead(Arc::clone(&host), &id, topology.name(), "zenekar up")
            .map_err(|error| led_by_another(error, &id))?;
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
        let notices = notices_shown(&plan);
        drop(changed);
        let work = Work {
            command: "up",
            notices,
            id: &id,
            isolation,
            inputs: vec![input],
            until: world::until_settled(&arguments.run),
            again,
        };
        run::run(session, &host, work, output).await
    })
}

/// Says what to do about another process that leads.
fn led_by_another(error: RuntimeError, id: &InfrastructureId) -> Failure {
    let leader = match &error {
        RuntimeError::Store(StoreError::LeaseHeld { holder, .. }) => holder.command.clone(),
        _ => return error.into(),
    };
    let failure = Failure::from(error);
    if leader == "zenekar watch" {
        failure.hint(format!(
            "a watch only ends when it is stopped; run `zenekar watch {id}` again after this command (`scale` and `down` need not stop it)"
        ))
    } else {
        failure
    }
}

/// Shows what would change and asks; returns the generation that was shown.
fn ask(
    arguments: &UpArguments,
    engine: &Engine,
    id: &InfrastructureId,
    input: &Input,
    output: Output,
) -> Result<u64, Failure> {
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
