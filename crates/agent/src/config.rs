//! Cloud-config text to values.

use zenekar_base::Value;
use zenekar_diagnostics::{Diagnostic, SourceMap, Span, codes::document as codes};
use zenekar_document::{Entry, Kind, Limits, Style, View, load_text_last_counts, plain_value};

use crate::decode;
use crate::limits;
use crate::scalar;

/// What a cloud-config says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// Its value; null if it is empty.
    pub(crate) value: Value,
    /// What is odd about it, in one line each.
    pub(crate) remarks: Vec<String>,
}

/// Reads the text of a cloud-config, or says in one line where it is wrong.
pub(crate) fn read(name: &str, content: &[u8]) -> Result<Config, String> {
    if content.len() > limits::CONFIG_BYTES_MAX {
        return Err(format!(
            "too large: at most {} bytes",
            limits::CONFIG_BYTES_MAX
        ));
    }
    let text = std::str::from_utf8(content).map_err(|problem| {
        let before = &content[..problem.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line}: not UTF-8")
    })?;
    // Trailing blank space is no content to cloud-init's reader, but counts as a mistake otherwise.
    let text = text.trim_end_matches(['\0', '\u{feff}']);
    let mut sources = SourceMap::default();
    let loaded = load_text_last_counts(name, text, &limits_of_yaml(), &mut sources);
    let mut remarks = Vec::new();
    for diagnostic in &loaded.diagnostics {
        if !diagnostic.is_error() || diagnostic.code.id == codes::EMPTY_DOCUMENT.id {
            continue;
        }
        // Bytes that are no proper base64: Python skips what is no letter of it.
        if diagnostic.code.id == codes::TAG_MISMATCH.id
            && diagnostic.message.contains("`!!binary`")
            && let Some(label) = &diagnostic.primary
            && lenient_binary(label.span, &sources).is_some()
        {
            continue;
        }
        let line = one_line(diagnostic, &sources);
        if diagnostic.code.id == codes::DUPLICATE_KEY.id {
            remarks.push(format!("{line}; the last one counts"));
        } else {
            return Err(line);
        }
    }
    let value = loaded
        .document
        .root()
        .map_or(Value::Null, |root| value_of(root, &sources));
    Ok(Config { value, remarks })
}

fn limits_of_yaml() -> Limits {
    Limits {
        bytes_max: limits::CONFIG_BYTES_MAX,
        depth_max: limits::CONFIG_DEPTH_MAX,
        nodes_max: limits::CONFIG_NODES_MAX,
        aliases_max: limits::CONFIG_ALIASES_MAX,
        expanded_nodes_max: limits::CONFIG_EXPANDED_NODES_MAX,
        ..Limits::default()
    }
}

fn one_line(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    match &diagnostic.primary {
        Some(label) => {
            let place = sources.position(label.span);
            format!(
                "line {}, column {}: {}",
                place.line, place.column, diagnostic.message
            )
        }
        None => diagnostic.message.clone(),
    }
}

/// Returns a value with unquoted scalars read by the older rules.
/// The recursion is bounded, because the depth of a document is.
fn value_of(view: View<'_>, sources: &SourceMap) -> Value {
    match view.kind() {
        Kind::List => Value::List(view.items().map(|item| value_of(item, sources)).collect()),
        Kind::Map => {
            let entry_of = |entry: Entry<'_>| {
                let key = entry.key.text().to_owned();
                (key, value_of(entry.value, sources))
            };
            Value::Map(view.entries().map(entry_of).collect())
        }
        // All other values that cannot be read were told as mistakes.
        Kind::Invalid => {
            lenient_binary(view.definition_span(), sources).map_or(Value::Null, Value::Bytes)
        }
        _ if view.scalar_style() == Style::Plain => plain_scalar(view, sources),
        _ => view.to_value(),
    }
}

/// Decodes the text of a scalar as base64, whatever else is in it.
fn lenient_binary(span: Span, sources: &SourceMap) -> Option<Vec<u8>> {
    let written = sources
        .text(span.file)
        .get(span.start as usize..span.end as usize)?;
    let content = match written.split_once('\n') {
        // The first line of a block of text is its header.
        Some((header, content)) if header.starts_with(['|', '>']) => content,
        _ => written,
    };
    decode::base64_lenient(content.as_bytes()).ok()
}

