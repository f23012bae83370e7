//! `zenekar list`: the infrastructures.

use serde_json::json;
use zenekar_runtime::SharedStore;

use crate::arguments::{Global, ListArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, columns};
use crate::place::Place;
use crate::render::event::{time_json, time_text};
use crate::render::status::{Tally, state_word};
use crate::world;

pub(crate) fn run(
    arguments: &ListArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let store = Place::find(global)?.look()?;
    let rows = match &store {
        Some(store) => store.list_infrastructures()?,
        None => Vec::new(),
    };
    let store = store.map(SharedStore::new);
    let mut table = vec![
        ["ID", "STATE", "READY", "GENERATION", "CREATED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut items = Vec::new();
    for row in rows
        .iter()
        .filter(|row| arguments.all || row.removed_at.is_none())
    {
        let Some(store) = &store else { break };
        let engine = world::read_shared(store, &row.id)?;
        let (tally, state) = (Tally::of(&engine), state_word(&engine));
        items.push(json!({
            "id": row.id.as_str(),
            "name": row.name,
            "state": state,
            "ready": tally.serving,
            "wanted": tally.wanted,
            "generation": engine.state().generation(),
            "created_at": time_json(row.created_at),
            "removed_at": row.removed_at.map(time_json),
        }));
        table.push(vec![
            row.id.to_string(),
            state.to_owned(),
            format!("{}/{}", tally.serving, tally.wanted),
            engine.state().generation().to_string(),
            time_text(row.created_at),
        ]);
    }
    if output.is_json() {
        output.json(
            &json!({ "schema_version": SCHEMA_VERSION, "kind": "list", "infrastructures": items }),
        )?;
    } else if items.is_empty() {
        output.line("there is no infrastructure; `zenekar up FILE` brings one up");
    } else {
        output.data(&format!("{}\n", columns(&table, 0).join("\n")))?;
    }
    Ok(Exit::Success)
}
