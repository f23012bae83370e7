//! What people and tests do to the cloud behind its callers' backs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zenekar_base::{Addresses, InstanceTag, Millis, ResourceId, ResourceState, Timestamp};

use crate::choice::{Chooser, LifeFate};
use crate::cloud::SimCloud;
use crate::resource::{Detail, Identity, RESOURCES_MAX, Resource, resource_number};
use crate::settings::{Quota, Settings};

/// One intervention from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intervention {
    /// Puts a running machine there that somebody else has made.
    Plant(Box<Plant>),
    /// Deletes a machine at once; it is shown as gone for a while.
    Kill(ResourceId),
    /// Stops a machine; it still exists.
    Stop(ResourceId),
    /// Lets a machine vanish without a trace.
    Lose(ResourceId),
    /// Lets a machine go on running without being healthy.
    Hang(ResourceId),
    /// Lets every call fail for a while.
    Outage(Millis),
    /// Ends an outage.
    Recover,
    /// Changes the limits of the account; what exists stays.
    SetQuota(Quota),
    /// Changes how the cloud behaves from now on.
    SetSettings(Box<Settings>),
}

/// A machine that somebody else has made: it carries no tag, so that only its
/// id leads to it, and counts against no quota when it is put there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plant {
    /// What the cloud calls it; not of the form of its own ids.
    pub resource: ResourceId,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its addresses; one like those of other machines if there is none.
    #[serde(default)]
    pub addresses: Addresses,
}

impl SimCloud {
    /// Carries an intervention out, and says whether it hit anything.
    pub fn intervene(
        &mut self,
        now: Timestamp,
        intervention: &Intervention,
        chooser: &mut dyn Chooser,
    ) -> bool {
        let now = self.run_until(now, chooser);
        match intervention {
            Intervention::Plant(plant) => self.plant(now, plant),
            Intervention::Kill(resource) => self.strike(now, resource, LifeFate::Killed),
            Intervention::Stop(resource) => self.strike(now, resource, LifeFate::Stopped),
            Intervention::Lose(resource) => self.strike(now, resource, LifeFate::Lost),
            Intervention::Hang(resource) => self.strike(now, resource, LifeFate::Hung),
            Intervention::Outage(span) => {
                self.begin_outage(now, *span);
                true
            }
            Intervention::Recover => {
                let was_out = now < self.outage_until;
                self.outage_until = now;
                was_out
            }
            Intervention::SetQuota(quota) => {
                Arc::make_mut(&mut self.settings).quota = *quota;
                true
            }
            Intervention::SetSettings(settings) => {
                assert_eq!(settings.validate(), Ok(()), "callers validate settings");
                self.settings = Arc::new((**settings).clone());
                true
            }
        }
    }

    /// Returns the living resources of an instance; more than one is a mistake of the caller.
    pub fn resources_of(&self, instance: &InstanceTag) -> Vec<ResourceId> {
        let alive = self.resources.iter().filter(|resource| {
            let is_ours = resource.identity.foreign.is_none();
            resource.is_alive() && is_ours && resource.identity.instance == *instance
        });
        alive.map(|resource| resource.id()).collect()
    }

    /// Puts a machine there, unless there is or was one of this id.
    fn plant(&mut self, now: Timestamp, plant: &Plant) -> bool {
        let is_new = resource_number(&plant.resource).is_none()
            && !plant.resource.as_str().is_empty()
            && !self.foreign.contains_key(&plant.resource)
            && self.resources.len() < RESOURCES_MAX as usize;
        if !is_new {
            return false;
        }
        let number = u32::try_from(self.resources.len())
            .expect("the number of resources was checked against its limit");
        let identity = Identity::foreign(&plant.resource, &plant.name, &plant.addresses);
        let cores = identity.cores;
        let mut resource = Resource::new(number, Arc::new(identity), now);
        resource.change(now, self.settings.list_staleness_max, |change| {
            change.state = Some(ResourceState::Running);
        });
        resource.addressed_at = Some(now);
        resource.healthy_at = now;
        self.resources.push(Arc::new(resource));
        Arc::make_mut(&mut self.foreign).insert(plant.resource.clone(), number);
        self.instances_used += 1;
        self.cores_used += cores;
        true
    }

    pub(crate) fn begin_outage(&mut self, now: Timestamp, span: Millis) {
        self.outage_until = self.outage_until.max(now + span);
    }

    /// Breaks a machine, whatever it is doing.
    fn strike(&mut self, now: Timestamp, resource: &ResourceId, fate: LifeFate) -> bool {
        let Some(number) = self.number_of(resource) else {
            return false;
        };
        let Some(state) = self.resources[number as usize].present().state else {
            return false;
        };
        match (fate, state) {
            (_, ResourceState::Gone) | (LifeFate::Lives, _) => return false,
            (_, ResourceState::Running) => self.life_fault(now, number, fate),
            (LifeFate::Killed, _) => {
                self.counters.broken += 1;
                self.end(now, number, Some(Detail::DeletedOutside));
            }
            (LifeFate::Lost, _) => {
                self.counters.broken += 1;
                self.end(now, number, None);
                self.forgotten(now, number);
            }
            (LifeFate::Stopped, ResourceState::Pending) => {
                self.counters.broken += 1;
                self.change(now, number, |change| {
                    change.state = Some(ResourceState::Stopped);
                    change.detail = Some(Detail::StoppedOutside);
                });
            }
            (LifeFate::Stopped | LifeFate::Hung, _) => return false,
        }
        true
    }
}
