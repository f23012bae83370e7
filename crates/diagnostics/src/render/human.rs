//! Findings for people: the lines in question, with marks under them.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Fix, Label, Severity};
use crate::source::{FileId, SourceMap, Span};

/// A span that covers more lines is drawn as its first line only: the end of
/// a long block tells nothing and hides the message.
const SPAN_LINES_MAX: usize = 4;
/// Two places of one file further apart than this are shown as two snippets,
/// which bounds the text that the renderer has to look at.
const WINDOW_LINES_MAX: usize = 400;
/// The same in bytes, for texts of few and endless lines.
const WINDOW_BYTES_MAX: usize = 16 << 10;
/// A larger fix is not shown, because nobody can see what it changes.
const FIX_BYTES_MAX: usize = 2_000;
/// How much of an endless line is kept around the marks.
const CONTEXT_BYTES: usize = 300;

/// Renders the diagnostics with the lines they point at, separated by blank lines.
pub fn render_human(diagnostics: &[Diagnostic], sources: &SourceMap, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let rendered = renderer.render(&report(diagnostic, sources));
        for line in rendered.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(
        level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code.id),
    );
    for snippet in snippets(diagnostic, sources) {
        group = group.element(snippet);
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let mut groups = vec![group];
    if let Some(fix) = diagnostic
        .fix
        .as_ref()
        .filter(|fix| fix.replacement.len() + fix.span.len() as usize <= FIX_BYTES_MAX)
    {
        groups.push(
            Group::with_title(Level::HELP.secondary_title("a possible fix"))
                .element(patch(fix, sources)),
        );
    }
    groups
}

/// One mark to draw.
struct Mark<'a> {
    file: FileId,
    start: usize,
    end: usize,
    lines: (usize, usize),
    label: &'a str,
    kind: AnnotationKind,
}

impl Mark<'_> {
    fn is_near(&self, other: &Self) -> bool {
        self.lines.0.abs_diff(other.lines.0) <= WINDOW_LINES_MAX
            && self.start.abs_diff(other.start) <= WINDOW_BYTES_MAX
    }
}

fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
) -> Vec<Snippet<'a, Annotation<'a>>> {
    let primary = diagnostic
        .primary
        .iter()
        .map(|label| mark(label, AnnotationKind::Primary, sources));
    let secondary = diagnostic
        .secondary
        .iter()
        .map(|label| mark(label, AnnotationKind::Context, sources));
    // Marks of one file that are near each other share a snippet.
    let mut clusters: Vec<Vec<Mark<'a>>> = Vec::new();
    for mark in primary.chain(secondary) {
        let near = clusters.iter_mut().find(|cluster| {
            cluster[0].file == mark.file && cluster.iter().all(|other| other.is_near(&mark))
        });
        match near {
            Some(cluster) => cluster.push(mark),
            None => clusters.push(vec![mark]),
        }
    }
    clusters
        .into_iter()
        .map(|cluster| snippet(&cluster, sources))
        .collect()
}

fn mark<'a>(label: &'a Label, kind: AnnotationKind, sources: &SourceMap) -> Mark<'a> {
    let (start, end) = sources.clamp(label.span);
    let position = sources.position(label.span);
    let mut mark = Mark {
        file: label.span.file,
        start,
        end,
        lines: (position.line, position.end_line),
        label: &label.text,
        kind,
    };
    if position.end_line - position.line >= SPAN_LINES_MAX {
        let rest = &sources.text(label.span.file)[start..end];
        mark.end = start + rest.lines().next().map_or(0, |line| line.trim_end().len());
        mark.lines.1 = position.line;
    }
    if mark.end - mark.start > WINDOW_BYTES_MAX {
        mark.end = sources
            .text(label.span.file)
            .floor_char_boundary(mark.start + CONTEXT_BYTES);
        mark.lines.1 = mark.lines.0;
    }
    mark
}

fn snippet<'a>(marks: &[Mark<'a>], sources: &'a SourceMap) -> Snippet<'a, Annotation<'a>> {
    let file = marks[0].file;
    let first = marks.iter().map(|mark| mark.start).min().unwrap_or(0);
    let last = marks.iter().map(|mark| mark.end).max().unwrap_or(0);
    let (window, line) = sources.window(file, first, last, 0);
    let window = narrowed(sources.text(file), window, first, last);
    let base = window.start;
    let mut snippet = Snippet::source(&sources.text(file)[window])
        .path(sources.name(file))
        .line_start(line);
    for mark in marks {
        let annotation = mark.kind.span(mark.start - base..mark.end - base);
        snippet = snippet.annotation(if mark.label.is_empty() {
            annotation
        } else {
            annotation.label(mark.label)
        });
    }
    snippet
}

/// Cuts a window of endless lines down to the surroundings of its marks.
fn narrowed(text: &str, window: Range<usize>, first: usize, last: usize) -> Range<usize> {
    if window.len() <= WINDOW_BYTES_MAX + (last - first) {
        return window;
    }
    let start = text
        .floor_char_boundary(first.saturating_sub(CONTEXT_BYTES))
        .max(window.start);
    let end = text
        .ceil_char_boundary((last + CONTEXT_BYTES).min(text.len()))
        .min(window.end);
    start..end
}

fn patch<'a>(fix: &'a Fix, sources: &'a SourceMap) -> Snippet<'a, Patch<'a>> {
    let Span { file, .. } = fix.span;
    let (start, end) = sources.clamp(fix.span);
    let (window, line) = sources.window(file, start, end, 0);
    let window = narrowed(sources.text(file), window, start, end);
    let base = window.start;
    Snippet::source(&sources.text(file)[window])
        .path(sources.name(file))
        .line_start(line)
        .patch(Patch::new(
            start - base..end - base,
            fix.replacement.as_str(),
        ))
}
