//! `apt`: where packages come from.

use std::path::Path;
use std::process::Command;

use zenekar_base::Value;

use super::packages::Packages;
use super::template;
use crate::decode;
use crate::session::{Ending, Session};
use crate::values::{as_list, as_map, get, kind_of, option_bool, text_of, truthy};

const MODULE: &str = "apt_configure";
const PROXY_FILE: &str = "/etc/apt/apt.conf.d/90cloud-init-aptproxy";
const CONF_FILE: &str = "/etc/apt/apt.conf.d/94cloud-init-config";
/// What is taken for the place of packages, if nothing else is said.
const USUAL_MIRROR: &str = "https://deb.debian.org/debian";
const USUAL_SECURITY: &str = "https://deb.debian.org/debian-security";

/// Keys of `apt` that are carried out below.
const SERVED: &[&str] = &[
    "conf",
    "debconf_selections",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "preserve_sources_list",
    "proxy",
    "sources",
];

/// Names of the time before `apt`, and what they are called there.
const OLD_NAMES: &[(&str, &str)] = &[
    ("apt_custom_sources_list", "sources_list"),
    ("apt_ftp_proxy", "ftp_proxy"),
    ("apt_http_proxy", "http_proxy"),
    ("apt_https_proxy", "https_proxy"),
    ("apt_mirror", "primary"),
    ("apt_mirror_search", "primary"),
    ("apt_mirror_search_dns", "primary"),
    ("apt_preserve_sources_list", "preserve_sources_list"),
    ("apt_proxy", "proxy"),
    ("apt_sources", "sources"),
];

/// Configures apt.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)], packages: &mut Packages) {
    let settings = match settings_of(config) {
        Ok(settings) if settings.is_empty() => return,
        Ok(settings) => settings,
        Err(message) => {
            session.note(MODULE, "", Ending::failed(message));
            return;
        }
    };
    if !session.target.can_administer {
        let message = "packages need an own file system and root";
        session.note(MODULE, "", Ending::impossible(message));
        return;
    }
    for (key, value) in &settings {
        let rewrites = key == "preserve_sources_list" && !truthy(value);
        if rewrites || !SERVED.contains(&key.as_str()) {
            let message = "the places of packages that the machine has stay as they are";
            session.note(MODULE, key.clone(), Ending::impossible(message));
        }
    }
    debconf(session, &settings);
    proxies(session, &settings);
    sources(session, &settings, packages);
}

fn settings_of(config: &[(String, Value)]) -> Result<Vec<(String, Value)>, String> {
    let mut settings = match get(config, "apt") {
        None => Vec::new(),
        Some(Value::Map(settings)) => settings.clone(),
        Some(other) => return Err(format!("`apt` is {}", kind_of(other))),
    };
    let new_form = get(config, "apt").is_some();
    for (old, new) in OLD_NAMES {
        // The new form counts, if both are given.
        if let Some(value) = get(config, old).filter(|value| truthy(value) && !new_form) {
            settings.push(((*new).to_owned(), value.clone()));
        }
    }
    Ok(settings)
}

fn debconf(session: &mut Session<'_>, settings: &[(String, Value)]) {
    let Some(sets) = get(settings, "debconf_selections").and_then(as_map) else {
        return;
    };
    let mut sets: Vec<_> = sets.iter().collect();
    sets.sort_by(|one, two| one.0.cmp(&two.0));
    let mut input = sets
        .iter()
        .map(|(_, text)| text_of(text))
        .collect::<Vec<_>>()
        .join("\n");
    input.push('\n');
    session.step(MODULE, "debconf_selections", |session| {
        session.run_with_input(
            &mut Command::new("debconf-set-selections"),
            input.as_bytes(),
        )
    });
}

fn proxies(session: &mut Session<'_>, settings: &[(String, Value)]) {
    let text = |key: &str| {
        get(settings, key)
            .filter(|value| truthy(value))
            .map(text_of)
    };
    let lines: Vec<String> = [
        ("proxy", "http"),
        ("http_proxy", "http"),
        ("ftp_proxy", "ftp"),
        ("https_proxy", "https"),
    ]
    .into_iter()
    .filter_map(|(key, kind)| {
        text(key).map(|proxy| format!("Acquire::{kind}::Proxy \"{proxy}\";\n"))
    })
    .collect();
    let conf = text("conf");
    for (file, content) in [
        (
            PROXY_FILE,
            Some(lines.concat()).filter(|text| !text.is_empty()),
        ),
        (CONF_FILE, conf),
    ] {
        match content {
            Some(content) => {
                session.step(MODULE, file, |session| {
                    session.place.write(file, content.as_bytes(), 0o644).into()
                });
            }
            // What an earlier contextualisation wrote no longer counts.
            None => drop(std::fs::remove_file(session.place.of(file))),
        }
    }
}

