//! Plans: what would change and why, in a few lines for any size.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use zenekar_base::NodeKey;
use zenekar_engine::{Action, Engine, Notice, Plan, Step, When};

use crate::output::{Paint, SCHEMA_VERSION, columns, counted, grouped};

/// Lines of a plan for people unless all are asked for: what fits on a screen.
pub(crate) const LINES_MAX: usize = 40;

/// Lines around the groups: heading, notices, totals.
const LINES_AROUND: usize = 8;

/// Nodes that a line over many nodes names.
const NODES_NAMED_MAX: usize = 3;

/// Instances that a line names.
const INSTANCES_NAMED_MAX: usize = 4;

/// Characters of a reason; providers' messages may be long.
const REASON_CHARS_MAX: usize = 100;

/// The totals of a plan without steps.
const NOTHING: &str = "nothing to do";

/// Notices that a preview shows unless it is to be full; more are told as they come.
const NOTICES_MAX: usize = 3;

/// A plan, and the engine as it would be once the request is applied.
pub(crate) struct Preview<'a> {
    /// The id of the infrastructure.
    pub(crate) infrastructure: &'a str,
    /// The engine with the request applied.
    pub(crate) engine: &'a Engine,
    /// The plan.
    pub(crate) plan: &'a Plan,
}

/// How many instances a plan touches, by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    create: usize,
    resume: usize,
    restart: usize,
    replace: usize,
    delete: usize,
}

impl Totals {
    /// Counts the steps of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut totals = Self::default();
        for step in &plan.steps {
            match step.action {
                Action::Create => totals.create += 1,
                Action::Continue => totals.resume += 1,
                Action::Restart => totals.restart += 1,
                Action::Replace => totals.replace += 1,
                Action::Delete => totals.delete += 1,
            }
        }
        totals
    }

    /// Writes the totals as one line.
    pub(crate) fn to_text(self) -> String {
        let parts = [
            (self.create, "to create"),
            (self.resume, "to continue"),
            (self.restart, "to restart"),
            (self.replace, "to replace"),
            (self.delete, "to delete"),
        ];
        let texts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, verb)| format!("{} {verb}", grouped(*count)))
            .collect();
        if texts.is_empty() {
            NOTHING.to_owned()
        } else {
            texts.join(", ")
        }
    }

    fn to_json(self) -> Value {
        json!({
            "create": self.create, "continue": self.resume, "restart": self.restart,
            "replace": self.replace, "delete": self.delete,
        })
    }
}

/// Returns the notices that a preview shows, which need not be told once more.
pub(crate) fn notices_shown(plan: &Plan) -> Vec<Notice> {
    plan.notices.iter().take(NOTICES_MAX).cloned().collect()
}

/// Steps that are told in one line.
struct Group<'p> {
    node: NodeKey,
    action: Action,
    reason: String,
    steps: Vec<&'p Step>,
}

