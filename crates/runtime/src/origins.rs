//! The origins of infrastructures, looked up where their journals are.

use zenekar_base::{ErrorClass, InfrastructureId, Origin, ProviderError};
use zenekar_provider::Origins;

use crate::host::SharedStore;

/// Knows the origins that a store has.
///
/// Nothing is remembered: an infrastructure that was purged and begins again
/// has another origin, and a lookup costs little beside a call to a cloud.
#[derive(Clone, Debug)]
pub struct StoreOrigins {
    store: SharedStore,
}

impl StoreOrigins {
    /// Takes the store to look into.
    pub fn new(store: SharedStore) -> Self {
        Self { store }
    }
}

impl Origins for StoreOrigins {
    fn origin(&self, infrastructure: &InfrastructureId) -> Result<Option<Origin>, ProviderError> {
        let found = self.store.with(|store| store.origin(infrastructure));
        // Nothing was asked of the provider yet.
        found.map_err(|error| ProviderError::new(ErrorClass::Retryable, error.to_string()))
    }
}
