//! Commands below `zenekar state` and `zenekar sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::InfrastructureArgument;
use super::values::parse_duration;

/// What to do with the stored state.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Write an infrastructure's state as lines of JSON
    Export(ExportArguments),
    /// Read an exported state
    Import(ImportArguments),
    /// Verify everything that is stored
    Check(CheckArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) infrastructure: InfrastructureArgument,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Export what is intact of a damaged state
    #[arg(long)]
    pub(crate) salvage: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// An exported state; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// Set aside what is damaged, so that the rest can be used; tells what was lost
    #[arg(long)]
    pub(crate) repair: bool,
}

/// What to do in the simulated cloud.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Show the machines that exist, and what was called how often
    Show(SimShowArguments),
    /// Put machines there that somebody else has made: to try what adopting them does
    Plant(SimPlantArguments),
    /// Delete a machine behind its owner's back
    Kill(SimTargetArguments),
    /// Stop a machine behind its owner's back
    Stop(SimTargetArguments),
    /// Let every call fail for a while
    Outage(SimOutageArguments),
    /// Choose how the cloud behaves: calm, typical or hostile
    Profile(SimProfileArguments),
    /// Limit how many machines and cores there may be
    Quota(SimQuotaArguments),
    /// Delete the cloud with everything in it
    Reset(SimResetArguments),
}

#[derive(Args, Debug)]
pub(crate) struct SimShowArguments {
    /// Also the machines that are gone
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SimPlantArguments {
    /// Machines: ids that the cloud is to know them by
    #[arg(value_name = "MACHINE", required = true)]
    pub(crate) machines: Vec<String>,
    /// The addresses of a single machine, the best one first [default: one of the cloud's own]
    #[arg(long = "address", value_name = "ADDRESS")]
    pub(crate) addresses: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SimTargetArguments {
    /// Machines: by id, by the instance's tag, or by its name (`app/3`)
    #[arg(value_name = "MACHINE", required = true)]
    pub(crate) machines: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SimOutageArguments {
    /// How long, in simulated time (`30s`, `5m`); `0s` ends an outage
    #[arg(value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct SimProfileArguments {
    /// The profile
    #[arg(value_name = "PROFILE", value_parser = clap::builder::PossibleValuesParser::new(zenekar_simcloud::PROFILES))]
    pub(crate) profile: String,
    /// Seeds what is left to chance
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct SimQuotaArguments {
    /// Machines that may exist at once [default: any number]
    #[arg(long, value_name = "N")]
    pub(crate) machines: Option<u32>,
    /// Cores that they may have together [default: any number]
    #[arg(long, value_name = "N")]
    pub(crate) cores: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct SimResetArguments {
    /// Do not ask before deleting
    #[arg(short, long)]
    pub(crate) yes: bool,
}
