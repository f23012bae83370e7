//! The Python library whose output the tests compare with their own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The version of the YAML library that Occopus 1.10 runs with.
const PACKAGE: &str = "ruamel.yaml==0.17.21";

/// The variable that tells the tests where the library is.
pub(crate) const PATH_VARIABLE: &str = "ZENEKAR_TEST_PYTHON_PATH";

/// Returns the folder with the library; installs it there, and nowhere else,
/// if it is missing.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("python");
    if is_there(&folder) {
        return Ok(folder);
    }
    crate::say(&format!("--- python: pip install {PACKAGE}"));
    let mut install = Command::new("python3");
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
        ])
        .args([
            OsString::from("--target"),
            folder.clone().into(),
            PACKAGE.into(),
        ])
        .stdin(Stdio::null());
    let status = install.status().context("cannot run `python3 -m pip`")?;
    anyhow::ensure!(
        status.success() && is_there(&folder),
        "cannot install `{PACKAGE}` into `{}`",
        folder.display()
    );
    Ok(folder)
}

fn is_there(folder: &Path) -> bool {
    let status = Command::new("python3")
        .args(["-c", "import ruamel.yaml"])
        .env("PYTHONPATH", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
