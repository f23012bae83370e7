//! The emitter against the one that Occopus uses, where that is installed:
//! documents are read and written by both, and every letter must be the same.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRng, TestRunner};
use zenekar_diagnostics::{Diagnostic, SourceMap, render_concise};
use zenekar_document::{Limits, load_text};
use zenekar_occopus::yaml_text;

use crate::python;

/// Reads documents separated by NUL, and writes each, or why it cannot.
const SCRIPT: &str = r"
import sys, warnings
warnings.simplefilter('ignore')
import ruamel.yaml as yaml
sys.stdin.reconfigure(newline='')
texts = sys.stdin.buffer.read().decode('utf-8').split('\0')
results = []
for text in texts:
    try:
        results.append(yaml.dump(yaml.load(text, Loader=yaml.Loader), default_flow_style=False))
    except Exception as error:
        results.append('! ' + type(error).__name__)
sys.stdout.buffer.write('\0'.join(results).encode('utf-8'))
";

/// Returns what this implementation makes of a document.
fn ours(document: &str) -> Result<String, String> {
    let mut sources = SourceMap::new();
    let loaded = load_text("document.yaml", document, &Limits::default(), &mut sources);
    if loaded.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(render_concise(&loaded.diagnostics, &sources));
    }
    Ok(loaded.document.root().map_or_else(String::new, yaml_text))
}

#[expect(clippy::print_stdout, reason = "what is left out is told")]
fn compare(documents: &[String]) {
    let Some(wanted) = python::run(SCRIPT, documents) else {
        println!("skipped: ZENEKAR_TEST_PYTHON_PATH does not name ruamel.yaml 0.17");
        return;
    };
    assert_eq!(wanted.len(), documents.len());
    let mut faults = Vec::new();
    for (document, wanted) in documents.iter().zip(&wanted) {
        match ours(document) {
            Ok(found) if found == *wanted => {}
            Err(_) if wanted.starts_with("! ") => {}
            Ok(found) => faults.push(format!(
                "--- document\n{document}\n--- found\n{found}\n--- wanted\n{wanted}"
            )),
            Err(error) => faults.push(format!(
                "--- document\n{document}\n--- error\n{error}\n--- wanted\n{wanted}"
            )),
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} differ\n{}",
        faults.len(),
        documents.len(),
        faults[..faults.len().min(5)].join("\n")
    );
}

