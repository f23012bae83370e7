//! One infrastructure that could be taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenekar_base::{
    Addresses, InfrastructureId, InstanceTag, ResourceId, ResourceState, ResourceView, Value,
};
use zenekar_diagnostics::{Severity, SourceMap};
use zenekar_engine::{Adoption, Engine, ForeignInstance, Input, LostInstance, Plan};
use zenekar_model::{NodeIndex, Topology};
use zenekar_occopus::{LoadOptions, load_text};
use zenekar_occopus_redis::{Infrastructure, Installation, Instance};
use zenekar_provider::{ObserveScope, Provider};

use crate::arguments::parse_id;
use crate::clouds::{self, Target};
use crate::errors::{Failure, exit_of_class};
use crate::output::counted;
use crate::providers;

/// Mistakes of a stored description that are told.
const MISTAKES_TOLD_MAX: usize = 3;

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It can be taken over.
    Adoptable,
    /// It was taken over in this run.
    Adopted,
    /// It was taken over before.
    Already,
    /// It cannot be taken over: why.
    Refused(String),
}

/// What a provider says of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nobody was asked.
    Unknown,
    /// It is there.
    There(ResourceState),
    /// It is not.
    Gone,
}

/// One instance with what was found out about it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// What is stored.
    pub(super) stored: Instance,
    /// Its addresses, as far as known.
    pub(super) addresses: Addresses,
    /// Whether it is there.
    pub(super) presence: Presence,
    /// The candidate of its node that it was made from.
    alternative: u32,
}

/// One infrastructure that could be taken over.
pub(super) struct Candidate {
    /// What is stored.
    pub(super) stored: Infrastructure,
    /// Its id here, or why it cannot be one.
    pub(super) id: Result<InfrastructureId, String>,
    /// What is wanted, if the description can be understood.
    pub(super) topology: Option<Arc<Topology>>,
    /// The instances of nodes that are in the description.
    pub(super) members: Vec<Member>,
    /// What becomes of it.
    pub(super) fate: Fate,
    /// What cannot be carried over, in words.
    pub(super) notes: Vec<String>,
    /// What would be done next, and the engine that would do it.
    pub(super) next: Option<(Engine, Plan)>,
}

impl Candidate {
    /// Understands a stored infrastructure as far as possible; with `on`, its
    /// instances are looked for at another provider.
    pub(super) fn new(
        stored: &Infrastructure,
        installation: &Installation,
        on: Option<&Target>,
    ) -> Self {
        let id = parse_id(&stored.owner.id).map(InfrastructureId::new);
        let mut candidate = Self {
            stored: stored.clone(),
            id,
            topology: None,
            members: Vec::new(),
            fate: Fate::Adoptable,
            notes: stored.problems.clone(),
            next: None,
        };
        if let Err(why) = &candidate.id {
            candidate.fate = Fate::Refused(format!("its id cannot be one here: {why}"));
        } else if !stored.has_description {
            candidate.fate = Fate::Refused("Occopus has no description of it".to_owned());
        } else if stored.unreadable {
            let why = stored.problems.first().cloned();
            candidate.fate = Fate::Refused(why.unwrap_or_else(|| "it cannot be read".to_owned()));
        } else {
            candidate.understand(installation, on);
        }
        candidate
    }

    /// Notes that it cannot be taken over.
    pub(super) fn refuse(&mut self, why: String) {
        if self.fate != Fate::Already {
            self.fate = Fate::Refused(why);
        }
    }

    pub(super) fn is_adoptable(&self) -> bool {
        self.fate == Fate::Adoptable
    }

    /// Returns the id under which it can be taken over.
    pub(super) fn id_to_adopt(&self) -> Option<InfrastructureId> {
        self.id.clone().ok().filter(|_| self.is_adoptable())
    }

    /// Takes note of an infrastructure of the same id that is there already.
    pub(super) fn meet(&mut self, engine: &Engine) {
        let state = engine.state();
        if state.intent.is_none() {
            return;
        }
        if state.taken_over && !state.torn_down {
            self.fate = Fate::Already;
        } else if state.taken_over {
            self.refuse("it was taken over and taken down since".to_owned());
        } else {
            self.refuse("an infrastructure of this id was made here".to_owned());
        }
    }

