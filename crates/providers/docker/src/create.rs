//! Brings containers up: create, put in what it is told, start. Each step can
//! be repeated, and a repeated call goes on where an earlier one was cut off.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerStateStatusEnum, EndpointSettings, HostConfig, Mount, MountType,
    MountVolumeOptions, NetworkingConfig, PortBinding,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions};
use zenekar_base::{ErrorClass, ProviderError, ResourceView};
use zenekar_provider::CreateRequest;

use crate::bundle;
use crate::error::{failed, invalid, is_conflict, is_not_found, status_of};
use crate::inside::Task;
use crate::labels;
use crate::provider::Inner;
use crate::remove::remove_container;
use crate::spec::{Published, Source, Spec, Volume, host_name};
use crate::view;

/// How often one call begins again, because an image had to be fetched or
/// somebody removed what was just found.
const ROUNDS_MAX: u32 = 4;

/// How long one round waits for a container that has the name and is not there:
/// an engine goes on with a call whose caller has gone, and reserves the name first.
const RESERVED_PAUSE: Duration = Duration::from_millis(250);

/// Creates a container, or goes on with one that the same token began.
pub(crate) async fn create(
    inner: &Inner,
    request: &CreateRequest,
) -> Result<ResourceView, ProviderError> {
    let spec = Spec::of(&request.rendered, &inner.default_image)
        .map_err(|unfit| invalid(unfit.to_string()))?;
    let docker = inner.engine.docker().await?;
    let name = labels::name_of(request.token.as_str());
    for _ in 0..ROUNDS_MAX {
        let network = match &spec.network {
            Some(network) => network.clone(),
            None => {
                inner
                    .networks
                    .ensure(docker, &request.infrastructure)
                    .await?
            }
        };
        let entry = if spec.has_agent {
            Some(inner.agent.entry(docker).await?)
        } else {
            None
        };
        let body = body(request, &spec, &network, entry.as_ref());
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let id = match docker.create_container(Some(options), body).await {
            Ok(created) => created.id,
            Err(error) if is_conflict(&error) => {
                let Some(found) = view::inspect(docker, &name).await? else {
                    tokio::time::sleep(RESERVED_PAUSE).await;
                    continue;
                };
                if !labels::is_made_by(view::labels_of(&found), request) {
                    return Err(ProviderError::new(
                        ErrorClass::Conflict,
                        format!("a container `{name}` is there that this call did not make"),
                    ));
                }
                let status = found.state.as_ref().and_then(|state| state.status);
                if status != Some(ContainerStateStatusEnum::CREATED) {
                    return Ok(view::of_inspection(&found));
                }
                found.id.unwrap_or_default()
            }
            Err(error) if is_not_found(&error) => {
                if !error.to_string().to_lowercase().contains("image") {
                    return Err(failed(format!("create container `{name}`"))(error));
                }
                inner.fetches.ensure(docker, &spec).await?;
                continue;
            }
            Err(error) => return Err(failed(format!("create container `{name}`"))(error)),
        };
        return match finish(inner, docker, request, &spec, &id).await {
            Ok(view) => Ok(view),
            Err(error) => Err(undo(docker, &id, error).await),
        };
    }
    Err(ProviderError::new(
        ErrorClass::Retryable,
        format!("the name `{name}` is taken by a container that is just being created or removed"),
    ))
}

/// Puts into a container what it is told, starts it, and looks at it.
async fn finish(
    inner: &Inner,
    docker: &Docker,
    request: &CreateRequest,
    spec: &Spec,
    id: &str,
) -> Result<ResourceView, ProviderError> {
    if spec.has_agent {
        inner
            .agent
            .ensure(docker, &request.infrastructure, id, &spec.image)
            .await?;
        let task = Task {
            instance_id: request.instance.to_string(),
            host_name: hostname(request, spec),
            user_data: request.rendered.user_data.clone(),
            command: spec.command.clone(),
        };
        bundle::put_task(docker, id, &task).await?;
    }
    match docker
        .start_container(id, None::<StartContainerOptions>)
        .await
    {
        Ok(()) => {}
        // It runs.
        Err(error) if status_of(&error) == Some(304) => {}
        Err(error) => {
            if is_not_found(&error) {
                // Its network was taken away under it.
                inner.networks.forget(&request.infrastructure).await;
            }
            let mut error = failed(format!("start `{}`", request.name))(error);
            if error.class == ErrorClass::NotFound || error.class == ErrorClass::Conflict {
                error.class = ErrorClass::Retryable;
            }
            return Err(error);
        }
    }
    let container = view::inspect(docker, id).await?.ok_or_else(|| {
        ProviderError::new(
            ErrorClass::Retryable,
            format!("`{}` was removed while it was started", request.name),
        )
    })?;
    Ok(view::of_inspection(&container))
}

