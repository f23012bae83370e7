//! Security groups: those that a descriptor names, and those that are made for
//! the ports that it opens.
//!
//! A made group belongs to the infrastructure. Its name is derived from the
//! infrastructure and the rules, and names are unique in a network; so whoever
//! comes second, in this process or after a crash, finds the first one's.

use std::collections::HashMap;
use std::sync::{Mutex as Lock, PoisonError};

use roxmltree::Node;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use zenekar_base::{ErrorClass, InfrastructureId};

use crate::answer::{items, tag, text};
use crate::api::Api;
use crate::error::ApiError;
use crate::launch::{Launch, push_tags};
use crate::limits::PAGE_ITEMS;
use crate::ports::Rule;
use crate::request::Request;
use crate::tags::{TAG_CONSOLE_NAME, TAG_INFRASTRUCTURE};

/// The group that instances are in where no other is named.
const DEFAULT: &str = "default";

/// Characters of a group's name, by EC2's own rule.
const NAME_CHARACTERS_MAX: usize = 255;

/// A group that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) infrastructure: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// Finds and makes security groups; each only once.
#[derive(Default)]
pub(crate) struct Groups {
    /// Ids by network and name. Held while a group is made, so that calls that
    /// come at once make one.
    found: Mutex<HashMap<(String, String), String>>,
    networks: Lock<HashMap<Option<String>, String>>,
}