    fn understand(&mut self, installation: &Installation, on: Option<&Target>) {
        let (text, borrowed) = self.stored.descriptor(installation);
        let mut sources = SourceMap::default();
        let name = format!("stored description of {}", self.stored.owner.id);
        let loaded = load_text(&name, &text, &LoadOptions::default(), &mut sources);
        let Some(topology) = loaded.topology else {
            let errors: Vec<&str> = loaded
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == Severity::Error)
                .map(|diagnostic| diagnostic.message.as_str())
                .take(MISTAKES_TOLD_MAX)
                .collect();
            let why = format!("its description has mistakes: {}", errors.join("; "));
            return self.refuse(why);
        };
        for type_name in borrowed {
            self.notes.push(format!(
                "the node definition `{type_name}` is not stored any more; the one that a running instance was made from counts"
            ));
        }
        let (settled, _) = clouds::settle(&topology, on);
        self.find_members(&topology, &settled);
        self.topology = Some(Arc::new(settled));
        self.note_losses();
    }

    /// Finds the node and the alternative of every instance, and the provider
    /// that it is at by the topology that says where everything is.
    fn find_members(&mut self, topology: &Topology, settled: &Topology) {
        let mut strangers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for stored in self.stored.instances.clone() {
            let Some(index) = topology.find(&stored.node) else {
                let of_node = strangers.entry(stored.node).or_default();
                of_node.push(stored.resource);
                continue;
            };
            let Some(alternative) = alternative_of(topology, index, &stored) else {
                let why = format!(
                    "instance `{}` is at `{}`, which no definition of node `{}` names",
                    stored.id, stored.provider, stored.node
                );
                return self.refuse(why);
            };
            let presence = Presence::Unknown;
            let addresses = Addresses {
                all: stored.addresses.clone(),
                private: None,
            };
            let provider = settled
                .candidate(index, alternative as usize)
                .map_or_else(|| stored.provider.clone(), |one| one.provider.clone());
            let stored = Instance { provider, ..stored };
            self.members.push(Member {
                stored,
                addresses,
                presence,
                alternative,
            });
        }
        for (node, resources) in strangers {
            self.notes.push(format!(
                "node `{node}` is not in the description any more: {} not taken over and run on: {}",
                counted(resources.len(), "instance"),
                resources.join(", ")
            ));
        }
    }

    /// Says in words what has no counterpart here.
    fn note_losses(&mut self) {
        let stored = &self.stored;
        let mut notes = Vec::new();
        for (node, count) in &stored.failed {
            notes.push(format!(
                "the archive of {} of node `{node}` is left behind",
                counted(
                    usize::try_from(*count).unwrap_or(usize::MAX),
                    "failed instance"
                )
            ));
        }
        for request in &stored.fewer {
            if let Some(instance) = &request.instance {
                notes.push(format!(
                    "the request to remove `{instance}` of node `{}` was not carried out; `zenekar scale` repeats it",
                    request.node
                ));
            }
        }
        let names: BTreeSet<&str> = stored.nodes.iter().map(|node| node.name.as_str()).collect();
        for node in stored.counts.keys().chain(stored.more.keys()) {
            if !names.contains(node.as_str()) {
                notes.push(format!("there is no node `{node}` that could be scaled"));
            }
        }
        if stored.has_notification {
            notes.push("nobody is notified of changes any more".to_owned());
        }
        if stored.suspended {
            notes.push("Occopus was told to leave it alone; here it is looked after".to_owned());
        }
        if !stored.was_complete {
            notes.push("Occopus never had all of it ready".to_owned());
        }
        self.notes.extend(notes);
    }

    /// Returns the providers of its instances and nodes that this version has.
    pub(super) fn providers_at_hand(&self) -> BTreeSet<String> {
        let names = self.members.iter().map(|member| &member.stored.provider);
        names
            .filter(|name| providers::is_available(name))
            .cloned()
            .collect()
    }

    /// Returns the providers of its instances that this version does not have.
    pub(super) fn providers_missing(&self) -> BTreeSet<&str> {
        let names = self
            .members
            .iter()
            .map(|member| member.stored.provider.as_str());
        names
            .filter(|name| !providers::is_available(name))
            .collect()
    }

    /// Asks a provider for the instances that should be there.
    pub(super) async fn look_at(
        &mut self,
        id: &InfrastructureId,
        provider: &dyn Provider,
    ) -> Result<(), Failure> {
        let name = provider.name().to_owned();
        let resources: Vec<ResourceId> = self
            .members
            .iter()
            .filter(|member| member.stored.provider == name)
            .map(|member| ResourceId::new(member.stored.resource.as_str()))
            .collect();
        let batch_max = provider.capabilities().describe_batch_max.max(1) as usize;
        let mut views: BTreeMap<String, ResourceView> = BTreeMap::new();
        for batch in resources.chunks(batch_max) {
            let scope = ObserveScope::Resources(batch.to_vec());
            let observed = provider.observe(id.clone(), scope).await;
            let observed = observed.map_err(|error| {
                Failure::new(
                    exit_of_class(error.class),
                    format!("cannot look at the instances of `{id}`: {}", error.message),
                )
            })?;
            for view in observed {
                views.insert(view.resource.to_string(), view);
            }
        }
        for member in &mut self.members {
            if member.stored.provider != name {
                continue;
            }
            member.presence = match views.remove(&member.stored.resource) {
                None => Presence::Gone,
                Some(view) if view.state == ResourceState::Gone => Presence::Gone,
                Some(view) => {
                    if !view.addresses.all.is_empty() {
                        member.addresses = view.addresses;
                    }
                    Presence::There(view.state)
                }
            };
        }
        Ok(())
    }

    /// Works out what would be done next, if it were taken over now.
    pub(super) fn plan(&mut self) {
        let (Some(id), Some(adoption)) = (self.id_to_adopt(), self.adoption()) else {
            return;
        };
        let engine = Engine::new(id, providers::settings_to_look());
        match engine.preview(&Input::Adopt(adoption)) {
            Ok(next) => self.next = Some(next),
            Err(refusal) => self.refuse(refusal.to_string()),
        }
    }

    /// Returns what the engine is told.
    pub(super) fn adoption(&self) -> Option<Adoption> {
        let topology = self.topology.as_ref()?;
        let (mut instances, mut lost) = (Vec::new(), Vec::new());
        for member in &self.members {
            let node = member.stored.node.clone();
            let tag = InstanceTag::new(member.stored.id.as_str());
            let addresses = member.addresses.clone();
            if member.presence == Presence::Gone {
                lost.push(LostInstance {
                    node,
                    tag,
                    addresses,
                });
                continue;
            }
            let is_up = matches!(
                member.presence,
                Presence::Unknown | Presence::There(ResourceState::Running)
            );
            instances.push(ForeignInstance {
                node,
                tag,
                candidate: member.alternative,
                resource: ResourceId::new(member.stored.resource.as_str()),
                addresses,
                ready: is_up && !self.stored.failing.contains(&member.stored.id),
            });
        }
        Some(Adoption {
            topology: Arc::clone(topology),
            targets: self.targets(topology),
            instances,
            lost,
        })
    }

    /// Returns the counts that Occopus was working towards.
    fn targets(&self, topology: &Topology) -> Vec<(String, u32)> {
        let nodes = topology.nodes().iter();
        nodes
            .map(|node| {
                let members = self.members.iter();
                let here = members
                    .filter(|member| member.stored.node == node.name)
                    .count();
                // What was never asked for is as many as there are.
                let asked = self.stored.counts.get(&node.name).copied();
                let asked = asked.unwrap_or(here as u64);
                let more = self.stored.more.get(&node.name).copied().unwrap_or(0);
                let fewer = self
                    .stored
                    .fewer
                    .iter()
                    .filter(|request| request.node == node.name && request.instance.is_none());
                let target = asked
                    .saturating_add(more)
                    .saturating_sub(fewer.count() as u64);
                (node.name.clone(), u32::try_from(target).unwrap_or(u32::MAX))
            })
            .collect()
    }
}

/// Finds the alternative of a node that an instance was made from: the one
/// whose resource section says the same, else one of the same provider.
fn alternative_of(topology: &Topology, index: NodeIndex, stored: &Instance) -> Option<u32> {
    let count = topology.node(index).candidates.len();
    let of_provider: Vec<usize> = (0..count)
        .filter(|place| {
            let implementation = topology.candidate(index, *place);
            implementation.is_some_and(|one| one.provider == stored.provider)
        })
        .collect();
    let same = of_provider.iter().find(|place| {
        let implementation = topology.candidate(index, **place);
        implementation.is_some_and(|one| is_made_from(&stored.section, &one.resource))
    });
    let chosen = same.or(of_provider.first())?;
    u32::try_from(*chosen).ok()
}

/// Says whether a rendered section can come from a written one: what holds a
/// template may have become anything.
fn is_made_from(rendered: &Value, written: &Value) -> bool {
    let entries = written.as_map().into_iter().flatten();
    entries
        .filter(|(_, value)| {
            !value
                .as_str()
                .is_some_and(|text| text.contains("{{") || text.contains("{%"))
        })
        .all(|(key, value)| rendered.get(key) == Some(value))
}
