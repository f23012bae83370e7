//! Clouds that a user has named, and their credentials, sealed at rest.
//!
//! Of each cloud there are two files: what it is and where, for people to read,
//! and its secrets, sealed with a key that is kept apart from them. What seals
//! the secrets also binds them to the cloud's name, kind, endpoint and trusted
//! certificates: they are
//! opened for nobody else, and never sent elsewhere because a file was edited.
//!
//! Architecture invariant: a secret is in a [`secrecy::SecretString`] or in a
//! buffer that is wiped, from the moment that it is read. Nothing here prints or
//! serialises one.

mod cloud;
mod endpoint;
mod error;
mod files;
mod import;
mod key;
mod kind;
mod registry;
mod resolve;
mod seal;
mod secrets;

pub use cloud::{NamedCloud, SecretsKept, check_name};
pub use error::CredentialsError;
pub use import::{Imported, import};
pub use key::{AskPassphrase, Keys, SealWith};
pub use kind::CloudKind;
pub use registry::Registry;
pub use resolve::{
    CloudSettings, DockerAccess, Ec2Access, Ec2Keys, NovaAccess, NovaLogin, Origin, Resolution,
    Sources, resolve,
};
pub use secrets::Secrets;
