//! Which findings count.

use zenekar_diagnostics::codes::{description, lint};
use zenekar_diagnostics::{Code, Diagnostic, FileId, Severity, SourceMap, Span};
use zenekar_lint::{Policy, combine};

fn findings() -> (Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::new();
    let first = sources.add("a.yaml", "one\ntwo\nthree\n");
    let again = sources.add("a.yaml", "one\ntwo\nthree\n");
    let unusable: &'static Code = description::ALL[0];
    let loading = vec![Diagnostic::error(unusable, "unusable").at(Span::new(first, 4, 7))];
    let found = vec![
        Diagnostic::warning(&lint::FAILURE_HIDDEN, "warning").at(Span::new(again, 8, 13)),
        Diagnostic::note(&lint::NO_TIME_LIMIT, "note").at(Span::new(again, 0, 3)),
    ];
    (combine(loading, found, &sources), sources)
}

fn severities(denied: &[&str], allowed: &[&str]) -> Vec<(String, Severity)> {
    let (mut findings, sources) = findings();
    let policy = Policy::new(denied.iter().copied(), allowed.iter().copied()).expect("known codes");
    policy.apply(&mut findings, &sources);
    findings
        .into_iter()
        .map(|finding| (finding.message, finding.severity))
        .collect()
}

fn list(pairs: &[(&str, Severity)]) -> Vec<(String, Severity)> {
    pairs
        .iter()
        .map(|(message, severity)| ((*message).to_owned(), *severity))
        .collect()
}

#[test]
fn findings_come_in_the_order_of_the_file() {
    let (findings, _) = findings();
    let places: Vec<FileId> = findings
        .iter()
        .filter_map(|finding| finding.primary.as_ref())
        .map(|label| label.span.file)
        .collect();
    assert_eq!(places, [FileId(0); 3]);
    assert_eq!(
        severities(&[], &[]),
        list(&[
            ("note", Severity::Note),
            ("unusable", Severity::Error),
            ("warning", Severity::Warning)
        ])
    );
}

#[test]
fn what_is_denied_counts_as_an_error() {
    assert_eq!(severities(&["warnings"], &[])[2].1, Severity::Error);
    assert_eq!(severities(&["warnings"], &[])[0].1, Severity::Note);
    assert_eq!(severities(&["zk0720"], &[])[0].1, Severity::Error);
}

#[test]
fn what_is_allowed_is_left_out_unless_nothing_can_be_done_with_it() {
    let unusable = description::ALL[0].id;
    assert_eq!(
        severities(&["warnings"], &["ZK0717", "ZK0720", unusable]),
        list(&[("unusable", Severity::Error)])
    );
}

#[test]
fn unknown_codes_are_refused() {
    let error = Policy::new(["ZK9999"], []).expect_err("there is no such code");
    assert_eq!(error.to_string(), "there is no diagnostic code `ZK9999`");
    assert!(Policy::new([], ["warnings"]).is_err());
}
