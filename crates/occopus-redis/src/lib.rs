//! Reads what Occopus keeps in Redis: node definitions, infrastructures and
//! their instances.
//!
//! [`read`] asks a server with commands that only read, and returns an
//! [`Installation`]: plain structs, and the texts of everything that could not
//! be understood. [`Infrastructure::descriptor`] writes an infrastructure as a
//! descriptor again.
//!
//! Architecture invariant: no command that changes anything is ever sent, and
//! nothing of what is stored is run: the tags of Python objects are names.

mod client;
mod descriptor;
mod error;
mod instance;
mod keys;
mod limits;
mod stored;

pub use client::{ReadOptions, read};
pub use error::ReadError;
pub use stored::{
    Definition, Dependency, Infrastructure, Installation, Instance, Node, Owner, RemovalRequest,
};
