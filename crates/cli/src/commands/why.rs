//! `zenekar why`: what a node or an instance waits for.

use std::fmt::Write as _;

use serde_json::json;
use zenekar_diagnostics::did_you_mean;
use zenekar_engine::Engine;
use zenekar_runtime::SharedStore;

use crate::arguments::{Global, WhyArguments};
use crate::commands::events::{self, Happened};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};
use crate::place::{self, Place};
use crate::render::why::{self, Found, Reason};
use crate::world;

/// Events about the subject that are shown.
const EVENTS_MAX: usize = 10;

pub(crate) fn run(
    arguments: &WhyArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let (infrastructure, subject) = match arguments.subject.as_slice() {
        [infrastructure, subject] => (Some(infrastructure.as_str()), subject),
        [subject] => (None, subject),
        _ => return Err(Failure::usage("say which node or instance")),
    };
    let store = Place::find(global)?.look_at()?;
    let row = place::find(&store, infrastructure)?;
    let store = SharedStore::new(store);
    let engine = world::read_shared(&store, &row.id)?;
    let reason = match why::find(&engine, subject) {
        Some(Found::Node(key)) => why::node(&engine, key),
        Some(Found::Instance(key)) => engine
            .state()
            .instances
            .get(&key)
            .map_or_else(|| Reason::gone(subject), |one| why::instance(&engine, one)),
        Some(Found::Gone) => Reason::gone(subject),
        None => return Err(unknown(&engine, subject)),
    };
    let about = format!("{subject}/");
    let is_about = |happened: &Happened| {
        happened.told.subject == *subject || happened.told.subject.starts_with(&about)
    };
    let mut history: Vec<Happened> = events::history(&store, &row.id)?
        .into_iter()
        .filter(is_about)
        .collect();
    history.drain(..history.len().saturating_sub(EVENTS_MAX));
    if output.is_json() {
        let events: Vec<_> = history.iter().map(Happened::to_json).collect();
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "why", "infrastructure": row.id.as_str(), "reason": reason.to_json(), "events": events,
        }))?;
        return Ok(Exit::Success);
    }
    let mut text = reason.to_text(output.data_paint);
    if !history.is_empty() {
        let _ = writeln!(text, "\n{}", output.data_paint.strong("Last events"));
        for happened in &history {
            let _ = writeln!(text, "  {}", happened.to_text(output.data_paint));
        }
    }
    output.data(&text)?;
    Ok(Exit::Success)
}

/// Says that something is not there, and what may have been meant.
pub(crate) fn unknown(engine: &Engine, subject: &str) -> Failure {
    let failure = Failure::usage(format!("there is no node or instance `{subject}`"));
    match did_you_mean(subject, engine.state().names.keys().map(String::as_str)) {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None => failure.hint("`zenekar status` shows nodes and instances"),
    }
}
