//! What a running session shows: a tree that is redrawn on a terminal, plain
//! lines elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zenekar_base::{InstanceKey, Millis, NodeKey, Timestamp};
use zenekar_engine::{Engine, Entry, Notice, Record};
use zenekar_runtime::{Observer, Pace};

use crate::output::{Output, Paint, counted, grouped, terminal_size};
use crate::render::event::{Mood, Narrator, Told, is_failure, pace_text};
use crate::render::plan::{notice_text, shorten};
use crate::render::status::{Tally, instance_text};

/// Instances up to which every event has a line of its own where nothing can
/// be redrawn; more would drown what matters.
const LINES_PER_INSTANCE_MAX: usize = 60;

/// Steps in which the progress of larger infrastructures is told.
const PROGRESS_STEPS: usize = 20;

/// Failures that are told one by one where not every event is.
const FAILURES_TOLD_MAX: usize = 20;

/// Reasons that are told why something cannot be removed: some have a number of
/// their own each time.
const RELEASES_TOLD_MAX: usize = 5;

/// Lines that the tree leaves free on the terminal.
const LINES_FREE: usize = 3;

/// Lines of the tree on the largest terminals: more cannot be taken in.
const TREE_LINES_MAX: usize = 40;

/// How a session is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As a tree that is redrawn.
    Tree,
    /// As lines.
    Lines,
    /// Not at all: programs only want the result.
    Silent,
}

/// Shows what a session does.
pub(crate) struct Progress {
    output: Output,
    manner: Manner,
    narrator: Narrator,
    pace: Pace,
    started_at: Timestamp,
    lines_drawn: usize,
    /// Set when somebody else wrote below the tree.
    interrupted: Arc<AtomicBool>,
    /// Instances that may still change before the progress is told again.
    quiet_left: usize,
    failures_told: usize,
    /// Why something could not be removed, as far as it was told.
    releases_told: BTreeSet<String>,
    lengths: Lengths,
    /// Notices that were told before the session began.
    notices_told: Vec<Notice>,
}

/// How long instances took from being asked for to being ready.
#[derive(Debug, Default)]
struct Lengths {
    asked_at: BTreeMap<InstanceKey, Timestamp>,
    total_ms: u64,
    count: u64,
}

impl Progress {
    /// Starts showing; `engine` is as it was before.
    pub(crate) fn new(output: Output, engine: &Engine, pace: Pace, now: Timestamp) -> Self {
        let manner = match (output.is_json(), output.is_talk_terminal) {
            (true, _) => Manner::Silent,
            (false, true) => Manner::Tree,
            (false, false) => Manner::Lines,
        };
        let narrator = Narrator::knowing(engine.state());
        Self {
            output,
            manner,
            narrator,
            pace,
            started_at: now,
            lines_drawn: 0,
            interrupted: Arc::default(),
            quiet_left: 0,
            failures_told: 0,
            releases_told: BTreeSet::new(),
            lengths: Lengths::default(),
            notices_told: Vec::new(),
        }
    }

    /// Leaves out notices that were told already.
    pub(crate) fn without(mut self, notices: Vec<Notice>) -> Self {
        self.notices_told = notices;
        self
    }

    /// Returns what others set when they write to the terminal.
    pub(crate) fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// Draws the last state and leaves it standing.
    pub(crate) fn finish(&mut self, engine: &Engine) {
        if self.manner == Manner::Tree {
            self.draw(engine);
            self.lines_drawn = 0;
        }
    }

    /// Returns how long the session has run, in its own time.
    pub(crate) fn elapsed(&self, engine: &Engine) -> Millis {
        engine.now().since(self.started_at)
    }

    /// Says how long it took, and in which time.
    pub(crate) fn elapsed_text(&self, engine: &Engine) -> String {
        self.span_text(self.elapsed(engine))
    }

