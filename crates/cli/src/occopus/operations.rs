//! What Occopus's commands and its REST service do, without the words of either.
//!
//! [`import`], [`compile`], [`list`], [`report`] and [`lead`] block: a service
//! calls them on a thread where that does not matter. [`build`], [`scale`] and
//! [`destroy`] are asynchronous: they lead the infrastructure until the work
//! is done, or hand it to the process that leads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zenekar_base::{InfrastructureId, InstanceKey, RequestId};
use zenekar_diagnostics::codes::{description as codes, project};
use zenekar_diagnostics::{Diagnostic, SourceMap};
use zenekar_document::{Document, Limits, View};
use zenekar_engine::{Engine, Input, Refusal, ScalingChange, ScalingRequest};
use zenekar_model::Topology;
use zenekar_occopus::{
    DefinitionsFile, LoadOptions, NotCarried, OccopusConfiguration, load_definitions,
};
use zenekar_runtime::{
    Host, InboxRequest, RuntimeError, Session, SharedStore, submit, wait_applied,
};
use zenekar_store::{InfrastructureRow, StoreError};

use super::definitions::Definitions;
use super::drive::{Stopped, drive};
use super::report::Report;
use super::texts::{self, DescriptionTexts};
use super::turn;
use crate::arguments::{RunArguments, SimArguments};
use crate::clouds;
use crate::commands::{down, run, scale::new_request};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::place::Place;
use crate::providers::{self, Needs};
use crate::world::{self, World};

pub(crate) use super::drive::Audience;

/// How long the process that leads may take to look into its inbox. It looks
/// several times a second; a disk that hangs takes longer.
const APPLY_PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked whether the process that leads is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How often is looked whether the process that leads is done, before is tried
/// whether it leads still.
const LOOKS_PER_LEAD: u32 = 10;

/// Where and how operations work.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// The state directory.
    pub(crate) place: Place,
    /// The provider that all nodes run on instead of their own.
    pub(crate) on: Option<String>,
    /// Calls in flight per provider.
    pub(crate) parallel: Option<u32>,
    /// What Occopus's configuration says.
    #[allow(dead_code, reason = "the REST service and the adoption read it")]
    pub(crate) configuration: OccopusConfiguration,
}

impl Bench {
    fn run(&self) -> RunArguments {
        RunArguments {
            parallel: self.parallel,
            timeout: None,
            sim: SimArguments {
                pace: None,
                sim_profile: None,
                seed: None,
            },
        }
    }
}

/// What became of a file with node definitions.
#[derive(Debug)]
pub(crate) struct Imported {
    /// What was read and found; stored only if none of the findings is an error.
    pub(crate) file: DefinitionsFile,
    /// The texts that findings point into.
    pub(crate) sources: SourceMap,
    /// Whether the definitions were stored.
    pub(crate) is_stored: bool,
}

/// Reads a file with node definitions and stores them, if nothing is wrong with them.
pub(crate) fn import(bench: &Bench, path: &Path) -> Result<Imported, Failure> {
    let mut sources = SourceMap::default();
    let file = load_definitions(path, &LoadOptions::default(), &mut sources);
    let has_errors = file.diagnostics.iter().any(Diagnostic::is_error);
    let root = file.document.root().filter(|_| !has_errors);
    if let Some(root) = root {
        let definitions: Vec<(String, String)> = root
            .entries()
            .filter_map(|entry| {
                let (_, name) = entry.key.text().split_once(':')?;
                Some((name.to_owned(), super::definition_text(entry)))
            })
            .collect();
        Definitions::of(&bench.place).put(&definitions)?;
    }
    Ok(Imported {
        is_stored: root.is_some(),
        file,
        sources,
    })
}

/// Where an infrastructure description is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Description<'a> {
    /// In a file.
    File(&'a Path),
    /// Here. It cannot include files.
    #[allow(dead_code, reason = "the REST service gets descriptions as text")]
    Text {
        /// How findings call it.
        name: &'a str,
        /// Its text.
        text: &'a str,
    },
}

/// A description that was read together with the imported node definitions.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// What is to be built; none if there is an error among the findings.
    pub(crate) topology: Option<Topology>,
    /// The findings.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The texts that findings point into.
    pub(crate) sources: SourceMap,
    /// What the provider that everything runs on instead does not know.
    pub(crate) not_carried: Vec<NotCarried>,
    /// What Occopus prints.
    pub(crate) texts: DescriptionTexts,
}

