//! `ZK02xx`: infrastructure descriptions.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &UNKNOWN_KEY,
    &WRONG_TYPE,
    &MISSING_KEY,
    &INVALID_NAME,
    &DUPLICATE_NODE,
    &INVALID_COUNT,
    &COUNT_ADJUSTED,
    &UNKNOWN_TYPE,
    &FILTER_MATCHES_NOTHING,
    &UNKNOWN_DEPENDENCY,
    &FOREIGN_DEPENDENCY,
    &DEPENDENCY_BY_NAME,
    &SELF_DEPENDENCY,
    &CYCLE,
    &DUPLICATE_DEPENDENCY,
    &MISSING_USER,
    &NO_NODES,
    &TOO_MANY,
    &INVALID_DEPENDENCY,
    &INVALID_CHOICE,
    &BOTH_LIMITS_ZERO,
    &INVALID_ANNOTATION,
    &UNKNOWN_NEEDED_NODE,
];

/// Unknown key in an infrastructure description.
pub static UNKNOWN_KEY: Code = Code {
    id: "ZK0201",
    title: "unknown key in an infrastructure description",
    explanation: "The key is not part of the format, so nothing would read it. An infrastructure \
        description knows `user_id`, `infra_name`, `nodes`, `dependencies` and `variables`; a \
        node knows `name`, `type`, `scaling`, `filter`, `variables` and `update`. Correct the \
        spelling or remove the key.",
};

/// Value of the wrong type in an infrastructure description.
pub static WRONG_TYPE: Code = Code {
    id: "ZK0202",
    title: "value of the wrong type in an infrastructure description",
    explanation: "The value has another type than the key needs, for example text where a mapping is \
        expected. The message names both types.",
};

/// Missing key in an infrastructure description.
pub static MISSING_KEY: Code = Code {
    id: "ZK0203",
    title: "missing key in an infrastructure description",
    explanation: "A key without which the infrastructure cannot be built is absent. `infra_name` and \
        `nodes` are needed, and `name` and `type` in every node.",
};

/// Invalid name.
pub static INVALID_NAME: Code = Code {
    id: "ZK0204",
    title: "invalid name",
    explanation: "Names of infrastructures and nodes become parts of host names and tags: 1 to 63 letters \
        `a`-`z`, digits and `-`, without regard to case.",
};

/// Node defined twice.
pub static DUPLICATE_NODE: Code = Code {
    id: "ZK0205",
    title: "node defined twice",
    explanation: "Two nodes share one name. The first definition counts, and what depends on the second \
        one depends on the first. Occopus starts instances of both without a word, and removes \
        those of the second one as surplus when it maintains the infrastructure. To run several \
        instances of one node, use `scaling`.",
};

/// Invalid instance count.
pub static INVALID_COUNT: Code = Code {
    id: "ZK0206",
    title: "invalid instance count",
    explanation: "`min` and `max` of `scaling`, and the limits of `update`, are whole numbers that are not \
        negative.",
};

/// Instance count adjusted.
pub static COUNT_ADJUSTED: Code = Code {
    id: "ZK0207",
    title: "instance count adjusted",
    explanation: "The range of counts as written has no meaning and was adjusted as Occopus does it, which \
        says nothing: a minimum below 1 becomes 1, and a maximum below the minimum becomes the \
        minimum. A number between quotes is read as the number.",
};

/// Node type without a definition.
pub static UNKNOWN_TYPE: Code = Code {
    id: "ZK0208",
    title: "node type without a definition",
    explanation: "The `type` of the node names a definition `node_def:TYPE` that is in none of the files \
        with node definitions.",
};

/// Filter matches no implementation.
pub static FILTER_MATCHES_NOTHING: Code = Code {
    id: "ZK0209",
    title: "filter matches no implementation",
    explanation: "Every key of a node's `filter` must equal the same key of the `resource` section of an \
        implementation, as it is written there. No implementation of the node type does, so \
        there is nothing to choose from.",
};

/// Dependency on an unknown node.
pub static UNKNOWN_DEPENDENCY: Code = Code {
    id: "ZK0210",
    title: "dependency on an unknown node",
    explanation: "A dependency names a node that the description does not have. Occopus ignores \
        dependencies between two names, so that this is a warning there, and the dependency has no effect.",
};

