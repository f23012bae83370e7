//! The operations of the service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, oneshot};
use tokio::task::spawn_blocking;
use zenekar_base::{InfrastructureId, RequestId};
use zenekar_diagnostics::render_concise;
use zenekar_engine::{Engine, Input, ScalingRequest};
use zenekar_occopus_rest::{
    Address, Answer, Arguments, Costs, InstanceReport, NodeReport, OperationError, Operations,
    Report, Scaling,
};
use zenekar_runtime::{InboxRequest, SharedStore, Silent, submit, wait_applied};
use zenekar_store::InfrastructureRow;

use super::keeper::{Keeper, Post, tell};
use super::maintained::Maintained;
use super::{NAME, information};
use crate::arguments::parse_id;
use crate::commands::scale::new_request;
use crate::errors::Failure;
use crate::occopus::operations::{self, Audience, Bench, Change, Description, Lead, Led};
use crate::occopus::{log, report as told};
use crate::output::Output;
use crate::providers;
use crate::world;

/// How long a scaling request may take to be applied before it is answered.
const APPLY_PATIENCE: Duration = Duration::from_secs(10);

/// Resource types whose instances Occopus reports with a list of addresses;
/// those of all others have one.
const WITH_LISTS: &[&str] = &["azure_aci", "cloudbroker", "ec2"];

/// The operations, and who maintains what.
pub(super) struct Service {
    post: Post,
    kept: Mutex<BTreeMap<InfrastructureId, Keeper>>,
    requests: AtomicU64,
}

impl Service {
    pub(super) fn new(bench: Bench, output: Output) -> Result<Self, Failure> {
        let maintained = Maintained::of(&bench.place);
        Ok(Self {
            post: Post {
                store: SharedStore::new(bench.place.change()?),
                bench,
                maintained,
                output,
            },
            kept: Mutex::default(),
            requests: AtomicU64::new(0),
        })
    }

