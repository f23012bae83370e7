//! `ZK09xx`: properties that runs have to have.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &INVALID_FILE,
    &UNKNOWN_KEY,
    &MISSING_KEY,
    &INVALID_VARIABLE,
    &SYNTAX,
    &UNKNOWN_NAME,
    &TYPE_MISMATCH,
    &TOO_LARGE,
    &DUPLICATE_NAME,
    &WITHOUT_EFFECT,
    &UNUSED_VARIABLE,
    &UNKNOWN_NODE,
];

/// Not a file of properties.
pub static INVALID_FILE: Code = Code {
    id: "ZK0901",
    title: "not a file of properties",
    explanation: "A file of properties is a mapping with `variables`, `properties` and, as SZTAKI's scenario \
        files have it, `specification`. Properties and statements are lists of texts; a property may also \
        be a mapping with `name` and one of `formula`, `always`, `eventually` and `never`.",
};

/// Unknown key in a file of properties.
pub static UNKNOWN_KEY: Code = Code {
    id: "ZK0902",
    title: "unknown key in a file of properties",
    explanation: "The key means nothing here. It is an error, because a property behind a mistyped key would \
        never be checked.",
};

/// Missing key in a file of properties.
pub static MISSING_KEY: Code = Code {
    id: "ZK0903",
    title: "missing key in a file of properties",
    explanation: "A variable has `vm` (the node), `name` (what its instances report), `group` (for how many of \
        them) and `expected` (the comparison). A property has a formula.",
};

/// Variable that cannot be understood.
pub static INVALID_VARIABLE: Code = Code {
    id: "ZK0904",
    title: "variable that cannot be understood",
    explanation: "`group` is `all`, `any`, `none`, `exactly N` or `at_least N`. `expected` is a truth value, a \
        number, or a text that begins with an operator: `=`, `!=`, `<`, `<=`, `>` and `>=` before a \
        number, `exactly` and `contains` before a text, `between A and B` with both numbers included.",
};

/// Formula that cannot be read.
pub static SYNTAX: Code = Code {
    id: "ZK0905",
    title: "formula that cannot be read",
    explanation: "The text does not follow the grammar of formulas, or, for a `statement`, that of Python's \
        expressions over truth values: names, `and`, `or`, `not`, `==`, `!=`, `True`, `False` and round \
        brackets. Statements are parsed and never run, so that they cannot call anything.",
};

/// Unknown name in a formula.
pub static UNKNOWN_NAME: Code = Code {
    id: "ZK0906",
    title: "unknown name in a formula",
    explanation: "A name in a formula is that of a variable, declared under `variables`, or something that can \
        be asked of a node: `count(NODE)`, `ready(NODE)`, `serving(NODE)`, `finished(NODE)`, and with a \
        quantifier before them `breakpoint(NODE)` and `var(NODE, NAME)`.",
};

/// Values that do not go together.
pub static TYPE_MISMATCH: Code = Code {
    id: "ZK0907",
    title: "values that do not go together",
    explanation: "Numbers are compared with numbers, and what holds or does not is joined by `and`, `or`, `not` \
        and `implies`. What differs from instance to instance needs a quantifier: `all`, `any`, `none`, \
        `exactly N` or `at_least N`.",
};

/// Too much to be checked.
pub static TOO_LARGE: Code = Code {
    id: "ZK0908",
    title: "too much to be checked",
    explanation: "Formulas have bounds on their length, their levels of brackets and their uses of `once`, and \
        files on their properties and variables, because all of them are checked in every state. Split \
        the formula, or declare variables for its parts.",
};

/// Name that is given twice.
pub static DUPLICATE_NAME: Code = Code {
    id: "ZK0909",
    title: "name that is given twice",
    explanation: "Reports and replay files call properties by their names, so that each needs one of its own. \
        Variables are known in all files that are read together.",
};

/// Section without effect in a scenario file.
pub static WITHOUT_EFFECT: Code = Code {
    id: "ZK0910",
    title: "section without effect in a scenario file",
    explanation: "Scenario files of SZTAKI's debugger say which orchestrator to call and where to keep the \
        execution tree. Zenekar is the orchestrator and keeps the tree itself.",
};

/// Variable that nothing uses.
pub static UNUSED_VARIABLE: Code = Code {
    id: "ZK0911",
    title: "variable that nothing uses",
    explanation: "The variable is declared and no statement or formula has it, so that it is never checked. A \
        mistyped name elsewhere is the usual reason.",
};

/// Property of a node that is not there.
pub static UNKNOWN_NODE: Code = Code {
    id: "ZK0912",
    title: "property of a node that is not there",
    explanation: "The infrastructure has no node of this name, so that what is said about all its instances \
        would be true and mean nothing.",
};
