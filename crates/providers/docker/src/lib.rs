//! Provider `docker`: instances as containers of a Docker engine, on this
//! machine or another.
//!
//! A container is found again by its name, which is made of the token, and by
//! its labels. Container nodes run their own command; machines that are given
//! user-data run our agent as their first process (see `bundle` and `inside`).
//! Every infrastructure has a network of its own, in which nodes find each
//! other by name.

mod access;
mod bundle;
mod check;
mod create;
mod engine;
mod error;
mod image;
mod inside;
mod labels;
mod look;
mod network;
mod provider;
mod remove;
mod settings;
mod spec;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

pub use provider::{DockerProvider, capabilities};
pub use settings::{DEFAULT_IMAGE, DockerSettings};

/// Runs one of the hidden roles inside containers or on the way into them, if
/// the arguments (without the program's name) ask for one.
pub fn run_hidden(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments;
    if arguments.next()? != inside::WORD {
        return None;
    }
    Some(inside::main(arguments))
}
