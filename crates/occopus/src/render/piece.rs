//! Data whose texts are templates, compiled once and rendered many times.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use zenekar_base::Value;
use zenekar_document::{plain_value, reads_as_text};
use zenekar_template::{ErrorKind, Namespace, Template, TemplateError};

use super::style::{Style, escape_literals, style_of, unfold};

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the member of a mapping.
    Key(String),
    /// To the item of a list.
    Item(usize),
}

/// A template that failed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The way from the implementation to the text.
    pub(crate) path: Vec<Step>,
    /// What went wrong there.
    pub(crate) error: TemplateError,
}

impl Failure {
    /// Describes the place for people, as far as it is known without the files.
    pub(crate) fn place(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if out.is_empty() => out.push_str(key),
                Step::Key(key) => {
                    out.push('.');
                    out.push_str(key);
                }
                Step::Item(position) => {
                    out.push('[');
                    out.push_str(&position.to_string());
                    out.push(']');
                }
            }
        }
        if self.error.line > 1 {
            format!("{out}, line {}", self.error.line)
        } else {
            out
        }
    }
}

/// What a rendering finds out besides its result.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    /// Templates that failed.
    pub(crate) failures: Vec<Failure>,
    /// The ways to texts that asked for an undefined node.
    pub(crate) undefined: Vec<Vec<Step>>,
    /// Set by a function that is given an undefined node.
    watch: &'a Cell<bool>,
}

impl<'a> Findings<'a> {
    /// Starts without any.
    pub(crate) fn new(watch: &'a Cell<bool>) -> Self {
        Self {
            failures: Vec::new(),
            undefined: Vec::new(),
            watch,
        }
    }
}

/// How rendered text comes out of its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it is: the text is not part of a YAML text.
    Text,
    /// As the original reads it back after writing it as YAML and rendering that.
    Emitted,
}

/// Compiled data.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Data without templates.
    Fixed(Value),
    /// A text with a template.
    Text(Arc<TextPiece>),
    /// A list with templates in it.
    List(Vec<Piece>),
    /// A mapping with templates in it; keys can be templates too.
    Map(Vec<(KeyPiece, Piece)>),
}

/// The key of a member of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct KeyPiece {
    name: String,
    template: Option<Arc<TextPiece>>,
}

/// A template within data.
#[derive(Debug)]
pub(crate) struct TextPiece {
    template: Template,
    /// The same with escaped literal parts, where that makes a difference.
    escaped: Option<Template>,
    style: Option<Style>,
    ends_with_line: bool,
}

/// Compiles data and collects what does not compile.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    path: Vec<Step>,
    /// Templates that do not parse.
    pub(crate) failures: Vec<Failure>,
    /// The names that templates read.
    pub(crate) names: BTreeSet<String>,
    /// Whether a text sets a name that others may read.
    pub(crate) sets_names: bool,
}

impl Compiler {
    /// Compiles the data at a path from the implementation.
    pub(crate) fn compile_at(&mut self, path: &[&str], value: &Value, reading: Reading) -> Piece {
        self.path = path
            .iter()
            .map(|key| Step::Key((*key).to_owned()))
            .collect();
        self.compile(value, reading)
    }

