//! Kinds of clouds: what each is told, and which secrets it wants.

use std::fmt;

/// A kind of cloud that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloudKind {
    /// A Docker engine.
    Docker,
    /// Amazon EC2, or what has its interface.
    Ec2,
    /// An `OpenStack`.
    Nova,
}

/// Secrets that are enough to log in, by the names of Occopus.
const EC2_SECRETS: &[&[&str]] = &[
    &["accesskey", "secretkey"],
    &["accesskey", "secretkey", "sessiontoken"],
];
const NOVA_SECRETS: &[&[&str]] = &[&["username", "password"], &["id", "secret"]];

/// Other names of secrets: those of the clouds' own tools.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("aws_access_key_id", "accesskey"),
    ("aws_secret_access_key", "secretkey"),
    ("aws_session_token", "sessiontoken"),
    ("access_key", "accesskey"),
    ("secret_key", "secretkey"),
    ("session_token", "sessiontoken"),
    ("os_username", "username"),
    ("os_password", "password"),
    ("os_application_credential_id", "id"),
    ("os_application_credential_secret", "secret"),
    ("application_credential_id", "id"),
    ("application_credential_secret", "secret"),
];

impl CloudKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Ec2, Self::Nova];

    /// Returns the word that descriptors have for the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Ec2 => "ec2",
            Self::Nova => "nova",
        }
    }

    /// Finds the kind that a word names; `openstack` and `aws` count too.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "docker" => Some(Self::Docker),
            "ec2" | "aws" => Some(Self::Ec2),
            "nova" | "openstack" => Some(Self::Nova),
            _ => None,
        }
    }

    /// Returns the names of settings that the kind has.
    pub const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["endpoint", "certificates"],
            Self::Ec2 => &["endpoint", "region", "profile", "ca_file"],
            Self::Nova => &[
                "endpoint",
                "region",
                "project",
                "project_domain_name",
                "user_domain_name",
                "interface",
                "ca_file",
            ],
        }
    }

    /// Returns the sets of secrets, each of which is enough to log in.
    pub const fn secret_sets(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Docker => &[],
            Self::Ec2 => EC2_SECRETS,
            Self::Nova => NOVA_SECRETS,
        }
    }

    /// Returns our name of a secret, if the kind has it under this name.
    pub fn secret_name(self, name: &str) -> Option<&'static str> {
        let lower = name.to_ascii_lowercase();
        let known = OTHER_NAMES
            .iter()
            .find(|(other, _)| *other == lower)
            .map_or(lower.as_str(), |(_, own)| own);
        let mut all = self.secret_sets().iter().flat_map(|set| set.iter());
        all.find(|name| **name == known).copied()
    }

    /// Says whether a secret is only named so: it may be seen while it is typed.
    pub fn is_shown(secret: &str) -> bool {
        matches!(secret, "accesskey" | "username" | "id")
    }

    /// Says whether a text is the name of a secret of any kind.
    pub fn is_secret_name(name: &str) -> bool {
        Self::ALL
            .into_iter()
            .any(|kind| kind.secret_name(name).is_some())
    }
}

impl fmt::Display for CloudKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_secrets_have_other_names() {
        assert_eq!(CloudKind::from_name("openstack"), Some(CloudKind::Nova));
        assert_eq!(CloudKind::from_name("local"), None);
        for (kind, name, own) in [
            (CloudKind::Ec2, "AWS_SECRET_ACCESS_KEY", Some("secretkey")),
            (CloudKind::Ec2, "secretkey", Some("secretkey")),
            (CloudKind::Ec2, "password", None),
            (CloudKind::Nova, "OS_PASSWORD", Some("password")),
            (CloudKind::Docker, "password", None),
        ] {
            assert_eq!(kind.secret_name(name), own, "{name}");
        }
    }
}
