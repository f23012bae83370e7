//! `bootcmd`, `runcmd` and the scripts of user-data.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use zenekar_base::Value;

use crate::session::{Ending, Session};
use crate::user_data::{Frequency, Part};
use crate::values::{as_list, get, kind_of, text_of};

/// Where the scripts of this instance are kept.
const SCRIPTS: &str = "/var/lib/cloud/instance/scripts";
const BOOTHOOKS: &str = "/var/lib/cloud/instance/boothooks";
const PER_ONCE: &str = "/var/lib/cloud/scripts/per-once";
const PER_BOOT: &str = "/var/lib/cloud/scripts/per-boot";
const PER_INSTANCE: &str = "/var/lib/cloud/scripts/per-instance";
const SCRIPT_MODE: u32 = 0o700;
/// The name of the script that `runcmd` becomes.
const RUNCMD: &str = "runcmd";

/// Makes one shell script of a list of commands: what is text is a line of it,
/// what is a list is quoted word by word.
fn script_of(commands: &Value) -> Result<(String, usize), String> {
    let Some(commands) = as_list(commands) else {
        return Err(format!("not a list but {}", kind_of(commands)));
    };
    let mut script = String::from("#!/bin/sh\n");
    let mut count = 0;
    for (index, command) in commands.iter().enumerate() {
        match command {
            Value::List(words) => {
                let quoted: Vec<String> = words
                    .iter()
                    .map(|word| format!("'{}'", text_of(word).replace('\'', r"'\''")))
                    .collect();
                script.push_str(&quoted.join(" "));
            }
            Value::String(line) => script.push_str(line),
            // That is what a comment becomes.
            Value::Null => continue,
            other => {
                return Err(format!(
                    "command {} is {}, not text or a list",
                    index + 1,
                    kind_of(other)
                ));
            }
        }
        script.push('\n');
        count += 1;
    }
    Ok((script, count))
}

fn subject_of(count: usize) -> String {
    match count {
        1 => "1 command".to_owned(),
        count => format!("{count} commands"),
    }
}

/// Runs `bootcmd`.
pub(super) fn bootcmd(session: &mut Session<'_>, config: &[(String, Value)]) {
    let Some(commands) = get(config, "bootcmd") else {
        return;
    };
    match script_of(commands) {
        Ok((script, count)) => {
            session.step("bootcmd", subject_of(count), |session| {
                let path = "/var/lib/cloud/instance/bootcmd.sh";
                if let Err(message) = session.place.write(path, script.as_bytes(), SCRIPT_MODE) {
                    return Ending::failed(message);
                }
                let ending = session.run(Command::new("/bin/sh").arg(session.place.of(path)));
                let _ = fs::remove_file(session.place.of(path));
                ending
            });
        }
        Err(message) => session.note("bootcmd", "", Ending::failed(message)),
    }
}

/// Writes the script that `runcmd` becomes; it runs in the final stage.
pub(super) fn runcmd(session: &mut Session<'_>, config: &[(String, Value)]) {
    let Some(commands) = get(config, RUNCMD) else {
        return;
    };
    let written = script_of(commands).and_then(|(script, _)| {
        session.place.write(
            &format!("{SCRIPTS}/{RUNCMD}"),
            script.as_bytes(),
            SCRIPT_MODE,
        )
    });
    // That it was written shows in the final stage, when it runs.
    if let Err(message) = written {
        session.note(RUNCMD, "", Ending::failed(message));
    }
}

/// Forgets the scripts of an earlier contextualisation, so that they do not run again.
pub(crate) fn forget(session: &Session<'_>) {
    for folder in [SCRIPTS, BOOTHOOKS] {
        let _ = fs::remove_dir_all(session.place.of(folder));
    }
}

/// Keeps a script of user-data for the final stage.
pub(crate) fn keep(session: &mut Session<'_>, part: &Part, frequency: Option<Frequency>) {
    let folder = match frequency {
        None => SCRIPTS,
        Some(Frequency::Boot) => PER_BOOT,
        Some(Frequency::Instance) => PER_INSTANCE,
        Some(Frequency::Once) => PER_ONCE,
    };
    let name = file_name(&part.name);
    let script = unix_lines(&part.content);
    if let Err(message) = session
        .place
        .write(&format!("{folder}/{name}"), &script, SCRIPT_MODE)
    {
        session.note("script", part.name.clone(), Ending::failed(message));
    }
}

