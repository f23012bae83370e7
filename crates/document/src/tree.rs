//! The document: an arena of values, and views into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenekar_base::{Float, Value};
use zenekar_diagnostics::{FileId, Span};

use crate::position;

/// Identifies a value of a document. An alias has the id of the value that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Returns the number as an index into a table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    SingleQuoted,
    /// In double quotes.
    DoubleQuoted,
    /// A text block after `|`.
    Literal,
    /// A text block after `>`.
    Folded,
    /// A whole file, included as text.
    File,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'d> {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// Text.
    String(&'d str),
    /// A date or time stamp, as it is written.
    Date(&'d str),
    /// Bytes (`!!binary`).
    Bytes(&'d [u8]),
    /// A sequence; see [`View::items`].
    List,
    /// A mapping; see [`View::entries`].
    Map,
    /// A value that could not be read; already reported.
    Invalid,
}

/// Marks text that is kept in the document itself rather than in a source text.
pub(crate) const OWN_TEXT: u16 = u16::MAX;
/// Marks a mapping without an index.
pub(crate) const NO_INDEX: u32 = u32::MAX;

/// Where the text of a scalar is kept: mostly in the source, which costs no copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextRef {
    pub(crate) start: u32,
    pub(crate) length: u32,
    /// The index of the source text, or [`OWN_TEXT`].
    pub(crate) source: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    /// An index into the table of numbers beyond 64 bits.
    WideInt(u32),
    Float(f64),
    Text(TextRef),
    Date(TextRef),
    Bytes(u32),
    List {
        first: u32,
        count: u32,
    },
    Map {
        first: u32,
        count: u32,
        /// Where its index starts in `sorted`, or [`NO_INDEX`].
        index: u32,
    },
    /// Another place at which the value stands.
    Alias(u32),
    /// A value that comes from another file.
    Import(u32),
    Invalid,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) data: Data,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) source: u16,
    pub(crate) style: Style,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryData {
    pub(crate) text: TextRef,
    pub(crate) key: u32,
    pub(crate) value: u32,
    pub(crate) merged: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: FileId,
    pub(crate) text: Arc<str>,
}

/// A document that was read, over possibly several files.
///
/// The references between its values form no cycle, and no path is longer than
/// [`Limits::depth_max`](crate::Limits::depth_max), so that consumers may recurse.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub(crate) sources: Vec<Source>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) items: Vec<u32>,
    pub(crate) entries: Vec<EntryData>,
    /// Offsets of entries within their mapping, by key, for mappings with many entries.
    pub(crate) sorted: Vec<u32>,
    pub(crate) text: String,
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) wide: Vec<i128>,
    /// The tags that were kept as names, by value.
    pub(crate) tags: BTreeMap<u32, TextRef>,
    pub(crate) root: Option<u32>,
}

impl Document {
    /// Returns the value of the whole document; none if it is empty.
    pub fn root(&self) -> Option<View<'_>> {
        self.root.map(|site| View {
            document: self,
            site,
        })
    }

    /// Returns the number of values as written, for tables indexed by [`NodeId`].
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns a value by its id.
    pub fn view(&self, id: NodeId) -> Option<View<'_>> {
        (id.index() < self.nodes.len()).then_some(View {
            document: self,
            site: id.0,
        })
    }

    pub(crate) fn text_of(&self, text: TextRef) -> &str {
        let whole = if text.source == OWN_TEXT {
            &self.text
        } else {
            self.sources
                .get(usize::from(text.source))
                .map_or("", |source| &*source.text)
        };
        let start = text.start as usize;
        whole.get(start..start + text.length as usize).unwrap_or("")
    }

    /// Follows aliases and includes to the value itself.
    pub(crate) fn resolve(&self, mut site: u32) -> u32 {
        while let Data::Alias(target) | Data::Import(target) = self.nodes[site as usize].data {
            site = target;
        }
        site
    }

    pub(crate) fn span_of(&self, node: u32) -> Span {
        let node = self.nodes[node as usize];
        let file = self
            .sources
            .get(usize::from(node.source))
            .map_or(FileId(0), |source| source.file);
        Span::new(file, node.start, node.end)
    }

    /// Returns the position of an entry within its mapping.
    pub(crate) fn find(&self, data: Data, key: &str) -> Option<&EntryData> {
        let Data::Map {
            first,
            count,
            index,
        } = data
        else {
            return None;
        };
        let entries = &self.entries[first as usize..(first + count) as usize];
        if index == NO_INDEX {
            return entries.iter().find(|entry| self.text_of(entry.text) == key);
        }
        let sorted = &self.sorted[index as usize..(index + count) as usize];
        let at = sorted
            .binary_search_by(|offset| self.text_of(entries[*offset as usize].text).cmp(key))
            .ok()?;
        entries.get(sorted[at] as usize)
    }
}

