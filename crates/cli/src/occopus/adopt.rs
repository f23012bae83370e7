//! `zenekar occopus adopt`: takes over what Occopus runs.
//!
//! Occopus's database is only read. What is found is shown, and recorded as
//! one fact per infrastructure: no instance is touched, and who is interrupted
//! has taken over an infrastructure in full or not at all.

mod candidate;
mod show;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zenekar_base::InfrastructureId;
use zenekar_diagnostics::SourceMap;
use zenekar_document::{Limits, load_text};
use zenekar_engine::{Engine, Input};
use zenekar_occopus_redis::{Definition, Installation, ReadError, ReadOptions, read};
use zenekar_provider::Provider;
use zenekar_runtime::{Session, SharedStore, Silent};

use super::arguments::AdoptArguments;
use super::definitions::Definitions;
use crate::arguments::{Global, RunArguments, SimArguments};
use crate::clouds::{self, Target};
use crate::commands::run::confirm;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::output::{Output, counted};
use crate::place::Place;
use crate::providers::{self, Needs};
use crate::world::{self, World};
use candidate::{Candidate, Fate};

/// Where Occopus lists the infrastructures that it has built, in a home directory.
const INFRALIST: &str = ".occopus/infralist.yaml";

/// Bytes of that list: it has 40 for each infrastructure.
const INFRALIST_BYTES_MAX: usize = 1 << 20;

pub(crate) fn run(
    arguments: &AdoptArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let target = match &arguments.on {
        Some(text) => Some(find_target(&place, text)?),
        None => None,
    };
    let listed = listed_ids(arguments)?;
    let installation = read_installation(arguments, listed.as_ref())?;
    let mut candidates = candidates(&installation, arguments, target.as_ref(), &place)?;
    let missing = missing_ids(&candidates, listed.as_ref());
    if let Some(id) = arguments.ids.iter().find(|id| missing.contains(*id)) {
        return Err(Failure::usage(format!(
            "Occopus keeps nothing about an infrastructure `{id}`"
        ))
        .hint(
            "`occopus-maintain -l` lists those that it has built; without an id, all are shown",
        ));
    }
    world::block_on(async {
        for candidate in &mut candidates {
            look_up(candidate, &place).await?;
        }
        Ok(())
    })?;
    for candidate in &mut candidates {
        candidate.plan();
    }
    if !output.is_json() {
        output.talk(&show::preview(&candidates, &missing, output));
        if arguments.ids.is_empty() {
            show::others(&installation, output);
        }
    }
    let is_any = candidates.iter().any(Candidate::is_adoptable);
    // A program cannot be asked: it is told what could be taken over.
    if is_any && (arguments.yes || !output.is_json()) {
        confirm("Take them over?", arguments.yes, output)?;
        store_definitions(&installation, &candidates, &place, output)?;
        for candidate in &mut candidates {
            if candidate.is_adoptable() {
                take_over(candidate, &place)?;
            }
        }
    }
    finish(&candidates, &missing, output)
}

/// Finds the provider that is meant; refuses those at which nothing of Occopus's can be.
fn find_target(place: &Place, text: &str) -> Result<Target, Failure> {
    let target = clouds::target(place, text)?;
    if target.kind == providers::LOCAL {
        return Err(Failure::usage(
            "nothing of what Occopus runs is among the instances on this machine",
        )
        .hint("`--on sim` tries the adoption on a simulated cloud"));
    }
    Ok(target)
}

