//! What is fetched from elsewhere: `ZK0713`, `ZK0714`.

use zenekar_diagnostics::codes::lint as codes;
use zenekar_diagnostics::{Diagnostic, Severity, Span};
use zenekar_document::View;

use crate::landscape::{Landscape, Subject};
use crate::machine::{Machine, Script, has_ending};
use crate::report::Report;
use crate::shell::{Command, Link, Where, base_name};
use crate::text::Text;

use super::lines_of;

/// Places that one finding lists besides its own.
const LISTED_MAX: usize = 8;

/// Programs that compare checksums or signatures.
const CHECKERS: &[&str] = &[
    "sha256sum",
    "sha512sum",
    "sha1sum",
    "md5sum",
    "shasum",
    "gpg",
    "gpgv",
    "cosign",
    "minisign",
    "b2sum",
];

/// Endings of what is unpacked, installed or run.
const ARCHIVES: &[&str] = &[
    ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip", ".deb", ".rpm", ".jar", ".war", ".bin",
    ".run", ".sh", ".py", ".tar",
];

const HTTP_HELP: &str = "use HTTPS, and leave the check of certificates on";

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        for (script, command) in subject.machine.commands() {
            check_transport(script, command, report);
            check_moving(script, command, report);
        }
        check_pipes(&subject.machine, report);
        check_sums(&subject.machine, report);
        check_packages(&subject.machine, report);
        check_compositions(&subject.machine, report);
        check_sections(subject, report);
    }
}

fn is_fetcher(command: &Command) -> bool {
    matches!(
        command.program(),
        "wget" | "curl" | "aria2c" | "axel" | "http" | "fetch"
    )
}

/// Says whether a command fetches something to use it, rather than to send or to ask.
fn is_download(command: &Command) -> bool {
    let sends = command.arguments().iter().any(|word| {
        matches!(
            word.text.as_str(),
            "POST"
                | "PUT"
                | "DELETE"
                | "-d"
                | "--data"
                | "--post-data"
                | "-I"
                | "--head"
                | "--spider"
                | "-T"
        ) || word.text.starts_with("-XP")
            || word.text.starts_with("--post-")
    });
    is_fetcher(command) && !sends
}

/// Returns the addresses that a command is given.
fn addresses(command: &Command) -> impl Iterator<Item = &crate::shell::Word> {
    command
        .arguments()
        .iter()
        .filter(|word| word.text.contains("://"))
}

/// Says whether an address is of the infrastructure itself, or cannot be known.
fn is_own(address: &str) -> bool {
    let host = address.split("://").nth(1).unwrap_or("");
    let host = host.split(['/', ':']).next().unwrap_or("");
    host.is_empty()
        || host.starts_with("{{")
        || host.starts_with('$')
        || host.starts_with('`')
        || host.starts_with("127.")
        || host.starts_with("10.")
        || host.starts_with("192.168.")
        || host.starts_with('[')
        || matches!(host, "localhost" | "169.254.169.254" | "0.0.0.0")
        || !host.contains('.')
}

fn check_transport(script: &Script<'_>, command: &Command, report: &mut Report) {
    let program = command.program();
    let is_source = matches!(program, "git" | "pip" | "pip3" | "svn");
    if is_download(command) || is_source {
        for word in addresses(command) {
            if word.text.starts_with("http://") && !is_own(&word.text) {
                report.warn(
                    &codes::UNSAFE_DOWNLOAD,
                    script.text.span(word.range.clone()),
                    "this is fetched over plain HTTP, and can be changed on its way",
                    HTTP_HELP,
                );
            }
        }
    }
    let unchecked = command.arguments().iter().find(|word| {
        let option = word.text.as_str();
        match program {
            "wget" => option == "--no-check-certificate",
            "curl" => {
                matches!(option, "--insecure" | "-k")
                    || option.starts_with('-')
                        && !option.starts_with("--")
                        && option.contains('k')
                        && option.len() <= 6
            }
            "apt-get" | "apt" => matches!(option, "--allow-unauthenticated" | "--force-yes"),
            "yum" | "dnf" => option == "--nogpgcheck",
            "pip" | "pip3" => option == "--trusted-host",
            "git" => option == "http.sslVerify=false",
            _ => option.contains("[trusted=yes]"),
        }
    });
    let to_own = addresses(command)
        .next()
        .is_some_and(|word| is_own(&word.text) && !word.text.contains("://$"));
    if let Some(word) = unchecked.filter(|_| !to_own) {
        report.warn(
            &codes::UNSAFE_DOWNLOAD,
            script.text.span(word.range.clone()),
            "nobody checks where this comes from",
            HTTP_HELP,
        );
    }
}

