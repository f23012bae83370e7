//! The registry of diagnostic codes. A code, once published, never changes its
//! meaning and is never used again for another one.

pub mod definition;
pub mod description;
pub mod document;
pub mod files;
pub mod lint;
pub mod preflight;
pub mod project;
pub mod property;
pub mod replay;
pub mod template;

/// A kind of finding with its documentation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    /// The stable name: `ZK` and four digits.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What it means and what to do, in Markdown.
    pub explanation: &'static str,
}

/// Returns all codes in the order of their ids.
pub fn all() -> impl Iterator<Item = &'static Code> {
    [
        document::ALL,
        description::ALL,
        definition::ALL,
        template::ALL,
        project::ALL,
        files::ALL,
        lint::ALL,
        preflight::ALL,
        property::ALL,
        replay::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Returns the code with an id.
pub fn find(id: &str) -> Option<&'static Code> {
    all().find(|code| code.id.eq_ignore_ascii_case(id))
}
