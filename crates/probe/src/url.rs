//! The URLs of checks: where they lead, and how they are shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iri_string::format::ToDedicatedString as _;
use iri_string::types::{IriReferenceStr, IriStr, UriReferenceString, UriStr, UriString};

use crate::reason::Reason;

/// Bytes of a URL, also of one that a redirection names: the length up to
/// which servers are asked to read them (RFC 9110, section 4.1).
const URL_BYTES_MAX: usize = 8000;

/// A URL with the parts that a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    whole: UriString,
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
    /// The value of the header `authorization`.
    pub(crate) authorization: Option<String>,
}

impl Target {
    /// Reads a URL as a specification writes it.
    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("the URL has more than {URL_BYTES_MAX} bytes"));
        }
        let whole = IriStr::new(text.trim()).map_err(|_| "not a valid URL".to_owned())?;
        Self::of(whole.encode_to_uri().to_dedicated_string())
    }

    /// Follows a redirection from here.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, Reason> {
        if location.len() > URL_BYTES_MAX {
            return Err(format!(
                "redirected to a URL with more than {URL_BYTES_MAX} bytes"
            ));
        }
        let reference: UriReferenceString = IriReferenceStr::new(location)
            .map_err(|_| "redirected to something that is not a valid URL".to_owned())?
            .encode_to_uri()
            .to_dedicated_string();
        let next = reference
            .resolve_against(self.whole.to_absolute())
            .to_dedicated_string();
        let mut next = Self::of(next).map_err(|reason| format!("redirected: {reason}"))?;
        // Another server has no business with what was meant for this one.
        if next.authorization.is_none()
            && (next.secure, &next.host, next.port) == (self.secure, &self.host, self.port)
        {
            next.authorization.clone_from(&self.authorization);
        }
        Ok(next)
    }

    fn of(whole: UriString) -> Result<Self, Reason> {
        let secure = match whole.scheme_str().to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("`{other}` is neither `http` nor `https`")),
        };
        let authority = whole
            .authority_components()
            .filter(|authority| !authority.host().is_empty())
            .ok_or_else(|| "the URL has no host".to_owned())?;
        let port = match authority.port() {
            None | Some("") => default_port(secure),
            Some(text) => text
                .parse()
                .map_err(|_| format!("`{text}` is not a port"))?,
        };
        let mut path = whole.path_str().to_owned();
        if path.is_empty() {
            path.push('/');
        }
        if let Some(query) = whole.query_str() {
            path.push('?');
            path.push_str(query);
        }
        Ok(Self {
            secure,
            host: authority.host().to_ascii_lowercase(),
            port,
            path,
            authorization: authority.userinfo().map(basic),
            whole,
        })
    }

    /// Returns the value of the header `host`.
    pub(crate) fn host_header(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Returns the URL without what may be secret: user, password and query.
    pub(crate) fn shown(&self) -> String {
        shown(&self.whole)
    }
}

fn shown(whole: &UriStr) -> String {
    let authority = whole.authority_str().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let query = if whole.query_str().is_some() {
        "?…"
    } else {
        ""
    };
    format!("{}://{host}{}{query}", whole.scheme_str(), whole.path_str())
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Makes the header's value of what stands before the `@` (RFC 7617).
fn basic(userinfo: &str) -> String {
    let mut plain: Vec<u8> = percent_encoding::percent_decode_str(userinfo).collect();
    if !userinfo.contains(':') {
        plain.push(b':');
    }
    format!("Basic {}", STANDARD.encode(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).expect(text)
    }

    #[test]
    fn urls_have_parts() {
        let plain = target("http://10.0.0.1");
        assert_eq!(
            (
                plain.secure,
                plain.host.as_str(),
                plain.port,
                plain.path.as_str()
            ),
            (false, "10.0.0.1", 80, "/")
        );
        assert_eq!(plain.host_header(), "10.0.0.1");
        let full = target(" HTTPS://Me:p%40ss@Example.org:8443/a%20b/é?q=1#top\n");
        assert_eq!(
            (
                full.secure,
                full.host.as_str(),
                full.port,
                full.path.as_str()
            ),
            (true, "example.org", 8443, "/a%20b/%C3%A9?q=1")
        );
        assert_eq!(full.host_header(), "example.org:8443");
        // base64 of `Me:p@ss`.
        assert_eq!(full.authorization.as_deref(), Some("Basic TWU6cEBzcw=="));
        assert_eq!(full.shown(), "HTTPS://Example.org:8443/a%20b/%C3%A9?…");
        assert_eq!(target("http://h:?x").port, 80);
        assert_eq!(target("http://h:?x").path, "/?x");
        assert_eq!(target("http://[::1]:8080/").host, "[::1]");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for (text, reason) in [
            ("", "not a valid URL"),
            ("10.0.0.1/", "not a valid URL"),
            ("http://a b/", "not a valid URL"),
            ("http://a/\r\nx: y", "not a valid URL"),
            ("ftp://a/", "`ftp` is neither `http` nor `https`"),
            ("http:///x", "the URL has no host"),
            ("http:x", "the URL has no host"),
            ("http://a:65536/", "`65536` is not a port"),
        ] {
            assert_eq!(Target::parse(text), Err(reason.to_owned()), "{text:?}");
        }
        assert!(Target::parse(&format!("http://a/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }

    #[test]
    fn redirections_are_relative_to_the_url() {
        let from = target("http://me:secret@a:8080/x/y?z");
        for (location, shown, keeps) in [
            ("/new", "http://a:8080/new", true),
            ("../new?q", "http://a:8080/new?…", true),
            ("http://a:8080/", "http://a:8080/", true),
            ("http://a/", "http://a/", false),
            ("//b/c", "http://b/c", false),
            ("https://a:8080/", "https://a:8080/", false),
        ] {
            let next = from.redirected(location).expect(location);
            assert_eq!(next.shown(), shown, "{location}");
            assert_eq!(next.authorization.is_some(), keeps, "{location}");
        }
        assert!(from.redirected("file:///etc/passwd").is_err());
        assert!(from.redirected("http://a b/").is_err());
    }
}
