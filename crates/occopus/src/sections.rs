//! The sections of descriptors as they are written, for those who look at the
//! text itself instead of what it means.

use std::path::{Path, PathBuf};

use zenekar_diagnostics::{SourceMap, Span};
use zenekar_document::{Document, Limits, Project, View, load_file_in};

use crate::description::DEFINITION_PREFIX;
use crate::find;

/// The documents of a description and of the files with node definitions that
/// it uses.
///
/// What is wrong with them is reported by [`crate::load`] and
/// [`crate::load_definitions`]; here it is left out.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    documents: Vec<Document>,
}

/// A node as it is written.
#[derive(Clone, Copy, Debug)]
pub struct NodeSection<'d> {
    /// The name.
    pub name: &'d str,
    /// Where the name is written.
    pub name_span: Span,
    /// The node type.
    pub type_name: &'d str,
    /// The whole node.
    pub view: View<'d>,
}

/// An implementation of a node definition as it is written.
#[derive(Clone, Copy, Debug)]
pub struct ImplementationSection<'d> {
    /// The node type that it belongs to.
    pub type_name: &'d str,
    /// Where the node type is written.
    pub type_span: Span,
    /// Its position in the list of implementations.
    pub position: usize,
    /// The whole implementation.
    pub view: View<'d>,
}

impl Sections {
    /// Reads files: a description, files with node definitions, or both.
    ///
    /// As in [`crate::load`], files are only included from within the folder of
    /// the first one, or from within their own folder if they are not in that.
    pub fn read(files: &[PathBuf], limits: &Limits, sources: &mut SourceMap) -> Self {
        let root = files
            .first()
            .map_or(Path::new("."), |first| find::folder_of(first));
        let documents = files
            .iter()
            .map(|file| {
                let own = find::folder_of(file);
                let project = Project {
                    root: if is_inside(own, root) { root } else { own }.to_path_buf(),
                };
                load_file_in(&project, file, limits, sources).document
            })
            .collect();
        Self { documents }
    }

    /// Makes sections of documents that were read already.
    pub fn from_documents(documents: Vec<Document>) -> Self {
        Self { documents }
    }

    /// Returns the roots of all documents.
    pub fn roots(&self) -> impl Iterator<Item = View<'_>> {
        self.documents.iter().filter_map(Document::root)
    }

    /// Returns the variables that all nodes inherit.
    pub fn variables(&self) -> Option<View<'_>> {
        self.documents.first()?.root()?.get("variables")
    }

    /// Returns the nodes that have a name and a type.
    pub fn nodes(&self) -> Vec<NodeSection<'_>> {
        let Some(nodes) = self
            .documents
            .first()
            .and_then(Document::root)
            .and_then(|root| root.get("nodes"))
        else {
            return Vec::new();
        };
        nodes
            .items()
            .filter_map(|view| {
                let name = view.get("name")?;
                Some(NodeSection {
                    name: name.as_str()?,
                    name_span: name.span(),
                    type_name: view.get("type")?.as_str()?,
                    view,
                })
            })
            .collect()
    }

    /// Returns the implementations of all node definitions.
    pub fn implementations(&self) -> Vec<ImplementationSection<'_>> {
        self.roots()
            .flat_map(View::entries)
            .filter_map(|entry| {
                let type_name = entry.key.text().strip_prefix(DEFINITION_PREFIX)?;
                Some((type_name, entry))
            })
            .flat_map(|(type_name, entry)| {
                let all = entry.value.items().enumerate();
                all.map(move |(position, view)| ImplementationSection {
                    type_name,
                    type_span: entry.key.span(),
                    position,
                    view,
                })
            })
            .collect()
    }
}

/// Says whether a folder is in another one, links followed.
fn is_inside(folder: &Path, root: &Path) -> bool {
    match (folder.canonicalize(), root.canonicalize()) {
        (Ok(folder), Ok(root)) => folder.starts_with(root),
        _ => false,
    }
}
