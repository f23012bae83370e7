//! Which addresses a cloud can be at.

use std::net::Ipv6Addr;

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
    if value.contains([' ', ',']) {
        return refuse("has blanks or commas".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return refuse("has a user's name or password before its `@`; leave them out".to_owned());
    }
    if rest.contains('?') {
        return refuse("has a query after its `?`; leave it out".to_owned());
    }
    if rest.contains('#') {
        return refuse("has a fragment after its `#`; leave it out".to_owned());
    }
    if !schemes.contains(&scheme) {
        return refuse(format!(
            "is of `{}`, and `{kind}` is reached over `{}`",
            scheme.escape_debug(),
            schemes.join("`, `")
        ));
    }
    if scheme == "unix" {
        return if rest.trim_matches('/').is_empty() {
            refuse("names no socket".to_owned())
        } else {
            Ok(())
        };
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
            _ => return refuse("has no address of IPv6 in its brackets".to_owned()),
        },
        None => match authority.find(':') {
            Some(place) => authority.split_at(place),
            None => (authority, ""),
        },
    };
    if host.is_empty() {
        return refuse("has no host".to_owned());
    }
    let is_host = |one: char| one.is_alphanumeric() || matches!(one, '-' | '.' | '_');
    if !authority.starts_with('[') && !host.chars().all(is_host) {
        return refuse(format!(
            "has the host `{}`, which is none",
            host.escape_debug()
        ));
    }
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|one| one.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
    if !is_port {
        return refuse(format!(
            "has the port `{}`, and ports are 1 to 65535",
            port.trim_start_matches(':').escape_debug()
        ));
    }
    Ok(())
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
        ] {
            let error = check(kind, value).unwrap_err().to_string();
            assert!(error.contains(reason), "{value}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
