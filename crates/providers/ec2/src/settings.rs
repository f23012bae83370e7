//! What the adapter is told when it is opened.

use std::fmt;

use secrecy::SecretString;

/// A pair of keys, long-lived or of a session.
#[derive(Clone)]
pub struct Ec2Credentials {
    /// The access key's id: no secret, but nothing to print either.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: SecretString,
    /// The token of a session, if the keys are of one.
    pub session_token: Option<SecretString>,
}

impl fmt::Debug for Ec2Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ec2Credentials(***)")
    }
}

/// Where the cloud is and who asks.
#[derive(Clone, Debug, Default)]
pub struct Ec2Settings {
    /// The provider's name: the text of a cloud key, `ec2@eu-west-1`.
    pub name: String,
    /// The region; else the endpoint's, else the one that Amazon's own tools would take.
    pub region: Option<String>,
    /// Where the interface is; else the region's.
    pub endpoint: Option<String>,
    /// The keys; else the chain that Amazon's own tools go through.
    pub credentials: Option<Ec2Credentials>,
    /// The profile of the shared files that the chain takes; else `AWS_PROFILE`.
    pub profile: Option<String>,
    /// Certificates (PEM) that are trusted besides the machine's.
    pub certificates: Vec<Vec<u8>>,
}
