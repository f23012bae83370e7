//! Instances at Amazon EC2 and what speaks its interface.
//!
//! A thin client: requests in EC2's query protocol, signed by the official
//! crate, sent over [`zenekar_http`], and answers read from their XML. The
//! cloud's own idempotency token makes `create` safe to repeat, so that no state
//! of ours is kept. Architecture invariant: one `create` is one `RunInstances`
//! with a count of one; everything that an instance brings with it (volumes,
//! public address, spot request) is made by that call and goes with the instance.

mod access;
mod account;
mod answer;
mod api;
mod check;
mod credentials;
mod endpoint;
mod error;
mod groups;
mod inspect;
mod instance;
mod known;
mod launch;
mod limits;
mod observe;
mod owned;
mod ports;
mod profile;
mod provider;
mod request;
mod settings;
mod spot;
mod tags;
mod user_data;

pub use api::CallCounts;
pub use provider::Ec2Provider;
pub use settings::{Ec2Credentials, Ec2Settings};
pub use tags::{TAG_INFRASTRUCTURE, TAG_INSTANCE, TAG_NAME, TAG_TOKEN};
