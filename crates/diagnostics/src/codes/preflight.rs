//! `ZK08xx`: what keeps a descriptor from being brought up, found out before
//! anything is created.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &UNREACHABLE,
    &CREDENTIALS,
    &PERMISSION,
    &IMAGE,
    &INSTANCE_TYPE,
    &NETWORK,
    &SECURITY_GROUP,
    &KEY_PAIR,
    &VOLUME,
    &QUOTA,
    &USER_DATA,
    &SETTING,
    &ACCOUNT,
];

/// Cloud that does not answer.
pub static UNREACHABLE: Code = Code {
    id: "ZK0801",
    title: "cloud that does not answer",
    explanation: "`plan` and `up` ask the clouds of a descriptor, before anything is created, whether it can \
        be. This one did not answer, or with something else than its interface. Look at the endpoint \
        and the region, at proxies and firewalls between; `zenekar cloud test` asks the same again. \
        `--skip-checks` goes on without asking.",
};

/// Credentials that are missing or refused.
pub static CREDENTIALS: Code = Code {
    id: "ZK0802",
    title: "credentials that are missing or refused",
    explanation: "The cloud does not know who is asking. `zenekar cloud add` keeps credentials, sealed; \
        without it the standard places of the cloud's own tools count (environment, files, instance \
        roles), and Occopus's `auth_data.yaml`. `zenekar cloud test` shows whom the cloud takes you \
        for. `plan` only warns where there are none at all.",
};

/// Right that the credentials lack.
pub static PERMISSION: Code = Code {
    id: "ZK0803",
    title: "right that the credentials lack",
    explanation: "The cloud knows who is asking and does not allow something that is needed. The message says \
        what; whoever runs the account can grant it.",
};

/// Image that is not there.
pub static IMAGE: Code = Code {
    id: "ZK0804",
    title: "image that is not there",
    explanation: "The image that a node is to be made from does not exist in this region, is not yours to use, \
        or does not fit. Images differ from region to region. `zenekar cloud images` lists them.",
};

/// Size of instances that is not there.
pub static INSTANCE_TYPE: Code = Code {
    id: "ZK0805",
    title: "size of instances that is not there",
    explanation: "The instance type or flavour of a node is not sold in this region, or does not fit the \
        image. `zenekar cloud offers` lists them, with what they have.",
};

/// Network that is not there.
pub static NETWORK: Code = Code {
    id: "ZK0806",
    title: "network that is not there",
    explanation: "The network or subnet that a node is to be in does not exist, or the name stands for \
        several.",
};

/// Security group that is not there.
pub static SECURITY_GROUP: Code = Code {
    id: "ZK0807",
    title: "security group that is not there",
    explanation: "A security group that a node is to be in does not exist, or the name stands for several. A \
        list `ports` in the section `resource` lets Zenekar make one.",
};

/// Key pair that is not there.
pub static KEY_PAIR: Code = Code {
    id: "ZK0808",
    title: "key pair that is not there",
    explanation: "The key pair whose owner is to log in is not known to the cloud in this region. Import it \
        there, or leave the key out: Zenekar itself does not log in.",
};

/// Disk that cannot be made.
pub static VOLUME: Code = Code {
    id: "ZK0809",
    title: "disk that cannot be made",
    explanation: "A disk that a node asks for cannot be made as it is asked for.",
};

/// Limit of the account.
pub static QUOTA: Code = Code {
    id: "ZK0810",
    title: "limit of the account",
    explanation: "The account's limits do not allow what the descriptor asks for, with what is in use already. \
        `zenekar cloud quota` shows both; `zenekar cloud orphans` finds what was left over and still \
        counts.",
};

/// User-data that the cloud does not take.
pub static USER_DATA: Code = Code {
    id: "ZK0811",
    title: "user-data that the cloud does not take",
    explanation: "The user-data of a node is larger than the cloud accepts, or of another form. Fetch large \
        files from within the instance instead of writing them into its user-data.",
};

/// Setting that the cloud does not take.
pub static SETTING: Code = Code {
    id: "ZK0812",
    title: "setting that the cloud does not take",
    explanation: "A setting in the section `resource` has a value that this cloud does not take, or one that \
        is needed is missing. Placeholders of descriptors that are handed round have to be filled \
        in; `zenekar cloud add --default KEY=VALUE` gives values for all nodes that are moved to a \
        cloud.",
};

/// Account that is not the infrastructure's.
pub static ACCOUNT: Code = Code {
    id: "ZK0813",
    title: "account that is not the infrastructure's",
    explanation: "The infrastructure is tied to one account (project, engine) of this cloud, and the \
        credentials or the address lead to another one now. What is there cannot be seen from here, \
        so nothing is done: it would be taken for gone and made again. Use the credentials, the \
        profile, the project or the engine of the account that the message names; `zenekar cloud \
        test` shows whom a cloud takes you for. To move to the other account, take the \
        infrastructure down first. If nothing of it is in that account, or it is gone for good, \
        `ZENEKAR_ACCEPT_ACCOUNT=ID` accepts the account with this id in its place.",
};
