//! `zenekar replay`: lets a run happen again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use zenekar_diagnostics::codes::replay::OTHER_DESCRIPTOR;
use zenekar_diagnostics::{Diagnostic, FileId, SourceMap, Span};
use zenekar_verify::{
    Comparison, Described, Detail, ReplayFile, Replayed, Setting, World, replay, tell,
};

use super::behaviours::{self, Known};
use super::stated;
use crate::arguments::{DescriptorArguments, Global, ReplayArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, counted};
use crate::place::Place;
use crate::replay_file;

pub(crate) fn run(
    arguments: &ReplayArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    let Again {
        recorded,
        text,
        id,
        teller,
        world,
        replayed,
    } = again(arguments, &place, output)?;
    let diagnostic = replayed.diagnostic(&recorded.verdict, &text, id);
    let is_same = replayed.comparison == Comparison::Same;
    let story = tell(&world, &replayed.run, detail(arguments));
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "replay",
            "same": is_same,
            "verdict": replayed.run.verdict.name(),
            "property": replayed.run.verdict.property(),
            "recorded": {
                "verdict": recorded.verdict.name(),
                "property": recorded.verdict.property(),
                "steps": recorded.choices.len(),
            },
            "steps": replayed.run.choices.len(),
            "moved": replayed.moved,
            "sentences": story.sentences.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(),
            "difference": diagnostic.as_ref().map(|one| one.message.clone()),
        }))?;
    } else {
        let mut text = String::new();
        for sentence in &story.sentences {
            let _ = writeln!(text, "{sentence}");
        }
        let _ = writeln!(text, "{}", story.ending);
        if is_same {
            let steps = counted(recorded.choices.len(), "step");
            let _ = writeln!(text, "the same to the last bit: {steps}");
        }
        output.data(&text)?;
    }
    if let Some(diagnostic) = diagnostic {
        teller.tell(&[diagnostic]);
    }
    Ok(if is_same {
        Exit::Success
    } else {
        Exit::Diverged
    })
}

/// A recorded run that happened again.
pub(super) struct Again {
    pub(super) recorded: ReplayFile,
    text: String,
    id: FileId,
    teller: Teller,
    pub(super) world: World,
    pub(super) replayed: Replayed,
}

/// Reads a replay file, and lets its run happen again.
pub(super) fn again(
    arguments: &ReplayArguments,
    place: &Place,
    output: Output,
) -> Result<Again, Failure> {
    let opened = replay_file::open(&arguments.file, output)?;
    let (recorded, text, id) = (opened.recorded, opened.text, opened.id);
    let teller = Teller {
        sources: opened.sources,
        output,
    };
    let span = ReplayFile::span_of(&text, id, 0).unwrap_or_else(|| Span::new(id, 0, 0));
    let setting = setting(arguments, &recorded, span, place, &teller)?;
    let world = World::new(setting);
    let replayed = replay(&world, &recorded);
    Ok(Again {
        recorded,
        text,
        id,
        teller,
        world,
        replayed,
    })
}

fn detail(arguments: &ReplayArguments) -> Detail {
    if arguments.full {
        Detail::Everything
    } else {
        Detail::Folded
    }
}

/// Shows what is wrong with a replay file.
struct Teller {
    sources: SourceMap,
    output: Output,
}

impl Teller {
    fn tell(&self, diagnostics: &[Diagnostic]) {
        self.output.findings(diagnostics, &self.sources);
    }

    /// Warns if a file is not the one with which a run was recorded.
    fn compare(&self, one: &Described, recorded: &Described, span: Span) {
        if one.digest != recorded.digest {
            let message = format!("`{}` is not what it was", recorded.path);
            self.tell(&[Diagnostic::warning(&OTHER_DESCRIPTOR, message).at(span)]);
        }
    }
}

/// Reads the descriptors that a file names, and makes what it is made from.
fn setting(
    arguments: &ReplayArguments,
    recorded: &ReplayFile,
    span: Span,
    place: &Place,
    teller: &Teller,
) -> Result<Setting, Failure> {
    let header = &recorded.header;
    let read = |described: &Described, given: Option<&PathBuf>| {
        let file = given.map_or_else(|| find(&described.path, &arguments.file), PathBuf::clone);
        let descriptor = DescriptorArguments {
            file,
            nodes: arguments.nodes.clone(),
            on: arguments.on.clone().or_else(|| header.on.clone()),
            allow_host_commands: false,
        };
        let known = behaviours::read(&descriptor, place, teller.output)?;
        teller.compare(&known.described, described, span);
        Ok::<Known, Failure>(known)
    };
    let main = read(&header.descriptor, arguments.descriptor.as_ref())?;
    let mut behaviours = main.behaviours;
    let mut updates = Vec::new();
    for described in header.updates() {
        let known = read(described, None)?;
        for (node, behaviour) in known.behaviours.nodes {
            behaviours.nodes.entry(node).or_insert(behaviour);
        }
        updates.push(known.topology);
    }
    let setting = header.setting(&main.topology, behaviours, updates, span);
    let mut setting = setting.map_err(|found| {
        teller.tell(&found);
        replay_file::invalid(&arguments.file, found.len())
    })?;
    let files: Vec<PathBuf> = if arguments.property.is_empty() {
        let named = header.properties.iter();
        named.map(|one| find(&one.path, &arguments.file)).collect()
    } else {
        arguments.property.clone()
    };
    let described = stated::describe(&files)?;
    for (one, recorded) in described.iter().zip(&header.properties) {
        teller.compare(one, recorded, span);
    }
    setting.properties = Arc::new(stated::read(&files, &setting, teller.output)?);
    Ok(setting)
}

/// Returns where a descriptor is: as it was named, or beside the replay file.
pub(super) fn find(path: &str, replay_file: &Path) -> PathBuf {
    let path = Path::new(path);
    let beside = replay_file.parent().map(|folder| folder.join(path));
    match beside {
        Some(beside) if !path.is_file() && beside.is_file() => beside,
        _ => path.to_owned(),
    }
}
