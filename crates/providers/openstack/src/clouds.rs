//! Which cloud, and who we are there: what Occopus keeps in `auth_data`, the
//! files `clouds.yaml` and `secure.yaml` of `OpenStack`'s tools, their variables `OS_*`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zenekar_base::CloudKey;
use zenekar_diagnostics::{Severity, SourceMap};
use zenekar_document::{Kind, Limits, View, load_text};

use crate::keystone::{base_of, listed};
use crate::settings::{Authentication, Credential, Domain, Interface, Named, OpenStackSettings};

/// The longest file that is read: hundreds of clouds, or a bundle of certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The names that `OpenStack`'s tools look for.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// What the end of an endpoint's own setting is called.
const OVERRIDE: &str = "_endpoint_override";

/// Settings whose values are secret, and so have to be text: a number would not
/// be what was written.
const SECRETS: [&str; 3] = ["password", "application_credential_secret", "token"];

/// The credentials are not there, or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

fn refuse<T>(message: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError(message.into()))
}

/// The credentials of one cloud as Occopus keeps them: `username` and
/// `password`, or `type: application_credential` with `id` and `secret`.
#[derive(Clone, Default)]
pub struct AuthData {
    parts: BTreeMap<String, SecretString>,
}

impl AuthData {
    /// Makes them of their parts.
    pub fn new(parts: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.parts.get(name).map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for AuthData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.parts.keys().collect();
        formatter.debug_tuple("AuthData").field(&names).finish()
    }
}

/// What is asked for: where, and what the descriptor says of the user.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The provider's name, with what is known of region, endpoint, project and
    /// the name of the cloud.
    pub key: &'a CloudKey,
    /// The domain of the user: `user_domain_name`.
    pub user_domain: Option<&'a str>,
}

/// What a process finds around it.
#[derive(Clone, Default)]
pub struct Surroundings {
    variables: BTreeMap<String, String>,
    folders: Vec<PathBuf>,
}

impl Surroundings {
    /// Looks at this process: its variables, and the folders that `OpenStack`'s
    /// tools look into.
    pub fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let home = variable("HOME").map(PathBuf::from);
        let settings = variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(home?.join(".config")));
        let mut folders = vec![PathBuf::from(".")];
        folders.extend(settings.map(|folder| folder.join("openstack")));
        folders.push(PathBuf::from("/etc/openstack"));
        Self::new(
            std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }),
            folders,
        )
    }

    /// Takes given variables and folders.
    pub fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let variables = variables.into_iter();
        Self {
            variables: variables
                .filter(|(name, value)| name.starts_with("OS_") && !value.is_empty())
                .collect(),
            folders: folders.into_iter().collect(),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Finds one of the tools' files: where a variable says, else the first that is there.
    fn file(&self, variable: &str, stem: &str) -> Option<PathBuf> {
        if let Some(path) = self.variable(variable) {
            return Some(PathBuf::from(path));
        }
        let names = ENDINGS.map(|ending| format!("{stem}.{ending}"));
        let mut paths = self
            .folders
            .iter()
            .flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        paths.find(|path| path.is_file())
    }

    /// Reads the clouds of the tools' files, what is secret in one of its own included.
    fn clouds(&self) -> Result<BTreeMap<String, Entry>, SettingsError> {
        let mut clouds = BTreeMap::new();
        for (variable, stem) in [
            ("OS_CLIENT_CONFIG_FILE", "clouds"),
            ("OS_CLIENT_SECURE_FILE", "secure"),
        ] {
            if let Some(path) = self.file(variable, stem) {
                read_clouds(&path, &mut clouds)?;
            }
        }
        Ok(clouds)
    }

    /// Returns the variables that describe a cloud, as an entry of the files would.
    fn entry(&self) -> Entry {
        let settings = self.variables.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("OS_")?.to_ascii_lowercase();
            Some((name, value.clone()))
        });
        Entry {
            origin: "the variables `OS_*`".to_owned(),
            settings: settings.collect(),
        }
    }
}

/// One cloud's settings, flat.
#[derive(Clone, Default)]
struct Entry {
    /// Where they are from, for messages.
    origin: String,
    settings: BTreeMap<String, String>,
}

