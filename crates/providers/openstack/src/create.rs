//! Making servers, exactly one for each token.
//!
//! Nova has no idempotency tokens. So the token is in the server's metadata, and
//! each creation looks for it first; calls for one instance wait for each other.
//! What is made besides (a port, a floating address) is made before the server,
//! found again by its mark, and shown by [`crate::observe`] if no server follows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use zenekar_base::{
    Addresses, ErrorClass, InfrastructureId, ProviderError, ResourceId, ResourceState, ResourceView,
};
use zenekar_provider::CreateRequest;

use crate::compute::Server;
use crate::lookup::Image;
use crate::mark::{self, Mark};
use crate::openstack::OpenStack;
use crate::page::Listed;
use crate::section::{Apart, Disk, Section};
use crate::session::{Ask, Microversion, Service, invalid};

/// What Nova takes of encoded user-data.
pub(crate) const USER_DATA_ENCODED_MAX: usize = 65_535;

/// What Nova takes of user-data, before it is encoded in groups of three bytes.
pub(crate) const USER_DATA_BYTES_MAX: usize = USER_DATA_ENCODED_MAX / 4 * 3;

/// The longest value of metadata, in characters.
const METADATA_CHARS_MAX: usize = 255;

/// The microversion with which servers get tags when they are made.
const TAGS_AT_CREATION: u32 = 52;

/// The microversion with which a server group has one policy and not a list.
const ONE_POLICY: u32 = 64;

/// The first microversion that knows policies that are wishes.
const SOFT_POLICIES: u32 = 15;

/// A server group.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ServerGroup {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
}

impl Listed for ServerGroup {
    const KEY: &'static str = "server_groups";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct OneServerGroup {
    server_group: ServerGroup,
}

#[derive(Deserialize)]
struct Created {
    server: CreatedServer,
}

#[derive(Deserialize)]
struct CreatedServer {
    id: String,
}

/// What a server is attached to.
enum Attachment {
    /// Networks, on which Nova makes ports.
    Networks {
        networks: Vec<String>,
        security_groups: Vec<String>,
    },
    /// A port of ours.
    Port {
        port: String,
        address: String,
        more_networks: Vec<String>,
    },
}

impl OpenStack {
    /// Creates a server, or returns the one that the token has created.
    pub(crate) async fn create(
        &self,
        request: &CreateRequest,
    ) -> Result<ResourceView, ProviderError> {
        let lock = self.lock_of(request.instance.as_str());
        let _turn = lock.lock().await;
        let _creating = self.begin(&request.instance);
        let created = self.create_in_turn(request).await;
        if created.is_err() {
            // It may have failed because of what was found a while ago.
            self.lookups.clear().await;
        }
        created.map_err(|mut error| {
            if error.class == ErrorClass::NotFound {
                error.class = ErrorClass::Invalid;
            }
            error
        })
    }

    async fn create_in_turn(&self, request: &CreateRequest) -> Result<ResourceView, ProviderError> {
        let section = Section::read(&request.rendered.resource)?;
        if let Some(server) = self.created_by(request).await? {
            return Ok(server.view());
        }
        let user_data = encoded_user_data(request.rendered.user_data.as_deref())?;
        let version = self.session.microversion(TAGS_AT_CREATION).await?;
        let mut server = self.machine(&section).await?;
        let label = section.server_name.as_deref();
        let name = mark::server_name(label, &request.name, &request.instance);
        server["name"] = name.into();
        if let Some(user_data) = user_data {
            server["user_data"] = user_data.into();
        }
        if let Some(key) = &section.key_name {
            server["key_name"] = key.as_str().into();
        }
        if let Some(zone) = &section.availability_zone {
            server["availability_zone"] = zone.as_str().into();
        }
        if let Some(wanted) = section.config_drive {
            server["config_drive"] = wanted.into();
        }
        if version.is_some() {
            server["tags"] = json!([mark::SERVER_TAG]);
        }
        let group = self.server_group(request, &section).await?;
        let attachment = self.attach(request, &section).await?;
        let mut metadata = metadata_of(request)?;
        describe_attachment(&attachment, &mut server, &mut metadata);
        server["metadata"] = metadata;
        let mut body = json!({ "server": server });
        if let Some(group) = group {
            body["os:scheduler_hints"] = json!({ "group": group });
        }
        self.post_server(request, body, version).await
    }

    async fn post_server(
        &self,
        request: &CreateRequest,
        body: Json,
        version: Option<Microversion>,
    ) -> Result<ResourceView, ProviderError> {
        let operation = format!("create server for `{}`", request.name);
        let ask = Ask::post(&operation, Service::Compute, "servers", body).microversion(version);
        let created: Created = self.session.ask_for(ask).await?;
        Ok(ResourceView {
            instance: request.instance.clone(),
            resource: ResourceId::new(created.server.id),
            state: ResourceState::Pending,
            addresses: Addresses::default(),
            token: Some(request.token.clone()),
            revision: 0,
            detail: None,
        })
    }

