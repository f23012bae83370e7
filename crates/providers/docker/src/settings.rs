//! Which engine, and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};

use zenekar_base::{ErrorClass, ProviderError};

use crate::spec::image_name;

/// Where the engine of a machine listens.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The port of engines without TLS.
const PLAIN_PORT: u16 = 2375;
/// The port of engines with TLS.
const TLS_PORT: u16 = 2376;

/// The image of machines for which a descriptor names none.
pub const DEFAULT_IMAGE: &str = "debian:12";

/// Which engine, and what instances are made with there.
#[derive(Clone, Debug)]
pub struct DockerSettings {
    /// The provider's name: the text of a [`zenekar_base::CloudKey`].
    pub name: String,
    /// Where the engine is; none takes `DOCKER_HOST`, else the machine's own engine.
    pub endpoint: Option<String>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`; none takes
    /// `DOCKER_CERT_PATH`, else `.docker` in the home folder.
    pub certificates: Option<PathBuf>,
    /// The image of machines for which a descriptor names none; none takes
    /// [`DEFAULT_IMAGE`]. A machine with that image and without a command runs
    /// nothing but the agent.
    pub default_image: Option<String>,
    /// The tag of that image, which counts before one in the image's name.
    pub default_tag: Option<String>,
    /// The program that [`crate::run_hidden`] is part of: it is put into
    /// instances, and runs commands there.
    pub executable: PathBuf,
}

impl DockerSettings {
    /// Returns the whole name of the image of machines that name none.
    pub(crate) fn default_image_name(&self) -> String {
        let is_said = |text: &&str| !text.is_empty();
        let tag = self.default_tag.as_deref().filter(is_said);
        match self.default_image.as_deref().filter(is_said) {
            // What is no name of an image is told where it is used.
            Some(image) => image_name(image, tag).unwrap_or_else(|_| image.to_owned()),
            None => DEFAULT_IMAGE.to_owned(),
        }
    }
}

/// How an engine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Over a socket of this machine.
    Socket(PathBuf),
    /// Over TCP, without protection.
    Plain { host: String, port: u16 },
    /// Over TLS, with a client's certificate.
    Tls {
        host: String,
        port: u16,
        folder: PathBuf,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix://{}", path.display()),
            Self::Plain { host, port } => write!(formatter, "http://{host}:{port}"),
            Self::Tls { host, port, .. } => write!(formatter, "https://{host}:{port}"),
        }
    }
}

impl Endpoint {
    /// Reads what settings and environment say of the engine.
    pub(crate) fn of(settings: &DockerSettings) -> Result<Self, ProviderError> {
        let of_environment = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let text = settings
            .endpoint
            .clone()
            .or_else(|| of_environment("DOCKER_HOST"));
        let folder = settings
            .certificates
            .clone()
            .or_else(|| of_environment("DOCKER_CERT_PATH").map(PathBuf::from))
            .or_else(|| of_environment("HOME").map(|home| Path::new(&home).join(".docker")));
        let wants_tls =
            settings.certificates.is_some() || of_environment("DOCKER_TLS_VERIFY").is_some();
        Self::parse(text.as_deref(), wants_tls, folder)
            .map_err(|reason| ProviderError::new(ErrorClass::Invalid, reason))
    }

    fn parse(text: Option<&str>, wants_tls: bool, folder: Option<PathBuf>) -> Result<Self, String> {
        let text = text.map_or("", str::trim);
        if text.is_empty() {
            return Ok(Self::Socket(PathBuf::from(DEFAULT_SOCKET)));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            // Descriptors say `unix://var/run/docker.sock`, too.
            return Ok(Self::Socket(PathBuf::from(format!(
                "/{}",
                path.trim_start_matches('/')
            ))));
        }
        if text.starts_with('/') {
            return Ok(Self::Socket(PathBuf::from(text)));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            format!("endpoint `{text}` is no address: it lacks `tcp://`, `https://` or `unix://`")
        })?;
        let is_tls = match scheme {
            "tcp" => wants_tls,
            "http" => false,
            "https" => true,
            _ => {
                return Err(format!(
                    "engines cannot be reached over `{scheme}`: `tcp`, `http`, `https` and `unix` are possible"
                ));
            }
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let standard = if is_tls { TLS_PORT } else { PLAIN_PORT };
        let (host, port) = host_and_port(authority, standard)
            .ok_or_else(|| format!("endpoint `{text}` has no host, or a port that is no number"))?;
        if !is_tls {
            return Ok(Self::Plain { host, port });
        }
        let folder = folder.ok_or_else(|| {
            format!("endpoint `{text}` needs certificates: set `DOCKER_CERT_PATH` to their folder")
        })?;
        Ok(Self::Tls { host, port, folder })
    }

    /// Returns the machine on which the engine runs; none if it is this one.
    pub(crate) fn remote_host(&self) -> Option<&str> {
        match self {
            Self::Socket(_) => None,
            Self::Plain { host, .. } | Self::Tls { host, .. } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let is_here = bare == "localhost"
                    || bare
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback());
                (!is_here).then_some(bare)
            }
        }
    }
}