/// Runs a boothook at once.
pub(crate) fn boothook(session: &mut Session<'_>, part: &Part) {
    const PREFIX: &[u8] = b"#cloud-boothook";
    let script = unix_lines(&part.content);
    let script = script.strip_prefix(PREFIX).unwrap_or(&script);
    let script = script.trim_ascii_start().to_vec();
    let path = format!("{BOOTHOOKS}/{}", file_name(&part.name));
    session.step("boothook", part.name.clone(), |session| {
        match session.place.write(&path, &script, SCRIPT_MODE) {
            Ok(()) => run_script(session, &path),
            Err(message) => Ending::failed(message),
        }
    });
}

/// Runs the scripts of the image and those of user-data.
pub(super) fn run_all(session: &mut Session<'_>) {
    for folder in [PER_ONCE, PER_BOOT, PER_INSTANCE, SCRIPTS] {
        run_folder(session, folder);
    }
}

/// Runs the scripts of a folder in the order of their names. One that fails
/// does not keep the others from running.
fn run_folder(session: &mut Session<'_>, folder: &str) {
    let Ok(entries) = fs::read_dir(session.place.of(folder)) else {
        return;
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{name}");
        let executable = fs::metadata(session.place.of(&path))
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        if !executable {
            continue;
        }
        let (module, subject) = if folder == SCRIPTS && name == RUNCMD {
            (RUNCMD, lines_of(session, &path))
        } else {
            ("script", name)
        };
        session.step(module, subject, |session| run_script(session, &path));
    }
}

fn lines_of(session: &Session<'_>, path: &str) -> String {
    let script = session.place.read(path).unwrap_or_default();
    let mut lines = script.lines().skip(1);
    let first = lines.next().unwrap_or("").to_owned();
    match lines.count() {
        0 => first,
        1 => format!("{first} (and 1 line more)"),
        more => format!("{first} (and {more} lines more)"),
    }
}

fn run_script(session: &Session<'_>, path: &str) -> Ending {
    let place = session.place.of(path);
    // Some systems hand a file without a first line that names its
    // interpreter to the shell; cloud-init does not.
    if !begins_executably(&place) {
        return Ending::failed("it does not begin with `#!`");
    }
    session.run(&mut Command::new(place))
}

fn begins_executably(place: &std::path::Path) -> bool {
    use std::io::Read as _;
    let mut start = Vec::new();
    let read = fs::File::open(place).and_then(|file| file.take(4).read_to_end(&mut start));
    read.is_ok() && (start.starts_with(b"#!") || start == b"\x7fELF")
}

/// Makes a file name of the name of a part.
fn file_name(name: &str) -> String {
    let name: String = name
        .replace('/', "_")
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "_-.()".contains(*letter))
        .collect();
    if matches!(name.as_str(), "" | "." | "..") {
        "part".to_owned()
    } else {
        name
    }
}

/// Takes the carriage returns away if the first line ends with one.
fn unix_lines(script: &[u8]) -> Vec<u8> {
    let first_end = script.iter().position(|byte| *byte == b'\n');
    match first_end {
        Some(at) if at > 0 && script[at - 1] == b'\r' => {
            let mut plain = Vec::with_capacity(script.len());
            for (index, byte) in script.iter().enumerate() {
                if *byte != b'\r' || script.get(index + 1) != Some(&b'\n') {
                    plain.push(*byte);
                }
            }
            plain
        }
        _ => script.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Value {
        crate::config::read("test", text.as_bytes()).unwrap().value
    }

    #[test]
    fn commands_become_one_script() {
        let (script, count) = script_of(&commands(
            "- export A=1\n- [echo, \"it's\", 5, yes]\n-\n- 'cd /'\n",
        ))
        .unwrap();
        assert_eq!(
            script,
            "#!/bin/sh\nexport A=1\n'echo' 'it'\\''s' '5' 'True'\ncd /\n"
        );
        assert_eq!(count, 3);
        let problem = script_of(&commands("- ls\n- {a: 1}\n")).unwrap_err();
        assert_eq!(problem, "command 2 is a mapping, not text or a list");
        assert_eq!(
            script_of(&commands("ls")).unwrap_err(),
            "not a list but text"
        );
    }

    #[test]
    fn names_and_lines_are_cleaned() {
        assert_eq!(file_name("a/b c;d.sh"), "a_bcd.sh");
        assert_eq!(file_name(".."), "part");
        assert_eq!(unix_lines(b"#!/bin/sh\r\na\r\nb\r"), b"#!/bin/sh\na\nb\r");
        assert_eq!(unix_lines(b"#!/bin/sh\na\r\n"), b"#!/bin/sh\na\r\n");
    }
}