/// Dependency on something that is not a node.
pub static FOREIGN_DEPENDENCY: Code = Code {
    id: "ZK0211",
    title: "dependency on something that is not a node",
    explanation: "The alias of a dependency refers to something outside of the list `nodes`. Put the \
        anchor on the node itself: `- &database` before its `name`.",
};

/// Dependency by name.
pub static DEPENDENCY_BY_NAME: Code = Code {
    id: "ZK0212",
    title: "dependency by name",
    explanation: "Zenekar honours dependencies that name their nodes. Occopus accepts them and ignores \
        them, so that the order is lost there. Use aliases (`*database`) in descriptions that \
        both have to understand.",
};

/// Node depends on itself.
pub static SELF_DEPENDENCY: Code = Code {
    id: "ZK0213",
    title: "node depends on itself",
    explanation: "A node that waits for itself never starts.",
};

/// Dependency cycle.
pub static CYCLE: Code = Code {
    id: "ZK0214",
    title: "dependency cycle",
    explanation: "The nodes wait for each other, so none of them could ever start. The message gives the \
        path, and the places are the dependencies on it; remove one of them. Nodes that only \
        need each other's addresses can look them up at run time, for example through a \
        discovery service.",
};

/// Dependency given twice.
pub static DUPLICATE_DEPENDENCY: Code = Code {
    id: "ZK0215",
    title: "dependency given twice",
    explanation: "The same dependency is given twice; mappings of both count.",
};

/// Missing `user_id`.
pub static MISSING_USER: Code = Code {
    id: "ZK0216",
    title: "missing user_id",
    explanation: "An infrastructure belongs to somebody, and templates can print who that is: any text \
        will do, an address for example. Occopus warns of its absence and then fails.",
};

/// Infrastructure without nodes.
pub static NO_NODES: Code = Code {
    id: "ZK0217",
    title: "infrastructure without nodes",
    explanation: "The list `nodes` is empty, so there is nothing to run.",
};

/// Description too large.
pub static TOO_MANY: Code = Code {
    id: "ZK0218",
    title: "description too large",
    explanation: "The description exceeds a limit that protects against mistakes and attacks. The message \
        names the limit.",
};

/// Malformed dependency.
pub static INVALID_DEPENDENCY: Code = Code {
    id: "ZK0219",
    title: "malformed dependency",
    explanation: "A dependency is a pair `[dependent, dependee]`, or a mapping with that pair under \
        `connection` and, if wanted, `mappings` and `on_address_change`.",
};

/// Value outside of the choices.
pub static INVALID_CHOICE: Code = Code {
    id: "ZK0220",
    title: "value outside of the choices",
    explanation: "The key takes one of a few words; the message lists them.",
};

/// Update that can never proceed.
pub static BOTH_LIMITS_ZERO: Code = Code {
    id: "ZK0221",
    title: "update that can never proceed",
    explanation: "With `unavailable_max: 0` and `surge_max: 0` an instance may neither be removed first \
        nor be added first, so no instance could ever be replaced.",
};

/// Annotation that cannot be read.
pub static INVALID_ANNOTATION: Code = Code {
    id: "ZK0222",
    title: "annotation that cannot be read",
    explanation: "The key `verification` of a node or of an implementation says what instances do \
        while they are contextualised: either all `segments`, or some of `needs`, `gives`, \
        `reads`, `writes`, `holds` and `retries`, which refine what is found in the scripts; and \
        with `quorum`, how many instances the node needs to do its work. A \
        need is `NODE:PORT`, `NODE.NAME`, `NODE` for the end of its contextualisation, or `NODE \
        address`, and `all` in front of it means all instances of the node. What is given is a \
        port or a name. The names of shared objects are free, as `volume:data`.",
};

/// Need of a node that does not exist.
pub static UNKNOWN_NEEDED_NODE: Code = Code {
    id: "ZK0223",
    title: "need of a node that does not exist",
    explanation: "The `needs` of an annotation name nodes of the description. Annotations are not \
        rendered, so that a name cannot come from a variable; an annotation that is only true of \
        one description stands better in its node than in the node definition.",
};
