//! Untyped data as descriptors hold it: what YAML, variables and templates share.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fingerprint::FingerprintBuilder;

/// A floating-point number with total equality, so that it can be compared and
/// hashed: equal means the same bits, but for the two zeros and for NaN, which
/// equal themselves.
///
/// It is stored as text: JSON has no infinities and no NaN, and its readers may
/// return a neighbour of the number that was written.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FloatVisitor)
    }
}

/// Reads text, and the numbers that older versions wrote.
struct FloatVisitor;

impl Visitor<'_> for FloatVisitor {
    type Value = Float;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a floating-point number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Float, E> {
        let number = text
            .parse()
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        Ok(Float(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Float, E> {
        Ok(Float(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Float, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Float, E> {
        self.visit_str(&number.to_string())
    }
}

impl Float {
    fn bits(self) -> u64 {
        if self.0.is_nan() {
            f64::NAN.to_bits()
        } else if self.0 == 0.0 {
            0
        } else {
            self.0.to_bits()
        }
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}
impl Eq for Float {}
impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// A mapping in the order of its text. Keys are text: other scalars are written as they print.
pub type Map = Vec<(String, Value)>;

/// A piece of untyped data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// `null`, Python's `None`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A floating-point number.
    Float(Float),
    /// Text.
    String(String),
    /// A calendar date or time stamp, in its ISO 8601 form.
    Date(String),
    /// Bytes (`!!binary`).
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping, in the order of its text.
    Map(Map),
}

impl Value {
    /// Returns the text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the entries of a mapping.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the member `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Names the type as users know it from YAML.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Date(_) => "date",
            Self::Bytes(_) => "binary",
            Self::List(_) => "list",
            Self::Map(_) => "mapping",
        }
    }

    /// Adds the value to a fingerprint. Mappings count in key order, so that
    /// a permutation of a descriptor is not a change.
    pub fn fingerprint_into(&self, builder: &mut FingerprintBuilder) {
        match self {
            Self::Null => builder.piece(b'0', &[]),
            Self::Bool(truth) => builder.piece(b'b', &[u8::from(*truth)]),
            Self::Int(number) => builder.piece(b'i', &number.to_be_bytes()),
            Self::Float(number) => builder.piece(b'f', &number.bits().to_be_bytes()),
            Self::String(text) => builder.text(text),
            Self::Date(text) => builder.piece(b'd', text.as_bytes()),
            Self::Bytes(bytes) => builder.piece(b'y', bytes),
            Self::List(items) => {
                builder.piece(b'l', &(items.len() as u64).to_be_bytes());
                for item in items {
                    item.fingerprint_into(builder);
                }
                builder
            }
            Self::Map(entries) => {
                builder.piece(b'm', &(entries.len() as u64).to_be_bytes());
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|one, two| one.0.cmp(&two.0));
                for (key, value) in sorted {
                    builder.text(key);
                    value.fingerprint_into(builder);
                }
                builder
            }
        };
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(i128::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(value: &Value) -> crate::Fingerprint {
        let mut builder = FingerprintBuilder::default();
        value.fingerprint_into(&mut builder);
        builder.finish()
    }

    #[test]
    fn the_order_of_keys_is_not_a_change_but_that_of_items_is() {
        let map = |pairs: &[(&str, i64)]| {
            Value::Map(
                pairs
                    .iter()
                    .map(|(key, n)| ((*key).to_owned(), Value::from(*n)))
                    .collect(),
            )
        };
        assert_eq!(
            print(&map(&[("a", 1), ("b", 2)])),
            print(&map(&[("b", 2), ("a", 1)]))
        );
        let list = |items: &[i64]| Value::List(items.iter().map(|n| Value::from(*n)).collect());
        assert_ne!(print(&list(&[1, 2])), print(&list(&[2, 1])));
    }

    #[test]
    fn floats_are_stored_exactly() {
        use serde::de::IntoDeserializer as _;
        use serde::de::value::{Error, F64Deserializer, StrDeserializer};
        for number in [
            0.1 + 0.2,
            5e-324,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ] {
            let text = format!("{number:?}");
            let source: StrDeserializer<'_, Error> = text.as_str().into_deserializer();
            assert_eq!(Float::deserialize(source), Ok(Float(number)), "{text}");
            let older: F64Deserializer<Error> = number.into_deserializer();
            assert_eq!(Float::deserialize(older), Ok(Float(number)), "{text}");
        }
        let source: StrDeserializer<'_, Error> = "many".into_deserializer();
        assert!(Float::deserialize(source).is_err());
    }

    #[test]
    fn types_are_told_apart() {
        assert_ne!(print(&Value::from("1")), print(&Value::from(1)));
        assert_ne!(print(&Value::Null), print(&Value::from("")));
    }
}