    /// Takes over what another compiler found.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.failures.extend(other.failures);
        self.names.extend(other.names);
    }

    fn compile(&mut self, value: &Value, reading: Reading) -> Piece {
        match value {
            Value::String(text) => match self.text(text, reading) {
                Some(piece) => Piece::Text(Arc::new(piece)),
                None => Piece::Fixed(value.clone()),
            },
            Value::List(items) => {
                let pieces: Vec<Piece> = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.within(Step::Item(at), item, reading))
                    .collect();
                if pieces.iter().all(Piece::is_fixed) {
                    Piece::Fixed(value.clone())
                } else {
                    Piece::List(pieces)
                }
            }
            Value::Map(entries) => {
                let pieces: Vec<(KeyPiece, Piece)> = entries
                    .iter()
                    .map(|(key, member)| {
                        let template = self.text(key, reading).map(Arc::new);
                        let piece = self.within(Step::Key(key.clone()), member, reading);
                        (
                            KeyPiece {
                                name: key.clone(),
                                template,
                            },
                            piece,
                        )
                    })
                    .collect();
                let is_fixed = pieces
                    .iter()
                    .all(|(key, piece)| key.template.is_none() && piece.is_fixed());
                if is_fixed {
                    Piece::Fixed(value.clone())
                } else {
                    Piece::Map(pieces)
                }
            }
            _ => Piece::Fixed(value.clone()),
        }
    }

    fn within(&mut self, step: Step, value: &Value, reading: Reading) -> Piece {
        self.path.push(step);
        let piece = self.compile(value, reading);
        self.path.pop();
        piece
    }

    /// Compiles a text; none if it holds no template or does not compile.
    fn text(&mut self, text: &str, reading: Reading) -> Option<TextPiece> {
        // Compiling is far dearer than looking for the only letters that start a tag.
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return None;
        }
        let template = match Template::compile(text) {
            Ok(template) => template,
            Err(error) => {
                self.failures.push(Failure {
                    path: self.path.clone(),
                    error,
                });
                return None;
            }
        };
        self.names.extend(template.undeclared().iter().cloned());
        self.sets_names |= sets_names(text);
        let style = (reading == Reading::Emitted).then(|| style_of(text, reads_as_text(text)));
        let escaped = match style {
            Some(Style::Double) => escape_literals(text)
                .filter(|escaped| escaped != text)
                .and_then(|escaped| Template::compile(&escaped).ok()),
            _ => None,
        };
        Some(TextPiece {
            template,
            escaped,
            style,
            ends_with_line: text.ends_with('\n'),
        })
    }
}

/// Says whether a text has a tag that sets a name for all that follows.
fn sets_names(text: &str) -> bool {
    text.split("{%").skip(1).any(|tag| {
        let tag = tag.trim_start_matches(['-', '+']).trim_start();
        tag.starts_with("set ") || tag.starts_with("macro ")
    })
}

impl Piece {
    /// Says whether rendering gives the same every time.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// Renders the texts that read none of the `open` names, and gathers what the others read.
    pub(crate) fn settle(
        &self,
        namespace: &Namespace<'_>,
        open: &[&str],
        names: &mut BTreeSet<String>,
    ) -> Self {
        match self {
            Self::Fixed(_) => self.clone(),
            Self::Text(text) => {
                let reads = text.template.undeclared();
                if !open.iter().any(|name| reads.contains(*name))
                    && let Ok(value) = text.render(namespace)
                {
                    return Self::Fixed(value);
                }
                names.extend(reads.iter().cloned());
                self.clone()
            }
            Self::List(items) => {
                let settled = items.iter().map(|item| item.settle(namespace, open, names));
                let settled: Vec<Self> = settled.collect();
                let values: Option<Vec<Value>> = settled.iter().map(Self::fixed_value).collect();
                values.map_or(Self::List(settled), |values| {
                    Self::Fixed(Value::List(values))
                })
            }
            Self::Map(entries) => {
                let mut settled = Vec::with_capacity(entries.len());
                for (key, member) in entries {
                    if let Some(template) = &key.template {
                        names.extend(template.template.undeclared().iter().cloned());
                    }
                    settled.push((key.clone(), member.settle(namespace, open, names)));
                }
                let values: Option<Vec<(String, Value)>> = settled
                    .iter()
                    .map(|(key, member)| match key.template {
                        None => Some((key.name.clone(), member.fixed_value()?)),
                        Some(_) => None,
                    })
                    .collect();
                values.map_or(Self::Map(settled), |values| Self::Fixed(Value::Map(values)))
            }
        }
    }

