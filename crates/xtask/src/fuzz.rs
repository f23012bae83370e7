//! Runs the fuzz targets for a bounded time.
//!
//! They are built with the machine's own Rust: the flags below are what
//! libFuzzer needs to see which branches an input took, and none of them asks
//! for another toolchain. `cargo fuzz` would pass the same.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::steps::{announce, cargo_command};

/// How long each target runs unless somebody says otherwise.
pub(crate) const SECONDS_DEFAULT: u32 = 20;

/// How long each target runs in a night.
pub(crate) const SECONDS_DEEP: u32 = 120;

/// The longest inputs in bytes.
const INPUT_BYTES_MAX: u32 = 4096;

/// Inputs that take longer than this are mistakes.
const INPUT_SECONDS_MAX: u32 = 10;

/// Instrumentation of branches, and checks that release builds leave out.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1";

/// Builds all targets and runs one after the other; says whether none found anything.
pub(crate) fn run(root: &Path, seconds: u32) -> Result<bool> {
    let folder = root.join("fuzz");
    let target = crate::steps::target(root).join("fuzz");
    let host = host()?;
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        "fuzz/Cargo.toml",
        // With a target of its own, build scripts and macros stay as they are.
        "--target",
        &host,
    ];
    announce("fuzz", &arguments);
    let status = cargo_command()
        .args(arguments)
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", &target)
        .stdin(Stdio::null())
        .status()
        .context("cannot run `cargo build` for the fuzz targets")?;
    if !status.success() {
        return Ok(false);
    }
    let mut passed = true;
    for name in targets(&folder)? {
        crate::say(&format!("--- fuzz: {name}, {seconds} s"));
        let found = folder.join("corpus").join(&name);
        let artifacts = folder.join("artifacts").join(&name);
        for needed in [&found, &artifacts] {
            std::fs::create_dir_all(needed)
                .with_context(|| format!("cannot make `{}`", needed.display()))?;
        }
        let program = target.join(&host).join("release").join(&name);
        let status = Command::new(&program)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-print_final_stats=1", "-verbosity=0"])
            .args([&found, &folder.join("seeds").join(&name)])
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot run `{}`", program.display()))?;
        passed &= status.success();
    }
    Ok(passed)
}

/// Returns the names of the targets: there is a file for each.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let sources = folder.join("fuzz_targets");
    let entries = std::fs::read_dir(&sources)
        .with_context(|| format!("cannot list `{}`", sources.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    anyhow::ensure!(!names.is_empty(), "there are no fuzz targets");
    Ok(names)
}

/// Returns the platform that the machine's Rust builds for.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}
