//! `zenekar scale`: changes how many instances nodes have.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use zenekar_base::{InfrastructureId, RequestId};
use zenekar_engine::{Engine, Input, Refusal, ScalingChange, ScalingRequest};
use zenekar_runtime::{InboxRequest, RuntimeError, Session, SharedStore, submit, wait_applied};
use zenekar_store::StoreError;

use crate::arguments::{Global, ScaleArguments};
use crate::commands::run::{self, Work};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};
use crate::place::{self, Place};
use crate::providers::Needs;
use crate::render::plan::notices_shown;
use crate::world::{self, World};

/// How long the process that leads may take to look into its inbox. It looks
/// several times a second; a disk that hangs takes longer.
const APPLY_PATIENCE: Duration = Duration::from_secs(30);

/// One wish, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    To(String, u32),
    By(String, i64),
    Remove(String),
}

impl Wish {
    /// Returns the node or instance that the wish is about.
    fn subject(&self) -> &str {
        match self {
            Self::To(name, _) | Self::By(name, _) | Self::Remove(name) => name,
        }
    }
}

pub(crate) fn run(
    arguments: &ScaleArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let (infrastructure, wishes) = read_wishes(arguments)?;
    let place = Place::find(global)?;
    let store = place.change_existing()?;
    let row = place::find(&store, infrastructure)?;
    let store = SharedStore::new(store);
    let request = RequestId::new(arguments.request.clone().unwrap_or_else(new_request));
    world::block_on(async {
        if arguments.no_wait {
            return hand_over(&store, &row.id, &request, &wishes, false, output).await;
        }
        let needs = Needs::of(world::read_shared(&store, &row.id)?.state(), None);
        let isolation = arguments.local.isolation;
        let World { host, isolation } =
            world::world(&place, store, &arguments.run, isolation, &needs)?;
        let session = match Session::lead(Arc::clone(&host), &row.id, &row.name, "zenekar scale") {
            Ok(session) => session,
            Err(RuntimeError::Store(StoreError::LeaseHeld { .. })) => {
                return hand_over(&host.store, &row.id, &request, &wishes, true, output).await;
            }
            Err(error) => return Err(error.into()),
        };
        let changes = resolve(
            &wishes,
            session.engine(),
            is_repeated(session.engine(), &request),
        )?;
        let input = Input::Scale(ScalingRequest { request, changes });
        let (changed, plan) = session.engine().preview(&input)?;
        run::show_preview(&row.id, &changed, &plan, output);
        let notices = notices_shown(&plan);
        drop(changed);
        // What was given up is tried again too, as after `up`.
        let inputs = vec![input, Input::Resume];
        let again = format!("zenekar watch {} --once", row.id);
        let work = Work {
            command: "scale",
            notices,
            id: &row.id,
            isolation,
            inputs,
            until: world::until_settled(&arguments.run),
            again,
        };
        run::run(session, &host, work, output).await
    })
}

fn is_repeated(engine: &Engine, request: &RequestId) -> bool {
    engine.state().requests.contains(request)
}

/// Hands the request to the process that leads, through the store.
async fn hand_over(
    store: &SharedStore,
    id: &InfrastructureId,
    request: &RequestId,
    wishes: &[Wish],
    waits: bool,
    output: Output,
) -> Result<Exit, Failure> {
    let engine = world::read_shared(store, id)?;
    let changes = resolve(wishes, &engine, is_repeated(&engine, request))?;
    let preview = Input::Scale(ScalingRequest {
        request: request.clone(),
        changes: changes.clone(),
    });
    engine.preview(&preview)?;
    submit(store, id, request, &InboxRequest::Scale(changes))?;
    let outcome = if waits {
        wait_applied(store, id, request, APPLY_PATIENCE).await?
    } else {
        None
    };
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "request", "infrastructure": id.as_str(), "request": request.as_str(),
            "outcome": outcome.as_deref().unwrap_or("stored"),
        }))?;
    }
    match outcome.as_deref() {
        Some(text) if text.starts_with("refused") => Err(Failure::new(Exit::Refused, text.to_owned())),
        Some(_) => {
            tell(output, &format!("applied as request `{request}`; `zenekar status {id}` shows how far it is"));
            Ok(Exit::Success)
        }
        None if waits => Err(Failure::new(Exit::Timeout, format!("request `{request}` is stored, but the process that leads has not applied it yet"))
            .hint(format!("`zenekar status {id}` shows who leads; the request is applied once, by it or by the next one"))),
        None => {
            tell(output, &format!("stored as request `{request}`; the process that leads applies it, or the next `zenekar watch {id}`"));
            Ok(Exit::Success)
        }
    }
}

