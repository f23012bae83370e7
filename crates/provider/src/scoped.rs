//! Telling infrastructures of the same name apart where others use the same account.
//!
//! Names of infrastructures are unique within one state directory only. At a
//! cloud that several people or directories use, everything of ours is tagged
//! `NAME.ORIGIN` instead, and tokens end with the origin too. Adapters know
//! nothing of it: they tag with what they are given.
//!
//! All calls for an infrastructure go through here, so it is also here that
//! they are refused where another account answers than the one it is tied to.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zenekar_base::{
    Account, Capabilities, ErrorClass, InfrastructureId, Origin, ProbeResult, ProbeSpec,
    ProviderError, ResourceId, ResourceState, ResourceView, Token,
};

use crate::account::{Answering, Binding, Bindings, LOOK_PATIENCE, problem, refusal};
use crate::{
    Call, CheckRequest, CreateRequest, Deleted, EnterCommand, EnterRequest, Identity, Image,
    ImageQuery, LogChunk, LogRequest, ObserveScope, Offer, Owned, Problem, Provider, QuotaItem,
    Reach, RecontextualiseRequest,
};

/// Returns what an infrastructure is called at clouds that others use too: `NAME.ORIGIN`.
pub fn scoped_infrastructure(
    infrastructure: &InfrastructureId,
    origin: &Origin,
) -> InfrastructureId {
    InfrastructureId::new(format!("{infrastructure}.{origin}"))
}

/// Returns the name and the origin of what [`scoped_infrastructure`] made, as
/// [`Provider::owned`] lists it; `None` of anything else.
pub fn split_scoped(scoped: &InfrastructureId) -> Option<(InfrastructureId, Origin)> {
    let (name, origin) = scoped.as_str().rsplit_once('.')?;
    let origin = origin.parse().ok()?;
    (!name.is_empty()).then(|| (InfrastructureId::new(name), origin))
}

fn scoped_token(token: &Token, origin: &Origin) -> Token {
    Token::new(format!("{token}-{origin}"))
}

/// Takes the origin off a view's token; `None` if the resource has another
/// origin: then it is not the caller's.
fn unscoped(mut view: ResourceView, origin: &Origin) -> Option<ResourceView> {
    if let Some(token) = &view.token {
        let own = token
            .as_str()
            .strip_suffix(origin.as_str())
            .and_then(|rest| rest.strip_suffix('-'));
        match own {
            Some(own) => view.token = Some(Token::new(own)),
            // What others have made and we adopted may have a token of theirs.
            None if view.instance.as_str().is_empty() => view.token = None,
            None => return None,
        }
    }
    Some(view)
}

/// A provider whose account others use too, with what our infrastructures are tied to there.
pub struct Scoped {
    inner: Arc<dyn Provider>,
    bindings: Arc<dyn Bindings>,
    answering: Answering,
    look_patience: Duration,
    accepted: Option<String>,
}

/// What a call needs to know of its infrastructure.
struct Bound {
    /// Its name here.
    infrastructure: InfrastructureId,
    /// Its name there.
    scoped: InfrastructureId,
    origin: Origin,
    /// The account that it is tied to; it was the one that answers.
    account: Option<Account>,
}

impl Scoped {
    /// Puts origins and accounts before a provider.
    pub fn new(inner: Arc<dyn Provider>, bindings: Arc<dyn Bindings>) -> Self {
        Self {
            inner,
            bindings,
            answering: Answering::default(),
            look_patience: LOOK_PATIENCE,
            accepted: None,
        }
    }

    /// Accepts the account with this pin in place of the one that an
    /// infrastructure is tied to: what is in that one is given up.
    #[must_use]
    pub fn accepting(mut self, pin: Option<String>) -> Self {
        self.accepted = pin;
        self
    }

    /// Puts both before a provider if its account is shared; returns it as it is otherwise.
    pub fn wrap(
        inner: Arc<dyn Provider>,
        bindings: Arc<dyn Bindings>,
        accepted: Option<String>,
    ) -> Arc<dyn Provider> {
        if inner.capabilities().is_shared {
            Arc::new(Self::new(inner, bindings).accepting(accepted))
        } else {
            inner
        }
    }

    fn binding(&self, infrastructure: &InfrastructureId) -> Result<Binding, ProviderError> {
        let found = self.bindings.binding(infrastructure, self.name())?;
        found.ok_or_else(|| {
            ProviderError::new(
                ErrorClass::Invalid,
                format!("infrastructure `{infrastructure}` has no state here, so nothing of it can be told apart at a cloud that others use too"),
            )
        })
    }

