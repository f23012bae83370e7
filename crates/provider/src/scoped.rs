//! Telling infrastructures of the same name apart where others use the same account.
//!
//! Names of infrastructures are unique within one state directory only. At a
//! cloud that several people or directories use, everything of ours is tagged
//! `NAME.ORIGIN` instead, and tokens end with the origin too. Adapters know
//! nothing of it: they tag with what they are given.

use std::future::ready;
use std::net::TcpStream;
use std::sync::Arc;

use zenekar_base::{
    Capabilities, ErrorClass, InfrastructureId, Origin, ProbeResult, ProbeSpec, ProviderError,
    ResourceId, ResourceView, Token,
};

use crate::{
    Call, CheckRequest, CreateRequest, Deleted, EnterCommand, EnterRequest, Identity, Image,
    ImageQuery, LogChunk, LogRequest, ObserveScope, Offer, Owned, Problem, Provider, QuotaItem,
    Reach, RecontextualiseRequest,
};

/// Knows the origins of infrastructures.
pub trait Origins: Send + Sync {
    /// Returns the origin of an infrastructure; `None` if it was never brought up here.
    fn origin(&self, infrastructure: &InfrastructureId) -> Result<Option<Origin>, ProviderError>;
}

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

/// A provider whose account others use too, with the origins of our infrastructures.
pub struct Scoped {
    inner: Arc<dyn Provider>,
    origins: Arc<dyn Origins>,
}

impl Scoped {
    /// Puts origins before a provider.
    pub fn new(inner: Arc<dyn Provider>, origins: Arc<dyn Origins>) -> Self {
        Self { inner, origins }
    }

    /// Puts origins before a provider if its account is shared; returns it as it is otherwise.
    pub fn wrap(inner: Arc<dyn Provider>, origins: Arc<dyn Origins>) -> Arc<dyn Provider> {
        if inner.capabilities().is_shared {
            Arc::new(Self::new(inner, origins))
        } else {
            inner
        }
    }

    /// Returns the origin of an infrastructure that must have one by now.
    fn origin(&self, infrastructure: &InfrastructureId) -> Result<Origin, ProviderError> {
        self.origins.origin(infrastructure)?.ok_or_else(|| {
            ProviderError::new(
                ErrorClass::Invalid,
                format!("infrastructure `{infrastructure}` has no state here, so nothing of it can be told apart at a cloud that others use too"),
            )
        })
    }

    fn scope(&self, infrastructure: &InfrastructureId) -> Result<InfrastructureId, ProviderError> {
        let origin = self.origin(infrastructure)?;
        Ok(scoped_infrastructure(infrastructure, &origin))
    }
}

/// Answers with an error that came before the call.
fn refuse<'a, T: Send + 'a>(error: ProviderError) -> Call<'a, T> {
    Box::pin(ready(Err(error)))
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
            let origin = self.origin(&request.infrastructure)?;
            let request = CreateRequest {
                infrastructure: scoped_infrastructure(&request.infrastructure, &origin),
                token: scoped_token(&request.token, &origin),
                ..request
            };
            let view = self.inner.create(request).await?;
            unscoped(view, &origin).ok_or_else(|| {
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
        Box::pin(async move {
            let origin = self.origin(&infrastructure)?;
            let scoped = scoped_infrastructure(&infrastructure, &origin);
            let views = self.inner.observe(scoped, scope).await?;
            let ours = views.into_iter().filter_map(|view| unscoped(view, &origin));
            Ok(ours.collect())
        })
    }

    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.delete(scoped, resource),
            Err(error) => refuse(error),
        }
    }

    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.recontextualise(scoped, request),
            Err(error) => refuse(error),
        }
    }

    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.probe(scoped, resource, spec),
            Err(error) => refuse(error),
        }
    }

    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.release(scoped),
            Err(error) => refuse(error),
        }
    }

    fn check(&self, request: CheckRequest) -> Call<'_, Vec<Problem>> {
        // What was never brought up has nothing at the cloud, and needs no origin to be checked.
        match self.origins.origin(&request.infrastructure) {
            Ok(origin) => {
                let infrastructure = origin.map_or_else(
                    || request.infrastructure.clone(),
                    |origin| scoped_infrastructure(&request.infrastructure, &origin),
                );
                self.inner.check(CheckRequest {
                    infrastructure,
                    ..request
                })
            }
            Err(error) => refuse(error),
        }
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
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.log(scoped, request),
            Err(error) => refuse(error),
        }
    }

    fn enter(
        &self,
        infrastructure: InfrastructureId,
        request: EnterRequest,
    ) -> Call<'_, EnterCommand> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.enter(scoped, request),
            Err(error) => refuse(error),
        }
    }

    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.reach(scoped, resource, port),
            Err(error) => refuse(error),
        }
    }

    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, TcpStream> {
        match self.scope(&infrastructure) {
            Ok(scoped) => self.inner.connect(scoped, resource, port),
            Err(error) => refuse(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use zenekar_base::{Addresses, InstanceTag, ResourceState};

    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().expect("the test names an origin")
    }

    fn view(instance: &str, token: Option<&str>) -> ResourceView {
        ResourceView {
            instance: InstanceTag::new(instance),
            resource: ResourceId::new("i-1"),
            state: ResourceState::Running,
            addresses: Addresses::default(),
            token: token.map(Token::new),
            revision: 0,
            detail: None,
        }
    }

    #[test]
    fn scoped_names_are_split_again() {
        let origin = origin("0123456789ab");
        for name in ["shop", "shop.eu", "0123456789ab"] {
            let name = InfrastructureId::new(name);
            let scoped = scoped_infrastructure(&name, &origin);
            assert_eq!(split_scoped(&scoped), Some((name, origin.clone())));
        }
        for text in [
            "shop",
            "shop.0123456789a",
            "shop.0123456789AB",
            ".0123456789ab",
        ] {
            assert_eq!(split_scoped(&InfrastructureId::new(text)), None, "{text}");
        }
    }

    #[test]
    fn tokens_of_other_origins_are_not_ours() {
        let own = origin("0123456789ab");
        let seen = unscoped(view("tag", Some("t-1-0123456789ab")), &own);
        assert_eq!(seen, Some(view("tag", Some("t-1"))));
        assert_eq!(unscoped(view("tag", None), &own), Some(view("tag", None)));
        for token in ["t-1-0123456789ac", "t-1", "0123456789ab"] {
            assert_eq!(unscoped(view("tag", Some(token)), &own), None, "{token}");
            // One that was adopted carries no tag of ours.
            let adopted = unscoped(view("", Some(token)), &own);
            assert_eq!(adopted, Some(view("", None)), "{token}");
        }
    }
}
