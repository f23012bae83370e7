//! Runs what templates ask for by `cmd`, once the user has allowed it.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zenekar_occopus::HostCommands;

/// How long a command may take: rendering waits for it.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How much of its output is read; more would not fit into user-data.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// How often is looked whether a command has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Commands on this machine, with the rights of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThisMachine;

impl HostCommands for ThisMachine {
    fn run(&self, words: &[String]) -> Result<String, String> {
        let (program, arguments) = words.split_first().ok_or("there is no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run `{program}`: {error}"))?;
        let output = reader(child.stdout.take());
        let complaint = reader(child.stderr.take());
        let ended = wait(&mut child, program);
        // The pipes are closed by now, unless the command left somebody behind
        // who holds them: then nobody waits for that one.
        let status = ended?;
        let output = output.join().unwrap_or_default();
        if status.success() {
            return String::from_utf8(output)
                .map_err(|_| format!("the output of `{program}` is not text"));
        }
        let complaint = complaint.join().unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        let last = complaint.lines().last().unwrap_or_default().trim();
        Err(format!("`{program}` ended with {status}: {last}"))
    }
}

/// Reads in the background, so that a full pipe holds nobody up.
fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        }
        bytes
    })
}

fn wait(child: &mut Child, program: &str) -> Result<std::process::ExitStatus, String> {
    let deadline = Instant::now() + TIME_MAX;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_INTERVAL),
            Ok(None) => {
                // It may have ended in this moment.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "`{program}` did not end within {} s",
                    TIME_MAX.as_secs()
                ));
            }
            Err(error) => return Err(format!("cannot wait for `{program}`: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<String, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        ThisMachine.run(&words)
    }

    #[test]
    fn output_and_failures_are_told() {
        assert_eq!(run("echo a b"), Ok("a b\n".to_owned()));
        let error = run("ls /does/not/exist").expect_err("it fails");
        assert!(error.contains("No such file"), "{error}");
        let error = run("no-such-program").expect_err("it fails");
        assert!(error.starts_with("cannot run `no-such-program`"), "{error}");
    }
}
