//! What words of commands stand for: variables, contents of files, host names.

use std::collections::BTreeMap;

use zenekar_lint::machine::File;

use crate::stage::{Host, addresses_in};

/// Bytes of a value that is kept: nothing longer is an address, a URL or a list of either.
const VALUE_BYTES_MAX: usize = 4_096;

/// Variables, files and names that are kept of one machine.
const VALUES_MAX: usize = 10_000;

/// An instance that a text names, perhaps with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
    /// Where the name of the host begins, and where it ends, the port included.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What is known on a machine at some moment of its setup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    variables: BTreeMap<String, String>,
    /// Files with one line, by path.
    files: BTreeMap<String, String>,
    /// Host names of other instances.
    names: BTreeMap<String, Host>,
}

impl Knowledge {
    /// Takes in a file that is there from the start.
    pub(crate) fn read_file(&mut self, file: &File<'_>) {
        let content = file.content.content;
        if is_hosts_file(file.path) {
            self.read_hosts(content);
        }
        self.read_content(file.path, content);
    }

    /// Takes in what stands in a file.
    pub(crate) fn read_content(&mut self, path: &str, content: &str) {
        let line = content.trim();
        let is_kept = line.len() <= VALUE_BYTES_MAX && !line.contains('\n');
        if is_kept && self.files.len() < VALUES_MAX {
            self.files.insert(normal_path(path), line.to_owned());
        }
    }

    /// Takes in lines of `/etc/hosts`.
    pub(crate) fn read_hosts(&mut self, content: &str) {
        for line in content.lines() {
            let mut fields = line.split_whitespace();
            let address = fields.next().unwrap_or_default();
            if let [(host, 0, end)] = addresses_in(address)[..]
                && end == address.len()
            {
                for name in fields.take_while(|name| !name.starts_with('#')) {
                    if self.names.len() < VALUES_MAX {
                        self.names.insert(name.to_owned(), host);
                    }
                }
            }
        }
    }

    /// Takes in `NAME=value`, the value as it is written.
    pub(crate) fn assign(&mut self, assignment: &str) {
        if let Some((name, value)) = assignment.split_once('=') {
            let value = self.expand(value);
            // What a command prints is not known, whatever it is given.
            if without_substitutions(&value) != value {
                self.variables.remove(name);
                return;
            }
            if self.variables.len() < VALUES_MAX && value.len() <= VALUE_BYTES_MAX {
                self.variables.insert(name.to_owned(), value);
            }
        }
    }

    /// Puts what is known in the place of variables and of `$(cat FILE)`;
    /// what is not known stays as it is.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['$', '`']) {
            if expanded.len() > VALUE_BYTES_MAX {
                break;
            }
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            let (length, value) = self.reference(rest);
            match value {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        expanded.push_str(rest);
        expanded
    }

    /// Reads what a text that starts with `$` or a backtick begins with: its
    /// length, and what it stands for.
    fn reference(&self, text: &str) -> (usize, Option<&str>) {
        if let Some(inner) = text.strip_prefix("$(") {
            let close = inner
                .find(')')
                .filter(|close| !inner[..*close].contains('('));
            return match close {
                Some(close) => (close + 3, self.output_of(&inner[..close])),
                None => (2, None),
            };
        }
        if let Some(inner) = text.strip_prefix('`') {
            return match inner.find('`') {
                Some(close) => (close + 2, self.output_of(&inner[..close])),
                None => (1, None),
            };
        }
        let (open, inner) = match text.strip_prefix("${") {
            Some(inner) => (2, inner),
            None => (1, &text[1..]),
        };
        let length = inner
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        let value = self.variables.get(&inner[..length]).map(String::as_str);
        if open == 1 {
            return (1 + length, value);
        }
        // `${NAME}`, or `${NAME:-other}` of which the name counts.
        match inner.find('}') {
            Some(close) if close == length || inner[length..].starts_with(":-") => {
                (close + 3, value)
            }
            Some(close) => (close + 3, None),
            None => (2, None),
        }
    }

    /// Returns what a command prints that prints a file.
    fn output_of(&self, command: &str) -> Option<&str> {
        let command = command.trim();
        let path = command
            .strip_prefix("cat ")
            .or_else(|| command.strip_prefix('<'))?
            .trim()
            .trim_matches(['"', '\'']);
        self.files.get(&normal_path(path)).map(String::as_str)
    }

