//! `zenekar state`: exports, imports, checks and repairs the stored state.

use std::fmt::Write as _;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use zenekar_store::{
    ExportMode, Exported, HolderInfo, Repaired, Report, Store, StoreError, StoreOptions,
};

use crate::arguments::{CheckArguments, ExportArguments, Global, ImportArguments, StateCommand};
use crate::commands::rebuild;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, counted};
use crate::place::{self, Place};
use crate::world::wall_now;

pub(crate) fn run(
    command: &StateCommand,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    match command {
        StateCommand::Export(arguments) => export(arguments, &place, output),
        StateCommand::Import(arguments) => import(arguments, &place, output),
        StateCommand::Check(arguments) => check(arguments, &place, output),
    }
}

fn export(arguments: &ExportArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    let store = place.look_at()?;
    let row = place::find(&store, arguments.infrastructure.infrastructure.as_deref())?;
    let mode = if arguments.salvage {
        ExportMode::Salvage
    } else {
        ExportMode::Complete
    };
    let exported = if let Some(path) = &arguments.file {
        let file =
            File::create_new(path).map_err(|error| Failure::from_file("create", path, &error))?;
        let mut writer = BufWriter::new(file);
        let exported = store
            .export(&row.id, mode, &mut writer)
            .map_err(|error| export_failure(error, arguments))?;
        let file = writer
            .into_inner()
            .map_err(|error| Failure::from_file("write", path, error.error()))?;
        file.sync_all()
            .map_err(|error| Failure::from_file("write", path, &error))?;
        exported
    } else {
        let mut writer = BufWriter::new(io::stdout().lock());
        let exported = store
            .export(&row.id, mode, &mut writer)
            .map_err(|error| export_failure(error, arguments))?;
        writer.flush().map_err(Failure::from_stdout)?;
        exported
    };
    tell_exported(&exported, output);
    Ok(if exported.problems.is_empty() {
        Exit::Success
    } else {
        Exit::State
    })
}

/// A reader of the export that has gone away had what it wanted.
fn export_failure(error: StoreError, arguments: &ExportArguments) -> Failure {
    match error {
        StoreError::Stream { source, .. } if arguments.file.is_none() => {
            Failure::from_stdout(source)
        }
        error @ StoreError::Corrupt { .. } => {
            Failure::from(error).hint("`zenekar state export --salvage` writes what is intact")
        }
        error => error.into(),
    }
}

fn tell_exported(exported: &Exported, output: Output) {
    for problem in &exported.problems {
        output.warn(problem);
    }
    if !output.is_json() {
        let count =
            |number: u64, noun: &str| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
        output.line(&format!(
            "exported {}, {} and {}",
            count(exported.entries, "event"),
            count(exported.snapshots, "snapshot"),
            count(exported.requests, "request"),
        ));
    }
}

fn import(arguments: &ImportArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    let imported = if arguments.file == Path::new("-") {
        place.change()?.import(&mut io::stdin().lock())?
    } else {
        let file = File::open(&arguments.file)
            .map_err(|error| Failure::from_file("open", &arguments.file, &error))?;
        place.change()?.import(&mut BufReader::new(file))?
    };
    for problem in &imported.problems {
        output.warn(problem);
    }
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "import", "infrastructure": imported.infrastructure.as_str(),
            "events": imported.entries, "snapshots": imported.snapshots, "requests": imported.requests, "problems": imported.problems,
        }))?;
    } else {
        let events = counted(
            usize::try_from(imported.entries).unwrap_or(usize::MAX),
            "event",
        );
        output.line(&format!(
            "imported `{}` with {events}",
            imported.infrastructure
        ));
    }
    Ok(Exit::Success)
}

