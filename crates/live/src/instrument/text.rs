//! The same changes to a cloud-config that is text already.
//!
//! The text is not written anew: readers of YAML differ in what a word without
//! quotes means, and a node must get what it would get otherwise. Lines are put
//! in between instead, and the result is read again: it has to be what
//! [`super::instrument`] makes of the values.

use std::collections::BTreeSet;
use std::ops::Range;

use zenekar_base::{Map, Value};
use zenekar_diagnostics::{Diagnostic, SourceMap};
use zenekar_document::{Kind, Limits, Style, View, load_text};

use super::{Access, CONFIGURATION_PATH, HELPER, HELPER_PATH, InstrumentError, Point};

/// The line that cloud-configs begin with.
const HEADER: &str = "#cloud-config";

/// Where a user-data that is a script lies in a cloud-config that runs it.
const SCRIPT_PATH: &str = "/opt/zenekar/user-script";

/// Bytes of user-data that are read; clouds take far less.
const BYTES_MAX: usize = 4 << 20;

/// Inserts breakpoints into user-data, and tells the instance where its debugger
/// is. `refers` finds the commands that refer to other nodes.
///
/// A script becomes a cloud-config that runs it between two breakpoints. What is
/// neither is refused, as is a cloud-config whose `runcmd` or `write_files` is
/// not written as one item per line.
pub fn instrument_user_data(
    user_data: &str,
    access: &Access,
    refers: &dyn Fn(&Map) -> BTreeSet<usize>,
) -> Result<(String, Vec<Point>), InstrumentError> {
    if user_data.starts_with("#!") {
        return script(user_data, access);
    }
    if user_data.lines().next().map(str::trim_end) != Some(HEADER) {
        return Err(InstrumentError::NotCloudConfig);
    }
    let mut text = with_end(user_data);
    let config = values(&text)?;
    let (expected, points) = super::instrument(&config, &refers(&config))?;
    let expected = super::configure(&expected, access)?;
    if !points.is_empty() {
        text = with_commands(&text, &points)?;
        text = with_file(&text, HELPER_PATH, HELPER, "0755")?;
    }
    text = with_file(&text, CONFIGURATION_PATH, &access.configuration(), "0600")?;
    if sorted(values(&text)?) != sorted(expected) {
        return Err(InstrumentError::Unusual);
    }
    Ok((text, points))
}

/// Returns how many commands of a user-data have run at each of its breakpoints,
/// those that it has by itself included; none if that cannot be seen, because it
/// calls the helper script from elsewhere than items of `runcmd`.
pub fn commands_at_points(user_data: &str, points: &[Point]) -> Option<Vec<usize>> {
    let called = user_data.matches(HELPER_PATH).count();
    let mut done: Vec<usize> = points
        .iter()
        .map(|point| point.after.map_or(0, |after| after + 1))
        .collect();
    if called == 0 {
        return Some(done);
    }
    let config = values(user_data).ok()?;
    let commands = super::list_of(&config, "runcmd").ok()?;
    let is_call = |command: &Value| {
        let text = command.as_str().unwrap_or_default();
        text.starts_with(HELPER_PATH) && text.matches(HELPER_PATH).count() == 1
    };
    let calls = (1..).zip(commands).filter(|(_, command)| is_call(command));
    let own: Vec<usize> = calls.map(|(number, _)| number).collect();
    let is_all = own.len() == called;
    done.extend(own);
    // A breakpoint of its own comes before the one that is put in behind it.
    done.sort_unstable();
    is_all.then_some(done)
}

/// Gives a cloud-config the helper script, and tells it where its debugger is;
/// the commands stay as they are.
pub fn equip_user_data(user_data: &str, access: &Access) -> Result<String, InstrumentError> {
    if user_data.lines().next().map(str::trim_end) != Some(HEADER) {
        return Err(InstrumentError::NotCloudConfig);
    }
    let whole = with_end(user_data);
    let mut text = with_file(&whole, HELPER_PATH, HELPER, "0755")?;
    text = with_file(&text, CONFIGURATION_PATH, &access.configuration(), "0600")?;
    let mut expected = values(&whole)?;
    super::add_file(&mut expected, HELPER_PATH, HELPER, "0755")?;
    let expected = super::configure(&expected, access)?;
    if sorted(values(&text)?) != sorted(expected) {
        return Err(InstrumentError::Unusual);
    }
    Ok(text)
}

