//! What would keep containers from being created, found by looking only.

use std::collections::{BTreeMap, BTreeSet};

use bollard::Docker;
use bollard::models::SystemInfo;
use bollard::query_parameters::InspectContainerOptions;
use zenekar_base::{ErrorClass, ProviderError};
use zenekar_provider::{CheckNode, CheckRequest, Problem, ProblemKind};

use crate::error::{failed, is_not_found};
use crate::image;
use crate::labels;
use crate::network;
use crate::provider::Inner;
use crate::settings::Endpoint;
use crate::spec::{Origin, Published, Source, Spec, Unfit};
use crate::view;

/// Networks for which engines have addresses, as they are made.
const NETWORKS_MAX: usize = 31;

/// What to do about the image of machines that name none.
const DEFAULT_IMAGE_HINT: &str = "it is the image of machines that name none; `zenekar cloud add NAME --type docker --default image=…` sets another";

/// Looks for all problems of all nodes.
pub(crate) async fn check(
    inner: &Inner,
    request: &CheckRequest,
) -> Result<Vec<Problem>, ProviderError> {
    let mut problems = Vec::new();
    let docker = match inner.engine.docker().await {
        Ok(docker) => docker,
        Err(error) => return Ok(vec![unreachable(&error)]),
    };
    let info = docker
        .info()
        .await
        .map_err(failed("ask the engine about itself"))?;
    let mut specs = Vec::new();
    for node in &request.nodes {
        let (spec, unfit) = Spec::read(&node.rendered, &inner.default_image);
        problems.extend(unfit.into_iter().map(|unfit| of_unfit(node, unfit)));
        // What is fine of it is looked at all the same.
        specs.push((node, spec));
    }
    check_images(inner, docker, &specs, &mut problems).await?;
    check_volumes_and_networks(docker, &specs, &mut problems).await?;
    check_folders(inner, &specs, &mut problems);
    check_sizes(&info, &specs, &mut problems);
    check_ports(docker, request, &specs, &mut problems).await?;
    check_agents(inner, docker, &specs, &mut problems).await;
    check_addresses(docker, request, &specs, &mut problems).await?;
    Ok(problems)
}

fn problem(kind: ProblemKind, nodes: Vec<String>, message: impl Into<String>) -> Problem {
    Problem {
        kind,
        nodes,
        key: None,
        message: message.into(),
        hint: None,
        is_warning: false,
    }
}

fn unreachable(error: &ProviderError) -> Problem {
    let kind = if error.class == ErrorClass::Auth {
        ProblemKind::Credentials
    } else {
        ProblemKind::Unreachable
    };
    Problem {
        hint: Some("`docker version` shows whether the engine runs and may be used".to_owned()),
        ..problem(kind, Vec::new(), error.message.clone())
    }
}

fn of_unfit(node: &CheckNode, unfit: Unfit) -> Problem {
    let kind = match unfit.key {
        "image" | "tag" | "origin" => ProblemKind::Image,
        "volumes" => ProblemKind::Volume,
        "network" => ProblemKind::Network,
        _ => ProblemKind::Setting,
    };
    Problem {
        key: Some(unfit.key.to_owned()),
        ..problem(kind, vec![node.name.clone()], unfit.message)
    }
}

/// Names the nodes for which something holds.
fn nodes_where(specs: &[(&CheckNode, Spec)], holds: impl Fn(&Spec) -> bool) -> Vec<String> {
    specs
        .iter()
        .filter(|(_, spec)| holds(spec))
        .map(|(node, _)| node.name.clone())
        .collect()
}

