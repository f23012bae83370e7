//! `zenekar watch`: keeps an infrastructure as wanted.

use std::sync::Arc;

use zenekar_engine::Input;
use zenekar_runtime::{Session, SharedStore, Until};

use crate::arguments::{Global, WatchArguments};
use crate::commands::run::{self, Work};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::place::{self, Place};
use crate::providers::Needs;
use crate::world::{self, World};

pub(crate) fn run(
    arguments: &WatchArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let store = place.change_existing()?;
    let row = place::find(&store, arguments.infrastructure.infrastructure.as_deref())?;
    let store = SharedStore::new(store);
    let needs = Needs::of(world::read_shared(&store, &row.id)?.state(), None);
    let until = match (arguments.once, arguments.run.timeout) {
        (false, None) => Until::Forever,
        _ => world::until_settled(&arguments.run),
    };
    world::block_on(async {
        let isolation = arguments.local.isolation;
        let World { host, isolation } =
            world::world(&place, store, &arguments.run, isolation, &needs)?;
        let session = Session::lead(Arc::clone(&host), &row.id, &row.name, "zenekar watch")?;
        if until == Until::Forever && !output.is_json() {
            output.line(&format!(
                "watching `{}`; interrupt to stop, its instances go on running",
                row.id
            ));
        }
        let again = format!("zenekar watch {}", row.id);
        let work = Work {
            command: "watch",
            notices: Vec::new(),
            id: &row.id,
            isolation,
            inputs: vec![Input::Resume],
            until,
            again,
        };
        run::run(session, &host, work, output).await
    })
}
