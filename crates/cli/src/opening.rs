//! Opens the adapters of clouds by their names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zenekar_base::CloudKey;
use zenekar_credentials::{
    CloudSettings, CredentialsError, DockerAccess, Ec2Access, Ec2Keys, Keys, NovaAccess, NovaLogin,
    Origin, Registry, Sources, resolve,
};
use zenekar_diagnostics::SourceMap;
use zenekar_occopus::{AuthenticationFile, SearchPlaces, SearchedFile};
use zenekar_provider::{Bindings, Provider, Scoped};
use zenekar_provider_docker::{DockerProvider, DockerSettings};
use zenekar_provider_ec2::{Ec2Credentials, Ec2Provider, Ec2Settings};
use zenekar_provider_openstack as openstack;
use zenekar_provider_openstack::{AuthData, Interface, OpenStackProvider, Surroundings};
use zenekar_runtime::{SharedStore, StoreBindings};

use crate::errors::{Failure, exit_of_class};
use crate::exit::Exit;
use crate::place::Place;

/// The largest file with certificates: bundles of all authorities have 300 kB.
const CERTIFICATES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Names an account that is accepted in place of the one that an infrastructure
/// has things in, which is gone for good. By its id, and not in general, so that
/// it does no harm where it is left set.
const ACCEPTED_ACCOUNT: &str = "ZENEKAR_ACCEPT_ACCOUNT";

/// Opens the adapter that a provider's name stands for, for infrastructures of a
/// store. Makes no call.
pub(crate) fn open(
    place: &Place,
    store: &SharedStore,
    name: &str,
) -> Result<Arc<dyn Provider>, Failure> {
    let key: CloudKey = name
        .parse()
        .map_err(|error: zenekar_base::CloudKeyError| Failure::usage(error.to_string()))?;
    let bindings: Arc<dyn Bindings> = Arc::new(StoreBindings::new(store.clone()));
    let accepted = std::env::var(ACCEPTED_ACCOUNT).ok();
    Ok(Scoped::wrap(open_key(place, &key)?, bindings, accepted))
}

/// Opens the adapter for a cloud, to ask it about itself. Makes no call.
pub(crate) fn open_key(place: &Place, key: &CloudKey) -> Result<Arc<dyn Provider>, Failure> {
    open_with_origin(place, key).map(|(provider, _)| provider)
}

/// Opens the adapter for a cloud, and says where its credentials are from.
pub(crate) fn open_with_origin(
    place: &Place,
    key: &CloudKey,
) -> Result<(Arc<dyn Provider>, Origin), Failure> {
    let registry = registry(place);
    let keys = keys();
    let authentication = authentication(place)?;
    let sources = Sources {
        registry: &registry,
        keys: &keys,
        authentication: authentication.as_ref(),
    };
    let resolution = resolve(key, &sources).map_err(|error| failure_of(&error))?;
    let provider = match resolution.settings {
        CloudSettings::Ec2(access) => open_ec2(key, access),
        CloudSettings::Nova(access) => open_nova(key, &access),
        CloudSettings::Docker(access) => open_docker(key, access, default_image(key, &registry)?),
    }?;
    Ok((provider, resolution.origin))
}

/// Returns the clouds that the user has named.
pub(crate) fn registry(place: &Place) -> Registry {
    Registry::new(place.directory().join("clouds"))
}

/// Says where keys of sealed secrets come from.
pub(crate) fn keys() -> Keys {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let configuration =
        || of("XDG_CONFIG_HOME").or_else(|| of("HOME").map(|home| home.join(".config")));
    let key_file =
        of("ZENEKAR_KEY_FILE").or_else(|| configuration().map(|folder| folder.join("zenekar/key")));
    Keys::new(
        key_file,
        of("ZENEKAR_PASSPHRASE_FILE"),
        crate::commands::cloud::ask_passphrase(),
    )
}

/// Reads Occopus's authentication file, where there is one.
fn authentication(place: &Place) -> Result<Option<AuthenticationFile>, Failure> {
    let searched = SearchedFile::Authentication;
    let places = SearchPlaces {
        given: place.authentication_file().map(Path::to_path_buf),
        variable: std::env::var_os(searched.variable()).map(PathBuf::from),
        home: std::env::var_os("HOME").map(PathBuf::from),
        ..SearchPlaces::default()
    };
    let Some(found) = places.find(searched, &|path| path.is_file()) else {
        return Ok(None);
    };
    let mut sources = SourceMap::default();
    let (file, findings) = AuthenticationFile::load(&found.path, &mut sources);
    match findings.iter().find(|finding| finding.is_error()) {
        Some(error) => Err(Failure::new(
            Exit::Auth,
            format!(
                "`{}` cannot be used: {}",
                found.path.display(),
                error.message
            ),
        )
        .hint("`zenekar cloud add` keeps credentials apart from Occopus's files")),
        None => Ok(file),
    }
}

/// Returns what a named cloud gives to machines that name no image: an image, and its tag.
fn default_image(
    key: &CloudKey,
    registry: &Registry,
) -> Result<(Option<String>, Option<String>), Failure> {
    let Some(name) = &key.cloud else {
        return Ok((None, None));
    };
    let cloud = registry.get(name).map_err(|error| failure_of(&error))?;
    let default = |key: &str| cloud.as_ref()?.defaults.get(key).cloned();
    Ok((default("image"), default("tag")))
}

