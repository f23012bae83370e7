//! `occopus-destroy`: deletes an infrastructure.

use zenekar_base::InfrastructureId;

use super::arguments::DestroyArguments;
use super::operations::{self, Audience};
use super::{Tool, bench, log};
use crate::arguments::Global;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::world;

pub(crate) fn run(
    arguments: &DestroyArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let bench = bench(&arguments.files, true, global, output)?;
    let id = InfrastructureId::new(arguments.id.as_str());
    let Some(row) = operations::existing(&bench, &id)? else {
        // Scripts destroy what may be gone already, so this is no failure, as with Occopus.
        log::line(output, &format!("Unknown infrastructure: \"{id}\""))?;
        output.warn(&format!("there is no infrastructure `{id}`"));
        return Ok(Exit::Success);
    };
    let quoted = log::quoted(id.as_str());
    log::line(output, &format!("Dropping infrastructure {quoted}"))?;
    let audience = Audience::Terminal(output);
    let work = operations::destroy(&bench, &row, Tool::Destroy.name(), audience);
    match world::block_on(work) {
        Ok(()) => {
            log::line(
                output,
                &format!("Finished dropping infrastructure {quoted}"),
            )?;
            Ok(Exit::Success)
        }
        Err(failure) => {
            let text = format!("Dropping infrastructure {quoted} is not finished: ");
            log::line(output, &(text + failure.message()))?;
            Err(failure.hint(format!(
                "what is left is not forgotten: `occopus-destroy -i {id}` goes on"
            )))
        }
    }
}
