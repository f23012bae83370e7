//! The cloud without its own time: every change is a step of its own.
//!
//! [`crate::SimCloud`] decides when things happen by drawing spans; explorers
//! want every order. Here a machine boots, vanishes or is deleted when the
//! caller says so, and what may happen next is a question with an answer
//! ([`UntimedCloud::changes`]). Names do not depend on the order of events, so
//! that clouds which came to the same by different ways are equal.

use std::collections::BTreeSet;

use zenekar_base::{
    Addresses, ErrorClass, InstanceKey, InstanceTag, ProviderError, ResourceId, ResourceState,
    ResourceView, Timestamp, Token,
};

/// What a list shows that lags behind the latest change of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lag {
    /// The state that is shown; `None` if the machine is not shown yet.
    pub state: Option<ResourceState>,
    /// Whether its address is shown.
    pub addressed: bool,
    /// Lists that are asked for later show the change.
    pub until: Timestamp,
}

/// One machine that was ever made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine {
    /// The instance that it is for.
    pub instance: InstanceKey,
    /// Counts the machines of that instance, from 0.
    pub number: u8,
    /// The provider's place in the caller's table.
    pub place: u16,
    /// The place of what it is one of in the caller's table.
    pub node: u16,
    /// Its tag.
    pub tag: InstanceTag,
    /// The token that it was made by.
    pub token: Token,
    /// How far it is; gone ones are remembered, because tokens are.
    pub state: ResourceState,
    /// How often it was given an address.
    pub addressed: u8,
    /// The number of the last contextualisation in place.
    pub revision: u32,
    /// What lists may still show instead.
    pub lag: Option<Lag>,
    /// Whether something happened to it that nobody asked for.
    pub is_harmed: bool,
}

impl Machine {
    /// Says whether it exists, so that it costs money.
    pub const fn is_alive(&self) -> bool {
        !matches!(self.state, ResourceState::Gone)
    }

    /// Returns what its provider calls it.
    pub fn resource(&self) -> ResourceId {
        let key = self.instance.0;
        ResourceId::new(match self.number {
            0 => format!("sim-{key:06}"),
            number => format!("sim-{key:06}-{number}"),
        })
    }

    fn view(&self, state: ResourceState, has_address: bool) -> ResourceView {
        let addresses = if has_address && state != ResourceState::Gone {
            let key = self.instance.0;
            let turn = u32::from(self.number) * 16 + u32::from(self.addressed);
            let address = format!("10.{}.{}.{}", turn % 256, key / 250 % 256, key % 250 + 1);
            Addresses {
                all: vec![address],
                private: None,
            }
        } else {
            Addresses::default()
        };
        ResourceView {
            instance: self.tag.clone(),
            resource: self.resource(),
            state,
            addresses,
            token: Some(self.token.clone()),
            revision: self.revision,
            detail: None,
        }
    }

    fn view_now(&self) -> ResourceView {
        self.view(self.state, self.addressed > 0)
    }

    /// Returns what a list shows of it, if anything.
    fn listed(&self, is_lagging: bool) -> Option<ResourceView> {
        match &self.lag {
            Some(lag) if is_lagging => lag.state.map(|state| self.view(state, lag.addressed)),
            _ => self.is_alive().then(|| self.view_now()),
        }
    }
}

/// Returns what is left of a resource id or an address of a machine without
/// the instance that it is for; all of it if it is not that instance's.
pub fn nameless(instance: InstanceKey, text: &str) -> String {
    let key = instance.0;
    if let Some(rest) = text.strip_prefix(&format!("sim-{key:06}")) {
        return format!("sim{rest}");
    }
    let place = format!(".{}.{}", key / 250 % 256, key % 250 + 1);
    text.strip_suffix(&place).unwrap_or(text).to_owned()
}

/// What is asked for with a creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Creation {
    /// The provider's place in the caller's table.
    pub place: u16,
    /// The place of what it is one of in the caller's table.
    pub node: u16,
    /// The instance.
    pub instance: InstanceKey,
    /// Its tag.
    pub tag: InstanceTag,
    /// The idempotency token.
    pub token: Token,
}

