//! Takes away what is ours.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
    StopContainerOptionsBuilder,
};
use zenekar_base::{ErrorClass, InfrastructureId, ProviderError, ResourceId};
use zenekar_provider::{Deleted, Owned, OwnedKind};

use crate::error::{failed, invalid, is_conflict, is_not_found};
use crate::labels;
use crate::network;
use crate::provider::Inner;
use crate::view;

/// The infrastructure that volumes with our agent are said to be of: they
/// serve all infrastructures of an engine.
pub(crate) const AGENTS: &str = "zenekar-agent";

/// Containers that a message names: who sees these knows where to look.
const CONTAINERS_NAMED_MAX: usize = 3;

/// Deletes an instance: there is nothing to be saved, so that it is killed
/// unless a grace was asked for.
pub(crate) async fn delete(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    resource: &ResourceId,
) -> Result<Deleted, ProviderError> {
    let docker = inner.engine.docker().await?;
    if !is_name(resource.as_str()) {
        return Ok(Deleted::Gone);
    }
    let Some(found) = view::inspect(docker, resource.as_str()).await? else {
        return Ok(Deleted::Gone);
    };
    let labels = view::labels_of(&found);
    let owner = labels::get(labels, labels::INFRASTRUCTURE);
    if owner.is_some_and(|owner| owner != infrastructure.as_str()) {
        return Ok(Deleted::Gone);
    }
    // Names are no ids; without any label of ours it was adopted by its id.
    if found.id.as_deref() != Some(resource.as_str()) {
        return Ok(Deleted::Gone);
    }
    if let Some(grace) = labels::get(labels, labels::STOP_GRACE)
        .and_then(|text| text.parse::<i32>().ok())
        .filter(|grace| *grace > 0)
    {
        let options = StopContainerOptionsBuilder::default().t(grace).build();
        // If it does not stop, it is killed below.
        let _ = docker
            .stop_container(resource.as_str(), Some(options))
            .await;
    }
    remove_container(docker, resource.as_str()).await
}

/// Says whether a text can stand in an address as a name.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|one| one.is_ascii_alphanumeric() || matches!(one, b'_' | b'.' | b'-'))
        && text.starts_with(|one: char| one.is_ascii_alphanumeric())
}

/// Kills and removes a container with its nameless volumes.
pub(crate) async fn remove_container(docker: &Docker, id: &str) -> Result<Deleted, ProviderError> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match docker.remove_container(id, Some(options)).await {
        Ok(()) => Ok(Deleted::Gone),
        Err(error) if is_not_found(&error) => Ok(Deleted::Gone),
        // Somebody else is removing it.
        Err(error) if is_conflict(&error) => Ok(Deleted::Accepted),
        Err(error) => Err(failed(format!("remove container `{id}`"))(error)),
    }
}

/// Removes what an infrastructure has left besides its instances.
pub(crate) async fn release(
    inner: &Inner,
    infrastructure: &InfrastructureId,
) -> Result<(), ProviderError> {
    let docker = inner.engine.docker().await?;
    let filters = labels::filter(labels::INFRASTRUCTURE, Some(infrastructure.as_str()));
    for container in view::list(docker, &filters).await? {
        if labels::get(container.labels.as_ref(), labels::ROLE).is_some() {
            remove_container(docker, container.id.as_deref().unwrap_or_default()).await?;
        }
    }
    for volume in volumes(docker, &filters).await? {
        remove_volume(docker, &volume.name).await?;
    }
    inner.networks.release(docker, infrastructure).await?;
    // Those that other infrastructures use stay.
    for volume in volumes(docker, &labels::filter(labels::AGENT, None)).await? {
        match docker
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await
        {
            Ok(()) => {}
            Err(error) if is_not_found(&error) || is_conflict(&error) => {}
            Err(error) => return Err(failed(format!("remove volume `{}`", volume.name))(error)),
        }
    }
    Ok(())
}

/// Lists volumes of ours.
pub(crate) async fn volumes(
    docker: &Docker,
    filters: &HashMap<String, Vec<String>>,
) -> Result<Vec<bollard::models::Volume>, ProviderError> {
    let options = ListVolumesOptionsBuilder::default()
        .filters(filters)
        .build();
    let answer = docker
        .list_volumes(Some(options))
        .await
        .map_err(failed("list volumes"))?;
    Ok(answer.volumes.unwrap_or_default())
}

async fn remove_volume(docker: &Docker, name: &str) -> Result<(), ProviderError> {
    match docker
        .remove_volume(name, None::<RemoveVolumeOptions>)
        .await
    {
        Ok(()) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => {
            let is_in_use = is_conflict(&error);
            let error = failed(format!("remove volume `{name}`"))(error);
            if is_in_use {
                return Err(in_use(docker, "volume", (name, name), error).await);
            }
            Err(error)
        }
    }
}

