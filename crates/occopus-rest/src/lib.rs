//! The REST contract of Occopus, over operations that somebody else carries out.
//!
//! Programs written for Occopus call a handful of paths and rely on what they
//! got back: errors that were handled come with the HTTP status 200 and name
//! their real status in the body, the list of infrastructures has a misspelt
//! key, and a path without its final slash is redirected. All of that is here
//! and nowhere else; what the operations do is the business of [`Operations`].
//!
//! Architecture invariant: this crate knows neither the engine nor the store,
//! and starts nothing but the tasks of its requests.

mod answers;
pub mod limits;
mod operations;
mod reports;
mod routes;
mod server;

pub use operations::{Answer, Arguments, OperationError, Operations};
pub use reports::{Address, Costs, InstanceReport, NodeReport, Report, Scaling};
pub use server::{ServeError, Server};
