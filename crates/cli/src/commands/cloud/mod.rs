//! `zenekar cloud`: named clouds, their credentials, and what is there.

mod add;
mod ask;
mod delete;
mod look;
mod named;
mod orphans;
mod standing;

use zenekar_base::{CloudKey, ProviderError};
use zenekar_credentials::CredentialsError;

use crate::arguments::{CloudCommand, Global};
use crate::clouds::{self, CLOUD_KINDS};
use crate::errors::{Failure, exit_of_class, hint_of_class};
use crate::exit::Exit;
use crate::opening;
use crate::output::Output;
use crate::place::Place;

pub(crate) use ask::ask_passphrase;

pub(crate) fn run(
    command: &CloudCommand,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let place = Place::find(global)?;
    match command {
        CloudCommand::Add(arguments) => add::run(arguments, &place, output),
        CloudCommand::List => named::list(&place, output),
        CloudCommand::Test(arguments) => look::test(arguments, &place, output),
        CloudCommand::Remove(arguments) => named::remove(arguments, &place, output),
        CloudCommand::Images(arguments) => look::images(arguments, &place, output),
        CloudCommand::Offers(arguments) => look::offers(arguments, &place, output),
        CloudCommand::Quota(argument) => look::quota(argument, &place, output),
        CloudCommand::Orphans(arguments) => orphans::run(arguments, &place, output),
    }
}

/// Finds the cloud that a name, a kind or a provider's name means.
pub(super) fn find(place: &Place, text: &str) -> Result<CloudKey, Failure> {
    // A name that a person gave wins over everything but kinds, which it cannot be.
    if let Some(cloud) = opening::registry(place).get(text).map_err(failure)? {
        return Ok(cloud.key());
    }
    let is_known = text.contains('@') || CLOUD_KINDS.contains(&clouds::alias(text));
    if !is_known {
        let registry = opening::registry(place);
        let names = registry.names().map_err(failure)?;
        let all = names
            .iter()
            .map(String::as_str)
            .chain(CLOUD_KINDS.iter().copied());
        let failure = Failure::usage(format!("there is no cloud `{}`", text.escape_debug()));
        return Err(match zenekar_diagnostics::did_you_mean(text, all) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint(format!(
                "`zenekar cloud list` shows the clouds that have names; `{}` are what the environment says",
                CLOUD_KINDS.join("`, `")
            )),
        });
    }
    let target = clouds::target(place, text)?;
    let key: CloudKey = target
        .provider
        .parse()
        .map_err(|error: zenekar_base::CloudKeyError| Failure::usage(error.to_string()))?;
    if CLOUD_KINDS.contains(&key.kind.as_str()) {
        Ok(key)
    } else {
        Err(Failure::usage(format!(
            "`{}` is no cloud: it is on this machine",
            key.kind
        )))
    }
}

/// Makes a failure of a mistake around stored clouds.
pub(super) fn failure(error: CredentialsError) -> Failure {
    let exit = match &error {
        CredentialsError::Invalid(_)
        | CredentialsError::Unknown(_)
        | CredentialsError::NoKeyPlace => Exit::Usage,
        CredentialsError::Exists(_) => Exit::Refused,
        CredentialsError::WrongKey { .. }
        | CredentialsError::Moved { .. }
        | CredentialsError::NoPassphrase { .. }
        | CredentialsError::Ambiguous(_)
        | CredentialsError::Exposed { .. }
        | CredentialsError::ForeignOwner { .. } => Exit::Auth,
        _ => Exit::State,
    };
    let failure = Failure::caused(exit, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Makes a failure of what a cloud answered.
pub(super) fn refused(cloud: &CloudKey, error: &ProviderError) -> Failure {
    Failure::new(
        exit_of_class(error.class),
        format!("`{cloud}`: {}", error.message),
    )
    .hint(hint_of_class(error.class))
}
