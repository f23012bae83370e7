//! The options of `verify` that concern real nodes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use zenekar_live::ProcessName;

use crate::arguments::{LocalArguments, parse_duration, parse_listen};

/// How real nodes are steered.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Real nodes")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(crate) struct LiveArguments {
    /// Bring it up for real, and steer its nodes from breakpoint to breakpoint; once, unless
    /// more is asked for
    #[arg(long)]
    pub(crate) live: bool,
    /// Run after run, until one of all orders was run that differ only in steps that have nothing
    /// to do with each other
    #[arg(long, requires = "live", conflicts_with_all = ["schedule", "manual"])]
    pub(crate) traverse: bool,
    /// Run every order; always where there are properties, or not all steps are known
    #[arg(long, requires = "traverse")]
    pub(crate) every_order: bool,
    /// Let these processes go in this order (`srv[1],cl[1],srv[1]`), and then the first that can
    #[arg(
        long,
        requires = "live",
        value_name = "PROCESSES",
        value_delimiter = ','
    )]
    pub(crate) schedule: Vec<ProcessName>,
    /// Let processes go in the order of a run that was explored, from its replay file, and tell
    /// whether the same goes wrong
    #[arg(long, requires = "live", value_name = "FILE", conflicts_with_all = ["schedule", "traverse"])]
    pub(crate) from_report: Option<PathBuf>,
    /// Ask at each global state which process goes next
    #[arg(long, requires = "live")]
    pub(crate) manual: bool,
    /// Runs at most
    #[arg(long, requires = "traverse", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) runs: Option<u64>,
    /// Runs at the same time, each an infrastructure of its own [default: 1]
    #[arg(long, requires = "traverse", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) parallel: Option<u8>,
    /// How long a process may take to its first breakpoint, and from one to the next; who does not
    /// come is stuck [default: 15m and 10m]
    #[arg(long, requires = "live", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) deadline: Option<Duration>,
    /// Stop only at this breakpoint, by its tag (`srv:bp_1`); can be given several times
    #[arg(long, requires = "live", value_name = "NODE:TAG", value_parser = parse_breakpoint)]
    pub(crate) breakpoint: Vec<(String, String)>,
    /// Put breakpoints also in behind commands that refer to nobody and on which others depend, as
    /// far as the descriptor shows it; always with `--from-report`
    #[arg(long, requires = "live", conflicts_with = "no_automatic")]
    pub(crate) at_segments: bool,
    /// Put no breakpoints in: only those that scripts have by themselves
    #[arg(long, requires = "live")]
    pub(crate) no_automatic: bool,
    /// Where to listen for breakpoints; instances have to reach it [default: a free port of this
    /// machine's address]
    #[arg(long, requires = "live", value_name = "ADDRESS:PORT", value_parser = parse_listen)]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) local: LocalArguments,
}

/// Reads a node and the tag of one of its breakpoints.
fn parse_breakpoint(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((node, tag)) if !node.is_empty() && !tag.is_empty() => {
            Ok((node.to_owned(), tag.to_owned()))
        }
        _ => Err("write a node and a tag, such as `srv:bp_1`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoints_are_read() {
        let read = |text| parse_breakpoint(text).ok();
        let of = |node: &str, tag: &str| Some((node.to_owned(), tag.to_owned()));
        assert_eq!(read("srv:bp_1"), of("srv", "bp_1"));
        assert_eq!(read("srv:last last_bp"), of("srv", "last last_bp"));
        for text in ["srv", ":bp_1", "srv:", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
