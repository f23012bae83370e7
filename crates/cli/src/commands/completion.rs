//! `zenekar completion`: a completion script for a shell.

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(arguments: &CompletionArguments, output: Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "zenekar",
        &mut script,
    );
    output.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