/// Says which containers use a network or volume that cannot be removed for
/// that reason. Those of ours are on their way out, those of others are not.
pub(crate) async fn in_use(
    docker: &Docker,
    kind: &str,
    (id, name): (&str, &str),
    error: ProviderError,
) -> ProviderError {
    let filters = HashMap::from([(kind.to_owned(), vec![id.to_owned()])]);
    let users = view::list(docker, &filters).await.unwrap_or_default();
    let (ours, others): (Vec<_>, Vec<_>) = users
        .iter()
        // A network is held by what runs only.
        .filter(|user| kind != "network" || is_alive(user))
        .partition(|user| labels::get(user.labels.as_ref(), labels::INFRASTRUCTURE).is_some());
    let message = if let Some((names, is_one)) = named(&others) {
        let (is, uses, them) = if is_one {
            ("is", "uses", "it")
        } else {
            ("are", "use", "them")
        };
        let cure = if kind == "network" {
            "disconnect or remove"
        } else {
            "remove"
        };
        format!("{names}, which {is} not ours, still {uses} {kind} `{name}`: {cure} {them}")
    } else if let Some((names, is_one)) = named(&ours) {
        let uses = if is_one { "uses" } else { "use" };
        format!("{names} still {uses} {kind} `{name}`")
    } else {
        error.message
    };
    ProviderError::new(ErrorClass::Retryable, message)
}

fn is_alive(container: &ContainerSummary) -> bool {
    use ContainerSummaryStateEnum::{PAUSED, RESTARTING, RUNNING};
    matches!(container.state, Some(PAUSED | RESTARTING | RUNNING))
}

/// Names the first containers of a list, and says whether there is one only.
fn named(containers: &[&ContainerSummary]) -> Option<(String, bool)> {
    let names: Vec<String> = containers
        .iter()
        .take(CONTAINERS_NAMED_MAX)
        .map(|one| format!("`{}`", view::name_of(one)))
        .collect();
    let listed = names.join(", ");
    match containers.len() {
        0 => None,
        1 => Some((format!("container {listed}"), true)),
        count if count > names.len() => {
            let more = count - names.len();
            Some((format!("containers {listed} and {more} more"), false))
        }
        _ => Some((format!("containers {listed}"), false)),
    }
}

/// Lists everything that carries a label of ours; of volumes with our agent
/// only those that nothing uses.
pub(crate) async fn owned(inner: &Inner) -> Result<Vec<Owned>, ProviderError> {
    let docker = inner.engine.docker().await?;
    let filters = labels::filter(labels::INFRASTRUCTURE, None);
    let mut all = Vec::new();
    for container in view::list(docker, &filters).await? {
        let labels = container.labels.as_ref();
        all.push(Owned {
            kind: OwnedKind::Instance,
            id: ResourceId::new(container.id.clone().unwrap_or_default()),
            infrastructure: infrastructure_of(labels),
            instance: labels::instance(labels),
            name: labels::get(labels, labels::NAME)
                .or_else(|| labels::get(labels, labels::ROLE))
                .unwrap_or_default()
                .to_owned(),
            state: container.status.clone().unwrap_or_default(),
            created: container.created.map(|seconds| seconds.to_string()),
        });
    }
    for network in network::list(docker, None).await? {
        all.push(Owned {
            kind: OwnedKind::Network,
            id: ResourceId::new(network.id.clone().unwrap_or_default()),
            infrastructure: infrastructure_of(network.labels.as_ref()),
            instance: None,
            name: network.name.clone().unwrap_or_default(),
            state: "there".to_owned(),
            created: network.created.clone(),
        });
    }
    let mut agents = labels::filter(labels::AGENT, None);
    agents.insert("dangling".to_owned(), vec!["true".to_owned()]);
    for filters in [&filters, &agents] {
        for volume in volumes(docker, filters).await? {
            let infrastructure = match labels::get(Some(&volume.labels), labels::INFRASTRUCTURE) {
                Some(text) => InfrastructureId::new(text),
                None => InfrastructureId::new(AGENTS),
            };
            all.push(Owned {
                kind: OwnedKind::Volume,
                id: ResourceId::new(volume.name.as_str()),
                infrastructure,
                instance: None,
                name: volume.name.clone(),
                state: "there".to_owned(),
                created: volume.created_at.clone(),
            });
        }
    }
    Ok(all)
}

fn infrastructure_of(labels: Option<&labels::Labels>) -> InfrastructureId {
    InfrastructureId::new(labels::get(labels, labels::INFRASTRUCTURE).unwrap_or_default())
}

/// Deletes one thing, if it still carries the label with which it was listed.
pub(crate) async fn delete_owned(inner: &Inner, owned: &Owned) -> Result<Deleted, ProviderError> {
    let docker = inner.engine.docker().await?;
    let id = owned.id.as_str();
    match owned.kind {
        OwnedKind::Instance => {
            if labels::get(
                view::inspect(docker, id)
                    .await?
                    .as_ref()
                    .and_then(view::labels_of),
                labels::INFRASTRUCTURE,
            ) == Some(owned.infrastructure.as_str())
            {
                return remove_container(docker, id).await;
            }
        }
        OwnedKind::Network => {
            let all = network::list(docker, Some(owned.infrastructure.as_str())).await?;
            if all.iter().any(|one| one.id.as_deref() == Some(id)) {
                inner.networks.forget(&owned.infrastructure).await;
                network::remove_by_id(docker, id, &owned.name).await?;
            }
        }
        OwnedKind::Volume => {
            let filters = if owned.infrastructure.as_str() == AGENTS {
                labels::filter(labels::AGENT, None)
            } else {
                labels::filter(labels::INFRASTRUCTURE, Some(owned.infrastructure.as_str()))
            };
            let all = volumes(docker, &filters).await?;
            if all.iter().any(|one| one.name == id) {
                remove_volume(docker, id).await?;
            }
        }
        other => {
            return Err(invalid(format!(
                "an engine has nothing of the kind `{}`",
                other.name()
            )));
        }
    }
    Ok(Deleted::Gone)
}
