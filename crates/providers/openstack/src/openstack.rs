//! What the calls of the provider share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use tokio::sync::Mutex;
use zenekar_base::{
    Addresses, ErrorClass, InfrastructureId, InstanceTag, ProviderError, ResourceId, ResourceState,
    ResourceView,
};

use crate::compute::{OneServer, Server};
use crate::lookup::Lookups;
use crate::session::{Ask, Service, Session, segment};

/// The microversion of looks: a list does not leave out what is in parts of the
/// cloud that do not answer, but says that it is there.
const LOOK: u32 = 69;

/// How many addresses are kept for health checks; above every engine's number
/// of instances at one provider.
const ADDRESSES_MAX: usize = 100_000;

/// How many deletions are remembered until they are seen to be done; what is
/// more is found to be gone by its absence, which takes longer.
const DELETED_MAX: usize = 10_000;

/// One `OpenStack`, and what was seen there lately.
pub(crate) struct OpenStack {
    pub(crate) session: Session,
    pub(crate) lookups: Lookups,
    /// One lock for each instance: two calls for one must not both find nothing.
    locks: StdMutex<BTreeMap<String, Arc<Mutex<()>>>>,
    /// Instances whose creation is under way in this process.
    creating: StdMutex<BTreeSet<InstanceTag>>,
    /// Where servers were seen, so that a health check costs no call.
    addresses: StdMutex<BTreeMap<ResourceId, Place>>,
    /// Servers whose deletion was accepted in this process.
    deleted: StdMutex<BTreeMap<ResourceId, (InfrastructureId, InstanceTag)>>,
    list: Mutex<SharedList>,
    lists_begun: std::sync::atomic::AtomicU64,
}

/// Where a server is.
#[derive(Clone)]
pub(crate) struct Place {
    infrastructure: Option<InfrastructureId>,
    pub(crate) addresses: Addresses,
}

#[derive(Default)]
struct SharedList {
    number: u64,
    servers: Arc<Vec<Server>>,
}