    /// Finds the instances that a text names, by address or by host name, in
    /// the order of the text.
    pub(crate) fn hosts_in(&self, text: &str) -> Vec<Named> {
        let mut found: Vec<(Host, usize, usize)> = addresses_in(text);
        if !self.names.is_empty() {
            let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
            let mut start = 0;
            for word in text.split_inclusive(|letter| !is_part(letter)) {
                let name = word.trim_end_matches(|letter| !is_part(letter));
                if let Some(host) = self.names.get(name) {
                    found.push((*host, start, start + name.len()));
                }
                start += word.len();
            }
            found.sort_by_key(|(_, start, _)| *start);
        }
        found
            .into_iter()
            .map(|(host, start, end)| {
                let port = port_behind(&text[end..]);
                let length = port.map_or(0, |port| 1 + port.to_string().len());
                Named {
                    host,
                    port,
                    start,
                    end: end + length,
                }
            })
            .collect()
    }
}

/// Returns a text without `$( … )` and backticks, which are commands of their own.
pub(crate) fn without_substitutions(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut depth = 0usize;
    let mut is_quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '`' => is_quoted = !is_quoted,
            '$' if letters.peek() == Some(&'(') => {
                letters.next();
                depth += 1;
            }
            '(' if depth > 0 => depth += 1,
            ')' if depth > 0 => depth -= 1,
            other if depth == 0 && !is_quoted => kept.push(other),
            _ => {}
        }
    }
    kept
}

/// Reads `:PORT` at the beginning of a text.
fn port_behind(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    digits[..length].parse().ok().filter(|port| *port > 0)
}

/// Says whether a file names hosts.
pub(crate) fn is_hosts_file(path: &str) -> bool {
    normal_path(path) == "/etc/hosts" || path.starts_with("/etc/cloud/templates/hosts.")
}

/// Returns a path from the root: commands at boot run there.
pub(crate) fn normal_path(path: &str) -> String {
    format!("/{}", path.trim_start_matches("./").trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(node: usize) -> Host {
        Host { node, instance: 0 }
    }

    #[test]
    fn variables_and_files_are_followed() {
        let mut known = Knowledge::default();
        known.read_content("/etc/master", "198.18.0.2\n");
        known.assign("MASTER=$(cat etc/master)");
        known.assign("URL=http://${MASTER}:80/");
        for text in [
            "$URL",
            "${URL}",
            "${URL:-none}",
            "http://$(cat /etc/master):80/",
            "http://`cat /etc/master`:80/",
        ] {
            assert_eq!(known.expand(text), "http://198.18.0.2:80/", "{text}");
        }
        for text in [
            "$OTHER",
            "${OTHER}x",
            "$(date)",
            "${MASTER#a}",
            "$",
            "`x",
            "$(",
        ] {
            assert_eq!(known.expand(text), text);
        }
    }

    #[test]
    fn host_names_stand_for_their_addresses() {
        let mut known = Knowledge::default();
        known.read_hosts("127.0.0.1 localhost\n198.18.0.2 master the-master # no\n");
        let named = known.hosts_in("http://master:7077/master-x");
        assert_eq!(named.len(), 1);
        assert_eq!((named[0].host, named[0].port), (host(1), Some(7077)));
        assert!(known.hosts_in("no localhost masters").is_empty());
        let two = known.hosts_in("the-master,198.18.0.4:99999");
        assert_eq!(two.len(), 2);
        assert_eq!((two[1].host, two[1].port), (host(2), None));
    }

    #[test]
    fn what_commands_print_is_not_known() {
        assert_eq!(without_substitutions("a$(b $(c) (d))e`f`g$h)"), "aeg$h)");
        let mut known = Knowledge::default();
        known.assign("A=198.18.0.2");
        known.assign("A=$(redis-cli -h 198.18.0.2 get a)");
        assert_eq!(known.expand("$A"), "$A");
    }

    #[test]
    fn paths_are_from_the_root() {
        assert_eq!(normal_path("./etc/x"), "/etc/x");
        assert_eq!(normal_path("etc/x"), "/etc/x");
        assert!(is_hosts_file("/etc/hosts"));
    }
}
