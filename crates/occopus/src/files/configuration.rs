//! Occopus's configuration file: what of it means something here.

use std::path::Path;

use zenekar_diagnostics::codes::files as codes;
use zenekar_diagnostics::{Diagnostic, SourceMap, Span};
use zenekar_document::{Kind, Limits, View, load_configuration_file};

use crate::checker::with_article;

/// Bytes of the files together: the one that Occopus brings has 4 kB.
const BYTES_MAX: usize = 4 << 20;

/// Databases of one Redis by prefix; Occopus has two.
const DATABASES_MAX: usize = 1_000;

/// The modules that Occopus 1.10 has, without their packages' own names.
const MODULES: &[&str] = &[
    "occo.configmanager",
    "occo.infobroker",
    "occo.infobroker.brokering",
    "occo.infobroker.cloud_provider",
    "occo.infobroker.dynamic_state_provider",
    "occo.infobroker.eventlog",
    "occo.infobroker.kvstore",
    "occo.infobroker.notifier",
    "occo.infobroker.provider",
    "occo.infobroker.rediskvstore",
    "occo.infobroker.remote",
    "occo.infobroker.uds",
    "occo.infobroker.userinfo",
    "occo.infraprocessor",
    "occo.infraprocessor.node_resolution",
    "occo.infraprocessor.synchronization",
    "occo.infraprocessor.synchronization.primitives",
    "occo.plugins.configmanager.chef",
    "occo.plugins.configmanager.dummy",
    "occo.plugins.configmanager.puppet_solo",
    "occo.plugins.infraprocessor.basic_infraprocessor",
    "occo.plugins.infraprocessor.node_resolution.basic",
    "occo.plugins.infraprocessor.node_resolution.cloudinit",
    "occo.plugins.infraprocessor.node_resolution.docker",
    "occo.plugins.resourcehandler.azure_aci",
    "occo.plugins.resourcehandler.azure_vm",
    "occo.plugins.resourcehandler.cloudbroker",
    "occo.plugins.resourcehandler.cloudsigma",
    "occo.plugins.resourcehandler.docker",
    "occo.plugins.resourcehandler.ec2",
    "occo.plugins.resourcehandler.nova",
    "occo.resourcehandler",
];

/// Modules that older releases had, with what became of them.
const REMOVED_MODULES: &[(&str, &str)] = &[
    (
        "occo.plugins.resourcehandler.occi",
        "it was removed in Occopus 1.8",
    ),
    (
        "occo.plugins.resourcehandler.azure",
        "it became `azure_vm` and `azure_aci`",
    ),
    (
        "occo.plugins.infraprocessor.node_resolution.cloudbroker",
        "it was removed in Occopus 1.5",
    ),
];

/// The Redis in which Occopus keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The number of the database for keys without a database of their own.
    pub database: u32,
    /// The numbers of the databases for keys with a prefix, by prefix.
    pub databases: Vec<(String, u32)>,
}

impl Default for RedisSettings {
    /// Returns what Occopus assumes if nothing is configured.
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 6379,
            database: 0,
            databases: Vec::new(),
        }
    }
}

impl RedisSettings {
    /// Returns the number of the database that holds keys with a prefix.
    pub fn database_of(&self, prefix: &str) -> u32 {
        self.databases
            .iter()
            .find(|(known, _)| known == prefix)
            .map_or(self.database, |(_, number)| *number)
    }
}

/// What Occopus's configuration file says that Zenekar goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OccopusConfiguration {
    /// Where the REST service listens.
    pub rest_host: Option<String>,
    /// The port of the REST service.
    pub rest_port: Option<u16>,
    /// The Redis, if it is configured.
    pub redis: Option<RedisSettings>,
    /// Whether clouds should not be called.
    pub dry_run: bool,
}

impl OccopusConfiguration {
    /// Reads a configuration file. There is none if it has an error; warnings come beside it.
    pub fn load(path: &Path, sources: &mut SourceMap) -> (Option<Self>, Vec<Diagnostic>) {
        let limits = Limits {
            bytes_max: BYTES_MAX,
            ..Limits::default()
        };
        let loaded = load_configuration_file(path, &limits, sources);
        let mut reader = Reader {
            configuration: Self::default(),
            diagnostics: loaded.diagnostics,
        };
        if let Some(root) = loaded.document.root() {
            reader.read(root);
        }
        let has_error = reader.diagnostics.iter().any(Diagnostic::is_error);
        (
            (!has_error).then_some(reader.configuration),
            reader.diagnostics,
        )
    }
}

struct Reader {
    configuration: OccopusConfiguration,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn read(&mut self, root: View<'_>) {
        if root.kind() != Kind::Map {
            self.wrong_type("a configuration file", "a mapping", root);
            return;
        }
        for entry in root.entries() {
            match entry.key.text() {
                "plugins" | "autoimport" => self.read_modules(entry.value),
                "components" if entry.value.kind() == Kind::Map => {
                    self.read_components(entry.value);
                }
                "components" => self.wrong_type("`components`", "a mapping", entry.value),
                // Every file has it, so that a finding would be noise.
                "logging" => {}
                key => {
                    let message = format!("`{key}` has no effect");
                    self.without_effect(&message, entry.key.span());
                }
            }
        }
    }