impl Preview<'_> {
    /// Writes the plan for people, in at most [`LINES_MAX`] lines unless `full`.
    pub(crate) fn to_text(&self, paint: Paint, full: bool) -> String {
        let mut text = self.heading(paint);
        if !self.plan.steps.is_empty() || !self.plan.notices.is_empty() {
            text.push('\n');
        }
        let groups = self.groups();
        let lines = if full {
            self.all_lines(paint, &groups)
        } else if groups.len() <= LINES_MAX - LINES_AROUND {
            self.node_lines(paint, &groups)
        } else {
            self.merged_lines(paint, &groups)
        };
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        for notice in self
            .plan
            .notices
            .iter()
            .take(if full { usize::MAX } else { NOTICES_MAX })
        {
            if let Some(words) = notice_text(notice, self.engine) {
                let _ = writeln!(text, "  {} {words}", paint.notable("note:"));
            }
        }
        let _ = writeln!(text, "\n{} {}", paint.strong("Plan:"), self.totals());
        text
    }

    /// Says how much is to be done, or that only the wishes change.
    fn totals(&self) -> String {
        let text = Totals::of(self.plan).to_text();
        let is_edited = self.plan.parent != 0 && self.plan.parent != self.plan.generation;
        if text == NOTHING && is_edited {
            "no instance changes; the new wishes are noted".to_owned()
        } else {
            text
        }
    }

    fn heading(&self, paint: Paint) -> String {
        let name = paint.strong(self.infrastructure);
        let state = self.engine.state();
        let generations = match (self.plan.parent, self.plan.generation) {
            (0, _) => "not there yet".to_owned(),
            (parent, generation) if parent == generation => format!("generation {parent}"),
            (parent, generation) => format!("generation {parent}, would become {generation}"),
        };
        let nodes = counted(state.node_keys.len(), "node");
        format!("{name}: {nodes}, {generations}\n")
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut first_of_node = 0;
        for step in &self.plan.steps {
            if groups
                .get(first_of_node)
                .is_none_or(|group| group.node != step.node)
            {
                first_of_node = groups.len();
            }
            let same = groups[first_of_node..].iter_mut().find(|group| {
                group.action == step.action
                    && group.steps[0].cause == step.cause
                    && group.steps[0].when == step.when
            });
            match same {
                Some(group) => group.steps.push(step),
                None => groups.push(Group {
                    node: step.node,
                    action: step.action,
                    reason: self.reason(step),
                    steps: vec![step],
                }),
            }
        }
        groups
    }

    fn reason(&self, step: &Step) -> String {
        let mut reason = shorten(&step.cause.to_string());
        match &step.when {
            When::Later(waiting) => {
                let _ = write!(reason, "; {}", shorten(&waiting.to_string()));
            }
            When::Now if step.action == Action::Create => {
                let after = self.dependencies(step.node);
                if !after.is_empty() {
                    let names: Vec<String> = after
                        .iter()
                        .take(NODES_NAMED_MAX)
                        .map(|name| format!("`{name}`"))
                        .collect();
                    let more = if after.len() > NODES_NAMED_MAX {
                        " …"
                    } else {
                        ""
                    };
                    let _ = write!(reason, "; after {}{more}", names.join(", "));
                }
            }
            When::Now => {}
        }
        reason
    }

    /// Returns the names of the nodes that a node waits for.
    fn dependencies(&self, key: NodeKey) -> Vec<&str> {
        let state = self.engine.state();
        state
            .node(key)
            .dependencies
            .iter()
            .map(|dependee| state.node(*dependee).name.as_str())
            .collect()
    }

    fn node_lines(&self, paint: Paint, groups: &[Group<'_>]) -> Vec<String> {
        let rows: Vec<Vec<String>> = groups
            .iter()
            .map(|group| {
                let name = self.engine.state().node(group.node).name.clone();
                let action = action_text(group.action, group.steps.len());
                let action = match self.instances(group) {
                    none if none.is_empty() => action,
                    names => format!("{action} ({names})"),
                };
                vec![name, action, group.reason.clone()]
            })
            .collect();
        let texts = columns(&rows, 0);
        groups
            .iter()
            .zip(texts)
            .map(|(group, text)| format!("  {} {text}", sign(group.action, paint)))
            .collect()
    }

    /// Names the instances of a group, if they exist and are few.
    fn instances(&self, group: &Group<'_>) -> String {
        let names: Vec<String> = group
            .steps
            .iter()
            .take(INSTANCES_NAMED_MAX)
            .filter_map(|step| self.instance_name(step))
            .collect();
        let more = if group.steps.len() > names.len() && !names.is_empty() {
            ", …"
        } else {
            ""
        };
        format!("{}{more}", names.join(", "))
    }

    fn instance_name(&self, step: &Step) -> Option<String> {
        let state = self.engine.state();
        step.instance
            .and_then(|key| state.instances.get(&key))
            .map(|instance| state.instance_name(instance))
    }

    /// One line for each action and cause, over all nodes.
    fn merged_lines(&self, paint: Paint, groups: &[Group<'_>]) -> Vec<String> {
        let mut merged: BTreeMap<(Action, String), (usize, Vec<NodeKey>)> = BTreeMap::new();
        for group in groups {
            let first = group.steps[0];
            let key = (group.action, shorten(&first.cause.to_string()));
            let (steps, nodes) = merged.entry(key).or_default();
            *steps += group.steps.len();
            if nodes.last() != Some(&group.node) {
                nodes.push(group.node);
            }
        }
        let line =
            |((action, cause), (steps, nodes)): (&(Action, String), &(usize, Vec<NodeKey>))| {
                let named: Vec<&str> = nodes
                    .iter()
                    .take(NODES_NAMED_MAX)
                    .map(|key| self.engine.state().node(*key).name.as_str())
                    .collect();
                let more = if nodes.len() > named.len() {
                    ", …"
                } else {
                    ""
                };
                let action = action_text(*action, *steps);
                format!(
                    "of {} ({}{more})  {action}  {cause}",
                    counted(nodes.len(), "node"),
                    named.join(", ")
                )
            };
        let shown_max = LINES_MAX - LINES_AROUND - 2;
        let mut lines: Vec<String> = merged
            .iter()
            .take(shown_max)
            .map(|entry| format!("  {} {}", sign(entry.0.0, paint), line(entry)))
            .collect();
        if merged.len() > shown_max {
            lines.push(format!(
                "  … and {} more",
                counted(merged.len() - shown_max, "group")
            ));
        }
        lines.push(paint.faint("  (`--full` shows every step)"));
        lines
    }

    fn all_lines(&self, paint: Paint, groups: &[Group<'_>]) -> Vec<String> {
        let mut lines = Vec::new();
        for group in groups {
            let name = &self.engine.state().node(group.node).name;
            for step in &group.steps {
                let subject = self
                    .instance_name(step)
                    .unwrap_or_else(|| format!("{name}/new"));
                let action = action_text(step.action, 1)
                    .trim_end_matches(" 1")
                    .to_owned();
                lines.push(format!(
                    "  {} {subject}  {action}  {}",
                    sign(step.action, paint),
                    group.reason
                ));
            }
        }
        lines
    }

    /// Returns the plan for programs.
    pub(crate) fn to_json(&self) -> Value {
        let state = self.engine.state();
        let steps: Vec<Value> = self
            .plan
            .steps
            .iter()
            .map(|step| {
                json!({
                    "node": state.node(step.node).name,
                    "instance": self.instance_name(step),
                    "action": step.action,
                    "cause": step.cause,
                    "when": step.when,
                    "reason": self.reason(step),
                })
            })
            .collect();
        let notes: Vec<String> = self
            .plan
            .notices
            .iter()
            .filter_map(|notice| notice_text(notice, self.engine))
            .collect();
        json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "plan",
            "infrastructure": self.infrastructure,
            "parent_generation": self.plan.parent,
            "generation": self.plan.generation,
            "changes": !self.plan.steps.is_empty(),
            "totals": Totals::of(self.plan).to_json(),
            "steps": steps,
            "notes": notes,
        })
    }
}

