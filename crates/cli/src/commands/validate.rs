//! `zenekar validate`: checks a descriptor.

use serde_json::json;
use zenekar_diagnostics::Severity;

use crate::arguments::{Global, ValidateArguments};
use crate::descriptor::{self, Described};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION, counted, grouped};
use crate::place::Place;

pub(crate) fn run(
    arguments: &ValidateArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let mut described = Described::load(&arguments.descriptor);
    let errors = described.count(Severity::Error);
    let warnings = described.count(Severity::Warning);
    let topology = described.loaded.topology.take();
    if output.is_json() {
        let summary = &described.loaded.summary;
        let mut findings = described.to_json();
        let files: Vec<String> = summary
            .files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "validation",
            "valid": topology.is_some(),
            "infrastructure": topology.as_ref().map(zenekar_model::Topology::name),
            "errors": errors,
            "warnings": warnings,
            "files": files,
            "nodes": summary.nodes,
            "definitions": summary.definitions,
            "dependencies": summary.dependencies,
            "instances_min": summary.instances_min,
            "instances_max": summary.instances_max,
            "levels": summary.levels,
            "diagnostics": findings["diagnostics"].take(),
        }))?;
        return Ok(if topology.is_some() {
            Exit::Success
        } else {
            Exit::InvalidDescriptor
        });
    }
    output.talk(&described.render(output, arguments.concise));
    let Some(topology) = topology else {
        return Err(descriptor::invalid(&arguments.descriptor.file, errors));
    };
    if let Some(provider) = &arguments.descriptor.on {
        let place = Place::find(global)?;
        descriptor::settle(&topology, Some(provider), &place, output)?;
    }
    let summary = &described.loaded.summary;
    let to = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let instances = if summary.instances_min == summary.instances_max {
        counted(to(summary.instances_min), "instance")
    } else {
        format!(
            "{} to {}",
            grouped(to(summary.instances_min)),
            counted(to(summary.instances_max), "instance")
        )
    };
    let levels = match summary.levels {
        0 | 1 => String::new(),
        levels => format!(" in {levels} levels"),
    };
    let remark = if warnings > 0 {
        format!(", with {}", counted(warnings, "warning"))
    } else {
        String::new()
    };
    output.data(&format!(
        "{} {}: {}{levels}, {instances}{remark}\n",
        output.data_paint.good("valid:"),
        output.data_paint.strong(topology.name()),
        counted(summary.nodes, "node"),
    ))?;
    Ok(Exit::Success)
}
