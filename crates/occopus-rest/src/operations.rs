//! What the service asks of whoever carries it out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use crate::reports::{Costs, Report};

/// The answer to an operation, which comes later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, OperationError>> + Send + 'a>>;

/// The arguments of a query by name.
pub type Arguments = BTreeMap<String, String>;

/// Why an operation was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// There is no such infrastructure.
    #[error("there is no infrastructure `{0}`")]
    UnknownInfrastructure(String),
    /// The infrastructure has no such node.
    #[error("infrastructure `{infrastructure}` has no node `{node}`")]
    UnknownNode {
        /// The infrastructure.
        infrastructure: String,
        /// The node.
        node: String,
    },
    /// The service maintains the infrastructure already.
    #[error("infrastructure `{0}` is maintained already")]
    AlreadyMaintained(String),
    /// The service does not maintain the infrastructure.
    #[error("infrastructure `{0}` is not maintained")]
    NotMaintained(String),
    /// The operation cannot be carried out as it was asked for, or failed.
    #[error("{0}")]
    Refused(String),
    /// There is nothing to be known under the key.
    #[error("nothing is known under key `{key}`: {message}")]
    UnknownKey {
        /// The key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// The arguments do not fit the key.
    #[error("the arguments do not fit key `{key}`: {message}")]
    WrongArguments {
        /// The key.
        key: String,
        /// What is wrong with them.
        message: String,
    },
    /// A mistake of the service: told with the HTTP status 500.
    #[error("{0}")]
    Internal(String),
}

/// The operations behind the paths.
///
/// A request's operation is carried out to its end even if the client hangs up.
pub trait Operations: Send + Sync + 'static {
    /// Takes an infrastructure's description, begins to bring it up, maintains
    /// it from then on, and returns its id at once.
    fn submit(&self, description: String) -> Answer<'_, String>;

    /// Returns the ids of all infrastructures.
    fn list(&self) -> Answer<'_, Vec<String>>;

    /// Reports on an infrastructure.
    fn report<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, Report>;

    /// Takes an infrastructure down, and is done when nothing is left of it.
    fn delete<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()>;

    /// Begins to maintain an infrastructure.
    fn attach<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()>;

    /// Ends to maintain an infrastructure, which stays as it is.
    fn detach<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()>;

    /// Asks for more instances of a node.
    fn scale_up<'a>(&'a self, infrastructure: &'a str, node: &'a str, count: u32)
    -> Answer<'a, ()>;

    /// Asks for one instance fewer of a node: this one, named by its id or by
    /// one of its addresses, or any.
    fn scale_down<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        instance: Option<&'a str>,
    ) -> Answer<'a, ()>;

    /// Asks for so many instances of a node.
    fn scale_to<'a>(&'a self, infrastructure: &'a str, node: &'a str, count: u32)
    -> Answer<'a, ()>;

    /// Takes how somebody wants to be told of events.
    fn notify<'a>(&'a self, infrastructure: &'a str, notification: Value) -> Answer<'a, ()>;

    /// Returns what an infrastructure has cost.
    fn cost<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, Costs>;

    /// Returns what is known under a key.
    fn information<'a>(&'a self, key: &'a str, arguments: Arguments) -> Answer<'a, Value>;
}
