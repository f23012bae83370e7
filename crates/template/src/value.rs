//! Values inside templates: conversions and the objects that behave as Python's do.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectExt, ObjectRepr, ValueKind};
use minijinja::{Error, State, Value as EngineValue};
use zenekar_base::{Float, Value};

use crate::date::Date;
use crate::error::mismatch;
use crate::methods;
use crate::print::{engine_repr, render_object};

/// A value that was converted for templates once and is cheap to clone after that.
#[derive(Clone, Debug)]
pub struct SharedValue(pub(crate) EngineValue);

impl From<&Value> for SharedValue {
    fn from(value: &Value) -> Self {
        Self(to_engine(value))
    }
}

impl From<&str> for SharedValue {
    fn from(text: &str) -> Self {
        Self(EngineValue::from(text))
    }
}

impl SharedValue {
    /// Makes a mapping of values that are shared already, in the given order.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, SharedValue)>) -> Self {
        let entries = pairs
            .into_iter()
            .map(|(key, value)| (Arc::from(key), value.0))
            .collect();
        Self(EngineValue::from_object(MapObject::new(entries)))
    }

    /// Makes a list of values that are shared already.
    pub fn from_items(items: impl IntoIterator<Item = SharedValue>) -> Self {
        Self(EngineValue::from_object(ListObject(
            items.into_iter().map(|item| item.0).collect(),
        )))
    }
}

/// Converts a value for use inside a template.
pub(crate) fn to_engine(value: &Value) -> EngineValue {
    match value {
        Value::Null => EngineValue::from(()),
        Value::Bool(truth) => EngineValue::from(*truth),
        Value::Int(number) => {
            i64::try_from(*number).map_or_else(|_| EngineValue::from(*number), EngineValue::from)
        }
        Value::Float(number) => EngineValue::from(number.0),
        Value::String(text) => EngineValue::from(text.as_str()),
        Value::Date(text) => match Date::parse(text) {
            Some(date) => EngineValue::from_object(DateObject(date)),
            None => EngineValue::from(text.as_str()),
        },
        Value::Bytes(bytes) => EngineValue::from_object(BytesObject(bytes.clone())),
        Value::List(items) => {
            EngineValue::from_object(ListObject(items.iter().map(to_engine).collect()))
        }
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (Arc::from(key.as_str()), to_engine(value)))
                .collect();
            EngineValue::from_object(MapObject::new(entries))
        }
    }
}

/// How deep an argument of a function may be nested; deeper ones are refused.
const ARGUMENT_DEPTH_MAX: usize = 128;

/// Converts a value of a template back; an undefined one within it becomes null.
pub(crate) fn from_engine(value: &EngineValue) -> Result<Value, Error> {
    convert(value, 0)
}

fn convert(value: &EngineValue, depth: usize) -> Result<Value, Error> {
    if depth > ARGUMENT_DEPTH_MAX {
        return Err(mismatch(format!(
            "a value is nested deeper than {ARGUMENT_DEPTH_MAX} levels"
        )));
    }
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => Value::Int(
            i128::try_from(value.clone())
                .map_err(|_| mismatch(format!("the number {value} is too large")))?,
        ),
        ValueKind::Number => Value::Float(Float(f64::try_from(value.clone())?)),
        ValueKind::String => Value::String(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Bytes => Value::Bytes(value.as_bytes().unwrap_or_default().to_vec()),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter()?.checked() {
                items.push(convert(&item?, depth + 1)?);
            }
            Value::List(items)
        }
        ValueKind::Map => {
            let mut entries = Vec::new();
            for (key, item) in value
                .as_object()
                .and_then(minijinja::value::DynObject::try_iter_pairs)
                .into_iter()
                .flatten()
            {
                entries.push((crate::print::engine_str(&key), convert(&item, depth + 1)?));
            }
            Value::Map(entries)
        }
        _ => {
            if let Some(bytes) = value.downcast_object_ref::<BytesObject>() {
                Value::Bytes(bytes.0.clone())
            } else if let Some(date) = value.downcast_object_ref::<DateObject>() {
                Value::Date(date.0.to_string())
            } else {
                return Err(mismatch(format!("{} is not data", engine_repr(value))));
            }
        }
    })
}

