//! Whatever the text, reading ends, does not panic, and all places are in the text.

use proptest::prelude::*;

use crate::invariants::check;

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