fn open_docker(
    key: &CloudKey,
    access: DockerAccess,
    (default_image, default_tag): (Option<String>, Option<String>),
) -> Result<Arc<dyn Provider>, Failure> {
    let opened = DockerProvider::open(DockerSettings {
        name: key.to_string(),
        endpoint: access.endpoint,
        certificates: access.certificates,
        default_image,
        default_tag,
        // The name stays right when the file is replaced or removed meanwhile.
        executable: PathBuf::from("/proc/self/exe"),
    });
    Ok(Arc::new(
        opened.map_err(|error| opening_failed(key, &error))?,
    ))
}

fn open_ec2(key: &CloudKey, access: Ec2Access) -> Result<Arc<dyn Provider>, Failure> {
    if access.region.is_none() {
        // A region that is found anew each time would be another one some day,
        // and what is not seen there would count as gone.
        return Err(Failure::new(
            Exit::Auth,
            format!("`{key}` does not say which region it is"),
        )
        .hint("set `AWS_REGION`, write `regionname`, or name the cloud: `zenekar cloud add NAME --type ec2 --region …`"));
    }
    let credentials = access.keys.map(|keys| {
        let Ec2Keys {
            access_key,
            secret_key,
            session_token,
        } = keys;
        Ec2Credentials {
            access_key,
            secret_key,
            session_token,
        }
    });
    let opened = Ec2Provider::open(Ec2Settings {
        name: key.to_string(),
        region: access.region,
        endpoint: access.endpoint,
        credentials,
        profile: access.profile,
        certificates: certificates(access.ca_file.as_deref())?,
    });
    Ok(Arc::new(
        opened.map_err(|error| opening_failed(key, &error))?,
    ))
}

fn open_nova(key: &CloudKey, access: &NovaAccess) -> Result<Arc<dyn Provider>, Failure> {
    let mut settings = nova_settings(key, access)?;
    settings.name = key.to_string();
    if let Some(interface) = &access.interface {
        settings.interface = Interface::from_name(interface).ok_or_else(|| {
            Failure::usage(format!(
                "`{interface}` is no interface of OpenStack's services"
            ))
            .hint("there are `public`, `internal` and `admin`")
        })?;
    }
    settings
        .certificates
        .extend(certificates(access.ca_file.as_deref())?);
    let opened = OpenStackProvider::open(settings);
    Ok(Arc::new(
        opened.map_err(|error| opening_failed(key, &error))?,
    ))
}

/// Finds out where an `OpenStack` is and how to sign in there.
fn nova_settings(
    key: &CloudKey,
    access: &NovaAccess,
) -> Result<openstack::OpenStackSettings, Failure> {
    // The name is ours, and not one of a `clouds.yaml`.
    let found = CloudKey {
        kind: key.kind.clone(),
        cloud: None,
        region: access.region.clone(),
        endpoint: access.endpoint.clone(),
        project: access.project.clone(),
    };
    let explicit = access.login.as_ref().map(|login| match login {
        NovaLogin::Password { username, password } => AuthData::new([
            ("username".to_owned(), username.clone().into()),
            ("password".to_owned(), password.clone()),
        ]),
        NovaLogin::ApplicationCredential { id, secret } => AuthData::new([
            (
                "type".to_owned(),
                "application_credential".to_owned().into(),
            ),
            ("id".to_owned(), id.clone().into()),
            ("secret".to_owned(), secret.clone()),
        ]),
    });
    let asked = openstack::Place {
        key: &found,
        user_domain: access.user_domain_name.as_deref(),
    };
    openstack::resolve(&asked, explicit.as_ref(), &Surroundings::of_this_process()).map_err(
        |error| {
            Failure::new(Exit::Auth, format!("cannot use `{key}`: {error}"))
                .hint("`zenekar cloud add` keeps credentials; `OS_*` and `clouds.yaml` count too")
        },
    )
}

/// Finds out where the `OpenStack` is that the environment means.
pub(crate) fn nova_of_environment() -> Option<(String, Option<String>)> {
    let key = CloudKey::of_kind("nova");
    let settings = nova_settings(&key, &NovaAccess::default()).ok()?;
    Some((settings.endpoint, settings.region))
}

fn opening_failed(key: &CloudKey, error: &zenekar_base::ProviderError) -> Failure {
    Failure::new(
        exit_of_class(error.class),
        format!("cannot use `{key}`: {}", error.message),
    )
}

/// Makes a failure of a cloud's settings or secrets.
pub(crate) fn failure_of(error: &CredentialsError) -> Failure {
    Failure::new(Exit::Auth, error.to_string())
        .because_of(std::error::Error::source(error))
        .hint(error.hint().unwrap_or_else(|| {
            "`zenekar cloud list` shows the clouds that are known here".to_owned()
        }))
}

/// Reads certificates that are trusted besides the machine's.
fn certificates(file: Option<&Path>) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let failed = |why: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "cannot read the certificates `{}`: {why}",
            file.display()
        ))
    };
    let size = std::fs::metadata(file)
        .map_err(|error| failed(&error))?
        .len();
    if size > CERTIFICATES_BYTES_MAX {
        return Err(failed(&"the file is far too large"));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(&error))?;
    Ok(vec![bytes])
}
