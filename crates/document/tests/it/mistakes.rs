//! One seeded mistake per case, and exactly what the user sees.

use zenekar_diagnostics::{Diagnostic, SourceMap, render_human};
use zenekar_document::{Limits, Loaded, load_text};

/// Mistakes that need no file system and no special limits: name and text.
const CASES: &[(&str, &str)] = &[
    ("tab_indentation", "nodes:\n  - name: db\n\ttype: mysql\n"),
    (
        "tab_after_dash",
        "nodes:\n  - name: db\n    scaling:\n    \tmin: 1\n",
    ),
    (
        "unclosed_double_quote",
        "infra_name: \"demo\nuser_id: me\nnodes: []\n",
    ),
    (
        "unclosed_single_quote",
        "variables:\n  motto: 'it's fine'\n  other: 1\n",
    ),
    (
        "quote_then_text",
        "variables:\n  motto: \"one\" and two\n  other: 1\n",
    ),
    (
        "unquoted_template",
        "resource:\n  type: ec2\n  name: {{ infra_name }}\n",
    ),
    (
        "unquoted_template_in_list",
        "names:\n  - {{ infra_name }}\n  - fixed\n",
    ),
    (
        "unquoted_template_with_suffix",
        "resource:\n  name: {{ infra_name }}-db\n  type: ec2\n",
    ),
    (
        "unquoted_template_with_quotes",
        "resource:\n  name: {{ cut(infra_id, \"x\") }}\n",
    ),
    (
        "unquoted_block_of_template",
        "names: {% for n in names %}\n  - x\n{% endfor %}\n",
    ),
    (
        "no_space_after_colon",
        "nodes:\n  - name:db\n    type: mysql\n",
    ),
    (
        "no_space_after_colon_at_top",
        "infra_name:demo\nuser_id: me\n",
    ),
    ("indentation_too_deep", "infra_name: demo\n  user_id: me\n"),
    (
        "indentation_too_shallow",
        "nodes:\n    - name: db\n      type: mysql\n   - name: web\n",
    ),
    (
        "indentation_between_levels",
        "node:\n    name: db\n  type: mysql\n",
    ),
    (
        "indentation_of_several",
        "node:\n  name: db\n   type: mysql\n   scaling:\n     min: 1\n   filter: {}\nname: x\nname: y\n",
    ),
    (
        "key_without_colon",
        "infra_name: demo\nnodes\nuser_id: me\n",
    ),
    (
        "colon_in_value",
        "description: note: two nodes\ninfra_name: demo\n",
    ),
    ("unclosed_list", "connection: [*A, *B\nnodes: []\n"),
    ("unclosed_mapping", "scaling: {min: 1, max: 2\nnodes: []\n"),
    ("missing_comma", "scaling: {min: 1 max: 2}\n"),
    ("closing_bracket_alone", "nodes: ]\ninfra_name: demo\n"),
    (
        "wrong_closing_bracket",
        "connection: [a, b}\ninfra_name: demo\n",
    ),
    ("unknown_escape", "path: \"C:\\temp\\data\\q\"\n"),
    ("bad_unicode_escape", "name: \"\\u12g4\"\n"),
    ("reserved_at", "owner: @admin\nname: x\n"),
    ("reserved_backtick", "owner: `admin`\n"),
    ("reserved_percent", "share: %50\n"),
    (
        "block_text_indentation",
        "script: |\n    one\n  two\nname: x\n",
    ),
    ("block_text_header", "script: |text\n  one\nname: x\n"),
    (
        "duplicate_key",
        "infra_name: one\nuser_id: me\ninfra_name: two\n",
    ),
    (
        "duplicate_key_of_many",
        "a1: 1\na2: 1\na3: 1\na4: 1\na5: 1\na6: 1\na7: 1\na8: 1\na9: 1\na10: 1\na11: 1\na12: 1\na13: 1\na14: 1\na15: 1\na16: 1\na17: 1\na7: 2\n",
    ),
    (
        "duplicate_merge",
        "a: &a {x: 1}\nb: &b {y: 1}\nc:\n  <<: *a\n  <<: *b\n",
    ),
    ("list_as_key", "? [a, b]\n: value\n"),
    ("alias_as_key", "a: &a [1]\n*a : value\n"),
    (
        "unknown_anchor",
        "nodes:\n  - &WORKER\n    name: worker\ndependencies:\n  - [*WORKRE, *WORKER]\n",
    ),
    (
        "anchor_after_alias",
        "dependencies:\n  - *DB\nnodes:\n  - &DB\n    name: db\n",
    ),
    ("unknown_anchor_alone", "a: *nothing\n"),
    ("cyclic_alias", "nodes: &N\n  - name: db\n  - *N\n"),
    (
        "duplicate_anchor",
        "nodes:\n  - &N\n    name: one\n  - &N\n    name: two\n",
    ),
    ("merge_of_string", "base: &base text\nnode:\n  <<: *base\n"),
    (
        "merge_of_mixed_list",
        "base: &base {a: 1}\nnode:\n  <<: [*base, 7]\n",
    ),
    ("unknown_tag", "context: !yaml_imprt {url: file://x}\n"),
    ("unknown_tag_far", "motto: !important things\n"),
    (
        "python_tag",
        "x: !!python/object/apply:os.system [\"touch owned\"]\n",
    ),
    ("python_scalar_tag", "x: !!python/name:os.system\n"),
    (
        "python_import",
        "plugins: !python_import\n  - occo.plugins\n",
    ),
    ("tag_mismatch", "count: !!int three\n"),
    ("tag_mismatch_collection", "nodes: !!seq {a: 1}\n"),
    ("binary_mismatch", "key: !!binary '*** not base64 ***'\n"),
    ("undeclared_tag_handle", "x: !e!thing 1\n"),
    ("leading_zero", "permissions: 0644\n"),
    ("two_documents", "infra_name: one\n---\ninfra_name: two\n"),
    ("empty", ""),
    ("only_comments", "# nothing here\n"),
    ("nul_character", "infra_name: de\0mo\n"),
    ("escape_character", "infra_name: \u{1b}[31mred\n"),
    (
        "byte_order_mark_inside",
        "infra_name: x\n\u{feff}user_id: me\n",
    ),
    (
        "include_in_plain_text",
        "context: !yaml_import {url: file://cloud_init.yaml}\n",
    ),
    (
        "include_as_scalar",
        "context: !yaml_import file://cloud_init.yaml\n",
    ),
    (
        "include_without_url",
        "context: !text_import {path: file://cloud_init.yaml}\n",
    ),
    (
        "include_with_more",
        "context: !text_import\n  url: file://cloud_init.yaml\n  mode: raw\n",
    ),
    ("include_of_number", "context: !yaml_import {url: 7}\n"),
    ("include_of_list", "context: !yaml_import [file://a]\n"),
    (
        "several_at_once",
        "infra_name: {{ x }}\nuser_id: @me\nnodes:\n  - name:db\n    type: mysql\n  - name: web\n    name: web2\ndependencies: [*web\nvariables:\n  a: 1\n",
    ),
    (
        "wide_characters",
        "név: árvíztűrő\nszöveg: \"tükörfúrógép\\q\"\n",
    ),
    (
        "windows_line_ends",
        "infra_name: demo\r\nnodes:\r\n  - name: a\r\n    name: b\r\n",
    ),
];

