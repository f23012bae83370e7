//! The names of the node: `hostname`, `fqdn` and `manage_etc_hosts`.

use std::fs;
use std::path::Path;

use zenekar_base::Value;

use crate::session::{Ending, Session};
use crate::values::{get, is_true, option_bool, text_of, truthy};
use crate::{HOSTS_BEGIN, HOSTS_END};

const HOST_NAME_FILE: &str = "/etc/hostname";
const HOSTS_FILE: &str = "/etc/hosts";
const TEMPLATE_FILE: &str = "/etc/cloud/templates/hosts.debian.tmpl";
/// The address that Debian gives to a machine's own name.
const OWN_ADDRESS: &str = "127.0.1.1";

/// The short and the full name of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    short: String,
    full: String,
}

/// Finds the names: those of the configuration, then the one of the provider.
fn names(config: &[(String, Value)], given: &str) -> Names {
    let before_dot = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let host_name = get(config, "hostname").map(text_of);
    if let Some(full) = get(config, "fqdn").map(text_of) {
        let short = host_name.unwrap_or_else(|| before_dot(&full));
        return Names { short, full };
    }
    match host_name {
        Some(full) if full.find('.').is_some_and(|at| at > 0) => Names {
            short: before_dot(&full),
            full,
        },
        Some(short) => Names {
            short,
            full: given.to_owned(),
        },
        None => Names {
            short: before_dot(given),
            full: given.to_owned(),
        },
    }
}

fn chosen(config: &[(String, Value)], names: &Names) -> String {
    let prefer_full = option_bool(config, "prefer_fqdn_over_hostname", false);
    if (prefer_full && !names.full.is_empty()) || names.short.is_empty() {
        names.full.clone()
    } else {
        names.short.clone()
    }
}

/// Sets the host name, if it is another one.
pub(super) fn set_name(session: &mut Session<'_>, config: &[(String, Value)]) {
    const MODULE: &str = "set_hostname";
    let asked = ["hostname", "fqdn", "prefer_fqdn_over_hostname"]
        .iter()
        .any(|key| get(config, key).is_some());
    let names = names(config, &session.target.host_name);
    let name = chosen(config, &names);
    if option_bool(config, "preserve_hostname", false) {
        session.note(MODULE, "", Ending::remark("the name stays as it is"));
        return;
    }
    if !session.target.can_administer {
        if asked {
            let message = "a name needs an own file system and root";
            session.note(MODULE, name, Ending::impossible(message));
        }
        return;
    }
    let old = session.place.read(HOST_NAME_FILE).unwrap_or_default();
    let new = with_host_name(&old, &name);
    let current = nix::unistd::gethostname().unwrap_or_default();
    if new == old && current == name.as_str() {
        if asked {
            session.note(MODULE, name, Ending::done());
        }
        return;
    }
    session.step(MODULE, name.clone(), |session| {
        if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter == '\0')
        {
            return Ending::failed(format!("`{name}` cannot be a host name"));
        }
        if let Err(message) = session.place.write(HOST_NAME_FILE, new.as_bytes(), 0o644) {
            return Ending::failed(message);
        }
        match nix::unistd::sethostname(&name) {
            Ok(()) => Ending::done(),
            // The file counts from the next start on.
            Err(cause) => Ending::remark(format!("the running system keeps its name: {cause}")),
        }
    });
}

