//! What the checks share: calls as the engine makes them, and waiting.

use zenekar_base::{
    ErrorClass, InfrastructureId, InstanceKey, InstanceTag, ProbeResult, ProviderError, ResourceId,
    ResourceState, ResourceView, Token,
};

use super::{Extras, Setup};
use crate::{Call, CreateRequest, Deleted, ObserveScope, Provider};

/// How often a call that fails in passing is repeated. With half of all calls
/// failing, one check in a million would still fail by bad luck.
const ATTEMPTS_MAX: u32 = 20;

/// How many instances are tried until one gets healthy.
const INSTANCES_MAX: u32 = 10;

/// What became of a created instance.
pub(super) enum Fate {
    /// It failed, stopped or went away.
    Broken,
    /// It passes its checks.
    Healthy(ResourceView),
}

/// All checks, with what they run against.
pub(super) struct Suite<'a> {
    pub(super) setup: &'a Setup<'a>,
    pub(super) extras: &'a Extras<'a>,
}

/// Numbers of the instances that the checks use; none uses those of another.
pub(super) mod keys {
    pub(crate) const IDEMPOTENT: u32 = 1;
    pub(crate) const CONFLICT: u32 = 2;
    pub(crate) const FOREIGN: u32 = 10;
    pub(crate) const UNKNOWN: u32 = 4;
    pub(crate) const TOKEN_AFTER_DELETE: u32 = 5;
    pub(crate) const BATCH: u32 = 100;
    pub(crate) const HEALTHY: u32 = 200;
    pub(crate) const RECONTEXTUALISE: u32 = 300;
    pub(crate) const CANCELLED: u32 = 400;
    pub(crate) const TOGETHER: u32 = 420;
    pub(crate) const USER_DATA: u32 = 430;
    pub(crate) const IMPOSSIBLE: u32 = 431;
    pub(crate) const OWNED: u32 = 440;
    pub(crate) const RELEASED: u32 = 500;
    pub(crate) const RELEASED_AFTER: u32 = 580;
    pub(crate) const FAULTY: u32 = 600;
}

/// Fails a check unless something holds.
pub(super) fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// Says whether a resource exists and may cost money.
pub(super) fn exists(view: &ResourceView) -> bool {
    !matches!(view.state, ResourceState::Gone | ResourceState::Deleting)
}

/// Says whether a call that failed so may succeed when it is repeated.
fn passes(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Retryable | ErrorClass::Throttled | ErrorClass::Capacity | ErrorClass::Unknown
    )
}

