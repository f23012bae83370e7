use zenekar_base::Value;
use zenekar_template::{
    Argument, ErrorKind, Functions, Namespace, NoFunctions, Template, python_repr, python_str,
};

use crate::golden::GOLDEN;
use crate::{Recorder, list, map, render, render_with};

#[test]
fn templates_print_what_jinja2_prints() {
    let mut wrong = Vec::new();
    for (template, expected) in GOLDEN {
        let found = render(template);
        if found.as_ref().ok().map(String::as_str) != *expected {
            wrong.push(format!(
                "{template:?}\n   jinja2: {expected:?}\n  zenekar: {found:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        GOLDEN.len(),
        wrong.join("\n")
    );
}

fn fails(template: &str, kind: ErrorKind, message: &str, place: &str) {
    let error = render(template).expect_err(template);
    assert_eq!(
        (
            error.kind,
            error.message.as_str(),
            &template[error.span.clone()]
        ),
        (kind, message, place),
        "{template}"
    );
    assert_eq!(
        error.line,
        template[..error.span.start].matches('\n').count() + 1
    );
}

#[test]
fn errors_name_what_is_wrong_and_where() {
    use ErrorKind::{Function, OutOfFuel, OutputTooLarge, Syntax, Type, Undefined};
    fails(
        "a\n{{ missing.attr }}",
        Undefined,
        "`missing` is undefined",
        "missing.attr",
    );
    fails(
        "a\r\n\r\n{{ node.missing.attr }}",
        Undefined,
        "`node.missing` is undefined",
        "node.missing.attr",
    );
    fails(
        "{% set x = node.missing.attr %}",
        Undefined,
        "`node.missing` is undefined",
        "node.missing.attr",
    );
    fails(
        "{{ nosuch(1) }}",
        Undefined,
        "`nosuch` is undefined",
        "nosuch(1)",
    );
    fails(
        "{{ getip('x') }}{{ fail('x') }}",
        Function,
        "`fail` has no such node",
        "fail('x')",
    );
    fails(
        "{{ 'a' | nosuch }}",
        Type,
        "there is no filter `nosuch`",
        "nosuch",
    );
    fails(
        "{{ 'a' is nosuch }}",
        Type,
        "there is no test `nosuch`",
        "nosuch",
    );
    fails(
        "é {{ a b }}",
        Syntax,
        "unexpected identifier, expected end of variable block",
        "b",
    );
    fails(
        "{% for x in names %}\nx",
        Syntax,
        "the block that starts here is never closed",
        "{% for x in names %}",
    );
    fails(
        "{% include 'x' %}",
        Type,
        "a template cannot include, import or extend another one",
        "include 'x'",
    );
    let endless =
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    fails(
        endless,
        OutOfFuel,
        "the template computes for too long or holds too much data",
        endless,
    );
    let long = "{% for i in range(90000) %}0123456789012345678901234567890123456789012345678901234567890123456789{% endfor %}";
    fails(
        long,
        OutputTooLarge,
        "the template prints more than 4194304 bytes",
        long,
    );
    fails(
        "{{ names.append('x') }}",
        Type,
        "`append` would change a list, which templates cannot: build a new one with `+` or a filter",
        "names.append('x')",
    );
}

#[test]
fn functions_get_their_arguments_and_undefined_ones_are_told_apart() {
    let functions = Recorder::default();
    let text = render_with(
        "{{ getip(master) }} {{ getip('web') }} {{ getipall('web') }} {{ cut(s='x') if false }}{{ cut(text, 0, end=2) if false }}",
        &functions,
    );
    assert_eq!(
        text.as_deref(),
        Ok("10.0.0.1 ip-of-web ['10.0.0.1', '10.0.0.2'] ")
    );
    assert_eq!(
        functions.calls.into_inner(),
        [
            "getip [Undefined] []",
            "getip [Value(String(\"web\"))] []",
            "getipall [Value(String(\"web\"))] []"
        ]
    );
    let functions = Recorder::default();
    assert!(render_with("{{ fail([1, none], all=missing, n=2.5) }}", &functions).is_err());
    assert_eq!(
        functions.calls.into_inner(),
        [
            "fail [Value(List([Int(1), Null]))] [(\"all\", Undefined), (\"n\", Value(Float(Float(2.5))))]"
        ]
    );
}

#[test]
fn a_function_may_render_another_template() {
    struct Outer;
    impl Functions for Outer {
        fn names(&self) -> &[&'static str] {
            &["inner"]
        }
        fn call(&self, _: &str, _: &[Argument], _: &[(String, Argument)]) -> Result<Value, String> {
            render("{{ getip('web') }}")
                .map(Value::String)
                .map_err(|error| error.to_string())
        }
    }
    assert_eq!(
        render_with("{{ inner() }} {{ inner() }}", &Outer).as_deref(),
        Ok("ip-of-web ip-of-web")
    );
}

#[test]
fn members_named_as_methods_are_reached_by_index() {
    assert_eq!(
        render("{{ tricky.items }} {{ tricky['items'] }}").as_deref(),
        Ok("<built-in method items of dict object> thing")
    );
    assert_eq!(
        render("{% set f = tricky.get %}{{ f('x') }}").as_deref(),
        Ok("1")
    );
}

#[test]
fn a_template_knows_what_it_reads() {
    let template = Template::compile("{% set a = b.c %}{{ a }}{{ getip(d) }}{% for i in range(2) %}{{ i }}{% endfor %}{# {{ e }} #}").expect("it parses");
    assert_eq!(
        template.undeclared().iter().collect::<Vec<_>>(),
        ["b", "d", "getip"]
    );
    assert!(!template.is_plain());
}

#[test]
fn a_text_without_tags_is_plain() {
    let template = Template::compile("a { b } %} {\r\n\n").expect("it parses");
    assert!(template.is_plain() && template.undeclared().is_empty());
    let rendered = template.render(&Namespace {
        values: Vec::new(),
        functions: &NoFunctions,
    });
    assert_eq!(rendered.as_deref(), Ok("a { b } %} {\n"));
}

#[test]
fn bytes_and_base64_keep_their_type() {
    assert_eq!(render("{{ 'héj' | b64encode }} {{ data | b64encode }} {{ 'aMOpag==' | b64decode }} {{ '/w' | b64decode }}").as_deref(), Ok("aMOpag== b'YWInYwo=' héj b'\\xff'"));
    assert_eq!(render("{{ '' | b64encode }}|{{ 'a' | b64encode }}|{{ 'ab' | b64encode }}|{{ 'abc' | b64encode }}").as_deref(), Ok("|YQ==|YWI=|YWJj"));
    assert_eq!(
        render("{{ '*' | b64decode }}").unwrap_err().kind,
        ErrorKind::Type
    );
}

#[test]
fn values_print_as_in_python_outside_of_templates() {
    let value = map(&[
        ("a", Value::Null),
        ("b", list(&["it's", "x"])),
        ("c", Value::Bytes(vec![0, b'\'', b'"'])),
        ("d", Value::Date("2001-01-02".to_owned())),
    ]);
    assert_eq!(
        python_str(&value),
        "{'a': None, 'b': [\"it's\", 'x'], 'c': b'\\x00\\'\"', 'd': datetime.date(2001, 1, 2)}"
    );
    assert_eq!(
        (
            python_str(&Value::from("x")),
            python_repr(&Value::from("x"))
        ),
        ("x".to_owned(), "'x'".to_owned())
    );
}