/// Returns the text of `/etc/hostname` with another name; comments stay.
fn with_host_name(old: &str, name: &str) -> String {
    let mut new = String::new();
    let mut replaced = false;
    for line in old.lines() {
        let (head, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
        if head.trim().is_empty() {
            new.push_str(line);
        } else {
            replaced = true;
            new.push_str(name);
            new.push_str(comment);
        }
        new.push('\n');
    }
    if !replaced {
        new.push_str(name);
        new.push('\n');
    }
    new
}

/// Writes the node's own name into `/etc/hosts`.
pub(super) fn manage_hosts(session: &mut Session<'_>, config: &[(String, Value)]) {
    const MODULE: &str = "update_etc_hosts";
    let Some(value) = get(config, "manage_etc_hosts") else {
        return;
    };
    let word = text_of(value);
    let whole = truthy(value) && (is_true(value) || word == "template");
    if !whole && word != "localhost" {
        let ending = Ending::remark(format!("`{HOSTS_FILE}` stays as it is"));
        session.note(MODULE, "", ending);
        return;
    }
    let names = names(config, &session.target.host_name);
    session.step(MODULE, HOSTS_FILE, |session| {
        let old = session.place.read(HOSTS_FILE).unwrap_or_default();
        let new = if whole {
            let template = session.place.read(TEMPLATE_FILE);
            // First, so that the node's own name leads to the address that others use.
            kept(&old) + &rendered(template.as_deref(), &names)
        } else {
            match with_own_name(&old, &names) {
                Some(new) => new,
                None => return Ending::done(),
            }
        };
        session
            .place
            .write(HOSTS_FILE, new.as_bytes(), 0o644)
            .into()
    });
}

/// Returns what the provider wrote, which names the other nodes.
fn kept(old: &str) -> String {
    let mut block = String::new();
    let mut inside = false;
    for line in old.lines() {
        inside |= line == HOSTS_BEGIN;
        if inside {
            block.push_str(line);
            block.push('\n');
        }
        inside &= line != HOSTS_END;
    }
    if block.is_empty() {
        block
    } else {
        format!("{block}\n")
    }
}

/// Renders the template of the image, if it has one that is not more than names.
fn rendered(template: Option<&str>, names: &Names) -> String {
    template
        .and_then(|template| render(template, names))
        .unwrap_or_else(|| {
            format!(
                "# Written during contextualisation, because `manage_etc_hosts` is on.\n\
                 {OWN_ADDRESS} {} {}\n\
                 127.0.0.1 localhost\n\
                 \n\
                 ::1 localhost ip6-localhost ip6-loopback\n\
                 ff02::1 ip6-allnodes\n\
                 ff02::2 ip6-allrouters\n",
                names.full, names.short
            )
        })
}

/// Fills names into a template that has only names and comments.
fn render(template: &str, names: &Names) -> Option<String> {
    let body = match template.split_once('\n') {
        Some((first, body)) if first.starts_with("##") && first.contains("template") => body,
        _ => return None,
    };
    let mut text = String::new();
    let mut rest = body;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        let tag = &rest[at..];
        if let Some(comment) = tag.strip_prefix("{#") {
            let end = comment.find("#}")?;
            rest = &comment[end + 2..];
            rest = if comment[..end].ends_with('-') {
                rest.trim_start()
            } else {
                rest.strip_prefix('\n').unwrap_or(rest)
            };
        } else if let Some(expression) = tag.strip_prefix("{{") {
            let end = expression.find("}}")?;
            text.push_str(match expression[..end].trim() {
                "hostname" => &names.short,
                "fqdn" => &names.full,
                _ => return None,
            });
            rest = &expression[end + 2..];
        } else if tag.starts_with("{%") {
            return None;
        } else {
            text.push('{');
            rest = &tag[1..];
        }
    }
    text.push_str(rest);
    Some(text)
}

