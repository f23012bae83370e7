//! The command lines of Occopus's commands, as its users write them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::Tool;
use crate::arguments::parse_id;

/// The command lines of both spellings: `occopus-build …` and `zenekar occopus build …`.
///
/// What follows the name is read by the command's own parser, so that both
/// spellings take exactly the same options.
#[derive(Debug, Subcommand)]
pub(crate) enum OccopusCommand {
    /// Make links to this program with the names of Occopus's commands
    InstallLinks(InstallLinksArguments),
    /// Take over the infrastructures that Occopus runs, without touching their instances
    Adopt(AdoptArguments),
    /// The same as `occopus-import`: store node definitions
    #[command(disable_help_flag = true)]
    Import(Rest),
    /// The same as `occopus-build`: build an infrastructure, or change a running one
    #[command(disable_help_flag = true)]
    Build(Rest),
    /// The same as `occopus-destroy`: delete an infrastructure
    #[command(disable_help_flag = true)]
    Destroy(Rest),
    /// The same as `occopus-maintain`: keep, list or report infrastructures
    #[command(disable_help_flag = true)]
    Maintain(Rest),
    /// The same as `occopus-scale`: change how many instances a node has
    #[command(disable_help_flag = true)]
    Scale(Rest),
    /// The same as `occopus-rest-service`: serve Occopus's REST interface
    #[command(disable_help_flag = true)]
    RestService(Rest),
}

impl OccopusCommand {
    /// Returns which of Occopus's commands is meant and its command line;
    /// nothing for those that Occopus does not have.
    pub(crate) fn tool(&self) -> Option<(Tool, &[OsString])> {
        let (tool, rest) = match self {
            Self::InstallLinks(_) | Self::Adopt(_) => return None,
            Self::Import(rest) => (Tool::Import, rest),
            Self::Build(rest) => (Tool::Build, rest),
            Self::Destroy(rest) => (Tool::Destroy, rest),
            Self::Maintain(rest) => (Tool::Maintain, rest),
            Self::Scale(rest) => (Tool::Scale, rest),
            Self::RestService(rest) => (Tool::RestService, rest),
        };
        Some((tool, &rest.words))
    }
}

/// A command line that another parser reads.
#[derive(Args, Debug)]
pub(crate) struct Rest {
    /// What the command takes: `--help` shows it
    #[arg(
        value_name = "ARGUMENTS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) words: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct AdoptArguments {
    /// Infrastructures: their ids [default: those of the list of infrastructures, or all]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Occopus's Redis server: `redis://[[USER]:PASSWORD@]HOST[:PORT]`, `rediss://…` for TLS
    #[arg(
        long,
        value_name = "URL",
        env = "ZENEKAR_REDIS",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379",
        hide_default_value = false
    )]
    pub(crate) redis: String,
    /// Occopus's list of infrastructures [default: `~/.occopus/infralist.yaml`, if it is there]
    #[arg(long, value_name = "FILE", conflicts_with = "ids")]
    pub(crate) infralist: Option<PathBuf>,
    /// Only what this person has made with Occopus: a login [default: everybody]
    #[arg(long, value_name = "LOGIN")]
    pub(crate) user: Option<String>,
    /// Look for the instances at another provider: `sim` tries the adoption
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) on: Option<String>,
    /// Do not ask before taking over
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct InstallLinksArguments {
    /// Where to make them
    #[arg(long, value_name = "DIRECTORY", default_value = "/usr/local/bin")]
    pub(crate) directory: PathBuf,
    /// Replace what has one of the names and is something else
    #[arg(long)]
    pub(crate) force: bool,
}

/// Files that all of Occopus's commands read.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Files {
    /// Occopus's configuration [default: `$OCCOPUS_CONFIG_PATH`, then `occopus_config.yaml` in
    /// `~/.occopus` or here]
    #[arg(long = "cfg", value_name = "CFG_PATH")]
    pub(crate) configuration: Option<PathBuf>,
    /// Credentials [default: `$OCCOPUS_AUTH_DATA_PATH`, then `auth_data.yaml` in `~/.occopus`
    /// or here]
    #[arg(long = "auth_data_path", value_name = "AUTH_DATA_PATH")]
    pub(crate) authentication: Option<PathBuf>,
}

