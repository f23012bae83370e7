//! Looking into containers: output, commands, ports.

use std::ffi::OsString;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, LogsOptionsBuilder};
use futures_util::StreamExt;
use zenekar_base::{
    ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ProviderError, ResourceId,
};
use zenekar_probe::HostNetwork;
use zenekar_provider::{EnterCommand, EnterRequest, LogChunk, LogRequest, LogSource};

use crate::check::published;
use crate::error::{failed, invalid, is_not_found};
use crate::inside;
use crate::provider::Inner;
use crate::settings::Endpoint;
use crate::view;

/// Bytes of output that one call returns at most.
const LOG_BYTES_MAX: usize = 1 << 20;

/// The bytes of an archive around a file of output that are read at most.
const ARCHIVE_BYTES_MAX: usize = 256 << 20;

/// How long a connection to a container may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Reads a piece of output.
pub(crate) async fn log(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    request: &LogRequest,
) -> Result<LogChunk, ProviderError> {
    let docker = inner.engine.docker().await?;
    find(docker, infrastructure, &request.resource).await?;
    match request.source {
        LogSource::Console => console(docker, request).await,
        LogSource::Contextualisation => contextualisation(docker, request).await,
    }
}

/// Finds a container of an infrastructure.
async fn find(
    docker: &Docker,
    infrastructure: &InfrastructureId,
    resource: &ResourceId,
) -> Result<zenekar_base::ResourceView, ProviderError> {
    let scope = zenekar_provider::ObserveScope::Resources(vec![resource.clone()]);
    view::observe(docker, infrastructure, &scope)
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| {
            ProviderError::new(
                ErrorClass::NotFound,
                format!("there is no container `{resource}`"),
            )
        })
}

async fn console(docker: &Docker, request: &LogRequest) -> Result<LogChunk, ProviderError> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .build();
    let wanted = request.bytes_max.min(LOG_BYTES_MAX);
    let mut skipped = 0_u64;
    let mut data = Vec::new();
    // Engines count lines, not bytes: what was read before is read again.
    let mut pieces = Box::pin(docker.logs(request.resource.as_str(), Some(options)));
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(failed(format!(
            "read the output of container `{}`",
            request.resource
        )))?;
        let bytes: &[u8] = piece.as_ref();
        let skip = usize::try_from(request.from - skipped)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        skipped += skip as u64;
        data.extend_from_slice(&bytes[skip..]);
        if data.len() >= wanted {
            data.truncate(wanted);
            break;
        }
    }
    let next = request.from.min(skipped) + data.len() as u64;
    Ok(LogChunk { data, next })
}

async fn contextualisation(
    docker: &Docker,
    request: &LogRequest,
) -> Result<LogChunk, ProviderError> {
    let options = DownloadFromContainerOptionsBuilder::default()
        .path(inside::LOG)
        .build();
    let mut pieces =
        Box::pin(docker.download_from_container(request.resource.as_str(), Some(options)));
    let mut archive = Vec::new();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) if archive.len() + piece.len() <= ARCHIVE_BYTES_MAX => {
                archive.extend_from_slice(&piece);
            }
            Ok(_) => break,
            // Nothing has been contextualised, or it has not begun.
            Err(error) if is_not_found(&error) => return Ok(nothing(request)),
            Err(error) => {
                return Err(failed("read the log of the contextualisation")(error));
            }
        }
    }
    let unreadable =
        |error: std::io::Error| invalid(format!("the engine's archive cannot be read: {error}"));
    let mut reader = tar::Archive::new(archive.as_slice());
    let Some(file) = reader.entries().map_err(unreadable)?.next() else {
        return Ok(nothing(request));
    };
    let mut file = file.map_err(unreadable)?;
    let skipped = std::io::copy(&mut (&mut file).take(request.from), &mut std::io::sink())
        .map_err(unreadable)?;
    let mut data = Vec::new();
    (&mut file)
        .take(request.bytes_max.min(LOG_BYTES_MAX) as u64)
        .read_to_end(&mut data)
        .map_err(unreadable)?;
    let next = skipped + data.len() as u64;
    Ok(LogChunk { data, next })
}

fn nothing(request: &LogRequest) -> LogChunk {
    LogChunk {
        data: Vec::new(),
        next: request.from,
    }
}