    /// Maintains again what was maintained when the service ended.
    pub(super) async fn restore(&self) -> Result<(), Failure> {
        for id in self.post.maintained.all() {
            match existing(&self.post.store, &id)? {
                Some(row) => {
                    self.tell(&format!("Start maintenance for infrastructure {id}"));
                    self.keep(&row).await;
                }
                // It was deleted by somebody else meanwhile.
                None => {
                    let _ = self.post.maintained.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Lets go of all infrastructures, which stay as they are.
    pub(super) async fn end(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().await);
        for id in kept.keys() {
            self.tell(&format!(
                "Infrastructure left running: {}",
                log::quoted(id.as_str())
            ));
        }
        let mut stopping = tokio::task::JoinSet::new();
        for keeper in kept.into_values() {
            stopping.spawn(keeper.stop());
        }
        while stopping.join_next().await.is_some() {}
    }

    fn tell(&self, text: &str) {
        tell(self.post.output, text);
    }

    /// Begins to maintain an infrastructure; says whether nobody did before.
    async fn keep(&self, row: &InfrastructureRow) -> bool {
        let mut kept = self.kept.lock().await;
        if kept.get(&row.id).is_some_and(Keeper::is_alive) {
            return false;
        }
        let keeper = Keeper::start(self.post.clone(), row.id.clone(), row.name.clone(), None);
        kept.insert(row.id.clone(), keeper);
        true
    }

    /// Takes the keeper of an infrastructure, if it is maintained.
    async fn take(&self, id: &InfrastructureId) -> Option<Keeper> {
        let keeper = self.kept.lock().await.remove(id)?;
        Some(keeper).filter(Keeper::is_alive)
    }

    async fn is_kept(&self, id: &InfrastructureId) -> bool {
        let kept = self.kept.lock().await;
        kept.get(id).is_some_and(Keeper::is_alive)
    }

    fn remember(&self, id: &InfrastructureId) -> Result<(), OperationError> {
        self.post.maintained.add(id).map_err(|error| {
            OperationError::Refused(format!(
                "cannot remember that `{id}` is maintained: {error}"
            ))
        })
    }

    /// Finds an infrastructure by the name that a client gives.
    async fn find(&self, text: &str) -> Result<InfrastructureRow, OperationError> {
        let unknown = || OperationError::UnknownInfrastructure(text.to_owned());
        let id = parse_id(text).map_err(|_| unknown())?;
        let store = self.post.store.clone();
        let found = aside(move || existing(&store, &InfrastructureId::new(id))).await?;
        found.ok_or_else(unknown)
    }

    /// Compiles a description and begins to bring its infrastructure up.
    async fn begin(&self, description: String) -> Result<String, OperationError> {
        let bench = self.post.bench.clone();
        let topology = aside(move || {
            let description = Description::Text {
                name: "POST data",
                text: &description,
            };
            let compiled = operations::compile(&bench, description)?;
            let Some(topology) = compiled.topology else {
                let errors: Vec<_> = compiled
                    .diagnostics
                    .into_iter()
                    .filter(zenekar_diagnostics::Diagnostic::is_error)
                    .collect();
                let text = render_concise(&errors, &compiled.sources);
                return Ok(Err(compiled.texts.error.unwrap_or(text)));
            };
            providers::check_topology(&topology)?;
            Ok(Ok(topology))
        })
        .await?
        .map_err(|text| OperationError::Refused(text.trim_end().to_owned()))?;
        let id = InfrastructureId::new(uuid::Uuid::new_v4().to_string());
        let (begun, told) = oneshot::channel();
        let name = topology.name().to_owned();
        self.remember(&id)?;
        let first = Some((Input::Intent(Arc::new(topology)), begun));
        let keeper = Keeper::start(self.post.clone(), id.clone(), name, first);
        self.kept.lock().await.insert(id.clone(), keeper);
        match told.await {
            Ok(Ok(())) => {
                self.tell(&format!(
                    "Submitted infrastructure: {}",
                    log::quoted(id.as_str())
                ));
                Ok(id.to_string())
            }
            Ok(Err(why)) => Err(OperationError::Refused(why)),
            Err(_) => Err(OperationError::Internal(
                "the maintenance ended before it began".to_owned(),
            )),
        }
    }

    /// Deletes an infrastructure. One that cannot be deleted yet is maintained,
    /// so that its deletion is tried again.
    async fn tear_down(&self, text: &str) -> Result<(), OperationError> {
        let row = self.find(text).await?;
        // Until nothing is left: a service that is started anew goes on with it.
        self.remember(&row.id)?;
        if let Some(keeper) = self.take(&row.id).await {
            keeper.stop().await;
        }
        self.tell(&format!("Tearing down infrastructure {}", row.id));
        let torn = operations::destroy(&self.post.bench, &row, NAME, Audience::Nobody).await;
        match torn {
            Ok(()) => {
                let _ = self.post.maintained.remove(&row.id);
                self.tell(&format!("Finished dropping infrastructure {}", row.id));
                Ok(())
            }
            Err(failure) => {
                self.keep(&row).await;
                Err(refused(failure))
            }
        }
    }

    /// Changes a count. That has happened when this is answered; instances
    /// come and go while the infrastructure is maintained.
    async fn change(&self, text: &str, node: &str, change: Change) -> Result<(), OperationError> {
        let row = self.find(text).await?;
        let (store, id, wanted) = (self.post.store.clone(), row.id.clone(), node.to_owned());
        let resolved = aside(move || {
            let engine = world::read_shared(&store, &id)?;
            if !has_node(&engine, &wanted) {
                return Ok(None);
            }
            operations::resolve(&engine, &wanted, &change).map(Some)
        });
        let changes = resolved.await?.ok_or_else(|| OperationError::UnknownNode {
            infrastructure: text.to_owned(),
            node: node.to_owned(),
        })?;
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = RequestId::new(format!("{}-{number}", new_request()));
        if !self.is_kept(&row.id).await {
            let (bench, id, name) = (self.post.bench.clone(), row.id.clone(), row.name.clone());
            let led = aside(move || operations::lead(&bench, &id, &name, None, NAME));
            if let Lead::Ours(led) = led.await? {
                return record(*led, ScalingRequest { request, changes }).await;
            }
        }
        let (store, id, name) = (self.post.store.clone(), row.id.clone(), request.clone());
        aside(move || Ok(submit(&store, &id, &name, &InboxRequest::Scale(changes))?)).await?;
        match wait_applied(&self.post.store, &row.id, &request, APPLY_PATIENCE).await {
            Ok(Some(outcome)) if outcome.starts_with("refused") => {
                Err(OperationError::Refused(outcome))
            }
            // One that is not applied yet is not lost either.
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error.into())),
        }
    }

    /// Reads how an infrastructure is.
    async fn look(&self, text: &str) -> Result<Engine, OperationError> {
        let row = self.find(text).await?;
        let store = self.post.store.clone();
        aside(move || world::read_shared(&store, &row.id)).await
    }
}

impl Operations for Service {
    fn submit(&self, description: String) -> Answer<'_, String> {
        Box::pin(self.begin(description))
    }