/// A value at one of the places where it stands.
#[derive(Clone, Copy, Debug)]
pub struct View<'d> {
    document: &'d Document,
    site: u32,
}

impl<'d> View<'d> {
    fn target(self) -> &'d Node {
        &self.document.nodes[self.document.resolve(self.site) as usize]
    }

    /// Returns the tag of the value as it is written, if it was read by
    /// [`load_text_with_tags`](crate::load_text_with_tags) and stands for
    /// nothing that is known.
    pub fn tag(self) -> Option<&'d str> {
        let tag = self.document.tags.get(&self.id().0)?;
        Some(self.document.text_of(*tag))
    }

    /// Returns the identity of the value: all aliases of one anchor have the same.
    pub fn id(self) -> NodeId {
        NodeId(self.document.resolve(self.site))
    }

    /// Returns where the value stands here: for an alias the `*name`, for an include the tag.
    pub fn span(self) -> Span {
        self.document.span_of(self.site)
    }

    /// Returns where the value itself is written.
    pub fn definition_span(self) -> Span {
        self.document.span_of(self.document.resolve(self.site))
    }

    /// Returns what the value is.
    pub fn kind(self) -> Kind<'d> {
        let document = self.document;
        match self.target().data {
            Data::Null => Kind::Null,
            Data::Bool(truth) => Kind::Bool(truth),
            Data::Int(number) => Kind::Int(i128::from(number)),
            Data::WideInt(at) => document
                .wide
                .get(at as usize)
                .map_or(Kind::Invalid, |number| Kind::Int(*number)),
            Data::Float(number) => Kind::Float(number),
            Data::Text(text) => Kind::String(document.text_of(text)),
            Data::Date(text) => Kind::Date(document.text_of(text)),
            Data::Bytes(at) => document
                .bytes
                .get(at as usize)
                .map_or(Kind::Invalid, |bytes| Kind::Bytes(bytes)),
            Data::List { .. } => Kind::List,
            Data::Map { .. } => Kind::Map,
            Data::Alias(_) | Data::Import(_) | Data::Invalid => Kind::Invalid,
        }
    }

    /// Names the type as [`Value::type_name`] does.
    pub fn type_name(self) -> &'static str {
        match self.kind() {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Int(_) => "integer",
            Kind::Float(_) => "float",
            Kind::String(_) => "string",
            Kind::Date(_) => "date",
            Kind::Bytes(_) => "binary",
            Kind::List => "list",
            Kind::Map => "mapping",
            Kind::Invalid => "invalid",
        }
    }

    /// Returns the text of a string.
    pub fn as_str(self) -> Option<&'d str> {
        match self.kind() {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of a whole number.
    pub fn as_int(self) -> Option<i128> {
        match self.kind() {
            Kind::Int(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the value of a truth value.
    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Says whether the value could not be read, which was already reported.
    pub fn is_invalid(self) -> bool {
        self.kind() == Kind::Invalid
    }

    /// Says whether an alias stands here rather than the value itself.
    pub fn is_alias(self) -> bool {
        matches!(self.document.nodes[self.site as usize].data, Data::Alias(_))
    }

    /// Says whether the value comes from an included file.
    pub fn is_import(self) -> bool {
        let mut site = self.site;
        loop {
            match self.document.nodes[site as usize].data {
                Data::Import(_) => return true,
                Data::Alias(target) => site = target,
                _ => return self.target().style == Style::File,
            }
        }
    }

    /// Returns how a scalar is written.
    pub fn scalar_style(self) -> Style {
        self.target().style
    }

    /// Returns the items of a list; nothing for anything else.
    pub fn items(self) -> Items<'d> {
        let document = self.document;
        let sites = match self.target().data {
            Data::List { first, count } => {
                &document.items[first as usize..(first + count) as usize]
            }
            _ => &[],
        };
        Items {
            document,
            sites: sites.iter(),
        }
    }

    /// Returns the entries of a mapping, own ones first, then merged ones; nothing for anything else.
    pub fn entries(self) -> Entries<'d> {
        let document = self.document;
        let entries = match self.target().data {
            Data::Map { first, count, .. } => {
                &document.entries[first as usize..(first + count) as usize]
            }
            _ => &[],
        };
        Entries {
            document,
            entries: entries.iter(),
        }
    }

    /// Returns the value of a key of a mapping.
    pub fn get(self, key: &str) -> Option<View<'d>> {
        self.get_entry(key).map(|entry| entry.value)
    }

    /// Returns an entry of a mapping.
    pub fn get_entry(self, key: &str) -> Option<Entry<'d>> {
        self.document
            .find(self.target().data, key)
            .map(|entry| Entry::new(self.document, entry))
    }

    /// Returns where a byte of the text of a string was written, to place
    /// findings about parts of the text. Escapes and folded lines are followed
    /// back as far as possible.
    pub fn position_in(self, byte_in_value: usize) -> Span {
        self.range_in(byte_in_value, byte_in_value)
    }

    /// Returns where a range of bytes of the text of a string was written.
    pub fn range_in(self, start: usize, end: usize) -> Span {
        let node = self.target();
        let whole = self.definition_span();
        let (Data::Text(text) | Data::Date(text)) = node.data else {
            return whole;
        };
        if text.source != OWN_TEXT {
            let at = |byte: usize| text.start + crate::offsets::to_u32(byte).min(text.length);
            return Span::new(whole.file, at(start), at(end.max(start)));
        }
        let Some(source) = self.document.sources.get(usize::from(node.source)) else {
            return whole;
        };
        let written = source
            .text
            .get(whole.start as usize..whole.end as usize)
            .unwrap_or("");
        let value = self.document.text_of(text);
        let first = position::find(written, node.style, value, start);
        let last = if end > start {
            position::find(written, node.style, value, end).max(first)
        } else {
            first
        };
        Span::new(
            whole.file,
            whole.start + crate::offsets::to_u32(first),
            whole.start + crate::offsets::to_u32(last),
        )
    }

    /// Returns the value as plain data, aliases and merges written out.
    /// What could not be read becomes null.
    pub fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null | Kind::Invalid => Value::Null,
            Kind::Bool(truth) => Value::Bool(truth),
            Kind::Int(number) => Value::Int(number),
            Kind::Float(number) => Value::Float(Float(number)),
            Kind::String(text) => Value::String(text.to_owned()),
            Kind::Date(text) => Value::Date(text.to_owned()),
            Kind::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            // The recursion is bounded, because the depth of a document is.
            Kind::List => Value::List(self.items().map(View::to_value).collect()),
            Kind::Map => Value::Map(
                self.entries()
                    .map(|entry| (entry.key.text().to_owned(), entry.value.to_value()))
                    .collect(),
            ),
        }
    }
}

