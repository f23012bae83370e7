//! The `group` and the `expected` of a variable, as scenario files write them.

use zenekar_diagnostics::{codes::property as codes, did_you_mean};

use crate::datum::{Comparison, Literal, Number};
use crate::mistake::Mistake;
use crate::predicate::{Operand, Quantifier, Test};

/// The comparisons that are written as words.
const WORDS: &[&str] = &["exactly", "contains", "between"];

/// The comparisons that are written as signs, longer ones first.
const SIGNS: &[&str] = &["==", "!=", "<=", ">=", "=", "<", ">"];

/// Reads `all`, `any`, `none`, `exactly 2` or `at_least 2`.
pub(crate) fn group(text: &str) -> Result<Quantifier, Mistake> {
    let mut words = text.split_whitespace();
    let (word, number, rest) = (words.next().unwrap_or(""), words.next(), words.next());
    let count: Option<u32> = number.and_then(|number| number.parse().ok());
    let group = match (word, number, count) {
        ("all", None, _) => Some(Quantifier::All),
        ("any", None, _) => Some(Quantifier::Any),
        ("none", None, _) => Some(Quantifier::None),
        ("exactly", _, Some(count)) => Some(Quantifier::Exactly(count)),
        ("at_least", _, Some(count)) => Some(Quantifier::AtLeast(count)),
        _ => None,
    };
    group.filter(|_| rest.is_none()).ok_or_else(|| {
        let mistake = Mistake::new(
            &codes::INVALID_VARIABLE,
            (0, text.len()),
            format!("`{text}` is not a group"),
        );
        match did_you_mean(word, ["all", "any", "none", "exactly", "at_least"]) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None => mistake.help("groups are `all`, `any`, `none`, `exactly 2` and `at_least 2`"),
        }
    })
}

/// Reads a comparison and what is compared with: `>= 3`, `exactly ready`.
pub(crate) fn expected(text: &str) -> Result<Test, Mistake> {
    let trimmed = text.trim();
    let start = text.len() - text.trim_start().len();
    let range = (start, start + trimmed.len());
    if let Some(sign) = SIGNS.iter().find(|sign| trimmed.starts_with(**sign)) {
        let rest = trimmed[sign.len()..].trim();
        let comparison = Comparison::of_sign(sign).unwrap_or(Comparison::Equal);
        let Some(number) = Number::parse(rest) else {
            return Err(invalid(
                range,
                format!("`{sign}` compares numbers, and `{rest}` is none"),
            )
            .help("texts are compared by `exactly TEXT` and `contains TEXT`"));
        };
        return Ok(compare(comparison, Literal::Number(number)));
    }
    let (word, rest) = trimmed
        .split_once(char::is_whitespace)
        .map_or((trimmed, ""), |(word, rest)| (word, rest.trim()));
    if !WORDS.contains(&word) {
        let mistake = invalid(
            range,
            format!("`{trimmed}` does not begin with an operator"),
        );
        return Err(match trimmed {
            "True" | "true" => mistake.help("write `true` without quotes"),
            "False" | "false" => mistake.help("write `false` without quotes"),
            _ if Number::parse(trimmed).is_some() => {
                mistake.help(format!("write `= {trimmed}`"))
            }
            _ => mistake.help(format!(
                "write `exactly {trimmed}` or `contains {trimmed}`; others are `=`, `!=`, `<`, `<=`, `>`, `>=` and `between`"
            )),
        });
    }
    if rest.is_empty() {
        return Err(invalid(range, format!("nothing follows `{word}`")));
    }
    match word {
        "exactly" => Ok(compare(Comparison::Equal, Literal::Text(rest.to_owned()))),
        "contains" => Ok(Test::Contains(rest.to_owned())),
        _ => between(rest, range),
    }
}

/// Reads the bounds `2 and 5`, `2, 5` or `2 5`.
fn between(text: &str, range: (usize, usize)) -> Result<Test, Mistake> {
    let bounds: Vec<&str> = text
        .split(|character: char| character == ',' || character.is_whitespace())
        .filter(|word| !word.is_empty() && *word != "and")
        .collect();
    let numbers = match bounds.as_slice() {
        [low, high] => Number::parse(low).zip(Number::parse(high)),
        _ => None,
    };
    let Some((low, high)) = numbers else {
        return Err(invalid(range, "`between` takes two numbers").help("as in `between 2 and 5`"));
    };
    if low.order(high).is_none_or(std::cmp::Ordering::is_gt) {
        return Err(
            invalid(range, "no number is between these bounds").help("the smaller one comes first")
        );
    }
    Ok(Test::Between(low, high))
}

/// A comparison with a literal.
pub(crate) const fn compare(comparison: Comparison, literal: Literal) -> Test {
    Test::Compare(comparison, Operand::Literal(literal))
}

fn invalid(range: (usize, usize), message: impl Into<String>) -> Mistake {
    Mistake::new(&codes::INVALID_VARIABLE, range, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_can_be_selected() {
        let number =
            |comparison, number| compare(comparison, Literal::Number(Number::Integer(number)));
        for (text, test) in [
            ("= 3", number(Comparison::Equal, 3)),
            ("==3", number(Comparison::Equal, 3)),
            ("!= 3", number(Comparison::NotEqual, 3)),
            ("> 3", number(Comparison::Greater, 3)),
            (">=3", number(Comparison::AtLeast, 3)),
            ("< -3", number(Comparison::Less, -3)),
            (" <= 3 ", number(Comparison::AtMost, 3)),
            (
                "exactly a b",
                compare(Comparison::Equal, Literal::Text("a b".to_owned())),
            ),
            ("contains  b", Test::Contains("b".to_owned())),
            (
                "between 1 and 2.5",
                Test::Between(Number::Integer(1), Number::Decimal(2.5)),
            ),
            (
                "between 1,2",
                Test::Between(Number::Integer(1), Number::Integer(2)),
            ),
        ] {
            assert_eq!(expected(text), Ok(test), "{text}");
        }
    }

    #[test]
    fn what_is_no_comparison_is_told() {
        for text in [
            "",
            "ready",
            "exactly",
            "exactlyready",
            "= x",
            "> ",
            "between 1",
            "between 3 and 1",
            "True",
        ] {
            let mistake = expected(text).expect_err(text);
            assert_eq!(mistake.code, &codes::INVALID_VARIABLE, "{text}");
        }
    }

    #[test]
    fn groups_have_counts_where_they_need_them() {
        assert_eq!(group("exactly 2"), Ok(Quantifier::Exactly(2)));
        assert_eq!(group(" at_least  3"), Ok(Quantifier::AtLeast(3)));
        for text in ["", "all 2", "exactly", "exactly -1", "at_least 2 3", "some"] {
            assert!(group(text).is_err(), "{text}");
        }
    }
}
