//! A store, a simulated cloud and a clock in a directory of their own.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use zenekar_base::{Addresses, Fingerprint, InfrastructureId, ProbeSpec, RequestId, Value};
use zenekar_engine::{
    Engine, Entry, Input, Notice, Record, ScalingChange, ScalingRequest, Snapshot, State,
};
use zenekar_model::{
    CountRange, Definition, Dependency, Implementation, Node, NodeFingerprint, NodeIndex,
    RenderError, RenderInput, Rendered, Renderer, Topology, TopologyParts, UpdateLimits,
};
use zenekar_provider::{Bindings, Provider, Scoped};
use zenekar_provider_sim::{SimFiles, SimProvider};
use zenekar_runtime::{
    Cancel, Clock, Host, Observer, Outcome, Pace, RuntimeError, Session, SharedStore, Silent,
    StoreBindings, Until,
};
use zenekar_simcloud::{LedgerEntry, Settings};
use zenekar_store::{Store, StoreOptions};

pub(crate) const ID: &str = "demo";

pub(crate) fn id() -> InfrastructureId {
    InfrastructureId::new(ID)
}

/// Renders the resource section as it is.
pub(crate) struct Plain;

impl Renderer for Plain {
    fn render(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
    ) -> Result<Rendered, RenderError> {
        let candidate = topology
            .candidate(input.node, input.candidate)
            .ok_or_else(|| RenderError {
                message: "no such candidate".to_owned(),
            })?;
        if candidate.resource.get("fail").is_some() {
            return Err(RenderError {
                message: "variable `colour` is undefined (hello.yaml:3)".to_owned(),
            });
        }
        let user_data = candidate
            .resource
            .get("user_data")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok(Rendered {
            resource: candidate.resource.clone(),
            user_data,
            ..Rendered::default()
        })
    }

    fn probes(
        &self,
        _: &Topology,
        _: &RenderInput<'_>,
        _: &Addresses,
    ) -> Result<ProbeSpec, RenderError> {
        Ok(ProbeSpec {
            ping: true,
            ..ProbeSpec::default()
        })
    }
}

/// One node of a test's descriptor.
#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) count: (u32, u32),
    pub(crate) needs: Vec<u32>,
    pub(crate) provider: &'static str,
    pub(crate) resource: Value,
}

pub(crate) fn role(name: &'static str, min: u32, max: u32, needs: &[u32]) -> Role {
    Role {
        name,
        count: (min, max),
        needs: needs.to_vec(),
        provider: "sim",
        resource: Value::Map(Vec::new()),
    }
}

pub(crate) fn topology(roles: &[Role]) -> Arc<Topology> {
    let definitions = roles.iter().map(|role| Definition {
        name: role.name.to_owned(),
        implementations: vec![Implementation {
            provider: role.provider.to_owned(),
            resource: role.resource.clone(),
            ..Implementation::default()
        }],
    });
    let nodes = roles.iter().enumerate().map(|(place, role)| Node {
        name: role.name.to_owned(),
        definition: u32::try_from(place).unwrap(),
        candidates: vec![0],
        fingerprints: vec![NodeFingerprint {
            resource: Fingerprint::of_text(&format!("{:?}", role.resource)),
            context: Fingerprint::default(),
        }],
        count: CountRange {
            min: role.count.0,
            max: role.count.1,
        },
        variables: Value::Null,
        filter: Value::Null,
        scaling: Value::Null,
        dependencies: role
            .needs
            .iter()
            .map(|on| Dependency {
                on: NodeIndex(*on),
                on_address_change: None,
                mappings: Vec::new(),
            })
            .collect(),
        references: Vec::new(),
        update: UpdateLimits::default(),
    });
    let parts = TopologyParts {
        name: ID.to_owned(),
        definitions: definitions.collect(),
        nodes: nodes.collect(),
        ..TopologyParts::default()
    };
    Arc::new(Topology::new(parts).unwrap())
}

/// A database, two applications that need it, and a front that needs them.
pub(crate) fn three_tiers() -> Arc<Topology> {
    topology(&[
        role("database", 1, 1, &[]),
        role("application", 2, 6, &[0]),
        role("front", 1, 3, &[1]),
    ])
}