    /// Says how long a span of the session's time is, and in which time.
    pub(crate) fn span_text(&self, span: Millis) -> String {
        format!("{span}{}", pace_text(self.pace))
    }

    /// Writes lines above the tree.
    fn line(&mut self, text: &str) {
        let erase = self.erase();
        self.output.talk(&format!("{erase}{text}\n"));
    }

    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.lines_drawn) {
            // What stands above the words of others stays.
            _ if self.interrupted.swap(false, Ordering::Relaxed) => String::new(),
            0 => String::new(),
            // Up to the first line of the tree, then clear to the end of the screen.
            lines => format!("\u{1b}[{lines}A\r\u{1b}[J"),
        }
    }

    fn draw(&mut self, engine: &Engine) {
        let (height, width) = terminal_size();
        let lines_max = height.saturating_sub(LINES_FREE).clamp(3, TREE_LINES_MAX);
        let mut lines = vec![self.summary(engine)];
        lines.extend(tree(engine, lines_max - 1, self.output.talk_paint));
        let mut text = self.erase();
        for line in &lines {
            text.push_str(&line.within(width));
            text.push('\n');
        }
        self.lines_drawn = lines.len();
        self.output.talk(&text);
    }

    fn summary(&self, engine: &Engine) -> Line {
        let tally = Tally::of(engine);
        let state = engine.state();
        let counts = if state.teardown() {
            format!("{} left", counted(tally.existing, "instance"))
        } else {
            format!(
                "{} of {} ready",
                grouped(tally.serving),
                grouped(tally.wanted)
            )
        };
        let left = self
            .left(engine)
            .map_or(String::new(), |left| format!(", about {left} left"));
        let name = state.infrastructure.as_str();
        let rest = format!("  {counts}  {}{left}", self.elapsed_text(engine));
        Line {
            plain: format!("{name}{rest}"),
            painted: format!("{}{rest}", self.output.talk_paint.strong(name)),
        }
    }

    /// Estimates the time left: the longest chain of nodes that are not ready,
    /// each taking as long as instances took so far.
    fn left(&self, engine: &Engine) -> Option<Millis> {
        let state = engine.state();
        let mean = Millis(self.lengths.total_ms.checked_div(self.lengths.count)?);
        if state.teardown() {
            return None;
        }
        let topology = &state.intent.as_ref()?.topology;
        let levels: Vec<u32> = topology
            .indices()
            .zip(&state.node_keys)
            .filter(|(_, key)| state.node(**key).serving < state.wanted(**key))
            .map(|(index, _)| topology.level(index))
            .collect();
        let chain = levels.iter().max()? - levels.iter().min()? + 1;
        let oldest = self
            .lengths
            .asked_at
            .values()
            .min()
            .map_or(Millis::ZERO, |at| engine.now().since(*at));
        Some(
            Millis(
                mean.saturating_mul(u64::from(chain))
                    .0
                    .saturating_sub(oldest.0),
            )
            .max(Millis(1000)),
        )
    }

    /// Tells an event on a line, or the progress if there are too many events.
    fn tell(&mut self, engine: &Engine, told: &Told) {
        let paint = self.output.talk_paint;
        let text = match told.mood {
            Mood::Step => told.text.clone(),
            Mood::Good => paint.good(&told.text),
            Mood::Change => paint.notable(&told.text),
            Mood::Bad => paint.bad(&told.text),
        };
        let at = paint.faint(&format!("{:>7}", self.elapsed(engine).to_string()));
        let subject = if told.subject.is_empty() {
            engine.state().infrastructure.as_str()
        } else {
            &told.subject
        };
        self.line(&format!("{at}  {}  {text}", paint.strong(subject)));
    }

    /// Tells how far everything is, once per twentieth of all instances.
    fn tell_progress(&mut self, engine: &Engine) {
        if self.quiet_left > 0 {
            self.quiet_left -= 1;
            return;
        }
        let tally = Tally::of(engine);
        self.quiet_left = tally.wanted.max(tally.existing) / PROGRESS_STEPS;
        let at = self
            .output
            .talk_paint
            .faint(&format!("{:>7}", self.elapsed(engine).to_string()));
        let text = if engine.state().teardown() {
            format!("{at}  {} left", counted(tally.existing, "instance"))
        } else {
            let (ready, all) = (grouped(tally.serving), grouped(tally.wanted));
            format!("{at}  {ready} of {all} instances ready")
        };
        self.line(&text);
    }

    /// Tells a failure, unless there were so many that nobody reads them.
    fn tell_failure(&mut self, engine: &Engine, told: &Told) {
        self.failures_told += 1;
        match self.failures_told {
            1..=FAILURES_TOLD_MAX => self.tell(engine, told),
            count if count == FAILURES_TOLD_MAX + 1 => {
                let text = "         further failures are not shown; `zenekar events` has all";
                self.line(text);
            }
            _ => {}
        }
    }
}

