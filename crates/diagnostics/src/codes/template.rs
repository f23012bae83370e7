//! `ZK04xx`: templates.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &SYNTAX,
    &UNDEFINED,
    &FUNCTION,
    &UNKNOWN_NODE,
    &UNDEFINED_NODE,
    &NO_ORDER,
    &HOST_COMMAND,
    &INVALID_CLOUD_CONFIG,
    &BUDGET,
    &ORIGINAL_FAILS,
];

/// Template that does not parse.
pub static SYNTAX: Code = Code {
    id: "ZK0401",
    title: "template that does not parse",
    explanation: "The text is a Jinja2 template: `{{ … }}` prints, `{% … %}` controls, `{# … #}` comments. \
        Text that holds such braces for another purpose goes between `{% raw %}` and `{% endraw \
        %}`.",
};

/// Use of an undefined value.
pub static UNDEFINED: Code = Code {
    id: "ZK0402",
    title: "use of an undefined value",
    explanation: "An undefined name prints as nothing, but its members, and operations on it, do not \
        exist.",
};

/// Failed template operation.
pub static FUNCTION: Code = Code {
    id: "ZK0403",
    title: "failed template operation",
    explanation: "A function, filter or operation of the template cannot work with what it was given. The \
        message says why.",
};

/// Address of an unknown node.
pub static UNKNOWN_NODE: Code = Code {
    id: "ZK0404",
    title: "address of an unknown node",
    explanation: "A function that looks up addresses, such as `getip`, was given the name of a node that \
        the description does not have.",
};

/// Address of an undefined node.
pub static UNDEFINED_NODE: Code = Code {
    id: "ZK0405",
    title: "address of an undefined node",
    explanation: "A function that looks up addresses was given an undefined value, most often because the \
        quotes around the name are missing: `getip(master)` instead of `getip('master')`. As in \
        Occopus it then means the first node of the infrastructure.",
};

/// Address without an order.
pub static NO_ORDER: Code = Code {
    id: "ZK0406",
    title: "address without an order",
    explanation: "The template reads the address of a node that the reading node does not depend on, \
        directly or through others. The reading node waits as if there were a dependency, unless the \
        other one waits for it in turn: then the address is not known in time. Add the dependency, \
        so that people see it too.",
};

/// Command on this machine.
pub static HOST_COMMAND: Code = Code {
    id: "ZK0407",
    title: "command on this machine",
    explanation: "`cmd` runs a program on the machine of the orchestrator, whoever wrote the description. \
        It is refused unless you allow it with `--allow-host-commands`; what the program prints then \
        becomes part of the text.",
};

/// User-data that is not valid YAML.
pub static INVALID_CLOUD_CONFIG: Code = Code {
    id: "ZK0408",
    title: "user-data that is not valid YAML",
    explanation: "User-data that starts with `#cloud-config` is read as YAML by cloud-init; once rendered, \
        this one is not YAML. Quote the inserted value, or use the filter `tojson`.",
};

/// Template that computes too much.
pub static BUDGET: Code = Code {
    id: "ZK0409",
    title: "template that computes too much",
    explanation: "Rendering is limited in steps and in the size of its output, so that a mistake cannot \
        hang the orchestrator.",
};

/// User-data that only this implementation can render.
pub static ORIGINAL_FAILS: Code = Code {
    id: "ZK0410",
    title: "user-data that Occopus could not render",
    explanation: "Occopus writes the mapping of a cloud-init file as YAML, folds its lines at column 80, \
        puts `\\` before double quotes, and only then renders the text as a template. Here that breaks \
        a template, or what comes out is not YAML any more. Zenekar renders every text by itself \
        instead, so that the instance gets what is written. To make it work with Occopus too, use \
        single quotes and no spaces within `{{…}}`.",
};
