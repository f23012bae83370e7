//! ZK01xx: YAML documents and includes.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[];
