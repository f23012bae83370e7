//! Opens the adapters of clouds by their names.

use std::sync::Arc;

use zenekar_base::CloudKey;
use zenekar_provider::Provider;
use zenekar_runtime::SharedStore;

use crate::errors::Failure;
use crate::exit::Exit;
use crate::place::Place;

/// Opens the adapter that a provider's name stands for, for infrastructures of a
/// store. Makes no call.
pub(crate) fn open(
    place: &Place,
    store: &SharedStore,
    name: &str,
) -> Result<Arc<dyn Provider>, Failure> {
    let key: CloudKey = name
        .parse()
        .map_err(|error: zenekar_base::CloudKeyError| Failure::usage(error.to_string()))?;
    let _ = store;
    open_key(place, &key)
}

/// Opens the adapter for a cloud, to ask it about itself. Makes no call.
pub(crate) fn open_key(_place: &Place, key: &CloudKey) -> Result<Arc<dyn Provider>, Failure> {
    Err(Failure::new(
        Exit::Provider,
        format!("provider `{key}` is not available in this version"),
    ))
}
