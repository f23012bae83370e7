//! What is known of one node: its commands in order, and when its ports open.

use std::cell::RefCell;
use std::collections::BTreeMap;

use zenekar_base::ProbeSpec;
use zenekar_lint::machine::Machine;
use zenekar_lint::services::{self, Service, installed_by};
use zenekar_model::Give;

use crate::call;
use crate::walk::Act;
use crate::words::normal_path;

/// The port of the SSH server, which answers before the setup has begun.
pub(crate) const SSH_PORT: u16 = 22;

/// Commands that open a port at once and are no services of their own.
const OPENERS: &[(&str, &str, u16)] = &[
    ("docker", "swarm init", 2377),
    ("kubeadm", "init", 6443),
    ("consul", "agent", 8301),
];

/// Names of services that say their port, where nothing else does.
const NAMES: &[(&str, u16)] = &[
    ("memcached", 11211),
    ("mosquitto", 1883),
    ("registry", 5000),
    ("vault", 8200),
];

/// Programs that name a port to send or to configure something, not to open it.
const NOT_OPENING: &[&str] = &[
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "ufw",
    "iptables",
    "firewall-cmd",
    "semanage",
    "grep",
    "cat",
    "ssh",
    "scp",
    "mkdir",
    "sleep",
    "test",
    "[",
    "[[",
    "export",
    "touch",
    "rm",
    "chmod",
    "chown",
    "cp",
    "mv",
    "mysql",
    "psql",
    "redis-cli",
];

/// When something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// From the start of the instance.
    Boot,
    /// Once the command at this position is done.
    After(usize),
    /// Nobody can see when; a health check that looks at something is taken at its word.
    Hidden,
    /// When all is done.
    End,
}

/// What instances give when all is done, where that is what makes them ready.
pub(crate) const CONTEXTUALISED: &str = "contextualisation";

/// One node.
#[derive(Debug)]
pub(crate) struct Plot<'m> {
    pub(crate) machine: &'m Machine<'m>,
    pub(crate) acts: Vec<Act<'m>>,
    pub(crate) probes: &'m ProbeSpec,
    pub(crate) image: Option<&'m str>,
    /// Whether an instance without checks is ready only when all is done, as
    /// with provider `local`. Elsewhere it is as soon as it runs.
    pub(crate) is_ready_late: bool,
    /// When ports open, as far as somebody has asked.
    pub(crate) openings: RefCell<BTreeMap<u16, Option<Moment>>>,
}