async fn check_images(
    inner: &Inner,
    docker: &Docker,
    specs: &[(&CheckNode, Spec)],
    problems: &mut Vec<Problem>,
) -> Result<(), ProviderError> {
    let images: BTreeSet<(&str, &Origin)> = specs
        .iter()
        .map(|(_, spec)| (spec.image.as_str(), &spec.origin))
        .filter(|(image, _)| !image.is_empty())
        .collect();
    for (image, origin) in images {
        let is_there = image::is_there(docker, image).await;
        let found = match is_there {
            Ok(true) => None,
            // Its name is none that engines know.
            Err(error) if error.class == ErrorClass::Invalid => Some(Problem {
                ..problem(ProblemKind::Image, Vec::new(), error.message)
            }),
            Err(error) => return Err(error),
            Ok(false) => missing_image(inner, docker, image, origin).await,
        };
        problems.extend(found.map(|one| Problem {
            key: Some("image".to_owned()),
            nodes: nodes_where(specs, |spec| spec.image == image && spec.origin == *origin),
            ..one
        }));
    }
    Ok(())
}

/// Says what is in the way of an image that is not at the engine.
async fn missing_image(
    inner: &Inner,
    docker: &Docker,
    image: &str,
    origin: &Origin,
) -> Option<Problem> {
    let of_image = |message| problem(ProblemKind::Image, Vec::new(), message);
    match origin {
        Origin::Local => Some(Problem {
            hint: Some("`docker load` or `docker import` brings it there".to_owned()),
            ..of_image(format!(
                "image `{image}` is not at the engine, and with origin `local` it is not fetched"
            ))
        }),
        // Only the engine can see whether the address answers it.
        Origin::Tarball(_) => None,
        Origin::Registry => {
            let error = docker.inspect_registry_image(image, None).await.err()?;
            let error = failed(format!("find image `{image}` in its registry"))(error);
            // A registry that does not answer now may do so later.
            let is_warning = !matches!(
                error.class,
                ErrorClass::NotFound | ErrorClass::Invalid | ErrorClass::Auth
            );
            Some(Problem {
                is_warning,
                hint: (image == inner.default_image).then(|| DEFAULT_IMAGE_HINT.to_owned()),
                ..of_image(error.message)
            })
        }
    }
}

