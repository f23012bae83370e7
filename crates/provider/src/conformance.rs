//! One suite that every provider has to pass.
//!
//! It uses a provider as the engine does: failures that pass are repeated with
//! the same token, absence is believed only after the settling time, and an
//! instance that breaks is replaced. So it also runs against clouds that fail
//! on purpose. It leaves nothing behind when it succeeds.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use zenekar_base::{
    ErrorClass, InfrastructureId, InstanceKey, InstanceTag, Millis, ProbeResult, ProbeSpec,
    ProviderError, ResourceId, ResourceState, ResourceView, Token,
};
use zenekar_model::Rendered;

use crate::{Call, CreateRequest, Deleted, ObserveScope, Provider, RecontextualiseRequest};

/// How often a call that fails in passing is repeated. With half of all calls
/// failing, one check in a million would still fail by bad luck.
const ATTEMPTS_MAX: u32 = 20;

/// How many instances are tried until one gets healthy.
const INSTANCES_MAX: u32 = 10;

/// Instances that exist at once for the checks of lists.
const BATCH: u32 = 5;

/// Lets the provider's time pass: real time for real providers.
pub trait Pause: Sync {
    /// Waits for `span`.
    fn pause(&self, span: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What the suite needs to know.
pub struct Setup<'a> {
    /// The provider under test.
    pub provider: &'a dyn Provider,
    /// Its time.
    pub pause: &'a dyn Pause,
    /// An infrastructure that nothing has used before.
    pub infrastructure: InfrastructureId,
    /// Another one.
    pub foreign: InfrastructureId,
    /// What instances are created from.
    pub rendered: Rendered,
    /// What has to hold for an instance to be healthy.
    pub probe: ProbeSpec,
    /// How often to look while waiting.
    pub poll: Millis,
    /// How long an instance may take to be running and healthy, or to be gone.
    pub ready_max: Millis,
}

/// A rule that a provider broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The check.
    pub check: &'static str,
    /// What should have been, and what was.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.check, self.message)
    }
}

impl std::error::Error for Failure {}

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Checks that passed.
    pub passed: Vec<&'static str>,
    /// Checks that the capabilities excuse.
    pub skipped: Vec<&'static str>,
}

type Check<'a> = Pin<Box<dyn Future<Output = Result<bool, String>> + 'a>>;

/// Runs all checks in order, and stops at the first broken rule.
pub async fn run(setup: &Setup<'_>) -> Result<Report, Failure> {
    let suite = Suite { setup };
    let checks: [(&'static str, Check<'_>); 11] = [
        (
            "capabilities make sense",
            Box::pin(ready(suite.capabilities())),
        ),
        (
            "a create call returns its instance, and so does its repetition",
            Box::pin(suite.create_is_idempotent()),
        ),
        (
            "a token with other parameters does not create",
            Box::pin(suite.token_conflict()),
        ),
        (
            "lists and batches show what was created",
            Box::pin(suite.lists_and_batches()),
        ),
        (
            "what does not exist is left out",
            Box::pin(suite.unknown_is_left_out()),
        ),
        (
            "another infrastructure is invisible and untouchable",
            Box::pin(suite.foreign_is_invisible()),
        ),
        (
            "an instance gets an address and healthy",
            Box::pin(suite.gets_healthy()),
        ),
        (
            "a probe of nothing is not found",
            Box::pin(suite.probe_of_nothing()),
        ),
        (
            "a contextualisation in place counts once",
            Box::pin(suite.recontextualise()),
        ),
        (
            "deleting can be repeated, and ends",
            Box::pin(suite.delete_ends()),
        ),
        (
            "the token of a deleted instance creates nothing",
            Box::pin(suite.token_after_delete()),
        ),
    ];
    let mut report = Report::default();
    for (name, check) in checks {
        match check.await {
            Ok(true) => report.passed.push(name),
            Ok(false) => report.skipped.push(name),
            Err(message) => {
                return Err(Failure {
                    check: name,
                    message,
                });
            }
        }
    }
    Ok(report)
}

