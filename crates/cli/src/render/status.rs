//! Status: how far nodes and instances are, as text and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use zenekar_base::{NodeKey, Timestamp};
use zenekar_engine::{Engine, Instance, InstanceStatus, Waiting};

use crate::output::{Paint, SCHEMA_VERSION, counted, grouped};
use crate::render::event::time_json;
use crate::render::plan::{LINES_MAX, cut, shorten};

/// Lines around the nodes: heading, orphans, remarks.
const LINES_AROUND: usize = 8;

/// Characters of the reason why something is left: there are few such lines,
/// and nothing else says what has to be done.
const RELEASE_CHARS_MAX: usize = 300;

/// How many instances serve, exist and are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Instances that serve.
    pub(crate) serving: usize,
    /// Instances that are wanted.
    pub(crate) wanted: usize,
    /// Instances that are not known to be gone.
    pub(crate) existing: usize,
}

impl Tally {
    /// Says whether there are at most so many nodes and instances.
    pub(crate) fn of_few(engine: &Engine, instances_max: usize) -> bool {
        let state = engine.state();
        state.nodes.len() <= instances_max && state.instances.len() <= instances_max
    }

    /// Counts all instances, in time proportional to the nodes.
    pub(crate) fn of(engine: &Engine) -> Self {
        let state = engine.state();
        let mut tally = Self {
            existing: state.instances.len(),
            ..Self::default()
        };
        for (position, node) in state.nodes.iter().enumerate() {
            tally.serving += node.serving as usize;
            let key = NodeKey(u32::try_from(position).unwrap_or(u32::MAX));
            tally.wanted += state.wanted(key) as usize;
        }
        tally
    }
}

/// Says in a word where an infrastructure stands, as its journal knows it.
pub(crate) fn state_word(engine: &Engine) -> &'static str {
    let state = engine.state();
    let tally = Tally::of(engine);
    if state.intent.is_none() {
        "new"
    } else if state.torn_down {
        "down"
    } else if state.teardown() {
        "going down"
    } else if state
        .nodes
        .iter()
        .any(|node| node.index.is_some() && node.block.is_some())
    {
        "blocked"
    } else if tally.serving == tally.wanted
        && tally.existing == tally.wanted
        && state.orphans.is_empty()
    {
        "ready"
    } else {
        "unfinished"
    }
}

/// An infrastructure to show.
pub(crate) struct Shown<'a> {
    /// Its id.
    pub(crate) infrastructure: &'a str,
    /// Its engine.
    pub(crate) engine: &'a Engine,
    /// Who works on it, as one line.
    pub(crate) holder: Option<String>,
}

