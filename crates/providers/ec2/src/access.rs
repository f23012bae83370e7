//! Reaching instances: health checks, ports, the console.

use std::net::{IpAddr, SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zenekar_base::{
    ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ProviderError, ResourceId,
};
use zenekar_probe::HostNetwork;
use zenekar_provider::{LogChunk, LogRequest, Reach};

use crate::answer::text;
use crate::limits::CONNECT_TIMEOUT;
use crate::provider::Ec2Provider;
use crate::request::Request;

impl Ec2Provider {
    /// Checks an instance from this machine, at its public address if it has one.
    ///
    /// Private clouds and simulators hand out public addresses that lead nowhere;
    /// there the private address counts as well. At Amazon it does not: whoever
    /// has that address near this machine is somebody else.
    pub(crate) async fn check_health(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Result<ProbeResult, ProviderError> {
        let addresses = self.ways(&infrastructure, &resource).await?;
        let [first, others @ ..] = addresses.as_slice() else {
            return Ok(ProbeResult::Unhealthy("it has no address yet".to_owned()));
        };
        let Some(second) = others.first() else {
            return Ok(zenekar_probe::check(&HostNetwork, first, &spec).await);
        };
        let mut one = Box::pin(zenekar_probe::check(&HostNetwork, first, &spec));
        let mut two = Box::pin(zenekar_probe::check(&HostNetwork, second, &spec));
        let (found, other) = tokio::select! {
            found = &mut one => (found, None),
            found = &mut two => (found, Some(())),
        };
        if found == ProbeResult::Healthy {
            return Ok(found);
        }
        Ok(match other {
            // The private address failed: the public one decides, and the other way round.
            Some(()) => one.await,
            None => match two.await {
                ProbeResult::Healthy => ProbeResult::Healthy,
                ProbeResult::Unhealthy(_) => found,
            },
        })
    }

    /// Returns the addresses under which an instance may be reached, best first.
    async fn ways(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Result<Vec<String>, ProviderError> {
        let seen = self.seen(infrastructure, resource).await?;
        let is_amazon = self.api.endpoint().await?.is_amazon;
        let mut ways: Vec<String> = seen.public.into_iter().collect();
        if ways.is_empty() || !is_amazon {
            ways.extend(seen.private);
        }
        Ok(ways)
    }

    /// Connects to a port of an instance.
    pub(crate) async fn dial(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        port: u16,
    ) -> Result<TcpStream, ProviderError> {
        let (stream, _) = self.connected(infrastructure, resource, port).await?;
        Ok(stream)
    }

    /// Says under which address a port is reached.
    pub(crate) async fn find_way(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        port: u16,
    ) -> Result<Reach, ProviderError> {
        let ways = self.ways(infrastructure, resource).await?;
        if let [one] = ways.as_slice()
            && let Ok(address) = one.parse::<IpAddr>()
        {
            return Ok(Reach::Direct(SocketAddr::new(address, port)));
        }
        let (_, address) = self.connected(infrastructure, resource, port).await?;
        Ok(Reach::Direct(address))
    }

    async fn connected(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        port: u16,
    ) -> Result<(TcpStream, SocketAddr), ProviderError> {
        let ways = self.ways(infrastructure, resource).await?;
        let mut reasons = Vec::new();
        for way in &ways {
            let Ok(address) = way.parse::<IpAddr>() else {
                continue;
            };
            let address = SocketAddr::new(address, port);
            let connecting = tokio::net::TcpStream::connect(address);
            let reason = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(stream)) => match stream.into_std() {
                    Ok(stream) => {
                        // Callers may block on it.
                        let ready = stream.set_nonblocking(false);
                        ready.map_err(|error| unreachable(&error.to_string()))?;
                        return Ok((stream, address));
                    }
                    Err(error) => error.to_string(),
                },
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            reasons.push(format!("{address}: {reason}"));
        }
        if reasons.is_empty() {
            reasons.push(format!("instance `{resource}` has no address yet"));
        }
        Err(unreachable(&reasons.join("; ")))
    }

    /// Reads what an instance's console shows: contextualisation prints there too.
    pub(crate) async fn console(
        &self,
        infrastructure: InfrastructureId,
        wanted: LogRequest,
    ) -> Result<LogChunk, ProviderError> {
        self.seen(&infrastructure, &wanted.resource).await?;
        let request =
            Request::reading("GetConsoleOutput").with("InstanceId", wanted.resource.as_str());
        let output = self
            .api
            .call(&request, |root| {
                Some(text(root, "output").unwrap_or_default().to_owned())
            })
            .await?;
        let compact: String = output.split_whitespace().collect();
        let data = STANDARD.decode(compact).map_err(|error| {
            ProviderError::new(
                ErrorClass::Retryable,
                format!("GetConsoleOutput: the output is not base64: {error}"),
            )
        })?;
        let start = usize::try_from(wanted.from)
            .unwrap_or(usize::MAX)
            .min(data.len());
        let end = start.saturating_add(wanted.bytes_max).min(data.len());
        Ok(LogChunk {
            data: data[start..end].to_vec(),
            next: end as u64,
        })
    }
}

fn unreachable(reason: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Retryable, format!("cannot connect: {reason}"))
}
