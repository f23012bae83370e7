//! The truth about the cloud, for tests and properties; callers never see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zenekar_base::{
    Addresses, InfrastructureId, InstanceTag, ResourceId, ResourceState, Timestamp, Token,
};

use crate::cloud::SimCloud;
use crate::resource::Resource;

/// One machine that was ever created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// What the cloud calls it.
    pub resource: ResourceId,
    /// Whose it is.
    pub infrastructure: InfrastructureId,
    /// Which instance it is.
    pub instance: InstanceTag,
    /// The instance's name for people.
    pub name: String,
    /// The token it was created with.
    pub token: Token,
    /// Its cores.
    pub cores: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ceased to exist; `None` while it exists.
    pub deleted_at: Option<Timestamp>,
    /// Its present state; `None` once it is not shown any more.
    pub state: Option<ResourceState>,
    /// From when on it is healthy while it runs; `MAX` is never.
    pub healthy_at: Timestamp,
    /// The number of the last contextualisation in place.
    pub revision: u32,
    /// Its addresses, once known.
    pub addresses: Addresses,
}

impl LedgerEntry {
    fn of(resource: &Resource) -> Self {
        let present = resource.present();
        Self {
            resource: resource.id(),
            infrastructure: resource.identity.infrastructure.clone(),
            instance: resource.identity.instance.clone(),
            name: resource.identity.name.clone(),
            token: resource.identity.token.clone(),
            cores: resource.identity.cores,
            created_at: resource.created_at,
            deleted_at: resource.deleted_at,
            state: present.state,
            healthy_at: resource.healthy_at,
            revision: present.revision,
            addresses: resource.addresses(Timestamp::MAX),
        }
    }

    /// Says whether it exists and costs money.
    pub fn is_alive(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Says whether it runs and answers health checks at `now`.
    pub fn is_healthy(&self, now: Timestamp) -> bool {
        self.state == Some(ResourceState::Running) && self.healthy_at <= now
    }
}

/// A look at the truth.
#[derive(Clone, Copy, Debug)]
pub struct Ledger<'a> {
    cloud: &'a SimCloud,
}

impl SimCloud {
    /// Returns the truth.
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger { cloud: self }
    }
}

impl<'a> Ledger<'a> {
    /// Returns every machine ever created, in that order.
    pub fn entries(self) -> impl Iterator<Item = LedgerEntry> + 'a {
        self.cloud
            .resources
            .iter()
            .map(|resource| LedgerEntry::of(resource))
    }

    /// Returns the machines that exist.
    pub fn alive(self) -> impl Iterator<Item = LedgerEntry> + 'a {
        self.cloud
            .resources
            .iter()
            .filter(|resource| resource.is_alive())
            .map(|resource| LedgerEntry::of(resource))
    }

    /// Returns the infrastructures that have a network.
    pub fn networks(self) -> impl Iterator<Item = &'a InfrastructureId> {
        self.cloud.networks.iter()
    }

    /// Returns how many machines exist.
    pub fn alive_count(self) -> u32 {
        self.cloud.instances_used
    }

    /// Returns how many cores the existing machines have.
    pub fn cores_count(self) -> u32 {
        self.cloud.cores_used
    }

    /// Returns the instances that more than one existing machine claims to be.
    pub fn duplicates(self) -> Vec<InstanceTag> {
        let mut counts: BTreeMap<&InstanceTag, u32> = BTreeMap::new();
        for resource in self
            .cloud
            .resources
            .iter()
            .filter(|resource| resource.is_alive() && resource.identity.foreign.is_none())
        {
            *counts.entry(&resource.identity.instance).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(tag, _)| tag.clone())
            .collect()
    }

    /// Returns the instances of which two machines existed at the same time, now or ever.
    pub fn duplicates_ever(self) -> Vec<InstanceTag> {
        let mut last_end: BTreeMap<&InstanceTag, Timestamp> = BTreeMap::new();
        let mut twice = Vec::new();
        // Machines are numbered in the order of their creation, so one look at the latest end suffices.
        for resource in &self.cloud.resources {
            if resource.identity.foreign.is_some() {
                continue;
            }
            let end = resource.deleted_at.unwrap_or(Timestamp::MAX);
            let latest = last_end
                .entry(&resource.identity.instance)
                .or_insert(Timestamp(i64::MIN));
            if *latest > resource.created_at && !twice.contains(&resource.identity.instance) {
                twice.push(resource.identity.instance.clone());
            }
            *latest = end.max(*latest);
        }
        twice
    }
}
