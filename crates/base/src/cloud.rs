//! Which cloud a provider works with: what kind it is, and where.
//!
//! The text form is the provider's name inside an engine and its journal, so
//! that it alone is enough to find the cloud again: `docker`,
//! `ec2@eu-west-1`, `nova@RegionOne,http://10.0.0.2:5000/v3,project=4a1f`,
//! `ec2@cloud=production,eu-west-1`. Two places are two providers: each has its
//! own line of calls and is looked at with calls of its own.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest accepted text: endpoints are addresses, not documents.
const TEXT_BYTES_MAX: usize = 1024;

/// What kind of cloud, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloudKey {
    /// The kind: `resource.type` of a descriptor.
    pub kind: String,
    /// The name under which the user keeps its settings.
    pub cloud: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Where its interface is.
    pub endpoint: Option<String>,
    /// The project (tenant) within it.
    pub project: Option<String>,
}

impl CloudKey {
    /// Makes the key of a kind with nothing said about where it is.
    pub fn of_kind(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            cloud: None,
            region: None,
            endpoint: None,
            project: None,
        }
    }
}

/// What stands for a user's name or password in an address.
const MASK: &str = "***";

/// Returns a text in which the addresses' users and passwords are masked: names
/// of providers go into journals and onto screens.
fn without_user(text: &str) -> Cow<'_, str> {
    const SCHEME_END: &str = "://";
    let mut masked = String::new();
    let mut has_user = false;
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (scheme, after) = rest.split_at(at + SCHEME_END.len());
        masked.push_str(scheme);
        let end = after.find(['/', '?', '#', ',']).unwrap_or(after.len());
        let authority = &after[..end];
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                has_user = true;
                masked.push_str(MASK);
                masked.push('@');
                masked.push_str(host);
            }
            None => masked.push_str(authority),
        }
        rest = &after[end..];
    }
    masked.push_str(rest);
    if has_user {
        Cow::Owned(masked)
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the kind of the provider that a text names: what is before its `@`.
pub fn kind_of_provider(key: &str) -> &str {
    key.split_once('@').map_or(key, |(kind, _)| kind)
}

impl fmt::Display for CloudKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.kind)?;
        let settings = [
            ("cloud=", &self.cloud),
            ("", &self.region),
            ("", &self.endpoint),
            ("project=", &self.project),
        ];
        let mut separator = '@';
        for (name, value) in settings {
            if let Some(value) = value {
                write!(formatter, "{separator}{name}{}", without_user(value))?;
                separator = ',';
            }
        }
        Ok(())
    }
}

/// A text is not the name of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudKeyError {
    text: String,
    reason: &'static str,
}

impl fmt::Display for CloudKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no name of a provider: {}",
            self.text, self.reason
        )
    }
}

impl std::error::Error for CloudKeyError {}

impl FromStr for CloudKey {
    type Err = CloudKeyError;

    fn from_str(text: &str) -> Result<Self, CloudKeyError> {
        let refuse = |reason| CloudKeyError {
            text: without_user(text).chars().take(80).collect(),
            reason,
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(refuse("it is too long"));
        }
        if text.chars().any(|one| one.is_control() || one == ' ') {
            return Err(refuse("it has blanks or control characters"));
        }
        let (kind, settings) = match text.split_once('@') {
            Some((kind, settings)) => (kind, Some(settings)),
            None => (text, None),
        };
        if kind.is_empty() {
            return Err(refuse("the kind is missing"));
        }
        let mut key = Self::of_kind(kind);
        for setting in settings.into_iter().flat_map(|all| all.split(',')) {
            let (place, value) = if let Some(value) = setting.strip_prefix("cloud=") {
                (&mut key.cloud, value)
            } else if let Some(value) = setting.strip_prefix("project=") {
                (&mut key.project, value)
            } else if setting.contains("://") {
                if matches!(without_user(setting), Cow::Owned(_)) {
                    return Err(refuse(
                        "its endpoint has a user's name or password before its `@`; leave them out",
                    ));
                }
                (&mut key.endpoint, setting)
            } else {
                (&mut key.region, setting)
            };
            if value.is_empty() {
                return Err(refuse("a setting is empty"));
            }
            if place.replace(value.to_owned()).is_some() {
                return Err(refuse("a setting is there twice"));
            }
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in [
            "docker",
            "docker@tcp://10.0.0.5:2376",
            "ec2@eu-west-1",
            "ec2@eu-central-1,http://127.0.0.1:5555/",
            "ec2@cloud=production,eu-west-1",
            "nova@RegionOne,http://10.0.0.2:5000/v3,project=4a1f",
        ] {
            let key: CloudKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
            assert_eq!(kind_of_provider(text), key.kind);
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for endpoint in [
            "http://me:hunter2@10.0.0.1:5000/v3",
            "http://me:hunter2@x:5000",
            "tcp://hunter2@x",
            "http://a@hunter2@x/",
        ] {
            let key = CloudKey {
                region: Some("r".to_owned()),
                endpoint: Some(endpoint.to_owned()),
                ..CloudKey::of_kind("nova")
            };
            let shown = key.to_string();
            assert!(shown.contains("://***@"), "{shown}");
            for text in [shown.clone(), format!("nova@r,{endpoint}")] {
                let refused = text.parse::<CloudKey>().unwrap_err().to_string();
                assert!(refused.contains("before its `@`"), "{refused}");
                assert!(!refused.contains("hunter2"), "{refused}");
            }
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for text in [
            "nova@https://a,https://me:hunter2@b",
            "nova@https://a, https://me:hunter2@b",
        ] {
            let refused = text.parse::<CloudKey>().unwrap_err().to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "@x", "ec2@", "ec2@a,b", "ec2@cloud=", "ec2@a b", "e\n"] {
            assert!(text.parse::<CloudKey>().is_err(), "{text:?}");
        }
        assert!("x".repeat(2000).parse::<CloudKey>().is_err());
    }
}
