//! `ZK07xx`: static findings about descriptors that are valid.

use super::Code;

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &STORAGE_WITHOUT_COPIES,
    &SCALE_IN_WITHOUT_DRAIN,
    &CENTRAL_RESTART,
    &NEVER_STARTED,
    &OPEN_CONTROL_PORT,
    &PRIVATE_KEY,
    &CONFIGURATION_ON_CONSOLE,
    &EARLY_READINESS,
    &SHARED_FILE,
    &NO_HEALTH_CHECK,
    &PING_REQUIRED,
    &KNOWN_PASSWORD,
    &UNSAFE_DOWNLOAD,
    &UNPINNED_DOWNLOAD,
    &UNDEFINED_VARIABLE,
    &USER_DATA_TOO_LARGE,
    &FAILURE_HIDDEN,
    &UPGRADE_AT_BOOT,
    &TOO_MUCH_PRIVILEGE,
    &NO_TIME_LIMIT,
    &NOT_USER_DATA,
];

/// Single copy of data on instances that can go away.
pub static STORAGE_WITHOUT_COPIES: Code = Code {
    id: "ZK0701",
    title: "single copy of data on instances that can go away",
    explanation: "A store keeps one copy of everything (`dfs.replication` 1, no replicas of an index, a \
        replication factor of 1), and its node has fewer instances at least (`min`) than at most \
        (`max`). Taking an instance away, or losing one, loses data.\
        \n\nKeep at least two copies, better three, and have as many instances at least; or give the \
        node a fixed number of instances. Severity: warning.",
};

/// Scale-in of a stateful node without drain.
pub static SCALE_IN_WITHOUT_DRAIN: Code = Code {
    id: "ZK0702",
    title: "scale-in of a stateful node without drain",
    explanation: "Instances of the node keep data or queues (an HDFS data node, a database, a broker), and \
        the node can lose instances while it runs, because `max` is above `min`. Nothing in the \
        descriptor empties an instance before it goes: what only it held is gone.\
        \n\nDecommission the member first (`hdfs dfsadmin -refreshNodes` with a list of those to \
        leave, `nodetool decommission`, `rabbitmqctl forget_cluster_node`, …), or give the node \
        a fixed number of instances. Severity: warning.",
};

/// Restart of a central service when members change.
pub static CENTRAL_RESTART: Code = Code {
    id: "ZK0703",
    title: "restart of a central service when members change",
    explanation: "A hook that runs whenever members come or go (a command of consul-template or of a \
        watch, a job of cron) restarts the service that the whole cluster depends on, for \
        example the name node. Every scaling step, and every flapping member, interrupts all \
        work.\
        \n\nReload the list of members instead: `hdfs dfsadmin -refreshNodes`, `systemctl reload`, \
        an entry that the service looks up itself. Severity: warning.",
};

/// Component that nothing starts.
pub static NEVER_STARTED: Code = Code {
    id: "ZK0704",
    title: "component that nothing starts",
    explanation: "Something is installed, configured or checked, but nothing in the descriptor starts it: \
        a service file whose service is never started, a script that nothing runs, a template \
        that nothing renders, a port that is checked though nothing opens it, or MapReduce jobs \
        without YARN. It was forgotten, or what describes it is out of date. What the image \
        starts by itself cannot be seen from a descriptor.\
        \n\nStart it in `runcmd`, or remove what is left of it. Severity: warning; note for scripts \
        that people may call by hand, and for ports that the image may open.",
};

/// Control port without authentication.
pub static OPEN_CONTROL_PORT: Code = Code {
    id: "ZK0705",
    title: "control port without authentication",
    explanation: "A service gives control over the instance or its data to everybody who can reach a port, \
        without asking who it is: Docker's socket on TCP without TLS, Redis or MongoDB on all \
        addresses without a password, etcd or a kubelet without certificates, Consul on all \
        addresses without access rules, a notebook without a password, a dashboard whose login \
        can be skipped. A security group that is opened by mistake is then enough to lose the \
        cloud account's machines.\
        \n\nListen on `127.0.0.1` or a socket file, require TLS with client certificates, or set a \
        password that is not in the descriptor. Severity: error where commands can be run by \
        strangers, warning otherwise.",
};

