//! The entry points: files and texts to documents.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zenekar_diagnostics::{Diagnostic, FileId, SourceMap, Span, codes::document as codes};

use crate::encoding::{self, Problem};
use crate::import;
use crate::limits::Limits;
use crate::offsets::to_u32;
use crate::tree::{Document, OWN_TEXT, Source};

/// The folder that includes must not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The folder.
    pub root: PathBuf,
}

/// What was read, and what was wrong with it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What could be read.
    pub document: Document,
    /// The findings, in the order of the text of each file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a descriptor; includes must stay inside its folder.
pub fn load_file(path: &Path, limits: &Limits, sources: &mut SourceMap) -> Loaded {
    let project = Project {
        root: folder_of(path).to_path_buf(),
    };
    load_file_in(&project, path, limits, sources)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Reads a descriptor; includes must stay inside the folder of the project.
pub fn load_file_in(
    project: &Project,
    path: &Path,
    limits: &Limits,
    sources: &mut SourceMap,
) -> Loaded {
    load_with(project, path, limits, sources, false)
}

fn load_with(
    project: &Project,
    path: &Path,
    limits: &Limits,
    sources: &mut SourceMap,
    takes_object_tags: bool,
) -> Loaded {
    let mut loader = Loader::new(limits, sources);
    loader.takes_object_tags = takes_object_tags;
    if let Err(reason) = loader.load_main(project, path) {
        let diagnostic = Diagnostic::error(
            &codes::UNREADABLE,
            format!("cannot read `{}`: {reason}", path.display()),
        );
        let similar = import::similar_path(path).filter(|_| reason.kind() == ErrorKind::NotFound);
        loader.report(match similar {
            Some(near) => diagnostic.help(format!("did you mean `{}`?", near.display())),
            None => diagnostic,
        });
    }
    loader.finish()
}

/// Reads a configuration file of Occopus: as [`load_file`] does, but the tags
/// that name objects and Python modules there are taken as if they were not
/// written. Nothing is imported or made.
pub fn load_configuration_file(path: &Path, limits: &Limits, sources: &mut SourceMap) -> Loaded {
    let project = Project {
        root: folder_of(path).to_path_buf(),
    };
    load_with(&project, path, limits, sources, true)
}

/// Reads a text that is not a file; includes are refused.
pub fn load_text(name: &str, text: &str, limits: &Limits, sources: &mut SourceMap) -> Loaded {
    Loader::new(limits, sources).load_one(name, text)
}

/// Reads a text that a program has stored with its objects: as [`load_text`]
/// does, but the tags of Python objects and other unknown tags are kept as
/// names, see [`View::tag`](crate::View::tag). Nothing is imported or made.
pub fn load_text_with_tags(
    name: &str,
    text: &str,
    limits: &Limits,
    sources: &mut SourceMap,
) -> Loaded {
    let mut loader = Loader::new(limits, sources);
    loader.keeps_tags = true;
    loader.load_one(name, text)
}

/// Reads a text as [`load_text`] does, but of a key that is given twice the
/// last value counts, as with YAML readers that do not mind; it is still reported.
pub fn load_text_last_counts(
    name: &str,
    text: &str,
    limits: &Limits,
    sources: &mut SourceMap,
) -> Loaded {
    let mut loader = Loader::new(limits, sources);
    loader.last_counts = true;
    loader.load_one(name, text)
}

/// A file that is being read, and the include that led to it.
pub(crate) struct OpenFile {
    /// Its path with links resolved, which identifies it.
    pub(crate) canonical: PathBuf,
    /// The folder that its own includes are relative to.
    pub(crate) folder: PathBuf,
    /// The `url` by which it was included; none for the main file.
    pub(crate) included_at: Option<Span>,
}

/// What was used up of the limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) bytes: usize,
    pub(crate) nodes: usize,
    pub(crate) aliases: usize,
    pub(crate) imports: usize,
    pub(crate) expanded: u64,
}

/// Everything that is shared by the files of one load.
pub(crate) struct Loader<'s> {
    pub(crate) limits: &'s Limits,
    pub(crate) sources: &'s mut SourceMap,
    pub(crate) document: Document,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The project folder with links resolved; none if includes are refused.
    pub(crate) root: Option<PathBuf>,
    pub(crate) open: Vec<OpenFile>,
    /// Texts that were already read, by their path with links resolved.
    pub(crate) texts: BTreeMap<PathBuf, u16>,
    pub(crate) spent: Spent,
    /// The levels around the file that is being read, in the files that include it.
    pub(crate) depth: usize,
    /// The levels of the file that was read last.
    pub(crate) height: usize,
    /// Whether the last value of a repeated key counts instead of the first.
    pub(crate) last_counts: bool,
    /// Whether tags that name objects of Occopus are passed over.
    pub(crate) takes_object_tags: bool,
    /// Whether unknown tags are kept as names.
    pub(crate) keeps_tags: bool,
}

impl<'s> Loader<'s> {
    fn new(limits: &'s Limits, sources: &'s mut SourceMap) -> Self {
        Self {
            limits,
            sources,
            document: Document::default(),
            diagnostics: Vec::new(),
            root: None,
            open: Vec::new(),
            texts: BTreeMap::new(),
            spent: Spent::default(),
            depth: 0,
            height: 0,
            last_counts: false,
            takes_object_tags: false,
            keeps_tags: false,
        }
    }