    fn list(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async {
            let store = self.post.store.clone();
            let rows = aside(move || Ok(store.with(|store| store.list_infrastructures())?));
            let rows = rows.await?.into_iter();
            let up = rows.filter(|row| row.removed_at.is_none());
            Ok(up.map(|row| row.id.to_string()).collect())
        })
    }

    fn report<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, Report> {
        Box::pin(async move { Ok(report_of(&self.look(infrastructure).await?)) })
    }

    fn delete<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()> {
        Box::pin(self.tear_down(infrastructure))
    }

    fn attach<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let row = self.find(infrastructure).await?;
            self.remember(&row.id)?;
            if !self.keep(&row).await {
                return Err(OperationError::AlreadyMaintained(infrastructure.to_owned()));
            }
            self.tell(&format!("Start maintenance for infrastructure {}", row.id));
            Ok(())
        })
    }

    fn detach<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let row = self.find(infrastructure).await?;
            let Some(keeper) = self.take(&row.id).await else {
                return Err(OperationError::NotMaintained(infrastructure.to_owned()));
            };
            self.tell(&format!("Stop maintaining infrastructure {}", row.id));
            // First, so that a service that dies now does not take it up again.
            let forgotten = self.post.maintained.remove(&row.id);
            keeper.stop().await;
            forgotten.map_err(|error| {
                OperationError::Refused(format!("cannot forget `{}`: {error}", row.id))
            })
        })
    }

    fn scale_up<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        count: u32,
    ) -> Answer<'a, ()> {
        Box::pin(self.change(infrastructure, node, Change::By(i64::from(count))))
    }

    fn scale_down<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        instance: Option<&'a str>,
    ) -> Answer<'a, ()> {
        let change = match instance {
            Some(instance) => Change::Remove(instance.to_owned()),
            None => Change::By(-1),
        };
        Box::pin(self.change(infrastructure, node, change))
    }

    fn scale_to<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        count: u32,
    ) -> Answer<'a, ()> {
        Box::pin(self.change(infrastructure, node, Change::To(count)))
    }

    fn notify<'a>(&'a self, infrastructure: &'a str, _notification: Value) -> Answer<'a, ()> {
        Box::pin(async move {
            let row = self.find(infrastructure).await?;
            self.tell(&format!(
                "Nobody is notified of events of infrastructure {}: the service for it (FCM's legacy interface) ended in 2024; `zenekar events {} --follow` shows them",
                row.id, row.id
            ));
            Ok(())
        })
    }

    fn cost<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, Costs> {
        Box::pin(async move {
            self.find(infrastructure).await?;
            // No provider of this version tells what its instances cost.
            Ok(Costs::default())
        })
    }

    fn information<'a>(&'a self, key: &'a str, arguments: Arguments) -> Answer<'a, Value> {
        Box::pin(async move {
            let question = information::read(key, arguments)?;
            let engine = self.look(question.infrastructure()).await?;
            question.answer(&engine)
        })
    }
}