impl Suite<'_> {
    pub(super) fn provider(&self) -> &dyn Provider {
        self.setup.provider
    }

    pub(super) fn tag(&self, key: u32) -> InstanceTag {
        InstanceTag::derive(&self.setup.infrastructure, InstanceKey(key))
    }

    pub(super) fn request(&self, key: u32) -> CreateRequest {
        CreateRequest {
            infrastructure: self.setup.infrastructure.clone(),
            instance: self.tag(key),
            token: Token::derive(&self.setup.infrastructure, InstanceKey(key), 1),
            name: format!("conformance/{key}"),
            rendered: self.setup.rendered.clone(),
        }
    }

    /// Repeats a call while it fails in passing.
    pub(super) async fn patiently<'c, T>(
        &self,
        make: impl Fn() -> Call<'c, T>,
    ) -> Result<T, ProviderError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match make().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !passes(error.class) || attempt == ATTEMPTS_MAX {
                return Err(error);
            }
            self.setup
                .pause
                .pause(error.retry_after.unwrap_or(self.setup.poll))
                .await;
        }
    }

    pub(super) async fn create(&self, key: u32) -> Result<ResourceView, String> {
        self.patiently(|| self.provider().create(self.request(key)))
            .await
            .map_err(|error| format!("create failed: {error}"))
    }

    pub(super) async fn observe(
        &self,
        infrastructure: &InfrastructureId,
        scope: ObserveScope,
    ) -> Result<Vec<ResourceView>, String> {
        let views = self
            .patiently(|| {
                self.provider()
                    .observe(infrastructure.clone(), scope.clone())
            })
            .await;
        views.map_err(|error| format!("observe failed: {error}"))
    }

    pub(super) async fn observe_own(
        &self,
        scope: ObserveScope,
    ) -> Result<Vec<ResourceView>, String> {
        self.observe(&self.setup.infrastructure, scope).await
    }

    pub(super) async fn delete(&self, resource: &ResourceId) -> Result<Deleted, String> {
        let deleted = self
            .patiently(|| {
                self.provider()
                    .delete(self.setup.infrastructure.clone(), resource.clone())
            })
            .await;
        deleted.map_err(|error| format!("delete failed: {error}"))
    }

    pub(super) async fn settle(&self) {
        self.setup
            .pause
            .pause(self.provider().capabilities().settle)
            .await;
    }

    /// Looks again and again, until `look` returns something.
    pub(super) async fn eventually<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>, String>,
    ) -> Result<T, String> {
        let looks_max = self.setup.ready_max.0 / self.setup.poll.0.max(1) + 1;
        for _ in 0..looks_max {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            self.setup.pause.pause(self.setup.poll).await;
        }
        Err(format!("{what} within {}", self.setup.ready_max))
    }

    /// Returns the view of one resource, if it is shown.
    pub(super) async fn describe(
        &self,
        resource: &ResourceId,
    ) -> Result<Option<ResourceView>, String> {
        let views = self
            .observe_own(ObserveScope::Resources(vec![resource.clone()]))
            .await?;
        require(
            views.len() <= 1 && views.iter().all(|view| view.resource == *resource),
            || format!("asked for `{resource}`, got {views:?}"),
        )?;
        Ok(views.into_iter().next())
    }

    /// Deletes a resource and waits until it is gone.
    pub(super) async fn remove(&self, resource: &ResourceId) -> Result<(), String> {
        self.eventually(&format!("`{resource}` is not gone"), async || {
            Ok((self.delete(resource).await? == Deleted::Gone).then_some(()))
        })
        .await?;
        self.settle().await;
        let shown = self.describe(resource).await?;
        require(
            shown
                .as_ref()
                .is_none_or(|view| view.state == ResourceState::Gone),
            || format!("gone, yet shown as {shown:?}"),
        )
    }

    /// Creates instances until one is healthy, and removes those that break.
    pub(super) async fn healthy(&self, first_key: u32) -> Result<ResourceView, String> {
        for key in first_key..first_key + INSTANCES_MAX {
            let created = self.create(key).await?;
            let fate = self
                .eventually("no instance is healthy, failed or gone", async || {
                    self.fate(&created.resource).await
                })
                .await;
            if let Ok(Fate::Healthy(view)) = fate {
                return Ok(view);
            }
            self.remove(&created.resource).await?;
        }
        Err(format!("none of {INSTANCES_MAX} instances got healthy"))
    }

    /// Returns nothing while it is open.
    pub(super) async fn fate(&self, resource: &ResourceId) -> Result<Option<Fate>, String> {
        let Some(view) = self.describe(resource).await? else {
            return Ok(None);
        };
        match view.state {
            ResourceState::Pending => Ok(None),
            ResourceState::Running => {
                let healthy = self.probe(resource).await? == Some(ProbeResult::Healthy);
                Ok(healthy.then_some(Fate::Healthy(view)))
            }
            ResourceState::Stopped
            | ResourceState::Failed
            | ResourceState::Deleting
            | ResourceState::Gone => Ok(Some(Fate::Broken)),
        }
    }

    /// Probes a resource; nothing if it is not found.
    pub(super) async fn probe(&self, resource: &ResourceId) -> Result<Option<ProbeResult>, String> {
        let infrastructure = &self.setup.infrastructure;
        let probed = self
            .patiently(|| {
                self.provider().probe(
                    infrastructure.clone(),
                    resource.clone(),
                    self.setup.probe.clone(),
                )
            })
            .await;
        match probed {
            Ok(result) => Ok(Some(result)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(format!("probe failed: {error}")),
        }
    }
}
