//! Which commands talk to another instance at once, and at which port.
//!
//! Only programs are known here that surely connect when they are run and say
//! so when they cannot. Whatever else names another instance has its address
//! and may do anything with it.

use zenekar_lint::shell::{Command, RedirectKind};

use crate::stage::Host;
use crate::words::{Knowledge, Named};

/// A command that talks to another instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Whether the program tries again by itself.
    pub(crate) retries: bool,
    /// Whether the command only asks whether somebody answers.
    pub(crate) is_test: bool,
    /// The path of a URL, if it is more than `/`.
    pub(crate) path: Option<String>,
    /// What has to be there besides, as `database shop`.
    pub(crate) object: Option<String>,
}

impl Call {
    fn new(host: Host, port: u16) -> Self {
        Self {
            host,
            port,
            retries: false,
            is_test: false,
            path: None,
            object: None,
        }
    }

    fn retrying(self) -> Self {
        Self {
            retries: true,
            ..self
        }
    }

    fn testing(self) -> Self {
        Self {
            is_test: true,
            ..self
        }
    }
}

/// A client with options for host and port.
struct Client {
    names: &'static [&'static str],
    host: &'static [&'static str],
    port: &'static [&'static str],
    default: u16,
}

/// Clients whose options name a server.
const CLIENTS: &[Client] = &[
    Client {
        names: &["mysql", "mysqladmin", "mysqldump", "mariadb", "mysqlimport"],
        host: &["-h", "--host"],
        port: &["-P", "--port"],
        default: 3306,
    },
    Client {
        names: &[
            "psql",
            "pg_isready",
            "pg_dump",
            "pg_basebackup",
            "createdb",
            "createuser",
        ],
        host: &["-h", "--host"],
        port: &["-p", "--port"],
        default: 5432,
    },
    Client {
        names: &["redis-cli"],
        host: &["-h"],
        port: &["-p"],
        default: 6379,
    },
    Client {
        names: &["mongo", "mongosh", "mongodump"],
        host: &["--host", "-h"],
        port: &["--port"],
        default: 27017,
    },
    Client {
        names: &["mosquitto_pub", "mosquitto_sub"],
        host: &["-h", "--host"],
        port: &["-p", "--port"],
        default: 1883,
    },
    Client {
        names: &["influx"],
        host: &["-host"],
        port: &["-port"],
        default: 8086,
    },
    Client {
        names: &["kubectl", "helm"],
        host: &["--server", "-s", "--kube-apiserver"],
        port: &[],
        default: 6443,
    },
    Client {
        names: &["etcdctl"],
        host: &["--endpoints", "--endpoint", "-C"],
        port: &[],
        default: 2379,
    },
];

/// Commands with verbs that talk to the host that is named last.
const JOINERS: &[(&str, &[&str], u16)] = &[
    ("docker", &["swarm", "join"], 2377),
    ("gluster", &["peer", "probe"], 24007),
    ("rabbitmqctl", &["join_cluster"], 5672),
    ("consul", &["join"], 8301),
    ("docker", &["pull"], 443),
    ("docker", &["login"], 443),
    ("docker", &["push"], 443),
    ("podman", &["pull"], 443),
    ("cqlsh", &[], 9042),
    ("showmount", &[], 2049),
];

/// Returns what a command calls. `words` are its arguments with all known put in.
pub(crate) fn of(command: &Command, words: &[String], known: &Knowledge) -> Option<Call> {
    let hosts = |text: &str| known.hosts_in(text);
    if let Some(call) = device(command, known) {
        return Some(call);
    }
    let program = command.program();
    match program {
        "curl" | "wget" => web(program, words, &hosts),
        "git" if words.iter().any(|word| is_fetch(word)) => url(words, &hosts)
            .filter(|call| matches!(call.port, 80 | 443 | 9418) || call.port > 1023),
        "nc" | "ncat" | "netcat" | "telnet" => socket(words, &hosts),
        "kubeadm" if words.iter().any(|word| word == "join") => {
            Some(last(words, &hosts, 6443)?.retrying())
        }
        "mount" | "mount.nfs" | "mount.nfs4" => export(words, &hosts),
        "wait-for-it" | "wait-for-it.sh" | "wait-for" | "wait-for.sh" | "wait-port"
        | "dockerize" => Some(address(words, &hosts)?.retrying()),
        _ => joined(program, words, &hosts).or_else(|| client(program, words, &hosts)),
    }
}

/// Says whether a program is known to do nothing with an address that takes
/// time: what comes behind it runs at once.
pub(crate) fn is_prompt(program: &str) -> bool {
    const PROMPT: &[&str] = &[
        "",
        "echo",
        "printf",
        "sed",
        "cat",
        "tee",
        "export",
        "grep",
        "awk",
        "cut",
        "tr",
        "sort",
        "mkdir",
        "touch",
        "chmod",
        "chown",
        "cp",
        "mv",
        "rm",
        "ln",
        "test",
        "[",
        "[[",
        "set",
        "hostname",
        "hostnamectl",
        "envsubst",
        "source",
        ".",
        "perl",
        "systemctl",
        "service",
        "iptables",
        "ufw",
        "route",
        "ip",
        "sysctl",
        "ssh-keyscan",
        "ping",
        "local",
        "readonly",
        "declare",
        "usermod",
        "crontab",
        "update-rc.d",
        "head",
        "tail",
        "basename",
        "dirname",
    ];
    PROMPT.contains(&program)
}

