//! Reads descriptors for all commands that take one.

use std::path::Path;

use zenekar_diagnostics::{
    Diagnostic, Severity, SourceMap, render_concise, render_human, render_json,
};
use zenekar_model::Topology;
use zenekar_occopus::{LoadOptions, Loaded, NotCarried};

use crate::arguments::DescriptorArguments;
use crate::clouds;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, counted};
use crate::place::Place;

/// Settings that could not be carried over, shown one by one; the rest is counted.
const NOT_CARRIED_SHOWN_MAX: usize = 12;

/// A descriptor that was read, and the texts that its findings point into.
pub(crate) struct Described {
    /// What was read and found.
    pub(crate) loaded: Loaded,
    /// The texts.
    pub(crate) sources: SourceMap,
}

impl Described {
    /// Reads a descriptor.
    pub(crate) fn load(arguments: &DescriptorArguments) -> Self {
        let mut sources = SourceMap::default();
        let options = LoadOptions {
            definitions: arguments.nodes.clone(),
            allow_host_commands: arguments.allow_host_commands,
            ..LoadOptions::default()
        };
        let loaded = zenekar_occopus::load(&arguments.file, &options, &mut sources);
        Self { loaded, sources }
    }

    /// Counts the findings of a severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.loaded
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }

    /// Writes the findings for people.
    pub(crate) fn render(&self, output: Output, concise: bool) -> String {
        let diagnostics: &[Diagnostic] = &self.loaded.diagnostics;
        if concise {
            render_concise(diagnostics, &self.sources)
        } else {
            render_human(diagnostics, &self.sources, output.talk_paint.is_enabled())
        }
    }

    /// Returns the findings for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        render_json(&self.loaded.diagnostics, &self.sources)
    }
}

/// Reads a descriptor and tells what was found on stderr. Its topology is taken out.
pub(crate) fn read(
    arguments: &DescriptorArguments,
    output: Output,
) -> Result<(Described, Topology), Failure> {
    let mut described = Described::load(arguments);
    output.findings(&described.loaded.diagnostics, &described.sources);
    match described.loaded.topology.take() {
        Some(topology) => Ok((described, topology)),
        None => Err(invalid(&arguments.file, described.count(Severity::Error))),
    }
}

/// Reads a descriptor, tells what was found on stderr, moves it to another
/// provider if that is asked for, and finds out at which clouds its nodes are.
pub(crate) fn prepare(
    arguments: &DescriptorArguments,
    place: &Place,
    output: Output,
) -> Result<Topology, Failure> {
    let (_, topology) = read(arguments, output)?;
    settle(&topology, arguments.on.as_deref(), place, output)
}

/// Finds out at which clouds the nodes of a topology are, after moving them if
/// that is asked for; tells what could not be carried over.
pub(crate) fn settle(
    topology: &Topology,
    on: Option<&str>,
    place: &Place,
    output: Output,
) -> Result<Topology, Failure> {
    let target = on.map(|text| clouds::target(place, text)).transpose()?;
    let (settled, lost) = clouds::settle(topology, target.as_ref());
    if let Some(target) = &target {
        tell_not_carried(&lost, &target.provider, output);
    }
    Ok(settled)
}

/// Makes the failure for a descriptor with mistakes.
pub(crate) fn invalid(file: &Path, errors: usize) -> Failure {
    Failure::new(
        Exit::InvalidDescriptor,
        format!(
            "`{}` has {}",
            file.display(),
            counted(errors.max(1), "mistake")
        ),
    )
}

/// Tells which settings another provider does not have.
pub(crate) fn tell_not_carried(lost: &[NotCarried], provider: &str, output: Output) {
    if lost.is_empty() {
        return;
    }
    if output.is_json() {
        let items: Vec<_> = lost
            .iter()
            .map(|one| serde_json::json!({ "definition": one.definition, "key": one.key, "reason": one.reason }))
            .collect();
        let value = serde_json::json!({
            "schema_version": crate::output::SCHEMA_VERSION, "kind": "not-carried", "provider": provider, "settings": items,
        });
        output.line(&value.to_string());
        return;
    }
    output.warn(&format!(
        "{} could not be carried over to `{provider}`:",
        counted(lost.len(), "setting")
    ));
    for one in lost.iter().take(NOT_CARRIED_SHOWN_MAX) {
        output.line(&format!(
            "  `{}` of `{}`: {}",
            one.key, one.definition, one.reason
        ));
    }
    if lost.len() > NOT_CARRIED_SHOWN_MAX {
        output.line(&format!(
            "  … and {} more",
            lost.len() - NOT_CARRIED_SHOWN_MAX
        ));
    }
}