impl Entry {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.settings.get(name).map(String::as_str);
        value.filter(|text| !text.is_empty())
    }

    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    fn has_credentials(&self) -> bool {
        let names = ["password", "token", "application_credential_secret"];
        self.first(&names).is_some()
    }

    /// Says whether its credentials may be shown to an endpoint: nobody's
    /// password goes to a cloud that it is not for.
    fn fits(&self, endpoint: Option<&str>) -> bool {
        match (endpoint, self.get("auth_url")) {
            (Some(wanted), Some(own)) => base_of(wanted) == base_of(own),
            // They do not say which cloud they are for, and a descriptor may name any.
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, SettingsError> {
    let failed =
        |reason: String| SettingsError(format!("cannot read `{}`: {reason}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Reads a file of clouds over what is already known of them. Messages show no
/// piece of the file: any may be a secret.
fn read_clouds(path: &Path, clouds: &mut BTreeMap<String, Entry>) -> Result<(), SettingsError> {
    let name = path.display().to_string();
    let text = String::from_utf8(read_file(path)?)
        .map_err(|_| SettingsError(format!("cannot read `{name}`: it is not UTF-8")))?;
    let mut sources = SourceMap::default();
    let loaded = load_text(&name, &text, &Limits::default(), &mut sources);
    let mistake = loaded
        .diagnostics
        .iter()
        .find(|one| one.severity == Severity::Error);
    if let Some(mistake) = mistake {
        let line = mistake
            .primary
            .as_ref()
            .map_or(0, |label| sources.position(label.span).line);
        return refuse(format!("`{name}`, line {line}: {}", mistake.code.title));
    }
    let root = loaded.document.root();
    let Some(list) = root.and_then(|root| root.get("clouds")) else {
        return Ok(());
    };
    for entry in list.entries() {
        let cloud = entry.key.text();
        let known = clouds.entry(cloud.to_owned()).or_default();
        if known.origin.is_empty() {
            known.origin = format!("cloud `{cloud}` of `{name}`");
        }
        read_settings(entry.value, known)?;
    }
    Ok(())
}

fn read_settings(view: View<'_>, entry: &mut Entry) -> Result<(), SettingsError> {
    for setting in view.entries() {
        let name = setting.key.text();
        match setting.value.kind() {
            Kind::Map if name == "auth" => read_settings(setting.value, entry)?,
            Kind::List if name == "regions" => {
                // The first one counts; an item may be a mapping with a name.
                let first = setting.value.items().next();
                let region =
                    first.and_then(|one| one.as_str().or_else(|| one.get("name")?.as_str()));
                if let Some(region) = region {
                    let region = region.to_owned();
                    entry
                        .settings
                        .entry("region_name".to_owned())
                        .or_insert(region);
                }
            }
            Kind::String(text) => {
                entry.settings.insert(name.to_owned(), text.to_owned());
            }
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Date(_)
                if SECRETS.contains(&name) =>
            {
                return refuse(format!(
                    "{}: `{name}` is not text; put it in quotes",
                    entry.origin
                ));
            }
            Kind::Int(number) => {
                entry.settings.insert(name.to_owned(), number.to_string());
            }
            Kind::Bool(truth) => {
                entry.settings.insert(name.to_owned(), truth.to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Finds out which cloud is meant and how to show who we are.
///
/// `explicit` credentials win. Without them, those of a named cloud count
/// (`cloud=` in the key, else `OS_CLOUD`), then the variables `OS_*`, then the
/// only cloud of the files that has the wanted endpoint. Region, endpoint and
/// project of the key win over those of what is found.
pub fn resolve(
    place: &Place<'_>,
    explicit: Option<&AuthData>,
    surroundings: &Surroundings,
) -> Result<OpenStackSettings, SettingsError> {
    let key = place.key;
    let entry = match explicit {
        Some(data) => explicit_entry(key, data, surroundings)?,
        None => found_entry(key, surroundings)?,
    };
    let mut settings = settings_of(place, &entry)?;
    settings.origin = explicit.is_none().then_some(entry.origin);
    Ok(settings)
}

fn found_entry(key: &CloudKey, surroundings: &Surroundings) -> Result<Entry, SettingsError> {
    let endpoint = key.endpoint.as_deref();
    let clouds = surroundings.clouds()?;
    if let Some(name) = &key.cloud {
        return match clouds.get(name) {
            Some(entry) if entry.fits(endpoint) => Ok(entry.clone()),
            Some(entry) => refuse(format!("{} is at another endpoint", entry.origin)),
            None => {
                let names: Vec<&str> = clouds.keys().map(String::as_str).collect();
                refuse(format!(
                    "there is no cloud `{name}` in `clouds.yaml`{}",
                    those(&names)
                ))
            }
        };
    }
    if let Some(name) = surroundings.variable("OS_CLOUD") {
        match clouds.get(name) {
            Some(entry) if entry.fits(endpoint) => return Ok(entry.clone()),
            Some(_) => {}
            None => {
                return refuse(format!(
                    "`OS_CLOUD` names `{name}`, which no `clouds.yaml` has"
                ));
            }
        }
    }
    let variables = surroundings.entry();
    if variables.has_credentials() && variables.fits(endpoint) {
        return Ok(variables);
    }
    let fitting: Vec<(&String, &Entry)> = clouds
        .iter()
        .filter(|(_, entry)| entry.fits(endpoint) && entry.get("auth_url").is_some())
        .collect();
    match fitting.as_slice() {
        [(_, entry)] => Ok((*entry).clone()),
        [] => refuse(missing(&variables, endpoint)),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            refuse(format!(
                "several clouds could be meant{}; choose one with `OS_CLOUD`",
                those(&names)
            ))
        }
    }
}

/// Says why none of the credentials that are there is for an endpoint.
fn missing(variables: &Entry, endpoint: Option<&str>) -> String {
    let Some(endpoint) = endpoint else {
        return "there are no credentials: neither the variables `OS_*` nor a `clouds.yaml` have some"
            .to_owned();
    };
    match variables.get("auth_url") {
        _ if !variables.has_credentials() => format!(
            "there are no credentials for `{endpoint}`: neither the variables `OS_*` nor a `clouds.yaml` have some"
        ),
        Some(other) => format!(
            "the credentials of the variables `OS_*` are for `{other}`, and no `clouds.yaml` has some for `{endpoint}`"
        ),
        None => format!(
            "the credentials of the variables `OS_*` are sent to no endpoint but that of `OS_AUTH_URL`, which is not set: set it to `{endpoint}` to use them there"
        ),
    }
}

fn those(names: &[&str]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(": {}", listed(names))
}

/// Puts explicit credentials into the form of the files. Of what is around, only
/// the endpoint, the region and the like of a cloud that is named are used.
fn explicit_entry(
    key: &CloudKey,
    data: &AuthData,
    surroundings: &Surroundings,
) -> Result<Entry, SettingsError> {
    let mut entry = match &key.cloud {
        Some(name) => surroundings.clouds()?.remove(name).unwrap_or_default(),
        None => Entry::default(),
    };
    if key.endpoint.is_none() && entry.get("auth_url").is_none() {
        let around = surroundings.entry();
        for name in ["auth_url", "region_name", "cacert", "interface"] {
            if let Some(value) = around.get(name) {
                entry.settings.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    if let Some(path) = surroundings.variable("OS_CACERT") {
        entry
            .settings
            .entry("cacert".to_owned())
            .or_insert(path.to_owned());
    }
    "the given credentials".clone_into(&mut entry.origin);
    for name in SECRETS.iter().chain(&["auth_type", "username", "user_id"]) {
        entry.settings.remove(*name);
    }
    let names: &[(&str, &str)] = match data.get("type") {
        None | Some("password") => &[
            ("username", "username"),
            ("user_id", "user_id"),
            ("password", "password"),
        ],
        Some("application_credential") => &[
            ("id", "application_credential_id"),
            ("name", "application_credential_name"),
            ("secret", "application_credential_secret"),
            ("username", "username"),
            ("user_id", "user_id"),
        ],
        Some("token") => &[("token", "token")],
        Some(other) => {
            return refuse(format!(
                "credentials of type `{other}` are not known; there are `password`, `application_credential` and `token`"
            ));
        }
    };
    let shared = [
        "user_domain_name",
        "user_domain_id",
        "project_id",
        "project_name",
        "project_domain_name",
        "project_domain_id",
    ];
    let all = names.iter().copied().chain(shared.map(|name| (name, name)));
    for (theirs, ours) in all {
        if let Some(value) = data.get(theirs) {
            entry.settings.insert(ours.to_owned(), value.to_owned());
        }
    }
    Ok(entry)
}

fn settings_of(place: &Place<'_>, entry: &Entry) -> Result<OpenStackSettings, SettingsError> {
    let key = place.key;
    let endpoint = key.endpoint.as_deref().or(entry.get("auth_url"));
    let Some(endpoint) = endpoint else {
        let vendor = entry
            .get("profile")
            .map_or("", |_| "; profiles of vendors are not known");
        return refuse(format!("{}: `auth_url` is missing{vendor}", entry.origin));
    };
    let authentication = authentication_of(place, entry)?;
    let mut settings = OpenStackSettings::new(key.to_string(), endpoint, authentication);
    let region = key.region.as_deref().or(entry.get("region_name"));
    settings.region = region.map(str::to_owned);
    if let Some(name) = entry.first(&["interface", "endpoint_type"]) {
        let Some(interface) = Interface::from_name(name) else {
            return refuse(format!("{}: there is no interface `{name}`", entry.origin));
        };
        settings.interface = interface;
    }
    for (name, value) in &entry.settings {
        if let Some(service) = name.strip_suffix(OVERRIDE) {
            let service = service.replace('_', "-");
            settings.endpoints.insert(service, value.clone());
        }
    }
    let word = |name: &str| entry.get(name).map(str::to_ascii_lowercase);
    let says = |name: &str, words: [&str; 3]| {
        word(name).is_some_and(|text| words.contains(&text.as_str()))
    };
    settings.accepts_any_certificate =
        says("verify", ["false", "no", "0"]) || says("insecure", ["true", "yes", "1"]);
    if let Some(path) = entry.get("cacert") {
        settings.certificates.push(read_file(Path::new(path))?);
    }
    Ok(settings)
}

fn domain_of(entry: &Entry, whose: &str) -> Option<Domain> {
    let id = entry.get(&format!("{whose}_domain_id"));
    let name = entry.get(&format!("{whose}_domain_name"));
    let id = id.map(|id| Domain::Id(id.to_owned()));
    id.or_else(|| name.map(|name| Domain::Name(name.to_owned())))
        .or_else(|| {
            let default = entry.first(&["default_domain", "default_domain_id"])?;
            Some(Domain::Id(default.to_owned()))
        })
}

fn authentication_of(place: &Place<'_>, entry: &Entry) -> Result<Authentication, SettingsError> {
    let missing = |name: &str| SettingsError(format!("{}: `{name}` is missing", entry.origin));
    let secret = |name: &str| {
        entry
            .get(name)
            .map(SecretString::from)
            .ok_or_else(|| missing(name))
    };
    let project = project_of(place.key, entry);
    let kind = entry.get("auth_type").unwrap_or_default();
    let has = |name: &str| entry.get(name).is_some();
    if kind == "v3applicationcredential" || has("application_credential_secret") {
        let id = entry.get("application_credential_id");
        let credential = match (id, entry.get("application_credential_name")) {
            (Some(id), _) => Credential::Id(id.to_owned()),
            (None, Some(name)) => Credential::Name {
                name: name.to_owned(),
                user: user_of(place, entry).ok_or_else(|| missing("username"))?,
            },
            (None, None) => return Err(missing("application_credential_id")),
        };
        let secret = secret("application_credential_secret")?;
        return Ok(Authentication::ApplicationCredential { credential, secret });
    }
    if kind.ends_with("token") || (has("token") && !has("password")) {
        let token = secret("token")?;
        return Ok(Authentication::Token { token, project });
    }
    if !matches!(kind, "" | "password" | "v3password") {
        return refuse(format!(
            "{}: `auth_type` `{kind}` is not known",
            entry.origin
        ));
    }
    Ok(Authentication::Password {
        user: user_of(place, entry).ok_or_else(|| missing("username"))?,
        password: secret("password")?,
        project,
    })
}

fn user_of(place: &Place<'_>, entry: &Entry) -> Option<Named> {
    if let Some(id) = entry.get("user_id") {
        return Some(Named::Id(id.to_owned()));
    }
    let name = entry.first(&["username", "user_name"])?.to_owned();
    let described = place.user_domain.map(|name| Domain::Name(name.to_owned()));
    let domain = domain_of(entry, "user").or(described).unwrap_or_default();
    Some(Named::Name { name, domain })
}

fn project_of(key: &CloudKey, entry: &Entry) -> Option<Named> {
    if let Some(project) = &key.project {
        // Descriptors call it an id, and variables may have a name in its place.
        return Some(if is_id(project) {
            Named::Id(project.clone())
        } else {
            named_project(project.clone(), entry)
        });
    }
    if let Some(id) = entry.first(&["project_id", "tenant_id"]) {
        return Some(Named::Id(id.to_owned()));
    }
    let name = entry.first(&["project_name", "tenant_name"])?.to_owned();
    Some(named_project(name, entry))
}

fn named_project(name: String, entry: &Entry) -> Named {
    let domain = domain_of(entry, "project").or_else(|| domain_of(entry, "user"));
    Named::Name {
        name,
        domain: domain.unwrap_or_default(),
    }
}

/// Says whether a text is what Keystone makes ids of: hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.chars()
        .all(|one| one.is_ascii_hexdigit() || one == '-')
}
