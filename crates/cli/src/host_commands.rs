//! Runs what templates ask for by `cmd`, once the user has allowed it.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zenekar_occopus::HostCommands;

/// How long a command may take: rendering waits for it.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How much of its output is read; more would not fit into user-data.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// How long the complaint of a command that has failed is waited for.
const COMPLAINT_TIME_MAX: Duration = Duration::from_millis(500);

/// How often is looked whether a command has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Commands on this machine, with the rights of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThisMachine;

impl HostCommands for ThisMachine {
    fn run(&self, words: &[String]) -> Result<String, String> {
        Self::run_within(words, TIME_MAX)
    }
}

impl ThisMachine {
    fn run_within(words: &[String], limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
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
        let status = wait(&mut child, program, deadline, limit)?;
        if status.success() {
            let output = read_until(&output, deadline).ok_or_else(|| {
                format!(
                    "`{program}` has ended, but something that it started held its output open for {} s",
                    limit.as_secs()
                )
            })?;
            return String::from_utf8(output)
                .map_err(|_| format!("the output of `{program}` is not text"));
        }
        // Whoever else holds this one open has nothing to say to it.
        let soon = Instant::now() + COMPLAINT_TIME_MAX;
        let complaint = read_until(&complaint, soon.min(deadline)).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        let last = complaint.lines().last().unwrap_or_default().trim();
        Err(format!("`{program}` ended with {status}: {last}"))
    }
}

/// Reads in the background, so that a full pipe holds nobody up.
fn reader(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        }
        // Nobody may wait for it any more.
        let _ = sender.send(bytes);
    });
    receiver
}

/// Returns what was read; none if the pipe is not closed in time.
fn read_until(pipe: &mpsc::Receiver<Vec<u8>>, deadline: Instant) -> Option<Vec<u8>> {
    let left = deadline.saturating_duration_since(Instant::now());
    pipe.recv_timeout(left).ok()
}

fn wait(
    child: &mut Child,
    program: &str,
    deadline: Instant,
    limit: Duration,
) -> Result<std::process::ExitStatus, String> {
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
                    limit.as_secs()
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
    fn nobody_is_waited_for_longer_than_the_limit() {
        let limit = Duration::from_secs(1);
        let run = |script: &str| {
            let words = ["sh", "-c", script].map(str::to_owned);
            let start = Instant::now();
            let result = ThisMachine::run_within(&words, limit);
            assert!(start.elapsed() < Duration::from_secs(8), "{result:?}");
            result
        };
        let error = run("sleep 9 & echo x").expect_err("its output stays open");
        assert_eq!(
            error,
            "`sh` has ended, but something that it started held its output open for 1 s"
        );
        let error = run("exec sleep 9").expect_err("it takes too long");
        assert_eq!(error, "`sh` did not end within 1 s");
        let error = run("sleep 9 & echo why >&2; exit 3").expect_err("it fails");
        assert!(
            error.starts_with("`sh` ended with exit status: 3"),
            "{error}"
        );
        assert_eq!(
            run("sleep 9 >/dev/null 2>&1 & echo x"),
            Ok("x\n".to_owned())
        );
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
