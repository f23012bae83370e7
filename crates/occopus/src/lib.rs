//! The Occopus front-end: infrastructure descriptions and node definitions
//! become a checked [`zenekar_model::Topology`].
//!
//! The way of a descriptor through this crate:
//!
//! 1. [`load`] reads the description and finds the files with node definitions
//!    (module `find`).
//! 2. Modules `description` and `definition` check both and keep, for every
//!    part, where it was written.
//! 3. Every kind of node is rendered once with placeholder addresses (module
//!    `rehearsal`): that tells which other nodes it asks for, finds mistakes in
//!    templates before anything runs, and gives the fingerprints.
//! 4. The result needs no file any more: [`OccopusRenderer`] works from the
//!    topology alone.
//!
//! Architecture invariant: nothing here stops at the first mistake, and
//! nothing here runs code or commands that a descriptor asks for.

mod annotation;
mod checker;
mod definition;
mod definitions_file;
mod dependency;
mod description;
mod equality;
mod files;
mod find;
mod health;
mod load;
mod names;
mod oddities;
mod options;
mod placement;
mod rehearsal;
mod render;
mod retarget;
mod schema;
mod sections;

pub use annotation::{Annotation, Annotations, StatedSegment};
pub use definitions_file::{DefinitionsFile, load_definitions};
pub use files::{
    Ambiguous, AuthenticationFile, AuthenticationSection, Candidate, OccopusConfiguration, Origin,
    RedisSettings, SearchPlaces, SearchedFile, Secret,
};
pub use load::{Loaded, Summary, load, load_text};
pub use options::LoadOptions;
pub use placement::place;
pub use render::{HostCommands, OccopusRenderer, yaml_text};
pub use retarget::{NotCarried, retarget};
pub use sections::{ImplementationSection, NodeSection, Sections};
