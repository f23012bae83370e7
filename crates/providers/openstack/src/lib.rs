//! Instances at `OpenStack`: provider `nova`.
//!
//! A thin client of our own over Keystone, Nova, Neutron and Glance. Nova has
//! no idempotency tokens, so [`create`] puts the token into the server's
//! metadata and looks for it first.
//!
//! | module | question that it answers |
//! | --- | --- |
//! | `settings`, `clouds` | which cloud, and who we are |
//! | `keystone`, `session`, `page` | how a call gets there and back |
//! | `failure` | what an answer that is no success means |
//! | `section` | what a descriptor can say |
//! | `mark` | how what is ours is told from what is not |
//! | `compute`, `network`, `lookup` | what the services have |
//! | `create`, `observe`, `remove`, `check`, `inspect` | the calls |
//! | `openstack` | what the calls share |
//!
//! Architecture invariant: what is made before a server carries the mark of its
//! instance, and is deleted before the server. So at every moment, either the
//! server or the mark leads to it.
//!
//! [`create`]: zenekar_provider::Provider::create

mod check;
mod clouds;
mod compute;
mod create;
mod failure;
mod inspect;
mod keystone;
mod lookup;
mod mark;
mod network;
mod observe;
mod openstack;
mod page;
mod provider;
mod remove;
mod section;
mod session;
mod settings;

pub use clouds::{AuthData, Place, SettingsError, Surroundings, resolve};
pub use provider::OpenStackProvider;
pub use settings::{Authentication, Credential, Domain, Interface, Named, OpenStackSettings};
