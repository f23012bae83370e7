//! `zenekar verify`: explores what can happen to an infrastructure before it is deployed.

mod behaviours;
mod explore;
mod findings;
mod ladder;
mod live;
mod pictures;
mod replay;
mod report;
mod script;
mod stated;
mod tell;
mod watchdog;

use std::sync::Arc;

use zenekar_verify::{Allowance, Described, Detail, Faults, Personality, Setting};

use crate::arguments::{Global, VerifyArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, counted};
use crate::place::Place;
use findings::Finding;
pub(crate) use replay::run as replay;

pub(crate) fn run(
    arguments: &VerifyArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    if arguments.live.live {
        return live::run(arguments, &place, global, output);
    }
    let (setting, descriptors) = setting(arguments, &place, output)?;
    if output.verbosity > 0 && !output.is_json() {
        output.talk(&behaviours::tell(&setting));
    }
    let usual: ladder::ScriptOf<'_> = &script::usual;
    let script_of = arguments.script.is_none().then_some(usual);
    let ladder = ladder::ladder(setting.clone(), script_of);
    if ladder.rungs.is_empty() {
        let instances = usize::try_from(ladder.too_many.unwrap_or(0)).unwrap_or(usize::MAX);
        let text = format!(
            "{} are too many to be explored",
            counted(instances, "instance")
        );
        let failure = Failure::usage(text);
        return Err(match arguments.script {
            Some(_) => failure.hint("without `--script` fewer of each node are explored"),
            None => failure,
        });
    }
    let result = explore::explore(&ladder, &arguments.search, output)?;
    let detail = if arguments.search.full {
        Detail::Everything
    } else {
        Detail::Folded
    };
    let threads = explore::threads(&arguments.search);
    let found = result.found.iter();
    let findings = found.map(|found| Finding::new(found, threads, detail));
    let findings: Vec<Finding> = findings.collect::<Result<_, _>>()?;
    let mut files = Vec::new();
    if let Some(file) = &arguments.report {
        let origin = report::Origin {
            topology: &setting.topology,
            descriptor: descriptors.descriptor,
            updates: descriptors.updates,
            properties: stated::describe(&arguments.property)?,
            on: arguments.descriptor.on.clone(),
        };
        files = report::write(file, &findings, &origin)?;
    }
    pictures::write(arguments, &setting, &findings, output)?;
    let told = tell::Told {
        setting: &setting,
        explored: &result,
        findings: &findings,
        files: &files,
    };
    told.tell(arguments, output)?;
    Ok(result.exit(&arguments.search))
}

/// The descriptors that were read.
struct Descriptors {
    descriptor: Described,
    updates: Vec<Described>,
}

/// Makes what is explored from the command line.
fn setting(
    arguments: &VerifyArguments,
    place: &Place,
    output: Output,
) -> Result<(Setting, Descriptors), Failure> {
    let main = behaviours::read(&arguments.descriptor, place, output)?;
    let script = script::read(arguments, &main.topology, place, output)?;
    let mut behaviours = main.behaviours;
    for other in script.behaviours {
        for (node, behaviour) in other.nodes {
            behaviours.nodes.entry(node).or_insert(behaviour);
        }
    }
    let bounds = &arguments.bounds;
    let mut setting = Setting::new(main.topology, behaviours);
    setting.script = script.steps;
    setting.allowance = Allowance {
        faults: bounds.faults,
        delays: bounds.delays,
        patience: zenekar_base::Millis(
            u64::try_from(bounds.patience.as_millis()).unwrap_or(u64::MAX),
        ),
    };
    if !bounds.fault.is_empty() {
        let chosen = bounds.fault.iter();
        let chosen = chosen.filter_map(|name| zenekar_verify::Fault::named(name));
        setting.faults = chosen.collect::<Faults>();
    }
    setting.personality = bounds.personality.as_deref().map(Personality::of);
    setting.quota = bounds.quota;
    setting.properties = Arc::new(stated::read(&arguments.property, &setting, output)?);
    let descriptors = Descriptors {
        descriptor: main.described,
        updates: script.updates,
    };
    Ok((setting, descriptors))
}
