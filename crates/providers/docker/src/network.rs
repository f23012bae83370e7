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
use crate::labels;

/// Networks that are known to be there. While one is made, everybody else waits:
/// engines make two of the same name if asked at the same time.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    known: Mutex<HashMap<InfrastructureId, String>>,
}

impl Networks {
    /// Returns the name of an infrastructure's network, and makes it if need be.
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
        }
        // Another process may have made one at the same time; both keep the same.
        let mut all = of_infrastructure(docker, infrastructure).await?;
        all.sort_by(|one, other| (&one.created, &one.id).cmp(&(&other.created, &other.id)));
        for surplus in all.iter().skip(1) {
            remove(docker, surplus).await?;
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
            remove(docker, &network).await?;
        }
        Ok(())
    }
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
        ..NetworkCreateRequest::default()
    };
    match docker.create_network(request).await {
        Ok(_) => Ok(()),
        // Whoever was faster.
        Err(error) if is_conflict(&error) => Ok(()),
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

async fn remove(docker: &Docker, network: &Network) -> Result<(), ProviderError> {
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
            let mut error = failed(format!("remove network `{name}`"))(error);
            // Something is still in it, perhaps on its way out.
            if error.message.contains("active endpoints") {
                error.class = ErrorClass::Retryable;
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
