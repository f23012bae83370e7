//! What a caller can say about how a description is loaded, and the limits.

use std::path::PathBuf;

use zenekar_document::Limits;

/// Nodes of one description. Ten times the largest one that anybody is known
/// to have; a topology of this size takes about a gigabyte.
pub(crate) const NODES_MAX: usize = 1_000_000;

/// Instances of one node. Providers refuse far smaller numbers; the limit keeps
/// sums over all nodes far inside of 64 bits.
pub(crate) const INSTANCES_MAX: u32 = 1_000_000;

/// Dependencies of one description, counted after those given twice were merged.
pub(crate) const DEPENDENCIES_MAX: usize = 10_000_000;

/// Files looked at in the folder `nodes`: a folder with more is hardly one of
/// node definitions, and every file has to be opened.
pub(crate) const DEFINITION_FILES_MAX: usize = 1_000;

/// Diagnostics that one load reports; a description with more mistakes than
/// that is of another kind than it seems, and nobody reads further.
pub(crate) const DIAGNOSTICS_MAX: usize = 1_000;

/// How a description is loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The files with node definitions; found beside the description if empty.
    pub definitions: Vec<PathBuf>,
    /// Whether no other files with node definitions count, even if there are none of these.
    pub only_definitions: bool,
    /// Whether templates may call `cmd`; nothing is run when a description is read.
    pub allow_host_commands: bool,
    /// The budgets of the document reader.
    pub limits: Limits,
}