impl Plot<'_> {
    /// Returns what the health checks look at, the ping and the SSH server aside.
    pub(crate) fn ready(&self) -> Vec<Give> {
        let ports = self.probes.ports.iter().copied();
        let mut ready: Vec<Give> = ports
            .filter(|port| *port != SSH_PORT)
            .map(Give::Port)
            .collect();
        ready.extend(
            self.probes
                .urls
                .iter()
                .map(|url| Give::Name(answer_of(url))),
        );
        let databases = self.probes.mysql_databases.iter();
        ready.extend(databases.map(|database| Give::Name(format!("database {}", database.name))));
        if ready.is_empty() && self.is_ready_late && self.probes.ports.is_empty() {
            ready.push(Give::Name(CONTEXTUALISED.to_owned()));
        }
        ready.sort();
        ready.dedup();
        ready
    }

    /// Says when a port opens; none where nothing on the machine tells of it.
    pub(crate) fn opening(&self, port: u16) -> Option<Moment> {
        let known = self.openings.borrow().get(&port).copied();
        known.unwrap_or_else(|| {
            let found = self.find_opening(port);
            self.openings.borrow_mut().insert(port, found);
            found
        })
    }

    fn find_opening(&self, port: u16) -> Option<Moment> {
        if port == SSH_PORT {
            return Some(Moment::Boot);
        }
        let known: Vec<&Service> = services::with_port(port).collect();
        let position = |is_opening: &dyn Fn(&Act<'_>) -> bool| {
            self.acts.iter().position(is_opening).map(Moment::After)
        };
        let starts = |act: &Act<'_>| {
            installed_by(act.command).next().is_none()
                && known
                    .iter()
                    .any(|service| service.is_started_by(act.command))
        };
        let opens = |act: &Act<'_>| {
            OPENERS.iter().any(|(program, verbs, opened)| {
                *opened == port
                    && act.command.program() == *program
                    && act.words.join(" ").contains(verbs)
            })
        };
        let names = |act: &Act<'_>| {
            act.named.is_empty()
                && act.demand.is_none()
                && !NOT_OPENING.contains(&act.command.program())
                && !call::is_prompt(act.command.program())
                && act.words.iter().any(|word| has_number(word, port))
        };
        let installs = |act: &Act<'_>| {
            known
                .iter()
                .any(|service| service.is_started_by(act.command))
        };
        let packages = &self.machine.packages;
        let by_package = || {
            let is_package = |package: &String| known.iter().any(|known| known.is_package(package));
            packages.iter().any(is_package).then_some(Moment::Boot)
        };
        position(&starts)
            .or_else(|| position(&opens))
            .or_else(|| position(&names))
            .or_else(|| position(&installs))
            .or_else(by_package)
            .or_else(|| self.mentions(port, &known).then_some(Moment::Hidden))
    }

    /// Says whether anything here has to do with a port.
    fn mentions(&self, port: u16, known: &[&Service]) -> bool {
        let mut leaves = self.machine.leaves.iter();
        self.probes.ports.contains(&port)
            || self.probes.urls.iter().any(|url| port_of(url) == port)
            || !self.probes.mysql_databases.is_empty() && port == 3306
            || self
                .image
                .is_some_and(|image| known.iter().any(|known| known.is_image(image)))
            || leaves.any(|leaf| {
                let text = leaf.text.content;
                let mut names = NAMES.iter();
                has_number(text, port)
                    || names.any(|(name, usual)| *usual == port && text.contains(name))
            })
    }

    /// Says when an object is made, as `database shop`; none where nothing is
    /// seen to make it.
    pub(crate) fn making(&self, object: &str) -> Option<Moment> {
        if object == CONTEXTUALISED {
            return Some(Moment::End);
        }
        let (kind, name) = object.split_once(' ')?;
        let makes = |act: &Act<'_>| {
            let line = act.words.join(" ").to_lowercase();
            let name = name.to_lowercase();
            let is_named = |prefix: &str| {
                let behind = line.split(prefix).skip(1);
                behind.into_iter().any(|rest| {
                    let rest = rest.trim_start_matches([' ', '`', '"', '\'']);
                    let tail = rest.strip_prefix(&name);
                    tail.is_some_and(|tail| {
                        !tail.starts_with(|one: char| {
                            one.is_alphanumeric() || one == '_' || one == '-'
                        })
                    })
                })
            };
            match kind {
                "volume" => act.command.program() == "gluster" && is_named("volume start"),
                "database" => {
                    let program = act.command.program();
                    let by_tool = program == "createdb" || program == "mysqladmin";
                    is_named("create database if not exists")
                        || is_named("create database")
                        || is_named("mysql_database=")
                        || is_named("postgres_db=")
                        || by_tool && act.words.contains(&name)
                }
                _ => false,
            }
        };
        self.acts.iter().position(makes).map(Moment::After)
    }

    /// Says when a file is written; none where nothing is seen to write it.
    pub(crate) fn writing(&self, path: &str) -> Option<Moment> {
        let is_it = |file: &str| file == path;
        if self
            .machine
            .files
            .iter()
            .any(|file| is_it(&normal_path(file.path)))
        {
            return Some(Moment::Boot);
        }
        let position = self
            .acts
            .iter()
            .position(|act| act.files.iter().any(|file| is_it(file)));
        position.map(Moment::After)
    }

    /// Returns the only file that is written here and that a URL with this path
    /// can mean: `/srv/www/token` for `/token`.
    pub(crate) fn served(&self, path: &str) -> Option<String> {
        let mut found: Vec<&String> = self
            .acts
            .iter()
            .flat_map(|act| &act.files)
            .filter(|file| file.ends_with(path))
            .collect();
        found.sort();
        found.dedup();
        match found[..] {
            [file] => Some(file.clone()),
            _ => None,
        }
    }
}

/// Returns a name for what a URL answers, without the address.
fn answer_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("answer to :{}{path}", port_of(url))
}

/// Returns the port of a URL.
fn port_of(url: &str) -> u16 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = host
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    port.unwrap_or(if scheme == "https" { 443 } else { 80 })
}

/// Says whether a text has a number, and not as a part of another one.
fn has_number(text: &str, number: u16) -> bool {
    let digits = number.to_string();
    text.match_indices(&digits).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + digits.len()..].chars().next();
        let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
        !is_digit(before) && !is_digit(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole() {
        assert!(has_number("-p 8080:80", 8080) && has_number("-p 8080:80", 80));
        assert!(!has_number("18080", 8080) && !has_number("80801", 8080));
    }

    #[test]
    fn urls_have_ports_and_answers() {
        assert_eq!(port_of("https://198.18.0.1/x"), 443);
        assert_eq!(
            answer_of("http://198.18.0.1:8080/x?y=1"),
            "answer to :8080/x"
        );
        assert_eq!(answer_of("http://198.18.0.1"), "answer to :80/");
    }
}
