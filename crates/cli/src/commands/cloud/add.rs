//! `zenekar cloud add`: gives a cloud a name.

use std::sync::Arc;

use serde_json::json;
use zenekar_credentials::{
    AskPassphrase, CloudKind, Keys, NamedCloud, SealWith, Secrets, SecretsKept, import,
};
use zenekar_diagnostics::{Diagnostic, SourceMap, render_human};
use zenekar_occopus::AuthenticationFile;

use super::{ask, failure};
use crate::arguments::{CloudAddArguments, CloudSecretsArguments};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::opening;
use crate::output::{Output, SCHEMA_VERSION};
use crate::place::Place;

pub(super) fn run(
    arguments: &CloudAddArguments,
    place: &Place,
    output: Output,
) -> Result<Exit, Failure> {
    let mut cloud = describe(arguments)?;
    let registry = opening::registry(place);
    // Told before anybody types secrets for nothing.
    if !arguments.replace && registry.get(&cloud.name).map_err(failure)?.is_some() {
        let exists = zenekar_credentials::CredentialsError::Exists(cloud.name);
        return Err(failure(exists));
    }
    let own = &arguments.secrets;
    cloud.secrets = match cloud.kind {
        _ if own.from_environment => SecretsKept::Environment,
        CloudKind::Docker => SecretsKept::None,
        CloudKind::Ec2 | CloudKind::Nova => SecretsKept::Sealed,
    };
    let secrets = match cloud.secrets {
        SecretsKept::Sealed => Some(secrets(&cloud, own, output)?),
        SecretsKept::Environment | SecretsKept::None => {
            refuse_needless(&cloud, own)?;
            None
        }
    };
    match &secrets {
        Some(secrets) => {
            secrets.check(cloud.kind).map_err(failure)?;
            let (keys, with) = sealing(own, output)?;
            registry.add(&cloud, Some((secrets, &keys, with)), arguments.replace)
        }
        None => registry.add(&cloud, None, arguments.replace),
    }
    .map_err(failure)?;
    if output.is_json() {
        output.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "cloud",
            "cloud": super::named::cloud_json(&cloud),
        }))?;
    } else {
        output.line(&format!(
            "cloud `{0}` is stored; `zenekar cloud test {0}` asks whether it works",
            cloud.name
        ));
    }
    Ok(Exit::Success)
}

/// Puts the cloud's description together.
fn describe(arguments: &CloudAddArguments) -> Result<NamedCloud, Failure> {
    let Some(kind) = CloudKind::from_name(&arguments.kind) else {
        let names = CloudKind::ALL.map(CloudKind::name);
        let failure = Failure::usage(format!(
            "`{}` is no kind of cloud that can have a name",
            arguments.kind.escape_debug()
        ));
        return Err(failure.hint(format!("there are `{}`", names.join("`, `"))));
    };
    let mut cloud = NamedCloud::new(&arguments.name, kind).map_err(failure)?;
    let named = [
        ("endpoint", &arguments.endpoint),
        ("region", &arguments.region),
        ("project", &arguments.project),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            cloud.set(name, value).map_err(failure)?;
        }
    }
    for pair in &arguments.set {
        let (name, value) = split("--set", pair)?;
        let value = as_setting(name, value)?;
        cloud.set(name, &value).map_err(failure)?;
    }
    for pair in &arguments.default {
        let (key, value) = split("--default", pair)?;
        if crate::secrets::is_secret_name(key) {
            return Err(Failure::usage(format!(
                "`{}` is a secret, and default settings are not sealed",
                key.escape_debug()
            )));
        }
        cloud.set_default(key, value).map_err(failure)?;
    }
    if kind == CloudKind::Nova
        && cloud.setting("endpoint").is_none()
        && !arguments.secrets.from_environment
    {
        return Err(
            Failure::usage("an OpenStack needs an endpoint: where its Keystone is")
                .hint("add `--endpoint https://cloud.example.org:5000/v3`"),
        );
    }
    Ok(cloud)
}