fn host_and_port(authority: &str, standard: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.rsplit_once(':') {
        // An address of version 6 without a port ends in a bracket.
        Some(_) if authority.ends_with(']') => (authority, standard),
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, standard),
    };
    let is_fine = !host.is_empty() && !host.contains(['@', '?', '#', ' ']);
    is_fine.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, wants_tls: bool) -> Result<Endpoint, String> {
        Endpoint::parse(Some(text), wants_tls, Some(PathBuf::from("/certificates")))
    }

    #[test]
    fn all_spellings_of_endpoints_are_read() {
        let socket = Endpoint::Socket(PathBuf::from("/var/run/docker.sock"));
        for text in [
            "",
            "unix://var/run/docker.sock",
            "unix:///var/run/docker.sock",
            "/var/run/docker.sock",
        ] {
            assert_eq!(parse(text, false).as_ref(), Ok(&socket), "{text}");
            assert_eq!(socket.remote_host(), None);
        }
        for (text, wants_tls, expected, remote) in [
            ("tcp://host:1234", false, "http://host:1234", Some("host")),
            ("tcp://host", false, "http://host:2375", Some("host")),
            (
                "http://10.0.0.1/",
                true,
                "http://10.0.0.1:2375",
                Some("10.0.0.1"),
            ),
            ("tcp://host", true, "https://host:2376", Some("host")),
            ("https://127.0.0.1:9", false, "https://127.0.0.1:9", None),
            ("tcp://[::1]", false, "http://[::1]:2375", None),
        ] {
            let endpoint = parse(text, wants_tls).unwrap();
            assert_eq!(endpoint.to_string(), expected);
            assert_eq!(endpoint.remote_host(), remote);
        }
    }

    #[test]
    fn the_tag_of_the_default_image_is_the_one_that_was_named_last() {
        for (image, tag, expected) in [
            (Some("a:1"), Some("2"), "a:2"),
            (Some("a"), Some("2"), "a:2"),
            (Some("a"), None, "a:latest"),
            (Some("host:5000/a"), Some("2"), "host:5000/a:2"),
            (Some("a"), Some(""), "a:latest"),
            (Some("no name"), None, "no name"),
            (Some(""), Some("2"), DEFAULT_IMAGE),
            (None, None, DEFAULT_IMAGE),
        ] {
            let settings = DockerSettings {
                name: "docker".to_owned(),
                endpoint: None,
                certificates: None,
                default_image: image.map(str::to_owned),
                default_tag: tag.map(str::to_owned),
                executable: PathBuf::new(),
            };
            assert_eq!(settings.default_image_name(), expected);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_a_reason() {
        for (text, reason) in [
            ("host:2375", "lacks `tcp://`"),
            ("ssh://me@host", "cannot be reached over `ssh`"),
            ("npipe:////./pipe/docker_engine", "over `npipe`"),
            ("tcp://", "has no host"),
            ("tcp://host:port", "a port that is no number"),
        ] {
            let error = parse(text, false).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(Endpoint::parse(Some("https://host"), false, None).is_err());
    }
}
