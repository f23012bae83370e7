//! Ports, floating addresses, security groups: what Neutron has of ours.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;
use zenekar_base::{ErrorClass, InfrastructureId, ProviderError};
use zenekar_http::Method;

use crate::mark::Mark;
use crate::page::Listed;
use crate::section::{PortRule, Source};
use crate::session::{Ask, Service, Session, segment};

/// The extension with which floating addresses have descriptions.
const DESCRIPTIONS: &str = "standard-attr-description";

/// The extension with which a change can ask that nobody was faster.
const CONDITIONS: &str = "revision-if-match";

/// The extension with which an empty text is a filter and not no filter.
const EMPTY_FILTERS: &str = "empty-string-filtering";

/// A port.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Port {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) device_id: String,
    #[serde(default)]
    pub(crate) status: String,
    pub(crate) created_at: Option<String>,
    network_id: Option<String>,
    security_groups: Option<Vec<String>>,
}

impl Port {
    /// Says whether the port is in this network and in these groups only, as
    /// far as Neutron tells.
    fn is_as_wanted(&self, network: &str, security_groups: &BTreeSet<&str>) -> bool {
        let groups = self.security_groups.as_ref();
        self.network_id.as_ref().is_none_or(|its| its == network)
            && groups.is_none_or(|its| {
                its.iter().map(String::as_str).collect::<BTreeSet<_>>() == *security_groups
            })
    }
}

impl Listed for Port {
    const KEY: &'static str = "ports";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct OnePort {
    port: Port,
}

/// A floating address.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FloatingAddress {
    pub(crate) id: String,
    #[serde(rename = "floating_ip_address")]
    pub(crate) address: String,
    #[serde(rename = "floating_network_id")]
    pub(crate) network: String,
    pub(crate) port_id: Option<String>,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) status: String,
    pub(crate) created_at: Option<String>,
    revision_number: Option<u64>,
}

impl Listed for FloatingAddress {
    const KEY: &'static str = "floatingips";

    fn id(&self) -> &str {
        &self.id
    }
}

impl FloatingAddress {
    pub(crate) fn mark(&self) -> Option<Mark> {
        Mark::read(self.description.as_deref()?)
    }
}

#[derive(Deserialize)]
struct OneFloatingAddress {
    floatingip: FloatingAddress,
}

/// A security group.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) created_at: Option<String>,
}

impl Listed for SecurityGroup {
    const KEY: &'static str = "security_groups";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct OneSecurityGroup {
    security_group: SecurityGroup,
}

/// Treats a thing that is not there as deleted.
pub(crate) fn gone_is_fine(result: Result<(), ProviderError>) -> Result<(), ProviderError> {
    match result {
        Err(error) if error.class == ErrorClass::NotFound => Ok(()),
        other => other,
    }
}

impl Session {
    /// Returns the id of the project, as a filter: who administers a cloud sees
    /// what is of others too.
    async fn project(&self) -> Result<String, ProviderError> {
        let token = self.token().await?;
        let project = token.project.as_ref().map(|project| project.id.clone());
        Ok(project.unwrap_or_default())
    }

    /// Lists things of the project at Neutron.
    pub(crate) async fn list_network<T: Listed>(
        &self,
        operation: &str,
        filters: &[(&str, &str)],
    ) -> Result<Vec<T>, ProviderError> {
        let project = self.project().await?;
        let mut query = vec![("tenant_id", project.as_str())];
        query.extend(filters);
        let path = T::KEY.replace('_', "-");
        self.list(operation, Service::Network, &path, &query, None)
            .await
    }

    /// Deletes something at Neutron; what is not there is deleted.
    pub(crate) async fn delete_network(
        &self,
        operation: &str,
        collection: &str,
        id: &str,
    ) -> Result<(), ProviderError> {
        let path = format!("{collection}/{}", segment(id));
        let ask = Ask::new(operation, Service::Network, Method::DELETE, path);
        gone_is_fine(self.ask(ask).await.map(drop))
    }

