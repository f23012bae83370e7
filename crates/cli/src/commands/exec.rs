//! `zenekar exec` and `zenekar shell`: commands inside an instance.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use zenekar_provider::{EnterCommand, EnterRequest};

use crate::arguments::{ExecArguments, Global, ShellArguments};
use crate::commands::target::{self, Subject};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::world;

pub(crate) fn exec(
    arguments: &ExecArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    enter(&arguments.subject, &arguments.command, global, output)
}

pub(crate) fn shell(
    arguments: &ShellArguments,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    enter(&arguments.subject, &[], global, output)
}

fn enter(
    subject: &[String],
    command: &[OsString],
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let mut subject = Subject::find(subject, global)?;
    let target = subject.only(output)?;
    let request = EnterRequest {
        resource: target.resource.clone(),
        command: command.to_vec(),
    };
    let infrastructure = subject.infrastructure.clone();
    // Nothing of the state stays open while the command runs.
    drop(subject);
    let EnterCommand { program, arguments } = world::block_on(async {
        let entered = target.provider.enter(infrastructure, request).await;
        entered.map_err(|error| target::failed(&target, &error))
    })?;
    // The command takes the place of this process: the terminal, its signals
    // and the exit code are the command's own.
    let error = Command::new(&program).args(arguments).exec();
    Err(Failure::new(
        Exit::Provider,
        format!("cannot run `{}`", program.display()),
    )
    .cause(error.to_string()))
}
