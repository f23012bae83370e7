//! Properties that users state, as far as they can be decided before anything runs.

use std::path::PathBuf;

use zenekar_base::Fingerprint;
use zenekar_property::{Property, PropertySet};
use zenekar_verify::{Described, Setting};

use crate::errors::Failure;
use crate::output::Output;
use crate::properties;

/// Reads the properties, and leaves out those that look at values of which the
/// descriptor does not show when instances report them.
pub(crate) fn read(
    files: &[PathBuf],
    setting: &Setting,
    output: Output,
) -> Result<PropertySet, Failure> {
    let mut set = properties::read(files, &setting.topology, output)?;
    let (nodes, names) = (set.nodes().to_vec(), set.names().to_vec());
    let unknown = |property: &Property| {
        let values = property.values();
        let mut unknown = values.iter().filter_map(|(node, name)| {
            let (node, name) = (nodes.get(node.index())?, names.get(name.index())?);
            let is_known = zenekar_verify::is_reported(&setting.behaviours, node, name);
            (!is_known).then(|| (node.clone(), name.clone()))
        });
        unknown.next()
    };
    set.properties.retain(|property| {
        let Some((node, name)) = unknown(property) else {
            return true;
        };
        output.warn(&format!(
            "`{}` is not looked at: nothing shows when instances of `{node}` report `{name}`; `--live` looks at it, and `gives: [{name}]` under `verification` would show it",
            property.name
        ));
        false
    });
    Ok(set)
}

/// Returns where properties are, and what tells their texts from others.
pub(crate) fn describe(files: &[PathBuf]) -> Result<Vec<Described>, Failure> {
    let describe = |file: &PathBuf| {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::from_file("read", file, &error))?;
        Ok(Described {
            path: file.display().to_string(),
            digest: format!("sha256/128:{}", Fingerprint::of_text(&text)),
        })
    };
    files.iter().map(describe).collect()
}
