//! Containers as resources.

use bollard::Docker;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, EndpointSettings,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use std::collections::HashMap;
use zenekar_base::{
    Addresses, InfrastructureId, InstanceTag, ProviderError, ResourceId, ResourceState,
    ResourceView,
};
use zenekar_provider::ObserveScope;

use crate::error::{failed, is_not_found};
use crate::labels;

/// Containers that have ended and that one call asks about: an engine's list
/// does not tell why. The others are told next time, without their reason.
const ENDED_MAX: usize = 32;

/// Looks at containers of an infrastructure, all of them with one call.
pub(crate) async fn observe(
    docker: &Docker,
    infrastructure: &InfrastructureId,
    scope: &ObserveScope,
) -> Result<Vec<ResourceView>, ProviderError> {
    let (filters, wanted) = match scope {
        ObserveScope::All => (
            labels::filter(labels::INFRASTRUCTURE, Some(infrastructure.as_str())),
            None,
        ),
        ObserveScope::Resources(resources) => {
            let ids: Vec<String> = resources
                .iter()
                .filter(|resource| is_id(resource))
                .map(ToString::to_string)
                .collect();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            (HashMap::from([("id".to_owned(), ids)]), Some(resources))
        }
    };
    let mut views = Vec::new();
    let mut ended = 0;
    for container in list(docker, &filters).await? {
        if wanted.is_some_and(|wanted| !is_wanted(&container, wanted)) {
            continue;
        }
        if !is_visible(&container, infrastructure, wanted.is_some()) {
            continue;
        }
        let has_ended = container.state == Some(ContainerSummaryStateEnum::EXITED);
        if has_ended && ended < ENDED_MAX {
            ended += 1;
            views.extend(inspect_view(docker, container.id.as_deref().unwrap_or_default()).await?);
        } else {
            views.push(of_summary(&container));
        }
    }
    Ok(views)
}

/// Lists containers in whatever state.
pub(crate) async fn list(
    docker: &Docker,
    filters: &HashMap<String, Vec<String>>,
) -> Result<Vec<ContainerSummary>, ProviderError> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(filters)
        .build();
    docker
        .list_containers(Some(options))
        .await
        .map_err(failed("list containers"))
}

/// Returns what people call a container.
pub(crate) fn name_of(container: &ContainerSummary) -> &str {
    let first = container.names.iter().flatten().next();
    first.map_or("", |name| name.trim_start_matches('/'))
}

/// Says whether a text is the id of a container, so that it means nothing else in a filter.
fn is_id(resource: &ResourceId) -> bool {
    let text = resource.as_str();
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|one| one.is_ascii_hexdigit())
}

fn is_wanted(container: &ContainerSummary, wanted: &[ResourceId]) -> bool {
    let id = container.id.as_deref();
    wanted.iter().any(|resource| Some(resource.as_str()) == id)
}

/// A container without any tag of ours may be asked for by its id: it was adopted.
fn is_visible(
    container: &ContainerSummary,
    infrastructure: &InfrastructureId,
    is_asked_for: bool,
) -> bool {
    let labels = container.labels.as_ref();
    match labels::get(labels, labels::INFRASTRUCTURE) {
        Some(text) => {
            text == infrastructure.as_str() && labels::get(labels, labels::INSTANCE).is_some()
        }
        None => is_asked_for && labels::get(labels, labels::AGENT).is_none(),
    }
}

