//! Failures that nobody notices, and waiting without an end: `ZK0717`, `ZK0720`.

use zenekar_diagnostics::codes::lint as codes;

use crate::landscape::Landscape;
use crate::machine::{Machine, Origin, Script};
use crate::report::Report;
use crate::shell::{Command, Link, Loop, Where};

/// Programs that may fail without harm: they clean up, ask, or only tell.
const HARMLESS: &[&str] = &[
    "rm",
    "rmdir",
    "kill",
    "pkill",
    "killall",
    "grep",
    "egrep",
    "umount",
    "userdel",
    "groupdel",
    "id",
    "which",
    "type",
    "test",
    "[",
    "[[",
    "echo",
    "printf",
    "true",
    "false",
    "ls",
    "cat",
    "diff",
    "mkdir",
    "useradd",
    "adduser",
    "groupadd",
    "unalias",
    "swapoff",
    "modprobe",
    "sysctl",
    "read",
    "wait",
    "command",
    "getent",
    "stat",
    "pgrep",
    "dmesg",
    "lsb_release",
];

/// Words that tell of undoing rather than doing.
const UNDOING: &[&str] = &[
    "stop", "rm", "remove", "purge", "disable", "delete", "leave", "down", "kill", "status",
    "reset",
];

pub(super) fn check(landscape: &Landscape<'_>, report: &mut Report) {
    for subject in &landscape.subjects {
        for script in &subject.machine.scripts {
            for (position, command) in script.parsed.commands.iter().enumerate() {
                check_switch((&subject.machine, script), position, command, report);
                check_chain(script, position, command, report);
            }
            for (index, found) in script.parsed.loops.iter().enumerate() {
                check_loop(script, index, found, report);
            }
        }
    }
}

/// Looks for `set +e`.
fn check_switch(
    (machine, script): (&Machine<'_>, &Script<'_>),
    position: usize,
    command: &Command,
    report: &mut Report,
) {
    if !switches(command, '+') {
        return;
    }
    // The commands of `runcmd` become one script.
    let others = machine
        .scripts
        .iter()
        .skip_while(|other| !std::ptr::eq(*other, script))
        .skip(1)
        .filter(|other| script.origin == Origin::Boot && other.origin == Origin::Boot)
        .flat_map(|other| &other.parsed.commands);
    let behind: Vec<&Command> = script.parsed.commands[position + 1..]
        .iter()
        .chain(others)
        .collect();
    // Switched off for one command and on again, mostly to look at its result.
    let is_short = behind.iter().take(4).any(|next| switches(next, '-'));
    if !is_short
        && behind
            .iter()
            .any(|next| !HARMLESS.contains(&next.program()))
    {
        report.warn(
            &codes::FAILURE_HIDDEN,
            script.place(command),
            "from here on, failures are ignored",
            "leave `set -e` on, and handle the commands that may fail one by one",
        );
    }
}

/// Says whether a command is `set -e`, or `set +e`, in one of its forms.
fn switches(command: &Command, sign: char) -> bool {
    let words = command.arguments();
    command.program() == "set"
        && words.iter().enumerate().any(|(at, word)| {
            let letters = word.text.strip_prefix(sign).unwrap_or("");
            let is_long =
                letters == "o" && words.get(at + 1).is_some_and(|next| next.text == "errexit");
            is_long || letters.contains('e')
        })
}