/// Reads an infrastructure description, with the node definitions that were imported.
pub(crate) fn compile(bench: &Bench, description: Description<'_>) -> Result<Compiled, Failure> {
    let target = match &bench.on {
        Some(text) => Some(clouds::target(&bench.place, text)?),
        None => None,
    };
    let document = read(description);
    let types = types_of(&document);
    let options = LoadOptions {
        definitions: Definitions::of(&bench.place).files_of(types.iter().map(String::as_str)),
        only_definitions: true,
        // What comes as text comes over the network.
        allow_host_commands: bench.place.allows_host_commands()
            && matches!(description, Description::File(_)),
        ..LoadOptions::default()
    };
    let mut sources = SourceMap::default();
    let mut loaded = match description {
        Description::File(path) => zenekar_occopus::load(path, &options, &mut sources),
        Description::Text { name, text } => {
            zenekar_occopus::load_text(name, text, &options, &mut sources)
        }
    };
    for finding in &mut loaded.diagnostics {
        let help = "`occopus-import FILE` stores node definitions";
        if finding.code.id == project::NO_DEFINITIONS.id {
            finding.help = vec![help.to_owned()];
        } else if finding.code.id == codes::UNKNOWN_TYPE.id {
            finding.help.push(help.to_owned());
        }
    }
    let settled = loaded
        .topology
        .map(|topology| clouds::settle(&topology, target.as_ref()));
    let (topology, not_carried) = settled.unzip();
    let not_carried = not_carried.unwrap_or_default();
    let texts = document
        .root()
        .map_or_else(DescriptionTexts::default, |root| {
            texts::of_description(root, &loaded.diagnostics)
        });
    Ok(Compiled {
        topology,
        texts,
        diagnostics: loaded.diagnostics,
        sources,
        not_carried,
    })
}

/// Reads a description by itself. Its files have the same numbers as when it
/// is read with its node definitions, so that findings name the same places.
fn read(description: Description<'_>) -> Document {
    let mut sources = SourceMap::default();
    let limits = Limits::default();
    let loaded = match description {
        Description::File(path) => zenekar_document::load_file(path, &limits, &mut sources),
        Description::Text { name, text } => {
            zenekar_document::load_text(name, text, &limits, &mut sources)
        }
    };
    loaded.document
}

/// Returns the types of a description's nodes: which definitions are needed
/// has to be known before the description can be checked.
fn types_of(document: &Document) -> Vec<String> {
    let nodes = document.root().and_then(|root| root.get("nodes"));
    let nodes = nodes.into_iter().flat_map(View::items);
    let mut types: Vec<String> = nodes
        .filter_map(|node| node.get("type")?.as_str())
        .map(str::to_owned)
        .collect();
    types.sort();
    types.dedup();
    types
}

/// Returns the ids of the infrastructures that are not down.
pub(crate) fn list(bench: &Bench) -> Result<Vec<InfrastructureId>, Failure> {
    let Some(store) = bench.place.look()? else {
        return Ok(Vec::new());
    };
    let rows = store.list_infrastructures()?;
    let up = rows.into_iter().filter(|row| row.removed_at.is_none());
    Ok(up.map(|row| row.id).collect())
}

/// Reports the instances of an infrastructure; none if there is no such infrastructure.
pub(crate) fn report(bench: &Bench, id: &InfrastructureId) -> Result<Option<Report>, Failure> {
    if existing(bench, id)?.is_none() {
        return Ok(None);
    }
    let engine = world::read(bench.place.look_at()?, id)?;
    Ok(Some(Report::of(&engine)))
}

/// Finds an infrastructure that is not down.
pub(crate) fn existing(
    bench: &Bench,
    id: &InfrastructureId,
) -> Result<Option<InfrastructureRow>, Failure> {
    let Some(store) = bench.place.look()? else {
        return Ok(None);
    };
    let Some(row) = store.infrastructure(id)? else {
        return Ok(None);
    };
    let is_down = row.removed_at.is_some() && down::is_down(&bench.place, &row)?;
    Ok(Some(row).filter(|_| !is_down))
}

/// An infrastructure that this process leads.
pub(crate) struct Led {
    /// The world around the session.
    pub(crate) host: Arc<Host>,
    /// The session.
    pub(crate) session: Session,
}

/// Who leads an infrastructure after an attempt to.
pub(crate) enum Lead {
    /// This process.
    Ours(Box<Led>),
    /// Another one: its process id and command. The store is there to hand requests over.
    Theirs(SharedStore, String),
}