    /// Finds the port with a mark, the oldest if there are several, or makes it.
    pub(crate) async fn ensure_port(
        &self,
        mark: &Mark,
        network: &str,
        security_groups: &[String],
    ) -> Result<Port, ProviderError> {
        let name = mark.to_string();
        let found: Vec<Port> = self
            .list_network("look for the port", &[("name", &name)])
            .await?;
        let fitting = self.fitting(found, network, security_groups).await?;
        if let Some(port) = oldest(fitting, |port| port.created_at.clone()) {
            return Ok(port);
        }
        let mut body = json!({ "port": { "name": name, "network_id": network } });
        if !security_groups.is_empty() {
            body["port"]["security_groups"] = json!(security_groups);
        }
        let ask = Ask::post("create port", Service::Network, "ports", body);
        Ok(self.ask_for::<OnePort>(ask).await?.port)
    }

    /// Returns those ports of an instance that are as wanted now. An earlier
    /// attempt may have made one, and the descriptor may have changed since:
    /// such a port is removed, unless a server uses it, which goes with it.
    async fn fitting(
        &self,
        found: Vec<Port>,
        network: &str,
        security_groups: &[String],
    ) -> Result<Vec<Port>, ProviderError> {
        let mut wanted: BTreeSet<&str> = security_groups.iter().map(String::as_str).collect();
        // Without a word about groups, Neutron puts a port into `default`, or
        // into none where the network has no port security.
        let named_none = security_groups.is_empty();
        let has_groups = |port: &Port| {
            port.security_groups
                .as_ref()
                .is_some_and(|its| !its.is_empty())
        };
        let default: Vec<SecurityGroup> = if named_none && found.iter().any(has_groups) {
            let filters = [("name", "default")];
            self.list_network("look for the security group", &filters)
                .await?
        } else {
            Vec::new()
        };
        wanted.extend(default.iter().map(|group| group.id.as_str()));
        let mut fitting = Vec::new();
        for port in found {
            let is_bare = named_none && port.is_as_wanted(network, &BTreeSet::new());
            if is_bare || port.is_as_wanted(network, &wanted) {
                fitting.push(port);
            } else if port.device_id.is_empty() {
                self.remove_port(&port.id).await?;
            }
        }
        Ok(fitting)
    }

    /// Removes the port that was made for an instance, if it still carries its
    /// mark: what a server says of its port can be changed by anybody.
    pub(crate) async fn remove_port_of(
        &self,
        mark: &Mark,
        port: &str,
    ) -> Result<(), ProviderError> {
        let found: Vec<Port> = self
            .list_network("look at the port", &[("id", port)])
            .await?;
        let name = mark.to_string();
        if found.iter().any(|one| one.id == port && one.name == name) {
            self.remove_port(port).await?;
        }
        Ok(())
    }