async fn check_volumes_and_networks(
    docker: &Docker,
    specs: &[(&CheckNode, Spec)],
    problems: &mut Vec<Problem>,
) -> Result<(), ProviderError> {
    let networks: BTreeSet<&str> = specs
        .iter()
        .filter_map(|(_, spec)| spec.network.as_deref())
        .collect();
    for name in networks {
        if let Err(error) = network::check_other(docker, name).await {
            let nodes = nodes_where(specs, |spec| spec.network.as_deref() == Some(name));
            problems.push(Problem {
                key: Some("network".to_owned()),
                ..problem(ProblemKind::Network, nodes, error.message)
            });
        }
    }
    let is_external = |spec: &Spec, name: &str| {
        spec.volumes
            .iter()
            .any(|volume| matches!(&volume.source, Source::External(own) if own == name))
    };
    let volumes: BTreeSet<&str> = specs
        .iter()
        .flat_map(|(_, spec)| &spec.volumes)
        .filter_map(|volume| match &volume.source {
            Source::External(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for name in volumes {
        match docker.inspect_volume(name).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => problems.push(Problem {
                key: Some("volumes".to_owned()),
                ..problem(
                    ProblemKind::Volume,
                    nodes_where(specs, |spec| is_external(spec, name)),
                    format!("there is no volume `{name}` at the engine"),
                )
            }),
            Err(error) => return Err(failed(format!("look at volume `{name}`"))(error)),
        }
    }
    Ok(())
}

/// Looks for folders of this machine, where the engine runs on it. That they
/// are missing is no certain obstacle: this process may see other folders than
/// the engine does.
fn check_folders(inner: &Inner, specs: &[(&CheckNode, Spec)], problems: &mut Vec<Problem>) {
    if !matches!(inner.engine.endpoint(), Endpoint::Socket(_)) {
        return;
    }
    let folders_of = |spec: &Spec| -> Vec<String> {
        let sources = spec.volumes.iter().map(|volume| &volume.source);
        let folders = sources.filter_map(|source| match source {
            Source::Folder(path) => Some(path.clone()),
            _ => None,
        });
        folders.collect()
    };
    let folders: BTreeSet<String> = specs
        .iter()
        .flat_map(|(_, spec)| folders_of(spec))
        .collect();
    for folder in folders {
        if std::fs::exists(&folder).unwrap_or(true) {
            continue;
        }
        let nodes = nodes_where(specs, |spec| folders_of(spec).contains(&folder));
        problems.push(Problem {
            key: Some("volumes".to_owned()),
            is_warning: true,
            hint: Some("engines do not make folders: make it on the engine's machine".to_owned()),
            ..problem(
                ProblemKind::Volume,
                nodes,
                format!("there is no folder `{folder}` on this machine"),
            )
        });
    }
}

fn check_sizes(info: &SystemInfo, specs: &[(&CheckNode, Spec)], problems: &mut Vec<Problem>) {
    let memory = info.mem_total.unwrap_or(i64::MAX);
    let nano_cpus = info.ncpu.unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    let mut together = 0_i64;
    for (node, spec) in specs {
        let name = || vec![node.name.clone()];
        let wanted = spec.memory_bytes.unwrap_or_default();
        together = together.saturating_add(wanted.saturating_mul(i64::from(node.count)));
        if wanted > memory {
            let message = format!(
                "{} MiB of memory are wanted, and the engine's machine has {}",
                wanted >> 20,
                memory >> 20
            );
            problems.push(Problem {
                key: Some("memory_mb".to_owned()),
                ..problem(ProblemKind::Quota, name(), message)
            });
        }
        if spec.nano_cpus.is_some_and(|wanted| wanted > nano_cpus) {
            let message = format!(
                "more processors are wanted than the engine's machine has: {}",
                nano_cpus / 1_000_000_000
            );
            problems.push(problem(ProblemKind::Quota, name(), message));
        }
    }
    if together > memory
        && problems
            .iter()
            .all(|one| one.key.as_deref() != Some("memory_mb"))
    {
        problems.push(Problem {
            is_warning: true,
            ..problem(
                ProblemKind::Quota,
                Vec::new(),
                format!(
                    "all containers together may use {} MiB of memory, and the engine's machine has {}",
                    together >> 20,
                    memory >> 20
                ),
            )
        });
    }
}

async fn check_ports(
    docker: &Docker,
    request: &CheckRequest,
    specs: &[(&CheckNode, Spec)],
    problems: &mut Vec<Problem>,
) -> Result<(), ProviderError> {
    let mut wanted: BTreeMap<(u16, &str), Vec<(&CheckNode, &Published)>> = BTreeMap::new();
    for (node, spec) in specs {
        for port in &spec.ports {
            if let Some(host_port) = port.host_port {
                let users = wanted
                    .entry((host_port, port.protocol.as_str()))
                    .or_default();
                users.extend(std::iter::repeat_n(
                    (*node, port),
                    node.count.min(2) as usize,
                ));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let taken = ports_taken(docker, request).await?;
    for ((port, protocol), users) in wanted {
        let of_ports = |nodes, message: String, hint: &str| Problem {
            key: Some("ports".to_owned()),
            hint: Some(hint.to_owned()),
            ..problem(ProblemKind::Setting, nodes, message)
        };
        let clashing = users.iter().enumerate().filter(|(place, (_, one))| {
            let others = users.iter().enumerate().filter(|(at, _)| at != place);
            let mut others = others.map(|(_, (_, other))| other.address.as_deref());
            others.any(|other| overlap(one.address.as_deref(), other))
        });
        let clashing = names(clashing.map(|(_, (node, _))| *node));
        if !clashing.is_empty() {
            problems.push(of_ports(
                clashing,
                format!("port {port}/{protocol} of the engine's machine is wanted by more than one container"),
                "without a port of the machine (`80` instead of `8080:80`) the engine chooses one for each",
            ));
        }
        for (address, owner) in taken
            .get(&(port, protocol.to_owned()))
            .into_iter()
            .flatten()
        {
            let hit = users
                .iter()
                .filter(|(_, one)| overlap(one.address.as_deref(), address.as_deref()));
            let hit = names(hit.map(|(node, _)| *node));
            if !hit.is_empty() {
                problems.push(of_ports(
                    hit,
                    format!("port {port}/{protocol} of the engine's machine is in use by container `{owner}`"),
                    "choose another port, or stop that container",
                ));
                break;
            }
        }
    }
    Ok(())
}

/// Says whether two containers cannot have the same port at these addresses.
fn overlap(one: Option<&str>, other: Option<&str>) -> bool {
    let is_all = |address: Option<&str>| matches!(address, None | Some("" | "0.0.0.0" | "::"));
    is_all(one) || is_all(other) || one == other
}

/// Names nodes, each once.
fn names<'n>(nodes: impl Iterator<Item = &'n CheckNode>) -> Vec<String> {
    let mut names: Vec<String> = nodes.map(|node| node.name.clone()).collect();
    names.dedup();
    names
}

/// The address of the engine's machine at which a container publishes a port,
/// and what the container is called.
type Holder = (Option<String>, String);

/// Collects ports that containers of others publish.
async fn ports_taken(
    docker: &Docker,
    request: &CheckRequest,
) -> Result<BTreeMap<(u16, String), Vec<Holder>>, ProviderError> {
    let mut taken: BTreeMap<(u16, String), Vec<Holder>> = BTreeMap::new();
    for container in view::list(docker, &std::collections::HashMap::new()).await? {
        if labels::is_of(container.labels.as_ref(), &request.infrastructure) {
            continue;
        }
        let name = view::name_of(&container).to_owned();
        for port in container.ports.into_iter().flatten() {
            if let (Some(public), Some(protocol)) = (port.public_port, port.typ) {
                let holders = taken.entry((public, protocol.to_string())).or_default();
                holders.push((port.ip, name.clone()));
            }
        }
    }
    Ok(taken)
}

/// Sees whether our agent runs at that engine.
async fn check_agents(
    inner: &Inner,
    docker: &Docker,
    specs: &[(&CheckNode, Spec)],
    problems: &mut Vec<Problem>,
) {
    let nodes = nodes_where(specs, |spec| spec.has_agent);
    if nodes.is_empty() {
        return;
    }
    if let Err(error) = inner.agent.entry(docker).await {
        problems.push(problem(ProblemKind::UserData, nodes, error.message));
    }
}

/// A network for a new infrastructure needs addresses.
async fn check_addresses(
    docker: &Docker,
    request: &CheckRequest,
    specs: &[(&CheckNode, Spec)],
    problems: &mut Vec<Problem>,
) -> Result<(), ProviderError> {
    let needs_own = specs.iter().any(|(_, spec)| spec.network.is_none());
    if !needs_own
        || !network::list(docker, Some(request.infrastructure.as_str()))
            .await?
            .is_empty()
    {
        return Ok(());
    }
    let count = network::count(docker).await?;
    if count >= NETWORKS_MAX {
        problems.push(Problem {
            is_warning: true,
            hint: Some(
                "remove unused networks, or give the engine more addresses with `default-address-pools`"
                    .to_owned(),
            ),
            ..problem(
                ProblemKind::Quota,
                Vec::new(),
                format!("the engine has {count} networks: its addresses may not suffice for one more"),
            )
        });
    }
    Ok(())
}

/// Returns the names of what a container publishes, as an engine tells it.
pub(crate) async fn published(docker: &Docker, id: &str) -> Result<Vec<(u16, u16)>, ProviderError> {
    let container = docker
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
        .map_err(failed(format!("look at container `{id}`")))?;
    let ports = container
        .network_settings
        .and_then(|settings| settings.ports)
        .unwrap_or_default();
    let mut found = Vec::new();
    for (inside, bindings) in ports {
        let Some(port) = inside
            .strip_suffix("/tcp")
            .and_then(|port| port.parse().ok())
        else {
            continue;
        };
        let outside = bindings
            .into_iter()
            .flatten()
            .find_map(|binding| binding.host_port?.parse().ok());
        found.extend(outside.map(|outside| (port, outside)));
    }
    Ok(found)
}
