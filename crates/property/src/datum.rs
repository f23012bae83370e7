//! What nodes report, and how it is compared.
//!
//! Scripts report most values as text. So a text that reads as a number is one
//! where it is compared with a number, and `true` and `false` in any case are
//! truth values where they are compared with one.

use std::cmp::Ordering;

/// One reported value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum<'a> {
    /// A truth value.
    Truth(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Decimal(f64),
    /// Text.
    Text(&'a str),
}

/// A value as a formula has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Truth(bool),
    Number(Number),
    Text(String),
}

/// A number; whole ones are compared exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Decimal(f64),
}

impl Number {
    /// Reads a number as people write it; none for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Integer(number));
        }
        // The library takes `inf` and `nan` for numbers, nobody else does.
        let looks_right = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let number: f64 = text.parse().ok().filter(|_| looks_right)?;
        number.is_finite().then_some(Self::Decimal(number))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers beyond 2^53 are compared with fractions by nobody"
    )]
    const fn as_decimal(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Decimal(number) => number,
        }
    }

    /// Compares; none only for values that are no numbers.
    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => Some(one.cmp(&two)),
            _ => self.as_decimal().partial_cmp(&other.as_decimal()),
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    /// Says whether the comparison holds for an order.
    pub(crate) fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }

    /// Returns the comparison that a sign stands for.
    pub(crate) fn of_sign(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" | "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// Says whether only numbers can be compared so.
    pub(crate) const fn needs_numbers(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl Datum<'_> {
    pub(crate) fn number(self) -> Option<Number> {
        match self {
            Self::Integer(number) => Some(Number::Integer(number)),
            Self::Decimal(number) => number.is_finite().then_some(Number::Decimal(number)),
            Self::Text(text) => Number::parse(text.trim()),
            Self::Truth(_) => None,
        }
    }

    fn truth(self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(truth),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// Says whether the value compares so with a literal. Values of another kind
    /// are unequal and have no order.
    pub(crate) fn compares(self, comparison: Comparison, literal: &Literal) -> bool {
        let order = match literal {
            Literal::Number(number) => self.number().and_then(|own| own.order(*number)),
            Literal::Truth(truth) => self.truth().map(|own| own.cmp(truth)),
            Literal::Text(text) => self.order_as_text(text),
        };
        order.map_or(comparison == Comparison::NotEqual, |order| {
            comparison.admits(order)
        })
    }

    fn order_as_text(self, text: &str) -> Option<Ordering> {
        match self {
            Self::Text(own) => Some(own.cmp(text)),
            // A port that one script reports as a number, another one as text.
            Self::Integer(number) => Some(number.to_string().as_str().cmp(text)),
            Self::Truth(_) | Self::Decimal(_) => None,
        }
    }

    /// Says whether a text is part of the value; only texts have parts.
    pub(crate) fn contains(self, part: &str) -> bool {
        matches!(self, Self::Text(text) if text.contains(part))
    }

    /// Says whether the value is a number between two others, both included.
    pub(crate) fn is_between(self, low: Number, high: Number) -> bool {
        self.number().is_some_and(|own| {
            own.order(low).is_some_and(Ordering::is_ge)
                && own.order(high).is_some_and(Ordering::is_le)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_numbers_and_truth_values_compare_as_what_they_say() {
        let three = Literal::Number(Number::Integer(3));
        assert!(Datum::Text(" 3 ").compares(Comparison::Equal, &three));
        assert!(Datum::Text("2.5").compares(Comparison::Less, &three));
        assert!(Datum::Decimal(3.5).compares(Comparison::Greater, &three));
        assert!(!Datum::Text("three").compares(Comparison::Equal, &three));
        assert!(Datum::Text("three").compares(Comparison::NotEqual, &three));
        assert!(!Datum::Text("three").compares(Comparison::Less, &three));
        assert!(Datum::Text("TRUE").compares(Comparison::Equal, &Literal::Truth(true)));
        assert!(!Datum::Integer(1).compares(Comparison::Equal, &Literal::Truth(true)));
        let port = Literal::Text("80".to_owned());
        assert!(Datum::Integer(80).compares(Comparison::Equal, &port));
        assert!(!Datum::Text("8080").compares(Comparison::Equal, &port));
        assert!(Datum::Text("8080").contains("80"));
    }

    #[test]
    fn numbers_are_exact_and_finite() {
        assert_eq!(
            Number::parse("9007199254740993"),
            Some(Number::Integer(9_007_199_254_740_993))
        );
        for text in ["inf", "nan", "1e999", "", "0x10", "infinity"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert!(Datum::Integer(5).is_between(Number::Decimal(4.5), Number::Integer(5)));
        assert!(!Datum::Decimal(f64::NAN).is_between(Number::Integer(0), Number::Integer(9)));
    }
}
