//! Several instances that edit one file: `ZK0709`.

use zenekar_diagnostics::Diagnostic;
use zenekar_diagnostics::codes::lint as codes;

use crate::landscape::{Landscape, User};
use crate::machine::Script;
use crate::report::Report;
use crate::shared_files::{edited_file, is_locked, shared_mounts};
use crate::shell::{Command, Where};

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        let Some(user) = subject.largest_user().filter(|user| user.max > 1) else {
            continue;
        };
        let machine = &subject.machine;
        let mounts = shared_mounts(machine);
        for (script, command) in machine.commands() {
            let Some(file) = edited_file(command) else {
                continue;
            };
            let is_copy = matches!(command.program(), "scp" | "rsync");
            let is_remote = command.place == Where::Remote || is_copy;
            let is_shared = mounts.iter().any(|mount| {
                file.strip_prefix(mount.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            let is_own =
                file.contains("hostname") || file.contains("HOSTNAME") || file.contains("node_id");
            if (is_remote || is_shared) && !is_own && !is_locked(script, command) {
                tell(user, script, command, &file, is_remote, report);
            }
        }
    }
}

fn tell(
    user: &User<'_>,
    script: &Script<'_>,
    command: &Command,
    file: &str,
    is_remote: bool,
    report: &mut Report,
) {
    let whose = if is_remote {
        "of another machine"
    } else {
        "on a shared file system"
    };
    let message = format!(
        "up to {} instances of node `{}` edit `{file}` {whose}",
        user.max, user.section.name
    );
    let diagnostic = Diagnostic::warning(&codes::SHARED_FILE, message)
        .at(script.place(command))
        .help("let the owner of the file write it, or edit it under a lock (`flock`)");
    report.add(diagnostic);
}