fn plain_scalar(view: View<'_>, sources: &SourceMap) -> Value {
    let span = view.definition_span();
    let written = sources
        .text(span.file)
        .get(span.start as usize..span.end as usize)
        .unwrap_or("");
    let value = view.to_value();
    // A tag such as `!!str` says what the scalar is; what differs from the
    // reading without a tag has one.
    if plain_value(written) == value {
        scalar::resolve(written)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        read("test", text.as_bytes()).unwrap().value
    }

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::Map(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    }

    #[test]
    fn unquoted_scalars_are_typed_as_in_yaml_1_1() {
        assert_eq!(
            value("a: 0644\nb: yes\nc: \"0644\"\nd: !!str 0644\ne: 'no'\nf: two\n  lines\n"),
            map(&[
                ("a", Value::Int(0o644)),
                ("b", Value::Bool(true)),
                ("c", Value::String("0644".to_owned())),
                ("d", Value::String("0644".to_owned())),
                ("e", Value::String("no".to_owned())),
                ("f", Value::String("two lines".to_owned())),
            ])
        );
    }

    #[test]
    fn aliases_merges_and_line_ends_are_understood() {
        assert_eq!(
            value("base: &b\r\n  x: 1\r\n  y: 010\r\nown:\r\n  <<: *b\r\n  x: 2\r\n"),
            map(&[
                ("base", map(&[("x", Value::Int(1)), ("y", Value::Int(8))])),
                ("own", map(&[("x", Value::Int(2)), ("y", Value::Int(8))])),
            ])
        );
    }

    #[test]
    fn a_key_given_twice_is_remarked_and_the_last_one_counts() {
        let config = read("test", b"a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(
            config.value,
            map(&[("a", Value::Int(3)), ("b", Value::Int(2))])
        );
        assert_eq!(
            config.remarks,
            ["line 3, column 1: the key `a` is given twice; the last one counts"]
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        let problem = read("test", b"a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(problem.starts_with("line "), "{problem}");
        assert_eq!(
            read("test", b"a: 1\nb: \xff\n").unwrap_err(),
            "line 2: not UTF-8"
        );
        assert_eq!(read("test", b"# nothing\n").unwrap().value, Value::Null);
    }

    /// Prints the values of the files named as arguments as JSON, one a line.
    const PYTHON: &str = r#"
import sys, json, yaml
for path in sys.argv[1:]:
    try:
        value = yaml.safe_load(open(path).read())
        print(json.dumps(value, default=str, sort_keys=True))
    except Exception as cause:
        print("null" if "safe_load" in str(cause) else '"error"')
"#;

    fn json(value: &Value) -> serde_json::Value {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(number) => i64::try_from(*number).unwrap().into(),
            Value::Float(number) => number.0.into(),
            Value::String(text) | Value::Date(text) => text.as_str().into(),
            Value::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii()).into(),
            Value::List(items) => items.iter().map(json).collect(),
            Value::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), json(value)))
                    .collect(),
            ),
        }
    }

    #[test]
    fn the_examples_of_cloud_init_are_read_as_python_reads_them() {
        let Ok(folder) = std::fs::read_dir("/usr/share/doc/cloud-init/examples") else {
            return;
        };
        let mut paths: Vec<_> = folder
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                std::fs::read(path).is_ok_and(|content| content.starts_with(b"#cloud-config\n"))
            })
            .collect();
        paths.sort();
        let output = std::process::Command::new("/usr/bin/python3")
            .args(["-c", PYTHON])
            .args(&paths)
            .output();
        let Ok(output) = output else { return };
        if !output.status.success() {
            return;
        }
        let answers = String::from_utf8(output.stdout).unwrap();
        for (path, answer) in paths.iter().zip(answers.lines()) {
            let expected: serde_json::Value = serde_json::from_str(answer).unwrap();
            let found = match read("example", &std::fs::read(path).unwrap()) {
                Ok(config) => json(&config.value),
                Err(message) => {
                    assert_eq!(expected, "error", "{}: {message}", path.display());
                    continue;
                }
            };
            assert_eq!(found, expected, "{}", path.display());
        }
    }
}
