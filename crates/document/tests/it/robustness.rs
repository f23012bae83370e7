//! Whatever the text, reading ends, does not panic, and all places are in the text.

use proptest::prelude::*;
use zenekar_diagnostics::{SourceMap, Span, render_concise, render_human, render_json};
use zenekar_document::{Limits, View, load_text};

/// Pieces of which texts are made: what YAML gives a meaning, and what trips readers.
const PIECES: &[&str] = &[
    "a",
    "name",
    "é",
    "😀",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n    ",
    "\r\n",
    "\t",
    " ",
    "&a ",
    "*a",
    "*b ",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "# x",
    "---\n",
    "...\n",
    "!!int ",
    "!!python/x ",
    "!yaml_import ",
    "{url: file://x}",
    "!<t> ",
    "{{ x }}",
    "{% if %}",
    "\\",
    "\\u12",
    "0644",
    "1.5",
    "~",
    "true",
    "2001-01-01",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "? ",
    "@",
    "`",
    "%",
    "%YAML 1.2\n",
    "%TAG ! x\n",
];

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

fn check(text: &str) {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_of_yaml_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_text(text in "\\PC{0,60}") {
        check(&text);
    }

    #[test]
    fn a_description_with_an_edit(at in 0usize..400, piece in proptest::sample::select(PIECES), removed in 0usize..6) {
        let text = "user_id: me\ninfra_name: demo\nvariables: &v\n  motd: \"héllo\\tworld\"\n  text: |\n    one\n    {{ two }}\nnodes:\n  - &A\n    name: a\n    type: t\n    scaling: {min: 1, max: 3}\n    variables:\n      <<: *v\n      x: [1, 2.5, ~, 0x1F]\n  - &B\n    name: b\n    type: t\ndependencies:\n  - connection: [*A, *B]\n";
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.ceil_char_boundary((start + removed).min(text.len()));
        check(&format!("{}{piece}{}", &text[..start], &text[end..]));
    }
}
