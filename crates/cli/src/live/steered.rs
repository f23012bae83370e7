//! Providers whose answers about the health of steered instances come at the
//! boundaries of macrosteps only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zenekar_base::{
    Capabilities, InfrastructureId, ProbeResult, ProbeSpec, ResourceId, ResourceView,
};
use zenekar_provider::{
    Call, CreateRequest, Deleted, Identity, ObserveScope, Provider, RecontextualiseRequest,
};

use super::orchestra::{LOOK_INTERVAL, Orchestra};

/// How long an answer is held at most: the engine waits for twenty seconds.
const HOLD_MAX: Duration = Duration::from_secs(15);

/// How long to wait before a check of the same round is repeated.
const PAUSE: Duration = Duration::from_millis(200);

/// What the engine is told of an instance that is held.
const HELD: &str = "it is held at a breakpoint";

/// A provider as a session sees it.
pub(crate) struct SteeredProvider {
    inner: Arc<dyn Provider>,
    orchestra: Arc<Orchestra>,
}

impl SteeredProvider {
    pub(crate) fn new(inner: Arc<dyn Provider>, orchestra: Arc<Orchestra>) -> Self {
        Self { inner, orchestra }
    }
}

impl Provider for SteeredProvider {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        self.inner.create(request)
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        self.inner.observe(infrastructure, scope)
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        self.inner.delete(infrastructure, resource)
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        self.inner.recontextualise(infrastructure, request)
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        let name = infrastructure.as_str().to_owned();
        let Some(process) = self.orchestra.process_of(&name, &resource) else {
            return self.inner.probe(infrastructure, resource, spec);
        };
        Box::pin(async move {
            let began = Instant::now();
            loop {
                let round = self.orchestra.round(&name);
                let asked = (infrastructure.clone(), resource.clone(), spec.clone());
                let result = self.inner.probe(asked.0, asked.1, asked.2).await?;
                let is_well = result == ProbeResult::Healthy;
                self.orchestra.looked(&name, &resource, round, is_well);
                if is_well {
                    self.orchestra.notify(&name, &process);
                }
                loop {
                    let is_known = is_well && self.orchestra.may_know(&name, &process);
                    if is_known || self.orchestra.is_over(&name) {
                        return Ok(result);
                    }
                    if began.elapsed() >= HOLD_MAX {
                        let held = ProbeResult::Unhealthy(HELD.to_owned());
                        return Ok(if is_well { held } else { result });
                    }
                    tokio::time::sleep(LOOK_INTERVAL).await;
                    let now = self.orchestra.round(&name);
                    if !is_well && now.is_some() {
                        if now == round {
                            // Something may still be on its way.
                            tokio::time::sleep(PAUSE).await;
                        }
                        break;
                    }
                }
            }
        })
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        self.inner.release(infrastructure)
    }

    fn identity(&self) -> Call<'_, Identity> {
        self.inner.identity()
    }
}
