//! The provider: calls handed on to what carries them out.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use zenekar_base::{
    Capabilities, ErrorClass, InfrastructureId, ProbeResult, ProbeSpec, ProviderError, ResourceId,
    ResourceView,
};
use zenekar_probe::HostNetwork;
use zenekar_provider::{
    Call, CheckRequest, CreateRequest, Deleted, Identity, Image, ImageQuery, LogChunk, LogRequest,
    ObserveScope, Offer, Owned, Problem, Provider, QuotaItem, Reach, RecontextualiseRequest,
};

use crate::create::USER_DATA_BYTES_MAX;
use crate::observe::DESCRIBE_BATCH_MAX;
use crate::openstack::OpenStack;
use crate::session::{ABANDONED, Ask, Service, Session, invalid, segment};
use crate::settings::OpenStackSettings;

/// Calls that one engine makes at once: installations have a few processes that
/// answer, and others use them too.
const CALLS_IN_FLIGHT_MAX: u32 = 16;

/// How long connecting to a port of a server may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Provider `nova`: one project at one `OpenStack`.
pub struct OpenStackProvider {
    name: String,
    inner: Arc<OpenStack>,
}

impl OpenStackProvider {
    /// Makes a provider; no call is made.
    pub fn open(settings: OpenStackSettings) -> Result<Self, ProviderError> {
        let name = settings.name.clone();
        let inner = Arc::new(OpenStack::new(Session::new(settings)?));
        Ok(Self { name, inner })
    }
}

/// Somebody waits as long as this lives.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Deserialize)]
struct ConsoleOutput {
    output: Option<String>,
}

impl OpenStack {
    async fn log(
        &self,
        infrastructure: &InfrastructureId,
        request: &LogRequest,
    ) -> Result<LogChunk, ProviderError> {
        self.own_server(infrastructure, &request.resource).await?;
        let path = format!("servers/{}/action", segment(request.resource.as_str()));
        let body = json!({ "os-getConsoleOutput": {} });
        let mut ask = Ask::post("read the console", Service::Compute, path, body);
        ask.only_reads = true;
        let output = match self.session.ask_for::<ConsoleOutput>(ask).await {
            Ok(console) => console.output.unwrap_or_default(),
            // The server has no console yet.
            Err(error) if error.class == ErrorClass::Conflict => String::new(),
            Err(error) => return Err(error),
        };
        let from = usize::try_from(request.from).unwrap_or(usize::MAX);
        let rest = output.as_bytes().get(from..).unwrap_or_default();
        let data = rest[..rest.len().min(request.bytes_max)].to_vec();
        Ok(LogChunk {
            next: request.from + data.len() as u64,
            data,
        })
    }

    /// Finds the socket address of a port of a server.
    async fn socket_address(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        port: u16,
    ) -> Result<SocketAddr, ProviderError> {
        let addresses = self.place(infrastructure, resource).await?;
        let address = addresses.primary().ok_or_else(|| {
            ProviderError::new(
                ErrorClass::Retryable,
                format!("server `{resource}` has no address yet"),
            )
        })?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| invalid(format!("`{address}` is not an address")))?;
        Ok(SocketAddr::new(address, port))
    }

    async fn probe(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
        spec: &ProbeSpec,
    ) -> Result<ProbeResult, ProviderError> {
        let addresses = self.place(infrastructure, resource).await?;
        match addresses.primary() {
            Some(address) => Ok(zenekar_probe::check(&HostNetwork, address, spec).await),
            None => Ok(ProbeResult::Unhealthy(
                "the server has no address".to_owned(),
            )),
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, ProviderError> {
    let failed = |reason: String| {
        ProviderError::new(
            ErrorClass::Retryable,
            format!("cannot connect to {address}: {reason}"),
        )
    };
    let connecting = tokio::net::TcpStream::connect(address);
    let connected = tokio::time::timeout(CONNECT_PATIENCE, connecting).await;
    let stream = connected.map_err(|_| failed("no answer".to_owned()))?;
    let stream = stream.map_err(|error| failed(error.to_string()))?;
    let stream = stream
        .into_std()
        .map_err(|error| failed(error.to_string()))?;
    let blocking = stream.set_nonblocking(false);
    blocking.map_err(|error| failed(error.to_string()))?;
    Ok(stream)
}

impl Provider for OpenStackProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            calls_in_flight_max: CALLS_IN_FLIGHT_MAX,
            describe_batch_max: DESCRIBE_BATCH_MAX,
            settle: self.inner.session.settings().settle,
            recontextualise: false,
            native_tokens: false,
            user_data_bytes_max: Some(USER_DATA_BYTES_MAX as u64),
            is_shared: true,
        }
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        let inner = self.inner.clone();
        Box::pin(async move {
            // Who gives up waiting does not cut off the request that is under
            // way: Nova may have taken it in, and the next call for the instance
            // must not begin before it can be seen what it has made. No other
            // request that changes something follows it.
            let abandoned = Arc::new(AtomicBool::new(false));
            let _waiting = Waiting(abandoned.clone());
            let create = async move { inner.create(&request).await };
            let task = tokio::spawn(ABANDONED.scope(abandoned, create));
            task.await.unwrap_or_else(|error| {
                Err(ProviderError::new(
                    ErrorClass::Unknown,
                    format!("the creation was cut off: {error}"),
                ))
            })
        })
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        Box::pin(async move { self.inner.observe(&infrastructure, &scope).await })
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        Box::pin(async move { self.inner.delete(&infrastructure, &resource).await })
    }

    fn recontextualise(
        &self,
        _infrastructure: InfrastructureId,
        _request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        let error = invalid("servers of Nova cannot be contextualised again in place");
        Box::pin(std::future::ready(Err(error)))
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(async move { self.inner.probe(&infrastructure, &resource, &spec).await })
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        Box::pin(async move { self.inner.release(&infrastructure).await })
    }

    fn check(&self, request: CheckRequest) -> Call<'_, Vec<Problem>> {
        Box::pin(async move { self.inner.check(&request).await })
    }

    fn identity(&self) -> Call<'_, Identity> {
        Box::pin(self.inner.identity())
    }

    fn images(&self, query: ImageQuery) -> Call<'_, Vec<Image>> {
        Box::pin(async move { self.inner.images(&query).await })
    }

    fn offers(&self) -> Call<'_, Vec<Offer>> {
        Box::pin(self.inner.offers())
    }

    fn quota(&self) -> Call<'_, Vec<QuotaItem>> {
        Box::pin(self.inner.quota())
    }

    fn owned(&self) -> Call<'_, Vec<Owned>> {
        Box::pin(self.inner.owned())
    }

    fn delete_owned(&self, owned: Owned) -> Call<'_, Deleted> {
        Box::pin(async move { self.inner.delete_owned(&owned).await })
    }

    fn log(&self, infrastructure: InfrastructureId, request: LogRequest) -> Call<'_, LogChunk> {
        Box::pin(async move { self.inner.log(&infrastructure, &request).await })
    }

    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        Box::pin(async move {
            let address = self.inner.socket_address(&infrastructure, &resource, port);
            Ok(Reach::Direct(address.await?))
        })
    }

    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, TcpStream> {
        Box::pin(async move {
            let address = self.inner.socket_address(&infrastructure, &resource, port);
            connect(address.await?).await
        })
    }
}