/// Looks for what goes straight into a shell.
fn check_pipes(machine: &Machine<'_>, report: &mut Report) {
    for script in &machine.scripts {
        let commands = &script.parsed.commands;
        for (position, command) in commands.iter().enumerate() {
            if !is_download(command) {
                continue;
            }
            let into_pipe = command.after == Link::Pipe
                && commands[position + 1..]
                    .iter()
                    .filter(|next| next.place == command.place)
                    .take_while(|next| next.before == Link::Pipe)
                    .any(Command::is_shell_on_pipe);
            // `bash <(curl …)` and `sh -c "$(curl …)"`: the shell stands in front.
            let into_shell = command.place == Where::Substitution
                && commands[..position].iter().rev().take(2).any(|outer| {
                    outer.range.start <= command.range.start
                        && outer.range.end >= command.range.end
                        && matches!(outer.program(), "sh" | "bash" | "eval" | "source" | ".")
                });
            if into_pipe || into_shell {
                report.warn(
                    &codes::UNPINNED_DOWNLOAD,
                    script.place(command),
                    "whatever is fetched here is run at once",
                    "fetch a version into a file, compare its checksum, and then run it",
                );
            }
        }
    }
}

/// Looks for branches and `latest` in addresses.
fn check_moving(script: &Script<'_>, command: &Command, report: &mut Report) {
    let is_container = matches!(command.program(), "docker" | "podman" | "nerdctl");
    if is_download(command) {
        for word in addresses(command).filter(|word| !is_own(&word.text)) {
            if let Some(part) = moving_part(&word.text) {
                report.warn(
                    &codes::UNPINNED_DOWNLOAD,
                    script.text.span(word.range.clone()),
                    format!("`{part}` is another thing tomorrow"),
                    "name a version or a commit",
                );
            }
        }
    } else if is_container
        && let Some(image) = image_of(command)
        && is_moving_image(&image.text)
    {
        report.say(
            Severity::Note,
            &codes::UNPINNED_DOWNLOAD,
            script.text.span(image.range.clone()),
            format!("the image `{}` is another one tomorrow", image.text),
            "name a version, or better a digest",
        );
    } else if command.program() == "git"
        && command.has_argument("clone")
        && !command.arguments().iter().any(is_branch)
    {
        let is_checked_out = script.parsed.commands.iter().any(|other| {
            other.program() == "git"
                && other.range.start > command.range.start
                && ["checkout", "reset"]
                    .iter()
                    .any(|verb| other.has_argument(verb))
        });
        if !is_checked_out {
            report.say(
                Severity::Note,
                &codes::UNPINNED_DOWNLOAD,
                script.place(command),
                "the newest state of the repository is used, whatever that is",
                "check out a tag or a commit (`--branch v1.2`)",
            );
        }
    }
}

fn is_branch(word: &crate::shell::Word) -> bool {
    matches!(word.text.as_str(), "-b" | "--branch") || word.text.starts_with("--branch=")
}

/// Returns the part of an address that names something that moves.
fn moving_part(address: &str) -> Option<&str> {
    let path = address.split("://").nth(1)?;
    let parts = path.split(['/', '?', '=']).skip(1);
    for part in parts {
        let is_moving = matches!(
            part,
            "master" | "main" | "devel" | "develop" | "latest" | "HEAD" | "trunk" | "nightly"
        ) || part.split(['-', '_', '.']).any(|word| word == "latest")
            || part
                .strip_suffix(".tar.gz")
                .or_else(|| part.strip_suffix(".zip"))
                .is_some_and(|stem| matches!(stem, "master" | "main"));
        if is_moving {
            return Some(part);
        }
    }
    None
}

/// Returns the image that `docker run` or `docker pull` is given.
fn image_of(command: &Command) -> Option<&crate::shell::Word> {
    let arguments = command.arguments();
    let verb = arguments
        .iter()
        .position(|word| matches!(word.text.as_str(), "run" | "pull" | "create"))?;
    let mut at = verb + 1;
    while let Some(word) = arguments.get(at) {
        if !word.text.starts_with('-') {
            return Some(word);
        }
        let takes_value = !word.text.contains('=')
            && !matches!(
                word.text.as_str(),
                "-d" | "-it"
                    | "-i"
                    | "-t"
                    | "-ti"
                    | "-dit"
                    | "-itd"
                    | "-td"
                    | "--rm"
                    | "--detach"
                    | "--privileged"
                    | "--init"
                    | "--tty"
                    | "--interactive"
                    | "-q"
                    | "--quiet"
                    | "-P"
            );
        at += 1 + usize::from(takes_value);
    }
    None
}

fn is_moving_image(image: &str) -> bool {
    if image.contains(['$', '@']) || image.contains("{{") {
        return false;
    }
    match base_name(image).split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    }
}