impl Shown<'_> {
    /// Writes the status for people, in at most [`LINES_MAX`] lines unless `full`.
    pub(crate) fn to_text(&self, paint: Paint, full: bool) -> String {
        let state = self.engine.state();
        let tally = Tally::of(self.engine);
        let word = state_word(self.engine);
        let painted = match word {
            "ready" | "down" => paint.good(word),
            "blocked" => paint.bad(word),
            _ => paint.notable(word),
        };
        let mut text = format!(
            "{}: {painted}, {} of {} ready, generation {}\n",
            paint.strong(self.infrastructure),
            grouped(tally.serving),
            counted(tally.wanted, "instance"),
            state.generation(),
        );
        let remark = match &self.holder {
            Some(holder) => Some(format!("led by {holder}")),
            None if matches!(word, "ready" | "down" | "new") => None,
            None if state.teardown() => {
                Some("nobody works on it now: `zenekar down` continues".to_owned())
            }
            None => Some("nobody works on it now: `zenekar watch` continues".to_owned()),
        };
        if let Some(remark) = remark {
            let _ = writeln!(text, "{}", paint.faint(&remark));
        }
        let keys = self.keys();
        if !keys.is_empty() {
            text.push('\n');
        }
        let rows: usize = keys.len() + state.instances.len();
        let lines_max = if full {
            usize::MAX
        } else {
            LINES_MAX - LINES_AROUND
        };
        if rows <= lines_max {
            for key in &keys {
                self.push_node(&mut text, *key, paint);
                self.push_instances(&mut text, *key, paint);
            }
        } else {
            self.push_collapsed(&mut text, &keys, lines_max, paint);
        }
        for (provider, resource) in state.orphans.keys().take(3) {
            let provider = &state.providers[provider.index()];
            let _ = writeln!(
                text,
                "  {} {resource} of `{provider}` is unwanted and will be deleted",
                paint.bad("!")
            );
        }
        for release in self.engine.releases().iter().take(3) {
            let waiting = release.waiting.as_ref();
            let waiting = waiting.map_or_else(
                || "is to remove it".to_owned(),
                |waiting| waiting_text(waiting, self.engine.now()),
            );
            let _ = writeln!(
                text,
                "  {} `{}` may have more than instances: {}",
                paint.notable("!"),
                release.provider,
                cut(&waiting, RELEASE_CHARS_MAX)
            );
        }
        text
    }

    /// Returns the nodes to show: those of the descriptor, then lost ones with instances.
    fn keys(&self) -> Vec<NodeKey> {
        let state = self.engine.state();
        let all = (0..u32::try_from(state.nodes.len()).unwrap_or(u32::MAX)).map(NodeKey);
        let lost = all.filter(|key| {
            state.node(*key).index.is_none() && !state.node(*key).instances.is_empty()
        });
        state.node_keys.iter().copied().chain(lost).collect()
    }

    /// One line for each node that is not as wanted; then a line for the others.
    fn push_collapsed(&self, text: &mut String, keys: &[NodeKey], lines_max: usize, paint: Paint) {
        let (settled, others): (Vec<NodeKey>, Vec<NodeKey>) =
            keys.iter().partition(|key| self.is_settled(**key));
        let mut shown = 0;
        for key in others
            .iter()
            .chain(&settled)
            .take(lines_max.saturating_sub(1))
        {
            self.push_node(text, *key, paint);
            shown += 1;
        }
        if keys.len() > shown {
            let _ = writeln!(text, "  … and {}", counted(keys.len() - shown, "more node"));
        }
        let _ = writeln!(text, "{}", paint.faint("  (`--full` shows every instance)"));
    }

    fn is_settled(&self, key: NodeKey) -> bool {
        let node = self.engine.state().node(key);
        node.serving == self.engine.state().wanted(key)
            && node.instances.len() == node.serving as usize
    }

    fn push_node(&self, text: &mut String, key: NodeKey, paint: Paint) {
        let state = self.engine.state();
        let node = state.node(key);
        let wanted = state.wanted(key);
        let mark = if self.is_settled(key) {
            paint.good("✓")
        } else {
            paint.notable("…")
        };
        let mark = if node.block.is_some() {
            paint.bad("✗")
        } else {
            mark
        };
        let mut line = format!(
            "  {mark} {}  {} of {wanted} ready",
            paint.strong(&node.name),
            node.serving
        );
        let leaving = node.instances.len() - node.counting as usize;
        if leaving > 0 {
            let _ = write!(line, ", {leaving} leaving");
        }
        if let Some(block) = &node.block {
            let _ = write!(
                line,
                "; given up for now: {} ({})",
                shorten(&block.message),
                block.class
            );
        }
        line.push('\n');
        text.push_str(&line);
    }

    fn push_instances(&self, text: &mut String, key: NodeKey, paint: Paint) {
        let state = self.engine.state();
        let now = self.engine.now();
        let instances = state
            .node(key)
            .instances
            .iter()
            .filter_map(|key| state.instances.get(key));
        let rows: Vec<(Vec<String>, &'static str)> = instances
            .map(|instance| {
                let status = self.engine.instance_status(instance);
                (
                    vec![
                        status.name.clone(),
                        status.phase.to_owned(),
                        instance_text(&status, instance, now),
                    ],
                    status.phase,
                )
            })
            .collect();
        let cells: Vec<Vec<String>> = rows.iter().map(|(row, _)| row.clone()).collect();
        for (line, (row, phase)) in crate::output::columns(&cells, 6).iter().zip(&rows) {
            let painted = match *phase {
                "ready" => line.replacen(&row[1], &paint.good(&row[1]), 1),
                "broken" | "unready" => line.replacen(&row[1], &paint.bad(&row[1]), 1),
                _ => line.replacen(&row[1], &paint.notable(&row[1]), 1),
            };
            text.push_str(&painted);
            text.push('\n');
        }
    }

    /// Returns the status for programs.
    pub(crate) fn to_json(&self) -> Value {
        let status = self.engine.status();
        let tally = Tally::of(self.engine);
        let nodes: Vec<Value> = status
            .nodes
            .iter()
            .map(|node| {
                json!({
                    "name": node.name,
                    "wanted": node.wanted,
                    "ready": node.serving,
                    "min": node.range.map(|range| range.0),
                    "max": node.range.map(|range| range.1),
                    "dependencies": node.dependencies,
                    "instances": node.instances.iter().map(instance_json).collect::<Vec<_>>(),
                    "deferred": node.deferred,
                })
            })
            .collect();
        json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "status",
            "infrastructure": self.infrastructure,
            "state": state_word(self.engine),
            "generation": status.generation,
            "ready": tally.serving,
            "wanted": tally.wanted,
            "led_by": self.holder,
            "at": time_json(self.engine.now()),
            "nodes": nodes,
            "orphans": status.orphans.iter().map(|(provider, resource)| json!({ "provider": provider, "resource": resource })).collect::<Vec<_>>(),
            "releases": status.releases.iter().map(|release| json!({ "provider": release.provider, "waiting": release.waiting })).collect::<Vec<_>>(),
        })
    }
}

