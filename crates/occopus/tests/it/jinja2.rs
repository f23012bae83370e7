//! Templates against Jinja2 itself, where that is installed.

use serde_json::json;
use zenekar_base::{Float, Value};
use zenekar_template::{Namespace, NoFunctions, SharedValue, Template};

use crate::python;

const TEMPLATES: &str = include_str!("jinja2.txt");

/// Renders templates separated by NUL; values come as JSON in the first one.
const SCRIPT: &str = r"
import json, sys
import jinja2
values, *templates = sys.stdin.buffer.read().decode('utf-8').split('\0')
results = []
for template in templates:
    try:
        results.append(jinja2.Template(template).render(variables=json.loads(values), name='node'))
    except Exception as error:
        results.append('! ' + type(error).__name__)
sys.stdout.buffer.write('\0'.join(results).encode('utf-8'))
";

fn variables() -> serde_json::Value {
    json!({
        "port": 8080,
        "zero": 0,
        "big": 12_345_678_901_234_567_890_u64,
        "float": 1.5,
        "bool": true,
        "none": null,
        "text": "hello world foo",
        "empty": "",
        "unicode": "é€",
        "multi": "l1\nl2\n",
        "list": ["a", "b", "c"],
        "numbers": [3, 1, 2],
        "map": {"a": 1, "b": "two", "c": null},
        "nested": [{"name": "n1", "port": 1}, {"name": "n2", "port": 2}],
    })
}

fn as_value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => number.as_i128().map_or_else(
            || Value::Float(Float(number.as_f64().expect("a number"))),
            Value::Int,
        ),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::List(items.iter().map(as_value).collect()),
        serde_json::Value::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), as_value(value)))
                .collect(),
        ),
    }
}

fn ours(template: &str) -> String {
    let namespace = Namespace {
        values: vec![
            ("variables", SharedValue::from(&as_value(&variables()))),
            ("name", "node".into()),
        ],
        functions: &NoFunctions,
    };
    Template::compile(template)
        .and_then(|template| template.render(&namespace))
        .unwrap_or_else(|error| format!("! {error}"))
}

#[test]
fn templates_render_as_by_jinja2() {
    let lines: Vec<&str> = TEMPLATES
        .lines()
        .filter(|line| !line.starts_with("# "))
        .collect();
    let texts: Vec<String> = lines
        .iter()
        .map(|line| line.strip_prefix("~ ").unwrap_or(line).replace('¶', "\n"))
        .collect();
    assert!(texts.len() > 100, "{}", texts.len());
    let values = std::iter::once(variables().to_string());
    let input: Vec<String> = values.chain(texts.iter().cloned()).collect();
    let Some(wanted) = python::run(SCRIPT, &input) else {
        println!("skipped: ZENEKAR_TEST_PYTHON_PATH does not name Jinja2 3.1");
        return;
    };
    assert_eq!(wanted.len(), texts.len());
    let mut faults = Vec::new();
    for ((line, text), wanted) in lines.iter().zip(&texts).zip(&wanted) {
        let found = ours(text);
        let both_fail = found.starts_with("! ") && wanted.starts_with("! ");
        let is_equal = found == *wanted || both_fail;
        if is_equal == line.starts_with("~ ") {
            faults.push(format!("{line}\n  found:  {found:?}\n  wanted: {wanted:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
