//! Compiles and renders templates.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value as EngineValue};

use crate::error::{ErrorKind, TemplateError};
use crate::filters;
use crate::functions::{FunctionObject, Functions, with_functions};
use crate::methods;
use crate::print::engine_str;
use crate::scan::{FRAMES_MAX, Rewritten, scan};
use crate::value::SharedValue;

/// How much one rendering may compute, in the template library's unit: about
/// one per operation and per 64 bytes of data. A loop over 10,000 instances
/// that prints three members of each takes about 250,000.
pub const FUEL_MAX: u64 = 2_000_000;
/// The longest text in bytes that a template may print: far beyond what any
/// cloud takes as user data, and small enough to hold thousands of in memory.
pub const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// The name of the only template in an environment; `include` cannot spell it.
const NAME: &str = "\u{0}template";

/// What a template sees: values and functions by name.
#[derive(Clone)]
pub struct Namespace<'a> {
    /// The values; where a name is there twice, the first one counts.
    pub values: Vec<(&'a str, SharedValue)>,
    /// The functions; a value of the same name hides one.
    pub functions: &'a dyn Functions,
}

impl fmt::Debug for Namespace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.values.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("Namespace")
            .field("values", &names)
            .field("functions", &self.functions.names())
            .finish()
    }
}

/// A compiled template: shared between threads, cheap to render many times.
pub struct Template {
    source: String,
    rewritten: Rewritten,
    /// Absent for a template without tags.
    environment: Option<Environment<'static>>,
    undeclared: BTreeSet<String>,
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Template")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Template {
    /// Compiles a template.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        let mut rewritten = scan(source)?;
        let text = std::mem::take(&mut rewritten.text);
        // Jinja2 drops one line end at the end of a template.
        rewritten.text = text
            .strip_suffix('\n')
            .map_or_else(|| text.clone(), str::to_owned);
        let mut template = Self {
            source: source.to_owned(),
            rewritten,
            environment: None,
            undeclared: BTreeSet::new(),
        };
        if !template.rewritten.plain {
            let mut environment = base_environment().clone();
            let added = environment.add_template_owned(NAME, template.rewritten.text.clone());
            added
                .map_err(|error| TemplateError::from_engine(&error, source, &template.rewritten))?;
            template.undeclared = undeclared(&environment);
            template.environment = Some(environment);
        }
        Ok(template)
    }

    /// Says whether the template has no tags at all, so that rendering returns its text.
    pub fn is_plain(&self) -> bool {
        self.rewritten.plain
    }

    /// Names the values and functions that the template reads, without those
    /// that it sets itself and without Jinja2's own.
    pub fn undeclared(&self) -> &BTreeSet<String> {
        &self.undeclared
    }

    /// Renders the template.
    pub fn render(&self, namespace: &Namespace<'_>) -> Result<String, TemplateError> {
        let Some(environment) = &self.environment else {
            return Ok(self.rewritten.text.clone());
        };
        let values = EngineValue::from_object(Root::new(namespace));
        let mut output = Bounded::default();
        let result = with_functions(namespace.functions, || {
            let template = environment.get_template(NAME)?;
            template.render_captured_to(values, &mut output).map(|_| ())
        });
        if output.overflowed {
            let message = format!("the template prints more than {OUTPUT_BYTES_MAX} bytes");
            return Err(TemplateError::new(
                ErrorKind::OutputTooLarge,
                message,
                &self.source,
                0..self.source.len(),
            ));
        }
        result
            .map_err(|error| TemplateError::from_engine(&error, &self.source, &self.rewritten))?;
        Ok(match String::from_utf8_lossy(&output.bytes) {
            Cow::Owned(text) => text,
            // The library writes whole strings, so this is the only case; no byte is copied twice.
            Cow::Borrowed(_) => String::from_utf8(output.bytes).unwrap_or_default(),
        })
    }
}

/// The text printed so far, with a limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > OUTPUT_BYTES_MAX {
            self.overflowed = true;
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The outermost scope of a rendering.
#[derive(Debug)]
struct Root {
    values: Vec<(Box<str>, EngineValue)>,
}

impl Root {
    fn new(namespace: &Namespace<'_>) -> Self {
        let values = namespace
            .values
            .iter()
            .map(|(name, value)| (Box::from(*name), value.0.clone()));
        let functions = namespace.functions.names().iter().map(|name| {
            (
                Box::from(*name),
                EngineValue::from_object(FunctionObject(name)),
            )
        });
        Self {
            values: values.chain(functions).collect(),
        }
    }
}

impl Object for Root {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &EngineValue) -> Option<EngineValue> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<EngineValue> {
        self.values
            .iter()
            .find(|(name, _)| name.as_ref() == key)
            .map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.values
                .iter()
                .map(|(name, _)| EngineValue::from(name.as_ref()))
                .collect(),
        )
    }
}

/// Returns the environment that all templates start from; cloning it is cheap.
fn base_environment() -> &'static Environment<'static> {
    static BASE: OnceLock<Environment<'static>> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        // Without it, errors know neither their bytes nor the names of what is undefined.
        environment.set_debug(true);
        environment.set_fuel(Some(FUEL_MAX));
        environment.set_recursion_limit(FRAMES_MAX);
        environment.set_unknown_method_callback(methods::call);
        environment.set_formatter(|output, _, value| match value.as_str() {
            Some(text) => output.write_str(text).map_err(minijinja::Error::from),
            None => output
                .write_str(&engine_str(value))
                .map_err(minijinja::Error::from),
        });
        environment.remove_global("debug");
        filters::install(&mut environment);
        environment
    })
}

fn undeclared(environment: &Environment<'static>) -> BTreeSet<String> {
    let Ok(template) = environment.get_template(NAME) else {
        return BTreeSet::new();
    };
    let names = template.undeclared_variables(false);
    names
        .into_iter()
        .filter(|name| !environment.globals().any(|(global, _)| global == name))
        .collect()
}