/// Takes the lead of an infrastructure, with the providers that it needs and
/// those of the topology that it is to have.
pub(crate) fn lead(
    bench: &Bench,
    id: &InfrastructureId,
    name: &str,
    next: Option<&Topology>,
    command: &str,
) -> Result<Lead, Failure> {
    let engine = world::read_or_new(&bench.place, id)?;
    let needs = Needs::of(engine.state(), next);
    drop(engine);
    let store = SharedStore::new(bench.place.change()?);
    let World { host, .. } = world::world(&bench.place, store, &bench.run(), None, &needs)?;
    match Session::lead(Arc::clone(&host), id, name, command) {
        Ok(session) => Ok(Lead::Ours(Box::new(Led { host, session }))),
        Err(RuntimeError::Store(StoreError::LeaseHeld { holder, .. })) => {
            let leader = format!("`{}` (process {})", holder.command, holder.pid);
            Ok(Lead::Theirs(host.store.clone(), leader))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why an infrastructure was not built, and what is left of it.
#[derive(Debug)]
pub(crate) struct BuildFailure {
    /// Why.
    pub(crate) failure: Failure,
    /// What is left.
    pub(crate) remains: Remains,
}

/// What a build that failed leaves.
#[derive(Debug)]
pub(crate) enum Remains {
    /// Everything as it was before.
    Untouched,
    /// Nothing: the infrastructure was new, and everything was deleted again.
    Nothing,
    /// Everything that ran before, and what could be changed.
    Kept,
    /// Something that could not be deleted again; it is known and can be destroyed.
    Orphans(Failure),
}

impl From<Failure> for BuildFailure {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            remains: Remains::Untouched,
        }
    }
}

/// Builds an infrastructure, or changes a running one, and waits until everything is ready.
///
/// What of a new infrastructure cannot be built takes the rest down again. Of a
/// running one everything stays.
pub(crate) async fn build(
    bench: &Bench,
    id: &InfrastructureId,
    topology: Arc<Topology>,
    command: &str,
    audience: Audience,
) -> Result<Report, BuildFailure> {
    providers::check_topology(&topology)?;
    let (_turn, led) = turn::lead(bench, id, &topology, command).await?;
    let Led { host, mut session } = match led {
        Lead::Ours(led) => *led,
        Lead::Theirs(_, leader) => return Err(led_by_another(id, &leader).into()),
    };
    let state = session.engine().state();
    let is_new = state.intent.is_none() || state.torn_down;
    let name = topology.name().to_owned();
    let ended = drive(&mut session, &host, vec![Input::Intent(topology)], audience).await;
    let report = Report::of(session.engine());
    if let (Ok(()), Audience::Terminal(output)) = (&ended, audience) {
        run::tell_details(id, session.engine(), &host, output).await;
    }
    let is_refused = matches!(
        ended,
        Err(Stopped {
            is_refused: true,
            ..
        })
    );
    session.close().map_err(Failure::from)?;
    let Err(Stopped { failure, .. }) = ended else {
        return Ok(report);
    };
    let remains = if is_refused {
        Remains::Untouched
    } else if is_new {
        match roll_back(bench, id, &name, command, audience).await {
            Ok(()) => Remains::Nothing,
            Err(failure) => Remains::Orphans(failure),
        }
    } else {
        Remains::Kept
    };
    Err(BuildFailure { failure, remains })
}

/// Takes down what is there of an infrastructure that could not be built.
async fn roll_back(
    bench: &Bench,
    id: &InfrastructureId,
    name: &str,
    command: &str,
    audience: Audience,
) -> Result<(), Failure> {
    match lead(bench, id, name, None, command)? {
        Lead::Ours(led) => tear_down(*led, audience).await,
        Lead::Theirs(_, leader) => Err(led_by_another(id, &leader)),
    }
}

async fn tear_down(led: Led, audience: Audience) -> Result<(), Failure> {
    let Led { host, mut session } = led;
    let ended = drive(&mut session, &host, vec![Input::Teardown], audience).await;
    session.close()?;
    ended.map_err(|stopped| stopped.failure)
}

/// Brings an infrastructure into the state that is wanted once: replaces what
/// was lost, and waits until everything is ready.
pub(crate) async fn settle(
    bench: &Bench,
    row: &InfrastructureRow,
    command: &str,
    audience: Audience,
) -> Result<(), Failure> {
    match lead(bench, &row.id, &row.name, None, command)? {
        Lead::Ours(led) => {
            let Led { host, mut session } = *led;
            let ended = drive(&mut session, &host, vec![Input::Resume], audience).await;
            session.close()?;
            ended.map_err(|stopped| stopped.failure)
        }
        Lead::Theirs(store, _) => {
            let request = RequestId::new(new_request());
            hand_over(&store, &row.id, &request, &InboxRequest::Resume).await
        }
    }
}

/// How the count of a node changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// By so many instances.
    By(i64),
    /// To so many instances.
    To(u32),
    /// By one instance less: the one with this node id or address.
    Remove(String),
}

