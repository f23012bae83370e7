//! What tags mean.

use saphyr_parser::Tag;
use zenekar_diagnostics::{Diagnostic, Span, codes::document as codes, did_you_mean};

use super::{Composer, Frame};
use crate::encoding;
use crate::import::ImportKind;
use crate::scalar::{self, Scalar};
use crate::tree::{Data, Style, TextRef};

/// Where the tags of YAML itself live.
const CORE: &str = "tag:yaml.org,2002:";
/// The tags that are known, as users write them.
const KNOWN: [&str; 11] = [
    "!yaml_import",
    "!text_import",
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!binary",
    "!!timestamp",
    "!!seq",
    "!!map",
];

/// The tags of a configuration file that name objects, or modules to import.
const OBJECTS: [&str; 12] = [
    "!python_import",
    "!ResourceHandler",
    "!ConfigManager",
    "!UDS",
    "!EventLog",
    "!InfoRouter",
    "!DynamicStateProvider",
    "!ResourceHandlerProvider",
    "!ConfigManagerProvider",
    "!SynchronizationProvider",
    "!KeyValueStore",
    "!InfraProcessor",
];

/// What a tag asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    None,
    Text,
    Int,
    Float,
    Bool,
    Null,
    Binary,
    Timestamp,
    List,
    Map,
    Import(ImportKind),
    Python,
    /// A name that is kept and stands for nothing.
    Opaque,
    Unknown,
}

impl Meaning {
    pub(super) fn of(tag: &Tag) -> Self {
        let name = format!("{}{}", tag.handle, tag.suffix);
        if let Some(core) = name.strip_prefix(CORE) {
            return match core {
                "str" => Self::Text,
                "int" => Self::Int,
                "float" => Self::Float,
                "bool" => Self::Bool,
                "null" => Self::Null,
                "binary" => Self::Binary,
                "timestamp" => Self::Timestamp,
                "seq" => Self::List,
                "map" => Self::Map,
                _ if core.starts_with("python") => Self::Python,
                _ => Self::Unknown,
            };
        }
        match name.as_str() {
            // Occopus's reader gives the value its type all the same.
            "!" => Self::None,
            "!yaml_import" => Self::Import(ImportKind::Yaml),
            "!text_import" => Self::Import(ImportKind::Text),
            "!python_import" => Self::Python,
            _ => Self::Unknown,
        }
    }
}