impl Lengths {
    fn note(&mut self, entry: &Entry) {
        match &entry.record {
            Record::CreateIntended { instance, .. } => {
                self.asked_at.insert(*instance, entry.at);
            }
            Record::Ready { instance } => {
                if let Some(asked_at) = self.asked_at.remove(instance) {
                    self.total_ms += entry.at.since(asked_at).0;
                    self.count += 1;
                }
            }
            Record::Broke { instance, .. }
            | Record::Doomed { instance, .. }
            | Record::Gone { instance } => {
                self.asked_at.remove(instance);
            }
            _ => {}
        }
    }
}

impl Observer for Progress {
    fn entry(&mut self, engine: &Engine, entry: &Entry) {
        // Why something is left is told when it is said, also if it is known.
        let is_told_by_notice = matches!(entry.record, Record::ReleaseFailed { .. });
        if self.manner == Manner::Silent || is_told_by_notice {
            return;
        }
        self.lengths.note(entry);
        self.narrator.note(engine.state(), entry);
        let is_small = Tally::of_few(engine, LINES_PER_INSTANCE_MAX);
        if self.manner == Manner::Lines && is_small {
            let is_noise = matches!(
                entry.record,
                Record::Planned { replaces: None, .. } | Record::IntentSet { .. }
            );
            if (!is_noise || self.output.verbosity > 0)
                && let Some(told) = self.narrator.tell(engine.state(), entry)
            {
                self.tell(engine, &told);
            }
            return;
        }
        if is_failure(&entry.record)
            && let Some(told) = self.narrator.tell(engine.state(), entry)
        {
            self.tell_failure(engine, &told);
        }
        let is_progress = matches!(entry.record, Record::Ready { .. } | Record::Gone { .. });
        if self.manner == Manner::Lines && is_progress {
            self.tell_progress(engine);
        }
    }

    fn notice(&mut self, engine: &Engine, notice: &Notice) {
        if self.manner == Manner::Silent {
            return;
        }
        if let Notice::CallFailed {
            instance,
            operation,
            error,
            retry_after,
        } = notice
        {
            if *operation == "release"
                && self.releases_told.len() < RELEASES_TOLD_MAX
                && self.releases_told.insert(error.to_string())
            {
                let told = Told {
                    subject: String::new(),
                    text: format!("what is left besides instances cannot go yet: {error}"),
                    mood: Mood::Change,
                };
                self.tell(engine, &told);
            } else if self.output.verbosity > 0 {
                let subject = instance
                    .map_or_else(String::new, |key| format!("{}  ", self.narrator.name(key)));
                let again =
                    retry_after.map_or(String::new(), |pause| format!("; again in {pause}"));
                self.line(&format!(
                    "{:>7}  {subject}`{operation}` failed: {}{again}",
                    "",
                    shorten(&error.to_string())
                ));
            }
            return;
        }
        if let Some(position) = self.notices_told.iter().position(|told| told == notice) {
            self.notices_told.swap_remove(position);
            return;
        }
        if let Some(text) = notice_text(notice, engine) {
            let note = self.output.talk_paint.notable("note:");
            self.line(&format!("{note} {text}"));
        }
    }