    /// Sees to it that a port has a floating address: the one that it has, or a
    /// free one of the project, or a new one, which carries the mark.
    pub(crate) async fn ensure_floating_address(
        &self,
        mark: &Mark,
        port: &Port,
        pool: Option<&str>,
        allocate_from: Option<&str>,
    ) -> Result<FloatingAddress, ProviderError> {
        let mut all: Vec<FloatingAddress> =
            self.list_network("list floating addresses", &[]).await?;
        all.sort_by(|one, other| one.id.cmp(&other.id));
        let has = all
            .iter()
            .find(|one| one.port_id.as_deref() == Some(&port.id));
        if let Some(address) = has {
            return Ok(address.clone());
        }
        let own = |one: &&FloatingAddress| one.mark().as_ref() == Some(mark);
        let free = |one: &&FloatingAddress| {
            one.mark().is_none() && pool.is_none_or(|pool| one.network == pool)
        };
        let unused = || all.iter().filter(|one| one.port_id.is_none());
        for address in unused().filter(own).chain(unused().filter(free)) {
            match self.attach(address, port).await {
                Ok(address) => return Ok(address),
                // Somebody was faster, or no router leads from there to the port.
                Err(error)
                    if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.allocate(mark, port, allocate_from).await
    }

    async fn attach(
        &self,
        address: &FloatingAddress,
        port: &Port,
    ) -> Result<FloatingAddress, ProviderError> {
        let path = format!("floatingips/{}", segment(&address.id));
        let operation = "attach floating address";
        let mut ask = Ask::new(operation, Service::Network, Method::PUT, path);
        ask.body = Some(json!({ "floatingip": { "port_id": port.id } }));
        // Without it, an address that somebody else has just taken would change hands.
        if let Some(revision) = address.revision_number
            && self.has_extension(CONDITIONS).await?
        {
            ask.if_match = Some(format!("revision_number={revision}"));
        }
        Ok(self.ask_for::<OneFloatingAddress>(ask).await?.floatingip)
    }

    async fn allocate(
        &self,
        mark: &Mark,
        port: &Port,
        pool: Option<&str>,
    ) -> Result<FloatingAddress, ProviderError> {
        if !self.has_extension(DESCRIPTIONS).await? {
            return Err(ProviderError::new(
                ErrorClass::Quota,
                "no floating address is free, and this Neutron cannot mark a new one as ours; allocate some",
            ));
        }
        let pool = pool.ok_or_else(|| {
            crate::session::invalid(
                "no floating address is free, and there is not exactly one external network; name one with `floating_ip_pool`",
            )
        })?;
        // In one call, so that there is no moment in which it is made and not attached.
        let body = json!({ "floatingip": {
            "floating_network_id": pool,
            "port_id": port.id,
            "description": mark.to_string(),
        } });
        let ask = Ask::post(
            "allocate floating address",
            Service::Network,
            "floatingips",
            body,
        );
        Ok(self.ask_for::<OneFloatingAddress>(ask).await?.floatingip)
    }

    /// Removes a port of ours, and the floating address that was made for it.
    pub(crate) async fn remove_port(&self, port: &str) -> Result<(), ProviderError> {
        let addresses: Vec<FloatingAddress> = self
            .list_network("look for the floating address", &[("port_id", port)])
            .await?;
        for address in addresses.iter().filter(|one| one.mark().is_some()) {
            self.delete_network("release floating address", "floatingips", &address.id)
                .await?;
        }
        self.delete_network("delete port", "ports", port).await
    }

    /// Lists the ports of an infrastructure that no server has.
    pub(crate) async fn idle_ports(
        &self,
        infrastructure: &InfrastructureId,
    ) -> Result<Vec<(Mark, Port)>, ProviderError> {
        let mut filters = Vec::new();
        if self.has_extension(EMPTY_FILTERS).await? {
            filters.push(("device_id", ""));
        }
        let ports: Vec<Port> = self.list_network("list ports", &filters).await?;
        let marked = ports.into_iter().filter_map(|port| {
            let mark = Mark::read_of(&port.name, infrastructure)?;
            (port.device_id.is_empty() && mark.instance().is_some()).then_some((mark, port))
        });
        Ok(marked.collect())
    }

    /// Finds a security group with a mark, the oldest if there are several, or
    /// makes it, and sees to its rules.
    pub(crate) async fn ensure_security_group(
        &self,
        mark: &Mark,
        rules: &[PortRule],
    ) -> Result<String, ProviderError> {
        let name = mark.to_string();
        let found: Vec<SecurityGroup> = self
            .list_network("look for the security group", &[("name", &name)])
            .await?;
        let group = if let Some(group) = oldest(found, |group| group.created_at.clone()) {
            group
        } else {
            let description = "made by zenekar, and deleted with the infrastructure";
            let body = json!({ "security_group": { "name": name, "description": description } });
            let path = "security-groups";
            let ask = Ask::post("create security group", Service::Network, path, body);
            self.ask_for::<OneSecurityGroup>(ask).await?.security_group
        };
        for rule in rules {
            for source in &rule.from {
                self.ensure_rule(&group.id, rule, source).await?;
            }
        }
        Ok(group.id)
    }

    async fn ensure_rule(
        &self,
        group: &str,
        rule: &PortRule,
        from: &Source,
    ) -> Result<(), ProviderError> {
        let family = if from.is_version_6 { "IPv6" } else { "IPv4" };
        let mut body = json!({ "security_group_rule": {
            "security_group_id": group,
            "direction": "ingress",
            "ethertype": family,
            "protocol": rule.protocol.name(),
            "remote_ip_prefix": from.network,
        } });
        if let Some((first, last)) = rule.range {
            body["security_group_rule"]["port_range_min"] = first.into();
            body["security_group_rule"]["port_range_max"] = last.into();
        }
        let path = "security-group-rules";
        let ask = Ask::post("create security group rule", Service::Network, path, body);
        match self.ask(ask).await {
            // It is there already.
            Err(error) if error.class == ErrorClass::Conflict => Ok(()),
            other => other.map(drop),
        }
    }
}

/// Returns the oldest of several; the same one for everybody who asks.
pub(crate) fn oldest<T: Listed>(
    mut items: Vec<T>,
    created: impl Fn(&T) -> Option<String>,
) -> Option<T> {
    items.sort_by_cached_key(|item| (created(item), item.id().to_owned()));
    items.into_iter().next()
}