    /// Finds the server that a token has created: the oldest if two calls that
    /// did not know of each other have made two. The others are shown to the
    /// engine, which deletes them.
    async fn created_by(&self, request: &CreateRequest) -> Result<Option<Server>, ProviderError> {
        let servers = self.servers().await?;
        let fitting = servers.iter().filter(|server| {
            server.is_of(&request.infrastructure)
                && server.meta(mark::TOKEN) == Some(request.token.as_str())
                && server.instance() == request.instance
        });
        let oldest = fitting.min_by_key(|server| (server.created.clone(), server.id.clone()));
        Ok(oldest.cloned())
    }

    /// Describes what the server is made of.
    async fn machine(&self, section: &Section) -> Result<Json, ProviderError> {
        let flavor = section.flavor.as_deref();
        let flavor = flavor.ok_or_else(|| missing("flavor_name", "a flavour by name or id"))?;
        let image = section.image.as_deref();
        let image = image.ok_or_else(|| missing("image_id", "an image by id or name"))?;
        let flavor = self.lookups.flavor(&self.session, flavor).await?;
        let image = self.lookups.image(&self.session, image).await?;
        let mut server = json!({ "flavorRef": flavor.id });
        match section.disk {
            Disk::Image => server["imageRef"] = image.id.into(),
            Disk::Volume { size_gib, persists } => {
                server["imageRef"] = "".into();
                server["block_device_mapping_v2"] = json!([volume_of(&image, size_gib, persists)]);
            }
        }
        Ok(server)
    }

    /// Finds or makes the server group of a node whose servers are kept apart.
    async fn server_group(
        &self,
        request: &CreateRequest,
        section: &Section,
    ) -> Result<Option<String>, ProviderError> {
        let Some(apart) = section.apart else {
            return Ok(None);
        };
        let policy = match apart {
            Apart::Strictly => "anti-affinity",
            Apart::IfPossible => "soft-anti-affinity",
        };
        let node = mark::node_of(&request.name);
        let name = Mark::of_node(&request.infrastructure, node, policy).to_string();
        let lock = self.lock_of(&name);
        let _turn = lock.lock().await;
        let groups = self.server_groups().await?;
        let mut found: Vec<&ServerGroup> = groups.iter().filter(|one| one.name == name).collect();
        found.sort_by_key(|one| one.id.as_str());
        if let Some(group) = found.first() {
            return Ok(Some(group.id.clone()));
        }
        let one_policy = self.session.microversion(ONE_POLICY).await?;
        let soft = self.session.microversion(SOFT_POLICIES).await?;
        let body = match one_policy {
            Some(_) => json!({ "server_group": { "name": name, "policy": policy } }),
            None => json!({ "server_group": { "name": name, "policies": [policy] } }),
        };
        let version = one_policy.or(soft.filter(|_| apart == Apart::IfPossible));
        let operation = "create server group";
        let ask = Ask::post(operation, Service::Compute, "os-server-groups", body);
        let ask = ask.microversion(version);
        let made: OneServerGroup = self.session.ask_for(ask).await?;
        Ok(Some(made.server_group.id))
    }

    /// Lists the server groups of the project.
    pub(crate) async fn server_groups(&self) -> Result<Vec<ServerGroup>, ProviderError> {
        // This list has no marker: it is read by counting. A page holds more than
        // the number of server groups that projects may have.
        let operation = "list server groups";
        let path = "os-server-groups";
        let ask = Ask::get(operation, Service::Compute, path);
        let page: crate::page::Page<ServerGroup> = self.session.ask_for(ask).await?;
        Ok(page.items)
    }

    /// Finds or makes what the server is attached to.
    async fn attach(
        &self,
        request: &CreateRequest,
        section: &Section,
    ) -> Result<Attachment, ProviderError> {
        if !self.session.has(Service::Network).await? {
            return without_neutron(section);
        }
        let mut networks = Vec::new();
        for wanted in &section.networks {
            networks.push(self.lookups.network(&self.session, wanted).await?.id);
        }
        if networks.is_empty() {
            networks.push(self.lookups.only_network(&self.session).await?.id);
        }
        let security_groups = self.security_groups(request, section).await?;
        if !section.has_floating {
            return Ok(Attachment::Networks {
                networks,
                security_groups,
            });
        }
        let mark = Mark::of_instance(&request.infrastructure, &request.instance);
        if !mark.fits() {
            return Err(too_long(&request.infrastructure));
        }
        let first = networks.remove(0);
        let port = self.session.ensure_port(&mark, &first, &security_groups);
        let port = port.await?;
        let pool = section.floating_pool.as_deref();
        let pool = self.lookups.pool(&self.session, pool).await?;
        let pool = pool.map(|network| network.id);
        let wanted = pool.as_deref().filter(|_| section.floating_pool.is_some());
        // Two instances must not take the same free address.
        let lock = self.lock_of("floating addresses");
        let _turn = lock.lock().await;
        let address = self
            .session
            .ensure_floating_address(&mark, &port, wanted, pool.as_deref());
        Ok(Attachment::Port {
            address: address.await?.address,
            port: port.id,
            more_networks: networks,
        })
    }

