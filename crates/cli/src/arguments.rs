//! The command line: commands, options and how their values are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Brings reference architectures up on any cloud, keeps them healthy, scales them and takes them down.
#[derive(Debug, Parser)]
#[command(
    name = "zenekar",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Try it without any cloud: `zenekar up examples/hello/infrastructure.yaml --on sim`"
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
    /// Show what `up` would change, and why
    Plan(PlanArguments),
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
    /// List the infrastructures
    List(ListArguments),
    /// Take an infrastructure down
    Down(DownArguments),
    /// Export, import, check and repair the stored state
    #[command(subcommand)]
    State(StateCommand),
    /// Look at the simulated cloud, and break things in it
    #[command(subcommand)]
    Sim(SimCommand),
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
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) on: Option<String>,
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

/// How the simulated cloud behaves in this run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Simulated cloud")]
pub(crate) struct SimArguments {
    /// How simulated time runs: `real`, `jump` (no waiting at all), or simulated seconds per second
    #[arg(long, value_name = "PACE", default_value = "60", value_parser = parse_pace)]
    pub(crate) pace: PaceChoice,
    /// How the simulated cloud behaves from now on [default: `calm`]
    #[arg(long, value_name = "PROFILE", value_parser = clap::builder::PossibleValuesParser::new(zenekar_simcloud::PROFILES))]
    pub(crate) sim_profile: Option<String>,
    /// Seeds what is left to chance
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
}

/// How fast simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PaceChoice {
    /// As fast as real time.
    Real,
    /// So many simulated seconds per real second.
    Compressed(f64),
    /// From event to event, without waiting.
    Jump,
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

/// The longest id of an infrastructure or a request; ids become tags at providers,
/// and the shortest limit among clouds is 63 letters.
const ID_BYTES_MAX: usize = 63;

/// The longest time that a duration may name: ten years, far from any overflow.
const DURATION_SECONDS_MAX: i64 = 10 * 366 * 24 * 3600;

/// The fastest compression: a year of simulated time in five minutes.
const PACE_MAX: f64 = 100_000.0;

/// Reads an id: letters, digits, `-`, `_`, `.`.
pub(crate) fn parse_id(text: &str) -> Result<String, String> {
    let is_fine =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if let Some(letter) = text.chars().find(|letter| !is_fine(*letter)) {
        return Err(format!(
            "`{}` is not allowed; use letters, digits, `-`, `_` and `.`",
            letter.escape_debug()
        ));
    }
    if !text.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
        return Err("it has to begin with a letter or a digit".to_owned());
    }
    if text.len() > ID_BYTES_MAX {
        return Err(format!(
            "it has {} characters, {ID_BYTES_MAX} are allowed",
            text.len()
        ));
    }
    Ok(text.to_owned())
}

/// Reads a duration such as `90s`, `5m` or `1h30m`; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a duration such as `90s`, `5m` or `1h30m`".to_owned();
    let span = match text.parse::<i64>() {
        Ok(seconds) if seconds.unsigned_abs() <= DURATION_SECONDS_MAX.unsigned_abs() => {
            jiff::SignedDuration::from_secs(seconds)
        }
        Ok(_) => return Err("it is longer than ten years".to_owned()),
        Err(_) => text.parse::<jiff::SignedDuration>().map_err(|_| wrong())?,
    };
    if span.as_secs() > DURATION_SECONDS_MAX {
        return Err("it is longer than ten years".to_owned());
    }
    Duration::try_from(span).map_err(|_| "it must not be negative".to_owned())
}

/// Reads a pace: `real`, `jump` or a number of simulated seconds per second.
fn parse_pace(text: &str) -> Result<PaceChoice, String> {
    match text {
        "real" => Ok(PaceChoice::Real),
        "jump" => Ok(PaceChoice::Jump),
        _ => match text.strip_suffix('x').unwrap_or(text).parse::<f64>() {
            Ok(factor) if factor.is_finite() && factor > 0.0 && factor <= PACE_MAX => {
                Ok(PaceChoice::Compressed(factor))
            }
            Ok(_) => Err(format!(
                "the factor has to be above 0 and at most {PACE_MAX}"
            )),
            Err(_) => Err("write `real`, `jump` or a number such as `60`".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5400),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "soon",
            "-5s",
            "-5",
            "5 parsecs",
            "99999999999h",
            "99999999999999999999",
            "1e9",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paces_are_read() {
        assert_eq!(parse_pace("real"), Ok(PaceChoice::Real));
        assert_eq!(parse_pace("jump"), Ok(PaceChoice::Jump));
        assert_eq!(parse_pace("2.5"), Ok(PaceChoice::Compressed(2.5)));
        assert_eq!(parse_pace("60x"), Ok(PaceChoice::Compressed(60.0)));
        for text in ["0", "-1", "NaN", "inf", "1e9", "", "fast", "x"] {
            assert!(parse_pace(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_short_and_harmless() {
        for good in ["a", "demo-1", "A.b_c", "7"] {
            assert_eq!(parse_id(good).as_deref(), Ok(good));
        }
        for bad in ["", "-a", "../x", "a b", "é", &"x".repeat(64)] {
            assert!(parse_id(bad).is_err(), "{bad}");
        }
    }
}