/// Says what a notice means; none if people need not know.
pub(crate) fn notice_text(notice: &Notice, engine: &Engine) -> Option<String> {
    match notice {
        Notice::CallFailed { .. } => None,
        Notice::Refused { reason } => Some(reason.to_string()),
        Notice::AlreadyApplied { request } => Some(format!(
            "request `{request}` was applied before; nothing changes"
        )),
        Notice::Unreachable(unreachable) => Some(unreachable.to_string()),
        Notice::CountLimited { node, asked, count } => {
            let name = &engine.state().node(*node).name;
            let range = engine.node_status(*node).range;
            let why = range.map_or(String::new(), |(min, max)| {
                format!(" (its range is {min} to {max})")
            });
            Some(format!(
                "`{name}` gets {count} instead of {asked} instances{why}"
            ))
        }
    }
}

/// Returns the word for an action, with a count.
fn action_text(action: Action, count: usize) -> String {
    let verb = match action {
        Action::Create => "create",
        Action::Continue => "continue",
        Action::Restart => "restart",
        Action::Replace => "replace",
        Action::Delete => "delete",
    };
    format!("{verb} {}", grouped(count))
}

/// Returns the mark at the beginning of a line.
fn sign(action: Action, paint: Paint) -> String {
    match action {
        Action::Create => paint.good("+"),
        Action::Continue => paint.good(">"),
        Action::Restart => paint.notable("~"),
        Action::Replace => paint.notable("±"),
        Action::Delete => paint.bad("-"),
    }
}

/// Cuts a text that is too long for a line of a table.
pub(crate) fn shorten(text: &str) -> String {
    cut(text, REASON_CHARS_MAX)
}

/// Returns the first line of a text, cut to so many characters.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(shorten("short\nsecond line"), "short");
        let long = "é".repeat(200);
        assert_eq!(shorten(&long).chars().count(), REASON_CHARS_MAX + 1);
    }

    #[test]
    fn totals_are_words() {
        let totals = Totals {
            create: 1200,
            delete: 1,
            ..Totals::default()
        };
        assert_eq!(totals.to_text(), "1,200 to create, 1 to delete");
        assert_eq!(Totals::default().to_text(), "nothing to do");
    }
}
