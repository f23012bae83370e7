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
//! Architecture invariant: nothing is run, nothing is fetched, no template is
//! rendered for its commands; and a rule that cannot know is silent.

mod landscape;
mod machine;
mod policy;
mod report;
mod rules;
mod services;
mod shell;
mod suppress;
mod text;

use zenekar_diagnostics::{Diagnostic, SourceMap};
use zenekar_document::Document;
use zenekar_model::Topology;
use zenekar_occopus::Sections;

pub use policy::{Policy, UnknownCode};

/// Looks at a descriptor. Rules that need to know the nodes are silent
/// without a topology.
///
/// The sources are those that the sections were read into. Findings that a
/// comment accepts are left out.
pub fn lint(
    sections: &Sections,
    topology: Option<&Topology>,
    sources: &SourceMap,
) -> Vec<Diagnostic> {
    let inner: Vec<Option<Document>> = sections
        .implementations()
        .iter()
        .map(|implementation| machine::inner_document(implementation.view))
        .collect();
    let landscape = landscape::Landscape::new(sections, topology, &inner);
    let mut report = report::Report::default();
    rules::check_all(&landscape, topology, &mut report);
    let mut findings = report.finish();
    findings.retain(|finding| !suppress::is_accepted(finding, sources));
    findings
}
