//! The Python libraries whose output the tests compare with their own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The versions of the YAML library and the template engine that Occopus 1.10 runs with.
const PACKAGES: [&str; 3] = ["ruamel.yaml==0.17.21", "Jinja2==3.1.4", "MarkupSafe==3.0.2"];

/// The variable that tells the tests where the library is.
pub(crate) const PATH_VARIABLE: &str = "ZENEKAR_TEST_PYTHON_PATH";

/// Returns the folder with the libraries; installs them there, and nowhere
/// else, if they are missing.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("python");
    if is_there(&folder) {
        return Ok(folder);
    }
    crate::say(&format!("--- python: pip install {}", PACKAGES.join(" ")));
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
        .args([OsString::from("--target"), folder.clone().into()])
        .args(PACKAGES)
        .stdin(Stdio::null());
    let status = install.status().context("cannot run `python3 -m pip`")?;
    anyhow::ensure!(
        status.success() && is_there(&folder),
        "cannot install {} into `{}`",
        PACKAGES.join(", "),
        folder.display()
    );
    Ok(folder)
}

fn is_there(folder: &Path) -> bool {
    let status = Command::new("python3")
        .args(["-c", "import ruamel.yaml, jinja2"])
        .env("PYTHONPATH", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
