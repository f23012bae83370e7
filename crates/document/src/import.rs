//! Includes: which file a `url` means, and whether it may be read.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use zenekar_diagnostics::{Diagnostic, Span, codes::document as codes, did_you_mean};

use crate::load::{Loader, OpenFile, read_file};
use crate::offsets::to_u32;
use crate::tree::{Data, Node, OWN_TEXT, Style, TextRef};

/// A folder with more entries is not searched for similar names.
const FOLDER_ENTRIES_MAX: usize = 2_000;

/// What an include makes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImportKind {
    Yaml,
    Text,
}

/// The outcome of a check that may end in a finding.
type Checked<T> = Result<T, Box<Diagnostic>>;

impl Loader<'_> {
    /// Reads the file that `url` names; none after reporting why not.
    pub(crate) fn include(&mut self, kind: ImportKind, url: &str, span: Span) -> Option<u32> {
        match self.checked_include(kind, url, span) {
            Ok(node) => node,
            Err(diagnostic) => {
                self.report(*diagnostic);
                None
            }
        }
    }

    fn checked_include(&mut self, kind: ImportKind, url: &str, span: Span) -> Checked<Option<u32>> {
        self.spend_import(span)?;
        let (Some(root), Some(opened)) = (self.root.clone(), self.open.last()) else {
            return Err(boxed(
                Diagnostic::error(
                    &codes::INCLUDE_REFUSED,
                    "this text has no folder to include files from",
                )
                .at(span),
            ));
        };
        let path = relative_path(url, span)?;
        let named = normalise(&opened.folder.join(path));
        let canonical = locate(&root, &opened.folder, path, &named, span)?;
        self.refuse_cycle(&canonical, url, span)?;
        let Some(source) = self.text_of_file(&named, &canonical, span)? else {
            return Ok(None);
        };
        if kind == ImportKind::Text {
            return Ok(Some(self.text_node(source)));
        }
        let folder = named.parent().unwrap_or(Path::new("")).to_path_buf();
        self.open.push(OpenFile {
            canonical,
            folder,
            included_at: Some(span),
        });
        let before = self.diagnostics.len();
        let node = self.read(source);
        self.open.pop();
        // An included file may be empty, which is null, or unreadable, which was reported.
        Ok(node.or_else(|| (self.diagnostics.len() == before).then(|| self.null_node(source))))
    }

    fn spend_import(&mut self, span: Span) -> Checked<()> {
        self.spent.imports += 1;
        if self.spent.imports > self.limits.imports_max {
            let message = format!("more than {} includes", self.limits.imports_max);
            return Err(boxed(
                Diagnostic::error(&codes::TOO_MANY_INCLUDES, message).at(span),
            ));
        }
        if self.open.len() > self.limits.import_depth_max {
            let message = format!(
                "files include each other more than {} levels deep",
                self.limits.import_depth_max
            );
            return Err(boxed(
                Diagnostic::error(&codes::TOO_MANY_INCLUDES, message).at(span),
            ));
        }
        Ok(())
    }

    fn refuse_cycle(&self, canonical: &Path, url: &str, span: Span) -> Checked<()> {
        let Some(at) = self
            .open
            .iter()
            .position(|file| file.canonical == canonical)
        else {
            return Ok(());
        };
        let mut diagnostic =
            Diagnostic::error(&codes::INCLUDE_CYCLE, format!("`{url}` includes itself"))
                .labelled(span, "closes the cycle");
        for file in &self.open[at + 1..] {
            if let Some(site) = file.included_at {
                diagnostic = diagnostic.also(site, "included here");
            }
        }
        Err(boxed(diagnostic))
    }

    /// Returns the source text of a file, reading it the first time.
    fn text_of_file(&mut self, named: &Path, canonical: &Path, span: Span) -> Checked<Option<u16>> {
        if let Some(source) = self.texts.get(canonical) {
            return Ok(Some(*source));
        }
        let bytes = read_file(canonical, self.limits.bytes_max).map_err(|error| {
            boxed(
                Diagnostic::error(
                    &codes::UNREADABLE,
                    format!("cannot read `{}`: {error}", named.display()),
                )
                .at(span),
            )
        })?;
        Ok(self.add_file(
            &named.display().to_string(),
            bytes,
            canonical.to_path_buf(),
            Some(span),
        ))
    }

    fn text_node(&mut self, source: u16) -> u32 {
        let text = Arc::clone(&self.document.sources[usize::from(source)].text);
        let length = to_u32(text.len());
        let data = if text.contains('\r') {
            // As Occopus opens files: every kind of line break is the same one.
            let own = &mut self.document.text;
            let start = to_u32(own.len());
            own.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
            Data::Text(TextRef {
                start,
                length: to_u32(own.len()) - start,
                source: OWN_TEXT,
            })
        } else {
            Data::Text(TextRef {
                start: 0,
                length,
                source,
            })
        };
        self.push_node(Node {
            data,
            start: 0,
            end: length,
            source,
            style: Style::File,
        })
    }

    fn null_node(&mut self, source: u16) -> u32 {
        self.push_node(Node {
            data: Data::Null,
            start: 0,
            end: 0,
            source,
            style: Style::Plain,
        })
    }

    /// Adds a value to the arena.
    pub(crate) fn push_node(&mut self, node: Node) -> u32 {
        let id = to_u32(self.document.nodes.len());
        self.document.nodes.push(node);
        id
    }
}