    /// Prepares a call for an infrastructure that must have an origin by now, and
    /// refuses it if the account that answers is not the one that it is tied to.
    async fn bound(&self, infrastructure: InfrastructureId) -> Result<Bound, ProviderError> {
        let Binding { origin, account } = self.binding(&infrastructure)?;
        let scoped = scoped_infrastructure(&infrastructure, &origin);
        let mut bound = Bound {
            infrastructure,
            scoped,
            origin,
            account,
        };
        if bound.account.is_some() {
            let answering = self.answering.lately(self.inner.as_ref()).await?;
            self.compare(&mut bound, answering)?;
        }
        Ok(bound)
    }

    /// Prepares a call that makes something: the account is noted before.
    async fn bound_to_make(
        &self,
        infrastructure: InfrastructureId,
    ) -> Result<Bound, ProviderError> {
        let mut bound = self.bound(infrastructure).await?;
        if bound.account.is_none() {
            let answering = self.answering.to_bind(self.inner.as_ref()).await?;
            if let Some(answering) = answering {
                self.bind(&mut bound, answering)?;
            }
        }
        Ok(bound)
    }

    /// Ties an infrastructure to the account that answers, unless another process
    /// has tied it to another one meanwhile.
    fn bind(&self, bound: &mut Bound, answering: Account) -> Result<(), ProviderError> {
        let counts = self
            .bindings
            .bind(&bound.infrastructure, self.name(), &answering)?;
        bound.account = Some(counts);
        self.compare(bound, Some(answering))
    }

    fn compare(&self, bound: &mut Bound, answering: Option<Account>) -> Result<(), ProviderError> {
        let Some(account) = &bound.account else {
            return Ok(());
        };
        match answering {
            Some(answering) if answering.is_same(account) => Ok(()),
            // Not the same, so that it counts from now on.
            Some(answering) if self.is_accepted(account, &answering) => {
                self.bindings.unbind(&bound.infrastructure, self.name())?;
                let counts = self
                    .bindings
                    .bind(&bound.infrastructure, self.name(), &answering)?;
                bound.account = Some(counts);
                Ok(())
            }
            answering => Err(refusal(&bound.infrastructure, account, answering.as_ref())),
        }
    }

    /// Says whether an account may be used by what is tied to another one or the same.
    fn is_accepted(&self, account: &Account, answering: &Account) -> bool {
        answering.is_same(account) || self.accepted.as_ref() == Some(&answering.pin)
    }

    /// Makes sure, after an answer by which something may be gone, that it was the
    /// right account that gave it: credentials may have been replaced meanwhile.
    async fn confirm(&self, bound: &mut Bound) -> Result<(), ProviderError> {
        if bound.account.is_none() {
            return Ok(());
        }
        let now = Instant::now();
        let answering = self.answering.since(self.inner.as_ref(), now).await?;
        self.compare(bound, answering)
    }

    /// Returns the account that a look asks, if a look may tie to it what has none yet.
    async fn before_look(&self, bound: &Bound) -> Option<Account> {
        if bound.account.is_some() {
            return None;
        }
        let patience = self.look_patience;
        let asked = self.answering.of_look(self.inner.as_ref(), None, patience);
        asked.await
    }

    /// Takes the account that shows something of an infrastructure for its own,
    /// if none is known: an older version has brought it up. It has to be the
    /// same before and after, or else another one may have shown it.
    async fn adopt_account(&self, mut bound: Bound, before: &Account) {
        let (provider, now) = (self.inner.as_ref(), Instant::now());
        let patience = self.look_patience;
        let after = self.answering.of_look(provider, Some(now), patience).await;
        if let Some(after) = after.filter(|after| after.is_same(before)) {
            // What cannot be noted now can be at the next look: this one is true all the same.
            let _ = self.bind(&mut bound, after);
        }
    }

