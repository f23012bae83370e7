//! Runs a command in a container, with the caller's terminal.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt as _;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::settings::{DockerSettings, Endpoint};

/// What shells answer when a command cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// Pieces of input that wait to be sent: what a terminal or pipe gives at once.
const PIECES_MAX: usize = 16;

/// The bytes of one piece.
const PIECE_BYTES: usize = 16 << 10;

/// Runs as the role `exec`: the arguments are the engine, the folder with
/// certificates, the container and the command.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut text = || arguments.next().and_then(|text| text.into_string().ok());
    let (Some(endpoint), Some(folder), Some(container)) = (text(), text(), text()) else {
        return ExitCode::from(NOT_RUNNABLE);
    };
    let words: Option<Vec<String>> = arguments.map(|word| word.into_string().ok()).collect();
    let Some(words) = words else {
        return fail("the command has characters that are no UTF-8");
    };
    let settings = DockerSettings {
        name: String::new(),
        endpoint: Some(endpoint),
        certificates: (!folder.is_empty()).then(|| PathBuf::from(folder)),
        default_image: None,
        default_tag: None,
        executable: PathBuf::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let done = runtime.block_on(async {
        let engine = Engine::new(Endpoint::of(&settings).map_err(|error| error.message)?);
        let docker = engine.docker().await.map_err(|error| error.message)?;
        run(docker, &container, words)
            .await
            .map_err(|error| format!("cannot run a command in `{container}`: {error}"))
    });
    // A thread that reads the input may wait for ever.
    runtime.shutdown_background();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "zenekar: {reason}");
    ExitCode::from(NOT_RUNNABLE)
}

/// A terminal that hands on every key, until this is dropped.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn new(wanted: bool) -> Self {
        let before = wanted.then(|| tcgetattr(io::stdin()).ok()).flatten();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &raw);
        }
        Self(before)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

async fn run(
    docker: &Docker,
    container: &str,
    words: Vec<String>,
) -> Result<u8, bollard::errors::Error> {
    let has_terminal = isatty(io::stdin()) && isatty(io::stdout());
    let words = if words.is_empty() {
        let shell = "command -v bash >/dev/null 2>&1 && exec bash; exec sh";
        vec!["/bin/sh".to_owned(), "-c".to_owned(), shell.to_owned()]
    } else {
        words
    };
    let environment = std::env::var("TERM")
        .ok()
        .filter(|_| has_terminal)
        .map(|kind| vec![format!("TERM={kind}")]);
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(has_terminal),
        cmd: Some(words),
        env: environment,
        ..CreateExecOptions::default()
    };
    let created = docker.create_exec(container, options).await?;
    let start = StartExecOptions {
        detach: false,
        tty: has_terminal,
        output_capacity: None,
    };
    let started = docker.start_exec(&created.id, Some(start)).await?;
    if let StartExecResults::Attached { mut output, input } = started {
        let raw = RawTerminal::new(has_terminal);
        tokio::spawn(send_input(input));
        if has_terminal {
            tokio::spawn(follow_size(docker.clone(), created.id.clone()));
        }
        while let Some(piece) = output.next().await {
            show(&piece?);
        }
        drop(raw);
    }
    let ended = docker.inspect_exec(&created.id).await?;
    let code = ended.exit_code.unwrap_or(i64::from(NOT_RUNNABLE));
    Ok(u8::try_from(code).unwrap_or(NOT_RUNNABLE))
}

fn show(piece: &LogOutput) {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    // Nobody may be reading any more; the command goes on.
    let _ = match piece {
        LogOutput::StdErr { message } => err.write_all(message).and_then(|()| err.flush()),
        LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => out.write_all(message).and_then(|()| out.flush()),
    };
}

async fn send_input(mut input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>) {
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(PIECES_MAX);
    // Reading a terminal cannot be given up, so that it is no task of the runtime.
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match io::stdin().read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        return;
                    }
                }
            }
        }
    });
    while let Some(piece) = pieces.recv().await {
        let sent = input.write_all(&piece).await;
        if sent.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

/// Tells the container how large the terminal is, now and whenever it changes.
async fn follow_size(docker: Docker, id: String) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return;
    };
    loop {
        if let Ok(size) = tcgetwinsize(io::stdout()) {
            let options = ResizeExecOptions {
                height: size.ws_row,
                width: size.ws_col,
            };
            let _ = docker.resize_exec(&id, options).await;
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}