/// Ends the last line, so that a text block there is the same with lines behind it.
fn with_end(user_data: &str) -> String {
    let mut text = user_data.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Makes a cloud-config of a script.
fn script(script: &str, access: &Access) -> Result<(String, Vec<Point>), InstrumentError> {
    let text = format!("{HEADER}\nruncmd:\n- {SCRIPT_PATH}\n");
    let mut body = script.to_owned();
    if !body.ends_with('\n') {
        body.push('\n');
    }
    let text = with_file(&text, SCRIPT_PATH, &body, "0755")?;
    instrument_user_data(&text, access, &|_| BTreeSet::new())
}

/// A cloud-config as values.
fn values(text: &str) -> Result<Map, InstrumentError> {
    with_root(text, |root| match root.to_value() {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(InstrumentError::NotCloudConfig),
    })
}

fn with_root<R>(
    text: &str,
    read: impl FnOnce(View<'_>) -> Result<R, InstrumentError>,
) -> Result<R, InstrumentError> {
    let limits = Limits {
        bytes_max: BYTES_MAX,
        ..Limits::default()
    };
    let loaded = load_text("user-data", text, &limits, &mut SourceMap::new());
    let Some(root) = loaded.document.root() else {
        // Nothing but comments.
        return Err(InstrumentError::NotCloudConfig);
    };
    if loaded.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(InstrumentError::NotCloudConfig);
    }
    read(root)
}

/// The order of keys means nothing.
fn sorted(mut config: Map) -> Map {
    config.sort_by(|one, two| one.0.cmp(&two.0));
    config
}

/// A list that is written as one item per line.
struct Block {
    /// The blanks before each dash.
    indent: String,
    /// Where the line of each item begins.
    items: Vec<usize>,
    /// Where the line behind the list begins.
    end: usize,
}

/// Finds a section; none if it is not there.
fn block(text: &str, key: &str) -> Result<Option<Block>, InstrumentError> {
    with_root(text, |root| {
        let Some(entry) = root.get_entry(key) else {
            return Ok(None);
        };
        if entry.value.kind() != Kind::List || entry.value.is_alias() {
            return Err(InstrumentError::Unusual);
        }
        let mut items = Vec::new();
        let mut indent = String::new();
        for item in entry.value.items() {
            let (line, before) = dash(text, item).ok_or(InstrumentError::Unusual)?;
            before.clone_into(&mut indent);
            items.push(line);
        }
        let next = root
            .entries()
            .map(|other| other.key.span().start as usize)
            .filter(|start| *start > entry.key.span().start as usize)
            .min();
        let end = next.map_or(text.len(), |start| line_start(text, start));
        Ok(Some(Block { indent, items, end }))
    })
}

/// Returns where the line of an item begins, and the blanks before its dash.
fn dash<'t>(text: &'t str, item: View<'_>) -> Option<(usize, &'t str)> {
    let start = item.span().start as usize;
    let mut line = line_start(text, start);
    let mut before = text.get(line..start)?;
    if matches!(item.scalar_style(), Style::Literal | Style::Folded) && !item.is_alias() {
        // The text block begins below the line with its dash.
        loop {
            let end = line.checked_sub(1)?;
            line = line_start(text, end);
            before = text.get(line..end)?.trim_end();
            if !before.is_empty() {
                break;
            }
        }
        let header = before.find(['|', '>'])?;
        before = before.get(..header)?;
    }
    let blanks = before.trim_end_matches(' ').strip_suffix('-')?;
    blanks
        .bytes()
        .all(|byte| byte == b' ')
        .then_some((line, blanks))
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1)
}

fn insert(text: &mut String, places: Vec<(usize, String)>) {
    for (at, lines) in places.into_iter().rev() {
        let empty: Range<usize> = at..at;
        text.replace_range(empty, &lines);
    }
}

fn with_commands(text: &str, points: &[Point]) -> Result<String, InstrumentError> {
    let mut text = text.to_owned();
    let item = |indent: &str, tag: &str| {
        let call = super::call(tag);
        format!("{indent}- {}\n", call.as_str().unwrap_or(""))
    };
    let Some(block) = block(&text, "runcmd")? else {
        text.push_str("runcmd:\n");
        for point in points {
            text.push_str(&item("", &point.tag));
        }
        return Ok(text);
    };
    let places = points.iter().map(|point| {
        let next = point.after.map_or(0, |after| after + 1);
        let at = block.items.get(next).copied().unwrap_or(block.end);
        (at, item(&block.indent, &point.tag))
    });
    let places = places.collect();
    insert(&mut text, places);
    Ok(text)
}

fn with_file(text: &str, path: &str, content: &str, mode: &str) -> Result<String, InstrumentError> {
    let mut text = text.to_owned();
    let item = |indent: &str| {
        let mut lines = format!(
            "{indent}- path: {path}\n{indent}  permissions: '{mode}'\n{indent}  content: |\n"
        );
        for line in content.lines() {
            if !line.is_empty() {
                lines.push_str(indent);
                lines.push_str("    ");
                lines.push_str(line);
            }
            lines.push('\n');
        }
        lines
    };
    if let Some(block) = block(&text, "write_files")? {
        let lines = item(&block.indent);
        insert(&mut text, vec![(block.end, lines)]);
    } else {
        text.push_str("write_files:\n");
        text.push_str(&item(""));
    }
    Ok(text)
}
