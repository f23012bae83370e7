//! `ZK05xx`: projects and the command line.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[&NO_DEFINITIONS, &NOT_A_DESCRIPTION];

/// No node definitions.
pub static NO_DEFINITIONS: Code = Code {
    id: "ZK0502",
    title: "no node definitions",
    explanation: "No file with node definitions was found. They are looked for in `node_def:` keys of the \
        description itself, in `nodes/node_definitions.yaml` and other files of `nodes/`, and in \
        `node_definitions.yaml`, all beside the description; or they are given with `--nodes \
        FILE`.",
};

/// Not an infrastructure description.
pub static NOT_A_DESCRIPTION: Code = Code {
    id: "ZK0503",
    title: "not an infrastructure description",
    explanation: "The file is not an infrastructure description. If it holds only node definitions, give \
        the description that uses them.",
};