/// Returns the ids that are meant; `None` for all that are there.
fn listed_ids(arguments: &AdoptArguments) -> Result<Option<BTreeSet<String>>, Failure> {
    if !arguments.ids.is_empty() {
        return Ok(Some(arguments.ids.iter().cloned().collect()));
    }
    if let Some(path) = &arguments.infralist {
        return read_infralist(path).map(Some);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match home.map(|home| home.join(INFRALIST)) {
        Some(path) if path.is_file() => read_infralist(&path).map(Some),
        _ => Ok(None),
    }
}

/// Reads the list of infrastructures that Occopus has built.
fn read_infralist(path: &Path) -> Result<BTreeSet<String>, Failure> {
    let failed = |why: &str| {
        let text = format!(
            "cannot read the list of infrastructures `{}`",
            path.display()
        );
        Failure::usage(text)
            .cause(why)
            .hint("give the ids themselves, or another list with `--infralist`")
    };
    let size = std::fs::metadata(path).map_err(|error| failed(&error.to_string()))?;
    if size.len() > INFRALIST_BYTES_MAX as u64 {
        return Err(failed("it is far too large"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error.to_string()))?;
    if text.trim().is_empty() {
        return Ok(BTreeSet::new());
    }
    let limits = Limits {
        bytes_max: INFRALIST_BYTES_MAX,
        ..Limits::default()
    };
    let name = path.display().to_string();
    let loaded = load_text(&name, &text, &limits, &mut SourceMap::default());
    let root = loaded.document.root();
    let items = root
        .map(zenekar_document::View::items)
        .into_iter()
        .flatten();
    let ids: Option<BTreeSet<String>> =
        items.map(|item| item.as_str().map(str::to_owned)).collect();
    match ids {
        Some(ids) if loaded.diagnostics.is_empty() => Ok(ids),
        _ => Err(failed("it is no list of ids")),
    }
}

fn read_installation(
    arguments: &AdoptArguments,
    ids: Option<&BTreeSet<String>>,
) -> Result<Installation, Failure> {
    let options = ReadOptions {
        ids: ids.cloned(),
        ..ReadOptions::default()
    };
    read(&arguments.redis, &options).map_err(|error| {
        let exit = match &error {
            ReadError::Address { .. } => Exit::Usage,
            ReadError::Authentication { .. } => Exit::Auth,
            ReadError::Connect { .. } | ReadError::Command { .. } => Exit::Provider,
            ReadError::TooManyKeys { .. }
            | ReadError::TooManyInfrastructures
            | ReadError::TooLarge => Exit::Capacity,
        };
        let hint = match &error {
            ReadError::Address { .. } => {
                "write `redis://[[USER]:PASSWORD@]HOST[:PORT]`, or `rediss://…` for TLS"
            }
            ReadError::Authentication { .. } => {
                "a password goes into the address: `redis://:PASSWORD@HOST`; the variable `ZENEKAR_REDIS` keeps it out of the list of processes"
            }
            ReadError::Connect { .. } | ReadError::Command { .. } => {
                "Occopus's configuration names its server under `uds`; the server has to run"
            }
            _ => "give the ids of the infrastructures that you want",
        };
        Failure::new(exit, error.to_string()).hint(hint)
    })
}

/// Turns what was read into candidates, and finds out what is there already.
fn candidates(
    installation: &Installation,
    arguments: &AdoptArguments,
    target: Option<&Target>,
    place: &Place,
) -> Result<Vec<Candidate>, Failure> {
    let store = place.look()?.map(SharedStore::new);
    let mut candidates = Vec::new();
    let of_user = |user: &str| {
        arguments
            .user
            .as_deref()
            .is_none_or(|wanted| wanted == user)
    };
    for stored in &installation.infrastructures {
        if !of_user(&stored.owner.user) {
            continue;
        }
        let mut candidate = Candidate::new(stored, installation, target);
        if let (Some(store), Ok(id)) = (&store, &candidate.id) {
            let is_known = store.with(|store| store.infrastructure(id))?.is_some();
            if is_known {
                candidate.meet(&world::read_shared(store, id)?);
            }
        }
        candidates.push(candidate);
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> = candidates
        .iter()
        .filter(|candidate| !seen.insert(candidate.stored.owner.id.clone()))
        .map(|candidate| candidate.stored.owner.id.clone())
        .collect();
    for candidate in &mut candidates {
        if twice.contains(&candidate.stored.owner.id) {
            candidate.refuse(
                "several users have an infrastructure of this id; `--user` says whose is meant"
                    .to_owned(),
            );
        }
    }
    Ok(candidates)
}

/// Returns the ids that were asked for and of which nothing is stored.
fn missing_ids(candidates: &[Candidate], listed: Option<&BTreeSet<String>>) -> BTreeSet<String> {
    let found: BTreeSet<&str> = candidates
        .iter()
        .map(|candidate| candidate.stored.owner.id.as_str())
        .collect();
    let listed = listed.into_iter().flatten();
    listed
        .filter(|id| !found.contains(id.as_str()))
        .cloned()
        .collect()
}

/// Builds the world in which a candidate's instances are, as far as this
/// version can reach them.
fn world_of(candidate: &Candidate, place: &Place, id: &InfrastructureId) -> Result<World, Failure> {
    let run = RunArguments {
        parallel: None,
        timeout: None,
        sim: SimArguments {
            pace: None,
            sim_profile: None,
            seed: None,
        },
    };
    let engine = Engine::new(id.clone(), providers::settings_to_look());
    let needs = Needs::of(engine.state(), candidate.topology.as_deref());
    let store = SharedStore::new(place.change()?);
    world::partial_world(place, store, &run, None, &needs)
}

/// Looks at the instances of a candidate, where their provider is at hand.
async fn look_up(candidate: &mut Candidate, place: &Place) -> Result<(), Failure> {
    let Some(id) = candidate.id_to_adopt() else {
        return Ok(());
    };
    if candidate.providers_at_hand().is_empty() {
        return Ok(());
    }
    for name in candidate.providers_at_hand() {
        let looked = match open_to_look(candidate, place, &id, &name) {
            Ok(Some(provider)) => candidate.look_at(&id, &*provider).await,
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        // What cannot be looked at cannot be taken over as it is; others can.
        if let Err(failure) = looked {
            candidate.refuse(failure.message().to_owned());
        }
    }
    Ok(())
}

/// Opens a provider to look at what Occopus has made there: by the ids of the
/// instances, since they carry no tags of ours.
fn open_to_look(
    candidate: &Candidate,
    place: &Place,
    id: &InfrastructureId,
    name: &str,
) -> Result<Option<Arc<dyn Provider>>, Failure> {
    if clouds::CLOUD_KINDS.contains(&zenekar_base::kind_of_provider(name)) {
        let key = name
            .parse()
            .map_err(|error: zenekar_base::CloudKeyError| Failure::usage(error.to_string()))?;
        return opening::open_key(place, &key).map(Some);
    }
    let World { host, .. } = world_of(candidate, place, id)?;
    Ok(host.providers.get(name).map(Arc::clone))
}

/// Records an infrastructure as ours.
fn take_over(candidate: &mut Candidate, place: &Place) -> Result<(), Failure> {
    let (Some(id), Some(adoption)) = (candidate.id_to_adopt(), candidate.adoption()) else {
        return Ok(());
    };
    let name = candidate.stored.name.clone();
    world::block_on(async {
        let World { host, .. } = world_of(candidate, place, &id)?;
        let mut session = Session::lead(host, &id, &name, "zenekar occopus adopt")?;
        let refusal = session.record(Input::Adopt(adoption), &mut Silent).await?;
        session.close()?;
        match refusal {
            Some(refusal) => Err(Failure::from(refusal)),
            None => Ok(()),
        }
    })?;
    candidate.fate = Fate::Adopted;
    Ok(())
}

/// Stores the node definitions of those whose infrastructures are taken over,
/// as an import would. What was imported here before is newer, and stays.
fn store_definitions(
    installation: &Installation,
    candidates: &[Candidate],
    place: &Place,
    output: Output,
) -> Result<(), Failure> {
    let users: BTreeSet<&str> = candidates
        .iter()
        .filter(|candidate| candidate.is_adoptable())
        .map(|candidate| candidate.stored.owner.user.as_str())
        .collect();
    let registry = Definitions::of(place);
    let wanted = installation
        .definitions
        .iter()
        .filter(|definition| users.contains(definition.user.as_str()));
    let mut stored: Vec<(String, String)> = Vec::new();
    for definition in wanted {
        let text = match definition.file() {
            Ok(text) => text,
            Err(problem) => {
                tell_definition(output, definition, &problem);
                continue;
            }
        };
        let earlier = stored.iter().find(|(name, _)| *name == definition.name);
        if earlier.is_some_and(|(_, earlier)| *earlier != text) {
            tell_definition(output, definition, "another user's has the same name");
        } else if earlier.is_none() && registry.files_of([definition.name.as_str()]).is_empty() {
            stored.push((definition.name.clone(), text));
        }
    }
    if stored.is_empty() {
        return Ok(());
    }
    registry.put(&stored)
}

fn tell_definition(output: Output, definition: &Definition, why: &str) {
    if !output.is_json() {
        let (name, user) = (&definition.name, &definition.user);
        output.warn(&format!(
            "node definition `{name}` of user `{user}` is not taken over: {why}"
        ));
    }
}

/// Says what came of it.
fn finish(
    candidates: &[Candidate],
    missing: &BTreeSet<String>,
    output: Output,
) -> Result<Exit, Failure> {
    let refused: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| matches!(candidate.fate, Fate::Refused(_)))
        .collect();
    if output.is_json() {
        output.json(&show::to_json(candidates, missing))?;
    } else {
        show::outcome(candidates, output);
    }
    let Some(first) = refused.first() else {
        return Ok(Exit::Success);
    };
    let why = match &first.fate {
        Fate::Refused(why) => why.clone(),
        _ => String::new(),
    };
    Err(Failure::new(
        Exit::Refused,
        format!(
            "{} cannot be taken over",
            counted(refused.len(), "infrastructure")
        ),
    )
    .cause(format!("`{}`: {why}", first.stored.owner.id)))
}
