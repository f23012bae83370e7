//! Macrostep debugging of real nodes: contextualisation stops at breakpoints, and
//! one process after the other is let go, so that the infrastructure goes
//! through chosen consistent global states.
//!
//! [`Session`] is one run: a pure state machine of reports, permissions and
//! deadlines. [`Traversal`] is all runs: the execution tree, the properties that
//! are checked in each state, and the schedule to run next. [`Server`] speaks
//! HTTP with the nodes, with the paths, bodies and answers that scripts
//! instrumented for SZTAKI's debugger know, and [`Controller`] is how whoever
//! steers meets the sessions.
//!
//! Architecture invariant: sessions, schedules and trees do no I/O and read no
//! clock; nothing here knows the engine, providers or the syntax of
//! descriptors.

mod answers;
mod drive;
mod hub;
pub mod instrument;
pub mod limits;
mod observed;
mod process;
mod routes;
mod schedule;
mod server;
mod session;
mod steered;
mod submission;
mod traversal;
mod tree;
mod watch;

pub use drive::{Deployment, Ending, Plan, Progress, TraverseError, Work, traverse};
pub use hub::{Controller, OpenError};
pub use observed::Observed;
pub use process::{CollectiveBreakpoint, InvalidProcessName, ProcessName};
pub use schedule::{Independence, Prerequisites, Schedules, Step};
pub use server::{ServeError, Server};
pub use session::{
    Answer, Breakpoint, Event, GlobalState, Mode, Notification, Outcome, ProcessData, Refusal,
    Session, Settings, Stage, StepError, StopReason, Stops, Then,
};
pub use steered::{SteeredRenderer, Steering};
pub use submission::{InvalidSubmission, Submission};
pub use traversal::{Finding, Next, RunId, Traversal};
pub use tree::{ExecutionTree, Kind, NotATree, TreeError, TreeId, TreeState};
