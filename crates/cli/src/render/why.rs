//! Why something is as it is: what it waits for, and what that waits for.

use std::fmt::Write as _;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zenekar_base::{InstanceKey, NodeKey};
use zenekar_engine::{Engine, Instance, Waiting, When};

use crate::output::{Paint, counted};
use crate::render::plan::shorten;
use crate::render::status::{instance_text, waiting_text};

/// Instances of a node that are explained; the others are counted.
const INSTANCES_MAX: usize = 5;

/// How long a chain of reasons is followed. Dependencies have no cycles, so
/// this only bounds what people have to read.
const DEPTH_MAX: usize = 12;

/// One finding, and what it comes from.
pub(crate) struct Reason {
    subject: String,
    text: String,
    because: Vec<Reason>,
}

/// Explains a node.
pub(crate) fn node(engine: &Engine, key: NodeKey) -> Reason {
    explain_node(engine, key, &mut BTreeSet::new(), 0)
}

/// Explains an instance.
pub(crate) fn instance(engine: &Engine, instance: &Instance) -> Reason {
    explain_instance(engine, instance, &mut BTreeSet::from([instance.node]), 0)
}

fn explain_node(
    engine: &Engine,
    key: NodeKey,
    seen: &mut BTreeSet<NodeKey>,
    depth: usize,
) -> Reason {
    let state = engine.state();
    let node = state.node(key);
    let wanted = state.wanted(key);
    let mut text = format!("{} of {wanted} ready", node.serving);
    if let Some(block) = &node.block {
        let _ = write!(
            text,
            "; given up for now: {} ({})",
            shorten(&block.message),
            block.class
        );
    }
    let mut reason = Reason {
        subject: node.name.clone(),
        text,
        because: Vec::new(),
    };
    if !seen.insert(key) || depth >= DEPTH_MAX {
        return reason;
    }
    let waiting: Vec<&Instance> = node
        .instances
        .iter()
        .filter_map(|key| state.instances.get(key))
        .filter(|instance| !instance.serves())
        .collect();
    for instance in waiting.iter().take(INSTANCES_MAX) {
        reason
            .because
            .push(explain_instance(engine, instance, seen, depth + 1));
    }
    if waiting.len() > INSTANCES_MAX {
        let more = counted(waiting.len() - INSTANCES_MAX, "more instance");
        reason.because.push(Reason {
            subject: node.name.clone(),
            text: format!("{more} like these"),
            because: Vec::new(),
        });
    }
    for step in engine.node_status(key).deferred.iter().take(INSTANCES_MAX) {
        let When::Later(waiting) = &step.when else {
            continue;
        };
        let subject = step
            .instance
            .and_then(|key| state.instances.get(&key))
            .map_or(node.name.clone(), |one| state.instance_name(one));
        let text = format!(
            "is to change, because {}; {}",
            shorten(&step.cause.to_string()),
            waiting_text(waiting, engine.now())
        );
        let because = because_of(engine, waiting, seen, depth + 1);
        reason.because.push(Reason {
            subject,
            text,
            because,
        });
    }
    let unreachable = engine.unreachable();
    let unreachable = unreachable.iter().filter(|one| one.reader == node.name);
    reason
        .because
        .extend(unreachable.take(INSTANCES_MAX).map(|one| Reason {
            subject: node.name.clone(),
            text: one.to_string(),
            because: Vec::new(),
        }));
    reason
}

fn explain_instance(
    engine: &Engine,
    instance: &Instance,
    seen: &mut BTreeSet<NodeKey>,
    depth: usize,
) -> Reason {
    let status = engine.instance_status(instance);
    let about = instance_text(&status, instance, engine.now());
    let text = if about.is_empty() {
        status.phase.to_owned()
    } else {
        format!("{}, {about}", status.phase)
    };
    let because = status
        .waiting
        .as_ref()
        .map(|waiting| because_of(engine, waiting, seen, depth))
        .unwrap_or_default();
    Reason {
        subject: status.name,
        text,
        because,
    }
}

/// Follows what is waited for to its node.
fn because_of(
    engine: &Engine,
    waiting: &Waiting,
    seen: &mut BTreeSet<NodeKey>,
    depth: usize,
) -> Vec<Reason> {
    let (Waiting::Dependency { node, .. }
    | Waiting::DependentsFirst { node, .. }
    | Waiting::DependeeUpdates { node }) = waiting
    else {
        return Vec::new();
    };
    engine
        .state()
        .find_node(node)
        .map(|key| explain_node(engine, key, seen, depth + 1))
        .into_iter()
        .collect()
}

/// Finds instances that lately went: for those, only history can tell.
pub(crate) fn find(engine: &Engine, subject: &str) -> Option<Found> {
    let state = engine.state();
    if let Some(key) = state.find_node(subject) {
        return Some(Found::Node(key));
    }
    if let Some(key) = state.find_instance(subject) {
        return Some(Found::Instance(key));
    }
    let (node, ordinal) = subject.rsplit_once('/')?;
    let (key, ordinal) = (state.find_node(node)?, ordinal.parse::<u32>().ok()?);
    (1..state.node(key).next_ordinal)
        .contains(&ordinal)
        .then_some(Found::Gone)
}

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A node.
    Node(NodeKey),
    /// An instance.
    Instance(InstanceKey),
    /// An instance that does not exist any more.
    Gone,
}

impl Reason {
    /// Makes the reason of an instance that does not exist any more.
    pub(crate) fn gone(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            text: "does not exist any more".to_owned(),
            because: Vec::new(),
        }
    }

    /// Writes the reasons for people, indented by depth.
    pub(crate) fn to_text(&self, paint: Paint) -> String {
        let mut text = String::new();
        self.push(&mut text, 0, paint);
        text
    }

    fn push(&self, text: &mut String, depth: usize, paint: Paint) {
        let indent = "  ".repeat(depth);
        let arrow = if depth > 0 { "because " } else { "" };
        let _ = writeln!(
            text,
            "{indent}{}{}: {}",
            paint.faint(arrow),
            paint.strong(&self.subject),
            self.text
        );
        for reason in &self.because {
            reason.push(text, depth + 1, paint);
        }
    }

    /// Returns the reasons for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "subject": self.subject, "text": self.text, "because": self.because.iter().map(Self::to_json).collect::<Vec<_>>() })
    }
}
