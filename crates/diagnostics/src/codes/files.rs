//! `ZK06xx`: the files for authentication and configuration.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &MALFORMED_AUTHENTICATION,
    &UNKNOWN_AUTHENTICATION_KEY,
    &UNSUITABLE_CREDENTIALS,
    &SECRET_IS_NOT_TEXT,
    &MALFORMED_CONFIGURATION,
    &UNKNOWN_MODULE,
    &SETTING_WITHOUT_EFFECT,
];

/// Malformed authentication file.
pub static MALFORMED_AUTHENTICATION: Code = Code {
    id: "ZK0601",
    title: "malformed authentication file",
    explanation: "An authentication file is a mapping with the lists `resource` and `config_management`. \
        Each item of them has a mapping `auth_data` with the secrets, and beside it the keys that \
        a node's section must have for these secrets to be used, `type` at least. The text of \
        such a file is never shown.",
};

/// Unknown key in an authentication file.
pub static UNKNOWN_AUTHENTICATION_KEY: Code = Code {
    id: "ZK0602",
    title: "unknown key in an authentication file",
    explanation: "Nothing reads the key. Check its spelling: the keys of `auth_data` differ from cloud to \
        cloud.",
};

/// Credentials that the cloud cannot use.
pub static UNSUITABLE_CREDENTIALS: Code = Code {
    id: "ZK0603",
    title: "credentials that the cloud cannot use",
    explanation: "`auth_data` lacks a key that the type of cloud needs, or is of a kind that is not known: \
        `ec2` needs `accesskey` and `secretkey`; `nova` needs `username` and `password`, or `type: \
        application_credential`, `id` and `secret`; `azure_vm` and `azure_aci` need `tenant_id`, \
        `client_id`, `client_secret` and `subscription_id`; `cloudbroker` and `cloudsigma` need \
        `email` and `password`; `chef` needs `client_name` and `client_key`.",
};

/// Secret that is not text.
pub static SECRET_IS_NOT_TEXT: Code = Code {
    id: "ZK0604",
    title: "secret that is not text",
    explanation: "A secret without quotes may read as something else than it looks like: `0123` is the \
        number 123, and `1e3` is 1000.0. Put secrets between quotes.",
};

/// Malformed configuration file.
pub static MALFORMED_CONFIGURATION: Code = Code {
    id: "ZK0611",
    title: "malformed configuration file",
    explanation: "A value of Occopus's configuration file has a type or range that cannot be used. The \
        message says which.",
};

/// Module that does not exist.
pub static UNKNOWN_MODULE: Code = Code {
    id: "ZK0612",
    title: "module that does not exist",
    explanation: "`plugins` lists Python modules. Zenekar imports none of them, it has everything built in; \
        but it has nothing for this one. Some modules, such as the one for `occi`, were removed \
        from Occopus too.",
};

/// Setting without effect.
pub static SETTING_WITHOUT_EFFECT: Code = Code {
    id: "ZK0613",
    title: "setting without effect",
    explanation: "Zenekar reads the setting and does nothing with it. For `dry_run` use `zenekar plan`, which \
        shows what would be done.",
};
