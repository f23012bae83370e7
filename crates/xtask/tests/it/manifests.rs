//! What every manifest has to say.

use crate::{none, texts};

#[test]
fn dependencies_and_lints_are_those_of_the_workspace() {
    let mut findings = Vec::new();
    for (path, text) in texts(&["toml"])
        .into_iter()
        .filter(|(path, _)| path.starts_with("crates/") && path.ends_with("/Cargo.toml"))
    {
        let mut section = "";
        let mut lints = false;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                if section.contains("dependencies.") {
                    findings.push(format!(
                        "{path}: `[{section}`: write dependencies on one line each"
                    ));
                }
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if section.ends_with("dependencies")
                && !line.contains(".workspace = true")
                && !line.contains("{ workspace = true")
            {
                findings.push(format!(
                    "{path}: `{line}` is not a dependency of the workspace"
                ));
            }
            lints |= section == "lints" && line == "workspace = true";
            if section == "package"
                && line.starts_with("version")
                && line != "version.workspace = true"
            {
                findings.push(format!(
                    "{path}: `{line}`: the version is that of the workspace"
                ));
            }
        }
        if !lints {
            findings.push(format!(
                "{path}: the lints of the workspace are not inherited"
            ));
        }
    }
    none(&findings);
}
