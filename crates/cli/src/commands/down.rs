//! `zenekar down`: takes an infrastructure down.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use zenekar_base::RequestId;
use zenekar_engine::Input;
use zenekar_runtime::{Host, InboxRequest, RuntimeError, Session, SharedStore, submit};
use zenekar_store::{HolderInfo, InfrastructureRow, Store, StoreError};

use crate::arguments::{DownArguments, Global};
use crate::commands::run::{self, Work};
use crate::commands::scale::new_request;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};
use crate::place::{self, Place};
use crate::providers::Needs;
use crate::world::{self, World, wall_now};

/// How often is looked whether the process that leads is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long a lease lasts that is only needed for one change.
const LEASE_TTL: zenekar_base::Millis = zenekar_base::Millis::from_secs(30);

pub(crate) fn run(
    arguments: &DownArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let store = place.change_existing()?;
    let row = place::find(&store, arguments.infrastructure.infrastructure.as_deref())?;
    if row.removed_at.is_some() && is_down(&place, &row)? {
        return already_down(arguments, &row, store, output);
    }
    if !arguments.yes {
        ask(&row, &place, output)?;
    }
    let store = SharedStore::new(store);
    let needs = Needs::of(world::read_shared(&store, &row.id)?.state(), None);
    world::block_on(async {
        let World { host, .. } = world::world(&place, store, &arguments.run, None, &needs)?;
        let exit = take_down(arguments, &row, &host, output).await?;
        if arguments.purge {
            host.store.with(|store| purge(store, &row))?;
            tell(output, &format!("the history of `{}` is deleted", row.id));
        }
        Ok(exit)
    })
}

/// Says whether the journal agrees that nothing is left: lists are not enough
/// to leave machines alone.
pub(crate) fn is_down(place: &Place, row: &InfrastructureRow) -> Result<bool, Failure> {
    let engine = world::read(place.look_at()?, &row.id)?;
    Ok(engine.state().torn_down || engine.state().intent.is_none())
}

fn ask(row: &InfrastructureRow, place: &Place, output: Output) -> Result<(), Failure> {
    let engine = world::read(place.look_at()?, &row.id)?;
    let (changed, plan) = engine.preview(&Input::Teardown)?;
    run::show_preview(&row.id, &changed, &plan, output);
    if plan.steps.is_empty() {
        Ok(())
    } else {
        run::confirm(&format!("Take `{}` down?", row.id), false, output)
    }
}

async fn take_down(
    arguments: &DownArguments,
    row: &InfrastructureRow,
    host: &Arc<Host>,
    output: Output,
) -> Result<Exit, Failure> {
    let session = match Session::lead(Arc::clone(host), &row.id, &row.name, "zenekar down") {
        Ok(session) => session,
        Err(RuntimeError::Store(StoreError::LeaseHeld { holder, .. })) => {
            return hand_over(arguments, row, &holder, host, output).await;
        }
        Err(error) => return Err(error.into()),
    };
    if session.engine().state().intent.is_none() || session.engine().state().torn_down {
        session.close()?;
        host.store.with(|store| mark_removed(store, row))?;
        return tell_down(output, row, "is down");
    }
    if arguments.yes {
        let (changed, plan) = session.engine().preview(&Input::Teardown)?;
        run::show_preview(&row.id, &changed, &plan, output);
    }
    let again = format!("zenekar down {}", row.id);
    let work = Work {
        command: "down",
        notices: Vec::new(),
        id: &row.id,
        isolation: None,
        inputs: vec![Input::Teardown],
        until: world::until_settled(&arguments.run),
        again,
    };
    run::run(session, host, work, output).await
}

/// Asks the process that leads to take it down, and waits until it has.
async fn hand_over(
    arguments: &DownArguments,
    row: &InfrastructureRow,
    holder: &HolderInfo,
    host: &Arc<Host>,
    output: Output,
) -> Result<Exit, Failure> {
    submit(
        &host.store,
        &row.id,
        &RequestId::new(new_request()),
        &InboxRequest::Teardown,
    )?;
    tell(
        output,
        &format!(
            "process {} (`{}`) leads `{}` and takes it down",
            holder.pid, holder.command, row.id
        ),
    );
    let started = std::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        match host.store.with(|store| store.infrastructure(&row.id))? {
            Some(found) if found.removed_at.is_none() => {}
            _ => {
                return tell_down(output, row, "is down");
            }
        }
        if arguments
            .run
            .timeout
            .is_some_and(|timeout| started.elapsed() >= timeout)
        {
            let failure = Failure::new(Exit::Timeout, format!("`{}` is not down yet", row.id));
            return Err(failure.hint("the request stays; `zenekar status` shows how far it is"));
        }
    }
}

fn already_down(
    arguments: &DownArguments,
    row: &InfrastructureRow,
    mut store: Store,
    output: Output,
) -> Result<Exit, Failure> {
    tell_down(output, row, "is down already")?;
    if arguments.purge {
        purge(&mut store, row)?;
        tell(output, &format!("the history of `{}` is deleted", row.id));
    }
    Ok(Exit::Success)
}

/// Notes that an infrastructure is down, if a process died before it could.
pub(crate) fn mark_removed(store: &mut Store, row: &InfrastructureRow) -> Result<(), StoreError> {
    let holder = HolderInfo::this_process("zenekar down");
    let lease = store.acquire(
        &row.id,
        &holder,
        wall_now(),
        LEASE_TTL,
        &HolderInfo::is_alive_here,
    )?;
    store.mark_removed(&lease, wall_now())?;
    store.release(lease)
}

pub(crate) fn purge(store: &mut Store, row: &InfrastructureRow) -> Result<(), StoreError> {
    let holder = HolderInfo::this_process("zenekar down");
    let lease = store.acquire(
        &row.id,
        &holder,
        wall_now(),
        LEASE_TTL,
        &HolderInfo::is_alive_here,
    )?;
    store.purge(lease)
}

/// Tells that there was nothing left to do here, to programs as the result of a session.
fn tell_down(output: Output, row: &InfrastructureRow, words: &str) -> Result<Exit, Failure> {
    tell(output, &format!("`{}` {words}", row.id));
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "result", "infrastructure": row.id.as_str(),
            "outcome": "converged", "ready": 0, "wanted": 0, "existing": 0, "causes": [],
        }))?;
    }
    Ok(Exit::Success)
}

fn tell(output: Output, text: &str) {
    if !output.is_json() {
        output.line(text);
    }
}
