//! Which addresses a cloud can be at.

use url::{ParseError, Url};

use crate::error::CredentialsError;
use crate::kind::CloudKind;

/// Fails unless a text is an address that a cloud of this kind can be reached
/// at, and that tells no secrets. What may be a secret is not quoted.
pub(crate) fn check(kind: CloudKind, value: &str) -> Result<(), CredentialsError> {
    let (schemes, example) = match kind {
        CloudKind::Docker => (
            ["unix", "tcp", "http", "https"].as_slice(),
            "tcp://10.0.0.5:2376",
        ),
        CloudKind::Ec2 => (
            ["https", "http"].as_slice(),
            "https://ec2.eu-west-1.amazonaws.com",
        ),
        CloudKind::Nova => (
            ["https", "http"].as_slice(),
            "https://cloud.example.org:5000/v3",
        ),
    };
    let refuse = |reason: String| {
        Err(CredentialsError::Invalid(format!(
            "the endpoint {reason}; `{example}` is one"
        )))
    };
    let Some((scheme, rest)) = value.split_once("://") else {
        return refuse(format!(
            "has to begin with `{}://`",
            schemes.join("://`, `")
        ));
    };
    if value.contains(|one: char| one == ',' || one.is_whitespace() || one.is_control()) {
        return refuse("has blanks or commas".to_owned());
    }
    if !schemes.contains(&scheme) {
        return refuse(format!(
            "is of `{}`, and `{kind}` is reached over `{}`",
            scheme.escape_debug(),
            schemes.join("`, `")
        ));
    }
    let is_socket = scheme == "unix";
    if !is_socket && rest.starts_with(['/', '\\']) {
        // A browser would leave out the slash and take what follows for the host.
        return refuse("has no host".to_owned());
    }
    // Whatever the protocol, hosts and ports have the form of the web's.
    let parsed = if is_socket {
        Url::parse(value)
    } else {
        Url::parse(&format!("https://{rest}"))
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    let place = authority.rsplit('@').next().unwrap_or(authority);
    match parsed {
        Ok(url) => match fault_of(&url, place) {
            Some(fault) => refuse(fault),
            None if is_socket && rest.trim_matches('/').is_empty() => {
                refuse("names no socket".to_owned())
            }
            None => Ok(()),
        },
        Err(error) => refuse(reason_of(error, place)),
    }
}

/// Says what is wrong with an address that could be read. `place` is its host and port.
fn fault_of(url: &Url, place: &str) -> Option<String> {
    if !url.username().is_empty() || url.password().is_some() {
        let fault = "has a user's name or password before its `@`; leave them out";
        return Some(fault.to_owned());
    }
    if url.query().is_some() {
        return Some("has a query after its `?`; leave it out".to_owned());
    }
    if url.fragment().is_some() {
        return Some("has a fragment after its `#`; leave it out".to_owned());
    }
    let is_port_missing = place.ends_with(':') || url.port() == Some(0);
    is_port_missing.then(|| port_fault(place))
}

/// Says why an address could not be read.
fn reason_of(error: ParseError, place: &str) -> String {
    let is_closed = place
        .rsplit_once(']')
        .is_none_or(|(_, rest)| rest.is_empty());
    match error {
        ParseError::EmptyHost => "has no host".to_owned(),
        ParseError::InvalidIpv6Address if is_closed => {
            "has no address of IPv6 in its brackets".to_owned()
        }
        ParseError::InvalidPort | ParseError::InvalidIpv6Address => port_fault(place),
        _ => format!("has the host `{}`, which is none", place.escape_debug()),
    }
}

/// Says that a port is none, and which, if it is as short as one: it may be a
/// password whose `@` is missing.
fn port_fault(place: &str) -> String {
    const DIGITS_MAX: usize = 5;
    let behind_host = place.rsplit(']').next().unwrap_or(place);
    let port = behind_host.rsplit(':').next().unwrap_or(behind_host);
    let quoted = if port.len() <= DIGITS_MAX {
        format!("the port `{}`", port.escape_debug())
    } else {
        "a port that is none".to_owned()
    };
    format!("has {quoted}, and ports are 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_clouds_are_taken() {
        for (kind, value) in [
            (CloudKind::Nova, "https://cloud.example.org:5000/v3"),
            (CloudKind::Nova, "http://10.0.0.2/identity"),
            (CloudKind::Ec2, "https://ec2.eu-west-1.amazonaws.com"),
            (CloudKind::Ec2, "http://localhost:5555/"),
            (CloudKind::Ec2, "http://[::1]:5555/"),
            (CloudKind::Ec2, "https://[fd00::1]"),
            (CloudKind::Docker, "unix:///run/docker.sock"),
            (CloudKind::Docker, "unix://var/run/docker.sock"),
            (CloudKind::Docker, "tcp://host:2376"),
            (CloudKind::Docker, "https://host"),
        ] {
            assert!(check(kind, value).is_ok(), "{value}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (kind, value, reason) in [
            (
                CloudKind::Ec2,
                "x",
                "has to begin with `https://`, `http://`;",
            ),
            (
                CloudKind::Ec2,
                "ftp://a",
                "is of `ftp`, and `ec2` is reached over `https`, `http`",
            ),
            (CloudKind::Nova, "unix:///x", "is of `unix`"),
            (
                CloudKind::Docker,
                "npipe:////./pipe/docker_engine",
                "is of `npipe`",
            ),
            (CloudKind::Docker, "unix:///", "names no socket"),
            (CloudKind::Ec2, "https://", "has no host"),
            (CloudKind::Ec2, "https:///path", "has no host"),
            (CloudKind::Ec2, "https://:80", "has no host"),
            (CloudKind::Docker, "tcp://", "has no host"),
            (CloudKind::Ec2, "https://a:99999", "has the port `99999`"),
            (CloudKind::Ec2, "https://a:0", "has the port `0`"),
            (CloudKind::Ec2, "https://a:", "has the port ``"),
            (CloudKind::Ec2, "https://a:+80", "has the port `+80`"),
            (CloudKind::Ec2, "https://a:b", "has the port `b`"),
            (CloudKind::Ec2, "https://[::1", "in its brackets"),
            (CloudKind::Ec2, "https://[a]", "in its brackets"),
            (CloudKind::Ec2, "https://[::1]x", "has the port `x`"),
            (CloudKind::Ec2, "https://a%20b", "has the host"),
            (CloudKind::Ec2, "https://a,b", "has blanks or commas"),
            (CloudKind::Ec2, "https://a/?token=hunter2", "has a query"),
            (CloudKind::Ec2, "https://a?token=hunter2", "has a query"),
            (CloudKind::Ec2, "https://a/#hunter2", "has a fragment"),
            (CloudKind::Ec2, "https://me:hunter2@b/", "before its `@`"),
            (CloudKind::Docker, "tcp://hunter2@b/", "before its `@`"),
            (CloudKind::Ec2, "https://me:hunter2", "a port that is none"),
            (CloudKind::Ec2, "https://me:hunter2@b:0", "before its `@`"),
            (CloudKind::Docker, "tcp:///path", "has no host"),
            (CloudKind::Docker, "tcp://a%20b", "has the host"),
            (CloudKind::Docker, "unix:///x?hunter2", "has a query"),
            (CloudKind::Ec2, "https://a\tb", "has blanks or commas"),
        ] {
            let error = check(kind, value).unwrap_err().to_string();
            assert!(error.contains(reason), "{value}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