/// Looks for `… || true`, `… || exit 0` and `… || echo`.
fn check_chain(script: &Script<'_>, position: usize, command: &Command, report: &mut Report) {
    if command.before != Link::Or || command.place == Where::Substitution {
        return;
    }
    let is_dropped = matches!(command.program(), "true" | ":")
        || matches!(command.program(), "exit" | "return") && command.has_argument("0");
    let is_told = matches!(command.program(), "echo" | "printf" | "logger");
    // `|| echo … && exit 1` and `|| (echo …; exit 1)` do fail.
    let next = script.parsed.commands.get(position + 1);
    let exits = next.is_some_and(|next| {
        matches!(
            next.program(),
            "exit" | "return" | "false" | "kill" | "shutdown" | "poweroff" | "halt"
        )
    });
    if !(is_dropped || is_told)
        || exits
        || command
            .redirects
            .iter()
            .any(|redirect| redirect.target.text.contains("/tmp/fail"))
    {
        return;
    }
    let chain = chain_before(&script.parsed.commands, position);
    let does_work = chain.iter().any(|earlier| !is_harmless(earlier));
    if !does_work || command.is_condition {
        return;
    }
    let message = if is_dropped {
        "a failure here is ignored"
    } else {
        "a failure here is only told on the console, and counts as success"
    };
    let help = if script.origin == Origin::Boot && is_told {
        "end with `exit 1`, and check what the setup has to bring up"
    } else {
        "let it fail, or handle the failure that is meant"
    };
    report.warn(&codes::FAILURE_HIDDEN, script.place(command), message, help);
}

/// Returns the commands of the chain that ends in front of a position.
fn chain_before(commands: &[Command], position: usize) -> Vec<&Command> {
    let mut chain = Vec::new();
    let place = commands[position].place;
    for command in commands[..position].iter().rev() {
        // What is inside of words belongs to the command in front of it.
        if command.place != place {
            chain.push(command);
            continue;
        }
        if command.after == Link::End {
            break;
        }
        chain.push(command);
        if command.before == Link::End {
            break;
        }
    }
    chain
}

fn is_harmless(command: &Command) -> bool {
    HARMLESS.contains(&command.program())
        || command.program().is_empty()
        || command
            .operands()
            .take(2)
            .any(|word| UNDOING.contains(&word.text.as_str()))
        || command.program().ends_with("-stop.sh")
}

/// Looks for loops that wait without a limit.
fn check_loop(script: &Script<'_>, index: usize, found: &Loop, report: &mut Report) {
    if found.is_bounded {
        return;
    }
    let text = script.text.content;
    let whole = text.get(found.range.clone()).unwrap_or("");
    let condition = text
        .get(found.condition.clone())
        .unwrap_or("")
        .trim()
        .trim_end_matches(';')
        .trim();
    let inside = || {
        script
            .parsed
            .commands
            .iter()
            .filter(|command| command.in_loop == Some(index))
    };
    let waits = inside().any(|command| command.program() == "sleep");
    let is_endless = matches!(
        condition,
        "true" | ":" | "[ 1 ]" | "[[ 1 ]]" | "(( 1 ))" | "((1))" | "1"
    );
    let can_end = inside().any(|command| matches!(command.program(), "break"));
    // A service of its own runs forever, and is meant to.
    if !waits
        || is_endless && !can_end
        || condition.starts_with("read ")
        || condition.contains(" read ")
    {
        return;
    }
    let counts = [
        "((",
        "let ",
        "expr ",
        "+=",
        "SECONDS",
        "date +%s",
        "timeout",
        "$(seq",
        "-- ",
        "EPOCHSECONDS",
    ]
    .iter()
    .any(|mark| whole.contains(mark));
    let gives_up = inside().any(|command| matches!(command.program(), "exit" | "return"));
    // `timeout 300 sh -c 'until …'`.
    let line_start = text[..found.range.start].rfind('\n').map_or(0, |at| at + 1);
    let is_limited = text[line_start..found.range.start].contains("timeout ");
    if counts || is_limited || gives_up && is_endless {
        return;
    }
    let first_line = whole.lines().next().unwrap_or("").trim_end();
    report.warn(
        &codes::NO_TIME_LIMIT,
        script
            .text
            .span(found.range.start..found.range.start + first_line.len()),
        "this loop waits without a limit",
        "count the rounds, or run it under `timeout`, and fail in the end",
    );
}
