//! Compiles and renders arbitrary templates: they end, within their budgets,
//! with a text or an error, and always with the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zenekar_base::Value;
use zenekar_template::{Namespace, NoFunctions, OUTPUT_BYTES_MAX, SharedValue, Template};

/// Longer inputs find nothing that shorter ones do not, only later.
const INPUT_BYTES_MAX: usize = 4 << 10;

fn variables() -> SharedValue {
    let list = vec!["a".into(), Value::Int(7), Value::Null, Value::Bool(true)];
    SharedValue::from(&Value::Map(vec![
        ("text".to_owned(), "it's \"é\"\n".into()),
        ("list".to_owned(), Value::List(list)),
        ("items".to_owned(), Value::Map(vec![("k".to_owned(), "v".into())])),
        ("port".to_owned(), Value::Int(8080)),
    ]))
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() > INPUT_BYTES_MAX {
        return;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(template) = Template::compile(text) else {
        return;
    };
    let namespace = Namespace {
        values: vec![("variables", variables()), ("name", "node".into())],
        functions: &NoFunctions,
    };
    let first = template.render(&namespace);
    if let Ok(text) = &first {
        assert!(text.len() <= OUTPUT_BYTES_MAX);
    }
    assert_eq!(first, template.render(&namespace));
});
