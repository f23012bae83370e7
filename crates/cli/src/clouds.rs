//! Which cloud is meant: by `--on`, by a resource section, by the environment.

use std::collections::BTreeMap;

use zenekar_base::{CloudKey, Map, Value, kind_of_provider};
use zenekar_model::Topology;
use zenekar_occopus::{NotCarried, place, retarget};

use crate::errors::Failure;
use crate::exit::Exit;
use crate::place::Place;
use crate::providers::{AVAILABLE, check_name, with_guess};

/// Kinds of providers that are at some place, as descriptors name them.
pub(crate) const CLOUD_KINDS: &[&str] = &["docker", "ec2", "nova"];

/// Other names that people have for them.
const ALIASES: &[(&str, &str)] = &[("aws", "ec2"), ("openstack", "nova")];

/// Where the engine of a machine listens.
const DOCKER_SOCKET: &str = "unix:///var/run/docker.sock";

/// Where `--on` moves nodes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The kind of provider: what a resource section's `type` says then.
    pub(crate) kind: String,
    /// The provider's name.
    pub(crate) provider: String,
    /// Settings for what descriptors of other kinds do not say.
    pub(crate) defaults: Map,
}

/// Finds out what `--on` means: a kind of provider, a named cloud, or the full
/// name of a provider.
pub(crate) fn target(place: &Place, text: &str) -> Result<Target, Failure> {
    let text = alias(text);
    if AVAILABLE.contains(&text) {
        return Ok(Target {
            kind: text.to_owned(),
            provider: provider_name(text, &Value::Null),
            defaults: Vec::new(),
        });
    }
    if let Some((provider, defaults)) = crate::providers::named_cloud(place, text)? {
        return Ok(Target {
            kind: kind_of_provider(&provider).to_owned(),
            provider,
            defaults,
        });
    }
    if text.contains('@') {
        let key: CloudKey = text
            .parse()
            .map_err(|error: zenekar_base::CloudKeyError| Failure::usage(error.to_string()))?;
        check_name(&key.kind)?;
        let defaults = match &key.cloud {
            Some(name) => crate::providers::named_cloud(place, name)?
                .map(|(_, defaults)| defaults)
                .unwrap_or_default(),
            None => Vec::new(),
        };
        return Ok(Target {
            kind: key.kind.clone(),
            provider: key.to_string(),
            defaults,
        });
    }
    let failure = Failure::new(
        Exit::Provider,
        format!("there is no provider and no named cloud `{text}`"),
    );
    Err(with_guess(failure, text, |names| {
        format!("providers: {names}; `zenekar cloud list` shows the clouds that have names")
    }))
}

/// Returns the kind that another name stands for.
pub(crate) fn alias(text: &str) -> &str {
    ALIASES
        .iter()
        .find(|(name, _)| *name == text)
        .map_or(text, |(_, kind)| kind)
}

/// Moves a topology to a target, or leaves its nodes where they say that they
/// are, and gives every implementation the name of its provider.
pub(crate) fn settle(topology: &Topology, target: Option<&Target>) -> (Topology, Vec<NotCarried>) {
    let Some(target) = target else {
        return (place(topology, provider_name), Vec::new());
    };
    let (moved, lost) = retarget(topology, &target.kind, &target.defaults);
    (place(&moved, |_, _| target.provider.clone()), lost)
}

