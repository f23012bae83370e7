//! Equality as Python sees it, which filters and authentication entries go by.

use zenekar_base::Value;

/// Says whether two values are equal: mappings without regard to their order,
/// numbers and truth values by what they count.
pub(crate) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| {
                    other
                        .iter()
                        .find(|(name, _)| name == key)
                        .is_some_and(|(_, found)| equal(value, found))
                })
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Float(one), Value::Float(other)) => one == other,
        (Value::Float(float), other) | (other, Value::Float(float)) => {
            whole(other).is_some_and(|number| is_same_number(float.0, number))
        }
        _ => match (whole(one), whole(other)) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        },
    }
}

/// Returns what a whole number or truth value counts.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(truth) => Some(i128::from(*truth)),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "numbers that a floating-point number cannot hold equal none, as the text of the number shows"
)]
fn is_same_number(float: f64, number: i128) -> bool {
    number as f64 == float && format!("{float:.0}") == number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zenekar_base::Float;

    #[test]
    fn order_of_keys_and_kinds_of_numbers_do_not_matter() {
        let map = |entries: &[(&str, Value)]| {
            Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone()))
                    .collect(),
            )
        };
        let one = map(&[("a", Value::Int(1)), ("b", Value::from("x"))]);
        let other = map(&[("b", Value::from("x")), ("a", Value::Float(Float(1.0)))]);
        assert!(equal(&one, &other));
        assert!(equal(&Value::Bool(true), &Value::Int(1)));
        assert!(!equal(&Value::from("1"), &Value::Int(1)));
        assert!(!equal(&Value::Null, &Value::Bool(false)));
        assert!(!equal(
            &Value::Float(Float(9_007_199_254_740_992.0)),
            &Value::Int(9_007_199_254_740_993)
        ));
        assert!(!equal(&one, &map(&[("a", Value::Int(1))])));
        assert!(equal(
            &Value::List(vec![Value::Int(1)]),
            &Value::List(vec![Value::Bool(true)])
        ));
    }
}