/// What became of a created instance.
enum Fate {
    Broken,
    Healthy(ResourceView),
}

struct Suite<'a> {
    setup: &'a Setup<'a>,
}

/// Numbers of the instances that the checks use; none uses those of another.
mod keys {
    pub(super) const IDEMPOTENT: u32 = 1;
    pub(super) const CONFLICT: u32 = 2;
    pub(super) const FOREIGN: u32 = 10;
    pub(super) const UNKNOWN: u32 = 4;
    pub(super) const TOKEN_AFTER_DELETE: u32 = 5;
    pub(super) const BATCH: u32 = 100;
    pub(super) const HEALTHY: u32 = 200;
    pub(super) const RECONTEXTUALISE: u32 = 300;
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// Says whether a resource exists and may cost money.
fn exists(view: &ResourceView) -> bool {
    !matches!(view.state, ResourceState::Gone | ResourceState::Deleting)
}

impl Suite<'_> {
    fn provider(&self) -> &dyn Provider {
        self.setup.provider
    }

    fn tag(&self, key: u32) -> InstanceTag {
        InstanceTag::derive(&self.setup.infrastructure, InstanceKey(key))
    }

    fn request(&self, key: u32) -> CreateRequest {
        CreateRequest {
            infrastructure: self.setup.infrastructure.clone(),
            instance: self.tag(key),
            token: Token::derive(&self.setup.infrastructure, InstanceKey(key), 1),
            name: format!("conformance/{key}"),
            rendered: self.setup.rendered.clone(),
        }
    }

