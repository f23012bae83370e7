//! Static findings on descriptors: what is valid and will hurt all the same.
//!
//! [`lint`] looks at a descriptor and at what its instances run. It goes
//! through three views of it:
//!
//! 1. [`zenekar_occopus::Sections`]: the text as it is written, with places;
//!    files that are included as texts are read as documents here.
//! 2. Module `machine`: what one implementation puts onto its instances, that
//!    is files, packages and scripts, and the commands in the order in which
//!    they run (module `shell` reads scripts).
//! 3. Module `landscape`: the implementations together with the nodes that use
//!    them, how many instances those have and who depends on them.
//!
//! The rules (module `rules`) look at the last one. Each has a code `ZK07xx`
//! and a page that tells the reason and the fix.
//!
//! Modules `machine`, `services`, `shared_files` and `shell` are also what the
//! behaviours of nodes are derived with.
//!
//! Architecture invariant: nothing is run, nothing is fetched, no template is
//! rendered for its commands; and a rule that cannot know is silent.

mod landscape;
pub mod machine;
mod policy;
mod report;
mod rules;
pub mod services;
pub mod shared_files;
pub mod shell;
mod suppress;
pub mod text;

use zenekar_diagnostics::{Diagnostic, FileId, SourceMap};
use zenekar_document::Document;
use zenekar_model::Topology;
use zenekar_occopus::Sections;

pub use policy::{Policy, UnknownCode};

/// Looks at a descriptor. Rules that need to know the nodes are silent
/// without a topology.
pub fn lint(sections: &Sections, topology: Option<&Topology>) -> Vec<Diagnostic> {
    let inner: Vec<Option<Document>> = sections
        .implementations()
        .iter()
        .map(|implementation| machine::inner_document(implementation.view))
        .collect();
    let landscape = landscape::Landscape::new(sections, topology, &inner);
    let mut report = report::Report::default();
    rules::check_all(&landscape, topology, &mut report);
    report.finish()
}

/// Puts the findings of loading a descriptor and of looking at it together, in
/// the order of files and lines.
///
/// A file may have been read twice into the sources, for each of the two: its
/// findings come to stand in the first one.
pub fn combine(
    mut loading: Vec<Diagnostic>,
    found: Vec<Diagnostic>,
    sources: &SourceMap,
) -> Vec<Diagnostic> {
    loading.extend(found);
    for finding in &mut loading {
        let labels = finding.primary.iter_mut().chain(&mut finding.secondary);
        for label in labels {
            label.span.file = first_of_name(label.span.file, sources);
        }
    }
    loading.sort_by_key(|finding| {
        let place = finding.primary.as_ref();
        let place = place.map(|label| (label.span.file, label.span.start, finding.code.id));
        (place.is_none(), place)
    });
    loading
}

/// Returns the first file with the name of a file.
fn first_of_name(file: FileId, sources: &SourceMap) -> FileId {
    (0..file.0)
        .map(FileId)
        .find(|earlier| sources.name(*earlier) == sources.name(file))
        .unwrap_or(file)
}