/// Says in a few words where an instance is and what it waits for.
pub(crate) fn instance_text(
    status: &InstanceStatus,
    instance: &Instance,
    now: Timestamp,
) -> String {
    let mut parts = Vec::new();
    if let Some(address) = status.addresses.primary() {
        parts.push(address.to_owned());
    }
    if let Some(reason) = &status.reason {
        parts.push(shorten(reason));
    }
    match (&status.waiting, &instance.last_error) {
        // While nobody works on it, why it did not get further says more than what comes next.
        (Some(Waiting::Recovery { .. }), Some((class, message))) => parts.push(format!(
            "the last try failed: {} ({})",
            shorten(message),
            class.name()
        )),
        (Some(waiting), _) => parts.push(shorten(&waiting_text(waiting, now))),
        (None, _) => {}
    }
    if instance.phase_since > Timestamp::ZERO
        && status.phase != "ready"
        && now.since(instance.phase_since).0 >= 1000
    {
        parts.push(format!("for {}", now.since(instance.phase_since)));
    }
    parts.join(", ")
}

/// Says what is waited for, and how long where that is known.
pub(crate) fn waiting_text(waiting: &Waiting, now: Timestamp) -> String {
    let until = match waiting {
        Waiting::Backoff { until, .. }
        | Waiting::Throttled { until, .. }
        | Waiting::Breaker { until, .. }
        | Waiting::Stuck { until, .. } => Some(*until),
        _ => None,
    };
    match until.map(|until| until.since(now)) {
        Some(left) if left.0 > 0 => format!("{waiting}; goes on in {left}"),
        _ => waiting.to_string(),
    }
}

fn instance_json(status: &InstanceStatus) -> Value {
    json!({
        "name": status.name,
        "tag": status.tag,
        "phase": status.phase,
        "since": time_json(status.since),
        "ready_at": status.ready_at.map(time_json),
        "provider": status.provider,
        "resource": status.resource,
        "addresses": status.addresses.all,
        "waiting": status.waiting,
        "waiting_text": status.waiting.as_ref().map(ToString::to_string),
        "reason": status.reason,
    })
}
