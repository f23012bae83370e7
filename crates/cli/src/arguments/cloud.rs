//! Commands below `zenekar cloud`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with clouds.
#[derive(Debug, Subcommand)]
pub(crate) enum CloudCommand {
    /// Give a cloud a name, and store its credentials sealed
    Add(CloudAddArguments),
    /// List the clouds that have names; never their secrets
    List,
    /// Ask clouds whom they take us for: shows that endpoint and credentials work
    Test(CloudTestArguments),
    /// Forget a cloud and its credentials; nothing at the cloud changes
    Remove(CloudRemoveArguments),
    /// List images of a cloud
    Images(CloudImagesArguments),
    /// List the sizes of instances that a cloud has, smallest first
    Offers(CloudOffersArguments),
    /// Show the limits of an account, and what is used of them
    Quota(CloudArgument),
    /// List what carries our tags at clouds, and delete what is left over
    Orphans(CloudOrphansArguments),
}

/// Which cloud.
#[derive(Args, Clone, Debug)]
pub(crate) struct CloudArgument {
    /// A cloud's name, a kind (`ec2`: as the environment says), or a provider as `status` shows it
    #[arg(value_name = "CLOUD")]
    pub(crate) cloud: String,
}

#[derive(Args, Debug)]
pub(crate) struct CloudAddArguments {
    /// The name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it is: `docker`, `ec2`, or `nova` (also `openstack`)
    #[arg(long = "type", value_name = "KIND")]
    pub(crate) kind: String,
    /// Where its interface is: `https://cloud.example.org:5000/v3`
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The region
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The project, by id or name
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// Another setting: `ca_file`, `certificates`, `profile`, `user_domain_name`…; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// What nodes of other clouds get in their resource sections when `--on NAME` moves them
    /// here: `image_id=…`; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) default: Vec<String>,
    /// Store it instead of the cloud that has this name
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) secrets: CloudSecretsArguments,
}

/// Where credentials come from. They are never on the command line, where
/// everybody on the machine can see them.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own on the command line"
)]
#[derive(Args, Debug)]
#[command(next_help_heading = "Credentials [default: asked for on the terminal]")]
pub(crate) struct CloudSecretsArguments {
    /// Read lines `NAME=VALUE` from stdin
    #[arg(long, group = "secrets")]
    pub(crate) secret_stdin: bool,
    /// Read lines `NAME=VALUE` from a file that only you can read
    #[arg(long, group = "secrets", value_name = "FILE")]
    pub(crate) secrets_file: Option<PathBuf>,
    /// Store none: use those that the cloud's own tools find in environment and files, each time
    #[arg(long, group = "secrets")]
    pub(crate) from_environment: bool,
    /// Take those that Occopus's authentication file has for this endpoint and region
    #[arg(long, group = "secrets", value_name = "FILE")]
    pub(crate) from_auth_data: Option<PathBuf>,
    /// Ask for an application credential instead of user and password (`nova`)
    #[arg(long, group = "secrets")]
    pub(crate) application_credential: bool,
    /// Seal with a passphrase instead of the key file; `ZENEKAR_PASSPHRASE_FILE` does so too
    #[arg(long)]
    pub(crate) passphrase: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CloudTestArguments {
    /// Names, kinds or providers [default: all clouds that have names]
    #[arg(value_name = "CLOUD")]
    pub(crate) clouds: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct CloudRemoveArguments {
    /// The name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Also if an infrastructure needs it: then nothing can be done with that any more
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CloudImagesArguments {
    #[command(flatten)]
    pub(crate) cloud: CloudArgument,
    /// Only those with this in id or name
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) lines: u16,
}

#[derive(Args, Debug)]
pub(crate) struct CloudOffersArguments {
    #[command(flatten)]
    pub(crate) cloud: CloudArgument,
    /// Only those with at least so many cores
    #[arg(long, value_name = "N")]
    pub(crate) cores: Option<u32>,
    /// Only those with at least so much memory, in MiB
    #[arg(long, value_name = "MIB")]
    pub(crate) memory_mib: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct CloudOrphansArguments {
    /// Names, kinds or providers [default: all that have names, and all that infrastructures use]
    #[arg(value_name = "CLOUD")]
    pub(crate) clouds: Vec<String>,
    /// Delete what is left over
    #[arg(long)]
    pub(crate) delete: bool,
    /// Also what is of this infrastructure, which this state does not know (`NAME.ORIGIN`, as
    /// listed); can be repeated
    #[arg(long, value_name = "NAME.ORIGIN")]
    pub(crate) of: Vec<String>,
    /// Do not ask before deleting
    #[arg(short, long, requires = "delete")]
    pub(crate) yes: bool,
    /// End with exit code 10 if something is left over
    #[arg(long)]
    pub(crate) detailed_exit_code: bool,
}