/// Takes a container away that could not be started: an error that is certain
/// says that nothing was made.
async fn undo(docker: &Docker, id: &str, error: ProviderError) -> ProviderError {
    if matches!(error.class, ErrorClass::Unknown | ErrorClass::Conflict) {
        return error;
    }
    match remove_container(docker, id).await {
        Ok(_) => error,
        Err(removal) => ProviderError::new(
            ErrorClass::Unknown,
            format!("{}; and {}", error.message, removal.message),
        ),
    }
}

fn hostname(request: &CreateRequest, spec: &Spec) -> String {
    spec.hostname
        .clone()
        .unwrap_or_else(|| host_name(&request.name))
}

fn body(
    request: &CreateRequest,
    spec: &Spec,
    network: &str,
    entry: Option<&bundle::Entry>,
) -> ContainerCreateBody {
    let mut labels = labels::of_instance(request);
    labels.extend(spec.labels.iter().cloned());
    if let Some(grace) = spec.stop_grace_s {
        labels.insert(labels::STOP_GRACE.to_owned(), grace.to_string());
    }
    let mut mounts: Vec<Mount> = spec
        .volumes
        .iter()
        .map(|volume| mount(volume, request))
        .collect();
    if let Some(entry) = entry {
        labels.insert(labels::AGENT.to_owned(), entry.fingerprint.clone());
        mounts.push(entry.mount());
    }
    let endpoints = HashMap::from([(network.to_owned(), endpoint(request, spec, network))]);
    ContainerCreateBody {
        hostname: Some(hostname(request, spec)),
        image: Some(spec.image.clone()),
        labels: Some(labels),
        env: Some(spec.environment.clone()),
        // With our agent, the command is part of its task.
        cmd: entry.is_none().then(|| spec.command.clone()).flatten(),
        entrypoint: entry.map(|entry| entry.command.clone()),
        user: entry.map(|_| "0:0".to_owned()),
        working_dir: entry.map(|_| "/".to_owned()),
        exposed_ports: Some(spec.ports.iter().map(Published::inside).collect()),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            port_bindings: Some(bindings(&spec.ports)),
            mounts: Some(mounts),
            memory: spec.memory_bytes,
            // No more with swap: a limit is a limit.
            memory_swap: spec.memory_bytes,
            nano_cpus: spec.nano_cpus,
            pids_limit: spec.pids_max,
            ..HostConfig::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(endpoints),
        }),
        ..ContainerCreateBody::default()
    }
}

/// The names under which other containers of a network find an instance: its
/// node's and its own. An engine's standard network knows no names.
fn endpoint(request: &CreateRequest, spec: &Spec, network: &str) -> EndpointSettings {
    if network == "bridge" || network == "default" {
        return EndpointSettings::default();
    }
    let node = request
        .name
        .rsplit_once('/')
        .map_or(request.name.as_str(), |(node, _)| node);
    let mut aliases = vec![
        node.to_owned(),
        host_name(node),
        host_name(&request.name),
        hostname(request, spec),
    ];
    aliases.sort_unstable();
    aliases.dedup();
    EndpointSettings {
        aliases: Some(aliases),
        ..EndpointSettings::default()
    }
}

fn bindings(ports: &[Published]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: port.address.clone(),
            host_port: port.host_port.map(|port| port.to_string()),
        };
        bindings
            .entry(port.inside())
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    bindings
}

fn mount(volume: &Volume, request: &CreateRequest) -> Mount {
    let (typ, source, volume_options) = match &volume.source {
        Source::Anonymous => (MountType::VOLUME, None, None),
        Source::External(name) => (MountType::VOLUME, Some(name.clone()), None),
        Source::Folder(path) => (MountType::BIND, Some(path.clone()), None),
        Source::Named(name) => (
            MountType::VOLUME,
            Some(volume_name(request, name)),
            Some(MountVolumeOptions {
                labels: Some(labels::of_infrastructure(&request.infrastructure)),
                ..MountVolumeOptions::default()
            }),
        ),
    };
    Mount {
        target: Some(volume.target.clone()),
        source,
        typ: Some(typ),
        read_only: Some(volume.is_read_only),
        volume_options,
        ..Mount::default()
    }
}

/// Names a volume of an infrastructure.
fn volume_name(request: &CreateRequest, name: &str) -> String {
    labels::name_of(&format!("{}_{name}", request.infrastructure))
}
