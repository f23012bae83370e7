//! The registry of providers: the one place that knows which ones there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use zenekar_base::{Capabilities, Map, kind_of_provider};
use zenekar_engine::{ProviderIndex, Settings, State};
use zenekar_model::Topology;
use zenekar_provider::Provider;
use zenekar_provider_local::{Isolation, LocalProvider, LocalSettings};
use zenekar_provider_sim::{SimFiles, SimProvider};
use zenekar_runtime::{Clock, SharedStore};

use crate::arguments::{PaceChoice, SimArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::place::Place;

/// Instances on this very machine.
pub(crate) const LOCAL: &str = "local";

/// The variable that bounds the isolation of instances on this machine.
const ISOLATION_MAX: &str = "ZENEKAR_ISOLATION_MAX";

/// The simulated cloud.
pub(crate) const SIM: &str = "sim";

/// The kinds of providers of this version, by the names that descriptors use.
pub(crate) const AVAILABLE: &[&str] = &["docker", "ec2", LOCAL, "nova", SIM];

/// Says whether this version has a provider, by its name.
pub(crate) fn is_available(provider: &str) -> bool {
    AVAILABLE.contains(&kind_of_provider(provider))
}

/// Finds the provider's name and the default settings of a cloud that the user named.
pub(crate) fn named_cloud(place: &Place, name: &str) -> Result<Option<(String, Map)>, Failure> {
    // A name with other letters is none, and tells nothing about files.
    if zenekar_credentials::check_name(name).is_err() {
        return Ok(None);
    }
    let cloud = opening::registry(place).get(name);
    let cloud = cloud.map_err(|error| opening::failure_of(&error))?;
    Ok(cloud.map(|cloud| (cloud.key().to_string(), cloud.section_defaults())))
}

/// What can be done about a descriptor for another cloud.
const ELSEWHERE: &str =
    "`--on local` runs it on this machine, `--on sim` tries it on a simulated cloud";

/// Refuses a provider that this version does not have.
pub(crate) fn check_name(provider: &str) -> Result<(), Failure> {
    if is_available(provider) {
        return Ok(());
    }
    let failure = Failure::new(
        Exit::Provider,
        format!("provider `{provider}` is not available in this version"),
    );
    Err(with_guess(failure, provider, |names| {
        format!("available: {names}")
    }))
}

/// Adds to a failure about an unknown provider which one was probably meant,
/// or else what is said of all of them.
pub(crate) fn with_guess(
    failure: Failure,
    provider: &str,
    of_all: impl FnOnce(&str) -> String,
) -> Failure {
    match zenekar_diagnostics::did_you_mean(provider, AVAILABLE.iter().copied()) {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None => failure.hint(of_all(&format!("`{}`", AVAILABLE.join("`, `")))),
    }
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
            if !is_available(&implementation.provider) {
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
    Err(failure.hint(ELSEWHERE))
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
    let capabilities = BTreeMap::from([
        (LOCAL.to_owned(), zenekar_provider_local::capabilities()),
        (SIM.to_owned(), sim),
        ("docker".to_owned(), zenekar_provider_docker::capabilities()),
    ]);
    Settings {
        capabilities,
        ..Settings::default()
    }
}

/// The providers that an infrastructure needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Those that something is at or is to be.
    current: BTreeSet<String>,
    /// Those that something was at before: what comes late there is deleted.
    former: BTreeSet<String>,
}

impl Needs {
    /// Finds out what an infrastructure needs, and a topology that it is to have.
    pub(crate) fn of(state: &State, next: Option<&Topology>) -> Self {
        let here = |index: ProviderIndex| state.providers.get(index.index()).cloned();
        let held = state.instances.values().filter_map(|one| one.provider);
        let orphaned = state.orphans.keys().map(|(provider, _)| *provider);
        let mut current: BTreeSet<String> = held
            .chain(orphaned)
            .chain(state.held.iter().copied())
            .collect::<BTreeSet<ProviderIndex>>()
            .into_iter()
            .filter_map(here)
            .collect();
        let intended = state.intent.as_ref().filter(|_| !state.torn_down);
        let present = intended.map(|intent| &*intent.topology);
        for topology in present.into_iter().chain(next) {
            current.extend(providers_of(topology));
        }
        Self {
            former: state.providers.iter().cloned().collect(),
            current,
        }
    }

    /// Says whether a provider has to be opened.
    pub(crate) fn has(&self, provider: &str) -> bool {
        self.current.contains(provider) || self.former.contains(provider)
    }

    /// Returns the names of all that have to be opened.
    pub(crate) fn all(&self) -> BTreeSet<&str> {
        let all = self.current.iter().chain(&self.former);
        all.map(String::as_str).collect()
    }

    /// Says whether something is at a provider or is to be.
    pub(crate) fn uses(&self, provider: &str) -> bool {
        self.current.contains(provider)
    }

    /// Says whether nothing is real, so that time need not be either.
    pub(crate) fn is_simulated(&self) -> bool {
        self.current.iter().all(|name| name == SIM)
    }

    /// Refuses what would have to call a provider that this version lacks: of
    /// infrastructures that were taken over, instances can be there.
    pub(crate) fn check_available(&self) -> Result<(), Failure> {
        let missing = self.current.iter().find(|name| !is_available(name));
        let Some(missing) = missing else {
            return Ok(());
        };
        let text = format!("provider `{missing}` is not available in this version");
        Err(Failure::new(Exit::Provider, text)
            .cause("instances that were taken over are there; they run on, and nothing was changed")
            .hint("`zenekar status` shows what is known of them"))
    }

    /// Refuses options that cannot do what they say.
    pub(crate) fn check(
        &self,
        sim: &SimArguments,
        isolation: Option<Isolation>,
    ) -> Result<(), Failure> {
        let Some(other) = self.current.iter().find(|name| *name != SIM) else {
            return match isolation {
                Some(_) if self.uses(SIM) => Err(Failure::usage(
                    "`--isolation` is for instances on this machine, and all nodes are on `sim`",
                )
                .hint("leave it out, or move the nodes with `--on local`")),
                _ => Ok(()),
            };
        };
        if sim.pace.is_some_and(|pace| pace != PaceChoice::Real) {
            return Err(Failure::usage(format!(
                "`--pace` is for simulated time, and provider `{other}` is real"
            ))
            .hint("leave it out"));
        }
        if sim.sim_profile.is_some() && !self.uses(SIM) {
            return Err(Failure::usage(
                "`--sim-profile` is for the simulated cloud, and no node is on `sim`",
            )
            .hint("leave it out"));
        }
        if isolation.is_some() && !self.uses(LOCAL) {
            return Err(Failure::usage(
                "`--isolation` is for instances on this machine, and no node is on `local`",
            )
            .hint("leave it out"));
        }
        Ok(())
    }
}

/// Returns the providers of a topology's nodes.
fn providers_of(topology: &Topology) -> BTreeSet<String> {
    let candidates = topology.indices().flat_map(|index| {
        let count = topology.node(index).candidates.len();
        (0..count).filter_map(move |candidate| topology.candidate(index, candidate))
    });
    let names: BTreeSet<&str> = candidates
        .map(|implementation| implementation.provider.as_str())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Opens the provider of instances on this machine, and says which isolation
/// they get.
pub(crate) fn open_local(
    place: &Place,
    isolation: Option<Isolation>,
) -> Result<(Arc<dyn Provider>, Isolation), Failure> {
    // The name stays right when the file is replaced or removed meanwhile.
    let executable = PathBuf::from("/proc/self/exe");
    let opened = LocalProvider::open(LocalSettings {
        directory: place.local_directory(),
        executable,
        isolation,
        isolation_max: isolation_max()?,
    });
    let provider = opened.map_err(|error| {
        let failure = Failure::new(Exit::Provider, error.to_string());
        failure
            .because_of(std::error::Error::source(&error))
            .hint("`zenekar doctor` tells what this machine offers, and what would give more")
    })?;
    let isolation = provider.isolation();
    Ok((Arc::new(provider), isolation))
}

/// Reads the isolation that instances get at most: a hook to try, on any
/// machine, what those with fewer rights get.
fn isolation_max() -> Result<Option<Isolation>, Failure> {
    let Some(text) = std::env::var_os(ISOLATION_MAX) else {
        return Ok(None);
    };
    text.to_string_lossy()
        .parse()
        .map(Some)
        .map_err(|error: String| Failure::usage(format!("`{ISOLATION_MAX}`: {error}")))
}

/// Opens one provider, to look into its instances.
pub(crate) fn open_one(
    place: &Place,
    store: &SharedStore,
    name: &str,
) -> Result<Arc<dyn Provider>, Failure> {
    check_name(name)?;
    if name == LOCAL {
        return Ok(open_local(place, None)?.0);
    }
    if name != SIM {
        return opening::open(place, store, name);
    }
    let files = SimFiles::open(&place.sim_directory())?;
    Ok(Arc::new(SimProvider::new(files, Arc::new(Clock::real()))?))
}
