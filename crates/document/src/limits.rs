//! How much the reader takes.

/// The budgets of one load, over a document and all that it includes.
///
/// Size alone is no crime: a description of 100,000 nodes has a million YAML
/// values. What the defaults stop is text that grows while it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of all files together.
    pub bytes_max: usize,
    /// The levels of lists and mappings, aliases counted as what they stand for.
    pub depth_max: usize,
    /// The values as written.
    pub nodes_max: usize,
    /// The aliases as written.
    pub aliases_max: usize,
    /// The values after writing out all aliases and merges.
    pub expanded_nodes_max: u64,
    /// The includes, repeated ones counted again.
    pub imports_max: usize,
    /// The levels of files that include files.
    pub import_depth_max: usize,
    /// The findings that are reported.
    pub diagnostics_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Six times the description of 100,000 nodes; below 2^31, so that
            // byte offsets always fit 32 bits.
            bytes_max: 64 << 20,
            // Real descriptors stay below 20; consumers recurse.
            depth_max: 96,
            nodes_max: 8_000_000,
            aliases_max: 2_000_000,
            // A description of 100,000 nodes with 200,000 references has 3 million.
            expanded_nodes_max: 20_000_000,
            // One definition file for each of many thousand node types.
            imports_max: 20_000,
            // Real projects have two levels.
            import_depth_max: 16,
            // More than anybody reads in one go.
            diagnostics_max: 100,
        }
    }
}
