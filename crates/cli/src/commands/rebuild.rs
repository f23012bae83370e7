//! The last resort for a state whose database is broken: what can be read of
//! it moves into a new one, and the broken one is set aside.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use zenekar_store::{ExportMode, Store, StoreError, StoreOptions};

use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, Paint, SCHEMA_VERSION, counted};
use crate::place::Place;
use crate::world::wall_now;

/// The files that make up a state; the last two only exist at times.
const FILES: [&str; 3] = ["state.db", "state.db-wal", "state.db-shm"];

/// What was saved of the broken state.
#[derive(Debug, Default)]
struct Saved {
    /// Exports by infrastructure.
    exports: Vec<(String, Vec<u8>)>,
    /// What could not be read.
    problems: Vec<String>,
}

/// Says whether an error means that the database itself is broken.
pub(crate) const fn is_hopeless(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Corrupt { .. } | StoreError::Sqlite { .. }
    )
}

/// Builds a new state from what can be read of the broken one.
pub(crate) fn rebuild(place: &Place, reason: &StoreError, output: Output) -> Result<Exit, Failure> {
    let directory = place.directory();
    if let Some(process) = user_of(&directory.join(FILES[0])) {
        return Err(Failure::new(
            Exit::State,
            format!("the state is broken, and process {process} still uses it"),
        )
        .hint("end that process, then run the command again"));
    }
    let saved = save(directory);
    let suffix = format!("damaged-{}", wall_now().0);
    for name in FILES {
        let from = directory.join(name);
        if from.exists() {
            let to = directory.join(format!("{name}.{suffix}"));
            fs::rename(&from, &to)
                .map_err(|error| Failure::from_file("set aside", &from, &error))?;
        }
    }
    let mut problems = saved.problems;
    let mut imported = Vec::new();
    let mut store = place.change()?;
    for (name, export) in saved.exports {
        match store.import(&mut export.as_slice()) {
            Ok(import) => imported.push((name, import.entries)),
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    let kept = format!("{}.{suffix}", FILES[0]);
    if output.is_json() {
        let saved: Vec<_> = imported
            .iter()
            .map(|(name, entries)| json!({ "id": name, "events": entries }))
            .collect();
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "rebuild", "reason": reason.to_string(),
            "saved": saved, "lost": problems, "kept_as": kept,
        }))?;
    } else {
        output.data(&text_of(
            &imported,
            &problems,
            reason,
            &kept,
            output.data_paint,
        ))?;
    }
    Ok(Exit::Success)
}

fn text_of(
    imported: &[(String, u64)],
    problems: &[String],
    reason: &StoreError,
    kept: &str,
    paint: Paint,
) -> String {
    let mut text = format!("{} {reason}\n", paint.bad("damaged:"));
    for (name, entries) in imported {
        let events = counted(usize::try_from(*entries).unwrap_or(usize::MAX), "event");
        let _ = writeln!(text, "{} {name}: {events}", paint.good("saved:"));
    }
    for problem in problems {
        let _ = writeln!(text, "{} {problem}", paint.notable("lost:"));
    }
    let _ = writeln!(
        text,
        "the broken state is kept as `{kept}`; `zenekar up FILE` finds again what the providers have"
    );
    text
}

/// Reads what can be read.
fn save(directory: &Path) -> Saved {
    let mut saved = Saved::default();
    let options = StoreOptions {
        is_damaged_log_accepted: true,
        ..StoreOptions::read_only()
    };
    let listed = Store::open(directory, options)
        .and_then(|store| Ok((store.list_infrastructures()?, store)));
    let (rows, store) = match listed {
        Ok(found) => found,
        Err(error) => {
            saved.problems.push(format!("all infrastructures: {error}"));
            return saved;
        }
    };
    for row in rows {
        let mut export = Vec::new();
        match store.export(&row.id, ExportMode::Salvage, &mut export) {
            Ok(exported) => {
                let name = row.id.to_string();
                let told = exported
                    .problems
                    .iter()
                    .map(|problem| format!("{name}: {problem}"));
                saved.problems.extend(told);
                saved.exports.push((name, export));
            }
            Err(error) => saved.problems.push(format!("{}: {error}", row.id)),
        }
    }
    saved
}

/// Returns another process that has the file open: the lease that would tell
/// is in the file that cannot be read. Nobody where the system does not say.
fn user_of(file: &Path) -> Option<u32> {
    let file = fs::canonicalize(file).ok()?;
    let own = std::process::id();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.find(|process| *process != own && has_open(*process, &file))
}

fn has_open(process: u32, file: &Path) -> bool {
    let descriptors = PathBuf::from(format!("/proc/{process}/fd"));
    fs::read_dir(descriptors).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
    })
}
