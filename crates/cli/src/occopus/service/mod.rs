//! `occopus-rest-service`: Occopus's REST interface.

use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::occopus::arguments::RestServiceArguments;
use crate::output::Output;

/// Serves until it is stopped.
pub(crate) fn run(
    _arguments: &RestServiceArguments,
    _global: &Global,
    _output: Output,
) -> Result<Exit, Failure> {
    Err(Failure::new(
        Exit::Provider,
        "the REST service is not part of this version",
    ))
}
