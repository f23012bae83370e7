//! Deleting servers, and what was made besides them.

use zenekar_base::{ErrorClass, InfrastructureId, ProviderError, ResourceId, ResourceState};
use zenekar_http::Method;
use zenekar_provider::{Deleted, Owned, OwnedKind};

use crate::mark::{self, Mark};
use crate::network::{FloatingAddress, Port, SecurityGroup, gone_is_fine};
use crate::observe::port_of;
use crate::openstack::OpenStack;
use crate::session::{Ask, Service, segment};

impl OpenStack {
    /// Deletes a server with its port and address, or a port without a server.
    pub(crate) async fn delete(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Result<Deleted, ProviderError> {
        if let Some(port) = port_of(resource) {
            return self.delete_idle_port(infrastructure, port).await;
        }
        let Some(server) = self.server(resource).await? else {
            self.forget(resource);
            return Ok(Deleted::Gone);
        };
        if server.is_foreign(infrastructure) || server.state() == ResourceState::Gone {
            return Ok(Deleted::Gone);
        }
        if server.locked {
            return Err(ProviderError::new(
                ErrorClass::Conflict,
                format!("server `{resource}` is locked; unlock it first"),
            ));
        }
        self.forget(resource);
        // The server last: as long as it is there, the rest is found through it.
        if let Some(port) = server.meta(mark::PORT) {
            let mark = Mark::of_instance(infrastructure, &server.instance());
            self.session.remove_port_of(&mark, port).await?;
        }
        if server.state() != ResourceState::Deleting
            && self.delete_server(resource).await? == Deleted::Gone
        {
            return Ok(Deleted::Gone);
        }
        self.note_deleted(infrastructure, &server);
        Ok(Deleted::Accepted)
    }

    async fn delete_server(&self, resource: &ResourceId) -> Result<Deleted, ProviderError> {
        let path = format!("servers/{}", segment(resource.as_str()));
        let operation = format!("delete server `{resource}`");
        let ask = Ask::new(&operation, Service::Compute, Method::DELETE, path);
        match self.session.ask(ask).await {
            Ok(_) => Ok(Deleted::Accepted),
            Err(error) if error.class == ErrorClass::NotFound => Ok(Deleted::Gone),
            Err(error) => Err(error),
        }
    }

    /// Deletes a port, unless a server has come to use it.
    async fn delete_idle_port(
        &self,
        infrastructure: &InfrastructureId,
        id: &str,
    ) -> Result<Deleted, ProviderError> {
        let ports: Vec<Port> = self
            .session
            .list_network("look at the port", &[("id", id)])
            .await?;
        let marked = ports.iter().find_map(|port| {
            let mark = Mark::read_of(&port.name, infrastructure)?;
            mark.instance().cloned()
        });
        let Some(instance) = marked else {
            return Ok(Deleted::Gone);
        };
        let lock = self.lock_of(instance.as_str());
        let _turn = lock.lock().await;
        let servers = self.servers().await?;
        let is_used = servers
            .iter()
            .any(|server| server.meta(mark::PORT) == Some(id));
        if !is_used {
            self.session.remove_port(id).await?;
        }
        Ok(Deleted::Gone)
    }

    /// Removes what was made for an infrastructure besides its servers.
    pub(crate) async fn release(
        &self,
        infrastructure: &InfrastructureId,
    ) -> Result<(), ProviderError> {
        self.lookups.clear().await;
        if self.session.has(Service::Network).await? {
            for address in self.marked_addresses().await? {
                if address
                    .mark()
                    .is_some_and(|mark| mark.infrastructure == *infrastructure)
                {
                    let operation = "release floating address";
                    self.session
                        .delete_network(operation, "floatingips", &address.id)
                        .await?;
                }
            }
            let ports: Vec<Port> = self.session.list_network("list ports", &[]).await?;
            for port in ports {
                if Mark::read_of(&port.name, infrastructure).is_some() {
                    self.session
                        .delete_network("delete port", "ports", &port.id)
                        .await?;
                }
            }
            let groups: Vec<SecurityGroup> = self
                .session
                .list_network("list security groups", &[])
                .await?;
            for group in groups {
                if Mark::read_of(&group.name, infrastructure).is_some() {
                    let operation = "delete security group";
                    self.session
                        .delete_network(operation, "security-groups", &group.id)
                        .await?;
                }
            }
        }
        for group in self.server_groups().await? {
            if Mark::read_of(&group.name, infrastructure).is_some() {
                self.delete_server_group(&group.id).await?;
            }
        }
        Ok(())
    }

    async fn marked_addresses(&self) -> Result<Vec<FloatingAddress>, ProviderError> {
        let all: Vec<FloatingAddress> = self
            .session
            .list_network("list floating addresses", &[])
            .await?;
        Ok(all.into_iter().filter(|one| one.mark().is_some()).collect())
    }

    async fn delete_server_group(&self, id: &str) -> Result<(), ProviderError> {
        let path = format!("os-server-groups/{}", segment(id));
        let operation = "delete server group";
        let ask = Ask::new(operation, Service::Compute, Method::DELETE, path);
        gone_is_fine(self.session.ask(ask).await.map(drop))
    }

    /// Lists everything of the project that carries a mark of ours.
    pub(crate) async fn owned(&self) -> Result<Vec<Owned>, ProviderError> {
        let mut all = Vec::new();
        for server in self.servers().await?.iter() {
            let Some(infrastructure) = server.meta(mark::INFRASTRUCTURE) else {
                continue;
            };
            all.push(Owned {
                kind: OwnedKind::Instance,
                id: ResourceId::new(server.id.as_str()),
                infrastructure: InfrastructureId::new(infrastructure),
                instance: Some(server.instance()).filter(|tag| !tag.as_str().is_empty()),
                name: server.meta(mark::NAME).unwrap_or(&server.name).to_owned(),
                state: server.status.clone(),
                created: server.created.clone(),
            });
        }
        if self.session.has(Service::Network).await? {
            all.extend(self.owned_at_network().await?);
        }
        for group in self.server_groups().await? {
            if let Some(mark) = Mark::read(&group.name) {
                let kind = OwnedKind::ServerGroup;
                all.push(owned(kind, &group.id, mark, group.name.clone(), "", None));
            }
        }
        Ok(all)
    }

    async fn owned_at_network(&self) -> Result<Vec<Owned>, ProviderError> {
        let mut all = Vec::new();
        for address in self.marked_addresses().await? {
            let Some(mark) = address.mark() else { continue };
            let (kind, created) = (OwnedKind::Address, address.created_at);
            let (name, state) = (address.address, &address.status);
            all.push(owned(kind, &address.id, mark, name, state, created));
        }
        let ports: Vec<Port> = self.session.list_network("list ports", &[]).await?;
        for port in ports {
            if let Some(mark) = Mark::read(&port.name) {
                let (kind, created) = (OwnedKind::Port, port.created_at);
                all.push(owned(
                    kind,
                    &port.id,
                    mark,
                    port.name,
                    &port.status,
                    created,
                ));
            }
        }
        let operation = "list security groups";
        let groups: Vec<SecurityGroup> = self.session.list_network(operation, &[]).await?;
        for group in groups {
            if let Some(mark) = Mark::read(&group.name) {
                let (kind, created) = (OwnedKind::SecurityGroup, group.created_at);
                all.push(owned(kind, &group.id, mark, group.name, "", created));
            }
        }
        Ok(all)
    }

    /// Deletes one thing that was listed, if it still carries the same mark.
    pub(crate) async fn delete_owned(&self, thing: &Owned) -> Result<Deleted, ProviderError> {
        let id = thing.id.as_str();
        let collection = match thing.kind {
            OwnedKind::Instance => {
                let server = self.server(&thing.id).await?;
                if server.is_none_or(|server| !server.is_of(&thing.infrastructure)) {
                    return Ok(Deleted::Gone);
                }
                return self.delete(&thing.infrastructure, &thing.id).await;
            }
            OwnedKind::ServerGroup => {
                let groups = self.server_groups().await?;
                let is_there = groups.iter().any(|one| {
                    one.id == id && Mark::read_of(&one.name, &thing.infrastructure).is_some()
                });
                if is_there {
                    self.delete_server_group(id).await?;
                }
                return Ok(Deleted::Gone);
            }
            OwnedKind::Address => "floatingips",
            OwnedKind::Port => "ports",
            OwnedKind::SecurityGroup => "security-groups",
            OwnedKind::Network | OwnedKind::Volume => return Ok(Deleted::Gone),
        };
        let marked = self.owned_at_network().await?;
        let is_there = marked.iter().any(|one| {
            one.kind == thing.kind
                && one.id == thing.id
                && one.infrastructure == thing.infrastructure
        });
        if is_there {
            let operation = format!("delete {} `{id}`", thing.kind.name());
            self.session
                .delete_network(&operation, collection, id)
                .await?;
        }
        Ok(Deleted::Gone)
    }
}

fn owned(
    kind: OwnedKind,
    id: &str,
    mark: Mark,
    name: String,
    state: &str,
    created: Option<String>,
) -> Owned {
    Owned {
        kind,
        id: ResourceId::new(id),
        instance: mark.instance().cloned(),
        infrastructure: mark.infrastructure,
        name,
        state: state.to_owned(),
        created,
    }
}
