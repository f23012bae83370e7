//! The network of an infrastructure.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{Network, NetworkCreateRequest};
use bollard::query_parameters::{
    InspectNetworkOptions, ListNetworksOptions, ListNetworksOptionsBuilder,
};
use tokio::sync::Mutex;
use zenekar_base::{ErrorClass, InfrastructureId, ProviderError};

use crate::error::{failed, invalid, is_conflict, is_not_found};
use crate::{labels, remove};

/// Networks that are known to be there.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    known: Mutex<HashMap<InfrastructureId, String>>,
}

impl Networks {
    /// Returns the name of an infrastructure's network, and makes it if need be.
    /// Whoever asks at the same time waits.
    pub(crate) async fn ensure(
        &self,
        docker: &Docker,
        infrastructure: &InfrastructureId,
    ) -> Result<String, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some(name) = known.get(infrastructure) {
            return Ok(name.clone());
        }
        let name = labels::name_of(infrastructure.as_str());
        if of_infrastructure(docker, infrastructure).await?.is_empty() {
            make(docker, infrastructure, &name).await?;
            // Whoever was faster may not be done.
            if of_infrastructure(docker, infrastructure).await?.is_empty() {
                return Err(ProviderError::new(
                    ErrorClass::Retryable,
                    format!("network `{name}` is being made by somebody else"),
                ));
            }
        }
        known.insert(infrastructure.clone(), name.clone());
        Ok(name)
    }

    /// Forgets that a network is there.
    pub(crate) async fn forget(&self, infrastructure: &InfrastructureId) {
        self.known.lock().await.remove(infrastructure);
    }

    /// Removes an infrastructure's network.
    pub(crate) async fn release(
        &self,
        docker: &Docker,
        infrastructure: &InfrastructureId,
    ) -> Result<(), ProviderError> {
        let mut known = self.known.lock().await;
        known.remove(infrastructure);
        for network in of_infrastructure(docker, infrastructure).await? {
            remove_one(docker, &network).await?;
        }
        Ok(())
    }
}

/// The option of a network that names its bridge at the engine's machine.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// What engines say of a second network with the same bridge.
const SAME_BRIDGE: &str = "networks have same bridge name";

/// Names the bridge of an infrastructure's network. Engines make any number of
/// networks of one name, but only one with the same bridge.
fn bridge_name(infrastructure: &InfrastructureId) -> String {
    /// As many digits as the name of an interface has room for.
    const DIGITS: u32 = 12;
    let fingerprint = xxhash_rust::xxh3::xxh3_64(infrastructure.as_str().as_bytes());
    format!("zk{:012x}", fingerprint >> (64 - 4 * DIGITS))
}

async fn make(
    docker: &Docker,
    infrastructure: &InfrastructureId,
    name: &str,
) -> Result<(), ProviderError> {
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        labels: Some(labels::of_infrastructure(infrastructure)),
        options: Some(HashMap::from([(
            BRIDGE_NAME.to_owned(),
            bridge_name(infrastructure),
        )])),
        ..NetworkCreateRequest::default()
    };
    match docker.create_network(request).await {
        Ok(_) => Ok(()),
        // Another process, or a call of one that was killed, was faster.
        Err(error) if is_conflict(&error) || error.to_string().contains(SAME_BRIDGE) => Ok(()),
        Err(error) => Err(failed(format!("make network `{name}`"))(error)),
    }
}

async fn of_infrastructure(
    docker: &Docker,
    infrastructure: &InfrastructureId,
) -> Result<Vec<Network>, ProviderError> {
    list(docker, Some(infrastructure.as_str())).await
}

/// Lists networks of ours, of one infrastructure or of all.
pub(crate) async fn list(
    docker: &Docker,
    infrastructure: Option<&str>,
) -> Result<Vec<Network>, ProviderError> {
    let filters = labels::filter(labels::INFRASTRUCTURE, infrastructure);
    let options = ListNetworksOptionsBuilder::default()
        .filters(&filters)
        .build();
    docker
        .list_networks(Some(options))
        .await
        .map_err(failed("list networks"))
}

async fn remove_one(docker: &Docker, network: &Network) -> Result<(), ProviderError> {
    let id = network.id.as_deref().unwrap_or_default();
    remove_by_id(docker, id, network.name.as_deref().unwrap_or(id)).await
}

/// Removes a network. What is not there is removed.
pub(crate) async fn remove_by_id(
    docker: &Docker,
    id: &str,
    name: &str,
) -> Result<(), ProviderError> {
    match docker.remove_network(id).await {
        Ok(()) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => {
            let error = failed(format!("remove network `{name}`"))(error);
            // Something is still in it, perhaps on its way out.
            if error.message.contains("active endpoints") {
                return Err(remove::in_use(docker, "network", (id, name), error).await);
            }
            Err(error)
        }
    }
}

/// Checks that a network that is not ours is there.
pub(crate) async fn check_other(docker: &Docker, name: &str) -> Result<(), ProviderError> {
    match docker
        .inspect_network(name, None::<InspectNetworkOptions>)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if is_not_found(&error) => Err(invalid(format!(
            "there is no network `{name}` at the engine"
        ))),
        Err(error) => Err(failed(format!("look at network `{name}`"))(error)),
    }
}

/// Counts the networks that take addresses from the engine's pools.
pub(crate) async fn count(docker: &Docker) -> Result<usize, ProviderError> {
    let all = docker
        .list_networks(None::<ListNetworksOptions>)
        .await
        .map_err(failed("list networks"))?;
    let is_bridge = |network: &&Network| network.driver.as_deref() == Some("bridge");
    Ok(all.iter().filter(is_bridge).count())
}
