//! `zenekar lint`: what is valid in a descriptor and will hurt all the same.

use std::path::PathBuf;

use serde_json::json;
use zenekar_diagnostics::{
    Diagnostic, Severity, SourceMap, render_concise, render_human, render_json,
};
use zenekar_document::View;
use zenekar_lint::{Policy, combine, lint};
use zenekar_occopus::{LoadOptions, Sections, load, load_definitions};

use crate::arguments::LintArguments;
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, counted};

/// The prefix of keys that hold node definitions.
const DEFINITION_PREFIX: &str = "node_def:";

/// What was found in a descriptor.
struct Found {
    files: Vec<PathBuf>,
    /// Whether it could be loaded.
    is_usable: bool,
    findings: Vec<Diagnostic>,
    sources: SourceMap,
}

impl Found {
    fn count(&self, severity: Severity) -> usize {
        let of_severity = |finding: &&Diagnostic| finding.severity == severity;
        self.findings.iter().filter(of_severity).count()
    }
}

/// Kinds of files, told apart by their keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Description,
    Definitions,
    Tosca,
}

pub(crate) fn run(arguments: &LintArguments, output: Output) -> Result<Exit, Failure> {
    let words = |list: &'_ [String]| -> Vec<String> {
        let words = list.iter().flat_map(|word| word.split(','));
        words.map(str::to_owned).collect()
    };
    let (denied, allowed) = (words(&arguments.deny), words(&arguments.allow));
    let policy = Policy::new(
        denied.iter().map(String::as_str),
        allowed.iter().map(String::as_str),
    )
    .map_err(|unknown| {
        Failure::usage(unknown.to_string())
            .hint("docs/lint.md lists the codes; `--deny warnings` stands for all warnings")
    })?;
    let mut found = look(arguments)?;
    policy.apply(&mut found.findings, &found.sources);
    tell(arguments, &found, output)
}

/// Loads the descriptor and looks at it.
fn look(arguments: &LintArguments) -> Result<Found, Failure> {
    let options = LoadOptions {
        definitions: arguments.nodes.clone(),
        ..LoadOptions::default()
    };
    let mut sources = SourceMap::new();
    match kind_of(arguments, &options) {
        FileKind::Tosca => Err(Failure::new(
            Exit::InvalidDescriptor,
            format!(
                "`{}` is a TOSCA description, which `lint` does not support yet",
                arguments.file.display()
            ),
        )
        .hint("infrastructure descriptions and node definitions of Occopus are supported")),
        FileKind::Definitions => {
            let loaded = load_definitions(&arguments.file, &options, &mut sources);
            let is_usable = !loaded.diagnostics.iter().any(Diagnostic::is_error);
            let sections = Sections::from_documents(vec![loaded.document]);
            let found = if is_usable {
                lint(&sections, None)
            } else {
                Vec::new()
            };
            Ok(Found {
                files: vec![arguments.file.clone()],
                is_usable,
                findings: combine(loaded.diagnostics, found, &sources),
                sources,
            })
        }
        FileKind::Description => {
            let loaded = load(&arguments.file, &options, &mut sources);
            let mut found = Vec::new();
            if let Some(topology) = &loaded.topology {
                let sections = Sections::read(&loaded.summary.files, &options.limits, &mut sources);
                found = lint(&sections, Some(topology));
            }
            Ok(Found {
                files: loaded.summary.files,
                is_usable: loaded.topology.is_some(),
                findings: combine(loaded.diagnostics, found, &sources),
                sources,
            })
        }
    }
}

fn kind_of(arguments: &LintArguments, options: &LoadOptions) -> FileKind {
    let mut scratch = SourceMap::new();
    let files = [arguments.file.clone()];
    let sections = Sections::read(&files, &options.limits, &mut scratch);
    let Some(root) = sections.roots().next() else {
        return FileKind::Description;
    };
    let has = |key: &str| root.get(key).is_some();
    let is_definition = |view: View<'_>| {
        view.entries().len() > 0
            && view
                .entries()
                .all(|entry| entry.key.text().starts_with(DEFINITION_PREFIX))
    };
    if has("tosca_definitions_version") || has("topology_template") {
        FileKind::Tosca
    } else if is_definition(root) {
        FileKind::Definitions
    } else {
        FileKind::Description
    }
}

fn tell(arguments: &LintArguments, found: &Found, output: Output) -> Result<Exit, Failure> {
    let errors = found.count(Severity::Error);
    let (warnings, notes) = (found.count(Severity::Warning), found.count(Severity::Note));
    let exit = if errors > 0 || !found.is_usable {
        Exit::InvalidDescriptor
    } else {
        Exit::Success
    };
    if output.is_json() {
        let files: Vec<String> = found
            .files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let mut rendered = render_json(&found.findings, &found.sources);
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "lint",
            "usable": found.is_usable,
            "errors": errors,
            "warnings": warnings,
            "notes": notes,
            "files": files,
            "diagnostics": rendered["diagnostics"].take(),
        }))?;
        return Ok(exit);
    }
    let text = if arguments.concise {
        render_concise(&found.findings, &found.sources)
    } else {
        render_human(
            &found.findings,
            &found.sources,
            output.data_paint.is_enabled(),
        )
    };
    output.data(&text)?;
    if !found.is_usable {
        return Err(descriptor::invalid(&arguments.file, errors));
    }
    if !arguments.concise || found.findings.is_empty() {
        let summary = summary(errors, warnings, notes);
        output.data(&format!("{summary}\n"))?;
    }
    Ok(exit)
}

/// Returns how many findings there are.
fn summary(errors: usize, warnings: usize, notes: usize) -> String {
    let counts: Vec<String> = [(errors, "error"), (warnings, "warning"), (notes, "note")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(count, noun))
        .collect();
    if counts.is_empty() {
        "nothing found".to_owned()
    } else {
        counts.join(", ")
    }
}
