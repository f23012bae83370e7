//! ZK05xx: projects and the command line.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[];
