//! YAML with spans, imports and budgets.
//!
//! [`load_file`] and [`load_text`] turn text into a [`Document`]: a tree of
//! typed values in which every value knows where it was written, an alias *is*
//! the value that it names (see [`View::id`]), and `!yaml_import` and
//! `!text_import` are already resolved. Reading never fails as a whole: it
//! returns what could be read and a list of findings, and what could not be
//! read is [`Kind::Invalid`].
//!
//! Architecture invariant: nothing in this crate knows what a descriptor
//! means, and the only I/O is the reading of files inside the project folder.

mod compose;
mod encoding;
mod flow;
mod import;
mod input;
mod limits;
mod load;
mod offsets;
mod position;
mod properties;
mod recover;
mod scalar;
mod straighten;
mod syntax;
mod tree;

pub use limits::Limits;
pub use load::{
    Loaded, Project, load_configuration_file, load_file, load_file_in, load_text,
    load_text_last_counts, load_text_with_tags,
};
pub use scalar::{boolean_word, plain_value, reads_as_text};
pub use tree::{Document, Entries, Entry, Items, Key, Kind, NodeId, Style, View};
