//! `ZK01xx`: YAML documents and includes.

use super::Code;

/// A mistake in the YAML syntax that has no code of its own.
pub static SYNTAX: Code = Code {
    id: "ZK0101",
    title: "YAML syntax error",
    explanation: "\
The text is not YAML from the marked place on. Look at the marked line and the
one before it: most often an indentation differs from its neighbours, a quote or
bracket is missing, or a `:` has no space after it.

The entry around the mistake is left out and reading goes on behind it, so that
other mistakes are reported in the same run.",
};

/// A tab where only spaces may stand.
pub static TAB_INDENTATION: Code = Code {
    id: "ZK0102",
    title: "tab used for indentation",
    explanation: "\
YAML allows only spaces for indentation, because a tab has no agreed width.
Replace the tab by spaces, and tell your editor to insert spaces in YAML files.",
};

/// A quote without its partner.
pub static UNCLOSED_QUOTE: Code = Code {
    id: "ZK0103",
    title: "quote is never closed",
    explanation: "\
A value starts with `\"` or `'`, but the same quote does not end it. Inside single
quotes a quote is written twice (`'it''s'`), inside double quotes it is escaped
(`\"say \\\"hi\\\"\"`).",
};

/// A template at the start of a plain value.
pub static UNQUOTED_TEMPLATE: Code = Code {
    id: "ZK0104",
    title: "template at the start of a value is not quoted",
    explanation: "\
`{` at the start of a value begins a YAML mapping, so `{{ … }}` is not a template
there but a mapping inside a mapping. Put the value in quotes:

```yaml
server_name: \"{{ infra_name }}-db\"
```

A template in the middle of a value needs no quotes.",
};

/// `key:value` without the space.
pub static MISSING_SPACE: Code = Code {
    id: "ZK0105",
    title: "no space after the colon",
    explanation: "\
A `:` separates a key from its value only when a space or the end of the line
follows. `name:db` is one string; write `name: db`.",
};

/// Indentation that fits no open block.
pub static INDENTATION: Code = Code {
    id: "ZK0106",
    title: "indentation fits no block",
    explanation: "\
The line stands at a column at which no open list or mapping has its entries.
Entries of one block must start at the same column:

```yaml
nodes:
  - name: db
    type: mysql     # the same column as `name`
```",
};

/// Bytes that are not UTF-8.
pub static INVALID_UTF8: Code = Code {
    id: "ZK0107",
    title: "text is not UTF-8",
    explanation: "\
Descriptors are read as UTF-8. The marked byte belongs to another encoding, such
as Latin-1 or UTF-16. Save the file as UTF-8.",
};

/// A character that YAML does not allow.
pub static CONTROL_CHARACTER: Code = Code {
    id: "ZK0108",
    title: "control character",
    explanation: "\
The text has a character that can be neither seen nor written in YAML, such as
NUL. Remove it; inside double quotes it can be written as an escape, for example
`\"\\x00\"`.",
};

/// Several documents in one file.
pub static MULTIPLE_DOCUMENTS: Code = Code {
    id: "ZK0109",
    title: "more than one document in the file",
    explanation: "\
A line `---` starts a further YAML document, but a descriptor is one document.
Remove the line, or move what follows to a file of its own.",
};

/// A file with nothing in it.
pub static EMPTY_DOCUMENT: Code = Code {
    id: "ZK0110",
    title: "document is empty",
    explanation: "The file has no content, or only comments.",
};

/// A key twice in one mapping.
pub static DUPLICATE_KEY: Code = Code {
    id: "ZK0111",
    title: "key is given twice",
    explanation: "\
A mapping has the same key twice; one of the two values would be lost silently.
Remove or rename one. A key that comes from a merge (`<<`) may be given again:
the mapping's own value wins.",
};

/// A list or mapping as key.
pub static COMPLEX_KEY: Code = Code {
    id: "ZK0112",
    title: "key is not a scalar",
    explanation: "\
A list or a mapping stands where a key is expected. Keys of descriptors are
strings. If the text was meant literally, put it in quotes.",
};

/// An alias without anchor.
pub static UNKNOWN_ANCHOR: Code = Code {
    id: "ZK0113",
    title: "alias without an anchor",
    explanation: "\
`*NAME` repeats the value that is marked with `&NAME` earlier in the same file.
No such mark stands before the alias: it is misspelt, comes later, or is in
another file (anchors do not reach across includes).",
};

/// An alias inside the value that it repeats.
pub static CYCLIC_ALIAS: Code = Code {
    id: "ZK0114",
    title: "alias inside its own value",
    explanation: "The alias repeats the very value that it is a part of, without end.",
};

