//! Facts of the journal in words.

use std::collections::BTreeMap;

use zenekar_base::{InstanceKey, NodeKey, Timestamp};
use zenekar_engine::{Doom, Entry, Record, State};
use zenekar_runtime::Pace;

use crate::output::counted;

/// Remembers what instances are called, also those that are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrator {
    names: BTreeMap<InstanceKey, String>,
}

/// How good or bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// A step on the way.
    Step,
    /// Something is as wanted.
    Good,
    /// Something goes away or changes, as asked for.
    Change,
    /// Something failed.
    Bad,
}

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// A node, an instance, or empty for the infrastructure.
    pub(crate) subject: String,
    /// What happened.
    pub(crate) text: String,
    /// How good or bad it is.
    pub(crate) mood: Mood,
}

impl Narrator {
    /// Knows the instances of a state.
    pub(crate) fn knowing(state: &State) -> Self {
        let names = state
            .instances
            .iter()
            .map(|(key, instance)| (*key, state.instance_name(instance)))
            .collect();
        Self { names }
    }

    /// Returns what people call an instance.
    pub(crate) fn name(&self, key: InstanceKey) -> String {
        self.names
            .get(&key)
            .cloned()
            .unwrap_or_else(|| format!("instance {key}"))
    }

    /// Remembers what a new instance is called. The fact is already part of the state.
    pub(crate) fn note(&mut self, state: &State, entry: &Entry) {
        if let Record::Planned {
            instance,
            node,
            ordinal,
            ..
        } = &entry.record
        {
            let name = format!("{}/{ordinal}", node_name(state, *node));
            self.names.insert(*instance, name);
        }
        if let Record::Adopted { instances, .. } = &entry.record {
            for one in instances {
                let name = format!("{}/{}", node_name(state, one.node), one.ordinal);
                self.names.insert(one.instance, name);
            }
        }
    }

    /// Puts a fact into words; none if people need not know. The fact is
    /// already part of the state, and noted.
    pub(crate) fn tell(&self, state: &State, entry: &Entry) -> Option<Told> {
        let subject = match (entry.record.instance(), &entry.record) {
            (Some(instance), _) => self.name(instance),
            (None, Record::Blocked { node, .. } | Record::Unblocked { node }) => {
                node_name(state, *node)
            }
            _ => String::new(),
        };
        let (mood, text) = self.words(state, &entry.record)?;
        Some(Told {
            subject,
            text,
            mood,
        })
    }

    fn words(&self, state: &State, record: &Record) -> Option<(Mood, String)> {
        Some(match record {
            Record::IntentSet {
                generation,
                topology,
                ..
            } => (
                Mood::Step,
                format!(
                    "generation {generation} of `{}`: {} nodes",
                    topology.name(),
                    topology.nodes().len()
                ),
            ),
            Record::Adopted {
                generation,
                topology,
                instances,
                ..
            } => (
                Mood::Good,
                format!(
                    "generation {generation} of `{}`: taken over with {}",
                    topology.name(),
                    counted(instances.len(), "instance")
                ),
            ),
            Record::Scaled {
                generation,
                targets,
                ..
            } => {
                let counts: Vec<String> = targets
                    .iter()
                    .map(|(node, count)| format!("{}={count}", node_name(state, *node)))
                    .collect();
                (
                    Mood::Change,
                    format!("generation {generation}: scaled to {}", counts.join(", ")),
                )
            }
            Record::TeardownRequested { generation } => (
                Mood::Change,
                format!("generation {generation}: everything is to go down"),
            ),
            Record::Resumed => (Mood::Step, "trying again what was given up".to_owned()),
            Record::Planned {
                replaces: Some(replaced),
                ..
            } => (
                Mood::Step,
                format!("planned, in place of {}", self.name(*replaced)),
            ),
            Record::Planned { .. } => (Mood::Step, "planned".to_owned()),
            Record::Given { .. } => return None,
            Record::CreateIntended { attempt, .. } if *attempt > 1 => {
                (Mood::Step, format!("creating, attempt {attempt}"))
            }
            Record::CreateIntended { .. } => (Mood::Step, "creating".to_owned()),
            Record::CreateFailed { class, message, .. } => (
                Mood::Bad,
                format!("could not be created: {message} ({class})"),
            ),
            Record::Created { resource, .. } => (Mood::Step, format!("booting as {resource}")),
            Record::Running { addresses, .. } => match addresses.primary() {
                Some(address) => (Mood::Step, format!("running at {address}")),
                None => (Mood::Step, "running".to_owned()),
            },
            Record::Ready { .. } => (Mood::Good, "ready".to_owned()),
            Record::Unready { detail, .. } => {
                (Mood::Bad, format!("not healthy any more: {detail}"))
            }
            Record::RecontextualiseIntended { .. } => {
                (Mood::Change, "contextualising again".to_owned())
            }
            Record::Recontextualised { .. } => (Mood::Step, "contextualised again".to_owned()),
            Record::Broke { breakage, .. } => (Mood::Bad, format!("broke down: {breakage}")),
            Record::Recovered { .. } => (Mood::Good, "well again".to_owned()),
            Record::Doomed { reason, .. } => {
                let mood = if matches!(reason, Doom::Broken(_) | Doom::CreateFailed) {
                    Mood::Bad
                } else {
                    Mood::Change
                };
                (mood, format!("to be deleted: {reason}"))
            }
            Record::Gone { .. } => (Mood::Change, "gone".to_owned()),
            Record::Blocked { class, message, .. } => {
                (Mood::Bad, format!("given up for now: {message} ({class})"))
            }
            Record::Unblocked { .. } => (Mood::Step, "tried again".to_owned()),
            Record::OrphanFound { provider, resource } => (
                Mood::Bad,
                format!("`{provider}` has {resource}, which nothing wants; deleting it"),
            ),
            Record::OrphanGone { provider, resource } => {
                (Mood::Change, format!("{resource} of `{provider}` is gone"))
            }
            Record::Released { provider } => (
                Mood::Change,
                format!("what `{provider}` had besides instances is gone"),
            ),
            Record::ReleaseFailed {
                provider,
                class,
                message,
            } => (
                Mood::Change,
                format!(
                    "what `{provider}` has besides instances cannot go yet: {message} ({class})"
                ),
            ),
            Record::TornDown => (Mood::Good, "everything is gone".to_owned()),
        })
    }
}

/// Says whether a fact tells of something that failed.
pub(crate) const fn is_failure(record: &Record) -> bool {
    matches!(
        record,
        Record::CreateFailed { .. }
            | Record::Unready { .. }
            | Record::Broke { .. }
            | Record::Blocked { .. }
            | Record::OrphanFound { .. }
    )
}

fn node_name(state: &State, key: NodeKey) -> String {
    state
        .nodes
        .get(key.index())
        .map_or_else(|| format!("node {key}"), |node| node.name.clone())
}

/// Writes a point in time as people in this time zone read it.
pub(crate) fn time_text(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(timestamp) => timestamp
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => at.0.to_string(),
    }
}

/// Writes a point in time for programs.
pub(crate) fn time_json(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.0.to_string(), |timestamp| format!("{timestamp:.3}"))
}

/// Says how simulated time runs; nothing if it runs as real time does.
pub(crate) fn pace_text(pace: Pace) -> &'static str {
    match pace {
        Pace::Real => "",
        Pace::Compressed(_) | Pace::Jump => " of simulated time",
    }
}