pub(crate) struct World {
    directory: PathBuf,
    _owned: Option<TempDir>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_settings(Settings::calm())
    }

    pub(crate) fn with_settings(settings: Settings) -> Self {
        let owned = tempfile::tempdir().unwrap();
        SimFiles::open(&owned.path().join("cloud"))
            .unwrap()
            .reset(zenekar_base::Timestamp::ZERO, settings)
            .unwrap();
        Self {
            directory: owned.path().to_owned(),
            _owned: Some(owned),
        }
    }

    /// The world of another process.
    pub(crate) fn of_another(directory: PathBuf) -> Self {
        Self {
            directory,
            _owned: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// What a new process would have: another connection, another clock.
    pub(crate) fn host(&self) -> Host {
        self.host_with(StoreOptions::read_write(), Pace::Jump)
    }

    pub(crate) fn host_at(&self, pace: Pace) -> Host {
        self.host_with(StoreOptions::read_write(), pace)
    }

    pub(crate) fn host_with(&self, options: StoreOptions, pace: Pace) -> Host {
        let files = SimFiles::open(&self.path().join("cloud")).unwrap();
        let anchor = files.anchor().unwrap();
        let clock = Clock::resume(pace, anchor.cloud, anchor.wall);
        let sim: Arc<dyn Provider> =
            Arc::new(SimProvider::new(files, Arc::new(clock.clone())).unwrap());
        Host {
            store: SharedStore::new(Store::open(&self.path().join("state"), options).unwrap()),
            providers: BTreeMap::from([("sim".to_owned(), sim)]),
            renderer: Arc::new(Plain),
            clock,
            parallel: None,
            seed: 1,
        }
    }

    /// What a process with another state directory would have, at the same cloud;
    /// it treats the cloud as one that others use too.
    pub(crate) fn host_beside(&self, state: &str) -> Host {
        let options = StoreOptions::read_write();
        let store = SharedStore::new(Store::open(&self.path().join(state), options).unwrap());
        let mut host = self.host();
        let bindings: Arc<dyn Bindings> = Arc::new(StoreBindings::new(store.clone()));
        for provider in host.providers.values_mut() {
            *provider = Arc::new(Scoped::new(Arc::clone(provider), Arc::clone(&bindings)));
        }
        Host { store, ..host }
    }

    /// One whole command: leads, runs, closes.
    pub(crate) async fn run(&self, inputs: Vec<Input>) -> Result<Outcome, RuntimeError> {
        self.run_observed(inputs, &mut Silent).await
    }

    pub(crate) async fn run_observed(
        &self,
        inputs: Vec<Input>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RuntimeError> {
        let mut session = Session::lead(Arc::new(self.host()), &id(), ID, "test")?;
        let outcome = session
            .run(inputs, Until::Settled, Cancel::never(), observer)
            .await?;
        session.close()?;
        Ok(outcome)
    }

    /// The names of the machines that exist, as the cloud itself knows them.
    pub(crate) fn machines(&self) -> Vec<String> {
        let mut names: Vec<String> = self.ledger().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    pub(crate) fn ledger(&self) -> Vec<LedgerEntry> {
        let mut files = SimFiles::open(&self.path().join("cloud")).unwrap();
        let now = files.anchor().unwrap().cloud;
        files.overview(now).unwrap().resources
    }

    pub(crate) fn intervene(
        &self,
        name: &str,
        strike: impl FnOnce(zenekar_base::ResourceId) -> zenekar_simcloud::Intervention,
    ) {
        let entry = self
            .ledger()
            .into_iter()
            .find(|entry| entry.name == name)
            .unwrap();
        let mut files = SimFiles::open(&self.path().join("cloud")).unwrap();
        let now = files.anchor().unwrap().cloud;
        assert!(files.intervene(now, strike(entry.resource)).unwrap());
    }
}

pub(crate) fn scale(request: &str, node: &str, count: u32) -> Input {
    Input::Scale(ScalingRequest {
        request: RequestId::new(request),
        changes: vec![ScalingChange::To {
            node: node.to_owned(),
            count,
        }],
    })
}

/// Runs a test's future as a command would: on one thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Writes down what it is told, and checks that snapshots hold all of it.
pub(crate) struct Scribe {
    pub(crate) shadow: State,
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) ticks: usize,
}

impl Scribe {
    pub(crate) fn new() -> Self {
        Self {
            shadow: State::new(id()),
            kinds: Vec::new(),
            notices: Vec::new(),
            ticks: 0,
        }
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.kinds.iter().filter(|found| **found == kind).count()
    }
}

impl Observer for Scribe {
    fn entry(&mut self, _: &Engine, entry: &Entry) {
        if !matches!(entry.record, Record::IntentSet { .. }) && self.shadow.intent.is_none() {
            return;
        }
        self.shadow.apply(entry);
        let stored = serde_json::to_vec(&Snapshot::from(&self.shadow)).unwrap();
        let restored = serde_json::from_slice::<Snapshot>(&stored)
            .unwrap()
            .restore(id());
        assert_eq!(restored, self.shadow, "after {:?}", entry.record);
        self.kinds.push(entry.record.kind());
    }

    fn notice(&mut self, _: &Engine, notice: &Notice) {
        self.notices.push(notice.clone());
    }

    fn tick(&mut self, _: &Engine) {
        self.ticks += 1;
    }
}