    /// Repeats a call while it fails in passing.
    async fn patiently<'c, T>(&self, make: impl Fn() -> Call<'c, T>) -> Result<T, ProviderError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match make().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let passes = matches!(
                error.class,
                ErrorClass::Retryable
                    | ErrorClass::Throttled
                    | ErrorClass::Capacity
                    | ErrorClass::Unknown
            );
            if !passes || attempt == ATTEMPTS_MAX {
                return Err(error);
            }
            self.setup
                .pause
                .pause(error.retry_after.unwrap_or(self.setup.poll))
                .await;
        }
    }

    async fn create(&self, key: u32) -> Result<ResourceView, String> {
        self.patiently(|| self.provider().create(self.request(key)))
            .await
            .map_err(|error| format!("create failed: {error}"))
    }

    async fn observe(
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

    async fn observe_own(&self, scope: ObserveScope) -> Result<Vec<ResourceView>, String> {
        self.observe(&self.setup.infrastructure, scope).await
    }

    async fn delete(&self, resource: &ResourceId) -> Result<Deleted, String> {
        let deleted = self
            .patiently(|| {
                self.provider()
                    .delete(self.setup.infrastructure.clone(), resource.clone())
            })
            .await;
        deleted.map_err(|error| format!("delete failed: {error}"))
    }

    async fn settle(&self) {
        self.setup
            .pause
            .pause(self.provider().capabilities().settle)
            .await;
    }

    /// Looks again and again, until `look` returns something.
    async fn eventually<T>(
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
    async fn describe(&self, resource: &ResourceId) -> Result<Option<ResourceView>, String> {
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
    async fn remove(&self, resource: &ResourceId) -> Result<(), String> {
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
    async fn healthy(&self, first_key: u32) -> Result<ResourceView, String> {
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
    async fn fate(&self, resource: &ResourceId) -> Result<Option<Fate>, String> {
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
    async fn probe(&self, resource: &ResourceId) -> Result<Option<ProbeResult>, String> {
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

    fn capabilities(&self) -> Result<bool, String> {
        let capabilities = self.provider().capabilities();
        require(!self.provider().name().is_empty(), || {
            "the provider has no name".to_owned()
        })?;
        require(
            capabilities.calls_in_flight_max > 0 && capabilities.describe_batch_max > 0,
            || format!("a bound is zero: {capabilities:?}"),
        )?;
        require(self.setup.infrastructure != self.setup.foreign, || {
            "the setup names one infrastructure twice".to_owned()
        })?;
        Ok(true)
    }

    async fn create_is_idempotent(&self) -> Result<bool, String> {
        let first = self.create(keys::IDEMPOTENT).await?;
        require(first.instance == self.tag(keys::IDEMPOTENT), || {
            format!("the tag is another one: {first:?}")
        })?;
        let token = self.request(keys::IDEMPOTENT).token;
        require(
            first.token.as_ref().is_none_or(|shown| *shown == token),
            || format!("the token is another one: {first:?}"),
        )?;
        for _ in 0..3 {
            let again = self.create(keys::IDEMPOTENT).await?;
            require(again.resource == first.resource, || {
                format!(
                    "a repeated call made `{}` besides `{}`",
                    again.resource, first.resource
                )
            })?;
        }
        self.settle().await;
        let all = self.observe_own(ObserveScope::All).await?;
        let same: Vec<_> = all
            .iter()
            .filter(|view| view.instance == first.instance)
            .collect();
        require(same.len() <= 1, || {
            format!("one token made several resources: {same:?}")
        })?;
        self.remove(&first.resource).await?;
        Ok(true)
    }

    async fn token_conflict(&self) -> Result<bool, String> {
        if !self.provider().capabilities().native_tokens {
            return Ok(false);
        }
        let created = self.create(keys::CONFLICT).await?;
        let mut other = self.request(keys::CONFLICT);
        other.rendered.user_data = Some("#cloud-config\n# something else\n".to_owned());
        let answer = self
            .patiently(|| self.provider().create(other.clone()))
            .await;
        require(
            answer
                .as_ref()
                .is_err_and(|error| error.class == ErrorClass::Conflict),
            || format!("not a conflict: {answer:?}"),
        )?;
        self.remove(&created.resource).await?;
        Ok(true)
    }

    async fn lists_and_batches(&self) -> Result<bool, String> {
        let mut created = Vec::new();
        for key in keys::BATCH..keys::BATCH + BATCH {
            created.push(self.create(key).await?);
        }
        self.settle().await;
        let all = self.observe_own(ObserveScope::All).await?;
        let batch_max = self
            .provider()
            .capabilities()
            .describe_batch_max
            .min(BATCH - 1) as usize;
        let mut described = Vec::new();
        for batch in created.chunks(batch_max) {
            let wanted = batch.iter().map(|view| view.resource.clone()).collect();
            described.extend(self.observe_own(ObserveScope::Resources(wanted)).await?);
        }
        for view in &created {
            for (name, answer) in [("list", &all), ("batch", &described)] {
                let shown: Vec<_> = answer
                    .iter()
                    .filter(|other| other.resource == view.resource)
                    .collect();
                // One that is not shown after the settling time must really be gone.
                let gone = shown.is_empty()
                    && self
                        .describe(&view.resource)
                        .await?
                        .is_none_or(|view| !exists(&view));
                let right = gone || (shown.len() == 1 && shown[0].instance == view.instance);
                require(right, || {
                    format!("a {name} shows `{}` as {shown:?}", view.resource)
                })?;
            }
        }
        for view in &created {
            self.remove(&view.resource).await?;
        }
        Ok(true)
    }

    async fn unknown_is_left_out(&self) -> Result<bool, String> {
        let created = self.create(keys::UNKNOWN).await?;
        let unknown = ResourceId::new("zenekar-no-such-resource");
        let views = self
            .observe_own(ObserveScope::Resources(vec![
                unknown.clone(),
                created.resource.clone(),
            ]))
            .await?;
        require(
            views.iter().all(|view| view.resource == created.resource),
            || format!("something else is shown: {views:?}"),
        )?;
        require(self.delete(&unknown).await? == Deleted::Gone, || {
            "deleting what never existed is not `Gone`".to_owned()
        })?;
        self.remove(&created.resource).await?;
        Ok(true)
    }

    async fn foreign_is_invisible(&self) -> Result<bool, String> {
        // An instance may break by itself meanwhile, but hardly three in a row.
        for key in keys::FOREIGN..keys::FOREIGN + 3 {
            if self.survives_foreign_calls(key).await? {
                return Ok(true);
            }
        }
        Err("deleting it from another infrastructure deletes it".to_owned())
    }

    async fn survives_foreign_calls(&self, key: u32) -> Result<bool, String> {
        let created = self.create(key).await?;
        self.settle().await;
        let foreign = &self.setup.foreign;
        for scope in [
            ObserveScope::All,
            ObserveScope::Resources(vec![created.resource.clone()]),
        ] {
            let views = self.observe(foreign, scope).await?;
            require(views.is_empty(), || {
                format!("another infrastructure sees {views:?}")
            })?;
        }
        let deleted = self
            .patiently(|| {
                self.provider()
                    .delete(foreign.clone(), created.resource.clone())
            })
            .await;
        require(deleted == Ok(Deleted::Gone), || {
            format!("deleting it from there gives {deleted:?}")
        })?;
        self.settle().await;
        let survives = self
            .describe(&created.resource)
            .await?
            .is_some_and(|view| exists(&view));
        self.remove(&created.resource).await?;
        Ok(survives)
    }

    async fn gets_healthy(&self) -> Result<bool, String> {
        let view = self.healthy(keys::HEALTHY).await?;
        require(view.addresses.primary().is_some(), || {
            format!("healthy without an address: {view:?}")
        })?;
        self.remove(&view.resource).await?;
        Ok(true)
    }

    async fn probe_of_nothing(&self) -> Result<bool, String> {
        let result = self
            .probe(&ResourceId::new("zenekar-no-such-resource"))
            .await?;
        require(result.is_none(), || format!("it is {result:?}"))?;
        Ok(true)
    }

    async fn recontextualise(&self) -> Result<bool, String> {
        if !self.provider().capabilities().recontextualise {
            return Ok(false);
        }
        let view = self.healthy(keys::RECONTEXTUALISE).await?;
        for revision in [2, 2, 1] {
            let request = RecontextualiseRequest {
                resource: view.resource.clone(),
                instance: view.instance.clone(),
                revision,
                rendered: self.setup.rendered.clone(),
            };
            let infrastructure = &self.setup.infrastructure;
            let done = self
                .patiently(|| {
                    self.provider()
                        .recontextualise(infrastructure.clone(), request.clone())
                })
                .await;
            done.map_err(|error| format!("revision {revision} failed: {error}"))?;
        }
        self.settle().await;
        if let Some(now) = self.describe(&view.resource).await?.filter(exists) {
            require(now.revision == 2, || {
                format!("revision 2 was the newest, shown is {}", now.revision)
            })?;
        }
        self.remove(&view.resource).await?;
        Ok(true)
    }

    async fn delete_ends(&self) -> Result<bool, String> {
        let left: Vec<_> = self
            .observe_own(ObserveScope::All)
            .await?
            .into_iter()
            .filter(exists)
            .collect();
        for view in &left {
            self.remove(&view.resource).await?;
            require(self.delete(&view.resource).await? == Deleted::Gone, || {
                "a repeated delete call is not `Gone`".to_owned()
            })?;
        }
        let left: Vec<_> = self
            .observe_own(ObserveScope::All)
            .await?
            .into_iter()
            .filter(exists)
            .collect();
        require(left.is_empty(), || format!("left behind: {left:?}"))?;
        Ok(true)
    }

    async fn token_after_delete(&self) -> Result<bool, String> {
        if !self.provider().capabilities().native_tokens {
            return Ok(false);
        }
        let created = self.create(keys::TOKEN_AFTER_DELETE).await?;
        self.remove(&created.resource).await?;
        let again = self.create(keys::TOKEN_AFTER_DELETE).await?;
        require(
            again.resource == created.resource && again.state == ResourceState::Gone,
            || format!("a new machine: {again:?}"),
        )?;
        Ok(true)
    }
}