/// Looks for archives that nobody compares with a checksum: one finding for each script.
fn check_sums(machine: &Machine<'_>, report: &mut Report) {
    let checks = machine.commands().any(|(_, command)| {
        CHECKERS.contains(&command.program())
            && !command.has_argument("--dearmor")
            && !command.has_argument("--import")
    });
    if checks {
        return;
    }
    let mut places: Vec<Span> = Vec::new();
    for (script, command) in machine.commands() {
        if !is_download(command)
            || command.after == Link::Pipe
            || command.place == Where::Substitution
        {
            continue;
        }
        let archive = addresses(command).find(|word| {
            let path = word.text.split(['?', '#']).next().unwrap_or("");
            !is_own(&word.text)
                && moving_part(&word.text).is_none()
                && ARCHIVES.iter().any(|suffix| path.ends_with(suffix))
        });
        places.extend(archive.map(|word| script.text.span(word.range.clone())));
    }
    let Some((first, rest)) = places.split_first() else {
        return;
    };
    let message = match rest.len() {
        0 => "this is used without comparing a checksum".to_owned(),
        more => format!("this and {more} more are used without comparing a checksum"),
    };
    let mut diagnostic = Diagnostic::note(&codes::UNPINNED_DOWNLOAD, message)
        .at(*first)
        .help("compare each with a checksum that is in the descriptor: `echo \"SUM  FILE\" | sha256sum --check`");
    for place in rest.iter().take(LISTED_MAX) {
        diagnostic = diagnostic.also(*place, "");
    }
    report.add(diagnostic);
}

/// Looks for packages of languages without a version.
fn check_packages(machine: &Machine<'_>, report: &mut Report) {
    for (script, command) in machine.commands() {
        let is_pip =
            matches!(command.program(), "pip" | "pip2" | "pip3") && command.has_argument("install");
        let is_conda =
            matches!(command.program(), "conda" | "mamba") && command.has_argument("install");
        let is_npm = command.program() == "npm" && command.has_argument("install");
        let by_file = ["-r", "--requirement", "-e", "--editable", "-c"]
            .iter()
            .any(|option| command.has_argument(option));
        if !(is_pip || is_npm || is_conda) || by_file {
            continue;
        }
        let unpinned: Vec<&str> = command
            .operands()
            .map(|word| word.text.as_str())
            .filter(|name| {
                *name != "install"
                    && !name.contains(['=', '$', '/', '<', '@', '.'])
                    && !name.contains("{{")
            })
            .filter(|name| {
                !(command.has_argument("--upgrade")
                    && matches!(*name, "pip" | "setuptools" | "wheel"))
            })
            .collect();
        if !unpinned.is_empty() {
            report.say(
                Severity::Note,
                &codes::UNPINNED_DOWNLOAD,
                script.place(command),
                format!(
                    "the newest version of `{}` is used, whatever that is",
                    unpinned.join("`, `")
                ),
                "name the version (`name==1.2`)",
            );
        }
    }
}

/// Looks at images of containers, and at addresses of configuration management.
fn check_sections(subject: &Subject<'_>, report: &mut Report) {
    let section = subject.section.view;
    if let Some(resource) = section.get("resource") {
        let image = resource
            .get("image")
            .and_then(|image| Text::of(image, None));
        let tag = resource.get("tag").and_then(View::as_str);
        let place = resource
            .get("tag")
            .or_else(|| resource.get("image"))
            .map(View::definition_span);
        let is_moving = match (subject.provider, &image, tag) {
            ("docker", Some(_), Some(tag)) => tag == "latest",
            ("azure_aci", Some(image), _) => is_moving_image(image.content),
            _ => false,
        };
        if let (Some(place), Some(image), true) = (place, image, is_moving) {
            report.say(
                Severity::Note,
                &codes::UNPINNED_DOWNLOAD,
                place,
                format!("the image `{}` is another one tomorrow", image.content),
                "name a version",
            );
        }
        check_address(resource.get("origin"), report);
    }
    let manifests = section
        .get("config_management")
        .and_then(|section| section.get("manifests"));
    for manifest in manifests.into_iter().flat_map(View::items) {
        check_address(Some(manifest), report);
    }
}

/// Judges an address that stands alone.
fn check_address(view: Option<View<'_>>, report: &mut Report) {
    let Some(text) = view.and_then(|view| Text::of(view, None)) else {
        return;
    };
    if text.content.starts_with("http://") && !is_own(text.content) {
        report.warn(
            &codes::UNSAFE_DOWNLOAD,
            text.whole(),
            "this is fetched over plain HTTP, and can be changed on its way",
            HTTP_HELP,
        );
    }
    if let Some(part) = moving_part(text.content).filter(|_| text.content.starts_with("http")) {
        report.warn(
            &codes::UNPINNED_DOWNLOAD,
            text.whole(),
            format!("`{part}` is another thing tomorrow"),
            "name a version or a commit",
        );
    }
}

/// Looks at the images that files for Docker's composer name.
fn check_compositions(machine: &Machine<'_>, report: &mut Report) {
    for file in &machine.files {
        let name = base_name(file.path);
        if !name.contains("compose") || !(has_ending(name, "yml") || has_ending(name, "yaml")) {
            continue;
        }
        for (offset, line) in lines_of(file.content.content) {
            let trimmed = line.trim();
            let Some(image) = trimmed.strip_prefix("image:") else {
                continue;
            };
            let image = image.trim().trim_matches(['"', '\'']);
            if !image.is_empty() && is_moving_image(image) {
                let start = offset + (line.len() - line.trim_start().len());
                report.say(
                    Severity::Note,
                    &codes::UNPINNED_DOWNLOAD,
                    file.content.span(start..start + trimmed.len()),
                    format!("the image `{image}` is another one tomorrow"),
                    "name a version, or better a digest",
                );
            }
        }
    }
}
