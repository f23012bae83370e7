//! Finds the instances that `logs`, `exec`, `shell` and `open` are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::{ErrorClass, InfrastructureId, InstanceKey, NodeKey, ProviderError, ResourceId};
use zenekar_engine::{Engine, Instance};
use zenekar_provider::Provider;
use zenekar_runtime::SharedStore;

use crate::arguments::Global;
use crate::commands::why;
use crate::errors::{Failure, exit_of_class};
use crate::output::{Output, counted};
use crate::place::{self, Place};
use crate::providers;
use crate::render::why::{Found, find};
use crate::world;

/// An instance that exists at a provider.
#[derive(Clone)]
pub(crate) struct Target {
    /// Its key.
    pub(crate) key: InstanceKey,
    /// Its name for people: `app/3`.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) provider: Arc<dyn Provider>,
    /// What the provider calls it.
    pub(crate) resource: ResourceId,
}

/// What a command line names: a node or an instance of an infrastructure.
pub(crate) struct Subject {
    /// The infrastructure.
    pub(crate) infrastructure: InfrastructureId,
    /// The infrastructure as its journal says.
    pub(crate) engine: Engine,
    /// Where the journal is.
    pub(crate) store: SharedStore,
    /// What was found.
    pub(crate) found: Found,
    name: String,
    place: Place,
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Subject {
    /// Finds what is meant by `[INFRA] SUBJECT`.
    pub(crate) fn find(words: &[String], global: &Global) -> Result<Self, Failure> {
        let (infrastructure, name) = match words {
            [infrastructure, name] => (Some(infrastructure.as_str()), name),
            [name] => (None, name),
            _ => return Err(Failure::usage("say which node or instance")),
        };
        let place = Place::find(global)?;
        let store = place.look_at()?;
        let row = place::find(&store, infrastructure)?;
        let store = SharedStore::new(store);
        let engine = world::read_shared(&store, &row.id)?;
        let found = match find(&engine, name) {
            Some(Found::Gone) => {
                return Err(
                    Failure::usage(format!("instance `{name}` does not exist any more"))
                        .hint("`zenekar status` shows nodes and instances"),
                );
            }
            Some(found) => found,
            None => return Err(why::unknown(&engine, name)),
        };
        Ok(Self {
            infrastructure: row.id,
            engine,
            store,
            found,
            name: name.clone(),
            place,
            providers: BTreeMap::new(),
        })
    }

    /// Reads the journal anew.
    pub(crate) fn refresh(&mut self) -> Result<(), Failure> {
        self.engine = world::read_shared(&self.store, &self.infrastructure)?;
        Ok(())
    }

    /// Returns the instances that are meant and not known to be gone.
    pub(crate) fn instances(&self) -> Vec<&Instance> {
        let state = self.engine.state();
        match self.found {
            Found::Node(node) => instances_of(&self.engine, node),
            Found::Instance(key) => state.instances.get(&key).into_iter().collect(),
            Found::Gone => Vec::new(),
        }
    }

    /// Returns those of the instances that exist at a provider.
    pub(crate) fn targets(&mut self) -> Result<Vec<Target>, Failure> {
        let state = self.engine.state();
        let mut found = Vec::new();
        for instance in self.instances() {
            let provider = instance
                .provider
                .and_then(|index| state.providers.get(index.index()));
            if let (Some(provider), Some(resource)) = (provider, &instance.resource) {
                let name = state.instance_name(instance);
                found.push((instance.key, name, provider.clone(), resource.clone()));
            }
        }
        let mut targets = Vec::new();
        for (key, name, provider, resource) in found {
            let provider = self.provider(&provider)?;
            targets.push(Target {
                key,
                name,
                provider,
                resource,
            });
        }
        Ok(targets)
    }

    /// Returns the one instance that is meant; of a node its first one.
    pub(crate) fn only(&mut self, output: Output) -> Result<Target, Failure> {
        let serving: Vec<InstanceKey> = {
            let instances = self.instances().into_iter();
            let serving = instances.filter(|instance| instance.serves());
            serving.map(|instance| instance.key).collect()
        };
        let targets = self.targets()?;
        let first = targets
            .iter()
            .find(|target| serving.contains(&target.key))
            .or(targets.first());
        let Some(first) = first else {
            return Err(self.nothing_there());
        };
        if targets.len() > 1 && !output.is_json() {
            let text = format!(
                "`{}` has {}; this is `{}`",
                self.name,
                counted(targets.len(), "instance"),
                first.name
            );
            output.line(&text);
        }
        Ok(first.clone())
    }

    /// Makes the failure for a subject without any instance at a provider.
    pub(crate) fn nothing_there(&self) -> Failure {
        let text = match self.found {
            Found::Node(_) => format!("no instance of `{}` has been created yet", self.name),
            _ => format!("`{}` has not been created yet", self.name),
        };
        Failure::usage(text).hint(format!(
            "`zenekar why {}` says what it waits for",
            self.name
        ))
    }

    fn provider(&mut self, name: &str) -> Result<Arc<dyn Provider>, Failure> {
        if let Some(provider) = self.providers.get(name) {
            return Ok(Arc::clone(provider));
        }
        let provider = providers::open_one(&self.place, &self.store, name)?;
        self.providers
            .insert(name.to_owned(), Arc::clone(&provider));
        Ok(provider)
    }
}

fn instances_of(engine: &Engine, node: NodeKey) -> Vec<&Instance> {
    let state = engine.state();
    let keys = state.node(node).instances.iter();
    keys.filter_map(|key| state.instances.get(key)).collect()
}

/// Makes a failure from one of a provider about an instance.
pub(crate) fn failed(target: &Target, error: &ProviderError) -> Failure {
    let failure = Failure::new(
        exit_of_class(error.class),
        format!("`{}`: {}", target.name, error.message),
    );
    match error.class {
        ErrorClass::Invalid if target.provider.name() == providers::SIM => failure.hint(
            "simulated machines run nothing; `zenekar up FILE --on local` makes instances that can be looked into",
        ),
        ErrorClass::NotFound => {
            failure.hint("`zenekar watch` notices what is gone, and replaces it")
        }
        _ => failure,
    }
}
