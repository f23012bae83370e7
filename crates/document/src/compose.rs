//! From the events of the parser to the arena.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use zenekar_diagnostics::{Diagnostic, Span, codes::document as codes};

use crate::input::AsciiFirst;
use crate::load::Loader;
use crate::offsets::{Offsets, to_u32};
use crate::properties::{self, Properties};
use crate::scalar::{self, Scalar};
use crate::straighten;
use crate::tree::{Data, EntryData, NO_INDEX, Node, OWN_TEXT, Style, TextRef};

mod alias;
mod block;
mod brackets;
mod map;
mod tag;

use tag::Meaning;

/// What the parser says when an alias has no anchor; it can go on after that.
const UNKNOWN_ANCHOR: &str = "while parsing node, found unknown anchor";

/// One pass over the text of one file.
pub(crate) struct Pass<'t> {
    /// The text as the file has it.
    pub(crate) original: &'t str,
    /// The text to parse: of the same length, with broken parts blanked out.
    pub(crate) text: &'t str,
    /// The parts that are blanked out; what is left of their values is invalid.
    pub(crate) blanked: &'t [Range<usize>],
    /// The parts out of which line breaks were taken.
    pub(crate) straightened: &'t [Range<usize>],
    /// The index of the source text.
    pub(crate) source: u16,
}

/// A list or mapping that is not yet complete.
struct Frame {
    /// The place of the collection in the arena.
    node: u32,
    is_map: bool,
    anchor: usize,
    meaning: Meaning,
    tag_span: Option<Span>,
    /// Where its children start on the stack of children.
    children: usize,
    /// The levels below it.
    height: usize,
    /// The expanded size of all before it.
    expanded_before: u64,
}

#[derive(Clone, Copy)]
enum Anchor {
    /// Not seen, or in a part that was skipped.
    Unknown,
    /// The value is not yet complete, so that an alias would be a cycle.
    Open { node: u32 },
    Complete {
        node: u32,
        expanded: u64,
        height: usize,
    },
}

struct Composer<'l, 's, 't> {
    loader: &'l mut Loader<'s>,
    pass: Pass<'t>,
    offsets: Offsets<'t>,
    frames: Vec<Frame>,
    children: Vec<u32>,
    anchors: Vec<Anchor>,
    /// The node of each anchor name, for the warning about repeated ones.
    names: HashMap<&'t str, u32>,
    /// The levels of a too deep part that is being skipped.
    skipped: usize,
    /// Set once a budget is used up: nothing more is read.
    exhausted: bool,
    root: Option<u32>,
    /// The levels of the root.
    height: usize,
    /// The levels around the root, in the files that include this one.
    outer_depth: usize,
    documents: usize,
}

impl Loader<'_> {
    /// Reads one pass; an error of the syntax ends it.
    pub(crate) fn compose(&mut self, pass: Pass<'_>) -> Result<Option<u32>, ScanError> {
        let offsets = Offsets::new(pass.text);
        let mut parser = Parser::new(AsciiFirst::new(pass.text));
        let outer_depth = self.depth;
        let mut composer = Composer {
            loader: self,
            pass,
            offsets,
            frames: Vec::new(),
            children: Vec::new(),
            anchors: Vec::new(),
            names: HashMap::new(),
            skipped: 0,
            exhausted: false,
            root: None,
            height: 0,
            outer_depth,
            documents: 0,
        };
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, span)) => composer.event(event, span),
                Err(error) if error.info() == UNKNOWN_ANCHOR => composer.unknown_anchor(&error),
                Err(error) => return Err(error),
            }
            if composer.exhausted {
                break;
            }
        }
        composer.close_all();
        composer.loader.height = composer.height;
        Ok(composer.root)
    }
}