    async fn observe_bound(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Result<Vec<ResourceView>, ProviderError> {
        let mut bound = self.bound(infrastructure).await?;
        let before = self.before_look(&bound).await;
        let asked = match &scope {
            ObserveScope::All => None,
            ObserveScope::Resources(asked) => Some(asked.clone()),
        };
        let views = self.inner.observe(bound.scoped.clone(), scope).await?;
        let ours: Vec<ResourceView> = views
            .into_iter()
            .filter_map(|view| unscoped(view, &bound.origin))
            .collect();
        if !asked.is_some_and(|asked| are_there(&asked, &ours)) {
            self.confirm(&mut bound).await?;
        }
        let exists = |view: &ResourceView| {
            !matches!(view.state, ResourceState::Gone | ResourceState::Deleting)
        };
        if let Some(before) = before
            && ours.iter().any(exists)
        {
            self.adopt_account(bound, &before).await;
        }
        Ok(ours)
    }
}

/// Says whether a look shows all that it was asked for: then it was the right
/// account that answered, since ids are nowhere else. A list of everything never
/// proves that: another account may show what was made when credentials were replaced.
fn are_there(asked: &[ResourceId], views: &[ResourceView]) -> bool {
    let there: BTreeSet<&ResourceId> = views
        .iter()
        .filter(|view| view.state != ResourceState::Gone)
        .map(|view| &view.resource)
        .collect();
    asked.iter().all(|resource| there.contains(resource))
}

/// Says whether an answer means that something is not there.
fn is_gone<T>(answer: &Result<T, ProviderError>, is_gone: impl Fn(&T) -> bool) -> bool {
    match answer {
        Ok(answer) => is_gone(answer),
        Err(error) => error.class == ErrorClass::NotFound,
    }
}

impl Provider for Scoped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView> {
        Box::pin(async move {
            let bound = self.bound_to_make(request.infrastructure).await?;
            let request = CreateRequest {
                infrastructure: bound.scoped,
                token: scoped_token(&request.token, &bound.origin),
                ..request
            };
            let view = self.inner.create(request).await?;
            unscoped(view, &bound.origin).ok_or_else(|| {
                // The provider answered with a resource of another token: ours may exist too.
                ProviderError::new(
                    ErrorClass::Unknown,
                    "the provider answered with an instance of another infrastructure",
                )
            })
        })
    }

    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>> {
        Box::pin(self.observe_bound(infrastructure, scope))
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        Box::pin(async move {
            let mut bound = self.bound(infrastructure).await?;
            let deleted = self.inner.delete(bound.scoped.clone(), resource).await;
            if is_gone(&deleted, |deleted| *deleted == Deleted::Gone) {
                self.confirm(&mut bound).await?;
            }
            deleted
        })
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        Box::pin(async move {
            let mut bound = self.bound_to_make(infrastructure).await?;
            let scoped = bound.scoped.clone();
            let done = self.inner.recontextualise(scoped, request).await;
            if is_gone(&done, |()| false) {
                self.confirm(&mut bound).await?;
            }
            done
        })
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        Box::pin(async move {
            let bound = self.bound(infrastructure).await?;
            self.inner.probe(bound.scoped, resource, spec).await
        })
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        Box::pin(async move {
            let mut bound = self.bound(infrastructure).await?;
            let released = self.inner.release(bound.scoped.clone()).await;
            if is_gone(&released, |()| true) {
                self.confirm(&mut bound).await?;
                if bound.account.is_some() {
                    // From now on it may begin again in another account.
                    self.bindings.unbind(&bound.infrastructure, self.name())?;
                }
            }
            released
        })
    }

    fn check(&self, request: CheckRequest) -> Call<'_, Vec<Problem>> {
        Box::pin(async move {
            // What was never brought up has nothing at the cloud, and needs no origin to be checked.
            let name = &request.infrastructure;
            let Some(binding) = self.bindings.binding(name, self.name())? else {
                return self.inner.check(request).await;
            };
            if let Some(account) = &binding.account
                // Why nobody answers is told by the check itself.
                && let Ok(answering) = self.answering.lately(self.inner.as_ref()).await
                && !answering.as_ref().is_some_and(|found| self.is_accepted(account, found))
            {
                return Ok(vec![problem(name, account, answering.as_ref())]);
            }
            let infrastructure = scoped_infrastructure(name, &binding.origin);
            let request = CheckRequest {
                infrastructure,
                ..request
            };
            self.inner.check(request).await
        })
    }
    fn identity(&self) -> Call<'_, Identity> {
        self.inner.identity()
    }

    fn images(&self, query: ImageQuery) -> Call<'_, Vec<Image>> {
        self.inner.images(query)
    }

    fn offers(&self) -> Call<'_, Vec<Offer>> {
        self.inner.offers()
    }

    fn quota(&self) -> Call<'_, Vec<QuotaItem>> {
        self.inner.quota()
    }

    fn owned(&self) -> Call<'_, Vec<Owned>> {
        self.inner.owned()
    }

    fn delete_owned(&self, owned: Owned) -> Call<'_, Deleted> {
        self.inner.delete_owned(owned)
    }

    fn log(&self, infrastructure: InfrastructureId, request: LogRequest) -> Call<'_, LogChunk> {
        Box::pin(async move {
            let bound = self.bound(infrastructure).await?;
            self.inner.log(bound.scoped, request).await
        })
    }

    fn enter(
        &self,
        infrastructure: InfrastructureId,
        request: EnterRequest,
    ) -> Call<'_, EnterCommand> {
        Box::pin(async move {
            let bound = self.bound(infrastructure).await?;
            self.inner.enter(bound.scoped, request).await
        })
    }

    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        Box::pin(async move {
            let bound = self.bound(infrastructure).await?;
            self.inner.reach(bound.scoped, resource, port).await
        })
    }

    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, TcpStream> {
        Box::pin(async move {
            let bound = self.bound(infrastructure).await?;
            self.inner.connect(bound.scoped, resource, port).await
        })
    }
}

#[cfg(test)]
#[path = "scoped_tests.rs"]
mod tests;
