//! Proof before deployment: explores what can happen to a descriptor's infrastructure.
//!
//! [`World`] is the production engine, a cloud in which every change is a step
//! of its own, and instances that run the segments of their contextualisation.
//! What can happen next is a list of [`Action`]s; `zenekar-search` goes through
//! all of it. Nothing here draws, waits or looks at a clock.
//!
//! Architecture invariant: no I/O, no clock, no randomness. Results do not
//! depend on the number of threads; maps are only looked up in.

mod action;
mod agent;
mod asked;
mod breach;
mod care;
mod circle;
mod control;
mod difference;
mod follow;
mod footprint;
mod goal;
mod header;
mod intern;
mod itinerary;
mod likeness;
mod minimise;
mod moment;
mod network;
mod next;
mod parts;
mod portrait;
mod promise;
mod replay;
mod replay_file;
mod setting;
mod shrink;
mod sketch;
mod story;
mod tell;
mod trace;
mod watched;
mod world;

pub use action::{Action, Outcome};
pub use breach::Breach;
pub use circle::{Circle, Circles, add_circle, circle};
pub use difference::{Difference, difference};
pub use follow::{Followed, Seen, Sighting, follow};
pub use goal::{Eye, Goal, Stated, goal_of};
pub use header::{Counts, Provenance, counts_that_differ, with_counts};
pub use itinerary::{Itinerary, Part, Stride, itinerary};
pub use minimise::{Limits, Minimal, NotShown, Tried, minimise};
pub use moment::Moment;
pub use network::Link;
pub use portrait::Contrast;
pub use replay::{Comparison, Replayed, replay, replay_watched};
pub use replay_file::{
    AllowanceLine, CountLine, Described, Header, REPLAY_BYTES_MAX, REPLAY_FORMAT,
    REPLAY_LABEL_BYTES_MAX, REPLAY_LINE_BYTES_MAX, REPLAY_STEPS_MAX, ReplayFile, ScriptLine,
};
pub use setting::{Allowance, Demand, Fault, Faults, PERSONALITIES, Personality, Setting, Step};
pub use tell::{Detail, Sentence, Story, tell};
pub use trace::{Choice, NotPossible, Run, Verdict, Watch, promises, record, record_watched};
pub use watched::is_reported;
pub use world::World;