type Finder<'a> = &'a dyn Fn(&str) -> Vec<Named>;

fn is_fetch(word: &str) -> bool {
    matches!(word, "clone" | "fetch" | "pull" | "ls-remote")
}

/// `/dev/tcp/HOST/PORT`, which is a shell's own.
fn device(command: &Command, known: &Knowledge) -> Option<Call> {
    let targets = command.redirects.iter();
    targets
        .filter(|redirect| redirect.kind != RedirectKind::Document)
        .find_map(|redirect| {
            let target = known.expand(&redirect.target.text);
            let rest = target.strip_prefix("/dev/tcp/")?;
            let (host, port) = rest.split_once('/')?;
            let named = known.hosts_in(host);
            Some(Call::new(named.first()?.host, port.parse().ok()?).testing())
        })
}

/// Reads an argument that is a URL, or a host with what follows it.
fn location(word: &str, default: u16, hosts: Finder<'_>) -> Option<Call> {
    let (scheme, rest) = word.split_once("://").unwrap_or(("", word));
    let port = match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "ftp" => 21,
        "git" => 9418,
        _ => default,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let user = rest[..end].rfind('@');
    let behind_user = user.map_or(0, |at| at + 1);
    if rest[..behind_user].contains(char::is_whitespace) {
        return None;
    }
    let named = hosts(rest)
        .into_iter()
        .find(|named| named.start == behind_user)?;
    let tail = &rest[named.end..];
    if !(tail.is_empty() || tail.starts_with(['/', '?', '#', ','])) {
        return None;
    }
    let path = tail.split(['?', '#', ',']).next().unwrap_or_default();
    Some(Call {
        path: (path.len() > 1).then(|| path.to_owned()),
        ..Call::new(named.host, named.port.unwrap_or(port))
    })
}

/// Returns the first argument that is a place in the web.
fn url(words: &[String], hosts: Finder<'_>) -> Option<Call> {
    words.iter().find_map(|word| location(word, 80, hosts))
}

/// `curl` and `wget`, whose options may try again.
fn web(program: &str, words: &[String], hosts: Finder<'_>) -> Option<Call> {
    /// Options whose value may begin with an address and is not called.
    const NOT_CALLED: &[&str] = &[
        "-d", "--data", "-H", "--header", "-o", "-O", "-e", "-F", "-u",
    ];
    let called: Vec<String> = words
        .iter()
        .enumerate()
        .filter(|(at, _)| {
            *at == 0
                || !NOT_CALLED.contains(&words[at - 1].as_str())
                || program == "wget" && words[at - 1] == "-O"
        })
        .map(|(_, word)| word.strip_prefix("--url=").unwrap_or(word).to_owned())
        .collect();
    let call = url(&called, hosts)?;
    let retries = words.iter().any(|word| {
        if program == "curl" {
            word.starts_with("--retry") && word != "--retry=0"
        } else {
            let is_tries = word == "-t" || word.starts_with("--tries");
            word == "--retry-connrefused" || is_tries && word != "--tries=1"
        }
    });
    // A service that must not answer, or of which only the state is asked for.
    Some(Call { retries, ..call })
}

/// `nc HOST PORT`.
fn socket(words: &[String], hosts: Finder<'_>) -> Option<Call> {
    let at = words.iter().position(|word| is_host(word, hosts))?;
    let named = *hosts(&words[at]).first()?;
    let port = words.get(at + 1).and_then(|word| word.parse().ok());
    Some(Call::new(named.host, named.port.or(port)?).testing())
}

/// Says whether a word is the name of a host and nothing else.
fn is_host(word: &str, hosts: Finder<'_>) -> bool {
    hosts(word)
        .first()
        .is_some_and(|named| named.start == 0 && named.end == word.len())
}

/// Returns the last argument that is a host, perhaps with a port and a user.
fn last(words: &[String], hosts: Finder<'_>, default: u16) -> Option<Call> {
    words
        .iter()
        .rev()
        .filter(|word| !word.starts_with('-'))
        .find_map(|word| location(word, default, hosts))
}

/// An exported folder that is mounted. That of NFS is tried for two minutes.
fn export(words: &[String], hosts: Finder<'_>) -> Option<Call> {
    let (host, volume) = words.iter().find_map(|word| {
        let named = *hosts(word).first().filter(|named| named.start == 0)?;
        Some((named.host, word[named.end..].strip_prefix(":/")?))
    })?;
    if words.iter().any(|word| word == "glusterfs") {
        let object = is_plain(volume).then(|| format!("volume {volume}"));
        return Some(Call {
            object,
            ..Call::new(host, 24007)
        });
    }
    Some(Call::new(host, 2049).retrying())
}

