//! `zenekar man`: the manual page.

use clap::CommandFactory;
use zenekar_diagnostics::did_you_mean;

use crate::arguments::{Arguments, ManArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(arguments: &ManArguments, output: Output) -> Result<Exit, Failure> {
    let mut root = Arguments::command();
    root.build();
    let command = match &arguments.command {
        None => root,
        Some(name) => root
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| unknown(&root, name))?,
    };
    let page = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| {
        Failure::internal("cannot write the manual page").because_of(Some(&error))
    })?;
    output.data(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Success)
}

fn unknown(root: &clap::Command, name: &str) -> Failure {
    let failure = Failure::usage(format!("there is no command `{name}`"));
    match did_you_mean(name, root.get_subcommands().map(clap::Command::get_name)) {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None => failure.hint("`zenekar --help` lists the commands"),
    }
}