/// The items of a list.
#[derive(Clone, Debug)]
pub struct Items<'d> {
    document: &'d Document,
    sites: std::slice::Iter<'d, u32>,
}

impl<'d> Iterator for Items<'d> {
    type Item = View<'d>;

    fn next(&mut self) -> Option<View<'d>> {
        self.sites.next().map(|site| View {
            document: self.document,
            site: *site,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.sites.size_hint()
    }
}

impl ExactSizeIterator for Items<'_> {}

/// The entries of a mapping.
#[derive(Clone, Debug)]
pub struct Entries<'d> {
    document: &'d Document,
    entries: std::slice::Iter<'d, EntryData>,
}

impl<'d> Iterator for Entries<'d> {
    type Item = Entry<'d>;

    fn next(&mut self) -> Option<Entry<'d>> {
        self.entries
            .next()
            .map(|entry| Entry::new(self.document, entry))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}

/// One entry of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'d> {
    /// The key.
    pub key: Key<'d>,
    /// The value.
    pub value: View<'d>,
    /// Says whether the entry was taken over by a merge (`<<`).
    pub merged: bool,
}

impl<'d> Entry<'d> {
    fn new(document: &'d Document, entry: &'d EntryData) -> Self {
        let key = Key {
            view: View {
                document,
                site: entry.key,
            },
            text: document.text_of(entry.text),
        };
        Self {
            key,
            value: View {
                document,
                site: entry.value,
            },
            merged: entry.merged,
        }
    }
}

/// The key of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Key<'d> {
    view: View<'d>,
    text: &'d str,
}

impl<'d> Key<'d> {
    /// Returns the key as text; scalars other than strings as YAML writes them.
    pub fn text(self) -> &'d str {
        self.text
    }

    /// Returns where the key is written.
    pub fn span(self) -> Span {
        self.view.span()
    }

    /// Returns the key as a value, to tell the key `1` from the key `"1"`.
    pub fn view(self) -> View<'d> {
        self.view
    }
}
