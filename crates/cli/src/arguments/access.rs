//! Commands that look into instances: `logs`, `exec`, `shell`, `open`.

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::Args;

use super::values::{parse_listen, parse_path, parse_port};

#[derive(Args, Debug)]
pub(crate) struct LogsArguments {
    /// The infrastructure's id if there are several, then a node (`app`) or an instance (`app/3`)
    #[arg(value_name = "[INFRA] SUBJECT", num_args = 1..=2, required = true)]
    pub(crate) subject: Vec<String>,
    /// Go on showing what is printed, until stopped or all instances are gone
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only what the console shows, without the contextualisation
    #[arg(long)]
    pub(crate) console: bool,
    /// How many of the latest lines of each log to show; 0 shows all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0)]
    pub(crate) lines: usize,
}

#[derive(Args, Debug)]
pub(crate) struct ExecArguments {
    /// The infrastructure's id if there are several, then an instance (`app/3`), or a node for its first one
    #[arg(value_name = "[INFRA] INSTANCE", num_args = 1..=2, required = true)]
    pub(crate) subject: Vec<String>,
    /// The command and its arguments; its exit code is this command's
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct ShellArguments {
    /// The infrastructure's id if there are several, then an instance (`app/3`), or a node for its first one
    #[arg(value_name = "[INFRA] INSTANCE", num_args = 1..=2, required = true)]
    pub(crate) subject: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct OpenArguments {
    /// The infrastructure's id if there are several, an instance (`app/3`) or a node for its first one, then a port
    #[arg(value_name = "[INFRA] INSTANCE PORT", num_args = 2..=3, required = true)]
    pub(crate) subject: Vec<String>,
    /// Also open the URL in a browser
    #[arg(long)]
    pub(crate) browser: bool,
    /// The path of the URL
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = parse_path)]
    pub(crate) path: String,
    /// Relay from here, even if the port is reached directly: a port of this machine's
    /// loopback address, or an address and a port [default: any free port, if a relay is needed]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_listen)]
    pub(crate) listen: Option<SocketAddr>,
}

impl OpenArguments {
    /// Returns the port, which stands last.
    pub(crate) fn port(&self) -> Result<u16, String> {
        let text = self.subject.last().map_or("", String::as_str);
        parse_port(text).map_err(|why| format!("cannot read the port `{text}`: {why}"))
    }
}