    fn tick(&mut self, engine: &Engine) {
        if self.manner == Manner::Tree {
            self.draw(engine);
        }
    }
}

/// A line of the tree, with and without styles.
struct Line {
    plain: String,
    painted: String,
}

impl Line {
    /// Returns the line, cut to the width of the terminal: a wrapped line
    /// would spoil the redrawing.
    fn within(&self, width: usize) -> String {
        if self.plain.chars().count() < width {
            self.painted.clone()
        } else {
            self.plain.chars().take(width.saturating_sub(1)).collect()
        }
    }
}

/// Draws nodes and instances in at most `lines_max` lines: all if they fit, else
/// the nodes that are not as wanted.
fn tree(engine: &Engine, lines_max: usize, paint: Paint) -> Vec<Line> {
    let state = engine.state();
    let is_settled = |key: &NodeKey| {
        let node = state.node(*key);
        node.serving == state.wanted(*key) && node.instances.len() == node.serving as usize
    };
    if state.node_keys.len() + state.instances.len() <= lines_max {
        let with_instances = |key: &NodeKey| {
            std::iter::once(node_line(engine, *key, paint))
                .chain(instance_lines(engine, *key, paint))
        };
        return state.node_keys.iter().flat_map(with_instances).collect();
    }
    let moving: Vec<NodeKey> = state
        .node_keys
        .iter()
        .copied()
        .filter(|key| !is_settled(key))
        .collect();
    // Those that something happens to come before those that only wait.
    let (mut shown, waiting): (Vec<NodeKey>, Vec<NodeKey>) =
        moving.iter().copied().partition(|key| {
            state
                .node(*key)
                .instances
                .iter()
                .any(|key| state.instances[key].attempt > 0)
        });
    shown.extend(waiting);
    let mut lines: Vec<Line> = shown
        .iter()
        .take(lines_max.saturating_sub(1))
        .map(|key| node_line(engine, *key, paint))
        .collect();
    let more = shown.len().saturating_sub(lines.len());
    let settled = state.node_keys.len() - moving.len();
    let text = format!(
        "  {} as wanted, {} more in progress",
        counted(settled, "node"),
        grouped(more)
    );
    lines.push(Line {
        painted: paint.faint(&text),
        plain: text,
    });
    lines
}

fn node_line(engine: &Engine, key: NodeKey, paint: Paint) -> Line {
    let state = engine.state();
    let node = state.node(key);
    let wanted = state.wanted(key);
    let rest = if state.teardown() {
        format!("  {}", counted(node.instances.len(), "instance"))
    } else {
        format!("  {} of {wanted} ready", node.serving)
    };
    let mark = if node.serving == wanted && node.instances.len() == node.serving as usize {
        paint.good("✓")
    } else {
        paint.notable("…")
    };
    Line {
        plain: format!("  . {}{rest}", node.name),
        painted: format!("  {mark} {}{rest}", paint.strong(&node.name)),
    }
}

fn instance_lines(engine: &Engine, key: NodeKey, paint: Paint) -> impl Iterator<Item = Line> {
    let state = engine.state();
    state
        .node(key)
        .instances
        .iter()
        .filter_map(|key| state.instances.get(key))
        .map(move |instance| {
            let status = engine.instance_status(instance);
            let phase = match status.phase {
                "ready" => paint.good(status.phase),
                "broken" | "unready" => paint.bad(status.phase),
                _ => paint.notable(status.phase),
            };
            let about = instance_text(&status, instance, engine.now());
            Line {
                plain: format!("      {}  {}  {about}", status.name, status.phase),
                painted: format!("      {}  {phase}  {about}", status.name),
            }
        })
}
