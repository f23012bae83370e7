//! Templates that try to take more than they may. A failure here is mostly not
//! a failed assertion but an overflowed stack, which ends the whole test binary.

use proptest::prelude::*;
use zenekar_template::{
    BLOCKS_MAX, BRACKETS_MAX, CHAIN_MAX, ErrorKind, NESTING_FILTERS_MAX, OUTPUT_BYTES_MAX,
};

use crate::render;

/// Nests `inside` in the deepest value that one expression can make.
fn deepest_value(inside: &str) -> String {
    let brackets = BRACKETS_MAX - 1;
    let filters = "|batch(1)".repeat(NESTING_FILTERS_MAX);
    format!(
        "{}{inside}{}{filters}|list",
        "[".repeat(brackets),
        "]".repeat(brackets)
    )
}

#[test]
fn the_deepest_allowed_expressions_fit_the_stack() {
    let chain = |link: &str| {
        format!(
            "{{{{ 1{} }}}}",
            link.repeat(
                CHAIN_MAX
                    / link
                        .matches(['.', '|', '+', '*', '~', '(', '[', 'a', 'i', 'n'])
                        .count()
                        .max(1)
                    - 1
            )
        )
    };
    for link in [
        "+1",
        ".b",
        "|string",
        "~1",
        "[0]",
        " and 1",
        " is odd",
        " if 1 else 1",
        "**1",
        "()",
    ] {
        // What it prints is no matter: it must come back.
        let _ = render(&chain(link));
    }
    for prefix in ["not ", "- "] {
        assert!(render(&format!("{{{{ {}1 }}}}", prefix.repeat(CHAIN_MAX - 1))).is_ok());
    }
    let branches = format!(
        "{{% if no %}}{}{{% endif %}}",
        "{% elif no %}".repeat(BLOCKS_MAX - 1)
    );
    assert_eq!(render(&branches).as_deref(), Ok(""));
    let blocks = format!(
        "{}{{{{ 1{} }}}}{}",
        "{% if yes %}".repeat(BLOCKS_MAX),
        "+1".repeat(CHAIN_MAX),
        "{% endif %}".repeat(BLOCKS_MAX)
    );
    assert_eq!(render(&blocks).as_deref(), Ok("161"));
}

#[test]
fn the_deepest_values_can_be_printed_compared_and_dropped() {
    let mut opening = Vec::new();
    let mut name = "1".to_owned();
    for level in 0..BLOCKS_MAX - 4 {
        opening.push(format!("{{% with v{level} = {} %}}", deepest_value(&name)));
        name = format!("v{level}");
    }
    let opening = opening.concat();
    let body = format!(
        "{{{{ ({name} ~ '') | length > 0 }}}}{{{{ {name} == {name} | list }}}}{{{{ {name} }}}}"
    );
    let source = format!("{opening}{body}{}", "{% endwith %}".repeat(BLOCKS_MAX - 4));
    let _ = render(&source);
    let by_macro = format!(
        "{{% macro f(n) %}}{{{{ f({}) }}}}{{% endmacro %}}{{{{ f(1) }}}}",
        deepest_value("n").replacen('[', "", 1).replacen(']', "", 1)
    );
    assert!(render(&by_macro).is_err());
}

#[test]
fn values_cannot_be_nested_without_end() {
    let growing = [
        "{% set n = namespace(x=[]) %}{% for i in range(50000) %}{% set n.x = [n.x] %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for i in range(50000) %}{% set n.x = dict(a=n.x) %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for i in range(50000) %}{% set n.x = (n.x, 1) %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for i in range(50000) %}{% set n.x = namespace(y=n.x) %}{% endfor %}",
        "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
        "{% set n = namespace() %}{% set n.x = [n] %}{{ n }}",
        "{% set m = namespace() %}{% set n = namespace(x=m) %}{{ n }}",
    ];
    for source in growing {
        assert_eq!(
            render(source).expect_err(source).kind,
            ErrorKind::Type,
            "{source}"
        );
    }
    let straight = format!(
        "{{% set x = [] %}}{}{{{{ x }}}}",
        "{% set x = [x] %}".repeat(50_000)
    );
    assert_eq!(
        render(&straight).expect_err("nested without end").kind,
        ErrorKind::Type
    );
    // Lazy sequences on top of each other become lists instead.
    let lazy = "{% set n = namespace(x=[1, 2]) %}{% for i in range(3001) %}{% set n.x = n.x|reverse %}{% endfor %}{{ n.x }}";
    assert_eq!(render(lazy).as_deref(), Ok("[2, 1]"));
}

