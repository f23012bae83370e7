//! What is needed to talk to one `OpenStack`.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use zenekar_base::Millis;

/// How long after a call whose outcome is unknown its effect may still come, and
/// how long a list may lag: as long as a call that changes something may take.
/// Nova writes a server down before it answers.
const SETTLE: Millis = Millis::from_secs(50);

/// The domain that Occopus takes where none is named.
const DOMAIN_DEFAULT: &str = "Default";

/// Names something in Keystone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name within a domain.
    Name {
        /// The name.
        name: String,
        /// The domain.
        domain: Domain,
    },
}

impl Named {
    /// Names something within the domain that is called `Default`.
    pub fn in_default_domain(name: impl Into<String>) -> Self {
        Self::Name {
            name: name.into(),
            domain: Domain::default(),
        }
    }
}

/// Names a domain of Keystone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

impl Default for Domain {
    fn default() -> Self {
        Self::Name(DOMAIN_DEFAULT.to_owned())
    }
}

/// How we show who we are.
#[derive(Clone)]
pub enum Authentication {
    /// A user and a password.
    Password {
        /// The user.
        user: Named,
        /// The password.
        password: SecretString,
        /// The project to work in.
        project: Option<Named>,
    },
    /// An application credential; it knows its project.
    ApplicationCredential {
        /// Which one: its id, or its name and its user.
        credential: Credential,
        /// The secret.
        secret: SecretString,
    },
    /// A token that somebody else has got. It cannot be renewed.
    Token {
        /// The token.
        token: SecretString,
        /// The project to work in.
        project: Option<Named>,
    },
}

/// Names an application credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By its id.
    Id(String),
    /// By its name among those of a user.
    Name {
        /// The name.
        name: String,
        /// The user.
        user: Named,
    },
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, project, .. } => formatter
                .debug_struct("Password")
                .field("user", user)
                .field("project", project)
                .finish_non_exhaustive(),
            Self::ApplicationCredential { credential, .. } => formatter
                .debug_struct("ApplicationCredential")
                .field("credential", credential)
                .finish_non_exhaustive(),
            Self::Token { project, .. } => formatter
                .debug_struct("Token")
                .field("project", project)
                .finish_non_exhaustive(),
        }
    }
}

/// Which of a service's endpoints is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// The one for everybody.
    #[default]
    Public,
    /// The one inside the cloud's own network.
    Internal,
    /// The one for administrators.
    Admin,
}

impl Interface {
    /// Reads the name of an interface; old writings such as `publicURL` count too.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.strip_suffix("URL").unwrap_or(name) {
            "public" => Some(Self::Public),
            "internal" => Some(Self::Internal),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// Returns the name as catalogs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

/// What is needed to talk to one `OpenStack`.
#[derive(Clone, Debug)]
pub struct OpenStackSettings {
    /// The provider's name: the text of a [`zenekar_base::CloudKey`].
    pub name: String,
    /// Where Keystone is. `/v3` is appended unless it ends in a version.
    pub endpoint: String,
    /// How we show who we are.
    pub authentication: Authentication,
    /// The region; none takes the only one of the catalog.
    pub region: Option<String>,
    /// Which of a service's endpoints is used.
    pub interface: Interface,
    /// Endpoints that win over the catalog's, by type of service: `compute`,
    /// `image`, `network`.
    pub endpoints: BTreeMap<String, String>,
    /// Certificates (PEM) that are trusted besides the machine's.
    pub certificates: Vec<Vec<u8>>,
    /// Whether any certificate is taken; only where the user asked for it.
    pub accepts_any_certificate: bool,
    /// How long absence is not believed.
    pub settle: Millis,
    /// Where the credentials were found, if they were not given.
    pub origin: Option<String>,
}

impl OpenStackSettings {
    /// Makes settings with nothing but what is always needed.
    pub fn new(
        name: impl Into<String>,
        endpoint: impl Into<String>,
        authentication: Authentication,
    ) -> Self {
        Self {
            name: name.into(),
            endpoint: endpoint.into(),
            authentication,
            region: None,
            interface: Interface::default(),
            endpoints: BTreeMap::new(),
            certificates: Vec::new(),
            accepts_any_certificate: false,
            settle: SETTLE,
            origin: None,
        }
    }
}