fn sources(session: &mut Session<'_>, settings: &[(String, Value)], packages: &mut Packages) {
    let entries: Vec<(String, Value)> = match get(settings, "sources") {
        None => return,
        Some(Value::Map(entries)) => entries.clone(),
        Some(Value::List(entries)) => entries
            .iter()
            .map(|entry| ("cloud_config_sources.list".to_owned(), entry.clone()))
            .collect(),
        Some(other) => {
            let message = format!("`sources` is {}", kind_of(other));
            session.note(MODULE, "sources", Ending::failed(message));
            return;
        }
    };
    let release = release(session);
    let mirror = mirror(settings);
    let names = [
        ("RELEASE", release.as_str()),
        ("MIRROR", mirror.as_str()),
        ("PRIMARY", mirror.as_str()),
        ("SECURITY", USUAL_SECURITY),
    ];
    for (name, entry) in &entries {
        let entry = as_map(entry).unwrap_or_default();
        let file = get(entry, "filename").map_or_else(|| name.clone(), text_of);
        let done = session.step(MODULE, format!("source {name}"), |session| {
            add_source(session, &file, entry, &names)
        });
        if !done {
            break;
        }
    }
    packages.update(session, MODULE);
}

fn mirror(settings: &[(String, Value)]) -> String {
    get(settings, "primary")
        .and_then(as_list)
        .and_then(|mirrors| get(as_map(mirrors.first()?)?, "uri"))
        .map_or_else(|| USUAL_MIRROR.to_owned(), text_of)
}

/// Returns the code name of the release, as the node itself says it.
fn release(session: &Session<'_>) -> String {
    let text = session.place.read("/etc/os-release").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_default()
}

fn add_source(
    session: &Session<'_>,
    file: &str,
    entry: &[(String, Value)],
    names: &[(&str, &str)],
) -> Ending {
    let place = &session.place;
    let source = get(entry, "source").map(text_of);
    let own_key = source
        .as_ref()
        .is_some_and(|source| source.contains("$KEY_FILE"));
    let mut names: Vec<(&str, &str)> = names.to_vec();
    let key_file = format!(
        "/etc/apt/{}/{}.gpg",
        if own_key {
            "cloud-init.gpg.d"
        } else {
            "trusted.gpg.d"
        },
        Path::new(file).file_stem().unwrap_or_default().display()
    );
    if let Some(key) = get(entry, "key").map(text_of) {
        let bytes = match unarmoured(&key) {
            Ok(bytes) => bytes,
            Err(message) => return Ending::failed(message),
        };
        if let Err(message) = place.write(&key_file, &bytes, 0o644) {
            return Ending::failed(message);
        }
        names.push(("KEY_FILE", &key_file));
    } else if get(entry, "keyid").is_some() {
        return Ending::failed("keys are not fetched from other machines; give `key`");
    }
    let Some(source) = source else {
        return Ending::done();
    };
    let line = match template::render(&source, &names) {
        Ok(line) => line,
        Err(message) => return Ending::failed(message),
    };
    let is_repository = line.split_once(':').is_some_and(|(kind, rest)| {
        !kind.is_empty()
            && kind
                .chars()
                .all(|letter| letter.is_alphanumeric() || "_-".contains(letter))
            && rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    });
    if is_repository {
        let mut command = Command::new("add-apt-repository");
        return session.run(command.args(["--no-update", &line]));
    }
    let mut path = if file.starts_with('/') {
        file.to_owned()
    } else {
        format!("/etc/apt/sources.list.d/{file}")
    };
    if Path::new(&path)
        .extension()
        .is_none_or(|ending| ending != "list")
    {
        path.push_str(".list");
    }
    let text = format!("{line}\n");
    // A repeated contextualisation must not repeat the line.
    let there = place.read(&path).unwrap_or_default();
    if !option_bool(entry, "append", true) {
        place.write(&path, text.as_bytes(), 0o644).into()
    } else if there.contains(&text) && session.target.revision > 0 {
        Ending::done()
    } else {
        place.append(&path, text.as_bytes(), 0o644).into()
    }
}

/// Takes the armour of a public key off.
fn unarmoured(key: &str) -> Result<Vec<u8>, String> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let mut lines = key
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != BEGIN)
        .skip(1)
        // Headers end at an empty line; some tools leave both out.
        .skip_while(|line| line.is_empty() || line.contains(": "))
        .peekable();
    if lines.peek().is_none() {
        return Err("the key is no armoured public key".to_owned());
    }
    let body: String = lines
        .take_while(|line| !line.starts_with("-----END") && !line.starts_with('='))
        .collect();
    decode::base64_lenient(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armour_is_taken_off() {
        let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\naGVs\nbG8=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(unarmoured(key).unwrap(), b"hello");
        assert!(unarmoured("hello").is_err());
    }

    #[test]
    fn old_names_count_where_there_are_no_new_ones() {
        let text = |text: &str| Value::String(text.to_owned());
        let old = vec![("apt_proxy".to_owned(), text("http://p:1"))];
        assert_eq!(
            settings_of(&old).unwrap(),
            [("proxy".to_owned(), text("http://p:1"))]
        );
        let both = vec![old[0].clone(), ("apt".to_owned(), Value::Map(Vec::new()))];
        assert_eq!(settings_of(&both).unwrap(), []);
    }
}