#[test]
fn data_cannot_grow_without_end() {
    let growing = [
        "{{ 'a' * 99999999 }}",
        "{% set n = namespace(s='a') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "{% set a = 'a' * 1000000 %}{% set b = 'b' * 1000000 %}{{ a.replace('a', b) }}",
        "{% set a = 'a' * 1000000 %}{{ a.join([a, a, a, a] * 100000) }}",
        "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% set b = a.split('a') %}{% endfor %}",
        "{% set a = 'a' * 1000000 %}{{ ('{0}' * 100000).format(a) }}",
        "{{ [0] * 99999999 | list }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{{ '' }}{% endfor %}{% endfor %}",
        "{{ range(100000) | map('string') | join('x' * 1000) | length }}{% for i in range(99999) %}{{ range(100000) | list }}{% endfor %}",
        "{% set a = '\n' * 1000000 %}{{ a | indent(60000) }}",
        "{{ ('a' * 3000000) ~ ('b' * 3000000) }}",
        "{{ 'x'.ljust(99999999) }}",
        "{{ '%99999999d' | format(1) }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ 2 ** 99999999 }}",
        "{{ range(99999999999) | list }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    ];
    for source in growing {
        assert!(render(source).is_err(), "{source}");
    }
}

/// Pieces that make templates which are likely to parse and to do something odd.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "-%}",
    "{%-",
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "set",
    "endset",
    "macro m(a)",
    "endmacro",
    "m(1)",
    "with",
    "endwith",
    "raw",
    "endraw",
    "filter upper",
    "endfilter",
    "block b",
    "endblock",
    "call m()",
    "endcall",
    "namespace(a=1)",
    "n.a",
    "=",
    "==",
    "names",
    "node",
    "tricky.items",
    "text",
    "floats",
    "data",
    "day",
    "missing",
    "loop",
    "loop.index",
    "range(3)",
    "x",
    "n",
    "1",
    "0",
    "-1",
    "2.5",
    "1e99",
    "'",
    "\"",
    "'a'",
    "''",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "|",
    "~",
    "+",
    "-",
    "*",
    "**",
    "/",
    "//",
    "%",
    "not",
    "and",
    "or",
    "is",
    "defined",
    "none",
    "true",
    "int",
    "list",
    "sort",
    "join(',')",
    "map('upper')",
    "batch(2)",
    "groupby('a')",
    "tojson",
    "indent",
    "truncate(3)",
    "replace('a','b')",
    "format(1)",
    ".split()",
    ".join(names)",
    ".format(1, a=2)",
    ".items()",
    ".get('a')",
    "getip(x)",
    "cut(text,0,1)",
    "b64decode",
    "round(1)",
    "\n",
    "\r\n",
    " ",
    "é",
    "\u{0}",
    "😀",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn any_text_renders_or_fails(text in "\\PC{0,60}") {
        check(&text)?;
        check(&format!("{{{{ {text} }}}}"))?;
        check(&format!("{{% {text} %}}x{{% end %}}"))?;
    }

    #[test]
    fn any_pieces_render_or_fail(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
        check(&pieces.concat())?;
        check(&pieces.join(" "))?;
        check(&format!("{{{{ {} }}}}", pieces.join(" ")))?;
        check(&format!("{{% set x = {} %}}{{{{ x }}}}", pieces.join("")))?;
    }
}

fn check(source: &str) -> Result<(), TestCaseError> {
    match render(source) {
        Ok(text) => prop_assert!(text.len() <= OUTPUT_BYTES_MAX),
        Err(error) => {
            prop_assert!(
                source.get(error.span.clone()).is_some(),
                "the span {:?} is not within {source:?}",
                error.span
            );
            prop_assert!(!error.message.is_empty() && error.line >= 1);
            prop_assert!(
                !error.message.contains("zenekar_bounded"),
                "{}",
                error.message
            );
        }
    }
    prop_assert_eq!(render(source), render(source));
    Ok(())
}
