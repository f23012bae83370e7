//! The command line: commands and options.

mod access;
mod cloud;
mod subcommands;
mod values;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use zenekar_provider_local::Isolation;

use crate::occopus::arguments::OccopusCommand;

pub(crate) use access::{ExecArguments, LogsArguments, OpenArguments, ShellArguments};
pub(crate) use cloud::{
    CloudAddArguments, CloudArgument, CloudCommand, CloudImagesArguments, CloudOffersArguments,
    CloudOrphansArguments, CloudRemoveArguments, CloudSecretsArguments, CloudTestArguments,
};
pub(crate) use subcommands::{
    CheckArguments, ExportArguments, ImportArguments, SimCommand, SimPlantArguments,
    SimQuotaArguments, SimResetArguments, SimShowArguments, StateCommand,
};
use values::parse_pace;
pub(crate) use values::{PaceChoice, parse_duration, parse_id, parse_listen};
pub(crate) use verify::{ReplayArguments, SearchArguments, StrategyChoice, VerifyArguments};

/// Brings reference architectures up on any cloud, keeps them healthy, scales them and takes them down.
#[derive(Debug, Parser)]
#[command(
    name = "zenekar",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Try it on this machine: `zenekar up examples/hello/infrastructure.yaml --on local`,\nor on a simulated cloud: `--on sim`"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of all commands.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// For whom stdout is written; with `json`, errors on stderr are JSON too
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When to use colour; `auto` also obeys `NO_COLOR` and `CLICOLOR_FORCE`
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
    /// Where the state lives [default: `$XDG_STATE_HOME/zenekar`, else `~/.local/state/zenekar`]
    #[arg(
        long,
        global = true,
        env = "ZENEKAR_STATE_DIR",
        hide_env_values = true,
        value_name = "DIRECTORY"
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// Let templates run programs on this machine by `cmd`, with your rights
    #[arg(
        long,
        global = true,
        env = "ZENEKAR_ALLOW_HOST_COMMANDS",
        hide_env_values = true,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub(crate) allow_host_commands: bool,
    /// Tell more: each failed call, each retry
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The format of what goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Human,
    /// JSON with a `schema_version`
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On terminals
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a descriptor and everything that it includes
    Validate(ValidateArguments),
    /// Look for what is valid in a descriptor and will hurt all the same
    Lint(LintArguments),
    /// Show what instances would get: user-data, or environment and command
    Render(RenderArguments),
    /// Show what `up` would change, and why
    Plan(PlanArguments),
    /// Explore the orders and failures in which it can come up, run and go down, before it does
    Verify(Box<VerifyArguments>),
    /// Let a run that `verify` found happen again, and say whether it is the same
    Replay(ReplayArguments),
    /// Bring an infrastructure up, or make a running one as its descriptor says now
    Up(UpArguments),
    /// Show how far nodes and instances are
    Status(StatusArguments),
    /// Explain what a node or an instance waits for
    Why(WhyArguments),
    /// Change how many instances nodes have
    Scale(ScaleArguments),
    /// Keep an infrastructure as wanted: replace what breaks, until stopped
    Watch(WatchArguments),
    /// Show what has happened
    Events(EventsArguments),
    /// Show what instances printed: their contextualisation, then their console
    Logs(LogsArguments),
    /// Run a command inside an instance
    Exec(ExecArguments),
    /// Open a shell inside an instance
    Shell(ShellArguments),
    /// Tell, or open, the URL under which a port of an instance is reached
    Open(OpenArguments),
    /// List the infrastructures
    List(ListArguments),
    /// Take an infrastructure down
    Down(DownArguments),
    /// Export, import, check and repair the stored state
    #[command(subcommand)]
    State(StateCommand),
    /// Name clouds and store their credentials; ask what they have, and what is left over there
    #[command(subcommand)]
    Cloud(CloudCommand),
    /// Look at the simulated cloud, and break things in it
    #[command(subcommand)]
    Sim(SimCommand),
    /// Show what this machine can offer to instances, and how it could offer more
    Doctor,
    /// Occopus's commands, links with their names, and its infrastructures
    #[command(subcommand)]
    Occopus(OccopusCommand),
    /// Explain a diagnostic code such as `ZK0101`
    Explain(ExplainArguments),
    /// Print a completion script for a shell
    Completion(CompletionArguments),
    /// Print the manual page
    Man(ManArguments),
}

