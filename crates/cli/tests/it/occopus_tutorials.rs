//! Public tutorials of Occopus through its own commands.

use std::fs;
use std::path::{Path, PathBuf};

use crate::occopus_commands::Tools;
use crate::sandbox::run;

/// Returns the YAML files of a folder with lines that begin so.
fn files_with(folder: &Path, beginning: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files_with(&path, beginning, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path).expect("the file can be read");
            let mut lines = text.lines();
            if lines.any(|line| line.trim_start_matches(['\'', '"']).starts_with(beginning)) {
                found.push(path);
            }
        }
    }
}

/// Every tutorial is imported, built on the simulated cloud and destroyed. A
/// plan from its files finds nothing to do in between: what was imported
/// renders exactly what the files render.
#[test]
fn tutorials_are_imported_built_and_destroyed() {
    let corpus = match std::env::var_os("ZENEKAR_CORPUS") {
        Some(corpus) => PathBuf::from(corpus),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    };
    let Ok(entries) = fs::read_dir(corpus.join("occopus")) else {
        eprintln!("skipped: no tutorials in `{}`", corpus.display());
        return;
    };
    let tools = Tools::new();
    let mut count = 0;
    for folder in entries.map(|entry| entry.expect("the corpus can be read").path()) {
        if !folder.is_dir() {
            continue;
        }
        let (mut definitions, mut descriptions) = (Vec::new(), Vec::new());
        files_with(&folder, "node_def:", &mut definitions);
        files_with(&folder, "infra_name:", &mut descriptions);
        for file in &definitions {
            let imported = tools.ok("import", &[&file.display().to_string()]);
            let text = "Successfully imported nodes: ";
            assert!(imported.stdout.starts_with(text), "{imported:?}");
        }
        for file in &descriptions {
            let file = file.display().to_string();
            let simulated = |mut command: std::process::Command| {
                command.env("ZENEKAR_ON", "sim");
                run(command)
            };
            let arguments = ["--parallelize", "-i", "tutorial", &file];
            let built = simulated(tools.command("build", &arguments)).expect(0);
            assert_eq!(built.stdout.lines().last(), Some("tutorial"));
            let plan = ["plan", &file, "--name", "tutorial", "--detailed-exit-code"];
            simulated(tools.sandbox.command(&plan)).expect(0);
            tools.ok("destroy", &["-i", "tutorial"]);
            assert!(tools.is_empty(), "{file}");
            count += 1;
        }
    }
    assert!(count > 0, "no tutorial in `{}`", corpus.display());
}