    fn read_modules(&mut self, list: View<'_>) {
        for item in list.items() {
            let Some(name) = item.as_str() else { continue };
            if MODULES.contains(&name) {
                continue;
            }
            let removed = REMOVED_MODULES.iter().find(|(known, _)| *known == name);
            let diagnostic = Diagnostic::warning(
                &codes::UNKNOWN_MODULE,
                format!("there is nothing for the module `{name}`"),
            )
            .at(item.span());
            self.diagnostics.push(match removed {
                Some((_, reason)) => diagnostic.help(*reason),
                None => diagnostic.help("plug-ins of Occopus cannot be used; nothing is imported"),
            });
        }
    }

    fn read_components(&mut self, components: View<'_>) {
        for entry in components.entries() {
            let value = entry.value;
            match entry.key.text() {
                "rest" => self.read_rest(value),
                "uds" => self.read_redis(value),
                "dry_run" => self.read_dry_run(value),
                _ => {
                    if let Some(dry_run) = value.get("dry_run") {
                        self.read_dry_run(dry_run);
                    }
                }
            }
        }
    }

    fn read_rest(&mut self, rest: View<'_>) {
        if let Some(host) = rest.get("host") {
            self.configuration.rest_host = self.text("`host` of `rest`", host);
        }
        if let Some(port) = rest.get("port") {
            self.configuration.rest_port = self.port("`port` of `rest`", port);
        }
    }

    fn read_redis(&mut self, uds: View<'_>) {
        if uds.kind() != Kind::Map {
            return;
        }
        if let Some(protocol) = uds.get("protocol")
            && protocol.as_str() != Some("redis")
        {
            self.diagnostics.push(
                Diagnostic::warning(
                    &codes::SETTING_WITHOUT_EFFECT,
                    "only the `protocol` `redis` keeps a state that can be read",
                )
                .at(protocol.span()),
            );
            return;
        }
        let mut redis = RedisSettings::default();
        if let Some(host) = uds
            .get("host")
            .and_then(|host| self.text("`host` of `uds`", host))
        {
            redis.host = host;
        }
        if let Some(port) = uds
            .get("port")
            .and_then(|port| self.port("`port` of `uds`", port))
        {
            redis.port = port;
        }
        if let Some(number) = uds
            .get("db")
            .and_then(|view| self.number("`db` of `uds`", view))
        {
            redis.database = number;
        }
        if let Some(databases) = uds.get("altdbs") {
            if !matches!(databases.kind(), Kind::Map | Kind::Null) {
                self.wrong_type("`altdbs` of `uds`", "a mapping", databases);
            }
            for entry in databases.entries().take(DATABASES_MAX) {
                let prefix = entry.key.text();
                let subject = format!("`{prefix}` of `altdbs`");
                if let Some(number) = self.number(&subject, entry.value) {
                    redis.databases.push((prefix.to_owned(), number));
                }
            }
        }
        self.configuration.redis = Some(redis);
    }

    fn read_dry_run(&mut self, view: View<'_>) {
        match view.kind() {
            Kind::Bool(true) => {
                self.configuration.dry_run = true;
                self.without_effect(
                    "`dry_run` has no effect here: use `zenekar plan`",
                    view.span(),
                );
            }
            Kind::Bool(false) | Kind::Null => {}
            _ => self.wrong_type("`dry_run`", "a boolean", view),
        }
    }

    fn text(&mut self, subject: &str, view: View<'_>) -> Option<String> {
        match view.kind() {
            Kind::Null => None,
            Kind::String(text) => Some(text.to_owned()),
            _ => {
                self.wrong_type(subject, "text", view);
                None
            }
        }
    }

    fn port(&mut self, subject: &str, view: View<'_>) -> Option<u16> {
        let port = self.number(subject, view)?;
        let port = u16::try_from(port).ok().filter(|port| *port > 0);
        if port.is_none() {
            self.diagnostics.push(
                Diagnostic::error(
                    &codes::MALFORMED_CONFIGURATION,
                    format!("{subject} must be from 1 to 65535"),
                )
                .at(view.span()),
            );
        }
        port
    }

    /// Reads a number, which may be given as text too.
    fn number(&mut self, subject: &str, view: View<'_>) -> Option<u32> {
        if view.kind() == Kind::Null {
            return None;
        }
        let number = view
            .as_int()
            .or_else(|| view.as_str().and_then(|text| text.parse().ok()))
            .and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.wrong_type(subject, "a number that is not negative", view);
        }
        number
    }

    fn without_effect(&mut self, message: &str, place: Span) {
        self.diagnostics
            .push(Diagnostic::note(&codes::SETTING_WITHOUT_EFFECT, message).at(place));
    }

    fn wrong_type(&mut self, subject: &str, wanted: &str, found: View<'_>) {
        self.diagnostics.push(
            Diagnostic::error(
                &codes::MALFORMED_CONFIGURATION,
                format!(
                    "{subject} must be {wanted}, but is {}",
                    with_article(found.type_name())
                ),
            )
            .at(found.span()),
        );
    }
}