/// Says how a command is run in a container: by this program, over the engine's interface.
pub(crate) async fn enter(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    request: EnterRequest,
) -> Result<EnterCommand, ProviderError> {
    let docker = inner.engine.docker().await?;
    find(docker, infrastructure, &request.resource).await?;
    let endpoint = inner.engine.endpoint();
    let folder = match endpoint {
        Endpoint::Tls { folder, .. } => folder.clone().into_os_string(),
        Endpoint::Socket(_) | Endpoint::Plain { .. } => OsString::new(),
    };
    let mut arguments: Vec<OsString> = vec![
        inside::WORD.into(),
        "exec".into(),
        endpoint.to_string().into(),
        folder,
        request.resource.as_str().into(),
    ];
    arguments.extend(request.command);
    Ok(EnterCommand {
        program: inner.agent.executable().to_owned(),
        arguments,
    })
}

/// Says where a port of a container is reached: at the container, where the
/// engine is here, else at the engine's machine, where it is published.
pub(crate) async fn reach(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    resource: &ResourceId,
    port: u16,
) -> Result<SocketAddr, ProviderError> {
    let docker = inner.engine.docker().await?;
    let view = find(docker, infrastructure, resource).await?;
    let Some(host) = inner.engine.endpoint().remote_host() else {
        let address = view
            .addresses
            .primary()
            .and_then(|address| address.parse::<IpAddr>().ok());
        return address
            .map(|address| SocketAddr::new(address, port))
            .ok_or_else(|| invalid(format!("container `{resource}` has no address")));
    };
    let ports = published(docker, resource.as_str()).await?;
    let outside = ports
        .iter()
        .find(|(inside, _)| *inside == port)
        .map(|(_, outside)| *outside)
        .ok_or_else(|| {
            invalid(format!(
                "port {port} is not published, and the engine is on another machine: add it to `ports` of the resource section"
            ))
        })?;
    let host = host.to_owned();
    let resolved = tokio::task::spawn_blocking(move || (host, outside).to_socket_addrs()).await;
    match resolved {
        Ok(Ok(mut addresses)) => addresses
            .next()
            .ok_or_else(|| invalid("the engine's machine has no address")),
        Ok(Err(error)) => Err(ProviderError::new(
            ErrorClass::Retryable,
            format!("cannot find the address of the engine's machine: {error}"),
        )),
        Err(error) => Err(ProviderError::new(ErrorClass::Retryable, error.to_string())),
    }
}

/// Connects to a port of a container.
pub(crate) async fn connect(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    resource: &ResourceId,
    port: u16,
) -> Result<TcpStream, ProviderError> {
    let address = reach(inner, infrastructure, resource, port).await?;
    let connected =
        tokio::task::spawn_blocking(move || TcpStream::connect_timeout(&address, CONNECT_PATIENCE))
            .await;
    let reason = match connected {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(ProviderError::new(
        ErrorClass::Retryable,
        format!("cannot connect to {address}: {reason}"),
    ))
}

/// Checks a container's health. Where the engine is on another machine, ports
/// are checked where they are published.
pub(crate) async fn probe(
    inner: &Inner,
    infrastructure: &InfrastructureId,
    resource: &ResourceId,
    mut spec: ProbeSpec,
) -> Result<ProbeResult, ProviderError> {
    let docker = inner.engine.docker().await?;
    let view = find(docker, infrastructure, resource).await?;
    let Some(own) = view.addresses.primary() else {
        return Ok(ProbeResult::Unhealthy(
            "the container has no address".to_owned(),
        ));
    };
    let Some(host) = inner.engine.endpoint().remote_host() else {
        return Ok(zenekar_probe::check(&HostNetwork, own, &spec).await);
    };
    let ports = published(docker, resource.as_str()).await?;
    for port in &mut spec.ports {
        match ports.iter().find(|(inside, _)| inside == port) {
            Some((_, outside)) => *port = *outside,
            None => {
                return Ok(ProbeResult::Unhealthy(format!(
                    "port {port} is not published, and the engine is on another machine"
                )));
            }
        }
    }
    Ok(zenekar_probe::check(&HostNetwork, host, &spec).await)
}
