//! The functions that a caller gives to its templates.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, from_args};
use minijinja::{Error, State, Value as EngineValue};
use scoped_tls_hkt::scoped_thread_local;
use zenekar_base::Value;

use crate::error::{ErrorKind, marked};
use crate::value::{from_engine, to_engine};

/// An argument of a function call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// The expression was undefined, as `master` in `getip(master)` mostly is.
    Undefined,
    /// A value.
    Value(Value),
}

impl Argument {
    /// Returns the value, if there is one.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Undefined => None,
            Self::Value(value) => Some(value),
        }
    }

    /// Returns the text of a string argument.
    pub fn as_str(&self) -> Option<&str> {
        self.value().and_then(Value::as_str)
    }
}

/// Functions that templates can call, such as `getip`.
pub trait Functions {
    /// Names the functions.
    fn names(&self) -> &[&'static str];

    /// Calls a function. An error is one line of text that says what is wrong;
    /// it ends the rendering with [`ErrorKind::Function`].
    fn call(
        &self,
        name: &str,
        arguments: &[Argument],
        named: &[(String, Argument)],
    ) -> Result<Value, String>;
}

/// No functions at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFunctions;

impl Functions for NoFunctions {
    fn names(&self) -> &[&'static str] {
        &[]
    }

    fn call(&self, name: &str, _: &[Argument], _: &[(String, Argument)]) -> Result<Value, String> {
        Err(format!("there is no function `{name}`"))
    }
}

scoped_thread_local!(
    // The functions of the rendering that this thread is in. Objects inside the
    // template library may not borrow, so the borrow waits here while it runs.
    static CURRENT: for<'a> &'a dyn Functions
);

/// Runs `render` while calls from templates reach `functions`.
pub(crate) fn with_functions<R>(functions: &dyn Functions, render: impl FnOnce() -> R) -> R {
    CURRENT.set(functions, render)
}

/// A function as a value inside a template.
#[derive(Debug)]
pub(crate) struct FunctionObject(pub(crate) &'static str);

impl Object for FunctionObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        arguments: &[EngineValue],
    ) -> Result<EngineValue, Error> {
        let (positional, named): (Rest<EngineValue>, Kwargs) = from_args(arguments)?;
        let positional = positional
            .iter()
            .map(argument)
            .collect::<Result<Vec<_>, _>>()?;
        let mut pairs = Vec::new();
        for name in named.args().map(str::to_owned).collect::<Vec<_>>() {
            let value: EngineValue = named.get(&name)?;
            pairs.push((name, argument(&value)?));
        }
        if !CURRENT.is_set() {
            return Err(marked(
                ErrorKind::Function,
                format!("`{}` was called outside of a rendering", self.0),
            ));
        }
        let result = CURRENT.with(|functions| functions.call(self.0, &positional, &pairs));
        result
            .map(|value| to_engine(&value))
            .map_err(|message| marked(ErrorKind::Function, message))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<function {}>", self.0)
    }
}

fn argument(value: &EngineValue) -> Result<Argument, Error> {
    if value.is_undefined() {
        Ok(Argument::Undefined)
    } else {
        from_engine(value).map(Argument::Value)
    }
}