    /// Finds the security groups that are named, and finds or makes that of the
    /// declared ports. Nova's own `default` stays unless others are named.
    async fn security_groups(
        &self,
        request: &CreateRequest,
        section: &Section,
    ) -> Result<Vec<String>, ProviderError> {
        let mut groups = Vec::new();
        for wanted in &section.security_groups {
            groups.push(self.lookups.security_group(&self.session, wanted).await?);
        }
        if let Some(rules) = &section.ports {
            if groups.is_empty() {
                let default = self.lookups.security_group(&self.session, "default");
                groups.push(default.await?);
            }
            let contents: Vec<String> = rules.iter().map(ToString::to_string).collect();
            let node = mark::node_of(&request.name);
            let mark = Mark::of_node(&request.infrastructure, node, &contents.join(" "));
            if !mark.fits() {
                return Err(too_long(&request.infrastructure));
            }
            let group = self.lookups.own_group(&self.session, &mark, rules);
            groups.push(group.await?);
        }
        Ok(groups)
    }
}

fn missing(key: &str, wanted: &str) -> ProviderError {
    invalid(format!(
        "resource key `{key}` is missing: it names {wanted}"
    ))
}

fn too_long(infrastructure: &InfrastructureId) -> ProviderError {
    invalid(format!(
        "the names of infrastructure `{infrastructure}` and its node are too long to mark what is made for them"
    ))
}

/// Installations from before Neutron know networks by id, and groups by name.
fn without_neutron(section: &Section) -> Result<Attachment, ProviderError> {
    if section.has_floating || section.ports.is_some() {
        return Err(invalid(
            "resource keys `floating_ip`, `floating_ip_pool` and `ports` need the service `network`, which this cloud has not",
        ));
    }
    Ok(Attachment::Networks {
        networks: section.networks.clone(),
        security_groups: section.security_groups.clone(),
    })
}

/// Encodes user-data, unless it is too long.
pub(crate) fn encoded_user_data(text: Option<&str>) -> Result<Option<String>, ProviderError> {
    let Some(text) = text else {
        return Ok(None);
    };
    if text.len() > USER_DATA_BYTES_MAX {
        return Err(invalid(format!(
            "the user-data has {} bytes, and Nova takes {USER_DATA_BYTES_MAX}",
            text.len()
        )));
    }
    Ok(Some(STANDARD.encode(text)))
}

fn metadata_of(request: &CreateRequest) -> Result<Json, ProviderError> {
    let mut metadata = json!({});
    for (key, value) in [
        (mark::INFRASTRUCTURE, request.infrastructure.as_str()),
        (mark::INSTANCE, request.instance.as_str()),
        (mark::TOKEN, request.token.as_str()),
    ] {
        if value.chars().count() > METADATA_CHARS_MAX {
            return Err(too_long(&request.infrastructure));
        }
        metadata[key] = value.into();
    }
    let name: String = request.name.chars().take(METADATA_CHARS_MAX).collect();
    metadata[mark::NAME] = name.into();
    Ok(metadata)
}

fn describe_attachment(attachment: &Attachment, server: &mut Json, metadata: &mut Json) {
    let by_id =
        |ids: &[String]| -> Vec<Json> { ids.iter().map(|id| json!({ "uuid": id })).collect() };
    match attachment {
        Attachment::Networks {
            networks,
            security_groups,
        } => {
            if !networks.is_empty() {
                server["networks"] = by_id(networks).into();
            }
            if !security_groups.is_empty() {
                let groups = security_groups.iter();
                server["security_groups"] = groups.map(|name| json!({ "name": name })).collect();
            }
        }
        Attachment::Port {
            port,
            address,
            more_networks,
        } => {
            let mut networks = vec![json!({ "port": port })];
            networks.extend(by_id(more_networks));
            server["networks"] = networks.into();
            metadata[mark::PORT] = port.as_str().into();
            metadata[mark::ADDRESS] = address.as_str().into();
        }
    }
}

/// Describes a volume that Nova makes from the image, and deletes with the
/// server unless it persists.
fn volume_of(image: &Image, size_gib: Option<u64>, persists: bool) -> Json {
    json!({
        "boot_index": 0,
        "uuid": image.id,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": size_gib.unwrap_or_else(|| image.disk_gib()),
        "delete_on_termination": !persists,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_user_data_is_encoded_within_the_limit() {
        let longest = "x".repeat(USER_DATA_BYTES_MAX);
        let encoded = encoded_user_data(Some(&longest))
            .expect("fits")
            .expect("some");
        assert!(encoded.len() <= USER_DATA_ENCODED_MAX);
        let more = encoded_user_data(Some(&(longest + "x"))).expect_err("too long");
        assert!(
            more.message
                .contains("has 49150 bytes, and Nova takes 49149"),
            "{more}"
        );
        assert_eq!(encoded_user_data(None), Ok(None));
    }
}
