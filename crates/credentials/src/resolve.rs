//! Which settings and secrets are used for a cloud, and where they are from.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use zenekar_base::CloudKey;
use zenekar_occopus::AuthenticationFile;

use crate::cloud::{NamedCloud, SecretsKept};
use crate::error::CredentialsError;
use crate::import::import;
use crate::key::Keys;
use crate::kind::CloudKind;
use crate::registry::Registry;
use crate::secrets::Secrets;

/// Where settings and secrets are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The named clouds.
    pub registry: &'a Registry,
    /// What their secrets are opened with.
    pub keys: &'a Keys,
    /// Occopus's authentication file, where there is one.
    pub authentication: Option<&'a AuthenticationFile>,
}

/// Where the secrets for a cloud are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the cloud of this name.
    Named(String),
    /// From the settings of the cloud of this name, and for secrets from where
    /// the cloud's own tools look.
    NamedStandard(String),
    /// From Occopus's authentication file.
    AuthenticationFile,
    /// From where the cloud's own tools look: environment and their files.
    Standard,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(formatter, "cloud `{name}`"),
            Self::NamedStandard(name) => {
                write!(
                    formatter,
                    "cloud `{name}`, with the environment's credentials"
                )
            }
            Self::AuthenticationFile => formatter.write_str("Occopus's authentication file"),
            Self::Standard => formatter.write_str("the environment and its files"),
        }
    }
}

/// Settings and secrets for a cloud.
#[derive(Debug)]
pub struct Resolution {
    /// Where the secrets are from.
    pub origin: Origin,
    /// What the adapter needs.
    pub settings: CloudSettings,
}

/// What the adapter of a kind of cloud needs.
#[derive(Debug)]
pub enum CloudSettings {
    /// For a Docker engine.
    Docker(DockerAccess),
    /// For an EC2.
    Ec2(Ec2Access),
    /// For an `OpenStack`.
    Nova(NovaAccess),
}

/// How a Docker engine is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerAccess {
    /// Where it is.
    pub endpoint: Option<String>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub certificates: Option<PathBuf>,
}

/// How an EC2 is reached.
#[derive(Debug, Default)]
pub struct Ec2Access {
    /// Where its interface is.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The profile of the shared files.
    pub profile: Option<String>,
    /// A file with certificates that are trusted besides the machine's.
    pub ca_file: Option<PathBuf>,
    /// The keys; none goes through the chain of Amazon's own tools.
    pub keys: Option<Ec2Keys>,
}

/// A pair of keys.
pub struct Ec2Keys {
    /// The access key's id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: SecretString,
    /// The token of a session, if the keys are of one.
    pub session_token: Option<SecretString>,
}

impl fmt::Debug for Ec2Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ec2Keys(***)")
    }
}

/// How an `OpenStack` is reached.
#[derive(Debug, Default)]
pub struct NovaAccess {
    /// Where Keystone is.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The project, by id or name.
    pub project: Option<String>,
    /// The domain of a project that is named.
    pub project_domain_name: Option<String>,
    /// The domain of the user.
    pub user_domain_name: Option<String>,
    /// Which of a service's endpoints is used.
    pub interface: Option<String>,
    /// A file with certificates that are trusted besides the machine's.
    pub ca_file: Option<PathBuf>,
    /// Who we are; none takes `OS_*` and `clouds.yaml`.
    pub login: Option<NovaLogin>,
}

/// Who we are at an `OpenStack`.
pub enum NovaLogin {
    /// A user with a password.
    Password {
        /// The user's name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// An application credential.
    ApplicationCredential {
        /// Its id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
}

impl fmt::Debug for NovaLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NovaLogin(***)")
    }
}

/// Finds the settings and secrets for a cloud, in this order: the cloud that is
/// named, Occopus's authentication file, the only named cloud that is at this
/// place, and where the cloud's own tools look.
pub fn resolve(key: &CloudKey, sources: &Sources<'_>) -> Result<Resolution, CredentialsError> {
    let kind = CloudKind::from_name(&key.kind).ok_or_else(|| {
        CredentialsError::Invalid(format!(
            "`{}` is no kind of cloud that has credentials",
            key.kind
        ))
    })?;
    let key = plain(key);
    if let Some(name) = &key.cloud {
        let cloud = sources
            .registry
            .get(name)?
            .ok_or_else(|| CredentialsError::Unknown(name.clone()))?;
        return named(&key, kind, &cloud, sources);
    }
    if let Some(file) = sources.authentication
        && let Some(imported) = import(file, &key)?
    {
        imported.secrets.check(kind)?;
        return Ok(Resolution {
            origin: Origin::AuthenticationFile,
            settings: settings(kind, &key, None, &imported.secrets),
        });
    }
    if let Some(cloud) = only_one_at(&key, kind, sources.registry)? {
        return named(&key, kind, &cloud, sources);
    }
    Ok(Resolution {
        origin: Origin::Standard,
        settings: settings(kind, &key, None, &Secrets::default()),
    })
}

/// Returns a key with its texts as they were before they were made one word.
fn plain(key: &CloudKey) -> CloudKey {
    let plain = |text: &Option<String>| {
        text.as_ref()
            .map(|text| text.replace("%20", " ").replace("%2C", ","))
    };
    CloudKey {
        region: plain(&key.region),
        project: plain(&key.project),
        ..key.clone()
    }
}

