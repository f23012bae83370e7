//! `ZK10xx`: runs that were recorded.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &NOT_A_REPLAY,
    &TOO_LARGE,
    &BROKEN_LINE,
    &WRONG_ORDER,
    &UNKNOWN_NAME,
    &OTHER_DESCRIPTOR,
    &NOT_POSSIBLE,
    &OTHER_STATE,
    &OTHER_VERDICT,
];

/// Not a replay file.
pub static NOT_A_REPLAY: Code = Code {
    id: "ZK1001",
    title: "not a replay file",
    explanation: "A replay file has one JSON object per line, and the first one has the key `replay` with the \
        number of the format. This version reads format 1.",
};

/// Replay file beyond its limits.
pub static TOO_LARGE: Code = Code {
    id: "ZK1002",
    title: "replay file beyond its limits",
    explanation: "Replay files have limits for their bytes, for the number of steps, and for the length of a \
        line, far above what a search writes.",
};

/// Line of a replay file that cannot be read.
pub static BROKEN_LINE: Code = Code {
    id: "ZK1003",
    title: "line of a replay file that cannot be read",
    explanation: "After the header each line is a step, and the last one is the verdict. The format is described \
        in `docs/replay.md`. Keys that are not known are refused, because they may be mistyped.",
};

/// Replay file out of order.
pub static WRONG_ORDER: Code = Code {
    id: "ZK1004",
    title: "replay file out of order",
    explanation: "Steps are numbered from 1 without gaps, and exactly one verdict follows them. A file without \
        its verdict may have been cut off.",
};

/// Unknown name in a replay file.
pub static UNKNOWN_NAME: Code = Code {
    id: "ZK1005",
    title: "unknown name in a replay file",
    explanation: "A fault, a demand, a personality or a node is named that this version or this descriptor does \
        not have. The file was written by another version, for another descriptor, or changed by hand.",
};

/// Replay of another descriptor.
pub static OTHER_DESCRIPTOR: Code = Code {
    id: "ZK1006",
    title: "replay of another descriptor",
    explanation: "The descriptor is not the one that the replay was recorded with. The replay is tried all the \
        same: where the descriptor's change does not matter, the same happens; otherwise the first step is \
        shown at which something else does.",
};

/// Step of a replay that is not possible.
pub static NOT_POSSIBLE: Code = Code {
    id: "ZK1007",
    title: "step of a replay that is not possible",
    explanation: "Up to the step before, the same happened as was recorded. Here something else can happen now, \
        but not what was recorded: the descriptor, the engine or the model of the cloud behaves in another way \
        from this step on.",
};

/// Replay that comes to another state.
pub static OTHER_STATE: Code = Code {
    id: "ZK1008",
    title: "replay that comes to another state",
    explanation: "The recorded step was possible, and the state behind it is not the one that was recorded. \
        Behaviour has changed at this step, or the way in which states are written down.",
};

/// Replay with another verdict.
pub static OTHER_VERDICT: Code = Code {
    id: "ZK1009",
    title: "replay with another verdict",
    explanation: "All recorded steps were possible, and the verdict is not the one that was recorded: what was \
        broken is not broken any more, or something else is.",
};