    /// Names what a text reads.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let text = match self {
            Self::Text(text) => Some(text),
            _ => None,
        };
        text.into_iter()
            .flat_map(|text| text.template.undeclared().iter().cloned())
    }

    fn fixed_value(&self) -> Option<Value> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// Renders; what fails is among the findings and null in the result.
    pub(crate) fn render(
        &self,
        namespace: &Namespace<'_>,
        path: &[&str],
        findings: &mut Findings<'_>,
    ) -> Value {
        if let Self::Fixed(value) = self {
            return value.clone();
        }
        let path = path
            .iter()
            .map(|key| Step::Key((*key).to_owned()))
            .collect();
        let mut rendering = Rendering {
            namespace,
            path,
            findings,
        };
        rendering.piece(self)
    }
}

struct Rendering<'a, 'n, 'f> {
    namespace: &'a Namespace<'n>,
    path: Vec<Step>,
    findings: &'a mut Findings<'f>,
}

impl Rendering<'_, '_, '_> {
    fn piece(&mut self, piece: &Piece) -> Value {
        match piece {
            Piece::Fixed(value) => value.clone(),
            Piece::Text(text) => self.text(text),
            Piece::List(items) => {
                let render = |(at, item)| self.within(Step::Item(at), item);
                Value::List(items.iter().enumerate().map(render).collect())
            }
            Piece::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, member)| self.member(key, member))
                    .collect(),
            ),
        }
    }

    fn within(&mut self, step: Step, piece: &Piece) -> Value {
        self.path.push(step);
        let value = self.piece(piece);
        self.path.pop();
        value
    }

    fn member(&mut self, key: &KeyPiece, member: &Piece) -> (String, Value) {
        let value = self.within(Step::Key(key.name.clone()), member);
        let name = match &key.template {
            None => key.name.clone(),
            Some(template) => match self.text(template) {
                Value::String(name) => name,
                other => zenekar_template::python_str(&other),
            },
        };
        (name, value)
    }

    fn text(&mut self, text: &TextPiece) -> Value {
        self.findings.watch.set(false);
        let result = text.render(self.namespace);
        if self.findings.watch.get() {
            self.findings.undefined.push(self.path.clone());
        }
        match result {
            Ok(value) => value,
            Err(error) => {
                self.findings.failures.push(Failure {
                    path: self.path.clone(),
                    error,
                });
                Value::Null
            }
        }
    }
}

impl TextPiece {
    fn render(&self, namespace: &Namespace<'_>) -> Result<Value, TemplateError> {
        let Some(style) = self.style else {
            return self.plainly(namespace).map(Value::String);
        };
        if style == Style::Plain {
            let text = self.plainly(namespace)?;
            // A plain scalar ends at its last letter, and may have become a number.
            // One that inserted text has made something else of stays a text.
            let trimmed = text.trim_matches([' ', '\t']);
            let keeps_form = !trimmed.contains('\n') && style_of(trimmed, true) == Style::Plain;
            return Ok(if keeps_form {
                plain_value(trimmed)
            } else {
                Value::String(text)
            });
        }
        let rendered = match &self.escaped {
            // The escaped form can only fail where the plain one does; its places are wrong.
            Some(escaped) => match escaped.render(namespace) {
                Ok(text) => text,
                Err(_) => return self.plainly(namespace).map(Value::String),
            },
            None => self.template.render(namespace)?,
        };
        match unfold(&rendered, style) {
            Some(text) => Ok(Value::String(text.into_owned())),
            // The inserted text breaks the quotes: the original fails here.
            None => self.plainly(namespace).map(Value::String),
        }
    }

    /// Renders the text as it is. The line end that a template loses at its
    /// end is not at the end of the whole text here.
    fn plainly(&self, namespace: &Namespace<'_>) -> Result<String, TemplateError> {
        let mut text = self.template.render(namespace)?;
        if self.ends_with_line && self.style.is_some() {
            text.push('\n');
        }
        Ok(text)
    }
}

/// Makes the error of a check that is no template's.
pub(crate) fn check_error(kind: ErrorKind, message: String, source_length: usize) -> TemplateError {
    TemplateError {
        message,
        span: 0..source_length,
        line: 1,
        kind,
    }
}
