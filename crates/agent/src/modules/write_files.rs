//! `write_files`: files with contents, owners and permissions.

use zenekar_base::Value;

use crate::accounts::Owner;
use crate::decode;
use crate::limits;
use crate::session::{Ending, Session};
use crate::values::{as_list, as_map, get, kind_of, option_bool, text_of, truthy};

const MODULE: &str = "write_files";
const DEFAULT_MODE: u32 = 0o644;

/// Writes the files that are deferred to the final stage, or those that are not.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)], deferred: bool) {
    let Some(value) = get(config, MODULE) else {
        return;
    };
    let Some(files) = as_list(value) else {
        // Both rounds meet the mistake; it is told once.
        if !deferred {
            let message = format!("not a list but {}", kind_of(value));
            session.note(MODULE, "", Ending::failed(message));
        }
        return;
    };
    if files.len() > limits::FILES_MAX {
        if !deferred {
            let message = format!("at most {} files are written", limits::FILES_MAX);
            session.note(MODULE, "", Ending::failed(message));
        }
        return;
    }
    // With cloud-init the first mistake ends the round, and the files after it are not written.
    let mut broken: Option<String> = None;
    for (index, file) in files.iter().enumerate() {
        let entry = as_map(file).unwrap_or_default();
        if option_bool(entry, "defer", false) != deferred {
            continue;
        }
        let subject = get(entry, "path")
            .filter(|path| truthy(path))
            .map_or_else(|| format!("entry {}", index + 1), text_of);
        if let Some(earlier) = &broken {
            let message = format!("not written, because `{earlier}` failed");
            session.note(MODULE, subject, Ending::failed(message));
            continue;
        }
        if as_map(file).is_some() && !get(entry, "path").is_some_and(truthy) {
            session.note(MODULE, subject, Ending::failed("it has no path"));
            continue;
        }
        let done = session.step(MODULE, subject.clone(), |session| {
            if as_map(file).is_none() {
                return Ending::failed(format!("not a mapping but {}", kind_of(file)));
            }
            match write(session, entry) {
                Ok(remarks) => Ending::remark(remarks.join("; ")),
                Err(message) => Ending::failed(message),
            }
        });
        if !done {
            broken = Some(subject);
        }
    }
}

fn write(session: &Session<'_>, entry: &[(String, Value)]) -> Result<Vec<String>, String> {
    let mut remarks = Vec::new();
    let path = match get(entry, "path") {
        Some(Value::String(path)) => path,
        Some(other) => return Err(format!("its path is {}", kind_of(other))),
        None => return Err("it has no path".to_owned()),
    };
    if path.contains('\0') {
        return Err("its path has a zero byte".to_owned());
    }
    let content = content_of(entry, &mut remarks)?;
    let owner = match get(entry, "owner") {
        None => Owner::parse("root:root"),
        Some(value) if !truthy(value) => Owner::default(),
        Some(Value::String(owner)) => Owner::parse(owner),
        Some(other) => return Err(format!("its owner is {}, not text", kind_of(other))),
    };
    let mode = mode_of(get(entry, "permissions"), &mut remarks)?;
    if option_bool(entry, "append", false) {
        session.place.append(path, &content, mode)?;
    } else {
        session.place.write(path, &content, mode)?;
    }
    change_owner(session, path, &owner, &mut remarks)?;
    Ok(remarks)
}

fn change_owner(
    session: &Session<'_>,
    path: &str,
    owner: &Owner,
    remarks: &mut Vec<String>,
) -> Result<(), String> {
    if !session.target.can_administer {
        let root = |name: &Option<String>| name.as_deref().is_none_or(|name| name == "root");
        if !(root(&owner.user) && root(&owner.group)) {
            remarks.push("its owner stays the one who runs this node".to_owned());
        }
        return Ok(());
    }
    let (user, group) = owner.ids(&session.place)?;
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    std::os::unix::fs::chown(session.place.of(path), user, group)
        .map_err(|cause| format!("cannot set the owner of `{path}`: {cause}"))
}

fn content_of(entry: &[(String, Value)], remarks: &mut Vec<String>) -> Result<Vec<u8>, String> {
    let content = match get(entry, "content") {
        None => Vec::new(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(Value::Bytes(bytes)) => bytes.clone(),
        Some(other) => return Err(format!("its content is {}, not text", kind_of(other))),
    };
    let encoding = get(entry, "encoding")
        .filter(|value| truthy(value))
        .map(|value| text_of(value).trim().to_lowercase())
        .unwrap_or_default();
    match encoding.as_str() {
        "" | "text/plain" => Ok(content),
        "gz" | "gzip" => decode::gunzip(&content, limits::FILE_BYTES_MAX),
        "b64" | "base64" => decode::base64_lenient(&content),
        "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" => {
            decode::gunzip(&decode::base64_lenient(&content)?, limits::FILE_BYTES_MAX)
        }
        other => {
            remarks.push(format!("unknown encoding `{other}`, taken as plain text"));
            Ok(content)
        }
    }
}

fn mode_of(value: Option<&Value>, remarks: &mut Vec<String>) -> Result<u32, String> {
    let number = match value {
        None | Some(Value::Null) => return Ok(DEFAULT_MODE),
        Some(Value::Bool(truth)) => i128::from(*truth),
        Some(Value::Int(number)) => {
            if let Ok(meant) = u32::from_str_radix(&number.to_string(), 8)
                && matches!(number, 400..=777)
            {
                remarks.push(format!(
                    "permissions {number} without quotes are {number:o} in octal; write \"{meant:04o}\""
                ));
            }
            *number
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "cloud-init cuts it as well"
        )]
        Some(Value::Float(number)) => number.0 as i128,
        Some(other) => {
            let text = text_of(other);
            if let Some(number) = octal(&text) {
                number
            } else {
                remarks.push(format!(
                    "unreadable permissions `{text}`, taken as {DEFAULT_MODE:04o}"
                ));
                return Ok(DEFAULT_MODE);
            }
        }
    };
    u32::try_from(number)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("permissions {number} are out of range"))
}

/// Reads an octal number as Python's `int(text, 8)`.
fn octal(text: &str) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let digits = digits
        .strip_prefix("0o")
        .or_else(|| digits.strip_prefix("0O"))
        .map_or(digits, |rest| rest.strip_prefix('_').unwrap_or(rest));
    let separated = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    if !separated || digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(&digits.replace('_', ""), 8).ok()?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_octal_text_or_numbers() {
        let mode = |value: Value| mode_of(Some(&value), &mut Vec::new());
        let text = |text: &str| Value::String(text.to_owned());
        assert_eq!(mode(text("0640")), Ok(0o640));
        assert_eq!(mode(text("0o755")), Ok(0o755));
        assert_eq!(mode(text("4755")), Ok(0o4755));
        assert_eq!(mode(Value::Int(0o600)), Ok(0o600));
        assert_eq!(mode(text("rw-r--r--")), Ok(DEFAULT_MODE));
        assert_eq!(mode(Value::Null), Ok(DEFAULT_MODE));
        assert!(mode(text("-1")).is_err() && mode(text("77777")).is_err());
        let mut remarks = Vec::new();
        assert_eq!(mode_of(Some(&Value::Int(644)), &mut remarks), Ok(0o1204));
        assert!(remarks[0].contains("\"0644\""), "{remarks:?}");
    }
}
