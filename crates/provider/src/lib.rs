//! The provider trait and its conformance suite.
//!
//! A provider is an adapter to something that can run instances. It carries
//! out calls, classifies errors and decides nothing: retries, back-off,
//! batching and bounds are the engine's. Architecture invariant: a provider
//! never sees the engine, and never touches a resource without our tag, but
//! for those that a caller names by their ids: they were adopted.

mod access;
mod account;
pub mod conformance;
mod inspect;
mod scoped;

use std::future::Future;
use std::net::TcpStream;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use zenekar_base::{
    Capabilities, ErrorClass, InfrastructureId, InstanceTag, ProbeResult, ProbeSpec, ProviderError,
    ResourceId, ResourceView, Token,
};
use zenekar_model::Rendered;

pub use access::{EnterCommand, EnterRequest, LogChunk, LogRequest, LogSource, Reach};
pub use account::{Binding, Bindings};
pub use inspect::{
    CheckNode, CheckRequest, Identity, Image, ImageQuery, Offer, Owned, OwnedKind, Problem,
    ProblemKind, QuotaItem,
};
pub use scoped::{Scoped, scoped_infrastructure, split_scoped};

/// The future of a provider call. Dropping it cancels the waiting, not
/// necessarily the effect: then the outcome is unknown.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// Asks for one new instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The infrastructure: a tag of the resource.
    pub infrastructure: InfrastructureId,
    /// The instance: a tag of the resource, unique.
    pub instance: InstanceTag,
    /// The idempotency token: a repeated call with it returns the same resource.
    pub token: Token,
    /// The instance's name for people: `spark-worker/3`.
    pub name: String,
    /// What to create.
    pub rendered: Rendered,
}

/// Which resources to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObserveScope {
    /// All resources with the infrastructure's tag.
    All,
    /// These resources only, with our tag or without; those that do not exist
    /// (any more) are left out of the answer.
    Resources(Vec<ResourceId>),
}

/// Asks for a new contextualisation of a running instance, in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecontextualiseRequest {
    /// The resource.
    pub resource: ResourceId,
    /// The instance's tag.
    pub instance: InstanceTag,
    /// Number of this contextualisation; a repeated or older one is ignored.
    pub revision: u32,
    /// What it gets now.
    pub rendered: Rendered,
}

/// What a delete call reached. A resource that is not there is a success: it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deleted {
    /// The provider accepted; the resource disappears later.
    Accepted,
    /// The resource does not exist any more.
    Gone,
}

/// An adapter to something that can run instances.
pub trait Provider: Send + Sync {
    /// Returns the provider's name, as engines and journals have it: the text of
    /// a [`zenekar_base::CloudKey`], which begins with the type of a descriptor's
    /// section `resource`.
    fn name(&self) -> &str;

    /// Says what the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Creates an instance, or returns the one that the token already created.
    fn create(&self, request: CreateRequest) -> Call<'_, ResourceView>;

    /// Looks at resources of one infrastructure.
    fn observe(
        &self,
        infrastructure: InfrastructureId,
        scope: ObserveScope,
    ) -> Call<'_, Vec<ResourceView>>;

    /// Deletes a resource; repeating it is harmless.
    fn delete(&self, infrastructure: InfrastructureId, resource: ResourceId) -> Call<'_, Deleted>;

    /// Contextualises a running instance again. Only called where the capabilities allow it.
    fn recontextualise(
        &self,
        infrastructure: InfrastructureId,
        request: RecontextualiseRequest,
    ) -> Call<'_, ()>;

    /// Checks an instance's health from a place that can reach it.
    fn probe(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        spec: ProbeSpec,
    ) -> Call<'_, ProbeResult>;

    /// Removes what the provider made for an infrastructure besides its instances:
    /// networks, security groups and the like. Called when none of its instances is
    /// left; repeating it is harmless.
    fn release(&self, infrastructure: InfrastructureId) -> Call<'_, ()> {
        let _ = infrastructure;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Finds out, by calls that only read, what would keep instances from being
    /// created; all problems at once.
    fn check(&self, request: CheckRequest) -> Call<'_, Vec<Problem>> {
        let _ = request;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Asks whom the cloud takes us for. A provider that has no accounts, or
    /// cannot tell, says nothing of it: there is no pin to keep to.
    fn identity(&self) -> Call<'_, Identity> {
        let identity = Identity::untold(self.name());
        Box::pin(std::future::ready(Ok(identity)))
    }

    /// Lists images.
    fn images(&self, query: ImageQuery) -> Call<'_, Vec<Image>> {
        let _ = query;
        unsupported(self.name(), "list images")
    }

    /// Lists sizes of instances.
    fn offers(&self) -> Call<'_, Vec<Offer>> {
        unsupported(self.name(), "list sizes of instances")
    }

    /// Lists the account's limits and what is used of them.
    fn quota(&self) -> Call<'_, Vec<QuotaItem>> {
        unsupported(self.name(), "tell limits")
    }

    /// Lists everything that carries a tag of ours, of whichever infrastructure.
    fn owned(&self) -> Call<'_, Vec<Owned>> {
        unsupported(self.name(), "list what is left over")
    }

    /// Deletes one thing that [`Provider::owned`] listed, if it still carries
    /// that tag; repeating it is harmless.
    fn delete_owned(&self, owned: Owned) -> Call<'_, Deleted> {
        let _ = owned;
        unsupported(self.name(), "delete what is left over")
    }

    /// Reads a piece of an instance's output.
    fn log(&self, infrastructure: InfrastructureId, request: LogRequest) -> Call<'_, LogChunk> {
        let _ = (infrastructure, request);
        unsupported(self.name(), "show logs")
    }

    /// Says how to run a command inside an instance.
    fn enter(
        &self,
        infrastructure: InfrastructureId,
        request: EnterRequest,
    ) -> Call<'_, EnterCommand> {
        let _ = (infrastructure, request);
        unsupported(self.name(), "run commands inside instances")
    }

    /// Says how a port of an instance is reached from this machine.
    fn reach(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, Reach> {
        let _ = (infrastructure, resource, port);
        unsupported(self.name(), "say how a port is reached")
    }

    /// Connects to a port of an instance, from wherever it can be reached.
    fn connect(
        &self,
        infrastructure: InfrastructureId,
        resource: ResourceId,
        port: u16,
    ) -> Call<'_, TcpStream> {
        let _ = (infrastructure, resource, port);
        unsupported(self.name(), "connect to instances")
    }
}

/// Answers a call that a provider cannot carry out.
fn unsupported<'a, T: Send + 'a>(provider: &str, what: &str) -> Call<'a, T> {
    let text = format!("provider `{provider}` cannot {what}");
    let error = ProviderError::new(ErrorClass::Invalid, text);
    Box::pin(std::future::ready(Err(error)))
}
