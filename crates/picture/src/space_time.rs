//! What happened where and when in one run.

use crate::draw_space_time;

/// What happened in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A part of a behaviour was carried out.
    Segment {
        /// When it was done, in milliseconds like [`Step::at_ms`].
        until_ms: u64,
    },
    /// A place where an instance can be held.
    Breakpoint {
        /// Whether it was held there; otherwise it went through.
        is_active: bool,
    },
    /// Something went wrong.
    Fault,
    /// Something was decided.
    Decision,
}

/// Something that happened in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, in milliseconds since the beginning of the run.
    pub at_ms: u64,
    /// The place of its lane in the list.
    pub lane: usize,
    /// What.
    pub kind: StepKind,
    /// What is written beside it.
    pub label: String,
}

/// That one step told another one something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The place of the step that sent it.
    pub from: usize,
    /// The place of the step that received it, or would have.
    pub to: usize,
    /// What is written beside it.
    pub label: String,
    /// Whether it was held back until a boundary.
    pub is_postponed: bool,
    /// Whether it never arrived.
    pub is_lost: bool,
}

/// Where one macrostep ends and another begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// When, in milliseconds since the beginning of the run. Steps of the same
    /// instant come after it.
    pub at_ms: u64,
    /// What is written above it, such as `M1`.
    pub label: String,
}

/// A run: lanes of instances, of the engine and of the cloud, and what happened
/// in them. Steps and messages that name what is not there are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceTime {
    /// The names of the lanes, from top to bottom.
    pub lanes: Vec<String>,
    /// What happened in them, in any order.
    pub steps: Vec<Step>,
    /// What they told each other.
    pub messages: Vec<Message>,
    /// Where macrosteps end.
    pub boundaries: Vec<Boundary>,
}

impl SpaceTime {
    /// Draws the run, time from left to right. Distances tell the order, not
    /// the length of time. What is too much is left out, and a note says so.
    pub fn to_svg(&self) -> String {
        draw_space_time::draw(self)
    }
}
