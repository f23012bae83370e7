//! Where the interfaces are.

use zenekar_base::{ErrorClass, ProviderError};
use zenekar_http::Url;

use crate::request::Service;

/// Domains of Amazon's partitions, by how their regions begin.
const PARTITIONS: &[(&str, &str)] = &[
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// The domain of all other regions, those of the government too.
const DOMAIN: &str = "amazonaws.com";

/// The interfaces of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The region.
    pub(crate) region: String,
    /// Whether the servers are Amazon's own, by their name.
    pub(crate) is_amazon: bool,
    ec2: Url,
    sts: Url,
}

impl Endpoint {
    /// Makes the endpoint from what is known of it.
    pub(crate) fn new(
        region: Option<&str>,
        endpoint: Option<&str>,
        use_fips: bool,
    ) -> Result<Self, ProviderError> {
        let given = endpoint.map(read).transpose()?;
        let region = region
            .map(str::to_owned)
            .or_else(|| given.as_ref().and_then(region_of))
            .ok_or_else(|| invalid("the region is unknown: set `regionname` or `AWS_REGION`"))?;
        if region.is_empty()
            || !region
                .chars()
                .all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.'))
        {
            return Err(invalid(&format!("`{region}` is no name of a region")));
        }
        let fips = if use_fips { "-fips" } else { "" };
        let domain = domain_of(&region);
        let ec2 = match given {
            Some(url) => url,
            None => read(&format!("https://ec2{fips}.{region}.{domain}/"))?,
        };
        let is_amazon = ec2.host_str().is_some_and(|host| {
            let domains = PARTITIONS.iter().map(|(_, domain)| *domain);
            domains.chain([DOMAIN, "api.aws"]).any(|domain| {
                host.strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
            })
        });
        let sts = if is_amazon {
            read(&format!("https://sts{fips}.{region}.{domain}/"))?
        } else {
            ec2.clone()
        };
        Ok(Self {
            region,
            is_amazon,
            ec2,
            sts,
        })
    }

    /// Returns the address of a service.
    pub(crate) const fn of(&self, service: Service) -> &Url {
        match service {
            Service::Ec2 => &self.ec2,
            Service::Sts => &self.sts,
        }
    }
}

fn domain_of(region: &str) -> &'static str {
    PARTITIONS
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or(DOMAIN, |(_, domain)| domain)
}

fn read(text: &str) -> Result<Url, ProviderError> {
    let text = text.trim();
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&full).map_err(|error| invalid(&format!("endpoint `{text}`: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid(&format!(
            "endpoint `{text}`: an address of `https` or `http` is needed"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "the endpoint holds a user and a password: requests are signed with keys instead",
        ));
    }
    Ok(url)
}

/// Reads the region from one of Amazon's host names.
fn region_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let rest = host
        .strip_prefix("ec2.")
        .or_else(|| host.strip_prefix("ec2-fips."))?;
    let (region, domain) = rest.split_once('.')?;
    let is_known = domain == DOMAIN
        || domain == "api.aws"
        || PARTITIONS.iter().any(|(_, known)| *known == domain);
    (is_known && region.contains('-')).then(|| region.to_owned())
}

fn invalid(message: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ec2(region: Option<&str>, endpoint: Option<&str>) -> (String, String, bool) {
        let made = Endpoint::new(region, endpoint, false).unwrap();
        let url = made.of(Service::Ec2).to_string();
        (made.region, url, made.is_amazon)
    }

    #[test]
    fn regions_have_their_endpoints() {
        for (region, url) in [
            ("eu-west-1", "https://ec2.eu-west-1.amazonaws.com/"),
            ("us-gov-west-1", "https://ec2.us-gov-west-1.amazonaws.com/"),
            ("cn-north-1", "https://ec2.cn-north-1.amazonaws.com.cn/"),
            ("us-iso-east-1", "https://ec2.us-iso-east-1.c2s.ic.gov/"),
            ("eusc-de-east-1", "https://ec2.eusc-de-east-1.amazonaws.eu/"),
        ] {
            assert_eq!(ec2(Some(region), None), (region.into(), url.into(), true));
        }
        let fips = Endpoint::new(Some("us-east-1"), None, true).unwrap();
        assert_eq!(
            fips.of(Service::Ec2).as_str(),
            "https://ec2-fips.us-east-1.amazonaws.com/"
        );
    }

    #[test]
    fn endpoints_of_descriptors_are_taken_as_they_are() {
        assert_eq!(
            ec2(None, Some("https://ec2.eu-west-1.amazonaws.com")),
            (
                "eu-west-1".into(),
                "https://ec2.eu-west-1.amazonaws.com/".into(),
                true
            )
        );
        assert_eq!(
            ec2(Some("nova"), Some("http://10.0.0.1:8773/services/Cloud")),
            (
                "nova".into(),
                "http://10.0.0.1:8773/services/Cloud".into(),
                false
            )
        );
        let own = Endpoint::new(Some("mars"), Some("http://10.0.0.1:5555"), false).unwrap();
        assert_eq!(own.of(Service::Sts).as_str(), "http://10.0.0.1:5555/");
        let disguised = ec2(Some("r"), Some("https://notamazonaws.com"));
        assert!(!disguised.2);
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (region, endpoint) in [
            (None, None),
            (None, Some("http://127.0.0.1:1")),
            (Some("a b"), None),
            (Some("eu-west-1/x?"), None),
            (Some("r"), Some("ftp://x")),
            (Some("r"), Some("http://user:pass@x")),
            (Some("r"), Some("http://")),
        ] {
            let refused = Endpoint::new(region, endpoint, false).unwrap_err();
            assert_eq!(
                refused.class,
                ErrorClass::Invalid,
                "{region:?} {endpoint:?}"
            );
        }
    }
}