impl Composer<'_, '_, '_> {
    /// Returns the value of a quoted or tagged scalar.
    pub(super) fn tagged_data(
        &mut self,
        value: &str,
        style: Style,
        meaning: Meaning,
        start: u32,
    ) -> Data {
        let resolved = match meaning {
            Meaning::None | Meaning::Unknown | Meaning::Opaque | Meaning::Text => {
                Some(Scalar::Text)
            }
            Meaning::Int => scalar::integer(value).map(Scalar::Int),
            Meaning::Float => scalar::float(value)
                .or_else(|| whole_float(value))
                .map(Scalar::Float),
            // By this tag the words of YAML 1.1 are truth values after all.
            Meaning::Bool => scalar::boolean(value)
                .or_else(|| scalar::boolean_word(value).filter(|_| value.len() > 1))
                .map(Scalar::Bool),
            Meaning::Null => scalar::is_null(value).then_some(Scalar::Null),
            Meaning::Timestamp => scalar::is_date(value).then_some(Scalar::Date),
            Meaning::Binary => return self.binary(value),
            Meaning::List | Meaning::Map | Meaning::Import(_) | Meaning::Python => None,
        };
        resolved.map_or(Data::Invalid, |resolved| {
            self.data_of(resolved, value, style, start)
        })
    }

    fn binary(&mut self, value: &str) -> Data {
        let Some(bytes) = encoding::base64(value) else {
            return Data::Invalid;
        };
        let document = &mut self.loader.document;
        document.bytes.push(bytes);
        Data::Bytes(crate::offsets::to_u32(document.bytes.len() - 1))
    }

    /// Reports a tag that a scalar cannot have.
    pub(super) fn check_scalar_tag(&mut self, meaning: Meaning, node: u32, tag: Span) {
        if self.is_object_tag(tag) {
            return;
        }
        if meaning == Meaning::Opaque {
            self.keep_tag(node, tag);
            return;
        }
        let span = self.loader.document.span_of(node);
        let invalid = matches!(
            self.loader.document.nodes[node as usize].data,
            Data::Invalid
        );
        let diagnostic = match meaning {
            Meaning::Import(kind) => self.import_of_scalar(kind, span, tag),
            Meaning::Python | Meaning::Unknown => self.bad_tag(meaning, tag),
            _ if invalid => Diagnostic::error(
                &codes::TAG_MISMATCH,
                format!("the value is not what `{}` announces", self.tag_text(tag)),
            )
            .labelled(span, "does not fit")
            .also(tag, "the tag"),
            _ => return,
        };
        self.loader.report(diagnostic);
    }

    fn import_of_scalar(&self, kind: ImportKind, span: Span, tag: Span) -> Diagnostic {
        let text = self
            .pass
            .original
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
            .trim_matches(['"', '\'']);
        let path = text.strip_prefix("file://").unwrap_or(text);
        let diagnostic = Diagnostic::error(
            &codes::MALFORMED_INCLUDE,
            format!(
                "`{}` needs a mapping with the key `url`",
                self.tag_text(tag)
            ),
        )
        .at(span);
        let name = if kind == ImportKind::Yaml {
            "!yaml_import"
        } else {
            "!text_import"
        };
        if path.is_empty() || path.contains('\n') {
            return diagnostic.help(format!("write `{name} {{ url: file://PATH }}`"));
        }
        diagnostic.fix(span, format!("{{ url: file://{path} }}"))
    }

    /// Says whether the tag is one that a configuration file may have.
    fn is_object_tag(&self, tag: Span) -> bool {
        self.loader.takes_object_tags && OBJECTS.contains(&self.tag_text(tag))
    }

    /// Keeps the name of a tag of a stored object: it stands for nothing else.
    fn keep_tag(&mut self, node: u32, tag: Span) {
        let text = TextRef {
            start: tag.start,
            length: tag.len(),
            source: self.pass.source,
        };
        self.loader.document.tags.insert(node, text);
    }

    /// Returns what a tag asks for; that of a stored object asks for nothing.
    pub(super) fn meaning_of(&self, tag: Option<&Tag>) -> Meaning {
        match tag.map_or(Meaning::None, Meaning::of) {
            Meaning::Python | Meaning::Unknown if self.loader.keeps_tags => Meaning::Opaque,
            meaning => meaning,
        }
    }

    fn tag_text(&self, tag: Span) -> &str {
        self.pass
            .original
            .get(tag.start as usize..tag.end as usize)
            .unwrap_or("the tag")
    }

    fn bad_tag(&self, meaning: Meaning, tag: Span) -> Diagnostic {
        let text = self.tag_text(tag);
        if meaning == Meaning::Python {
            return Diagnostic::error(
                &codes::PYTHON_TAG,
                format!("`{text}` would run Python code, which Zenekar never does"),
            )
            .at(tag)
            .help("write the value itself");
        }
        let diagnostic =
            Diagnostic::error(&codes::UNKNOWN_TAG, format!("unknown tag `{text}`")).at(tag);
        match did_you_mean(text, KNOWN) {
            Some(near) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(tag, near),
            None => diagnostic.help("if the value is text that starts with `!`, put it in quotes"),
        }
    }

    /// Applies the tag of a list or mapping to its data.
    pub(super) fn apply_collection_tag(&mut self, frame: &Frame, data: Data) -> Data {
        let Some(tag) = frame.tag_span else {
            return data;
        };
        match (frame.meaning, data) {
            (Meaning::Map, Data::Map { .. }) | (Meaning::List, Data::List { .. }) => return data,
            (Meaning::Import(kind), Data::Map { .. }) => {
                return self.import(kind, frame, data, tag);
            }
            _ if self.is_object_tag(tag) => return data,
            (Meaning::Opaque, _) => {
                self.keep_tag(frame.node, tag);
                return data;
            }
            _ => {}
        }
        let diagnostic = match frame.meaning {
            Meaning::Python | Meaning::Unknown => self.bad_tag(frame.meaning, tag),
            Meaning::Import(_) => Diagnostic::error(
                &codes::MALFORMED_INCLUDE,
                format!(
                    "`{}` needs a mapping with the key `url`",
                    self.tag_text(tag)
                ),
            )
            .at(self.loader.document.span_of(frame.node)),
            _ => Diagnostic::error(
                &codes::TAG_MISMATCH,
                format!("the value is not what `{}` announces", self.tag_text(tag)),
            )
            .labelled(self.loader.document.span_of(frame.node), "does not fit")
            .also(tag, "the tag"),
        };
        self.loader.report(diagnostic);
        if frame.meaning == Meaning::Unknown {
            data
        } else {
            Data::Invalid
        }
    }

    /// Replaces an include by what it includes.
    fn import(&mut self, kind: ImportKind, frame: &Frame, data: Data, tag: Span) -> Data {
        let document = &self.loader.document;
        // The place of an include is its tag: this is what a reader looks for.
        let site = document.span_of(frame.node);
        let url = document.find(data, "url").copied();
        let other = match data {
            Data::Map { first, count, .. } => document.entries
                [first as usize..(first + count) as usize]
                .iter()
                .find(|entry| document.text_of(entry.text) != "url")
                .copied(),
            _ => None,
        };
        if let Some(other) = other {
            let name = document.text_of(other.text);
            let message = format!("unknown key `{name}` in an include");
            // Occopus passes over it as long as there is a `url`.
            let diagnostic = if url.is_some() {
                Diagnostic::warning(&codes::MALFORMED_INCLUDE, message)
            } else {
                Diagnostic::error(&codes::MALFORMED_INCLUDE, message)
            };
            let diagnostic = diagnostic
                .at(document.span_of(other.key))
                .help("an include has the single key `url`");
            self.loader.report(diagnostic);
        }
        let Some(url) = url else {
            if other.is_none() {
                let message = format!("`{}` needs the key `url`", self.tag_text(tag));
                self.loader
                    .report(Diagnostic::error(&codes::MALFORMED_INCLUDE, message).at(site));
            }
            return Data::Invalid;
        };
        let document = &self.loader.document;
        let target = document.resolve(url.value);
        let Data::Text(text) = document.nodes[target as usize].data else {
            if !matches!(document.nodes[target as usize].data, Data::Invalid) {
                let span = document.span_of(url.value);
                self.loader.report(
                    Diagnostic::error(
                        &codes::MALFORMED_INCLUDE,
                        "the `url` of an include must be a string",
                    )
                    .at(span),
                );
            }
            return Data::Invalid;
        };
        let address = document.text_of(text).to_owned();
        let mut span = document.span_of(url.value);
        if matches!(
            document.nodes[url.value as usize].style,
            Style::SingleQuoted | Style::DoubleQuoted
        ) && span.len() >= 2
        {
            span = Span::new(span.file, span.start + 1, span.end - 1);
        }
        let node = &mut self.loader.document.nodes[frame.node as usize];
        node.start = tag.start;
        // What a text or a failed include adds has no levels.
        self.loader.height = 0;
        let depth = self.depth();
        let around = std::mem::replace(&mut self.loader.depth, depth);
        let included = self.loader.include(kind, &address, span);
        self.loader.depth = around;
        included.map_or(Data::Invalid, Data::Import)
    }
}

/// Reads a whole number as a floating-point one, as `!!float 3` asks for.
fn whole_float(value: &str) -> Option<f64> {
    scalar::integer(value)?;
    value.replace('_', "").parse().ok()
}