/// An argument `HOST:PORT`, perhaps behind a scheme.
fn address(words: &[String], hosts: Finder<'_>) -> Option<Call> {
    words.iter().find_map(|word| {
        let bare = word.rsplit("://").next().unwrap_or(word);
        let named = *hosts(bare).first().filter(|named| named.start == 0)?;
        Some(Call::new(named.host, named.port?))
    })
}

fn joined(program: &str, words: &[String], hosts: Finder<'_>) -> Option<Call> {
    if matches!(program, "docker" | "podman") && words.iter().any(|word| word == "run") {
        return image(words, hosts);
    }
    let (_, _, port) = JOINERS.iter().find(|(name, verbs, _)| {
        *name == program
            && verbs
                .iter()
                .all(|verb| words.iter().any(|word| word == verb))
    })?;
    last(words, hosts, *port)
}

/// An image of a registry, by host, port and path: it is fetched first.
fn image(words: &[String], hosts: Finder<'_>) -> Option<Call> {
    words.iter().find_map(|word| {
        let named = *hosts(word).first().filter(|named| named.start == 0)?;
        let is_image = word[named.end..].starts_with('/');
        is_image.then_some(Call::new(named.host, named.port?))
    })
}

/// A client of a database and the like, by its options or by a URL.
fn client(program: &str, words: &[String], hosts: Finder<'_>) -> Option<Call> {
    let client = CLIENTS
        .iter()
        .find(|client| client.names.contains(&program))?;
    let named = option(words, client.host).and_then(|value| {
        value
            .split(',')
            .find_map(|value| location(value, client.default, hosts))
    });
    let positional = || {
        words
            .iter()
            .filter(|word| !word.starts_with('-'))
            .find_map(|word| location(word, client.default, hosts))
    };
    let mut call = named.or_else(positional)?;
    call.object = database(program, words, call.path.take());
    if let Some(port) = option(words, client.port).and_then(|port| port.parse().ok()) {
        call.port = port;
    }
    let asks = |verb: &str| words.iter().any(|word| word.eq_ignore_ascii_case(verb));
    call.is_test = program == "pg_isready" || asks("ping") || asks("status");
    call.retries = words
        .iter()
        .any(|word| word.starts_with("--wait") || word.starts_with("--connect-retries"));
    Some(call)
}

/// Returns the database that a client wants to use: by an option, by the path
/// of a URL, or by its first argument that is no option.
fn database(program: &str, words: &[String], path: Option<String>) -> Option<String> {
    /// Options whose value is a word of its own.
    const WITH_VALUE: &[&str] = &[
        "-u",
        "-h",
        "-P",
        "-p",
        "-U",
        "-S",
        "-e",
        "-c",
        "-f",
        "-v",
        "-o",
        "-D",
        "-d",
        "--user",
        "--host",
        "--port",
        "--execute",
        "--command",
        "--file",
        "--username",
    ];
    /// Databases that are there with the server.
    const STANDARD: &[&str] = &["mysql", "postgres", "template1", "information_schema"];
    let own = match program {
        "mysql" | "mariadb" | "mysqldump" => &["-D", "--database"],
        "psql" | "pg_dump" => &["-d", "--dbname"],
        _ => return None,
    };
    // `-p` asks MySQL's clients for a password, and takes no further word.
    let takes_word =
        |option: &str| WITH_VALUE.contains(&option) && (option != "-p" || program.starts_with('p'));
    let positional = || {
        let mut all = words.iter().enumerate().filter(|(at, word)| {
            let is_value = *at > 0 && takes_word(&words[at - 1]);
            !word.starts_with('-') && !is_value
        });
        all.next().map(|(_, word)| word.clone())
    };
    let by_path = path.map(|path| path.trim_start_matches('/').to_owned());
    let name = by_path
        .or_else(|| option(words, own).map(str::to_owned))
        .or_else(positional)?;
    let is_own = is_plain(&name) && !STANDARD.contains(&name.as_str());
    is_own.then(|| format!("database {name}"))
}

/// Says whether a word is a name and nothing else.
fn is_plain(word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
    !word.is_empty() && word.chars().all(is_part)
}

/// Returns the value of an option: `-h x`, `-hx`, `--host x` or `--host=x`.
fn option<'w>(words: &'w [String], names: &[&str]) -> Option<&'w str> {
    words.iter().enumerate().find_map(|(at, word)| {
        names.iter().find_map(|name| {
            let rest = word.strip_prefix(name)?;
            if rest.is_empty() {
                return words.get(at + 1).map(String::as_str);
            }
            match rest.strip_prefix('=') {
                Some(value) => Some(value),
                None => (name.len() == 2).then_some(rest),
            }
        })
    })
}

#[cfg(test)]
mod tests;
