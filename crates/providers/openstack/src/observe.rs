//! Looking at what is there.

use zenekar_base::{
    Addresses, ErrorClass, InfrastructureId, InstanceTag, ProviderError, ResourceId, ResourceState,
    ResourceView,
};
use zenekar_provider::ObserveScope;

use crate::compute::Server;
use crate::mark;
use crate::network::Port;
use crate::openstack::OpenStack;
use crate::session::{Service, invalid};

/// Resources that one look may name.
pub(crate) const DESCRIBE_BATCH_MAX: u32 = 200;

/// More servers than this are looked at by one list, fewer one by one: a look
/// costs Nova a few milliseconds, a page of a list a second and more.
const SINGLE_LOOKS_MAX: usize = 3;

/// What the id of a port of ours without a server begins with.
const PORT_PREFIX: &str = "port:";

/// Makes the id of a port of ours without a server.
pub(crate) fn port_resource(port: &str) -> ResourceId {
    ResourceId::new(format!("{PORT_PREFIX}{port}"))
}

/// Reads the id of a port of ours without a server.
pub(crate) fn port_of(resource: &ResourceId) -> Option<&str> {
    resource.as_str().strip_prefix(PORT_PREFIX)
}

impl OpenStack {
    /// Looks at resources of one infrastructure.
    pub(crate) async fn observe(
        &self,
        infrastructure: &InfrastructureId,
        scope: &ObserveScope,
    ) -> Result<Vec<ResourceView>, ProviderError> {
        match scope {
            ObserveScope::All => self.observe_all(infrastructure).await,
            ObserveScope::Resources(resources) => {
                if resources.len() > DESCRIBE_BATCH_MAX as usize {
                    return Err(invalid(format!(
                        "a call may name {DESCRIBE_BATCH_MAX} resources, not {}",
                        resources.len()
                    )));
                }
                self.observe_some(infrastructure, resources).await
            }
        }
    }

    /// Lists by metadata, which nobody changes by renaming a server.
    async fn observe_all(
        &self,
        infrastructure: &InfrastructureId,
    ) -> Result<Vec<ResourceView>, ProviderError> {
        // Ports first: whoever has just finished a creation is in the list of servers.
        let idle = self.idle_ports(infrastructure).await?;
        let servers = self.servers().await?;
        let own = servers.iter().filter(|one| one.is_of(infrastructure));
        let mut views: Vec<ResourceView> = own.map(|server| self.seen(server)).collect();
        for (instance, port) in idle {
            let is_used = servers
                .iter()
                .any(|server| server.meta(mark::PORT) == Some(port.id.as_str()));
            if !is_used {
                views.push(view_of_port(&instance, &port));
            }
        }
        let is_there = |resource: &ResourceId| {
            let is_it = |server: &Server| server.id == resource.as_str();
            servers.iter().any(is_it)
        };
        views.extend(self.gone(infrastructure, is_there));
        Ok(views)
    }

    /// Lists ports of ours that no server has and no creation of this process is
    /// about to use: what a creation left that was never repeated.
    async fn idle_ports(
        &self,
        infrastructure: &InfrastructureId,
    ) -> Result<Vec<(InstanceTag, Port)>, ProviderError> {
        if !self.session.has(Service::Network).await? {
            return Ok(Vec::new());
        }
        let ports = self.session.idle_ports(infrastructure).await?;
        let idle = ports.into_iter().filter_map(|(mark, port)| {
            let instance = mark.instance()?.clone();
            (!self.is_creating(&instance)).then_some((instance, port))
        });
        Ok(idle.collect())
    }

    async fn observe_some(
        &self,
        infrastructure: &InfrastructureId,
        resources: &[ResourceId],
    ) -> Result<Vec<ResourceView>, ProviderError> {
        let mut views = Vec::new();
        let (ports, servers): (Vec<&ResourceId>, Vec<&ResourceId>) =
            resources.iter().partition(|one| port_of(one).is_some());
        if !ports.is_empty() {
            let idle = self.idle_ports(infrastructure).await?;
            views.extend(
                idle.iter()
                    .map(|(instance, port)| view_of_port(instance, port))
                    .filter(|view| ports.contains(&&view.resource)),
            );
        }
        if servers.len() <= SINGLE_LOOKS_MAX {
            for resource in servers {
                let server = self.server(resource).await?;
                if server.is_none() {
                    views.extend(self.gone(infrastructure, |other| other != resource));
                }
                views.extend(self.visible(infrastructure, server.as_ref()));
            }
            return Ok(views);
        }
        let all = self.servers().await?;
        for resource in servers {
            let server = all.iter().find(|one| one.id == resource.as_str());
            if server.is_none() {
                views.extend(self.gone(infrastructure, |other| other != resource));
            }
            views.extend(self.visible(infrastructure, server));
        }
        Ok(views)
    }

    fn visible(
        &self,
        infrastructure: &InfrastructureId,
        server: Option<&Server>,
    ) -> Option<ResourceView> {
        let server = server.filter(|server| !server.is_foreign(infrastructure))?;
        Some(self.seen(server))
    }

    fn seen(&self, server: &Server) -> ResourceView {
        self.remember(server);
        server.view()
    }

    /// Looks at a server of this infrastructure; not found if there is none.
    pub(crate) async fn own_server(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Result<Server, ProviderError> {
        let server = self.server(resource).await?;
        let own = server.filter(|server| !server.is_foreign(infrastructure));
        own.ok_or_else(|| {
            ProviderError::new(
                ErrorClass::NotFound,
                format!("there is no server `{resource}`"),
            )
        })
    }
}

/// Shows a port without a server as something that nothing wants. Its tag is
/// that of no instance, so that it is never taken for one.
fn view_of_port(instance: &InstanceTag, port: &Port) -> ResourceView {
    ResourceView {
        instance: InstanceTag::new(format!("{instance}/port")),
        resource: port_resource(&port.id),
        state: ResourceState::Failed,
        addresses: Addresses::default(),
        token: None,
        revision: 0,
        detail: Some("a port that was made for a server that is not there".to_owned()),
    }
}
