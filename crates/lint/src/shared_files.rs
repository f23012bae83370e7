//! Files that several instances can edit.

use crate::machine::{Machine, Script, has_ending};
use crate::shell::{Command, RedirectKind};

/// File systems that several machines share.
const SHARED_TYPES: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "glusterfs",
    "ceph",
    "lustre",
    "beegfs",
    "efs",
];

/// Returns the file that a command changes and that was there before.
pub fn edited_file(command: &Command) -> Option<String> {
    let appended = command
        .redirects
        .iter()
        .find(|redirect| matches!(redirect.kind, RedirectKind::Append | RedirectKind::Write))
        .map(|redirect| redirect.target.text.clone());
    let by_program = match command.program() {
        "sed" | "perl" => command
            .arguments()
            .iter()
            .any(|word| {
                word.text.starts_with("-i") || word.text == "--in-place" || word.text == "-pi"
            })
            .then(|| command.operands().last().map(|word| word.text.clone()))
            .flatten(),
        // A copy that goes to another machine.
        "scp" | "rsync" => command
            .operands()
            .last()
            .filter(|_| command.operands().count() > 1)
            .and_then(|target| target.text.split_once(':'))
            .map(|(_, path)| path.to_owned())
            .filter(|path| !path.is_empty() && !path.ends_with('/') && !path.contains('$')),
        "tee" => command
            .arguments()
            .iter()
            .any(|word| matches!(word.text.as_str(), "-a" | "--append"))
            .then(|| command.operands().next().map(|word| word.text.clone()))
            .flatten(),
        _ => None,
    };
    appended
        .or(by_program)
        .filter(|file| !file.starts_with("/dev/") && !has_ending(file, "log"))
}

/// Returns the folders at which shared file systems are mounted.
pub fn shared_mounts(machine: &Machine<'_>) -> Vec<String> {
    let mut mounts = Vec::new();
    for (script, command) in machine.commands() {
        if command.program() == "mount" {
            let operands: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
            let is_typed = command
                .arguments()
                .iter()
                .any(|word| SHARED_TYPES.contains(&word.text.as_str()));
            let has_host = operands.iter().any(|word| word.contains(":/"));
            if let Some(folder) = operands.last().filter(|_| is_typed || has_host) {
                mounts.push((*folder).to_owned());
            }
        }
        if command.program().starts_with("mount.") {
            mounts.extend(command.operands().nth(1).map(|word| word.text.clone()));
        }
        // `echo "host:/export /mnt nfs defaults 0 0" >> /etc/fstab`.
        if command.written().any(|file| file.text == "/etc/fstab") {
            let printed = command.arguments().iter().map(|word| word.text.as_str());
            let document = command.document.clone();
            let document = document.and_then(|range| script.text.content.get(range));
            for line in printed.chain(document.into_iter().flat_map(str::lines)) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                if let [_, folder, kind, ..] = fields[..]
                    && SHARED_TYPES.contains(&kind)
                {
                    mounts.push(folder.to_owned());
                }
            }
        }
    }
    if let Some((config, _)) = machine.config {
        for mount in config
            .get("mounts")
            .into_iter()
            .flat_map(zenekar_document::View::items)
        {
            let fields: Vec<&str> = mount
                .items()
                .filter_map(zenekar_document::View::as_str)
                .collect();
            if let [_, folder, kind, ..] = fields[..]
                && SHARED_TYPES.contains(&kind)
            {
                mounts.push(folder.to_owned());
            }
        }
    }
    mounts
        .iter()
        .map(|mount| mount.trim_end_matches('/').to_owned())
        .filter(|mount| !mount.is_empty())
        .collect()
}

/// Says whether the edit is made under a lock.
pub fn is_locked(script: &Script<'_>, command: &Command) -> bool {
    let line_start = script.text.content[..command.range.start]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let line = &script.text.content[line_start..command.range.end.min(script.text.content.len())];
    line.contains("flock")
        || script
            .parsed
            .commands
            .iter()
            .any(|other| other.program() == "flock" && other.range.end <= command.range.start)
}