/// Where a descriptor is and how it is read.
#[derive(Args, Clone, Debug)]
pub(crate) struct DescriptorArguments {
    /// The infrastructure description (YAML)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Files with node definitions [default: the folder `nodes` beside FILE]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) nodes: Vec<PathBuf>,
    /// Run all nodes on this provider instead of their own
    #[arg(
        long,
        env = "ZENEKAR_ON",
        hide_env_values = true,
        value_name = "PROVIDER"
    )]
    pub(crate) on: Option<String>,
    /// Whether templates may run programs, as the option of all commands says.
    #[arg(skip)]
    pub(crate) allow_host_commands: bool,
}

impl Command {
    /// Hands the permission to run programs on to what reads descriptors.
    pub(crate) fn allow_host_commands(&mut self, is_allowed: bool) {
        let descriptor = match self {
            Self::Validate(own) => &mut own.descriptor,
            Self::Render(own) => &mut own.descriptor,
            Self::Plan(own) => &mut own.descriptor,
            Self::Verify(own) => &mut own.descriptor,
            Self::Up(own) => &mut own.descriptor,
            _ => return,
        };
        descriptor.allow_host_commands = is_allowed;
    }
}

/// How to run against providers.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArguments {
    /// Creating and deleting calls in flight per provider
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) parallel: Option<u32>,
    /// Stop waiting after this time (`90s`, `5m`, `1h30m`); what runs stays and can be continued
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) sim: SimArguments,
}

/// What instances on this machine need.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "This machine")]
pub(crate) struct LocalArguments {
    /// The isolation that instances need at least [default: the best that this machine grants]
    #[arg(long, value_name = "ISOLATION", value_parser = isolation_parser())]
    pub(crate) isolation: Option<Isolation>,
}

/// How the simulated cloud behaves in this run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Simulated cloud")]
pub(crate) struct SimArguments {
    /// How simulated time runs: `real`, `jump` (no waiting at all), or simulated seconds per second
    /// [default: 60]
    #[arg(long, value_name = "PACE", value_parser = parse_pace)]
    pub(crate) pace: Option<PaceChoice>,
    /// How the simulated cloud behaves from now on [default: `calm`]
    #[arg(long, value_name = "PROFILE", value_parser = clap::builder::PossibleValuesParser::new(zenekar_simcloud::PROFILES))]
    pub(crate) sim_profile: Option<String>,
    /// Seeds what is left to chance
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct ValidateArguments {
    #[command(flatten)]
    pub(crate) descriptor: DescriptorArguments,
    /// One line per finding
    #[arg(long)]
    pub(crate) concise: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RenderArguments {
    #[command(flatten)]
    pub(crate) descriptor: DescriptorArguments,
    /// Only this node's first instance (`app`), or this instance (`app/0`) [default: the first of each]
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Show all instances that nodes start with instead of the first ones
    #[arg(long)]
    pub(crate) all_instances: bool,
    /// Show passwords, tokens and private keys instead of `***`
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// What stands for the infrastructure's id
    #[arg(long, value_name = "ID", default_value = "11111111-2222-3333-4444-555555555555", value_parser = parse_id)]
    pub(crate) infrastructure_id: String,
}

#[derive(Args, Debug)]
pub(crate) struct LintArguments {
    /// The infrastructure description, or a file with node definitions (YAML)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Files with node definitions [default: the folder `nodes` beside FILE]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) nodes: Vec<PathBuf>,
    /// One line per finding
    #[arg(long)]
    pub(crate) concise: bool,
    /// Let findings of this code count as errors; `warnings` stands for all warnings
    #[arg(long, value_name = "CODE")]
    pub(crate) deny: Vec<String>,
    /// Leave out findings of this code
    #[arg(long, value_name = "CODE")]
    pub(crate) allow: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) descriptor: DescriptorArguments,
    /// The infrastructure's id [default: the descriptor's `infra_name`]
    #[arg(long, value_name = "NAME", value_parser = parse_id)]
    pub(crate) name: Option<String>,
    /// Show every step instead of at most 40 lines
    #[arg(long)]
    pub(crate) full: bool,
    /// Draw the nodes, their dependencies and what happens to them
    #[arg(long, value_enum, value_name = "LANGUAGE", conflicts_with = "full")]
    pub(crate) graph: Option<GraphLanguage>,
    /// End with exit code 10 if there are changes
    #[arg(long)]
    pub(crate) detailed_exit_code: bool,
    /// Do not ask the clouds whether it can be created
    #[arg(long)]
    pub(crate) skip_checks: bool,
}

/// A language for graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphLanguage {
    /// Graphviz
    Dot,
    /// Mermaid, as Markdown viewers draw it
    Mermaid,
}

