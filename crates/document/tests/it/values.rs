//! What is read: types, identity, merges, places.

use zenekar_base::{Float, Value};
use zenekar_diagnostics::{SourceMap, Span};
use zenekar_document::{Document, Kind, Limits, NodeId, Style, View, load_text};

/// Reads a text that is in order but for warnings.
#[track_caller]
fn read(text: &str) -> (Document, SourceMap) {
    let mut sources = SourceMap::new();
    let loaded = load_text("t.yaml", text, &Limits::default(), &mut sources);
    let errors: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    (loaded.document, sources)
}

fn shown(sources: &SourceMap, span: Span) -> &str {
    &sources.text(span.file)[span.start as usize..span.end as usize]
}

#[track_caller]
fn at<'d>(view: View<'d>, key: &str) -> View<'d> {
    view.get(key).expect("the key is in the text of the test")
}

#[test]
fn values_have_the_types_that_descriptors_rely_on() {
    let text = "a: yes\nb: 0o17\nc: 1.10\nd: ~\ne: True\nf: '1'\ng: !!str 1\nh: 2001-01-01\ni: !!binary aGk=\nj: !!float 3\nk: !!int '7'\nl: ! 5\nm:\nn: [1, x]\no: 12345678901234567890123\n";
    let (document, _) = read(text);
    let value = document.root().expect("not empty").to_value();
    let expect = |key: &str, expected: Value| assert_eq!(value.get(key), Some(&expected), "{key}");
    expect("a", Value::from("yes"));
    expect("b", Value::Int(15));
    expect("c", Value::Float(Float(1.1)));
    expect("d", Value::Null);
    expect("e", Value::Bool(true));
    expect("f", Value::from("1"));
    expect("g", Value::from("1"));
    expect("h", Value::Date("2001-01-01".to_owned()));
    expect("i", Value::Bytes(b"hi".to_vec()));
    expect("j", Value::Float(Float(3.0)));
    expect("k", Value::Int(7));
    expect("l", Value::Int(5));
    expect("m", Value::Null);
    expect("n", Value::List(vec![Value::Int(1), Value::from("x")]));
    expect("o", Value::Int(12_345_678_901_234_567_890_123));
}

#[test]
fn aliases_are_the_value_that_they_name() {
    let text =
        "nodes:\n  - &A\n    name: a\n  - &B\n    name: a\ndependencies:\n  - [*A, *B, *A]\n";
    let (document, sources) = read(text);
    let root = document.root().expect("not empty");
    let nodes: Vec<NodeId> = at(root, "nodes").items().map(View::id).collect();
    let uses: Vec<View<'_>> = at(root, "dependencies")
        .items()
        .flat_map(View::items)
        .collect();
    assert_eq!(
        uses.iter().map(|site| site.id()).collect::<Vec<_>>(),
        [nodes[0], nodes[1], nodes[0]]
    );
    assert_ne!(nodes[0], nodes[1], "equal values are still two values");
    assert!(uses.iter().all(|site| site.is_alias()));
    assert_eq!(shown(&sources, uses[1].span()), "*B");
    assert_eq!(shown(&sources, uses[1].definition_span()), "name: a");
    assert_eq!(at(uses[0], "name").as_str(), Some("a"));
}

#[test]
fn merges_add_what_is_not_given() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nown:\n  b: 9\n  <<: [*base, *more]\nchain:\n  <<: {<<: *base, z: 0}\n";
    let (document, sources) = read(text);
    let root = document.root().expect("not empty");
    let own: Vec<(String, Value, bool)> = at(root, "own")
        .entries()
        .map(|entry| {
            (
                entry.key.text().to_owned(),
                entry.value.to_value(),
                entry.merged,
            )
        })
        .collect();
    let expected = [("b", 9, false), ("a", 1, true), ("c", 4, true)];
    assert_eq!(
        own,
        expected.map(|(key, number, merged)| (key.to_owned(), Value::Int(number), merged))
    );
    let merged = at(root, "own").get_entry("c").expect("merged");
    assert_eq!(sources.position(merged.value.span()).line, 2);
    assert_eq!(at(root, "chain").entries().count(), 3);
}

