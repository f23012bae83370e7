//! The files that Occopus reads beside descriptors: secrets and configuration.

mod authentication;
mod configuration;
mod search;
mod secret;

pub use authentication::{Ambiguous, AuthenticationFile, AuthenticationSection};
pub use configuration::{OccopusConfiguration, RedisSettings};
pub use search::{Candidate, Origin, SearchPlaces, SearchedFile};
pub use secret::Secret;