fn check(arguments: &CheckArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    let options = StoreOptions::read_only();
    let report = Store::open(place.directory(), options).and_then(|store| store.check());
    let report = match report {
        Ok(report) => report,
        Err(StoreError::NoState { .. }) => {
            let directory = place.directory().display();
            output.line(&format!("there is no state in `{directory}`"));
            return Ok(Exit::Success);
        }
        Err(error) if rebuild::is_hopeless(&error) => {
            return hopeless(&error, arguments, place, output);
        }
        Err(error) => return Err(error.into()),
    };
    let repaired = if arguments.repair && !report.is_intact() {
        let viewer = HolderInfo::this_process("zenekar state check");
        let repaired = Store::open(place.directory(), StoreOptions::read_write())
            .and_then(|mut store| store.repair(&viewer, wall_now(), &HolderInfo::is_alive_here));
        match repaired {
            Ok(repaired) => Some(repaired),
            Err(error) if rebuild::is_hopeless(&error) => {
                return hopeless(&error, arguments, place, output);
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        None
    };
    if output.is_json() {
        output.json(&check_json(&report, repaired.as_ref()))?;
    } else {
        output.data(&check_text(&report, repaired.as_ref(), place, output))?;
    }
    match repaired {
        _ if report.is_intact() => Ok(Exit::Success),
        None => Err(damaged()),
        Some(_) if place.look_at()?.check()?.is_intact() => Ok(Exit::Success),
        Some(_) => Err(Failure::new(Exit::State, "the state is still damaged")),
    }
}

/// Deals with a state that cannot even be checked.
fn hopeless(
    error: &StoreError,
    arguments: &CheckArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    if arguments.repair {
        return rebuild::rebuild(place, error, output);
    }
    Err(damaged().cause(error.to_string()))
}

fn damaged() -> Failure {
    Failure::new(Exit::State, "the state is damaged")
        .hint("`zenekar state check --repair` sets the damage aside and tells what is lost")
}

fn check_text(
    report: &Report,
    repaired: Option<&Repaired>,
    place: &Place,
    output: Output,
) -> String {
    let paint = output.data_paint;
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{} {problem}", paint.bad("damaged:"));
    }
    for infrastructure in &report.infrastructures {
        let entries = counted(
            usize::try_from(infrastructure.entries).unwrap_or(usize::MAX),
            "event",
        );
        let word = if infrastructure.problems.is_empty() {
            paint.good("intact:")
        } else {
            paint.bad("damaged:")
        };
        let _ = writeln!(
            text,
            "{word} {}: {entries}",
            paint.strong(infrastructure.id.as_str())
        );
        for problem in &infrastructure.problems {
            let _ = writeln!(text, "  {problem}");
        }
    }
    if report.problems.is_empty() && report.infrastructures.is_empty() {
        let _ = writeln!(
            text,
            "{} `{}` holds no infrastructure",
            paint.good("intact:"),
            place.directory().display()
        );
    }
    for loss in repaired
        .map(|repaired| repaired.losses.as_slice())
        .unwrap_or_default()
    {
        let effect = if loss.is_state_affected {
            "; what the providers have is looked up again"
        } else {
            "; only history is affected"
        };
        let _ = writeln!(
            text,
            "{} {}: {}{effect}",
            paint.notable("lost:"),
            loss.infrastructure,
            loss.what
        );
    }
    text
}

fn check_json(report: &Report, repaired: Option<&Repaired>) -> serde_json::Value {
    let infrastructures: Vec<_> = report
        .infrastructures
        .iter()
        .map(|one| {
            json!({
                "id": one.id.as_str(), "events": one.entries, "snapshots": one.snapshots, "requests": one.requests,
                "first_bad": one.first_bad.as_ref().map(|damage| damage.sequence), "problems": one.problems,
            })
        })
        .collect();
    let losses = repaired.map(|repaired| {
        let one = |loss: &zenekar_store::Loss| {
            json!({ "infrastructure": loss.infrastructure.as_str(), "what": loss.what, "state_affected": loss.is_state_affected })
        };
        repaired.losses.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "schema_version": SCHEMA_VERSION, "kind": "check", "intact": report.is_intact(), "problems": report.problems,
        "infrastructures": infrastructures, "quarantined": report.quarantined, "losses": losses,
    })
}