fn load(text: &str, limits: &Limits) -> (Loaded, SourceMap) {
    let mut sources = SourceMap::new();
    let loaded = load_text("infra.yaml", text, limits, &mut sources);
    (loaded, sources)
}

#[test]
fn every_mistake_is_explained_at_its_place() {
    for (name, text) in CASES {
        let (loaded, sources) = load(text, &Limits::default());
        assert!(!loaded.diagnostics.is_empty(), "{name} is a mistake");
        insta::assert_snapshot!(*name, render_human(&loaded.diagnostics, &sources, false));
    }
}

/// Mistakes that only small limits make small enough to show.
#[test]
fn every_budget_is_kept() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c]\n";
    let chain = "a: &a [x]\nb: &b [*a]\nc: &c [*b]\nd: &d [*c]\ne: [*d]\n";
    let merges = "a: &a {k1: 1, k2: 2, k3: 3}\nb:\n  <<: [*a, *a, *a, *a, *a, *a, *a, *a]\n";
    let small = Limits::default();
    let cases: [(&str, &str, Limits); 7] = [
        (
            "budget_expansion",
            bomb,
            Limits {
                expanded_nodes_max: 1_000,
                ..small.clone()
            },
        ),
        (
            "budget_depth",
            "a:\n  b:\n    c:\n      d: 1\n  e: 2\n",
            Limits {
                depth_max: 3,
                ..small.clone()
            },
        ),
        (
            "budget_depth_by_alias",
            chain,
            Limits {
                depth_max: 4,
                ..small.clone()
            },
        ),
        (
            "budget_nodes",
            "a: [1, 2, 3, 4, 5, 6, 7]\n",
            Limits {
                nodes_max: 6,
                ..small.clone()
            },
        ),
        (
            "budget_nodes_by_merge",
            merges,
            Limits {
                nodes_max: 30,
                ..small.clone()
            },
        ),
        (
            "budget_aliases",
            "a: &a 1\nb: [*a, *a, *a]\n",
            Limits {
                aliases_max: 2,
                ..small.clone()
            },
        ),
        (
            "budget_bytes",
            "infra_name: demo\n",
            Limits {
                bytes_max: 10,
                ..small.clone()
            },
        ),
    ];
    for (name, text, limits) in cases {
        let (loaded, sources) = load(text, &limits);
        insta::assert_snapshot!(name, render_human(&loaded.diagnostics, &sources, false));
    }
}

