//! What sessions of one process share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use zenekar_engine::Settings;
use zenekar_model::Renderer;
use zenekar_provider::Provider;
use zenekar_store::Store;

use crate::clock::Clock;

/// A store that several threads use, one at a time.
#[derive(Clone, Debug)]
pub struct SharedStore {
    store: Arc<Mutex<Store>>,
    /// Counts requests submitted here: the store only notices those of others.
    requests: Arc<AtomicU64>,
}

impl SharedStore {
    /// Shares a store.
    pub fn new(store: Store) -> Self {
        Self {
            store: Arc::new(Mutex::new(store)),
            requests: Arc::default(),
        }
    }

    pub(crate) fn local_requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Release);
    }

    /// Does something with the store; blocks until it is done.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        // Every change of the store is one transaction, so nothing is half-done
        // when a panic leaves a caller.
        work(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The world around the sessions of one process.
pub struct Host {
    /// Where the journals are.
    pub store: SharedStore,
    /// The providers by type name.
    pub providers: BTreeMap<String, Arc<dyn Provider>>,
    /// Renders what instances get.
    pub renderer: Arc<dyn Renderer>,
    /// The time.
    pub clock: Clock,
    /// Creating and deleting calls in flight per provider, below the provider's own bound.
    pub parallel: Option<u32>,
    /// Seeds the jitter of pauses.
    pub seed: u64,
}

impl Host {
    /// Returns what an engine is told about this world.
    pub fn engine_settings(&self) -> Settings {
        let capabilities = self
            .providers
            .iter()
            .map(|(name, provider)| (name.clone(), provider.capabilities()))
            .collect();
        Settings::new(capabilities, self.parallel, self.seed)
    }
}
