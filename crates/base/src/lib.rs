//! Typed ids, time, values and the vocabulary that all floors share.
//!
//! Architecture invariant: nothing in this crate knows YAML, HTTP, an async
//! runtime, a clock or a source of randomness.

pub mod account;
pub mod cloud;
pub mod fingerprint;
pub mod id;
pub mod origin;
pub mod random;
pub mod reachability;
pub mod resource;
mod secret_name;
pub mod time;
pub mod value;

pub use account::Account;
pub use cloud::{CloudKey, CloudKeyError, kind_of_provider};
pub use fingerprint::{Fingerprint, FingerprintBuilder};
pub use id::{
    CallId, InfrastructureId, InstanceKey, InstanceTag, NodeKey, RequestId, ResourceId, Token,
};
pub use origin::{ORIGIN_DIGITS, Origin, OriginError};
pub use random::Random;
pub use reachability::{AddressScope, Passage};
pub use resource::{
    Addresses, Capabilities, ErrorClass, GivenAddress, GivenNode, ProbeResult, ProbeSpec,
    ProviderError, ResourceState, ResourceView,
};
pub use secret_name::is_secret_name;
pub use time::{Millis, Timestamp};
pub use value::{Float, Map, Value};
