//! Pictures of executions, from plain data.
//!
//! [`ExecutionGraph`] shows which global states follow which, and
//! [`SpaceTime`] what happened on each instance in one run. Both become SVG
//! that needs no fonts, scripts or files of others; the graph also becomes DOT.
//!
//! Pictures are for people, so there is an end to how much one shows. What is
//! too much is merged or left out, and the picture says so.
//!
//! Architecture invariant: what is drawn is data of this crate. It knows no
//! engine, no search and no file, and the same data are the same text.

pub mod execution;
pub mod space_time;

mod columns;
mod draw_execution;
mod draw_space_time;
mod layers;
mod reduce;
mod svg;

pub use execution::{Edge, ExecutionGraph, Node, NodeKind};
pub use space_time::{Boundary, Message, SpaceTime, Step, StepKind};