/// Private key in the descriptor.
pub static PRIVATE_KEY: Code = Code {
    id: "ZK0706",
    title: "private key in the descriptor",
    explanation: "A private key, or a key of a cloud account, is written in the descriptor or in a file \
        that it includes. Everybody who can read the descriptor, or the user-data from inside an \
        instance, has it; if the descriptor is public, so is the key, and all infrastructures \
        made from it share it.\
        \n\nMake the key on the instance (`ssh-keygen`), or hand it over when the infrastructure is \
        brought up; replace a key that was published. Severity: error.",
};

/// Configuration line printed instead of written.
pub static CONFIGURATION_ON_CONSOLE: Code = Code {
    id: "ZK0707",
    title: "configuration line printed instead of written",
    explanation: "An `echo` prints a line of a configuration file on the console: its redirection stands \
        inside the quotes, or is missing between neighbours that have one. The file lacks the \
        line, and the service runs with its default.\
        \n\nClose the quotes in front of `>>`, or add the redirection. Severity: warning.",
};

/// Readiness check that is true too early.
pub static EARLY_READINESS: Code = Code {
    id: "ZK0708",
    title: "readiness check that is true too early",
    explanation: "The checked port is open before the instance is ready: it is the SSH server's, which \
        every machine has from the start, or that of a service which is started in the middle of \
        the setup, before the steps that make it useful (creating the cluster, the database, the \
        join token). Nodes that depend on it start too early, and fail now and then.\
        \n\nStart the service last, check a URL that answers only when all is done, or open a port \
        of your own at the end of the setup. Severity: warning.",
};

/// Shared file edited by several instances.
pub static SHARED_FILE: Code = Code {
    id: "ZK0709",
    title: "shared file edited by several instances",
    explanation: "Every instance of a node appends to, or edits, the same file: on another machine through \
        `ssh`, or on a shared file system. Instances start at the same time; edits get lost or \
        mixed, and lines of instances that are gone stay.\
        \n\nLet the machine that owns the file write it from a list that it looks up, or take a lock \
        (`flock`) for the edit and make it repeatable. Severity: warning.",
};

/// No health check of what the instance does.
pub static NO_HEALTH_CHECK: Code = Code {
    id: "ZK0710",
    title: "no health check of what the instance does",
    explanation: "The instances set something up, but nothing checks it: there are no `ports`, `urls` or \
        `mysqldbs` in `health_check`. An instance counts as ready as soon as the machine \
        answers, even if its setup failed, and a broken one is never replaced.\
        \n\nCheck the port or the URL of the service. Severity: warning for nodes with several \
        instances and for those that others depend on, note otherwise.",
};

/// Ping required where firewalls drop it.
pub static PING_REQUIRED: Code = Code {
    id: "ZK0711",
    title: "ping required where firewalls drop it",
    explanation: "The health check includes a ping, because `ping` is true unless the descriptor says \
        otherwise. The firewalls of most clouds drop it until a rule allows it: the node never \
        becomes ready, and is torn down after the time limit.\
        \n\nSet `ping: false` and check a port or a URL, or allow ICMP in the security group. \
        Severity: warning where nobody asked for the ping, note where the descriptor says `ping: \
        true`.",
};

/// Password that everybody knows.
pub static KNOWN_PASSWORD: Code = Code {
    id: "ZK0712",
    title: "password that everybody knows",
    explanation: "A password, or a shared secret, is written in the descriptor. The default of a tutorial \
        (`root`, `secret`, the name of the user) is known to everybody, and machines that are \
        reachable are found within minutes.\
        \n\nGenerate it on the instance, or hand it over when the infrastructure is brought up. A \
        text such as `replace_with_…` is not reported. Severity: warning.",
};

/// Download that can be changed on its way.
pub static UNSAFE_DOWNLOAD: Code = Code {
    id: "ZK0713",
    title: "download that can be changed on its way",
    explanation: "Something is fetched over plain HTTP, or with the check of certificates switched off \
        (`--no-check-certificate`, `curl -k`, `trusted=yes`), and then used. Whoever is on the \
        way can replace it. Addresses of the infrastructure itself are not reported.\
        \n\nUse HTTPS and leave the check on. Severity: warning.",
};

