//! Descriptors with what their nodes do.

use std::fmt::Write as _;
use std::sync::Arc;

use zenekar_base::FingerprintBuilder;
use zenekar_diagnostics::SourceMap;
use zenekar_model::Topology;
use zenekar_model::behaviour::Behaviours;
use zenekar_verify::Setting;

use crate::arguments::DescriptorArguments;
use crate::descriptor;
use crate::errors::Failure;
use crate::output::{Output, counted};
use crate::place::Place;

/// A descriptor and what its nodes do.
pub(crate) struct Known {
    pub(crate) topology: Arc<Topology>,
    pub(crate) behaviours: Behaviours,
    /// Where it was read from, and what tells it from others.
    pub(crate) described: zenekar_verify::Described,
}

/// Reads a descriptor, tells what was found, and derives what its nodes do.
pub(crate) fn read(
    arguments: &DescriptorArguments,
    place: &Place,
    output: Output,
) -> Result<Known, Failure> {
    let (described, topology) = descriptor::read(arguments, output)?;
    let topology = match &arguments.on {
        // What is explored is not carried anywhere: clouds need not be known here.
        None => topology,
        Some(on) => descriptor::settle(&topology, Some(on), place, output)?,
    };
    let annotations = &described.loaded.annotations;
    let behaviours = zenekar_behaviour::derive(&topology, annotations, &described.sources);
    let described = zenekar_verify::Described {
        path: arguments.file.display().to_string(),
        digest: digest(&described.sources),
    };
    Ok(Known {
        described,
        topology: Arc::new(topology),
        behaviours,
    })
}

/// Returns what tells the texts of a descriptor from others: the first half of
/// the SHA-256 over all of them.
fn digest(sources: &SourceMap) -> String {
    let mut builder = FingerprintBuilder::default();
    for file in sources.ids() {
        builder.text(sources.text(file));
    }
    format!("sha256/128:{}", builder.finish())
}

/// Tells what is known of what the nodes do.
pub(crate) fn tell(setting: &Setting) -> String {
    let mut text = String::from("what instances do, as far as the descriptor shows it:\n");
    for node in setting.topology.nodes() {
        let segments = setting.behaviours.segments_of(&node.name);
        let _ = writeln!(
            text,
            "  {}: {}",
            node.name,
            counted(segments.len(), "segment")
        );
        for segment in segments {
            let mut notes = Vec::new();
            let mut note = |word: &str, list: Vec<String>| {
                if !list.is_empty() {
                    notes.push(format!("{word} {}", list.join(", ")));
                }
            };
            note(
                "needs",
                segment.needs.iter().map(ToString::to_string).collect(),
            );
            note(
                "gives",
                segment.gives.iter().map(ToString::to_string).collect(),
            );
            note("reads", segment.reads.clone());
            note("writes", segment.writes.clone());
            note("holds", segment.holds.clone());
            if segment.retries {
                notes.push("tries again".to_owned());
            }
            let notes = notes.join("; ");
            let dash = if notes.is_empty() { "" } else { " – " };
            let _ = writeln!(text, "    {}{dash}{notes}", segment.label);
        }
        let behaviour = setting.behaviours.nodes.get(&node.name);
        for secret in behaviour.into_iter().flat_map(|one| &one.foreign_secrets) {
            let (variable, owner) = (&secret.variable, &secret.owner);
            let _ = writeln!(text, "    is given `{variable}` of `{owner}`");
        }
    }
    text
}
