//! The provider's calls.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zenekar_base::{
    Capabilities, InfrastructureId, Millis, ProbeResult, ProbeSpec, ProviderError, ResourceId,
    ResourceState, ResourceView, Token,
};
use zenekar_provider::{
    Call, CheckRequest, CreateRequest, Deleted, EnterCommand, EnterRequest, Identity, Image,
    ImageQuery, LogChunk, LogRequest, ObserveScope, Offer, Owned, Problem, Provider, QuotaItem,
    Reach, RecontextualiseRequest,
};

use crate::bundle::Agent;
use crate::engine::Engine;
use crate::error::invalid;
use crate::image::Fetches;
use crate::network::Networks;
use crate::settings::{DockerSettings, Endpoint};
use crate::{access, check, create, look, remove, view};

/// Calls at once: engines carry out a few at a time and let the others wait.
const CALLS_IN_FLIGHT_MAX: u32 = 16;

/// Containers that one call looks at: their ids stand in an address.
const DESCRIBE_BATCH_MAX: u32 = 50;

/// How long a call that was cut off may still have an effect: an engine goes
/// on with what it has begun, and starting a container takes seconds on a
/// loaded machine.
const SETTLE: Millis = Millis::from_secs(5);

/// Runs instances as containers of a Docker engine.
#[derive(Debug)]
pub struct DockerProvider {
    name: String,
    inner: Inner,
}

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) default_image: String,
    pub(crate) networks: Networks,
    pub(crate) fetches: Fetches,
    pub(crate) agent: Agent,
    /// Tokens of the creations that this process is carrying out.
    under_way: Mutex<BTreeSet<Token>>,
}

impl Inner {
    fn under_way(&self) -> MutexGuard<'_, BTreeSet<Token>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes a creation for as long as it is carried out.
struct UnderWay<'a> {
    inner: &'a Inner,
    token: Token,
}

impl<'a> UnderWay<'a> {
    fn begin(inner: &'a Inner, request: &CreateRequest) -> Self {
        let token = request.token.clone();
        inner.under_way().insert(token.clone());
        Self { inner, token }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.inner.under_way().remove(&self.token);
    }
}

/// A container that was made and not started, and that nobody is about to
/// start: who made it was killed, or has given up.
fn given_up(mut view: ResourceView, under_way: &BTreeSet<Token>) -> ResourceView {
    let is_awaited = view
        .token
        .as_ref()
        .is_some_and(|token| under_way.contains(token));
    if view.state == ResourceState::Pending && !is_awaited && !view.instance.as_str().is_empty() {
        view.state = ResourceState::Failed;
        view.detail = Some("it was made and never started".to_owned());
    }
    view
}

impl DockerProvider {
    /// Makes the adapter of an engine. Makes no call.
    pub fn open(settings: DockerSettings) -> Result<Self, ProviderError> {
        let endpoint = Endpoint::of(&settings)?;
        let is_remote = !matches!(endpoint, Endpoint::Socket(_));
        let default_image = settings.default_image_name();
        Ok(Self {
            name: settings.name,
            inner: Inner {
                engine: Engine::new(endpoint),
                default_image,
                networks: Networks::default(),
                fetches: Fetches::default(),
                agent: Agent::new(settings.executable, is_remote),
                under_way: Mutex::default(),
            },
        })
    }
}

/// Says what the provider can do, without opening it.
pub fn capabilities() -> Capabilities {
    Capabilities {
        calls_in_flight_max: CALLS_IN_FLIGHT_MAX,
        describe_batch_max: DESCRIBE_BATCH_MAX,
        settle: SETTLE,
        is_shared: true,
        ..Capabilities::default()
    }
}

impl Provider for DockerProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        Box::pin(async move {
            let _under_way = UnderWay::begin(&self.inner, &request);
            create::create(&self.inner, &request).await
        })
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        Box::pin(async move {
            let docker = self.inner.engine.docker().await?;
            let views = view::observe(docker, &infrastructure, &scope).await?;
            let under_way = self.inner.under_way();
            let given_up = |view| given_up(view, &under_way);
            Ok(views.into_iter().map(given_up).collect())
        })
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        Box::pin(async move { remove::delete(&self.inner, &infrastructure, &resource).await })
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        let _ = infrastructure;
        Box::pin(std::future::ready(Err(invalid(format!(
            "container `{}` cannot be contextualised in place: containers are made anew",
            request.resource
        )))))
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(async move { access::probe(&self.inner, &infrastructure, &resource, spec).await })
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        Box::pin(async move { remove::release(&self.inner, &infrastructure).await })
    }

    fn check(&self, request: CheckRequest) -> Call<'_, Vec<Problem>> {
        Box::pin(async move { check::check(&self.inner, &request).await })
    }

    fn identity(&self) -> Call<'_, Identity> {
        Box::pin(async move { look::identity(self.inner.engine.docker().await?).await })
    }

    fn images(&self, query: ImageQuery) -> Call<'_, Vec<Image>> {
        Box::pin(async move { look::images(self.inner.engine.docker().await?, &query).await })
    }

    fn offers(&self) -> Call<'_, Vec<Offer>> {
        Box::pin(async move { look::offers(self.inner.engine.docker().await?).await })
    }

    fn quota(&self) -> Call<'_, Vec<QuotaItem>> {
        Box::pin(async move { look::quota(self.inner.engine.docker().await?).await })
    }

    fn owned(&self) -> Call<'_, Vec<Owned>> {
        Box::pin(async move { remove::owned(&self.inner).await })
    }

    fn delete_owned(&self, owned: Owned) -> Call<'_, Deleted> {
        Box::pin(async move { remove::delete_owned(&self.inner, &owned).await })
    }

    fn log(&self, infrastructure: InfrastructureId, request: LogRequest) -> Call<'_, LogChunk> {
        Box::pin(async move { access::log(&self.inner, &infrastructure, &request).await })
    }

    fn enter(
        &self,
        infrastructure: InfrastructureId,
        request: EnterRequest,
    ) -> Call<'_, EnterCommand> {
        Box::pin(async move { access::enter(&self.inner, &infrastructure, request).await })
    }

    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        Box::pin(async move {
            access::reach(&self.inner, &infrastructure, &resource, port)
                .await
                .map(Reach::Direct)
        })
    }

    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, TcpStream> {
        Box::pin(
            async move { access::connect(&self.inner, &infrastructure, &resource, port).await },
        )
    }
}