/// Finds an infrastructure that is not down. The journal says so: lists are
/// not enough to leave machines alone.
fn existing(
    store: &SharedStore,
    id: &InfrastructureId,
) -> Result<Option<InfrastructureRow>, Failure> {
    let Some(row) = store.with(|store| store.infrastructure(id))? else {
        return Ok(None);
    };
    if row.removed_at.is_none() {
        return Ok(Some(row));
    }
    let engine = world::read_shared(store, id)?;
    let is_down = engine.state().torn_down || engine.state().intent.is_none();
    Ok(Some(row).filter(|_| !is_down))
}

/// Does what blocks on a thread where that does not matter.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, OperationError> {
    match spawn_blocking(work).await {
        Ok(result) => result.map_err(refused),
        Err(error) => Err(OperationError::Internal(error.to_string())),
    }
}

fn refused(failure: Failure) -> OperationError {
    OperationError::Refused(failure.summary())
}

/// Records a change of an infrastructure that nobody maintains: it is carried
/// out by whoever does next.
async fn record(led: Led, request: ScalingRequest) -> Result<(), OperationError> {
    let Led {
        host: _host,
        mut session,
    } = led;
    let recorded = session.record(Input::Scale(request), &mut Silent).await;
    aside(move || Ok(session.close()?)).await?;
    match recorded {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(refused(reason.into())),
        Err(error) => Err(refused(error.into())),
    }
}

/// Says whether the description has a node of the name now.
fn has_node(engine: &Engine, name: &str) -> bool {
    let state = engine.state();
    state
        .find_node(name)
        .is_some_and(|key| state.node(key).index.is_some())
}

/// Reports in the form of the service: nodes without instances are left out.
pub(super) fn report_of(engine: &Engine) -> Report {
    let providers = provider_names(engine);
    let nodes = told::Report::of(engine).nodes.into_iter();
    nodes
        .filter(|node| !node.instances.is_empty())
        .map(|node| {
            let actual = u32::try_from(node.instances.len()).unwrap_or(u32::MAX);
            let scaling = Scaling {
                actual,
                max: node.max,
                min: node.min,
                target: node.target,
            };
            let instances = node
                .instances
                .into_iter()
                .map(|instance| {
                    let provider = providers.get(&instance.id).copied().unwrap_or_default();
                    let reported = InstanceReport {
                        resource_address: address_of(instance.addresses, provider),
                        state: instance.state.to_owned(),
                    };
                    (instance.id, reported)
                })
                .collect();
            (node.name, NodeReport { instances, scaling })
        })
        .collect()
}

/// Returns the provider of each instance, by the instance's id.
fn provider_names(engine: &Engine) -> BTreeMap<String, &str> {
    let state = engine.state();
    state
        .instances
        .values()
        .filter_map(|instance| {
            let provider = state.providers.get(instance.provider?.index())?;
            Some((instance.tag.to_string(), provider.as_str()))
        })
        .collect()
}

/// Writes addresses as Occopus's plugin for the provider does.
fn address_of(addresses: Vec<String>, provider: &str) -> Address {
    if WITH_LISTS.contains(&provider) {
        return Address::Several(addresses);
    }
    Address::One(addresses.into_iter().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lists_where_the_plugin_has_lists() {
        let addresses = || vec!["x.example".to_owned(), "10.0.0.1".to_owned()];
        assert_eq!(
            address_of(addresses(), "nova"),
            Address::One("x.example".to_owned())
        );
        assert_eq!(
            address_of(addresses(), "ec2"),
            Address::Several(addresses())
        );
        assert_eq!(address_of(Vec::new(), "ec2"), Address::Several(Vec::new()));
        assert_eq!(address_of(Vec::new(), "local"), Address::One(String::new()));
    }
}