/// Changes how many instances a node has, exactly once. Without another
/// process that leads, waits until the instances are there or gone.
pub(crate) async fn scale(
    bench: &Bench,
    row: &InfrastructureRow,
    node: &str,
    change: &Change,
    command: &str,
    audience: Audience,
) -> Result<(), Failure> {
    let request = RequestId::new(new_request());
    match lead(bench, &row.id, &row.name, None, command)? {
        Lead::Ours(led) => {
            let Led { host, mut session } = *led;
            let changes = resolve(session.engine(), node, change)?;
            let input = Input::Scale(ScalingRequest { request, changes });
            // What was given up is tried again too.
            let inputs = vec![input, Input::Resume];
            let ended = drive(&mut session, &host, inputs, audience).await;
            session.close()?;
            ended.map_err(|stopped| stopped.failure)
        }
        Lead::Theirs(store, _) => {
            let engine = world::read_shared(&store, &row.id)?;
            let changes = resolve(&engine, node, change)?;
            hand_over(&store, &row.id, &request, &InboxRequest::Scale(changes)).await
        }
    }
}

/// Hands a request to the process that leads, and waits until it has taken it.
pub(crate) async fn hand_over(
    store: &SharedStore,
    id: &InfrastructureId,
    request: &RequestId,
    wanted: &InboxRequest,
) -> Result<(), Failure> {
    submit(store, id, request, wanted)?;
    match wait_applied(store, id, request, APPLY_PATIENCE).await? {
        Some(text) if text.starts_with("refused") => Err(Failure::new(Exit::Refused, text)),
        Some(_) => Ok(()),
        None => Err(Failure::new(
            Exit::Timeout,
            format!(
                "request `{request}` is stored, but the process that leads has not applied it yet"
            ),
        )
        .hint("it is applied once, by that process or by the next one that leads")),
    }
}

/// Finds what a change is about.
pub(crate) fn resolve(
    engine: &Engine,
    node: &str,
    change: &Change,
) -> Result<Vec<ScalingChange>, Failure> {
    let state = engine.state();
    let current = state
        .find_node(node)
        .filter(|key| state.node(*key).index.is_some());
    let Some(key) = current else {
        let failure = Failure::from(Refusal::UnknownNode(node.to_owned()));
        let names = state.names.keys().map(String::as_str);
        return Err(match zenekar_diagnostics::did_you_mean(node, names) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure,
        });
    };
    let node = node.to_owned();
    Ok(vec![match change {
        Change::By(difference) => ScalingChange::By {
            node,
            difference: *difference,
        },
        Change::To(count) => ScalingChange::To {
            node,
            count: *count,
        },
        Change::Remove(wanted) => {
            let members = state.node(key).instances.iter();
            let found = members.copied().find(|key| is_called(engine, *key, wanted));
            let instance = found.ok_or_else(|| {
                Failure::usage(format!("node `{node}` has no instance `{wanted}`"))
                    .hint("give the node id or an address of one of its instances")
            })?;
            ScalingChange::Remove { instance }
        }
    }])
}

/// Says whether an instance has this node id, address or name.
fn is_called(engine: &Engine, key: InstanceKey, text: &str) -> bool {
    engine.state().instances.get(&key).is_some_and(|instance| {
        instance.doom.is_none()
            && (instance.tag.as_str() == text
                || instance.addresses.all.iter().any(|one| one == text)
                || instance.addresses.private.as_deref() == Some(text)
                || engine.state().instance_name(instance) == text)
    })
}

/// Deletes an infrastructure with everything that belongs to it. What cannot
/// be deleted is not forgotten.
pub(crate) async fn destroy(
    bench: &Bench,
    row: &InfrastructureRow,
    command: &str,
    audience: Audience,
) -> Result<(), Failure> {
    let request = RequestId::new(new_request());
    loop {
        let store = match lead(bench, &row.id, &row.name, None, command)? {
            Lead::Ours(led) => return tear_down(*led, audience).await,
            Lead::Theirs(store, _) => store,
        };
        // Whoever leads may end before it has done so: then it is our turn.
        submit(&store, &row.id, &request, &InboxRequest::Teardown)?;
        for _ in 0..LOOKS_PER_LEAD {
            tokio::time::sleep(LOOK_INTERVAL).await;
            match store.with(|store| store.infrastructure(&row.id))? {
                Some(found) if found.removed_at.is_none() => {}
                _ => return Ok(()),
            }
        }
    }
}

/// Makes the failure for an infrastructure that another process leads.
pub(crate) fn led_by_another(id: &InfrastructureId, leader: &str) -> Failure {
    Failure::new(Exit::State, format!("{leader} looks after `{id}`"))
        .hint("detach it from the REST service, or stop that process; then run the command again")
}