impl Groups {
    /// Returns the ids of all groups of an instance, and makes the one for its
    /// ports if it is missing.
    pub(crate) async fn resolve(
        &self,
        api: &Api,
        infrastructure: &InfrastructureId,
        launch: &Launch,
    ) -> Result<Vec<String>, ApiError> {
        let mut wanted = launch.groups.clone();
        if !launch.rules.is_empty() && wanted.is_empty() {
            // The ports are open besides what would be without them.
            wanted.push(DEFAULT.to_owned());
        }
        let has_names = wanted.iter().any(|group| !is_id(group));
        if !has_names && launch.rules.is_empty() {
            return Ok(wanted);
        }
        let network = self.network(api, launch.subnet.as_deref()).await?;
        let mut found = self.found.lock().await;
        let mut ids = Vec::new();
        for group in wanted {
            let id = if is_id(&group) {
                group
            } else {
                named(api, &mut found, &network, &group).await?
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if !launch.rules.is_empty() {
            let name = name_of(infrastructure, &launch.rules);
            let key = (network, name);
            let id = match found.get(&key) {
                Some(id) => id.clone(),
                None => made(api, infrastructure, &key.0, &key.1, &launch.rules).await?,
            };
            found.insert(key, id.clone());
            ids.push(id);
        }
        Ok(ids)
    }

    /// Forgets what was found: somebody deleted one of them.
    pub(crate) async fn forget(&self) {
        self.found.lock().await.clear();
    }

    /// Deletes all groups that were made for an infrastructure.
    pub(crate) async fn release(
        &self,
        api: &Api,
        infrastructure: &InfrastructureId,
    ) -> Result<(), ApiError> {
        // Whoever makes one now waits, and finds nothing kept in mind.
        let mut found = self.found.lock().await;
        let request = Request::reading("DescribeSecurityGroups")
            .with("MaxResults", PAGE_ITEMS.to_string())
            .filtered(
                &format!("tag:{TAG_INFRASTRUCTURE}"),
                [infrastructure.as_str()],
            );
        let groups = api.pages(&request, read_all).await?;
        let mut failed = None;
        for group in groups {
            if group.infrastructure.as_deref() != Some(infrastructure.as_str()) {
                continue;
            }
            found.retain(|_, id| *id != group.id);
            if let Err(error) = delete(api, &group.id).await {
                failed = failed.or(Some(error));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Returns the network of a subnet, or the account's default one.
    pub(crate) async fn network(
        &self,
        api: &Api,
        subnet: Option<&str>,
    ) -> Result<String, ApiError> {
        let key = subnet.map(str::to_owned);
        let known = self.networks().get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let network = match subnet {
            Some(subnet) => network_of(api, subnet).await?,
            None => default_network(api).await?,
        };
        self.networks().insert(key, network.clone());
        Ok(network)
    }

    fn networks(&self) -> std::sync::MutexGuard<'_, HashMap<Option<String>, String>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says whether a text is the id of a group.
pub(crate) fn is_id(text: &str) -> bool {
    text.strip_prefix("sg-")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|one| one.is_ascii_alphanumeric()))
}

async fn network_of(api: &Api, subnet: &str) -> Result<String, ApiError> {
    let request = Request::reading("DescribeSubnets").with("SubnetId.1", subnet);
    let answer = api.call(&request, |root| {
        let first = items(root, "subnetSet").next();
        Some(first.and_then(|item| text(item, "vpcId").map(str::to_owned)))
    });
    let missing = || {
        ApiError::new(
            ErrorClass::Invalid,
            format!("there is no subnet `{subnet}`"),
        )
    };
    match answer.await {
        Ok(found) => found.ok_or_else(missing),
        Err(error) if error.class == ErrorClass::NotFound => Err(missing()),
        Err(error) => Err(error),
    }
}

async fn default_network(api: &Api) -> Result<String, ApiError> {
    let request = Request::reading("DescribeVpcs").filtered("is-default", ["true"]);
    let found = api
        .call(&request, |root| {
            let first = items(root, "vpcSet").next();
            Some(first.and_then(|item| text(item, "vpcId").map(str::to_owned)))
        })
        .await?;
    found.ok_or_else(|| {
        ApiError::new(
            ErrorClass::Invalid,
            "the account has no default network in this region: set `subnet_id`",
        )
    })
}

/// Finds the groups with a name in a network.
pub(crate) async fn by_name(
    api: &Api,
    network: &str,
    name: &str,
) -> Result<Option<Group>, ApiError> {
    let request = Request::reading("DescribeSecurityGroups")
        .filtered("group-name", [name])
        .filtered("vpc-id", [network]);
    let groups = api.pages(&request, read_all).await?;
    Ok(groups.into_iter().find(|group| group.name == name))
}

async fn named(
    api: &Api,
    found: &mut HashMap<(String, String), String>,
    network: &str,
    name: &str,
) -> Result<String, ApiError> {
    let key = (network.to_owned(), name.to_owned());
    if let Some(id) = found.get(&key) {
        return Ok(id.clone());
    }
    let group = by_name(api, network, name).await?.ok_or_else(|| {
        ApiError::new(
            ErrorClass::Invalid,
            format!("there is no security group `{name}` in network `{network}`"),
        )
    })?;
    found.insert(key, group.id.clone());
    Ok(group.id)
}

/// Finds the group for an infrastructure's ports, or makes it, and sees to it
/// that it has all its rules.
async fn made(
    api: &Api,
    infrastructure: &InfrastructureId,
    network: &str,
    name: &str,
    rules: &[Rule],
) -> Result<String, ApiError> {
    let group = match by_name(api, network, name).await? {
        Some(group) => group,
        None => create(api, infrastructure, network, name).await?,
    };
    if group.infrastructure.as_deref() != Some(infrastructure.as_str()) {
        return Err(ApiError::new(
            ErrorClass::Invalid,
            format!("security group `{name}` exists, and is not of `{infrastructure}`"),
        ));
    }
    let missing: Vec<&Rule> = rules
        .iter()
        .filter(|rule| !group.rules.contains(rule))
        .collect();
    if !missing.is_empty() {
        open(api, &group.id, &missing).await?;
    }
    Ok(group.id)
}

async fn create(
    api: &Api,
    infrastructure: &InfrastructureId,
    network: &str,
    name: &str,
) -> Result<Group, ApiError> {
    let mut request = Request::changing("CreateSecurityGroup")
        .with("GroupName", name)
        .with("GroupDescription", "ports of a Zenekar infrastructure")
        .with("VpcId", network);
    let tags = [
        (TAG_INFRASTRUCTURE.to_owned(), infrastructure.to_string()),
        (TAG_CONSOLE_NAME.to_owned(), name.to_owned()),
    ];
    push_tags(&mut request, 1, "security-group", &tags);
    let created = api.call(&request, |root| text(root, "groupId").map(str::to_owned));
    match created.await {
        Ok(id) => Ok(Group {
            id,
            name: name.to_owned(),
            infrastructure: Some(infrastructure.to_string()),
            rules: Vec::new(),
        }),
        // Somebody was faster: another process, or an earlier life of this one.
        Err(error) if error.is(&["InvalidGroup.Duplicate"]) => {
            by_name(api, network, name).await?.ok_or(ApiError {
                class: ErrorClass::Retryable,
                ..error
            })
        }
        Err(error) => Err(error),
    }
}

/// Lets traffic in. Rules that are there already are no mistake.
async fn open(api: &Api, group: &str, rules: &[&Rule]) -> Result<(), ApiError> {
    let all = authorise(api, group, rules).await;
    let Err(error) = all else { return Ok(()) };
    if !error.is(&["InvalidPermission.Duplicate"]) {
        return Err(error);
    }
    for rule in rules {
        match authorise(api, group, &[rule]).await {
            Err(error) if !error.is(&["InvalidPermission.Duplicate"]) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn authorise(api: &Api, group: &str, rules: &[&Rule]) -> Result<(), ApiError> {
    let mut request = Request::changing("AuthorizeSecurityGroupIngress").with("GroupId", group);
    for (index, rule) in rules.iter().enumerate() {
        let prefix = format!("IpPermissions.{}", index + 1);
        request.push(format!("{prefix}.IpProtocol"), &rule.protocol);
        request.push(format!("{prefix}.FromPort"), rule.from.to_string());
        request.push(format!("{prefix}.ToPort"), rule.to.to_string());
        let source = if rule.is_ipv6() {
            "Ipv6Ranges.1.CidrIpv6"
        } else {
            "IpRanges.1.CidrIp"
        };
        request.push(format!("{prefix}.{source}"), &rule.source);
    }
    let answer = api.call(&request, |_| Some(())).await;
    answer.map_err(|error| {
        if error.is(&["InvalidGroup.NotFound"]) {
            // It was made a moment ago, and not all of the cloud knows it yet.
            return ApiError {
                class: ErrorClass::Retryable,
                ..error
            };
        }
        error
    })
}

/// Deletes a group; one that is not there is deleted.
pub(crate) async fn delete(api: &Api, id: &str) -> Result<(), ApiError> {
    let request = Request::changing("DeleteSecurityGroup").with("GroupId", id);
    match api.call(&request, |_| Some(())).await {
        Err(error) if !error.is(&["InvalidGroup.NotFound", "InvalidGroupId.Malformed"]) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Derives the name of the group for an infrastructure's ports.
fn name_of(infrastructure: &InfrastructureId, rules: &[Rule]) -> String {
    let mut hash = Sha256::new();
    hash.update(infrastructure.as_str().as_bytes());
    for rule in rules {
        hash.update([0]);
        hash.update(format!(
            "{} {} {} {}",
            rule.protocol, rule.from, rule.to, rule.source
        ));
    }
    let digest = hash.finalize();
    let mut text: String = infrastructure
        .as_str()
        .chars()
        .map(|one| match one {
            '-' | '_' | '.' => one,
            one if one.is_ascii_alphanumeric() => one,
            _ => '-',
        })
        .take(NAME_CHARACTERS_MAX - 32)
        .collect();
    text.insert_str(0, "zenekar-");
    text.push('-');
    let hex = digest[..6].iter().map(|byte| format!("{byte:02x}"));
    text.extend(hex);
    text
}

/// Reads the groups of an answer.
pub(crate) fn read_all(root: Node<'_, '_>, found: &mut Vec<Group>) {
    for item in items(root, "securityGroupInfo") {
        let Some(id) = text(item, "groupId") else {
            continue;
        };
        found.push(Group {
            id: id.to_owned(),
            name: text(item, "groupName").unwrap_or_default().to_owned(),
            infrastructure: tag(item, TAG_INFRASTRUCTURE).map(str::to_owned),
            rules: items(item, "ipPermissions").flat_map(rules_of).collect(),
        });
    }
}

fn rules_of(permission: Node<'_, '_>) -> Vec<Rule> {
    let protocol = text(permission, "ipProtocol").unwrap_or_default();
    let port = |name| {
        text(permission, name)
            .and_then(|port| port.parse().ok())
            .unwrap_or(-1)
    };
    let (from, to) = (port("fromPort"), port("toPort"));
    let sources = items(permission, "ipRanges")
        .filter_map(|range| text(range, "cidrIp"))
        .chain(items(permission, "ipv6Ranges").filter_map(|range| text(range, "cidrIpv6")));
    sources
        .map(|source| Rule {
            protocol: protocol.to_owned(),
            from,
            to,
            source: source.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_infrastructures_and_ports_apart() {
        let rule = |port| Rule {
            protocol: "tcp".into(),
            from: port,
            to: port,
            source: "0.0.0.0/0".into(),
        };
        let of = |text: &str, port| name_of(&InfrastructureId::new(text), &[rule(port)]);
        assert_eq!(of("a", 1), of("a", 1));
        assert_ne!(of("a", 1), of("a", 2));
        assert_ne!(of("a/b", 1), of("a-b", 1));
        assert!(of("a/b", 1).starts_with("zenekar-a-b-"));
        assert!(of(&"x".repeat(500), 1).len() <= NAME_CHARACTERS_MAX);
    }

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_id("sg-0a1b2c"));
        assert!(!is_id("sg-"));
        assert!(!is_id("sg-web_servers"));
        assert!(!is_id("default"));
    }
}