/// Makes a provider's name from the kind and what a resource section says of the
/// place; what it does not say, the environment does. So an infrastructure stays
/// where it is when the environment changes later.
fn provider_name(kind: &str, section: &Value) -> String {
    if !CLOUD_KINDS.contains(&kind) {
        return kind.to_owned();
    }
    let said: BTreeMap<&str, &str> = section
        .as_map()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .filter(|(_, text)| is_filled_in(text))
        .collect();
    let of = |key: &str| said.get(key).map(|text| (*text).to_owned());
    let mut key = CloudKey::of_kind(kind);
    match kind {
        "ec2" => {
            key.region =
                of("regionname").or_else(|| first_set(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
            let own = of("endpoint").filter(|endpoint| !is_standard_ec2(endpoint, &key));
            key.endpoint = own.or_else(|| {
                if said.contains_key("endpoint") {
                    return None;
                }
                first_set(&["AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"])
            });
        }
        "nova" => {
            key.region = of("region_name");
            key.endpoint = of("endpoint");
            if key.endpoint.is_none()
                && let Some((endpoint, region)) = crate::opening::nova_of_environment()
            {
                key.endpoint = Some(endpoint);
                key.region = key.region.or(region);
            }
            key.region = key.region.or_else(|| first_set(&["OS_REGION_NAME"]));
            key.project = of("project_id")
                .or_else(|| first_set(&["OS_PROJECT_ID", "OS_PROJECT_NAME", "OS_TENANT_NAME"]));
        }
        _ => {
            // Also the usual place is written down: a variable that is set later
            // must not lead to another engine.
            let endpoint = of("endpoint").or_else(|| first_set(&["DOCKER_HOST"]));
            let endpoint = endpoint.unwrap_or_else(|| DOCKER_SOCKET.to_owned());
            key.endpoint = Some(if endpoint.starts_with('/') {
                format!("unix://{endpoint}")
            } else {
                endpoint
            });
        }
    }
    if let Some(endpoint) = &mut key.endpoint
        && !endpoint.contains("://")
    {
        let scheme = if kind == "docker" { "tcp" } else { "https" };
        endpoint.insert_str(0, &format!("{scheme}://"));
    }
    // A name is one word: blanks, commas and the like are written as in addresses.
    let parts = [&mut key.region, &mut key.endpoint, &mut key.project];
    for text in parts.into_iter().flatten() {
        *text = as_one_word(text);
    }
    key.to_string()
}

/// Says whether the endpoint is the one that the region has anyway.
fn is_standard_ec2(endpoint: &str, key: &CloudKey) -> bool {
    let Some(region) = &key.region else {
        return false;
    };
    let bare = endpoint.trim_end_matches('/');
    let host = bare.strip_prefix("https://").unwrap_or(bare);
    host == format!("ec2.{region}.amazonaws.com")
}

/// Says whether a setting is more than what descriptors that are handed round
/// have in its place.
fn is_filled_in(text: &str) -> bool {
    !text.is_empty() && !text.starts_with("replace_with_")
}

fn as_one_word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for one in text.trim().chars() {
        match one {
            ' ' => word.push_str("%20"),
            ',' => word.push_str("%2C"),
            one if one.is_control() => {}
            one => word.push(one),
        }
    }
    word
}

fn first_set(names: &[&str]) -> Option<String> {
    let mut values = names.iter().filter_map(|name| std::env::var(name).ok());
    values.find(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(entries: &[(&str, &str)]) -> Value {
        let entries = entries.iter();
        Value::Map(
            entries
                .map(|(key, value)| ((*key).to_owned(), Value::String((*value).to_owned())))
                .collect(),
        )
    }

    #[test]
    fn a_name_says_where_the_section_says() {
        for (kind, entries, name) in [
            (
                "ec2",
                &[
                    ("endpoint", "https://ec2.eu-west-1.amazonaws.com"),
                    ("regionname", "eu-west-1"),
                ] as &[_],
                "ec2@eu-west-1",
            ),
            (
                "ec2",
                &[("endpoint", "http://10.1.2.3:5555"), ("regionname", "mars")],
                "ec2@mars,http://10.1.2.3:5555",
            ),
            (
                "nova",
                &[
                    ("endpoint", "https://cloud.example.org:5000/v3"),
                    ("project_id", "4a1f"),
                    ("region_name", "Region One"),
                ],
                "nova@Region%20One,https://cloud.example.org:5000/v3,project=4a1f",
            ),
            (
                "docker",
                &[("endpoint", "tcp://10.0.0.5:2375")],
                "docker@tcp://10.0.0.5:2375",
            ),
            ("local", &[("endpoint", "x")], "local"),
            ("cloudsigma", &[("endpoint", "https://zrh")], "cloudsigma"),
        ] {
            let made = provider_name(kind, &section(entries));
            assert_eq!(made, name);
            let key: CloudKey = made.parse().unwrap();
            assert_eq!(key.to_string(), name);
        }
    }

    #[test]
    fn what_was_never_filled_in_says_nothing() {
        assert!(!is_filled_in("replace_with_your_docker_endpoint"));
        assert!(is_filled_in("unix:///var/run/docker.sock"));
    }

    #[test]
    fn other_names_are_known() {
        assert_eq!(alias("openstack"), "nova");
        assert_eq!(alias("docker"), "docker");
    }
}
