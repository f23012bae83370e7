//! What infrastructures are tied to at clouds, looked up where their journals are.

use zenekar_base::{Account, ErrorClass, InfrastructureId, ProviderError};
use zenekar_provider::{Binding, Bindings};
use zenekar_store::{Store, StoreError};

use crate::host::SharedStore;

/// Knows the origins and accounts that a store has.
///
/// Nothing is remembered: an infrastructure that was purged and begins again
/// has another origin, and a lookup costs little beside a call to a cloud.
#[derive(Clone, Debug)]
pub struct StoreBindings {
    store: SharedStore,
}

impl StoreBindings {
    /// Takes the store to look into.
    pub fn new(store: SharedStore) -> Self {
        Self { store }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, ProviderError> {
        // Where the store fails, the provider is not asked, or is asked again.
        self.store
            .with(work)
            .map_err(|error| ProviderError::new(ErrorClass::Retryable, error.to_string()))
    }
}

impl Bindings for StoreBindings {
    fn binding(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<Option<Binding>, ProviderError> {
        self.with(|store| {
            let Some(origin) = store.origin(infrastructure)? else {
                return Ok(None);
            };
            let account = store.account(infrastructure, provider)?;
            Ok(Some(Binding { origin, account }))
        })
    }

    fn bind(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
        account: &Account,
    ) -> Result<Account, ProviderError> {
        self.with(|store| store.bind_account(infrastructure, provider, account))
    }

    fn unbind(
        &self,
        infrastructure: &InfrastructureId,
        provider: &str,
    ) -> Result<(), ProviderError> {
        self.with(|store| store.unbind_account(infrastructure, provider))
    }
}