/// A mapping in the order of its text whose methods win over members of the
/// same name in `mapping.name`, as in Jinja2; `mapping['name']` is the member.
#[derive(Debug)]
pub(crate) struct MapObject {
    entries: Vec<(Arc<str>, EngineValue)>,
    /// Positions in `entries` in the order of the keys, for binary search.
    by_key: Vec<u32>,
}

impl MapObject {
    fn new(entries: Vec<(Arc<str>, EngineValue)>) -> Self {
        // A document is far below 2^32 entries: its size in bytes is limited.
        let mut by_key: Vec<u32> = (0..u32::try_from(entries.len()).unwrap_or(u32::MAX)).collect();
        by_key.sort_by(|one, two| entries[*one as usize].0.cmp(&entries[*two as usize].0));
        Self { entries, by_key }
    }

    fn find(&self, key: &str) -> Option<EngineValue> {
        let at = self
            .by_key
            .binary_search_by(|index| self.entries[*index as usize].0.as_ref().cmp(key))
            .ok()?;
        Some(self.entries[self.by_key[at] as usize].1.clone())
    }
}

impl Object for MapObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        self.find(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<EngineValue> {
        match methods::DICT_METHODS.iter().find(|method| **method == key) {
            Some(method) => {
                let receiver = EngineValue::from_dyn_object(self.clone());
                Some(EngineValue::from_object(BoundMethod {
                    receiver,
                    type_name: "dict",
                    method,
                }))
            }
            None => self.find(key),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_key_value_enumerator(|this| {
            Box::new(
                this.entries
                    .iter()
                    .map(|(key, value)| (EngineValue::from(key.clone()), value.clone())),
            )
        })
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.entries.len())
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_object(self, formatter)
    }
}

/// A list that prints as Python's wherever the template library prints it.
#[derive(Debug)]
pub(crate) struct ListObject(Vec<EngineValue>);

impl Object for ListObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        self.0.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_object(self, formatter)
    }
}

/// Bytes, which print as `b'…'`.
#[derive(Debug)]
pub(crate) struct BytesObject(pub(crate) Vec<u8>);

impl Object for BytesObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        let index = key.as_i64()?;
        let index = if index < 0 {
            index.checked_add(i64::try_from(self.0.len()).ok()?)?
        } else {
            index
        };
        self.0
            .get(usize::try_from(index).ok()?)
            .map(|byte| EngineValue::from(i64::from(*byte)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_empty()
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }

    fn custom_cmp(
        self: &Arc<Self>,
        other: &minijinja::value::DynObject,
    ) -> Option<std::cmp::Ordering> {
        other
            .downcast_ref::<Self>()
            .map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        crate::print::push_bytes(&mut out, &self.0);
        formatter.write_str(&out)
    }
}

/// A date or time stamp.
#[derive(Debug)]
pub(crate) struct DateObject(pub(crate) Date);

impl Object for DateObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        let number = match key.as_str()? {
            "year" => self.0.year,
            "month" => self.0.month,
            "day" => self.0.day,
            _ => return None,
        };
        Some(EngineValue::from(i64::from(number)))
    }

    fn custom_cmp(
        self: &Arc<Self>,
        other: &minijinja::value::DynObject,
    ) -> Option<std::cmp::Ordering> {
        other
            .downcast_ref::<Self>()
            .map(|other| self.0.to_string().cmp(&other.0.to_string()))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// A method that was looked up without being called, as `variables.items` is.
#[derive(Debug)]
pub(crate) struct BoundMethod {
    receiver: EngineValue,
    type_name: &'static str,
    method: &'static str,
}

impl fmt::Display for BoundMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "<built-in method {} of {} object>",
            self.method, self.type_name
        )
    }
}

impl Object for BoundMethod {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        arguments: &[EngineValue],
    ) -> Result<EngineValue, Error> {
        methods::call(state, &self.receiver, self.method, arguments)
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, formatter)
    }
}
