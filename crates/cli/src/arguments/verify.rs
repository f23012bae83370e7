//! The command line of `verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use zenekar_verify::PERSONALITIES;

use super::DescriptorArguments;
use super::values::{parse_bytes, parse_duration};
use crate::live::LiveArguments;

#[derive(Args, Debug)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) descriptor: DescriptorArguments,
    /// What people ask for, in order: `up`, `scale NODE=COUNT`, `update FILE`, `down`; a step that
    /// begins with `~` comes at any moment, the others wait until what came before is done
    /// [default: `up`, `scale` by one and back if a node can be scaled, `down`]
    #[arg(long, value_name = "STEPS")]
    pub(crate) script: Option<String>,
    /// Properties that have to hold as well: formulas, or a scenario file of SZTAKI's debugger
    #[arg(long, value_name = "FILE")]
    pub(crate) property: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) bounds: BoundArguments,
    #[command(flatten)]
    pub(crate) search: SearchArguments,
    /// Write the run that shows what is wrong into this file, for `zenekar replay`; with `--live`
    /// what real nodes did
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) live: LiveArguments,
    /// Draw which global states follow which, near what was found if there is something, into this
    /// file: SVG, or Graphviz if it ends in `.dot`
    #[arg(long, value_name = "FILE", help_heading = "Pictures")]
    pub(crate) graph: Option<PathBuf>,
    /// Draw what happens in a run, the first one that goes wrong, into this file: SVG
    #[arg(long, value_name = "FILE", help_heading = "Pictures")]
    pub(crate) diagram: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArguments {
    /// The replay file (JSON lines)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The infrastructure description [default: what the file names, there or beside the file]
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptor: Option<PathBuf>,
    /// Files with node definitions [default: the folder `nodes` beside the description]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) nodes: Vec<PathBuf>,
    /// Run all nodes on this provider [default: what `verify` was told]
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) on: Option<String>,
    /// Files of properties [default: what the file names, there or beside the file]
    #[arg(long, value_name = "FILE")]
    pub(crate) property: Vec<PathBuf>,
    /// Tell every step instead of the important ones
    #[arg(long)]
    pub(crate) full: bool,
}

/// What may go wrong in one run.
#[derive(Args, Debug)]
#[command(next_help_heading = "What may happen")]
pub(crate) struct BoundArguments {
    /// Faults in one run at most
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub(crate) faults: u8,
    /// Times in one run that something takes longer than until the engine looks again
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub(crate) delays: u8,
    /// Only these faults [default: all that the clouds of the descriptor have]
    #[arg(long, value_name = "FAULT", value_delimiter = ',', value_parser = PossibleValuesParser::new(fault_names()))]
    pub(crate) fault: Vec<String>,
    /// Act as if all clouds were like this one
    #[arg(long, value_name = "CLOUD", value_parser = PossibleValuesParser::new(PERSONALITIES))]
    pub(crate) personality: Option<String>,
    /// Machines that each cloud has at most
    #[arg(long, value_name = "N")]
    pub(crate) quota: Option<u32>,
    /// How long after the last demand or fault all has to be as wanted, in the infrastructure's time
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub(crate) patience: Duration,
}

/// How it is explored.
#[derive(Args, Debug)]
#[command(next_help_heading = "Exploration")]
pub(crate) struct SearchArguments {
    /// The order in which states are visited
    #[arg(long, value_enum, default_value_t = StrategyChoice::Breadth, value_name = "STRATEGY")]
    pub(crate) strategy: StrategyChoice,
    /// Stop after this time
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub(crate) time: Duration,
    /// Stop after so many states
    #[arg(long, value_name = "N", default_value_t = 200_000_000)]
    pub(crate) states: u64,
    /// Stop when states take so much memory
    #[arg(long, value_name = "BYTES", default_value = "4GiB", value_parser = parse_bytes)]
    pub(crate) memory: u64,
    /// Actions in one run at most [default: any number; 2000 for random runs]
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<u32>,
    /// Threads [default: as many as there are cores]; the result does not depend on them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Seeds random runs
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Random runs at most
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) walks: u64,
    /// Go on after the first violation: one of each property
    #[arg(long)]
    pub(crate) all: bool,
    /// End with exit code 7 if there was more to explore than the limits allow
    #[arg(long)]
    pub(crate) exhaustive: bool,
    /// Tell every step of a run instead of the important ones
    #[arg(long)]
    pub(crate) full: bool,
}

/// The order in which states are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrategyChoice {
    /// Nearest first: a shortest run to what is wrong
    Breadth,
    /// Deepest first
    Depth,
    /// Random runs
    Random,
    /// Random runs with priorities that change at few moments
    Pct,
    /// What looks most dangerous first
    Best,
}

impl StrategyChoice {
    /// Returns the stable name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Breadth => "breadth",
            Self::Depth => "depth",
            Self::Random => "random",
            Self::Pct => "pct",
            Self::Best => "best",
        }
    }
}

fn fault_names() -> Vec<&'static str> {
    let all = zenekar_verify::Fault::ALL.into_iter();
    all.map(zenekar_verify::Fault::name).collect()
}