fn tell(output: Output, text: &str) {
    if !output.is_json() {
        output.line(text);
    }
}

/// Makes an id that no other request has: nobody starts two commands with the
/// same process id in the same microsecond.
pub(crate) fn new_request() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}-{:x}", since.as_micros(), std::process::id())
}

/// Reads the words of the command line: perhaps an infrastructure, then wishes.
fn read_wishes(arguments: &ScaleArguments) -> Result<(Option<&str>, Vec<Wish>), Failure> {
    let (infrastructure, words) = match arguments.changes.split_first() {
        Some((first, rest)) if !first.contains('=') => (Some(first.as_str()), rest),
        _ => (None, arguments.changes.as_slice()),
    };
    let mut wishes = words
        .iter()
        .map(|word| read_wish(word))
        .collect::<Result<Vec<_>, _>>()?;
    wishes.extend(arguments.remove.iter().cloned().map(Wish::Remove));
    let mut named: Vec<&str> = wishes.iter().map(Wish::subject).collect();
    named.sort_unstable();
    if let Some([name, ..]) = named.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::usage(format!("`{name}` is named twice"))
            .hint("say once how many instances it is to have"));
    }
    if wishes.is_empty() {
        return Err(
            Failure::usage("say which node is to have how many instances")
                .hint("for example `zenekar scale app=5`, `app=+1` or `--remove app/3`"),
        );
    }
    Ok((infrastructure, wishes))
}

fn read_wish(word: &str) -> Result<Wish, Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!("cannot read `{word}`: {what}"))
            .hint("write `app=5`, `app=+1` or `app=-2`")
    };
    let (node, count) = word
        .split_once('=')
        .ok_or_else(|| wrong("there is no `=`"))?;
    if node.is_empty() {
        return Err(wrong("there is no node before the `=`"));
    }
    let number = |_| wrong("the count is not a number");
    if count.starts_with(['+', '-']) {
        let difference: i64 = count.parse().map_err(number)?;
        return Ok(Wish::By(node.to_owned(), difference));
    }
    Ok(Wish::To(
        node.to_owned(),
        count
            .parse()
            .map_err(|_| wrong("the count is not a number from 0 to 4294967295"))?,
    ))
}

/// Finds what the wishes are about. For a repeated request that is no longer
/// needed: an instance that it removed is not there any more.
fn resolve(
    wishes: &[Wish],
    engine: &Engine,
    is_repeated: bool,
) -> Result<Vec<ScalingChange>, Failure> {
    let mut changes = Vec::new();
    for wish in wishes {
        changes.push(match wish {
            Wish::To(node, count) => ScalingChange::To {
                node: node.clone(),
                count: *count,
            },
            Wish::By(node, difference) => ScalingChange::By {
                node: node.clone(),
                difference: *difference,
            },
            Wish::Remove(name) => match engine.state().find_instance(name) {
                Some(instance) => ScalingChange::Remove { instance },
                None if is_repeated => continue,
                None => {
                    return Err(Failure::usage(format!("there is no instance `{name}`"))
                        .hint("`zenekar status --full` shows all instances"));
                }
            },
        });
        if let Wish::To(node, _) | Wish::By(node, _) = wish
            && engine.state().find_node(node).is_none()
        {
            return Err(unknown_node(engine, node));
        }
    }
    Ok(changes)
}

fn unknown_node(engine: &Engine, node: &str) -> Failure {
    let refusal = Failure::from(Refusal::UnknownNode(node.to_owned()));
    match zenekar_diagnostics::did_you_mean(node, engine.state().names.keys().map(String::as_str)) {
        Some(meant) => refusal.hint(format!("did you mean `{meant}`?")),
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        assert_eq!(read_wish("app=5").ok(), Some(Wish::To("app".to_owned(), 5)));
        assert_eq!(
            read_wish("app=+2").ok(),
            Some(Wish::By("app".to_owned(), 2))
        );
        assert_eq!(
            read_wish("app=-2").ok(),
            Some(Wish::By("app".to_owned(), -2))
        );
        for wrong in [
            "app",
            "=5",
            "app=",
            "app=many",
            "app=1.5",
            "app=99999999999",
            "app=+",
            "app=--1",
        ] {
            assert!(read_wish(wrong).is_err(), "{wrong}");
        }
    }
}