/// A change of a machine that nobody has to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It has booted.
    Boots,
    /// It could not be started.
    BootFails,
    /// Its deletion has come to its end.
    IsDeleted,
    /// It vanishes, and no list shows it any more.
    Vanishes,
    /// It is stopped from outside.
    Stops,
    /// It restarts with another address.
    Readdresses,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Boots,
        Self::BootFails,
        Self::IsDeleted,
        Self::Vanishes,
        Self::Stops,
        Self::Readdresses,
    ];

    /// Says whether a good cloud does that too.
    pub const fn is_benign(self) -> bool {
        matches!(self, Self::Boots | Self::IsDeleted)
    }

    const fn is_possible(self, state: ResourceState) -> bool {
        match self {
            Self::Boots | Self::BootFails => matches!(state, ResourceState::Pending),
            Self::IsDeleted => matches!(state, ResourceState::Deleting),
            Self::Vanishes | Self::Stops | Self::Readdresses => {
                matches!(state, ResourceState::Running)
            }
        }
    }
}

/// A cloud in which only the caller lets anything happen: see the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UntimedCloud {
    /// All machines ever, by instance and number.
    machines: Vec<Machine>,
    /// Providers that have a network of ours.
    networks: BTreeSet<u16>,
}

impl UntimedCloud {
    /// Returns all machines that were ever made, in the order of their instances.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// Returns the providers that have more of us than machines.
    pub fn networks(&self) -> impl Iterator<Item = u16> {
        self.networks.iter().copied()
    }

    /// Returns the place of a machine in [`UntimedCloud::machines`].
    pub fn find(&self, place: u16, resource: &ResourceId) -> Option<usize> {
        self.machines
            .iter()
            .position(|machine| machine.place == place && machine.resource() == *resource)
    }

    /// Lists the changes that may happen to a machine next.
    pub fn changes(&self, index: usize) -> impl Iterator<Item = Change> {
        let state = self.machines.get(index).map(|machine| machine.state);
        Change::ALL
            .into_iter()
            .filter(move |change| state.is_some_and(|state| change.is_possible(state)))
    }

    /// Lets a change happen; `until` is when the last list has shown it. False if it cannot.
    pub fn change(&mut self, index: usize, change: Change, until: Option<Timestamp>) -> bool {
        let Some(machine) = self.machines.get_mut(index) else {
            return false;
        };
        if !change.is_possible(machine.state) {
            return false;
        }
        let before = (machine.state, machine.addressed > 0);
        match change {
            Change::Boots => {
                machine.state = ResourceState::Running;
                machine.addressed = 1;
            }
            Change::BootFails => machine.state = ResourceState::Failed,
            Change::IsDeleted | Change::Vanishes => machine.state = ResourceState::Gone,
            Change::Stops => machine.state = ResourceState::Stopped,
            Change::Readdresses => machine.addressed = machine.addressed.saturating_add(1),
        }
        machine.is_harmed |= !change.is_benign();
        machine.remember(before, until);
        true
    }

    /// Creates a machine, or returns the one that the token has made, and the
    /// place where a new one was inserted.
    ///
    /// # Errors
    ///
    /// Returns a refusal when the provider has `quota` machines already.
    pub fn create(
        &mut self,
        creation: &Creation,
        quota: Option<u32>,
        until: Option<Timestamp>,
    ) -> (Result<ResourceView, ProviderError>, Option<usize>) {
        let same =
            |machine: &&Machine| machine.place == creation.place && machine.token == creation.token;
        if let Some(known) = self.machines.iter().find(same) {
            return (Ok(known.view_now()), None);
        }
        let used = self.machines.iter();
        let used = used.filter(|machine| machine.place == creation.place && machine.is_alive());
        if quota.is_some_and(|quota| used.count() >= quota as usize) {
            let error = ProviderError::new(ErrorClass::Quota, "the limit of machines is reached");
            return (Err(error), None);
        }
        let at = self.insert(creation, until);
        (Ok(self.machines[at].view_now()), Some(at))
    }

    /// Creates a machine although the token may have made one: what a provider
    /// does that does not look for tokens. Returns the place of the new one.
    pub fn create_again(&mut self, creation: &Creation, until: Option<Timestamp>) -> usize {
        self.insert(creation, until)
    }

    fn insert(&mut self, creation: &Creation, until: Option<Timestamp>) -> usize {
        self.networks.insert(creation.place);
        let of_instance = self.machines.iter();
        let of_instance = of_instance.filter(|machine| machine.instance == creation.instance);
        let number = u8::try_from(of_instance.count()).unwrap_or(u8::MAX);
        let machine = Machine {
            instance: creation.instance,
            number,
            place: creation.place,
            node: creation.node,
            tag: creation.tag.clone(),
            token: creation.token.clone(),
            state: ResourceState::Pending,
            addressed: 0,
            revision: 0,
            lag: until.map(|until| Lag {
                state: None,
                addressed: false,
                until,
            }),
            is_harmed: false,
        };
        let at = self.machines.partition_point(|other| *other < machine);
        self.machines.insert(at, machine);
        at
    }

