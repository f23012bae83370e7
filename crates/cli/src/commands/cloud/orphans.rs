//! `zenekar cloud orphans`: what carries our tags at clouds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use zenekar_base::CloudKey;
use zenekar_provider::{Owned, Provider};
use zenekar_runtime::SharedStore;

use super::delete::{self, Outcome};
use super::look::{answer, one_line};
use super::standing::{Records, Standing};
use super::{failure, find, refused};
use crate::arguments::CloudOrphansArguments;
use crate::clouds::CLOUD_KINDS;
use crate::commands::run::confirm;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::output::{Output, SCHEMA_VERSION, columns, counted};
use crate::place::Place;
use crate::world;

/// One thing at a cloud, and what our state says of it.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) owned: Owned,
    pub(super) standing: Standing,
}

/// What one cloud has of ours.
pub(super) struct Found {
    pub(super) key: CloudKey,
    pub(super) provider: Option<Arc<dyn Provider>>,
    pub(super) things: Vec<Thing>,
    failed: Option<Failure>,
}

pub(super) fn run(
    arguments: &CloudOrphansArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let store = place.look()?.map(SharedStore::new);
    let keys = keys(arguments, place, store.as_ref())?;
    if keys.is_empty() {
        return Err(
            Failure::usage("no cloud has a name, and no infrastructure uses one")
                .hint("say which one you mean: `zenekar cloud orphans ec2`"),
        );
    }
    world::block_on(world::until_stopped(async {
        let mut all = Vec::new();
        for key in keys {
            all.push(look(place, store.as_ref(), key).await);
        }
        show(arguments, &mut all, place, output).await
    }))
}

/// Finds the clouds to look at: those that were named, or all that we know of.
fn keys(
    arguments: &CloudOrphansArguments,
    place: &Place,
    store: Option<&SharedStore>,
) -> Result<Vec<CloudKey>, Failure> {
    if !arguments.clouds.is_empty() {
        let mut keys = Vec::new();
        for text in &arguments.clouds {
            let key = find(place, text)?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        return Ok(keys);
    }
    let registry = opening::registry(place);
    let mut keys = BTreeSet::new();
    for name in registry.names().map_err(failure)? {
        let cloud = registry.get(&name).map_err(failure)?;
        keys.extend(cloud.map(|cloud| cloud.key()));
    }
    if let Some(store) = store {
        for row in store.with(|store| store.list_infrastructures())? {
            let engine = world::read_shared(store, &row.id)?;
            let names = engine.state().providers.iter();
            let known = names.filter_map(|name| name.parse::<CloudKey>().ok());
            keys.extend(known.filter(|key| CLOUD_KINDS.contains(&key.kind.as_str())));
        }
    }
    Ok(keys.into_iter().collect())
}

/// Asks one cloud what it has of ours, then reads what our state says of it.
async fn look(place: &Place, store: Option<&SharedStore>, key: CloudKey) -> Found {
    let mut found = Found {
        key,
        provider: None,
        things: Vec::new(),
        failed: None,
    };
    let listed = async {
        let provider = opening::open_key(place, &found.key)?;
        let things = list(&found.key, &provider, store).await?;
        Ok::<_, Failure>((provider, things))
    };
    match listed.await {
        Ok((provider, things)) => {
            found.provider = Some(provider);
            found.things = things;
        }
        Err(failed) => found.failed = Some(failed),
    }
    found
}

/// Lists what a cloud has of ours.
pub(super) async fn list(
    key: &CloudKey,
    provider: &Arc<dyn Provider>,
    store: Option<&SharedStore>,
) -> Result<Vec<Thing>, Failure> {
    let owned = answer(provider.owned())
        .await
        .map_err(|error| refused(key, &error))?;
    let records = Records::read(store)?;
    let mut things: Vec<Thing> = owned
        .into_iter()
        .map(|owned| Thing {
            standing: records.standing(&owned),
            owned,
        })
        .collect();
    things.sort_by(|one, other| {
        let order = |thing: &Thing| {
            let owned = &thing.owned;
            (
                owned.infrastructure.clone(),
                owned.kind,
                owned.name.clone(),
                owned.id.clone(),
            )
        };
        order(one).cmp(&order(other))
    });
    Ok(things)
}

/// Says whether a thing is to be deleted.
pub(super) fn is_doomed(thing: &Thing, of: &[String]) -> bool {
    match thing.standing {
        Standing::Wanted => false,
        Standing::LeftOver => true,
        Standing::Foreign => of
            .iter()
            .any(|id| id == thing.owned.infrastructure.as_str()),
    }
}

async fn show(
    arguments: &CloudOrphansArguments,
    all: &mut [Found],
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    check_named(arguments, all)?;
    let doomed: usize = all
        .iter()
        .flat_map(|found| &found.things)
        .filter(|thing| is_doomed(thing, &arguments.of))
        .count();
    if !output.is_json() {
        let text = text_of(all, arguments, output);
        // Before a question, what it is about has to stand beside it.
        if arguments.delete {
            output.talk(&text);
        } else {
            output.data(&text)?;
        }
    }
    let mut outcomes = Vec::new();
    if arguments.delete && doomed > 0 {
        let question = format!("Delete {}?", counted(doomed, "thing"));
        confirm(&question, arguments.yes, output)?;
        for found in &mut *all {
            outcomes.extend(delete::all(found, &arguments.of, place, output).await?);
        }
    }
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "orphans",
            "clouds": all.iter().map(|found| found_json(found, &arguments.of)).collect::<Vec<_>>(),
            "deletions": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
        }))?;
    }
    finish(arguments, all, doomed, &outcomes, output)
}