#[test]
fn forms_are_written_as_by_the_original() {
    let long = "word ".repeat(40);
    let documents = [
        "a: &x [1, 2]\nb: *x\nc: {d: *x}\n".to_owned(),
        "base: &base {list: [1], map: {k: v}, empty: []}\none: {<<: *base, own: 1}\ntwo: {<<: *base}\n".to_owned(),
        "- &a {x: &b [y]}\n- *b\n- *a\n- - *b\n  - - *a\n".to_owned(),
        "d: &d 2001-01-01\ne: *d\nf: [*d, 2001-01-02]\n".to_owned(),
        "2: b\n10: a\n1: c\n".to_owned(),
        "2: b\na: a\n1: c\n".to_owned(),
        "true: x\n0: y\n1.5: z\n".to_owned(),
        "~: x\n".to_owned(),
        "~: x\na: y\n".to_owned(),
        "z: 1\n~: x\na: y\n".to_owned(),
        "a: 0644\nb: 0o644\nc: 1_000\nd: 1e3\ne: 1.10\nf: 0x1F\ng: yes\nh: 1:30\n".to_owned(),
        "a: '0644'\nb: '1e3'\nc: '~'\nd: ''\ne: 'true'\nf: '='\ng: '<<'\nh: '2001-01-01'\n".to_owned(),
        "a: !!binary aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=\n".to_owned(),
        "- !!binary aGVsbG8=\n- a\n".to_owned(),
        format!("a: {long}end\nb: '{long}'\nc:\n- {long}end\n- - {long}end\n  - x: {long}end\n"),
        format!("a: \"{long}\\n{long}\"\nb:\n- \"{long}\\t\\\"{long}\\\"\"\n- - k: \"it's {long}\"\n"),
        format!("? {}\n: v\n? {}\n: - 1\n  - k: v\n? {}\n: k: v\n", "k".repeat(122), "l".repeat(123), "m".repeat(200)),
        format!("? {}\n: {long}x\n", "m m".repeat(80)),
        "? \"a\\nb\"\n: - 1\n".to_owned(),
        "'': 1\n".to_owned(),
        "a:\n  - []\n  - {}\n  - [[]]\n  - [{}]\n  - {b: [], c: {}}\nd: []\n".to_owned(),
        "a: |\n  text\n   indented\n\n  more\nb: >\n  folded\n  text\n\nc: |-\n  x\nd: |+\n  y\n\n".to_owned(),
        "a: \"\\u00e9 \\u20ac \\U0001F600 \\x7f \\x85 \\u2028 \\ufeff\"\nb: é\nc: 'tab\there'\n".to_owned(),
        "a: ' x'\nb: 'x '\nc: '- x'\nd: -x\ne: '? x'\nf: ?x\ng: ':x'\nh: 'x: y'\ni: x:y\nj: 'x #y'\nk: x#y\nl: '-'\nm: '?'\n".to_owned(),
        "a: '{{x}}'\nb: \"{{x['y']}}\"\nc: a{{x}}\nd: '%x'\ne: '@x'\nf: '`x'\ng: '---'\nh: '--- x'\ni: '...'\nj: '!x'\n".to_owned(),
        "a: .inf\nb: -.inf\nc: .nan\nd: 1e300\ne: 1.0e-10\nf: 123456789012345678901234567890\ng: -0.0\n".to_owned(),
        "a: 2001-12-14t21:59:43.10-05:00\nb: 2001-12-14 21:59:43\nc: 2001-12-15T02:59:43.1Z\n".to_owned(),
        "a: null\nb:\nc: ~\n".to_owned(),
        "a:  two  spaces   and more here to make the line long enough to be folded  at  some  point ok\n".to_owned(),
        format!("a: '{} '\n", "x".repeat(90)),
        format!("a: '{} x: y {} z'\n", "x".repeat(90), "y".repeat(90)),
        format!("a: \"{}\\n\\n{}\"\n", "x".repeat(75), "y".repeat(5)),
        format!("a: \"{}\\n\"\n", "x".repeat(78)),
        format!("a: \"{}\\\"\\\"\\\"\\n\"\n", "x".repeat(76)),
        format!("{}: {}\n", "k".repeat(100), "v v v"),
    ];
    compare(&documents);
}

fn document() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,12}",
        "[ -~]{1,20}",
        "[a-z:#'\"\\\\{}% \n\t-]{0,14}",
        "[0-9._:eExo+-]{1,8}",
        Just("{{variables.name}}".to_owned()),
        "\\PC{0,6}",
    ];
    let text = prop_oneof![
        4 => word.clone(),
        2 => prop::collection::vec(word.clone(), 1..30).prop_map(|words| words.join(" ")),
        1 => prop::collection::vec(word, 1..12).prop_map(|words| words.join("\n")),
    ];
    let leaf = text.prop_map(serde_json::Value::String);
    let leaf = prop_oneof![
        8 => leaf,
        1 => any::<i64>().prop_map(serde_json::Value::from),
        1 => any::<bool>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
            prop::collection::btree_map("[a-zA-Z_ :#'-]{0,10}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
    // The escapes of JSON are those of YAML, but for letters beyond 16 bits,
    // which stand as they are.
    .prop_map(|value| format!("root: {value}\n"))
    .prop_filter("YAML streams have no such letters", |text| {
        text.chars().all(|letter| {
            matches!(letter, '\t' | '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        })
    })
}

#[test]
fn random_documents_are_written_as_by_the_original() {
    let count = match std::env::var("ZENEKAR_TEST_BUDGET").as_deref() {
        Ok("full") => 20_000,
        Ok("deep") => 100_000,
        _ => 2_000,
    };
    let config = Config::default();
    let seed = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, seed);
    let strategy = document();
    let documents: Vec<String> = (0..count)
        .map(|_| {
            let tree = strategy.new_tree(&mut runner).expect("a document");
            tree.current()
        })
        .collect();
    compare(&documents);
}