    /// Lists the machines of a provider, or those of `scope`; a lagging list
    /// shows what was true before the latest changes.
    pub fn observe(
        &self,
        place: u16,
        scope: Option<&[ResourceId]>,
        is_lagging: bool,
    ) -> Vec<ResourceView> {
        let machines = self.machines.iter();
        let machines = machines.filter(|machine| machine.place == place);
        let machines = machines
            .filter(|machine| scope.is_none_or(|scope| scope.contains(&machine.resource())));
        machines
            .filter_map(|machine| machine.listed(is_lagging))
            .collect()
    }

    /// Says whether a lagging list would show something else than the truth.
    pub fn may_lag(&self, place: u16) -> bool {
        let mut machines = self.machines.iter();
        machines.any(|machine| machine.place == place && machine.lag.is_some())
    }

    /// Accepts the deletion of a machine, and says whether it was gone already.
    pub fn delete(&mut self, place: u16, resource: &ResourceId, until: Option<Timestamp>) -> bool {
        let Some(index) = self.find(place, resource) else {
            return true;
        };
        let machine = &mut self.machines[index];
        match machine.state {
            ResourceState::Gone => true,
            ResourceState::Deleting => false,
            before => {
                let before = (before, machine.addressed > 0);
                machine.state = ResourceState::Deleting;
                machine.remember(before, until);
                false
            }
        }
    }

    /// Contextualises a running machine again; an older revision changes nothing.
    ///
    /// # Errors
    ///
    /// Returns a refusal when the machine does not run.
    pub fn recontextualise(
        &mut self,
        place: u16,
        resource: &ResourceId,
        revision: u32,
    ) -> Result<Option<usize>, ProviderError> {
        let index = self.find(place, resource);
        let found = index.and_then(|index| self.machines.get_mut(index));
        match found {
            Some(machine) if machine.state == ResourceState::Running => {
                if machine.revision >= revision {
                    return Ok(None);
                }
                machine.revision = revision;
                Ok(index)
            }
            Some(machine) if machine.is_alive() => Err(ProviderError::new(
                ErrorClass::Retryable,
                "the machine does not run",
            )),
            _ => Err(ProviderError::new(ErrorClass::NotFound, "no such machine")),
        }
    }

    /// Removes what a provider has besides machines.
    ///
    /// # Errors
    ///
    /// Returns a refusal while there are machines.
    pub fn release(&mut self, place: u16) -> Result<(), ProviderError> {
        let mut machines = self.machines.iter();
        if machines.any(|machine| machine.place == place && machine.is_alive()) {
            let message = "the network is still in use";
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        self.networks.remove(&place);
        Ok(())
    }

    /// Moves times, so that `now` becomes `to`, and forgets what lists that are
    /// asked for from then on cannot show any more.
    pub fn rebase(&mut self, now: Timestamp, to: Timestamp) {
        self.settle(now);
        for lag in self
            .machines
            .iter_mut()
            .filter_map(|machine| machine.lag.as_mut())
        {
            lag.until = to + lag.until.since(now);
        }
    }

    /// Forgets that lists lag: they show what is true from now on.
    pub fn catch_up(&mut self) {
        for machine in &mut self.machines {
            machine.lag = None;
        }
    }

    /// Forgets what lists that are asked for from `now` on cannot show any more.
    pub fn settle(&mut self, now: Timestamp) {
        for machine in &mut self.machines {
            if machine.lag.is_some_and(|lag| lag.until < now) {
                machine.lag = None;
            }
        }
    }
}

impl Machine {
    /// Keeps what lists may show until then; what they showed already stays the oldest.
    fn remember(&mut self, before: (ResourceState, bool), until: Option<Timestamp>) {
        let Some(until) = until else { return };
        let shown = match self.lag {
            Some(lag) => (lag.state, lag.addressed),
            None => (
                Some(before.0).filter(|state| *state != ResourceState::Gone),
                before.1,
            ),
        };
        self.lag = Some(Lag {
            state: shown.0,
            addressed: shown.1,
            until,
        });
    }
}
