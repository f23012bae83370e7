//! `occopus-import`: stores node definitions.

use zenekar_diagnostics::render_human;

use super::arguments::{Files, ImportArguments};
use super::operations::{self, Imported};
use super::{bench, log, texts};
use crate::arguments::Global;
use crate::descriptor;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(
    arguments: &ImportArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let files = Files {
        configuration: arguments.configuration.clone(),
        authentication: None,
    };
    let bench = bench(&files, true, global, output)?;
    let Imported {
        file,
        sources,
        is_stored,
    } = operations::import(&bench, &arguments.file)?;
    if !file.diagnostics.is_empty() {
        let paints = output.talk_paint.is_enabled();
        output.talk(&render_human(&file.diagnostics, &sources, paints));
    }
    if is_stored {
        let names = file.types.join(", ");
        log::bare(output, &format!("Successfully imported nodes: {names}"))?;
        return Ok(Exit::Success);
    }
    let root = file.document.root();
    let text = root.and_then(|root| texts::of_definitions(root, &file.diagnostics));
    let Some(text) = text else {
        let errors = file.diagnostics.iter().filter(|one| one.is_error());
        return Err(descriptor::invalid(&arguments.file, errors.count()));
    };
    // Occopus tells such mistakes and yet ends as if nothing had happened; who
    // depends on it reads the text.
    log::bare(output, &text)?;
    Ok(Exit::Success)
}