#[test]
fn keys_other_than_strings_have_text() {
    let (document, _) = read("1: a\ntrue: b\n~: c\n1.5: d\n2001-01-01: e\n");
    let root = document.root().expect("not empty");
    let keys: Vec<&str> = root.entries().map(|entry| entry.key.text()).collect();
    assert_eq!(keys, ["1", "true", "null", "1.5", "2001-01-01"]);
    assert_eq!(
        root.entries().next().map(|entry| entry.key.view().kind()),
        Some(Kind::Int(1))
    );
}

#[test]
fn large_mappings_find_every_key() {
    let lines: Vec<String> = (0..500)
        .map(|number| format!("key-{number}: {number}"))
        .collect();
    let text = lines.join("\n");
    let (document, _) = read(&text);
    let root = document.root().expect("not empty");
    for number in 0..500 {
        assert_eq!(at(root, &format!("key-{number}")).as_int(), Some(number));
    }
    assert!(root.get("key-500").is_none());
    assert_eq!(
        root.entries().next().map(|entry| entry.key.text()),
        Some("key-0"),
        "the order is that of the text"
    );
}

#[test]
fn places_are_those_of_the_visible_text() {
    let text = "# top\nplain: some text   # note\nquoted: \"a b\"\nlist:\n  - &x !!str one\n  -\nblock: |\n  first\n  second\n\nflow: {a: [1,\n  2]}\nnested:\n  deep:\n    x: 1\n\n# end\n";
    let (document, sources) = read(text);
    let root = document.root().expect("not empty");
    let place = |key: &str| shown(&sources, at(root, key).span());
    assert_eq!(place("plain"), "some text");
    assert_eq!(place("quoted"), "\"a b\"");
    assert_eq!(place("block"), "first\n  second");
    assert_eq!(place("flow"), "{a: [1,\n  2]}");
    assert_eq!(place("nested"), "deep:\n    x: 1");
    let items: Vec<&str> = at(root, "list")
        .items()
        .map(|item| shown(&sources, item.span()))
        .collect();
    assert_eq!(items, ["one", ""]);
    assert_eq!(
        shown(&sources, root.entries().next().expect("first").key.span()),
        "plain"
    );
    assert_eq!(at(root, "block").scalar_style(), Style::Literal);
}

#[test]
fn places_inside_values_lead_back_to_the_text() {
    let text = "plain: x {{ a }}\nquoted: \"t\\t{{ b }}\"\nblock: |\n    one\n\n    két {{ c }}\nfolded: >\n  one\n  two {{ d }}\nsingle: 'it''s {{ e }}'\nmulti: one\n  two {{ f }}\n";
    let (document, sources) = read(text);
    for entry in document.root().expect("not empty").entries() {
        let value = entry.value.as_str().expect("a string");
        let byte = value.find("{{").expect("a template");
        let span = entry.value.range_in(byte, byte + 7);
        let expected = text
            .find(&value[byte..byte + 7])
            .expect("the template is in the text");
        assert_eq!(
            (span.start as usize, span.end as usize),
            (expected, expected + 7),
            "{}",
            entry.key.text()
        );
        assert_eq!(shown(&sources, span), &value[byte..byte + 7]);
    }
}