/// Stores node definitions, so that infrastructures can use them.
#[derive(Debug, Parser)]
#[command(name = "occopus-import", infer_long_args = true, version)]
pub(crate) struct ImportArguments {
    /// Occopus's configuration
    #[arg(long = "cfg", value_name = "CFG_PATH")]
    pub(crate) configuration: Option<PathBuf>,
    /// The file with node definitions
    #[arg(value_name = "datafile")]
    pub(crate) file: PathBuf,
}

/// Builds an infrastructure, or changes a running one.
#[derive(Debug, Parser)]
#[command(name = "occopus-build", infer_long_args = true, version)]
pub(crate) struct BuildArguments {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Create instances at the same time instead of one after the other
    #[arg(long)]
    pub(crate) parallelize: bool,
    /// The infrastructure's id; one that runs is changed [default: a new one]
    #[arg(short = 'i', long = "infra_id", value_name = "INFRA_ID", value_parser = parse_id)]
    pub(crate) id: Option<String>,
    /// The infrastructure description
    #[arg(value_name = "infra_def")]
    pub(crate) file: PathBuf,
}

/// Deletes an infrastructure with all its instances.
#[derive(Debug, Parser)]
#[command(name = "occopus-destroy", infer_long_args = true, version)]
pub(crate) struct DestroyArguments {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The infrastructure's id
    #[arg(short = 'i', long = "infra_id", value_name = "INFRA_ID")]
    pub(crate) id: String,
}

/// Keeps an infrastructure as it is wanted, lists infrastructures or reports one.
#[derive(Debug, Parser)]
#[command(name = "occopus-maintain", infer_long_args = true, version)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the switches that Occopus has"
)]
pub(crate) struct MaintainArguments {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The infrastructure's id
    #[arg(
        short = 'i',
        long = "infra_id",
        alias = "infraid",
        value_name = "INFRA_ID"
    )]
    pub(crate) id: Option<String>,
    /// List the infrastructures
    #[arg(short = 'l', long)]
    pub(crate) list: bool,
    /// Report the instances of the infrastructure and their addresses
    #[arg(short = 'r', long)]
    pub(crate) report: bool,
    /// Go on until stopped
    #[arg(short = 'c', long)]
    pub(crate) cyclic: bool,
    /// Accepted for scripts: everything is looked after when it is due
    #[arg(
        short = 't',
        long,
        value_name = "SECONDS",
        default_value_t = 10.0,
        allow_negative_numbers = true
    )]
    pub(crate) interval: f64,
    /// Create instances at the same time instead of one after the other
    #[arg(long)]
    pub(crate) parallelize: bool,
    /// Write the report into this file: for each instance a line with its addresses
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Report only nodes whose names contain this
    #[arg(short = 'f', long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
}

/// Changes how many instances a node has.
#[derive(Debug, Parser)]
#[command(name = "occopus-scale", infer_long_args = true, version)]
pub(crate) struct ScaleArguments {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The infrastructure's id
    #[arg(
        short = 'i',
        long = "infra_id",
        alias = "infraid",
        value_name = "INFRA_ID"
    )]
    pub(crate) id: String,
    /// The node
    #[arg(short = 'n', long = "node", value_name = "NODE")]
    pub(crate) node: String,
    /// By how many instances the count changes: `2`, `-1`
    #[arg(
        short = 'c',
        long = "changescale",
        alias = "count",
        value_name = "CHANGE",
        allow_hyphen_values = true
    )]
    pub(crate) change: Option<String>,
    /// How many instances there are to be
    #[arg(
        short = 's',
        long = "setscale",
        value_name = "COUNT",
        allow_hyphen_values = true
    )]
    pub(crate) count: Option<String>,
    /// The instance that is to go: its node id or one of its addresses
    #[arg(short = 'f', long, value_name = "INSTANCE")]
    pub(crate) filter: Option<String>,
}

/// Serves Occopus's REST interface.
#[derive(Debug, Parser)]
#[command(name = "occopus-rest-service", infer_long_args = true, version)]
pub(crate) struct RestServiceArguments {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The address to listen at [default: that of the configuration, then 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The port to listen at [default: that of the configuration, then 5000]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Create instances at the same time instead of one after the other
    #[arg(long)]
    pub(crate) parallelize: bool,
}
