//! What holds for every text, shared by the property tests and the fuzz target.

use zenekar_diagnostics::{SourceMap, Span, render_concise, render_human, render_json};
use zenekar_document::{Limits, View, load_text};

fn check_span(sources: &SourceMap, span: Span) {
    let text = sources.text(span.file);
    assert!(
        text.get(span.start as usize..span.end as usize).is_some(),
        "{span:?} is no part of {text:?}"
    );
}

fn check_view(sources: &SourceMap, view: View<'_>, depth: usize) {
    assert!(
        depth <= Limits::default().depth_max,
        "consumers may recurse"
    );
    check_span(sources, view.span());
    check_span(sources, view.definition_span());
    if let Some(text) = view.as_str() {
        for byte in (0..=text.len())
            .filter(|byte| text.is_char_boundary(*byte))
            .take(20)
        {
            check_span(sources, view.position_in(byte));
        }
    }
    for item in view.items() {
        check_view(sources, item, depth + 1);
    }
    for entry in view.entries() {
        check_span(sources, entry.key.span());
        assert_eq!(
            view.get(entry.key.text()).map(View::id),
            Some(entry.value.id()),
            "keys are unique"
        );
        check_view(sources, entry.value, depth + 1);
    }
}

/// Reads a text and checks that all places are in it, that keys are unique,
/// that depth is bounded, and that every renderer copes.
pub(crate) fn check(text: &str) {
    let mut sources = SourceMap::new();
    let limits = Limits {
        expanded_nodes_max: 5_000,
        ..Limits::default()
    };
    let loaded = load_text("t.yaml", text, &limits, &mut sources);
    for diagnostic in &loaded.diagnostics {
        for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
            check_span(&sources, label.span);
        }
        if let Some(fix) = &diagnostic.fix {
            check_span(&sources, fix.span);
        }
    }
    assert_eq!(
        render_concise(&loaded.diagnostics, &sources)
            .lines()
            .count(),
        loaded.diagnostics.len()
    );
    assert!(render_json(&loaded.diagnostics, &sources).is_object());
    let _ = render_human(&loaded.diagnostics, &sources, true);
    match loaded.document.root() {
        Some(root) => {
            check_view(&sources, root, 0);
            let _ = root.to_value();
        }
        None => assert!(
            !loaded.diagnostics.is_empty(),
            "nothing read and nothing said"
        ),
    }
}