fn boxed(diagnostic: Diagnostic) -> Box<Diagnostic> {
    Box::new(diagnostic)
}

/// Returns the relative path of a `file://` address.
fn relative_path(url: &str, span: Span) -> Checked<&Path> {
    let Some(path) = url.strip_prefix("file://") else {
        let diagnostic = match url.split_once("://") {
            Some((scheme, _)) => Diagnostic::error(
                &codes::INCLUDE_SCHEME,
                format!("cannot include from `{scheme}://`"),
            )
            .at(span)
            .help("only `file://` with a path inside the project folder can be included"),
            None => Diagnostic::error(
                &codes::INCLUDE_SCHEME,
                "the address of an include has no `file://`",
            )
            .at(span)
            .fix(
                span,
                format!(
                    "file://{}",
                    url.trim_start_matches("file:").trim_start_matches('/')
                ),
            ),
        };
        return Err(boxed(diagnostic));
    };
    if path.is_empty() || path.contains('\0') {
        return Err(boxed(
            Diagnostic::error(
                &codes::MALFORMED_INCLUDE,
                "the address of an include names no file",
            )
            .at(span),
        ));
    }
    if path.starts_with('/') {
        let diagnostic = Diagnostic::error(
            &codes::INCLUDE_ABSOLUTE,
            format!("the include `{path}` is an absolute path"),
        )
        .at(span)
        .help("write a path relative to the including file, such as `file://cloud_init.yaml`");
        return Err(boxed(diagnostic));
    }
    Ok(Path::new(path))
}

/// Returns the path with links resolved of a file inside the project.
fn locate(root: &Path, folder: &Path, path: &Path, named: &Path, span: Span) -> Checked<PathBuf> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let base = folder
        .canonicalize()
        .unwrap_or_else(|_| folder.to_path_buf());
    // Checked before the file system is asked, so that nobody learns what exists outside.
    if !normalise(&base.join(path)).starts_with(root) {
        let diagnostic = Diagnostic::error(
            &codes::INCLUDE_OUTSIDE,
            format!("the include `{}` leaves the project folder", path.display()),
        )
        .labelled(span, "leads out by `..`")
        .help(format!("the project folder is `{}`", root.display()));
        return Err(boxed(diagnostic));
    }
    let canonical = base
        .join(path)
        .canonicalize()
        .map_err(|error| boxed(unreachable_file(&error, &base, path, named, span)))?;
    if !canonical.starts_with(root) {
        let diagnostic = Diagnostic::error(
            &codes::INCLUDE_LINK,
            format!("`{}` is a link out of the project folder", named.display()),
        )
        .at(span)
        .help("copy the file into the project instead of linking it");
        return Err(boxed(diagnostic));
    }
    if !canonical.is_file() {
        let what = if canonical.is_dir() {
            "a folder"
        } else {
            "not a regular file"
        };
        return Err(boxed(
            Diagnostic::error(
                &codes::INCLUDE_NOT_A_FILE,
                format!("`{}` is {what}", named.display()),
            )
            .at(span),
        ));
    }
    Ok(canonical)
}

fn unreachable_file(
    error: &std::io::Error,
    base: &Path,
    path: &Path,
    named: &Path,
    span: Span,
) -> Diagnostic {
    if error.kind() != ErrorKind::NotFound {
        return Diagnostic::error(
            &codes::UNREADABLE,
            format!("cannot read `{}`: {error}", named.display()),
        )
        .at(span);
    }
    let diagnostic = Diagnostic::error(
        &codes::INCLUDE_MISSING,
        format!("the included file `{}` does not exist", named.display()),
    )
    .at(span);
    let whole = normalise(&base.join(path));
    let (Some(folder), Some(wanted)) = (
        whole.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return diagnostic;
    };
    match similar_file(folder, wanted) {
        Some(name) => {
            let suggestion = path.with_file_name(&name);
            diagnostic
                .help(format!("did you mean `{name}`?"))
                .fix(span, format!("file://{}", suggestion.display()))
        }
        None if !folder.is_dir() => diagnostic.help(format!(
            "there is no folder `{}`",
            path.parent().unwrap_or(path).display()
        )),
        None => diagnostic.help("the path is relative to the folder of the including file"),
    }
}

/// Returns an existing file that a path was probably meant to be.
pub(crate) fn similar_path(path: &Path) -> Option<PathBuf> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = similar_file(folder, path.file_name()?.to_str()?)?;
    Some(path.with_file_name(name))
}

fn similar_file(folder: &Path, wanted: &str) -> Option<String> {
    let entries = std::fs::read_dir(folder)
        .ok()?
        .take(FOLDER_ENTRIES_MAX)
        .flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    // The order of a folder depends on the file system; that of a hint must not.
    names.sort_unstable();
    did_you_mean(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Resolves `.` and `..` in a path without asking the file system.
fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if matches!(out.components().next_back(), Some(Component::Normal(_))) {
                    out.pop();
                } else if !out.has_root() {
                    out.push("..");
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_resolved_without_the_file_system() {
        assert_eq!(normalise(Path::new("a/./b/../c")), Path::new("a/c"));
        assert_eq!(normalise(Path::new("../a/../../b")), Path::new("../../b"));
        assert_eq!(normalise(Path::new("/../a")), Path::new("/a"));
    }
}
