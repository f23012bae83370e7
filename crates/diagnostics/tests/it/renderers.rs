//! The same findings in all three forms.

use zenekar_diagnostics::{
    Code, Diagnostic, SourceMap, Span, render_concise, render_human, render_json,
};

static SAMPLE: Code = Code {
    id: "ZK9999",
    title: "sample",
    explanation: "For tests.",
};

/// Findings that point into two files, with every part that a finding can have.
fn findings() -> (Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::new();
    let main = sources.add("infra.yaml", "nodes:\n  - name: ádám\n    tpye: db\n");
    let other = sources.add(
        "nodes/db.yaml",
        format!("{}last: 1\n", "line\n".repeat(1_000)),
    );
    let diagnostics = vec![
        Diagnostic::error(&SAMPLE, "unknown key `tpye`")
            .labelled(Span::new(main, 28, 32), "not a key of a node")
            .also(Span::new(main, 11, 15), "of this node")
            .also(Span::new(other, 0, 4), "defined here")
            .also(Span::new(other, 5_000, 5_004), "and here")
            .help("did you mean `type`?")
            .fix(Span::new(main, 28, 32), "type"),
        Diagnostic::warning(&SAMPLE, "no place\nand a \u{1b}[31mbreak"),
        Diagnostic::note(&SAMPLE, "a long place").at(Span::new(other, 0, 5_000)),
    ];
    (diagnostics, sources)
}

#[test]
fn people_see_the_lines_in_question() {
    let (diagnostics, sources) = findings();
    insta::assert_snapshot!("human", render_human(&diagnostics, &sources, false));
    let colored = render_human(&diagnostics, &sources, true);
    assert!(colored.contains("\u{1b}["), "colour is used when asked for");
    assert!(
        !colored.contains("\u{1b}[31mbreak"),
        "input cannot drive the terminal"
    );
}

#[test]
fn one_line_per_finding() {
    let (diagnostics, sources) = findings();
    insta::assert_snapshot!("concise", render_concise(&diagnostics, &sources));
}

#[test]
fn programs_get_a_versioned_object() {
    let (diagnostics, sources) = findings();
    let rendered = serde_json::to_string_pretty(&render_json(&diagnostics, &sources))
        .expect("JSON can be written");
    insta::assert_snapshot!("json", rendered);
}
