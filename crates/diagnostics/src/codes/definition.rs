//! `ZK03xx`: node definitions.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &INVALID_DEFINITION_NAME,
    &INVALID_DEFINITION,
    &UNKNOWN_SECTION,
    &MISSING_RESOURCE,
    &UNKNOWN_PROVIDER,
    &UNKNOWN_SECTION_KEY,
    &MISSING_SECTION_KEY,
    &INVALID_VALUE,
    &DUPLICATE_DEFINITION,
    &REMOVED_PROVIDER,
    &NO_EFFECT,
    &UNKNOWN_PLUGIN,
    &UNUSUAL_COMBINATION,
    &NOT_A_TRUTH_VALUE,
    &NOT_CARRIED_OUT,
];

/// Not a node definition.
pub static INVALID_DEFINITION_NAME: Code = Code {
    id: "ZK0301",
    title: "not a node definition",
    explanation: "In a file with node definitions each key is `node_def:` followed by the name of the node \
        type.",
};

/// Malformed node definition.
pub static INVALID_DEFINITION: Code = Code {
    id: "ZK0302",
    title: "malformed node definition",
    explanation: "A node definition is a list of implementations, each of them a mapping with the section \
        `resource` and, if wanted, `contextualisation`, `config_management` and `health_check`.",
};

/// Unknown section in a node definition.
pub static UNKNOWN_SECTION: Code = Code {
    id: "ZK0303",
    title: "unknown section in a node definition",
    explanation: "An implementation has the sections `resource`, `contextualisation`, `config_management` \
        and `health_check`, in British spelling.",
};

/// Implementation without a resource section.
pub static MISSING_RESOURCE: Code = Code {
    id: "ZK0304",
    title: "implementation without a resource section",
    explanation: "The section `resource` says what to start and where; no other section can stand in for \
        it.",
};

/// Unknown resource type.
pub static UNKNOWN_PROVIDER: Code = Code {
    id: "ZK0305",
    title: "unknown resource type",
    explanation: "The `type` of a resource section names the provider. Known are `azure_aci`, `azure_vm`, \
        `cloudbroker`, `cloudsigma`, `docker`, `ec2`, `local`, `nova` and `sim`.",
};

/// Unknown key in a section.
pub static UNKNOWN_SECTION_KEY: Code = Code {
    id: "ZK0306",
    title: "unknown key in a section",
    explanation: "The section does not know the key. Occopus refuses such definitions when they are \
        imported.",
};

/// Missing key in a section.
pub static MISSING_SECTION_KEY: Code = Code {
    id: "ZK0307",
    title: "missing key in a section",
    explanation: "The section lacks a key that this type of it needs.",
};

/// Invalid value in a section.
pub static INVALID_VALUE: Code = Code {
    id: "ZK0308",
    title: "invalid value in a section",
    explanation: "The value has the wrong type or is outside of what the key takes.",
};

/// Node type defined twice.
pub static DUPLICATE_DEFINITION: Code = Code {
    id: "ZK0309",
    title: "node type defined twice",
    explanation: "Two files define the same node type. Of files that were given, the last one counts, as \
        the last import counts in Occopus, and it is a warning. Of files that were found beside \
        the description it is not clear which one is meant: give the right ones with `--nodes \
        FILE`.",
};

/// Resource type that was removed.
pub static REMOVED_PROVIDER: Code = Code {
    id: "ZK0310",
    title: "resource type that was removed",
    explanation: "Clouds with an OCCI interface were supported by Occopus up to 1.7. Most of these sites \
        offer OpenStack today: use the resource type `nova`.",
};

/// Key without effect.
pub static NO_EFFECT: Code = Code {
    id: "ZK0311",
    title: "key without effect",
    explanation: "Occopus accepts the key and ignores it. It is reported so that nobody relies on it.",
};

/// Unknown type of a section.
pub static UNKNOWN_PLUGIN: Code = Code {
    id: "ZK0312",
    title: "unknown type of a section",
    explanation: "Contextualisation is of type `cloudinit`, `docker` or `basic`; configuration management \
        is `chef`, `puppet_solo` or `dummy`; a health check is `basic`.",
};

/// Contextualisation that does not fit the resource.
pub static UNUSUAL_COMBINATION: Code = Code {
    id: "ZK0313",
    title: "contextualisation that does not fit the resource",
    explanation: "Containers of `azure_aci` are contextualised by type `docker`, machines by `cloudinit`. \
        With another type the instance starts, but nothing is handed to it. Resources of type \
        `docker`, `local` and `sim` take both.",
};

/// Word for a truth value.
pub static NOT_A_TRUTH_VALUE: Code = Code {
    id: "ZK0314",
    title: "word for a truth value",
    explanation: "`true` and `false` are the only truth values; `yes`, `no`, `on`, `off` and anything in \
        quotes is text. Occopus takes every text that is not empty for true, `no` too, and Zenekar \
        does the same so that files keep their meaning. Write `true` or `false`. Some keys of clouds are \
        stranger still: `floating_ip` of `nova` asks for an address with any value, and \
        `public_ip_needed` of `azure_vm` with nothing but `true`.",
};

/// Section that is not carried out.
pub static NOT_CARRIED_OUT: Code = Code {
    id: "ZK0315",
    title: "section that is not carried out",
    explanation: "The section is checked and its templates are rendered, but Zenekar does not yet register \
        nodes at a Chef server: no environment, role or node is made there, and the readiness of a \
        node does not depend on it. Images and scripts that wait for a run list will wait in vain.",
};