fn named(
    key: &CloudKey,
    kind: CloudKind,
    cloud: &NamedCloud,
    sources: &Sources<'_>,
) -> Result<Resolution, CredentialsError> {
    if cloud.kind != kind {
        return Err(CredentialsError::Invalid(format!(
            "cloud `{}` is `{}`, and not `{kind}`",
            cloud.name, cloud.kind
        )));
    }
    if let Some(asked) = &key.endpoint
        && !is_same_place(
            kind,
            Some(asked),
            cloud.setting("endpoint"),
            key.region.as_deref(),
        )
    {
        // Secrets go where they were stored for, and nowhere else.
        return Err(CredentialsError::Moved {
            cloud: cloud.name.clone(),
            part: "endpoint",
            sealed: cloud.setting("endpoint").unwrap_or("none").to_owned(),
            found: asked.clone(),
        });
    }
    let (secrets, origin) = match cloud.secrets {
        SecretsKept::Sealed => {
            let secrets = sources.registry.open_secrets(&cloud.name, sources.keys)?;
            secrets.check(kind)?;
            (secrets, Origin::Named(cloud.name.clone()))
        }
        SecretsKept::Environment => (
            Secrets::default(),
            Origin::NamedStandard(cloud.name.clone()),
        ),
        SecretsKept::None => (Secrets::default(), Origin::Named(cloud.name.clone())),
    };
    Ok(Resolution {
        origin,
        settings: settings(kind, key, Some(cloud), &secrets),
    })
}

/// Finds the only named cloud at a place. A key that names no place means what
/// the environment says.
fn only_one_at(
    key: &CloudKey,
    kind: CloudKind,
    registry: &Registry,
) -> Result<Option<NamedCloud>, CredentialsError> {
    if key.endpoint.is_none() && key.region.is_none() && key.project.is_none() {
        return Ok(None);
    }
    let mut fitting = Vec::new();
    for name in registry.names()? {
        // A cloud that cannot be read is told of where it is asked for.
        let Ok(Some(cloud)) = registry.get(&name) else {
            continue;
        };
        let agrees = |asked: &Option<String>, own: Option<&str>| match (asked, own) {
            (Some(asked), Some(own)) => asked == own,
            _ => true,
        };
        let fits = cloud.kind == kind
            && is_same_place(
                kind,
                key.endpoint.as_deref(),
                cloud.setting("endpoint"),
                key.region.as_deref(),
            )
            && agrees(&key.region, cloud.setting("region"))
            && agrees(&key.project, cloud.setting("project"));
        if fits {
            fitting.push(cloud);
        }
    }
    if fitting.len() > 1 {
        let names: Vec<String> = fitting
            .iter()
            .map(|cloud| format!("`{}`", cloud.name))
            .collect();
        return Err(CredentialsError::Ambiguous(format!(
            "`{key}` can be each of the clouds {}; say which one with `--on NAME`",
            names.join(", ")
        )));
    }
    Ok(fitting.pop())
}

/// Says whether two endpoints are the same, however they are written.
fn is_same_place(
    kind: CloudKind,
    asked: Option<&str>,
    own: Option<&str>,
    region: Option<&str>,
) -> bool {
    let normal = |endpoint: Option<&str>| {
        let mut text = endpoint?.trim_end_matches('/').to_ascii_lowercase();
        if kind == CloudKind::Nova {
            for version in ["/v3", "/v2.0"] {
                if let Some(short) = text.strip_suffix(version) {
                    text.truncate(short.len());
                    break;
                }
            }
        }
        let usual = region.map(|region| format!("https://ec2.{region}.amazonaws.com"));
        let is_usual = kind == CloudKind::Ec2 && usual.is_some_and(|usual| usual == text);
        (!is_usual).then_some(text)
    };
    normal(asked) == normal(own)
}

fn settings(
    kind: CloudKind,
    key: &CloudKey,
    cloud: Option<&NamedCloud>,
    secrets: &Secrets,
) -> CloudSettings {
    let own = |name: &str| {
        cloud
            .and_then(|cloud| cloud.setting(name))
            .map(str::to_owned)
    };
    // The cloud's own writing of its endpoint is the one that its secrets are for.
    let endpoint = own("endpoint").or_else(|| key.endpoint.clone());
    let region = key.region.clone().or_else(|| own("region"));
    let shown = |name: &str| {
        let secret = secrets.get(name)?;
        Some(secret.expose_secret().to_owned())
    };
    match kind {
        CloudKind::Docker => CloudSettings::Docker(DockerAccess {
            endpoint,
            certificates: own("certificates").map(PathBuf::from),
        }),
        CloudKind::Ec2 => CloudSettings::Ec2(Ec2Access {
            endpoint,
            region,
            profile: own("profile"),
            ca_file: own("ca_file").map(PathBuf::from),
            keys: shown("accesskey").zip(secrets.get("secretkey")).map(
                |(access_key, secret_key)| Ec2Keys {
                    access_key,
                    secret_key: secret_key.clone(),
                    session_token: secrets.get("sessiontoken").cloned(),
                },
            ),
        }),
        CloudKind::Nova => {
            let password = shown("username").zip(secrets.get("password"));
            let credential = shown("id").zip(secrets.get("secret"));
            let login = match (password, credential) {
                (Some((username, password)), _) => Some(NovaLogin::Password {
                    username,
                    password: password.clone(),
                }),
                (None, Some((id, secret))) => Some(NovaLogin::ApplicationCredential {
                    id,
                    secret: secret.clone(),
                }),
                (None, None) => None,
            };
            CloudSettings::Nova(NovaAccess {
                endpoint,
                region,
                project: key.project.clone().or_else(|| own("project")),
                project_domain_name: own("project_domain_name"),
                user_domain_name: own("user_domain_name"),
                interface: own("interface"),
                ca_file: own("ca_file").map(PathBuf::from),
                login,
            })
        }
    }
}