/// Refuses an infrastructure that nothing was listed of: a word that was mistyped
/// must not look like success.
fn check_named(arguments: &CloudOrphansArguments, all: &[Found]) -> Result<(), Failure> {
    let things = || all.iter().flat_map(|found| &found.things);
    for id in &arguments.of {
        let mut own = things().filter(|thing| thing.owned.infrastructure.as_str() == id);
        match own.next().map(|thing| thing.standing) {
            Some(Standing::Foreign) => {}
            Some(_) => {
                return Err(Failure::usage(format!("`{id}` is in this state"))
                    .hint("what is left over of it is deleted without `--of`; `zenekar down` takes the rest down"));
            }
            // A repeated command finds nothing left, and that is well.
            None if arguments.delete => {}
            None => {
                return Err(Failure::usage(format!(
                    "nothing with the tag `{}` is there",
                    id.escape_debug()
                )));
            }
        }
    }
    Ok(())
}

/// Says how it went, with the exit code that goes with it.
fn finish(
    arguments: &CloudOrphansArguments,
    all: &[Found],
    doomed: usize,
    outcomes: &[Outcome],
    output: Output,
) -> Result<Exit, Failure> {
    let remaining = outcomes.iter().filter(|outcome| !outcome.is_gone()).count();
    if arguments.delete && !output.is_json() {
        let gone = outcomes.len() - remaining;
        if doomed == 0 {
            output.line("nothing is left over");
        } else {
            output.line(&format!("{} deleted", counted(gone, "thing")));
        }
    }
    let failed: Vec<&Failure> = all
        .iter()
        .filter_map(|found| found.failed.as_ref())
        .collect();
    if let Some(first) = failed.first() {
        let mut failure = Failure::new(
            first.exit,
            format!("{} could not be asked", counted(failed.len(), "cloud")),
        );
        for one in &failed {
            failure = failure.cause(one.summary());
        }
        return Err(failure);
    }
    if remaining > 0 {
        let mut failure = Failure::new(
            Exit::Provider,
            format!("{} could not be deleted", counted(remaining, "thing")),
        );
        for outcome in outcomes.iter().filter(|outcome| !outcome.is_gone()) {
            failure = failure.cause(outcome.text());
        }
        return Err(failure.hint("run the command again, or look at the cloud itself"));
    }
    if arguments.detailed_exit_code && doomed > 0 && !arguments.delete {
        return Ok(Exit::ChangesPending);
    }
    Ok(Exit::Success)
}

fn found_json(found: &Found, of: &[String]) -> Json {
    let things: Vec<Json> = found
        .things
        .iter()
        .map(|thing| {
            let mut item = owned_json(&thing.owned);
            item["standing"] = thing.standing.name().into();
            item["doomed"] = is_doomed(thing, of).into();
            item
        })
        .collect();
    json!({
        "provider": found.key.to_string(),
        "error": found.failed.as_ref().map(Failure::summary),
        "things": things,
    })
}

/// Writes a thing as JSON.
pub(super) fn owned_json(owned: &Owned) -> Json {
    json!({
        "kind": owned.kind.name(),
        "id": owned.id.as_str(),
        "infrastructure": owned.infrastructure.as_str(),
        "instance": owned.instance.as_ref().map(zenekar_base::InstanceTag::as_str),
        "name": owned.name,
        "state": owned.state,
        "created": owned.created,
    })
}

fn text_of(all: &[Found], arguments: &CloudOrphansArguments, output: Output) -> String {
    let paint = if arguments.delete {
        output.talk_paint
    } else {
        output.data_paint
    };
    let mut text = String::new();
    for found in all {
        let _ = writeln!(text, "{}", paint.strong(&found.key.to_string()));
        if let Some(failed) = &found.failed {
            let _ = writeln!(text, "  {}", paint.bad(&failed.summary()));
            continue;
        }
        let mut parts: BTreeMap<Standing, Vec<&Thing>> = BTreeMap::new();
        for thing in &found.things {
            parts.entry(thing.standing).or_default().push(thing);
        }
        if parts.is_empty() {
            text.push_str("  nothing of ours\n");
        }
        for (standing, things) in parts {
            let heading = match standing {
                Standing::Wanted => {
                    // What is as it should be needs no lines of its own.
                    let count = counted(things.len(), "thing");
                    let _ = writeln!(text, "  {count} of infrastructures that are up");
                    continue;
                }
                Standing::LeftOver => paint.bad("left over:"),
                Standing::Foreign => paint.notable(
                    "of infrastructures that this state does not know (deleted only with `--of NAME.ORIGIN`):",
                ),
            };
            let _ = writeln!(text, "  {heading}");
            let rows: Vec<Vec<String>> = things.iter().map(|thing| row(&thing.owned)).collect();
            for line in columns(&rows, 4) {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}

fn row(owned: &Owned) -> Vec<String> {
    vec![
        owned.kind.name().to_owned(),
        one_line(owned.id.as_str()),
        one_line(&owned.name),
        one_line(owned.infrastructure.as_str()),
        one_line(&owned.state),
        one_line(owned.created.as_deref().unwrap_or("-")),
    ]
}