#[test]
fn reading_goes_on_after_a_mistake() {
    let text = "infra_name: \"demo\nuser_id: me\n";
    let text = format!(
        "good: 1\nbad: {{{{ x }}}}-y\nnodes:\n  - name: a\n    type: @t\n  - name: b\n{text}"
    );
    let mut sources = SourceMap::new();
    let loaded = load_text("t.yaml", &text, &Limits::default(), &mut sources);
    assert_eq!(loaded.diagnostics.len(), 3, "{:?}", loaded.diagnostics);
    let root = loaded.document.root().expect("the rest is there");
    assert_eq!(at(root, "good").as_int(), Some(1));
    assert_eq!(
        at(root, "bad").kind(),
        Kind::Invalid,
        "a broken value is not null"
    );
    let nodes: Vec<View<'_>> = at(root, "nodes").items().collect();
    assert_eq!(nodes.len(), 2);
    assert_eq!(at(nodes[0], "name").as_str(), Some("a"));
    assert!(at(nodes[0], "type").is_invalid());
    assert_eq!(at(nodes[1], "name").as_str(), Some("b"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_mistake() {
    let (document, sources) = read("\u{feff}a: 1\r\nb:\r\n  - |\r\n    x\r\n    y\r\n");
    let root = document.root().expect("not empty");
    assert_eq!(at(root, "a").as_int(), Some(1));
    let item = at(root, "b").items().next().expect("an item");
    assert_eq!(item.as_str(), Some("x\ny\n"));
    assert_eq!(sources.position(at(root, "a").span()).line, 1);
}

#[test]
fn quotes_and_brackets_need_no_indentation() {
    let cases = [
        ("a: \"x\nb\"\nc: 1\n", "x b"),
        ("a: \"x\n\nz\n   w\"  # note\nc: 1\n", "x\nz w"),
        ("a: 'it''s\n\n\n#y: z\n\"'\nc: 1\n", "it's\n\n#y: z \""),
        ("a: \"x \\\n y\\\n\\  z\"\nc: 1\n", "x y  z"),
        ("a: \"x\r\ny\"\r\nc: 1\r\n", "x y"),
    ];
    for (text, expected) in cases {
        // One level deeper, so that the further lines are left of the key.
        let text = format!("top:\n  - &k\n    {}", text.replacen("\nc:", "\n    c:", 1));
        let (document, _) = read(&text);
        let top = at(document.root().expect("not empty"), "top");
        let item = top.items().next().expect("one item");
        assert_eq!(at(item, "a").as_str(), Some(expected), "{text}");
        assert_eq!(at(item, "c").as_int(), Some(1), "{text}");
    }
    let (document, sources) =
        read("a:\n  b: [ # one\n# two\n1, one\ntwo, \"x\ny\",\n{k:\n1}\n]\n  c: d\n");
    let inner = at(document.root().expect("not empty"), "a");
    let value = at(inner, "b").to_value();
    let expected = Value::List(vec![
        Value::Int(1),
        Value::from("one two"),
        Value::from("x y"),
        Value::Map(vec![("k".to_owned(), Value::Int(1))]),
    ]);
    assert_eq!(value, expected);
    assert_eq!(shown(&sources, at(inner, "c").span()), "d");
    let (document, _) = read("[tar, xf, -]\n");
    let last = document.root().expect("not empty").items().last();
    assert_eq!(last.and_then(View::as_str), Some("-"));
}

#[test]
fn many_texts_without_indentation_do_not_take_long() {
    let entry = "  - \"a\nb\"\n";
    let text = format!("top:\n{}", entry.repeat(900));
    let (document, _) = read(&text);
    let items = at(document.root().expect("not empty"), "top").items();
    assert!(items.map(View::as_str).all(|text| text == Some("a b")));
}

#[test]
fn a_text_block_ends_as_the_file_does() {
    for (text, expected) in [
        ("a: |\n  x\n  y", "x\ny"),
        ("a: |\n  x\n", "x\n"),
        ("a: >\n  x\n  y", "x y"),
        ("a: |+\n  x", "x"),
        ("a: |-\n  x", "x"),
        ("a: |\n  x\n ", "x\n"),
        ("a: |\n  x\n  ", "x\n"),
        ("a: |\n  x\n    ", "x\n  "),
        ("a: |\n  x\n# note", "x\n"),
    ] {
        let (document, _) = read(text);
        let value = at(document.root().expect("not empty"), "a");
        assert_eq!(value.as_str(), Some(expected), "{text:?}");
    }
}
