//! Which crate may import which: only from floors below its own.

use std::collections::BTreeMap;

use crate::{none, packages};

/// The floors, from the ground up. A new crate gets a line here, and with it a place.
const FLOORS: &[(&str, u32)] = &[
    ("zenekar-base", 0),
    ("zenekar-diagnostics", 0),
    ("zenekar-document", 1),
    ("zenekar-picture", 1),
    ("zenekar-search", 1),
    ("zenekar-template", 1),
    ("zenekar-model", 2),
    ("zenekar-property", 2),
    ("zenekar-occopus", 3),
    ("zenekar-engine", 4),
    ("zenekar-lint", 4),
    ("zenekar-behaviour", 5),
    ("zenekar-explore", 5),
    ("zenekar-serve", 5),
    ("zenekar-simcloud", 5),
    ("zenekar-verify", 5),
    ("zenekar-agent", 6),
    ("zenekar-credentials", 6),
    ("zenekar-fault-proxy", 6),
    ("zenekar-http", 6),
    ("zenekar-live", 6),
    ("zenekar-occopus-redis", 6),
    ("zenekar-probe", 6),
    ("zenekar-provider", 6),
    ("zenekar-store", 6),
    ("zenekar-provider-docker", 7),
    ("zenekar-provider-ec2", 7),
    ("zenekar-provider-local", 7),
    ("zenekar-provider-openstack", 7),
    ("zenekar-provider-sim", 7),
    ("zenekar-runtime", 8),
    ("zenekar-occopus-rest", 9),
    ("zenekar-cli", 10),
    ("zenekar-museum", 10),
    ("zenekar-xtask", 10),
];

/// Edges on one floor that are wanted all the same, with the reason.
const SAME_FLOOR: &[(&str, &str, &str)] = &[
    (
        "zenekar-explore",
        "zenekar-simcloud",
        "the explorer's world is the simulated cloud",
    ),
    (
        "zenekar-verify",
        "zenekar-explore",
        "both check the order of creations by the same code",
    ),
    (
        "zenekar-verify",
        "zenekar-simcloud",
        "the explorer's world is the simulated cloud",
    ),
];

/// Edges that lead down and are unwanted all the same, with the reason.
const UNWANTED: &[(&str, &str, &str)] = &[
    (
        "zenekar-engine",
        "zenekar-diagnostics",
        "the engine reports typed reasons, not messages about texts",
    ),
    (
        "zenekar-engine",
        "zenekar-document",
        "the engine knows no text",
    ),
    (
        "zenekar-engine",
        "zenekar-occopus",
        "the engine knows no descriptor syntax",
    ),
    (
        "zenekar-engine",
        "zenekar-template",
        "the engine is given what to render, not how",
    ),
    (
        "zenekar-model",
        "zenekar-document",
        "the model knows no descriptor syntax",
    ),
    (
        "zenekar-model",
        "zenekar-template",
        "the model knows no descriptor syntax",
    ),
    (
        "zenekar-provider",
        "zenekar-engine",
        "adapters classify and decide nothing",
    ),
    (
        "zenekar-provider-local",
        "zenekar-engine",
        "adapters classify and decide nothing",
    ),
    (
        "zenekar-provider-sim",
        "zenekar-engine",
        "adapters classify and decide nothing",
    ),
    (
        "zenekar-runtime",
        "zenekar-document",
        "data goes one way: nothing flows back to the front-ends",
    ),
    (
        "zenekar-runtime",
        "zenekar-occopus",
        "data goes one way: nothing flows back to the front-ends",
    ),
    (
        "zenekar-store",
        "zenekar-engine",
        "the journal stores records without knowing them",
    ),
    (
        "zenekar-xtask",
        "zenekar-cli",
        "the build tool builds before anything else does",
    ),
];

#[test]
fn crates_import_only_from_floors_below() {
    let floors: BTreeMap<&str, u32> = FLOORS.iter().copied().collect();
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        let Some(floor) = floors.get(name) else {
            findings.push(format!("`{name}` has no floor: add it to FLOORS"));
            continue;
        };
        for dependency in package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|dependency| dependency["path"].is_string())
        {
            let other = dependency["name"]
                .as_str()
                .expect("a dependency has a name");
            let Some(below) = floors.get(other) else {
                continue;
            };
            let wanted = SAME_FLOOR
                .iter()
                .any(|(from, to, _)| (*from, *to) == (name, other));
            if below > floor || (below == floor && !wanted) {
                findings.push(format!(
                    "`{name}` (floor {floor}) imports `{other}` (floor {below})"
                ));
            }
            if let Some((_, _, reason)) = UNWANTED
                .iter()
                .find(|(from, to, _)| (*from, *to) == (name, other))
            {
                findings.push(format!("`{name}` imports `{other}`: {reason}"));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_tables_name_crates_that_have_a_floor() {
    let known = |name: &str| FLOORS.iter().any(|(known, _)| *known == name);
    let findings: Vec<_> = SAME_FLOOR
        .iter()
        .chain(UNWANTED)
        .flat_map(|(from, to, _)| [*from, *to])
        .filter(|name| !known(name))
        .map(str::to_owned)
        .collect();
    none(&findings);
}

#[test]
fn only_the_museum_has_an_engine_with_mistakes() {
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let wanted = dependencies.flat_map(|one| one["features"].as_array().into_iter().flatten());
        let mut own = package["features"].as_object().into_iter().flatten();
        let own = own.any(|(_, enables)| {
            let mut enables = enables.as_array().into_iter().flatten();
            enables.any(|to| to.as_str().is_some_and(|to| to.ends_with("defects")))
        });
        let wants = wanted.into_iter().any(|feature| feature == "defects") || own;
        if wants != (name == "zenekar-museum") {
            findings.push(format!(
                "`{name}` {} the feature `defects`",
                if wants { "wants" } else { "lacks" }
            ));
        }
    }
    none(&findings);
}