fn of_summary(container: &ContainerSummary) -> ResourceView {
    let labels = container.labels.as_ref();
    let state = match container.state {
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::RESTARTING) => {
            ResourceState::Running
        }
        Some(ContainerSummaryStateEnum::PAUSED) => ResourceState::Stopped,
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD) => {
            ResourceState::Failed
        }
        Some(ContainerSummaryStateEnum::REMOVING | ContainerSummaryStateEnum::STOPPING) => {
            ResourceState::Deleting
        }
        _ => ResourceState::Pending,
    };
    let networks = container
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    ResourceView {
        instance: labels::instance(labels).unwrap_or_else(|| InstanceTag::new("")),
        resource: ResourceId::new(container.id.as_deref().unwrap_or_default()),
        state,
        addresses: addresses(networks, labels::get(labels, labels::INFRASTRUCTURE)),
        token: labels::token(labels),
        revision: 0,
        detail: match state {
            ResourceState::Stopped => Some("it is paused".to_owned()),
            ResourceState::Failed => container.status.clone(),
            _ => None,
        },
    }
}

/// Looks at one container; none if it is not there.
pub(crate) async fn inspect(
    docker: &Docker,
    id: &str,
) -> Result<Option<ContainerInspectResponse>, ProviderError> {
    match docker
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
    {
        Ok(container) => Ok(Some(container)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(failed(format!("look at container `{id}`"))(error)),
    }
}

async fn inspect_view(docker: &Docker, id: &str) -> Result<Option<ResourceView>, ProviderError> {
    Ok(inspect(docker, id).await?.as_ref().map(of_inspection))
}

/// Returns a container's labels.
pub(crate) fn labels_of(container: &ContainerInspectResponse) -> Option<&labels::Labels> {
    container.config.as_ref()?.labels.as_ref()
}

/// Returns a container's networks.
pub(crate) fn networks_of(
    container: &ContainerInspectResponse,
) -> Option<&HashMap<String, EndpointSettings>> {
    container.network_settings.as_ref()?.networks.as_ref()
}

/// Makes a view of all that an engine tells of a container.
pub(crate) fn of_inspection(container: &ContainerInspectResponse) -> ResourceView {
    let labels = labels_of(container);
    let state = container.state.clone().unwrap_or_default();
    let code = state.exit_code.unwrap_or_default();
    let (mapped, detail) = match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::RESTARTING) => {
            (ResourceState::Running, None)
        }
        Some(ContainerStateStatusEnum::PAUSED) => {
            (ResourceState::Stopped, Some("it is paused".to_owned()))
        }
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => {
            let mapped = if code == 0 {
                ResourceState::Stopped
            } else {
                ResourceState::Failed
            };
            (mapped, Some(ending(&state)))
        }
        Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::STOPPING) => {
            (ResourceState::Deleting, None)
        }
        _ => (ResourceState::Pending, None),
    };
    ResourceView {
        instance: labels::instance(labels).unwrap_or_else(|| InstanceTag::new("")),
        resource: ResourceId::new(container.id.as_deref().unwrap_or_default()),
        state: mapped,
        addresses: addresses(
            networks_of(container),
            labels::get(labels, labels::INFRASTRUCTURE),
        ),
        token: labels::token(labels),
        revision: 0,
        detail,
    }
}

fn ending(state: &bollard::models::ContainerState) -> String {
    let mut text = format!(
        "it ended with exit code {}",
        state.exit_code.unwrap_or_default()
    );
    if state.oom_killed == Some(true) {
        text.push_str(", for want of memory");
    }
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        text.push_str(": ");
        text.push_str(&crate::error::one_line(error));
    }
    text
}

/// Collects addresses, those in the infrastructure's network first.
fn addresses(
    networks: Option<&HashMap<String, EndpointSettings>>,
    infrastructure: Option<&str>,
) -> Addresses {
    let own = infrastructure.map(labels::name_of);
    let mut found: Vec<(bool, &str, &str)> = networks
        .into_iter()
        .flatten()
        .filter_map(|(name, endpoint)| {
            let address = endpoint.ip_address.as_deref()?;
            let is_other = Some(name.as_str()) != own.as_deref();
            (!address.is_empty()).then_some((is_other, name.as_str(), address))
        })
        .collect();
    found.sort_unstable();
    Addresses {
        all: found
            .into_iter()
            .map(|(_, _, address)| address.to_owned())
            .collect(),
        private: None,
    }
}
