//! Tests of the template crate through its public interface.

mod golden;
mod hostile;
mod jinja;

use std::cell::RefCell;

use zenekar_base::{Float, Value};
use zenekar_template::{Argument, Functions, Namespace, SharedValue, Template, TemplateError};

/// A function table that writes down how it is called.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) calls: RefCell<Vec<String>>,
}

impl Functions for Recorder {
    fn names(&self) -> &[&'static str] {
        &["cut", "getip", "getipall", "fail"]
    }

    fn call(
        &self,
        name: &str,
        arguments: &[Argument],
        named: &[(String, Argument)],
    ) -> Result<Value, String> {
        self.calls
            .borrow_mut()
            .push(format!("{name} {arguments:?} {named:?}"));
        match (name, arguments) {
            (
                "cut",
                [
                    text,
                    Argument::Value(Value::Int(start)),
                    Argument::Value(Value::Int(end)),
                ],
            ) => {
                let text = text.as_str().ok_or("`cut` takes a text")?;
                let bound = |number: &i128| usize::try_from(*number).unwrap_or(0).min(text.len());
                Ok(Value::from(&text[bound(start)..bound(end)]))
            }
            ("getip", [Argument::Undefined]) => Ok(Value::from("10.0.0.1")),
            ("getip", [node]) => Ok(Value::String(format!(
                "ip-of-{}",
                node.as_str().unwrap_or("?")
            ))),
            ("getipall", _) => Ok(Value::List(vec![
                Value::from("10.0.0.1"),
                Value::from("10.0.0.2"),
            ])),
            _ => Err(format!("`{name}` has no such node")),
        }
    }
}

pub(crate) fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| Value::from(*item)).collect())
}

pub(crate) fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn values() -> Vec<(&'static str, Value)> {
    let floats = [
        1.0,
        1e16,
        1.5e-7,
        0.0001,
        -0.0,
        1e22,
        123_456_789_012_345_680.0,
        5e-324,
        f64::MAX,
    ];
    let node = map(&[
        ("name", Value::from("n1")),
        ("a", Value::from(1)),
        ("b", Value::List(vec![Value::from(1), Value::from("x")])),
        ("c", map(&[("d", Value::Null)])),
    ]);
    let hosts = [("a", 80, true), ("b", 22, false), ("c", 443, true)];
    let host = |(name, port, up): (&str, i64, bool)| {
        map(&[
            ("name", Value::from(name)),
            ("port", Value::from(port)),
            ("up", Value::from(up)),
        ])
    };
    vec![
        ("hosts", Value::List(hosts.map(host).to_vec())),
        ("yes", Value::from(true)),
        ("no", Value::from(false)),
        ("nothing", Value::Null),
        ("names", list(&["alpha", "beta", "gamma"])),
        ("text", Value::from("Hello wOrld")),
        ("node", node),
        (
            "tricky",
            map(&[
                ("items", Value::from("thing")),
                ("keys", Value::List(vec![Value::from(1)])),
                ("x", Value::from(1)),
            ]),
        ),
        (
            "floats",
            Value::List(floats.map(|number| Value::Float(Float(number))).to_vec()),
        ),
        ("data", Value::Bytes(b"ab'c\n".to_vec())),
        ("day", Value::Date("2001-01-02".to_owned())),
        ("stamp", Value::Date("2001-12-14t21:59:43.10".to_owned())),
        ("lookup", map(&[("k", Value::from(1))])),
    ]
}

/// Renders a template over the namespace of the golden cases.
pub(crate) fn render(source: &str) -> Result<String, TemplateError> {
    render_with(source, &Recorder::default())
}

pub(crate) fn render_with(
    source: &str,
    functions: &dyn Functions,
) -> Result<String, TemplateError> {
    let values = values()
        .iter()
        .map(|(name, value)| (*name, SharedValue::from(value)))
        .collect();
    Template::compile(source)?.render(&Namespace { values, functions })
}