/// Adds the node's own name, or returns none if it is there.
fn with_own_name(old: &str, names: &Names) -> Option<String> {
    let mut own: Vec<Vec<String>> = Vec::new();
    let mut new = String::new();
    for line in old.lines() {
        let (head, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
        let words: Vec<&str> = head.split_whitespace().collect();
        match words.split_first() {
            Some((address, known)) if *address == OWN_ADDRESS => {
                let known: Vec<String> = known.iter().map(|&word| word.to_owned()).collect();
                if known.first() == Some(&names.full) && known[1..].contains(&names.short) {
                    return None;
                }
                own.push(known);
            }
            Some(_) => {
                new.push_str(&words.join("\t"));
                new.push_str(comment);
                new.push('\n');
            }
            None => {
                new.push_str(line);
                new.push('\n');
            }
        }
    }
    own.push(vec![names.full.clone(), names.short.clone()]);
    for known in own {
        new.push_str(OWN_ADDRESS);
        for name in known {
            new.push('\t');
            new.push_str(&name);
        }
        new.push('\n');
    }
    new.push('\n');
    Some(new)
}

/// Sets the time zone.
pub(super) fn time_zone(session: &mut Session<'_>, config: &[(String, Value)]) {
    const MODULE: &str = "timezone";
    let Some(zone) = get(config, MODULE)
        .map(text_of)
        .filter(|zone| !zone.is_empty())
    else {
        return;
    };
    if !session.target.can_administer {
        let message = "a time zone needs an own file system and root";
        session.note(MODULE, zone, Ending::impossible(message));
        return;
    }
    session.step(MODULE, zone.clone(), |session| {
        set_time_zone(session, &zone).into()
    });
}

fn set_time_zone(session: &Session<'_>, zone: &str) -> Result<(), String> {
    let place = &session.place;
    let source = format!("/usr/share/zoneinfo/{zone}");
    if zone.split('/').any(|name| name == "..") || !place.is_file(&source) {
        return Err(format!("there is no time zone `{zone}`"));
    }
    let zone = format!("{}\n", zone.trim_end());
    place.write("/etc/timezone", zone.as_bytes(), 0o644)?;
    let local: &Path = &place.of("/etc/localtime");
    let changed = if local.is_symlink() || !local.exists() {
        place.link(&source, "/etc/localtime")
    } else {
        fs::copy(place.of(&source), local).map(|_| ())
    };
    changed.map_err(|cause| format!("cannot change `/etc/localtime`: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Vec<(String, Value)> {
        match crate::config::read("test", text.as_bytes()).unwrap().value {
            Value::Map(entries) => entries,
            _ => Vec::new(),
        }
    }

    #[test]
    fn names_come_from_the_configuration_or_the_provider() {
        for (text, short, full) in [
            ("", "node-1", "node-1.cloud"),
            ("hostname: web", "web", "node-1.cloud"),
            ("hostname: web.example.org", "web", "web.example.org"),
            ("fqdn: a.example.org", "a", "a.example.org"),
            ("{fqdn: a.example.org, hostname: b}", "b", "a.example.org"),
        ] {
            let found = names(&config(text), "node-1.cloud");
            assert_eq!(
                (found.short.as_str(), found.full.as_str()),
                (short, full),
                "{text}"
            );
        }
        let preferring = config("{fqdn: a.example.org, prefer_fqdn_over_hostname: yes}");
        let found = names(&preferring, "node-1");
        assert_eq!(chosen(&preferring, &found), "a.example.org");
    }

    #[test]
    fn comments_of_the_host_name_file_stay() {
        assert_eq!(
            with_host_name("# mine\nold # x\n", "new"),
            "# mine\nnew# x\n"
        );
        assert_eq!(with_host_name("", "new"), "new\n");
    }

    #[test]
    fn templates_of_names_are_rendered() {
        let names = Names {
            short: "a".to_owned(),
            full: "a.b".to_owned(),
        };
        let template =
            "## template:jinja\n{# why\nso -#}\n# text\n127.0.1.1 {{fqdn}} {{ hostname }}\n";
        assert_eq!(
            render(template, &names).unwrap(),
            "# text\n127.0.1.1 a.b a\n"
        );
        assert_eq!(render("## template:jinja\n{% if x %}", &names), None);
        assert!(rendered(None, &names).contains("127.0.1.1 a.b a\n"));
    }

    #[test]
    fn lines_of_the_provider_survive() {
        let old = format!("127.0.0.1 x\n{HOSTS_BEGIN}\n10.1.0.2 db\n{HOSTS_END}\nrest\n");
        assert_eq!(
            kept(&old),
            format!("{HOSTS_BEGIN}\n10.1.0.2 db\n{HOSTS_END}\n\n")
        );
        assert_eq!(kept("127.0.0.1 localhost\n"), "");
    }
}