/// Download that is not fixed.
pub static UNPINNED_DOWNLOAD: Code = Code {
    id: "ZK0714",
    title: "download that is not fixed",
    explanation: "What is fetched may be another thing tomorrow: a script that goes straight into a shell, \
        a branch (`master`, `devel`) or `latest`, a package without its version, an image \
        without its tag, or an archive that is used without comparing a checksum. Instances of \
        one node then differ, and a compromised source goes unnoticed.\
        \n\nName a version and compare a checksum (`sha256sum --check`). Severity: warning for \
        scripts that go straight into a shell and for moving versions, note otherwise.",
};

/// Template variable that is never defined.
pub static UNDEFINED_VARIABLE: Code = Code {
    id: "ZK0715",
    title: "template variable that is never defined",
    explanation: "A template prints a variable that neither the description nor the node defines. It \
        prints as nothing, without an error: an address, a version or a password is silently \
        missing.\
        \n\nDefine the variable, correct its name, or say what is meant without it: `{{ variables.x \
        | default('…') }}`. Severity: warning.",
};

/// User-data larger than the provider takes.
pub static USER_DATA_TOO_LARGE: Code = Code {
    id: "ZK0716",
    title: "user-data larger than the provider takes",
    explanation: "The rendered user-data is larger than what the provider accepts; every creation would be \
        refused. The limits are those that the providers document: 16,384 bytes before encoding \
        for EC2 (*EC2 User Guide*, instance user data), 65,535 bytes after base64 for OpenStack \
        (*Nova user guide*, user data), 65,535 bytes before encoding for Azure (*Compute REST \
        API*, `customData`). CloudSigma and CloudBroker document none.\
        \n\nMove large files to where the instance can fetch them, with a checksum. Severity: error, \
        and a warning above nine tenths, because addresses make it longer.",
};

/// Failure that nobody notices.
pub static FAILURE_HIDDEN: Code = Code {
    id: "ZK0717",
    title: "failure that nobody notices",
    explanation: "A step of the setup can fail without any consequence: `set +e`, `|| true`, or a chain \
        that ends in `|| echo`. The instance goes on and reports that it is ready, and the \
        mistake shows somewhere else. Cleaning up, such as `rm … || true`, is not reported.\
        \n\nLet the script stop (`set -e`), and end a failed chain with `exit 1`. Severity: warning.",
};

/// Packages upgraded at boot.
pub static UPGRADE_AT_BOOT: Code = Code {
    id: "ZK0718",
    title: "packages upgraded at boot",
    explanation: "All packages are upgraded when an instance starts. It takes minutes, fails when a mirror \
        is down, can ask for a restart, and makes instances of one node differ.\
        \n\nUpgrade the image, and keep `package_upgrade` off; security updates come by \
        `unattended-upgrades`. Severity: warning.",
};

/// More rights than needed.
pub static TOO_MUCH_PRIVILEGE: Code = Code {
    id: "ZK0719",
    title: "more rights than needed",
    explanation: "A service or a login has all rights: a service file without `User=`, a job of cron that \
        runs as root, a login as root, `sudo` without a password, a container that is \
        `--privileged` or has Docker's socket, files that everybody may write (`chmod 777`). A \
        mistake in one program is then one in the whole machine.\
        \n\nRun services as a user of their own, and give logins the commands that they need. \
        Severity: warning; note for services that run as root, and for `sudo` of the login that \
        cloud-init makes.",
};

/// Waiting without an end.
pub static NO_TIME_LIMIT: Code = Code {
    id: "ZK0720",
    title: "waiting without an end",
    explanation: "A loop waits for something and has no limit: if it never happens, the instance waits \
        forever, and only the health check's time limit ends it; or the health check of a setup \
        that takes long leaves its limit to the default of 600 seconds.\
        \n\nCount the rounds, or use `timeout 300 sh -c '…'`, and end with an error; set `timeout` \
        in `health_check` to what the setup takes. Severity: warning for loops, note for the \
        health check.",
};

/// Text that cloud-init does not read.
pub static NOT_USER_DATA: Code = Code {
    id: "ZK0721",
    title: "text that cloud-init does not read",
    explanation: "User-data that is one text must begin with a line that says what it is: `#cloud-config`, \
        `#!` and an interpreter, `#include`, `## template: jinja`, or a MIME header. With any \
        other first line cloud-init ignores all of it, without an error that anybody sees.\
        \n\nCorrect the first line. Text that is included by `!yaml_import` gets the line by itself. \
        Severity: warning.",
};
