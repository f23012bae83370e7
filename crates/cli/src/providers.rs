//! The registry of providers: the one place that knows which ones there are.

use std::collections::BTreeMap;

use zenekar_base::Capabilities;
use zenekar_engine::Settings;
use zenekar_model::Topology;

use crate::errors::Failure;
use crate::exit::Exit;

/// The providers of this version, by the names that descriptors use.
pub(crate) const AVAILABLE: &[&str] = &["sim"];

/// Refuses a provider that this version does not have.
pub(crate) fn check_name(provider: &str) -> Result<(), Failure> {
    if AVAILABLE.contains(&provider) {
        return Ok(());
    }
    let failure = Failure::new(
        Exit::Provider,
        format!("provider `{provider}` is not available in this version"),
    );
    Err(
        match zenekar_diagnostics::did_you_mean(provider, AVAILABLE.iter().copied()) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint(format!("available: `{}`", AVAILABLE.join("`, `"))),
        },
    )
}

/// Refuses a topology with nodes of providers that this version does not have.
pub(crate) fn check_topology(topology: &Topology) -> Result<(), Failure> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for index in topology.indices() {
        let node = topology.node(index);
        for candidate in 0..node.candidates.len() {
            let Some(implementation) = topology.candidate(index, candidate) else {
                continue;
            };
            if !AVAILABLE.contains(&implementation.provider.as_str()) {
                let nodes = missing.entry(&implementation.provider).or_default();
                if nodes.last() != Some(&node.name.as_str()) {
                    nodes.push(&node.name);
                }
            }
        }
    }
    let Some((first, _)) = missing.first_key_value() else {
        return Ok(());
    };
    let message = match missing.len() {
        1 => format!("provider `{first}` is not available in this version"),
        _ => format!(
            "providers {} are not available in this version",
            missing
                .keys()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let mut failure = Failure::new(Exit::Provider, message);
    for (provider, nodes) in &missing {
        failure = failure.cause(format!("`{provider}` is the provider of {}", names(nodes)));
    }
    Err(failure.hint("`--on sim` tries the descriptor on a simulated cloud"))
}

/// Names some of the nodes.
fn names(nodes: &[&str]) -> String {
    const SHOWN_MAX: usize = 3;
    let shown: Vec<String> = nodes
        .iter()
        .take(SHOWN_MAX)
        .map(|name| format!("node `{name}`"))
        .collect();
    let more = nodes.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        format!("{} and {more} more", shown.join(", "))
    } else {
        shown.join(", ")
    }
}

/// Returns what a command that only looks has to know of the providers: what a
/// preview depends on. Opening them would already be more than looking.
pub(crate) fn settings_to_look() -> Settings {
    let sim = Capabilities {
        recontextualise: true,
        ..Capabilities::default()
    };
    Settings {
        capabilities: BTreeMap::from([("sim".to_owned(), sim)]),
        ..Settings::default()
    }
}