/// An anchor name twice.
pub static DUPLICATE_ANCHOR: Code = Code {
    id: "ZK0115",
    title: "anchor is defined twice",
    explanation: "\
Two values are marked with the same `&NAME`. Aliases refer to the last one before
them, which is rarely meant; in a list of nodes it is mostly a slip of
copy and paste. Give each value its own name.",
};

/// A merge of something that is no mapping.
pub static INVALID_MERGE: Code = Code {
    id: "ZK0116",
    title: "merge of something that is not a mapping",
    explanation: "\
`<<` takes over the entries of a mapping, or of each mapping of a list:

```yaml
variables:
  <<: *common
  port: 80
```",
};

/// A tag that means nothing here.
pub static UNKNOWN_TAG: Code = Code {
    id: "ZK0117",
    title: "unknown tag",
    explanation: "\
Descriptors know the tags `!yaml_import`, `!text_import` and those of YAML's core
(`!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, `!!binary`, `!!timestamp`,
`!!seq`, `!!map`). A value that starts with `!` for another reason must be quoted.",
};

/// A tag that would run code.
pub static PYTHON_TAG: Code = Code {
    id: "ZK0118",
    title: "tag would run Python code",
    explanation: "\
`!!python/…` and `!python_import` make some readers run code or load modules
while they read a file. Zenekar never does: write the value itself.",
};

/// A value that its tag does not allow.
pub static TAG_MISMATCH: Code = Code {
    id: "ZK0119",
    title: "value does not fit its tag",
    explanation: "The tag announces a type, such as `!!int`, but the value is none of that type.",
};

/// A number such as `0644`.
pub static LEADING_ZERO: Code = Code {
    id: "ZK0120",
    title: "number with a leading zero",
    explanation: "\
YAML 1.2 reads `0644` as the decimal number 644, not as an octal one. Quote it if
it is text, as file modes in cloud-init files are (`\"0644\"`), or write `0o644` for the
octal number.",
};

/// A second colon in a plain value.
pub static COLON_IN_VALUE: Code = Code {
    id: "ZK0121",
    title: "colon inside an unquoted value",
    explanation: "\
`: ` inside a plain value looks like a further key. Quote the value:

```yaml
description: \"note: two nodes\"
```",
};

/// A bracket without its partner.
pub static UNCLOSED_BRACKET: Code = Code {
    id: "ZK0122",
    title: "bracket is never closed",
    explanation: "A list in `[…]` or a mapping in `{…}` is not closed, or its items are not separated by commas.",
};

/// A backslash sequence that does not exist.
pub static INVALID_ESCAPE: Code = Code {
    id: "ZK0123",
    title: "unknown escape in double quotes",
    explanation: "\
Inside double quotes a `\\` starts an escape, such as `\\n`. Write `\\\\` for the
character itself, or use single quotes, which know no escapes.",
};

/// A character that cannot start a plain value.
pub static RESERVED_CHARACTER: Code = Code {
    id: "ZK0124",
    title: "character cannot start a value",
    explanation: "`@`, `` ` `` and `%` cannot start an unquoted value. Quote the value.",
};

/// A mistake in `|` or `>` text.
pub static BLOCK_SCALAR: Code = Code {
    id: "ZK0125",
    title: "mistake in a text block",
    explanation: "\
After `|` or `>` the text starts on the next line, indented more than the key, and
no line of it may be indented less than the first one.",
};

/// Too many bytes.
pub static TOO_LARGE: Code = Code {
    id: "ZK0130",
    title: "file is too large",
    explanation: "The file has more bytes than a descriptor may have; see the message for the limit.",
};

/// Too many levels.
pub static TOO_DEEP: Code = Code {
    id: "ZK0131",
    title: "nested too deeply",
    explanation: "Lists and mappings are nested deeper than any descriptor needs. The limit counts aliases as what they stand for.",
};

/// Too many nodes.
pub static TOO_MANY_NODES: Code = Code {
    id: "ZK0132",
    title: "too many values",
    explanation: "The document and its includes hold more values than the reader takes; see the message for the limit.",
};

/// Too many aliases.
pub static TOO_MANY_ALIASES: Code = Code {
    id: "ZK0133",
    title: "too many aliases",
    explanation: "The document and its includes hold more aliases than the reader takes; see the message for the limit.",
};

/// A document that aliases or merges multiply.
pub static EXPANSION: Code = Code {
    id: "ZK0134",
    title: "aliases expand too far",
    explanation: "\
Aliases of values that hold aliases multiply: ten levels of ten make ten thousand
million values out of a hundred lines. The document, written out, would be larger
than the reader takes.",
};

/// More findings than are worth listing.
pub static TOO_MANY_PROBLEMS: Code = Code {
    id: "ZK0135",
    title: "too many problems",
    explanation: "Only the first problems of the document are listed. Correct these and run the command again.",
};

/// An include without a proper `url`.
pub static MALFORMED_INCLUDE: Code = Code {
    id: "ZK0140",
    title: "malformed include",
    explanation: "\
An include is a mapping with the single key `url`:

```yaml
context_template: !yaml_import
  url: file://cloud_init.yaml
```",
};

/// An include of something other than a file.
pub static INCLUDE_SCHEME: Code = Code {
    id: "ZK0141",
    title: "include is not a file",
    explanation: "\
Only files of the project can be included: `file://` and a path relative to the
including file. Download what is elsewhere, and keep it with the descriptor.",
};

/// An include with an absolute path.
pub static INCLUDE_ABSOLUTE: Code = Code {
    id: "ZK0142",
    title: "include has an absolute path",
    explanation: "\
After `file://` stands a path relative to the including file; with a third slash it
is absolute. A project must work in any folder: use a relative path.",
};

/// An include above the project folder.
pub static INCLUDE_OUTSIDE: Code = Code {
    id: "ZK0143",
    title: "include leaves the project folder",
    explanation: "\
The path leads out of the project folder by `..`. A descriptor from elsewhere must not
be able to read your files. Move the file into the project, or name a higher folder as
the project.",
};

/// An include that leaves the project folder through a link.
pub static INCLUDE_LINK: Code = Code {
    id: "ZK0144",
    title: "include leaves the project folder through a link",
    explanation: "The path is inside the project folder, but a symbolic link on it leads out. Copy the file instead of linking it.",
};

/// An include that is not there.
pub static INCLUDE_MISSING: Code = Code {
    id: "ZK0145",
    title: "included file does not exist",
    explanation: "The path of an include is relative to the folder of the including file, not to the current folder.",
};

/// An include of a folder or device.
pub static INCLUDE_NOT_A_FILE: Code = Code {
    id: "ZK0146",
    title: "include is not a regular file",
    explanation: "The path leads to a folder or to a special file.",
};

/// Files that include each other.
pub static INCLUDE_CYCLE: Code = Code {
    id: "ZK0147",
    title: "files include each other",
    explanation: "The file includes itself, directly or through other files.",
};

/// Too many includes.
pub static TOO_MANY_INCLUDES: Code = Code {
    id: "ZK0148",
    title: "too many includes",
    explanation: "More files are included, or they include each other more levels deep, than the reader takes; see the message for the limit.",
};

/// An include where none is possible.
pub static INCLUDE_REFUSED: Code = Code {
    id: "ZK0149",
    title: "includes are not possible here",
    explanation: "The text did not come from a file of a project folder, so there is no folder to include from.",
};

/// A file that cannot be read.
pub static UNREADABLE: Code = Code {
    id: "ZK0150",
    title: "file cannot be read",
    explanation: "The operating system refused to read the file; the message says why.",
};

/// All codes of this block, in the order of their ids.
pub static ALL: &[&Code] = &[
    &SYNTAX,
    &TAB_INDENTATION,
    &UNCLOSED_QUOTE,
    &UNQUOTED_TEMPLATE,
    &MISSING_SPACE,
    &INDENTATION,
    &INVALID_UTF8,
    &CONTROL_CHARACTER,
    &MULTIPLE_DOCUMENTS,
    &EMPTY_DOCUMENT,
    &DUPLICATE_KEY,
    &COMPLEX_KEY,
    &UNKNOWN_ANCHOR,
    &CYCLIC_ALIAS,
    &DUPLICATE_ANCHOR,
    &INVALID_MERGE,
    &UNKNOWN_TAG,
    &PYTHON_TAG,
    &TAG_MISMATCH,
    &LEADING_ZERO,
    &COLON_IN_VALUE,
    &UNCLOSED_BRACKET,
    &INVALID_ESCAPE,
    &RESERVED_CHARACTER,
    &BLOCK_SCALAR,
    &TOO_LARGE,
    &TOO_DEEP,
    &TOO_MANY_NODES,
    &TOO_MANY_ALIASES,
    &EXPANSION,
    &TOO_MANY_PROBLEMS,
    &MALFORMED_INCLUDE,
    &INCLUDE_SCHEME,
    &INCLUDE_ABSOLUTE,
    &INCLUDE_OUTSIDE,
    &INCLUDE_LINK,
    &INCLUDE_MISSING,
    &INCLUDE_NOT_A_FILE,
    &INCLUDE_CYCLE,
    &TOO_MANY_INCLUDES,
    &INCLUDE_REFUSED,
    &UNREADABLE,
];
