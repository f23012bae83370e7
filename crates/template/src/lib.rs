//! Jinja2-compatible templates with Python-style printing.
//!
//! Existing descriptors were written for Jinja2 on Python and lean on how it
//! prints: `{{ true }}` is `True`, a list is `['a', 'b']`, `7/2` is `3.5`. This
//! crate renders them the same way, on top of `minijinja`, and adds what that
//! lacks: Python's methods, its printing of numbers, bytes and dates, members
//! called `items`, and bounds on everything that a template can make grow.
//!
//! Differences from Jinja2 that remain. Errors here and not there: integers
//! beyond 128 bits, `%` on strings and `%r` (the filter `format` has the rest),
//! methods that change a list or mapping (`append`, `update`), `{{ 1, 2 }}`
//! without brackets, a leading `+`, `varargs` and `kwargs` of macros, `cycler`,
//! `joiner`, and the filters `random`, `urlize`, `wordwrap`, `xmlattr` and
//! `filesizeformat`. No errors here but there: comparing and sorting values of
//! different types. Printed differently: `{{ d.keys() }}` and `{{ range(3) }}`
//! (as lists), and floating-point numbers from 1e16 on or below 0.0001 that `~`
//! joins directly or from a list that the template itself wrote.
//!
//! Architecture invariant: no clock, no randomness, no files; the same template
//! and values always give the same text or the same error.

mod date;
mod error;
mod filters;
mod functions;
mod json;
mod methods;
mod print;
mod python_format;
mod scan;
mod template;
mod value;

pub use error::{ErrorKind, TemplateError};
pub use functions::{Argument, Functions, NoFunctions};
pub use print::{python_repr, python_str};
pub use scan::{
    BLOCKS_MAX, BRACKETS_MAX, CHAIN_MAX, FRAMES_MAX, NESTING_FILTERS_MAX, SOURCE_BYTES_MAX,
};
pub use template::{FUEL_MAX, Namespace, OUTPUT_BYTES_MAX, Template};
pub use value::SharedValue;