impl Composer<'_, '_, '_> {
    fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span) {
        if self.documents > 1 {
            return;
        }
        let start = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index());
        if self.skipped > 0 {
            self.skip(&event);
            return;
        }
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let range = start as usize..end as usize;
                let value = straighten::restored_within(value, &range, self.pass.straightened);
                let text = self.pass.text;
                let value = if end as usize == text.len() {
                    block::without_added_break(value, style, text, start as usize)
                } else {
                    value
                };
                self.scalar(&value, style, anchor, tag.as_deref(), start, end);
            }
            Event::Alias(anchor) => self.alias(anchor, start, end),
            Event::SequenceStart(anchor, tag) => {
                self.open(false, anchor, tag.as_deref(), start, end);
            }
            Event::MappingStart(anchor, tag) => self.open(true, anchor, tag.as_deref(), start, end),
            Event::SequenceEnd | Event::MappingEnd => self.close(start, end),
            Event::DocumentStart(_) => self.document(start, end),
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
        }
    }

    fn document(&mut self, start: u32, end: u32) {
        self.documents += 1;
        if self.documents == 2 {
            let diagnostic = Diagnostic::error(&codes::MULTIPLE_DOCUMENTS, "a second document starts here")
                .labelled(self.span(start, end), "everything from here on is ignored")
                .help("a descriptor is one document: remove this line, or move the rest to a file of its own");
            self.loader.report(diagnostic);
        }
    }

    /// Returns the levels of lists and mappings that are open, over all files.
    fn depth(&self) -> usize {
        self.outer_depth + self.frames.len()
    }

    fn span(&self, start: u32, end: u32) -> Span {
        Span::new(self.loader.file(self.pass.source), start, end)
    }

    fn bytes_span(&self, range: &Range<usize>) -> Span {
        self.span(to_u32(range.start), to_u32(range.end))
    }

    /// Follows the events of a part that is skipped.
    fn skip(&mut self, event: &Event<'_>) {
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => self.skipped += 1,
            Event::SequenceEnd | Event::MappingEnd => self.skipped -= 1,
            _ => {}
        }
    }

    /// Counts one more value; reports the end of the budget.
    fn spend(&mut self, start: u32, end: u32) -> bool {
        let most = self.loader.limits.nodes_max;
        self.loader.spent.nodes += 1;
        self.loader.spent.expanded = self.loader.spent.expanded.saturating_add(1);
        if self.loader.spent.nodes > most {
            if !self.exhausted {
                let diagnostic =
                    Diagnostic::error(&codes::TOO_MANY_NODES, format!("more than {most} values"));
                self.loader.report(
                    diagnostic
                        .labelled(self.span(start, end), "everything from here on is ignored"),
                );
            }
            self.exhausted = true;
        }
        !self.exhausted
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        start: u32,
        end: u32,
    ) {
        if !self.spend(start, end) {
            return;
        }
        let properties = self.properties(anchor, tag, start);
        let start = properties
            .as_ref()
            .map_or(start, |found| to_u32(found.content).min(end.max(start)));
        let style = style_of(style);
        let (start, end) = self.trim(value, style, start, end);
        let meaning = self.meaning_of(tag);
        let tag_span = properties
            .as_ref()
            .and_then(|found| found.tag.clone())
            .map(|range| self.bytes_span(&range));
        let data = if self.is_blanked(value, start) {
            Data::Invalid
        } else {
            self.scalar_data(value, style, meaning, start, end)
        };
        let node = self.push(Node {
            data,
            start,
            end,
            source: self.pass.source,
            style,
        });
        if let Some(span) = tag_span {
            self.check_scalar_tag(meaning, node, span);
        }
        self.name(properties.as_ref(), node);
        self.set_anchor(
            anchor,
            Anchor::Complete {
                node,
                expanded: 1,
                height: 0,
            },
        );
        self.add(node);
    }

    /// Reads where anchor and tag are written, if there are any.
    fn properties(&self, anchor: usize, tag: Option<&Tag>, start: u32) -> Option<Properties> {
        (anchor > 0 || tag.is_some()).then(|| properties::read(self.pass.original, start as usize))
    }

    /// Narrows the place of a scalar to its visible text.
    fn trim(&self, value: &str, style: Style, start: u32, end: u32) -> (u32, u32) {
        let written = self
            .pass
            .original
            .get(start as usize..end as usize)
            .unwrap_or("");
        if value.is_empty() && style == Style::Plain {
            // The parser names the indicator before an empty value, or what comes after it.
            let bytes = self.pass.original.as_bytes();
            let indicator = matches!(bytes.get(start as usize), Some(b':' | b'-' | b'?'));
            let alone = bytes.get(start as usize + 1).is_none_or(|next| {
                next.is_ascii_whitespace() || matches!(next, b',' | b'}' | b']')
            });
            let at = if indicator && alone { start + 1 } else { start };
            return (at, at);
        }
        (start, start + to_u32(written.trim_end().len()))
    }

    fn is_blanked(&self, value: &str, start: u32) -> bool {
        let start = start as usize;
        value.is_empty()
            && self
                .pass
                .blanked
                .iter()
                .any(|range| range.start <= start && start <= range.end)
    }

    fn scalar_data(
        &mut self,
        value: &str,
        style: Style,
        meaning: Meaning,
        start: u32,
        end: u32,
    ) -> Data {
        if style == Style::Plain
            && matches!(meaning, Meaning::None | Meaning::Unknown | Meaning::Opaque)
        {
            let resolved = scalar::resolve(value);
            if let Scalar::Int(number) = resolved {
                self.warn_about_leading_zero(value, number, start, end);
            }
            return self.data_of(resolved, value, style, start);
        }
        self.tagged_data(value, style, meaning, start)
    }

    fn data_of(&mut self, resolved: Scalar, value: &str, style: Style, start: u32) -> Data {
        match resolved {
            Scalar::Null => Data::Null,
            Scalar::Bool(truth) => Data::Bool(truth),
            Scalar::Int(number) => i64::try_from(number).map_or_else(
                |_| {
                    self.loader.document.wide.push(number);
                    Data::WideInt(to_u32(self.loader.document.wide.len() - 1))
                },
                Data::Int,
            ),
            Scalar::Float(number) => Data::Float(number),
            Scalar::Date => Data::Date(self.keep(value, style, start)),
            Scalar::Text => Data::Text(self.keep(value, style, start)),
        }
    }

    /// Refers to the text of a scalar in the source where it stands there as it is.
    fn keep(&mut self, value: &str, style: Style, start: u32) -> TextRef {
        let quote = u32::from(matches!(style, Style::SingleQuoted | Style::DoubleQuoted));
        let start = start + quote;
        let range = start as usize..start as usize + value.len();
        if self.pass.original.as_bytes().get(range) == Some(value.as_bytes()) {
            return TextRef {
                start,
                length: to_u32(value.len()),
                source: self.pass.source,
            };
        }
        self.keep_own(value)
    }

    fn keep_own(&mut self, value: &str) -> TextRef {
        let own = &mut self.loader.document.text;
        let start = to_u32(own.len());
        own.push_str(value);
        TextRef {
            start,
            length: to_u32(value.len()),
            source: OWN_TEXT,
        }
    }

    fn warn_about_leading_zero(&mut self, value: &str, number: i128, start: u32, end: u32) {
        let digits = value.trim_start_matches(['+', '-']);
        let leading_zero = digits.len() > 1
            && digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if leading_zero {
            let span = self.span(start, end);
            let diagnostic = Diagnostic::warning(
                &codes::LEADING_ZERO,
                format!("`{value}` is the decimal number {number}"),
            )
            .labelled(span, "not octal, and not text")
            .help(format!(
                "write `\"{value}\"` for text, or `0o{}` for an octal number",
                digits.trim_start_matches('0')
            ));
            self.loader.report(diagnostic);
        }
    }

    fn report_depth(&mut self, start: u32, end: u32) {
        let message = format!(
            "nested more than {} levels deep",
            self.loader.limits.depth_max
        );
        self.loader
            .report(Diagnostic::error(&codes::TOO_DEEP, message).at(self.span(start, end)));
    }

    fn open(&mut self, is_map: bool, anchor: usize, tag: Option<&Tag>, start: u32, end: u32) {
        if self.depth() >= self.loader.limits.depth_max {
            self.report_depth(start, end);
            self.skipped = 1;
            let node = self.push(Node {
                data: Data::Invalid,
                start,
                end,
                source: self.pass.source,
                style: Style::Plain,
            });
            self.add(node);
            return;
        }
        if !self.spend(start, end) {
            return;
        }
        let properties = self.properties(anchor, tag, start);
        let start = properties
            .as_ref()
            .map_or(start, |found| to_u32(found.content));
        let tag_span = properties
            .as_ref()
            .and_then(|found| found.tag.clone())
            .map(|range| self.bytes_span(&range));
        let node = self.push(Node {
            data: Data::Invalid,
            start,
            end: end.max(start),
            source: self.pass.source,
            style: Style::Plain,
        });
        self.name(properties.as_ref(), node);
        self.set_anchor(anchor, Anchor::Open { node });
        let meaning = self.meaning_of(tag);
        self.frames.push(Frame {
            node,
            is_map,
            anchor,
            meaning,
            tag_span,
            children: self.children.len(),
            height: 0,
            expanded_before: self.loader.spent.expanded - 1,
        });
    }

    fn close(&mut self, start: u32, end: u32) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let end = self.end_of(&frame, start, end);
        self.check_brackets(&frame, end);
        let node = &mut self.loader.document.nodes[frame.node as usize];
        node.end = end.max(node.start);
        let data = if frame.is_map {
            self.close_map(&frame)
        } else {
            self.close_list(&frame)
        };
        self.children.truncate(frame.children);
        let data = self.apply_collection_tag(&frame, data);
        self.loader.document.nodes[frame.node as usize].data = data;
        // What a file adds counts like what stands here.
        let imported = if matches!(data, Data::Import(_)) {
            self.loader.height
        } else {
            0
        };
        let height = (frame.height + 1).max(imported);
        let expanded = self.loader.spent.expanded - frame.expanded_before;
        self.set_anchor(
            frame.anchor,
            Anchor::Complete {
                node: frame.node,
                expanded,
                height,
            },
        );
        if let Some(outer) = self.frames.last_mut() {
            outer.height = outer.height.max(height);
        } else {
            self.height = self.height.max(height);
        }
        self.add(frame.node);
    }

    /// Returns where a collection ends: at its bracket, or with its last child.
    fn end_of(&self, frame: &Frame, start: u32, end: u32) -> u32 {
        let opening = self
            .pass
            .original
            .as_bytes()
            .get(self.loader.document.nodes[frame.node as usize].start as usize);
        if matches!(opening, Some(b'[' | b'{')) && end > start {
            return end;
        }
        let last = self.children.get(frame.children..).and_then(<[u32]>::last);
        last.map_or(end, |last| self.loader.document.nodes[*last as usize].end)
    }

    fn close_list(&mut self, frame: &Frame) -> Data {
        let document = &mut self.loader.document;
        let first = to_u32(document.items.len());
        let items = &self.children[frame.children..];
        document.items.extend_from_slice(items);
        Data::List {
            first,
            count: to_u32(items.len()),
        }
    }

    /// Ends the collections that a used-up budget left open.
    fn close_all(&mut self) {
        while !self.frames.is_empty() {
            let end = to_u32(self.pass.text.len());
            self.close(end, end);
        }
    }

    fn push(&mut self, node: Node) -> u32 {
        self.loader.push_node(node)
    }

    /// Gives a complete value to the collection that it is in.
    fn add(&mut self, node: u32) {
        if self.frames.is_empty() {
            self.root = self.root.or(Some(node));
        } else {
            self.children.push(node);
        }
    }

    fn set_anchor(&mut self, anchor: usize, state: Anchor) {
        if anchor == 0 {
            return;
        }
        if self.anchors.len() <= anchor {
            self.anchors.resize(anchor + 1, Anchor::Unknown);
        }
        self.anchors[anchor] = state;
    }

    /// Remembers the name of an anchor, and warns if it had another value.
    fn name(&mut self, properties: Option<&Properties>, node: u32) {
        let Some(range) = properties.and_then(|found| found.anchor.clone()) else {
            return;
        };
        let Some(name) = self.pass.original.get(range.clone()) else {
            return;
        };
        if let Some(earlier) = self.names.insert(name, node) {
            let diagnostic = Diagnostic::warning(
                &codes::DUPLICATE_ANCHOR,
                format!("the anchor `&{name}` is defined twice"),
            )
            .labelled(
                self.bytes_span(&(range.start - 1..range.end)),
                "aliases after this mean this value",
            )
            .also(
                self.loader.document.span_of(earlier),
                "and those before it mean this one",
            );
            self.loader.report(diagnostic);
        }
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// Makes an entry of an index-less mapping.
const fn entry(text: TextRef, key: u32, value: u32) -> EntryData {
    EntryData {
        text,
        key,
        value,
        merged: false,
    }
}

/// Returns the data of a mapping without index.
const fn plain_map(first: u32, count: u32) -> Data {
    Data::Map {
        first,
        count,
        index: NO_INDEX,
    }
}
