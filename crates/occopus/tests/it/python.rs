//! The Python libraries of the original, where they are installed.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a script over texts that NUL separates; none where the libraries are
/// not installed. The script answers in the same form.
pub(crate) fn run(script: &str, texts: &[String]) -> Option<Vec<String>> {
    let folder = std::env::var_os("ZENEKAR_TEST_PYTHON_PATH")?;
    let mut child = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let text = texts.join("\0");
    let mut input = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    writer.join().expect("no panic").expect("python3 reads all");
    assert!(output.status.success(), "python3 failed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.split('\0').map(str::to_owned).collect())
}