/// Makes paths absolute: they are used from other folders later.
fn as_setting(name: &str, value: &str) -> Result<String, Failure> {
    if !matches!(name, "ca_file" | "certificates") {
        return Ok(value.to_owned());
    }
    let path = std::path::absolute(value).map_err(|error| {
        Failure::usage(format!("`{name}` cannot be a path")).because_of(Some(&error))
    })?;
    if !path.exists() {
        return Err(Failure::usage(format!("`{}` is not there", path.display())));
    }
    Ok(path.display().to_string())
}

/// Splits `KEY=VALUE`. What is no pair is not quoted: it may be a secret.
fn split<'a>(option: &str, pair: &'a str) -> Result<(&'a str, &'a str), Failure> {
    pair.split_once('=')
        .ok_or_else(|| Failure::usage(format!("`{option}` wants `KEY=VALUE`")))
}

/// Refuses secrets where none are wanted.
fn refuse_needless(cloud: &NamedCloud, own: &CloudSecretsArguments) -> Result<(), Failure> {
    let is_given = own.secret_stdin
        || own.secrets_file.is_some()
        || own.from_auth_data.is_some()
        || own.application_credential;
    if is_given {
        return Err(Failure::usage(format!(
            "`{}` has no credentials of that kind",
            cloud.kind
        ))
        .hint("an engine with TLS wants `--set certificates=FOLDER`, with `ca.pem`, `cert.pem` and `key.pem`"));
    }
    Ok(())
}

/// Reads the secrets from where the command line says.
fn secrets(
    cloud: &NamedCloud,
    own: &CloudSecretsArguments,
    output: Output,
) -> Result<Secrets, Failure> {
    let kind = cloud.kind;
    if own.secret_stdin {
        return Secrets::read(kind, &mut std::io::stdin().lock()).map_err(failure);
    }
    if let Some(path) = &own.secrets_file {
        return Secrets::read_file(kind, path).map_err(failure);
    }
    if let Some(path) = &own.from_auth_data {
        let mut sources = SourceMap::default();
        let (file, findings) = AuthenticationFile::load(path, &mut sources);
        if !findings.is_empty() && !output.is_json() {
            let paints = output.talk_paint.is_enabled();
            output.talk(&render_human(&findings, &sources, paints));
        }
        let unusable = || {
            let failure = Failure::new(
                Exit::InvalidDescriptor,
                format!("`{}` cannot be used", path.display()),
            );
            match findings
                .iter()
                .find(|finding| Diagnostic::is_error(finding))
            {
                Some(finding) => failure.cause(finding.message.clone()),
                None => failure,
            }
        };
        let file = file.ok_or_else(unusable)?;
        let place = zenekar_base::CloudKey {
            cloud: None,
            endpoint: cloud.setting("endpoint").map(str::to_owned),
            project: cloud.setting("project").map(str::to_owned),
            ..cloud.key()
        };
        let imported = import(&file, &place).map_err(failure)?.ok_or_else(|| {
            Failure::usage(format!("`{}` has no entry for `{place}`", path.display())).hint(
                "an entry fits if every key beside its `auth_data` is what endpoint and region say",
            )
        })?;
        for name in imported.unknown {
            output.warn(&format!(
                "`{name}` of `auth_data` is left out: `{kind}` has no such secret"
            ));
        }
        return Ok(imported.secrets);
    }
    ask::secrets(kind, own.application_credential, output)
}

/// Says with what new secrets are sealed.
fn sealing(own: &CloudSecretsArguments, output: Output) -> Result<(Keys, SealWith), Failure> {
    let keys = opening::keys();
    if keys.passphrase_file.is_some() {
        return Ok((keys, SealWith::Passphrase));
    }
    if !own.passphrase {
        return Ok((keys, SealWith::KeyFile));
    }
    let passphrase = ask::new_passphrase(output)?;
    let ask: AskPassphrase = Arc::new(move |_| Ok(passphrase.clone()));
    Ok((
        Keys::new(keys.key_file, None, Some(ask)),
        SealWith::Passphrase,
    ))
}
