//! Who removes an environment, whatever becomes of this program.
//!
//! A shell waits for the end of its input, which this program holds open, and
//! then runs `down`. The system closes that input also when this program is
//! interrupted or killed, so that nothing has to catch signals.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

/// Waits for the end of the input; an interruption from the keyboard is for the others.
const SCRIPT: &str = "trap '' INT TERM HUP; cat > /dev/null; exec \"$0\"";

/// Servers of a cloud take half a minute to stop.
const DOWN_MAX: Duration = Duration::from_mins(4);

/// Runs `down` of one environment at the end.
#[derive(Debug)]
pub(super) struct Guardian {
    pub(super) name: &'static str,
    shell: Child,
}

impl Guardian {
    /// Starts to watch.
    pub(super) fn start(
        name: &'static str,
        down: &Path,
        variables: &[(String, PathBuf)],
    ) -> Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .arg(down)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot watch over environment `{name}`"))?;
        Ok(Self { name, shell })
    }

    /// Removes the environment and waits until it is gone.
    pub(super) fn finish(mut self) -> Result<()> {
        let name = self.name;
        drop(self.shell.stdin.take());
        let status = super::wait(&mut self.shell, DOWN_MAX)
            .with_context(|| format!("environment `{name}` is not gone"))?;
        anyhow::ensure!(
            status.success(),
            "environment `{name}` is not gone: `tests/env/{name}/down` ended with {status}"
        );
        Ok(())
    }
}
