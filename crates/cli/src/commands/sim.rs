//! `zenekar sim`: looks at the simulated cloud, and breaks things in it.

use std::fmt::Write as _;

use serde_json::json;
use zenekar_base::{Addresses, Millis, ResourceId, ResourceState, Timestamp};
use zenekar_provider_sim::SimFiles;
use zenekar_simcloud::{Intervention, LedgerEntry, Plant, Quota, Settings};

use crate::arguments::{
    Global, SimCommand, SimPlantArguments, SimQuotaArguments, SimResetArguments, SimShowArguments,
};
use crate::commands::run::confirm;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, columns, counted, grouped};
use crate::place::Place;

pub(crate) fn run(command: &SimCommand, global: &Global, output: Output) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    match command {
        SimCommand::Show(arguments) => show(arguments, &place, output),
        SimCommand::Plant(arguments) => plant(arguments, &place, output),
        SimCommand::Kill(target) => strike(
            &target.machines,
            &place,
            Intervention::Kill,
            "killed",
            output,
        ),
        SimCommand::Stop(target) => strike(
            &target.machines,
            &place,
            Intervention::Stop,
            "stopped",
            output,
        ),
        SimCommand::Outage(arguments) => outage(arguments.duration, &place, output),
        SimCommand::Profile(arguments) => {
            profile(&arguments.profile, arguments.seed, &place, output)
        }
        SimCommand::Quota(arguments) => quota(arguments, &place, output),
        SimCommand::Reset(arguments) => reset(arguments, &place, output),
    }
}

/// The kinds of calls, in the order in which the cloud counts them.
const CALLS: [&str; 5] = ["create", "observe", "delete", "recontextualise", "probe"];

const fn state_name(state: ResourceState) -> &'static str {
    match state {
        ResourceState::Pending => "pending",
        ResourceState::Running => "running",
        ResourceState::Stopped => "stopped",
        ResourceState::Failed => "failed",
        ResourceState::Deleting => "deleting",
        ResourceState::Gone => "gone",
    }
}

/// Opens the cloud, and says what time it is there.
fn open(place: &Place) -> Result<(SimFiles, Timestamp), Failure> {
    let files = SimFiles::open(&place.sim_directory())?;
    let now = files.anchor()?.cloud;
    Ok((files, now))
}

/// Opens the cloud if there is one: looking makes none.
fn open_existing(place: &Place) -> Result<(SimFiles, Timestamp), Failure> {
    if !place.sim_directory().is_dir() {
        return Err(Failure::usage("there is no simulated cloud yet")
            .hint("`zenekar up FILE --on sim` makes one"));
    }
    open(place)
}

/// Shows what others have made without a name, and without a tag of ours.
fn or_dash(text: &str) -> String {
    let is_empty = text.is_empty();
    if is_empty { "-" } else { text }.to_owned()
}

fn show(arguments: &SimShowArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    let (mut files, now) = open_existing(place)?;
    let overview = files.overview(now)?;
    let machines: Vec<LedgerEntry> = if arguments.all {
        files.cloud().ledger().entries().collect()
    } else {
        overview.resources
    };
    let counters = overview.counters;
    if output.is_json() {
        let calls: serde_json::Map<String, serde_json::Value> = CALLS
            .iter()
            .zip(counters.calls)
            .map(|(kind, count)| ((*kind).to_owned(), json!(count)))
            .collect();
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "sim",
            "now_ms": overview.now.0,
            "machines": machines,
            "cores_used": overview.cores_used,
            "duplicates": files.cloud().ledger().duplicates_ever(),
            "calls": calls,
            "calls_failed": counters.calls_failed,
            "created": counters.created,
            "deleted": counters.deleted,
            "broken": counters.broken,
            "settings": overview.settings,
        }))?;
        return Ok(Exit::Success);
    }
    let mut table = vec![
        ["MACHINE", "NAME", "INFRASTRUCTURE", "STATE", "ADDRESS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for machine in &machines {
        let state = match machine.state {
            Some(state) if machine.deleted_at.is_none() => state_name(state).to_owned(),
            _ => "gone".to_owned(),
        };
        let address = machine.addresses.primary().unwrap_or("-").to_owned();
        table.push(vec![
            machine.resource.to_string(),
            or_dash(&machine.name),
            or_dash(machine.infrastructure.as_str()),
            state,
            address,
        ]);
    }
    let mut text = if machines.is_empty() {
        "no machines\n".to_owned()
    } else {
        format!("{}\n", columns(&table, 0).join("\n"))
    };
    let count = |number: u64| grouped(usize::try_from(number).unwrap_or(usize::MAX));
    let _ = writeln!(
        text,
        "\n{} calls, {} failed; {} machines created, {} deleted, {} broken",
        count(counters.calls.iter().sum()),
        count(counters.calls_failed),
        count(counters.created),
        count(counters.deleted),
        count(counters.broken),
    );
    output.data(&text)?;
    Ok(Exit::Success)
}

/// Bytes of the id of a planted machine: they are shown in tables.
const MACHINE_BYTES_MAX: usize = 128;

