//! Questions whose answers nobody else may see.

use std::io;
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use zenekar_credentials::{AskPassphrase, CloudKind, Secrets};

use super::failure;
use crate::errors::Failure;
use crate::output::Output;

/// Returns what asks for the passphrase of sealed secrets; none where there is
/// nobody to ask.
pub(crate) fn ask_passphrase() -> Option<AskPassphrase> {
    use std::io::IsTerminal as _;
    let somebody_is_there = io::stdin().is_terminal() && io::stderr().is_terminal();
    somebody_is_there.then(|| {
        let ask: AskPassphrase =
            Arc::new(|cloud: &str| hidden(&format!("Passphrase of cloud `{cloud}`: ")));
        ask
    })
}

/// Asks for a new passphrase, twice.
pub(super) fn new_passphrase(output: Output) -> Result<SecretString, Failure> {
    if !output.can_ask() {
        return Err(
            Failure::usage("cannot ask for a passphrase: this is not a terminal")
                .hint("set `ZENEKAR_PASSPHRASE_FILE` to a file that holds it"),
        );
    }
    let first = answer(hidden("New passphrase: "))?;
    let second = answer(hidden("The same again: "))?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::usage(
            "the two passphrases differ; nothing was stored",
        ))
    }
}

/// Asks for the secrets of a kind of cloud.
pub(super) fn secrets(
    kind: CloudKind,
    is_application_credential: bool,
    output: Output,
) -> Result<Secrets, Failure> {
    if !output.can_ask() {
        return Err(
            Failure::usage("cannot ask for credentials: this is not a terminal").hint(
                "give them by `--secret-stdin`, `--secrets-file` or `--from-auth-data`, \
             or leave them where they are with `--from-environment`",
            ),
        );
    }
    let questions: &[(&str, &str)] = match (kind, is_application_credential) {
        (CloudKind::Ec2, _) => &[
            ("accesskey", "Access key id: "),
            ("secretkey", "Secret access key: "),
            ("sessiontoken", "Session token (empty if there is none): "),
        ],
        (CloudKind::Nova, true) => &[
            ("id", "Id of the application credential: "),
            ("secret", "Its secret: "),
        ],
        (CloudKind::Nova, false) => &[("username", "User name: "), ("password", "Password: ")],
        (CloudKind::Docker, _) => &[],
    };
    let mut secrets = Secrets::default();
    for (name, question) in questions {
        let text = if CloudKind::is_shown(name) {
            shown(question, output)?
        } else {
            answer(hidden(question))?
        };
        if text.expose_secret().is_empty() && *name == "sessiontoken" {
            continue;
        }
        secrets.add(kind, name, text).map_err(failure)?;
    }
    Ok(secrets)
}

fn hidden(question: &str) -> io::Result<SecretString> {
    rpassword::prompt_password(question).map(SecretString::from)
}

fn shown(question: &str, output: Output) -> Result<SecretString, Failure> {
    output.talk(question);
    let mut line = Zeroizing::new(String::new());
    answer(io::stdin().read_line(&mut line))?;
    Ok(line.trim().into())
}

fn answer<T>(result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| {
        Failure::usage("cannot read the answer from the terminal").because_of(Some(&error))
    })
}