#[derive(Args, Debug)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) descriptor: DescriptorArguments,
    /// The infrastructure's id [default: the descriptor's `infra_name`]
    #[arg(long, value_name = "NAME", value_parser = parse_id)]
    pub(crate) name: Option<String>,
    /// Do not ask before starting
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Do not ask the clouds first whether it can be created
    #[arg(long)]
    pub(crate) skip_checks: bool,
    #[command(flatten)]
    pub(crate) local: LocalArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// Which infrastructure.
#[derive(Args, Clone, Debug)]
pub(crate) struct InfrastructureArgument {
    /// The infrastructure's id, or its descriptor; not needed if there is only one
    #[arg(value_name = "INFRA")]
    pub(crate) infrastructure: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(crate) infrastructure: InfrastructureArgument,
    /// Show it again and again, until stopped
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Show every instance instead of at most 40 lines
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WhyArguments {
    /// The infrastructure's id if there are several, then a node (`app`) or an instance (`app/3`)
    #[arg(value_name = "[INFRA] SUBJECT", num_args = 1..=2, required = true)]
    pub(crate) subject: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ScaleArguments {
    /// The infrastructure's id if there are several, then changes: `app=5`, `app=+1`, `app=-2`
    #[arg(value_name = "[INFRA] NODE=COUNT", required_unless_present = "remove")]
    pub(crate) changes: Vec<String>,
    /// Take out this instance (`app/3`), and have one fewer of its node
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) remove: Vec<String>,
    /// Names the request: repeating it with the same name changes nothing
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    pub(crate) request: Option<String>,
    /// Return as soon as the request is stored; the process that leads applies it, or the next one
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) local: LocalArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Args, Debug)]
pub(crate) struct WatchArguments {
    #[command(flatten)]
    pub(crate) infrastructure: InfrastructureArgument,
    /// End as soon as everything is as wanted
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) local: LocalArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Args, Debug)]
pub(crate) struct EventsArguments {
    #[command(flatten)]
    pub(crate) infrastructure: InfrastructureArgument,
    /// Go on showing what happens, until stopped
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the latest events to show; 0 shows all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub(crate) lines: usize,
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Also those that were taken down
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DownArguments {
    #[command(flatten)]
    pub(crate) infrastructure: InfrastructureArgument,
    /// Do not ask before starting
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Also delete its history once everything is gone
    #[arg(long)]
    pub(crate) purge: bool,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// The code
    #[arg(value_name = "CODE")]
    pub(crate) code: String,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArguments {
    /// The page of this command instead of the main one
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}

/// Reads an isolation by its name.
fn isolation_parser() -> impl clap::builder::TypedValueParser<Value = Isolation> {
    PossibleValuesParser::new(Isolation::ALL.map(Isolation::name))
        .try_map(|text| text.parse::<Isolation>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
