//! `zenekar status`: how far nodes and instances are.

use std::time::Duration;

use zenekar_base::InfrastructureId;
use zenekar_runtime::SharedStore;
use zenekar_store::HolderInfo;

use crate::arguments::{Global, StatusArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{self, Place};
use crate::render::status::Shown;
use crate::world::{self, wall_now};

/// How often `--watch` looks for changes: a person sees no difference to at
/// once, and a look reads one counter.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) fn run(
    arguments: &StatusArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let store = Place::find(global)?.look_at()?;
    let row = place::find(&store, arguments.infrastructure.infrastructure.as_deref())?;
    let store = SharedStore::new(store);
    let mut counter = store.with(|store| store.change_counter())?;
    if !arguments.watch {
        show(&store, &row.id, arguments, output)?;
        return Ok(Exit::Success);
    }
    world::block_on(world::until_stopped(async {
        show(&store, &row.id, arguments, output)?;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let current = store.with(|store| store.change_counter())?;
            if current != counter {
                counter = current;
                if output.is_data_terminal && !output.is_json() {
                    // Home, then clear: the next status takes the place of the last one.
                    output.data("\u{1b}[H\u{1b}[J")?;
                }
                show(&store, &row.id, arguments, output)?;
            }
        }
    }))
}

fn show(
    store: &SharedStore,
    id: &InfrastructureId,
    arguments: &StatusArguments,
    output: Output,
) -> Result<(), Failure> {
    let engine = world::read_shared(store, id)?;
    let shown = Shown {
        infrastructure: id.as_str(),
        engine: &engine,
        holder: holder(store, id)?,
    };
    match (output.is_json(), arguments.watch) {
        (true, true) => output.json_line(&shown.to_json()),
        (true, false) => output.json(&shown.to_json()),
        (false, _) => output.data(&shown.to_text(output.data_paint, arguments.full)),
    }
}

/// Says who works on an infrastructure.
pub(crate) fn holder(
    store: &SharedStore,
    id: &InfrastructureId,
) -> Result<Option<String>, Failure> {
    let holder = store.with(|store| store.holder(id, wall_now()))?;
    let here = HolderInfo::this_process("");
    let living = holder.filter(|holder| {
        holder.host != here.host || (holder.boot_id == here.boot_id && holder.is_alive_here())
    });
    Ok(living.map(|holder| {
        format!(
            "`{}` (process {} on `{}`)",
            holder.command, holder.pid, holder.host
        )
    }))
}