    fn load_one(mut self, name: &str, text: &str) -> Loaded {
        if let Some(source) = self.add_source(name, text.to_owned(), None) {
            self.document.root = self.read(source);
            self.require_content(source);
        }
        self.finish()
    }

    fn load_main(&mut self, project: &Project, path: &Path) -> std::io::Result<()> {
        let canonical = path.canonicalize()?;
        self.root = Some(project.root.canonicalize()?);
        let text = read_file(&canonical, self.limits.bytes_max)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let name = path.display().to_string();
        if let Some(source) = self.add_file(&name, text, canonical.clone(), None) {
            self.open.push(OpenFile {
                canonical,
                folder,
                included_at: None,
            });
            self.document.root = self.read(source);
            self.open.pop();
            self.require_content(source);
        }
        Ok(())
    }

    /// Adds the bytes of a file; none after reporting that it does not fit.
    pub(crate) fn add_file(
        &mut self,
        name: &str,
        bytes: FileBytes,
        canonical: PathBuf,
        included_at: Option<Span>,
    ) -> Option<u16> {
        let bytes = match bytes {
            FileBytes::All(bytes) => bytes,
            FileBytes::TooMany => {
                self.report_too_large(name, included_at);
                return None;
            }
        };
        let decoded = encoding::decode(bytes);
        let source = self.add_source(name, decoded.text, included_at)?;
        self.texts.insert(canonical, source);
        let file = self.file(source);
        match decoded.problem {
            Some(Problem::Byte { byte, at }) => {
                let span = Span::new(
                    file,
                    to_u32(at),
                    to_u32(at + char::REPLACEMENT_CHARACTER.len_utf8()),
                );
                self.report(
                    Diagnostic::error(
                        &codes::INVALID_UTF8,
                        format!("byte 0x{byte:02x} is not UTF-8"),
                    )
                    .labelled(span, "shown as U+FFFD here")
                    .help("save the file as UTF-8"),
                );
            }
            Some(Problem::Utf16) => {
                let message = format!("`{name}` is UTF-16, not UTF-8");
                self.report(
                    Diagnostic::error(&codes::INVALID_UTF8, message)
                        .at(Span::empty(file, 0))
                        .help("save the file as UTF-8"),
                );
            }
            None => {}
        }
        Some(source)
    }

    fn add_source(&mut self, name: &str, text: String, included_at: Option<Span>) -> Option<u16> {
        let bytes = self.spent.bytes.saturating_add(text.len());
        let index = u16::try_from(self.document.sources.len())
            .ok()
            .filter(|index| *index != OWN_TEXT);
        let (Some(index), true) = (index, bytes <= self.limits.bytes_max) else {
            self.report_too_large(name, included_at);
            return None;
        };
        self.spent.bytes = bytes;
        let text: Arc<str> = text.into();
        let file = self.sources.add(name, Arc::clone(&text));
        self.document.sources.push(Source { file, text });
        Some(index)
    }

    fn report_too_large(&mut self, name: &str, included_at: Option<Span>) {
        let message = format!(
            "`{name}` is too large: all files together may have {} bytes",
            self.limits.bytes_max
        );
        let diagnostic = Diagnostic::error(&codes::TOO_LARGE, message);
        self.report(match included_at {
            Some(span) => diagnostic.at(span),
            None => diagnostic,
        });
    }

    fn require_content(&mut self, source: u16) {
        if self.document.root.is_none() && !self.diagnostics.iter().any(Diagnostic::is_error) {
            let name = self.sources.name(self.file(source)).to_owned();
            let span = Span::empty(self.file(source), 0);
            self.report(
                Diagnostic::error(&codes::EMPTY_DOCUMENT, format!("`{name}` is empty")).at(span),
            );
        }
    }

    /// Returns the id of a source text in the source map.
    pub(crate) fn file(&self, source: u16) -> FileId {
        self.document.sources[usize::from(source)].file
    }

    /// Adds a finding, as long as there are not too many.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() <= self.limits.diagnostics_max {
            self.diagnostics.push(diagnostic);
        }
    }

    fn finish(mut self) -> Loaded {
        let most = self.limits.diagnostics_max;
        let too_many = self.diagnostics.len() > most;
        self.diagnostics.truncate(most);
        // Mistakes of a mapping are found at its end; people read from the top.
        self.diagnostics.sort_by_key(|diagnostic| {
            diagnostic
                .primary
                .as_ref()
                .map(|label| (label.span.file, label.span.start))
        });
        if too_many {
            self.diagnostics.push(Diagnostic::note(
                &codes::TOO_MANY_PROBLEMS,
                format!("only the first {most} problems are listed"),
            ));
        }
        Loaded {
            document: self.document,
            diagnostics: self.diagnostics,
        }
    }
}

/// The content of a file, unless it is larger than allowed.
pub(crate) enum FileBytes {
    All(Vec<u8>),
    TooMany,
}

/// Reads a regular file of at most `most` bytes.
pub(crate) fn read_file(path: &Path, most: usize) -> std::io::Result<FileBytes> {
    // A pipe or device could block or never end.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?
        .take(limit)
        .read_to_end(&mut bytes)?;
    Ok(if bytes.len() > most {
        FileBytes::TooMany
    } else {
        FileBytes::All(bytes)
    })
}
