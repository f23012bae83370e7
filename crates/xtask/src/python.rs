//! Python packages that tests need, below the target folder and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The versions of the YAML library and the template engine that Occopus 1.10 runs with.
const REFERENCE: Packages = Packages {
    folder: "python",
    pins: "ruamel.yaml==0.17.21\nJinja2==3.1.4\nMarkupSafe==3.0.2\n",
    probe: "import ruamel.yaml, jinja2",
};

/// The simulator of EC2's interface, with what it needs for that and no more.
pub(crate) const SIMULATOR: Packages = Packages {
    folder: "simulator",
    pins: include_str!("environments/simulator.txt"),
    probe: "import boto3, flask, flask_cors, moto, werkzeug, xmltodict, yaml",
};

/// The variable that tells the tests where the library is.
pub(crate) const PATH_VARIABLE: &str = "ZENEKAR_TEST_PYTHON_PATH";

/// The file in a folder of packages that tells which ones they are.
const STAMP: &str = "packages.txt";

/// Packages that belong together.
pub(crate) struct Packages {
    /// The folder below the target folder.
    folder: &'static str,
    /// One package with its version a line, and what it depends on.
    pins: &'static str,
    /// A program that succeeds where they can be used.
    probe: &'static str,
}

/// Returns the folder with the libraries that the tests compare with.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    REFERENCE.install(root)
}

impl Packages {
    /// Returns the folder with the packages; installs them there if they are
    /// missing or others than the ones that are wanted.
    pub(crate) fn install(&self, root: &Path) -> Result<PathBuf> {
        let folder = crate::steps::target(root).join(self.folder);
        if self.are_in(&folder) {
            return Ok(folder);
        }
        let names: Vec<&str> = self.pins.lines().collect();
        crate::say(&format!("--- python: pip install {}", names.join(" ")));
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove `{}`", folder.display()))?;
        }
        let status = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--root-user-action=ignore"])
            .arg("--target")
            .arg(&folder)
            .args(&names)
            .stdin(Stdio::null())
            .status()
            .context("cannot run `python3 -m pip`")?;
        anyhow::ensure!(
            status.success(),
            "cannot install {} into `{}`",
            names.join(", "),
            folder.display()
        );
        let stamp = folder.join(STAMP);
        fs::write(&stamp, self.pins)
            .with_context(|| format!("cannot write `{}`", stamp.display()))?;
        anyhow::ensure!(
            self.are_in(&folder),
            "`{}` does not run with what was installed into `{}`",
            self.probe,
            folder.display()
        );
        Ok(folder)
    }

    fn are_in(&self, folder: &Path) -> bool {
        let is_same = fs::read_to_string(folder.join(STAMP)).is_ok_and(|text| text == self.pins);
        is_same
            && Command::new("python3")
                .args(["-c", self.probe])
                .env("PYTHONPATH", folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }
}