fn plant(arguments: &SimPlantArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    if arguments.machines.len() > 1 && !arguments.addresses.is_empty() {
        return Err(
            Failure::usage("several machines cannot have the same addresses")
                .hint("plant them one by one, or without `--address`"),
        );
    }
    let (mut files, now) = open(place)?;
    let mut done = Vec::new();
    for machine in &arguments.machines {
        let is_fine = machine.len() <= MACHINE_BYTES_MAX
            && machine.chars().all(|letter| letter.is_ascii_graphic());
        let plant = Plant {
            resource: ResourceId::new(machine.as_str()),
            name: String::new(),
            addresses: Addresses {
                all: arguments.addresses.clone(),
                private: None,
            },
        };
        if !is_fine || !files.intervene(now, Intervention::Plant(Box::new(plant)))? {
            return Err(
                Failure::usage(format!("`{}` cannot be planted", machine.escape_debug()))
                    .hint("an id has no spaces, is not like `sim-000001`, and was not used before"),
            );
        }
        done.push(format!("planted {machine}"));
    }
    tell(output, &done)
}

fn strike(
    targets: &[String],
    place: &Place,
    intervention: impl Fn(ResourceId) -> Intervention,
    word: &str,
    output: Output,
) -> Result<Exit, Failure> {
    let (mut files, now) = open_existing(place)?;
    let mut machines = Vec::new();
    for target in targets {
        let found = files.resolve(target);
        match found.as_slice() {
            [one] => machines.push((target, one.clone())),
            [] => {
                return Err(Failure::usage(format!("there is no machine `{target}`"))
                    .hint("`zenekar sim show` lists the machines"));
            }
            several => {
                let names: Vec<String> = several.iter().map(|one| format!("`{one}`")).collect();
                return Err(
                    Failure::usage(format!("`{target}` can be {}", names.join(", ")))
                        .hint("say which one by its machine id"),
                );
            }
        }
    }
    let mut done = Vec::new();
    for (target, machine) in machines {
        if !files.intervene(now, intervention(machine.clone()))? {
            return Err(Failure::usage(format!(
                "`{target}` cannot be {word} in its present state"
            )));
        }
        done.push(format!("{word} {target} ({machine})"));
    }
    tell(output, &done)
}

fn outage(duration: std::time::Duration, place: &Place, output: Output) -> Result<Exit, Failure> {
    let (mut files, now) = open_existing(place)?;
    let span = Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    if span == Millis::ZERO {
        files.intervene(now, Intervention::Recover)?;
        tell(output, &["the simulated cloud answers again".to_owned()])
    } else {
        files.intervene(now, Intervention::Outage(span))?;
        let text = format!("every call fails for {span} of simulated time");
        tell(output, &[text])
    }
}

fn profile(name: &str, seed: Option<u64>, place: &Place, output: Output) -> Result<Exit, Failure> {
    let (mut files, now) = open(place)?;
    let before = files.cloud().settings().clone();
    let Some(profile) = Settings::profile(name) else {
        return Err(Failure::usage(format!("there is no profile `{name}`")));
    };
    let settings = Settings {
        seed: seed.unwrap_or(before.seed),
        quota: before.quota,
        ..profile
    };
    files.intervene(now, Intervention::SetSettings(Box::new(settings)))?;
    let text = format!(
        "the simulated cloud is `{name}` now; `{}` holds its settings",
        files.directory().join("settings.json").display()
    );
    tell(output, &[text])
}

fn quota(arguments: &SimQuotaArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    let (mut files, now) = open(place)?;
    let quota = Quota {
        instances: arguments.machines,
        cores: arguments.cores,
    };
    files.intervene(now, Intervention::SetQuota(quota))?;
    let text = |limit: Option<u32>, noun: &str| {
        limit.map_or_else(
            || format!("any number of {noun}s"),
            |limit| counted(limit as usize, noun),
        )
    };
    let text = format!(
        "the account may have {} with {}",
        text(quota.instances, "machine"),
        text(quota.cores, "core")
    );
    tell(output, &[text])
}

fn reset(arguments: &SimResetArguments, place: &Place, output: Output) -> Result<Exit, Failure> {
    let directory = place.sim_directory();
    if !directory.is_dir() {
        return tell(output, &["there is no simulated cloud".to_owned()]);
    }
    confirm(
        "Delete the simulated cloud with everything in it?",
        arguments.yes,
        output,
    )?;
    match SimFiles::open(&directory) {
        Ok(mut files) => {
            let (now, settings) = (
                files.anchor()?.cloud,
                Settings {
                    seed: files.cloud().settings().seed,
                    ..Settings::calm()
                },
            );
            files.reset(now, settings)?;
        }
        // What cannot be opened can still be thrown away.
        Err(_) => std::fs::remove_dir_all(&directory)
            .map_err(|error| Failure::from_file("delete", &directory, &error))?,
    }
    tell(output, &["the simulated cloud is empty".to_owned()])
}

/// Says what was done, to programs as one document.
fn tell(output: Output, done: &[String]) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(
            &json!({ "schema_version": SCHEMA_VERSION, "kind": "simulation", "done": done }),
        )?;
    } else {
        for text in done {
            output.line(text);
        }
    }
    Ok(Exit::Success)
}