#[test]
fn only_so_many_findings_are_listed() {
    let text = "k: 1\n".repeat(50);
    let (loaded, _) = load(
        &text,
        &Limits {
            diagnostics_max: 10,
            ..Limits::default()
        },
    );
    assert_eq!(loaded.diagnostics.len(), 11);
    assert_eq!(loaded.diagnostics[10].code.id, "ZK0135");
}

#[test]
fn brackets_without_end_neither_overflow_nor_take_long() {
    for opening in ["[", "{a: ", "- ", "? ", "[[{a: "] {
        let text = opening.repeat(100_000);
        let (loaded, _) = load(&text, &Limits::default());
        assert!(
            loaded.diagnostics.iter().any(Diagnostic::is_error),
            "{opening}"
        );
    }
}

#[test]
fn large_texts_full_of_mistakes_are_reported_too() {
    let unknown = "- *nothing\n".repeat(20_000);
    let line = format!("a: [{}]\n", "{k: 1, k: 2}, ".repeat(20_000));
    let brackets = format!("a: @{}\n", "] [ ' \" ".repeat(20_000));
    for text in [unknown, line, brackets] {
        let (loaded, sources) = load(&text, &Limits::default());
        assert!(!loaded.diagnostics.is_empty());
        let rendered = render_human(&loaded.diagnostics, &sources, false);
        assert!(
            rendered.len() < 1 << 20,
            "the text itself is not repeated: {} bytes",
            rendered.len()
        );
    }
}

/// Codes that a test asserts instead of showing them in a snapshot.
const ASSERTED_CODES: [&str; 2] = ["ZK0135", "ZK0150"];

#[test]
fn every_code_of_documents_is_produced_by_a_test() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let entries = std::fs::read_dir(folder).expect("the snapshots are part of the crate");
    let shown: String = entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect();
    let missing: Vec<&str> = zenekar_diagnostics::codes::document::ALL
        .iter()
        .map(|code| code.id)
        .filter(|id| !shown.contains(&format!("[{id}]")) && !ASSERTED_CODES.contains(id))
        .collect();
    assert!(missing.is_empty(), "no test produces {missing:?}");
}