fn locked<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    // Nothing in these is half-done when a panic leaves a holder.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenStack {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            lookups: Lookups::new(),
            locks: StdMutex::default(),
            creating: StdMutex::default(),
            addresses: StdMutex::default(),
            deleted: StdMutex::default(),
            list: Mutex::default(),
            lists_begun: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Returns the lock of an instance, or of something else with a name.
    pub(crate) fn lock_of(&self, name: &str) -> Arc<Mutex<()>> {
        let mut locks = locked(&self.locks);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(name.to_owned()).or_default().clone()
    }

    /// Notes that an instance is being created, until what is returned is dropped.
    pub(crate) fn begin(&self, instance: &InstanceTag) -> Creating<'_> {
        locked(&self.creating).insert(instance.clone());
        Creating {
            openstack: self,
            instance: instance.clone(),
        }
    }

    /// Says whether an instance is being created.
    pub(crate) fn is_creating(&self, instance: &InstanceTag) -> bool {
        locked(&self.creating).contains(instance)
    }

    /// Lists the servers of the project, by a list that begins after this call.
    ///
    /// All that ask while one list is read share the next one: a wave of
    /// creations that each have to look first costs a few lists.
    pub(crate) async fn servers(&self) -> Result<Arc<Vec<Server>>, ProviderError> {
        use std::sync::atomic::Ordering::SeqCst;
        let begun = self.lists_begun.load(SeqCst);
        let mut shared = self.list.lock().await;
        if shared.number > begun {
            return Ok(shared.servers.clone());
        }
        let number = self.lists_begun.fetch_add(1, SeqCst) + 1;
        let version = self.session.microversion(LOOK).await?;
        let servers: Vec<Server> = self
            .session
            .list(
                "list servers",
                Service::Compute,
                "servers/detail",
                &[],
                version,
            )
            .await?;
        if servers.iter().any(Server::is_partial) {
            return Err(ProviderError::new(
                ErrorClass::Retryable,
                "list servers: a part of the cloud does not answer, so the list is not complete",
            ));
        }
        shared.servers = Arc::new(servers);
        shared.number = number;
        Ok(shared.servers.clone())
    }

    /// Looks at one server; none if it is not there.
    pub(crate) async fn server(
        &self,
        resource: &ResourceId,
    ) -> Result<Option<Server>, ProviderError> {
        let version = self.session.microversion(LOOK).await?;
        let path = format!("servers/{}", segment(resource.as_str()));
        let ask = Ask::get("look at the server", Service::Compute, path).microversion(version);
        match self.session.ask_for::<OneServer>(ask).await {
            Ok(one) if one.server.is_partial() => Err(ProviderError::new(
                ErrorClass::Retryable,
                "look at the server: the part of the cloud that has it does not answer",
            )),
            Ok(one) => Ok(Some(one.server)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes that the deletion of a server was accepted.
    pub(crate) fn note_deleted(&self, infrastructure: &InfrastructureId, server: &Server) {
        let mut deleted = locked(&self.deleted);
        if deleted.len() < DELETED_MAX && !server.instance().as_str().is_empty() {
            let resource = ResourceId::new(server.id.as_str());
            deleted.insert(resource, (infrastructure.clone(), server.instance()));
        }
    }

    /// Returns the servers of an infrastructure that were told to go and are not
    /// among those that are there: they are surely gone, and are shown so once.
    pub(crate) fn gone(
        &self,
        infrastructure: &InfrastructureId,
        is_there: impl Fn(&ResourceId) -> bool,
    ) -> Vec<ResourceView> {
        let mut views = Vec::new();
        locked(&self.deleted).retain(|resource, (of, instance)| {
            let is_gone = of == infrastructure && !is_there(resource);
            if is_gone {
                views.push(ResourceView {
                    instance: instance.clone(),
                    resource: resource.clone(),
                    state: ResourceState::Gone,
                    addresses: Addresses::default(),
                    token: None,
                    revision: 0,
                    detail: None,
                });
            }
            !is_gone
        });
        views
    }

    /// Keeps where a server is.
    pub(crate) fn remember(&self, server: &Server) {
        let resource = ResourceId::new(server.id.as_str());
        let mut places = locked(&self.addresses);
        if server.state() != ResourceState::Running || places.len() >= ADDRESSES_MAX {
            places.remove(&resource);
            return;
        }
        let infrastructure = server
            .meta(crate::mark::INFRASTRUCTURE)
            .map(InfrastructureId::new);
        let place = Place {
            infrastructure,
            addresses: server.addresses(),
        };
        places.insert(resource, place);
    }

    /// Forgets where a server was.
    pub(crate) fn forget(&self, resource: &ResourceId) {
        locked(&self.addresses).remove(resource);
    }

    /// Finds where a server is, without a call if it was seen running.
    pub(crate) async fn place(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Result<Addresses, ProviderError> {
        let known = locked(&self.addresses).get(resource).cloned();
        let foreign = |place: &Place| {
            place
                .infrastructure
                .as_ref()
                .is_some_and(|other| other != infrastructure)
        };
        if let Some(place) = known.filter(|place| !foreign(place)) {
            return Ok(place.addresses);
        }
        let server = self.server(resource).await?;
        let server = server.filter(|server| {
            !server.is_foreign(infrastructure) && server.state() != ResourceState::Gone
        });
        let server = server.ok_or_else(|| {
            ProviderError::new(
                ErrorClass::NotFound,
                format!("there is no server `{resource}`"),
            )
        })?;
        self.remember(&server);
        Ok(server.addresses())
    }
}

/// An instance is being created as long as this lives.
pub(crate) struct Creating<'a> {
    openstack: &'a OpenStack,
    instance: InstanceTag,
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        locked(&self.openstack.creating).remove(&self.instance);
    }
}
