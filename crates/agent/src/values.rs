//! Values as cloud-init's Python looks at them.

use zenekar_base::Value;

/// Returns the value of a key of a mapping; the last one counts.
pub(crate) fn get<'v>(map: &'v [(String, Value)], key: &str) -> Option<&'v Value> {
    map.iter()
        .rev()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

/// Returns the entries of a mapping.
pub(crate) fn as_map(value: &Value) -> Option<&[(String, Value)]> {
    match value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

/// Returns the items of a list.
pub(crate) fn as_list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

/// Says whether Python takes a value for true.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Int(number) => *number != 0,
        Value::Float(number) => number.0 != 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Date(_) => true,
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
    }
}

/// Says whether a value is a word for "yes" to cloud-init.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        other => matches!(
            text_of(other).trim().to_lowercase().as_str(),
            "true" | "1" | "on" | "yes"
        ),
    }
}

/// Says whether a value is a word for "no" to cloud-init.
pub(crate) fn is_false(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => !*truth,
        other => matches!(
            text_of(other).trim().to_lowercase().as_str(),
            "false" | "0" | "off" | "no"
        ),
    }
}

/// Reads an option that is on or off.
pub(crate) fn option_bool(map: &[(String, Value)], key: &str, default: bool) -> bool {
    get(map, key).map_or(default, |value| truthy(value) && is_true(value))
}

/// Prints a value as Python's `str` does.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) | Value::Date(text) => text.clone(),
        other => python_literal(other),
    }
}

/// Prints a value as it stands inside a printed list.
fn python_literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{:?}", number.0),
        Value::String(text) | Value::Date(text) => {
            let quote = if text.contains('\'') && !text.contains('"') {
                '"'
            } else {
                '\''
            };
            let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
            let escaped = if quote == '\'' {
                escaped.replace('\'', "\\'")
            } else {
                escaped
            };
            format!("{quote}{escaped}{quote}")
        }
        Value::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii()),
        // The depth of a configuration is bounded where it is read.
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(python_literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("'{key}': {}", python_literal(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Names the type of a value with its article.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Int(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::String(_) => "text",
        Value::Date(_) => "a date",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_in_python() {
        let list = Value::List(vec![
            Value::String("it's".to_owned()),
            Value::Bool(true),
            Value::Null,
            Value::Int(7),
        ]);
        assert_eq!(text_of(&list), "[\"it's\", True, None, 7]");
        assert_eq!(text_of(&Value::String("plain".to_owned())), "plain");
    }

    #[test]
    fn words_for_yes_and_no_are_those_of_cloud_init() {
        let text = |word: &str| Value::String(word.to_owned());
        assert!(is_true(&text(" YES ")) && is_true(&Value::Int(1)));
        assert!(is_false(&text("Off")) && is_false(&Value::Int(0)));
        assert!(!is_true(&text("enabled")) && !is_false(&text("enabled")));
        let map = vec![("defer".to_owned(), Value::Int(1))];
        assert!(option_bool(&map, "defer", false));
        assert!(option_bool(&map, "other", true));
    }
}
