//! `zenekar occopus install-links`: links with the names of Occopus's commands.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Tool;
use super::arguments::InstallLinksArguments;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::output::{Output, SCHEMA_VERSION};

pub(crate) fn run(arguments: &InstallLinksArguments, output: Output) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::internal("cannot find out where this program is").because_of(Some(&error))
    })?;
    let directory = &arguments.directory;
    fs::create_dir_all(directory)
        .map_err(|error| Failure::from_file("create", directory, &error))?;
    let paths: Vec<PathBuf> = Tool::ALL
        .iter()
        .map(|tool| directory.join(tool.name()))
        .collect();
    // All names are looked at before the first link is made: all or none.
    let mut wanted = Vec::new();
    for path in &paths {
        match found_at(path, &program)? {
            Found::OurLink => {}
            Found::Other(what) if !arguments.force => {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("`{}` is there already: {what}", path.display()),
                )
                .hint("`--force` replaces it; `--directory` makes the links elsewhere"));
            }
            Found::Nothing | Found::Other(_) => wanted.push(path),
        }
    }
    for path in &wanted {
        make(path, &program)?;
    }
    tell(&paths, &wanted, &program, output)
}

/// What is at the place of a link.
enum Found {
    Nothing,
    /// A link to this program.
    OurLink,
    /// Something else, in words.
    Other(String),
}

fn found_at(path: &Path, program: &Path) -> Result<Found, Failure> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(Failure::from_file("look at", path, &error)),
    };
    if found.is_symlink() {
        let target =
            fs::read_link(path).map_err(|error| Failure::from_file("look at", path, &error))?;
        return Ok(if target == program {
            Found::OurLink
        } else {
            Found::Other(format!("a link to `{}`", target.display()))
        });
    }
    Ok(Found::Other(if found.is_dir() {
        "a directory".to_owned()
    } else {
        "a file".to_owned()
    }))
}

/// Makes one link. It takes the place of a file in one step; a directory stays.
fn make(path: &Path, program: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::from_file("make the link", path, &error);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    symlink(program, &temporary).map_err(failed)?;
    fs::rename(&temporary, path).map_err(|error| {
        // The first error counts.
        let _ = fs::remove_file(&temporary);
        failed(error)
    })
}

fn tell(
    paths: &[PathBuf],
    made: &[&PathBuf],
    program: &Path,
    output: Output,
) -> Result<Exit, Failure> {
    if output.is_json() {
        let links: Vec<_> = paths
            .iter()
            .map(|path| json!({ "path": path, "made": made.contains(&path) }))
            .collect();
        output.json(&json!({
            "schema_version": SCHEMA_VERSION, "kind": "links", "program": program, "links": links,
        }))?;
        return Ok(Exit::Success);
    }
    for path in paths {
        let note = if made.contains(&path) {
            ""
        } else {
            " (was there already)"
        };
        output.data(&format!(
            "{} -> {}{note}\n",
            path.display(),
            program.display()
        ))?;
    }
    Ok(Exit::Success)
}
