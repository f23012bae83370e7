//! Whether something with our tag at a cloud is wanted, left over, or not ours.

use std::collections::BTreeMap;

use zenekar_base::{InfrastructureId, Origin};
use zenekar_engine::State;
use zenekar_provider::{Owned, OwnedKind, split_scoped};
use zenekar_runtime::SharedStore;

use crate::errors::Failure;
use crate::world;

/// What our state says of a thing at a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Its infrastructure is here, and needs it.
    Wanted,
    /// Its infrastructure is here and does not know it, or is down.
    LeftOver,
    /// Its infrastructure is not in this state.
    Foreign,
}

impl Standing {
    /// Returns the stable name used in outputs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::LeftOver => "left-over",
            Self::Foreign => "foreign",
        }
    }
}

/// An infrastructure of this state.
struct Known {
    origin: Option<Origin>,
    state: State,
}

/// The infrastructures of this state.
#[derive(Default)]
pub(super) struct Records {
    known: BTreeMap<InfrastructureId, Known>,
}

impl Records {
    /// Reads what the state says now.
    ///
    /// It has to be read after a cloud was asked: what is made is written down
    /// before, so that nothing the cloud has shown can be too new for it.
    pub(super) fn read(store: Option<&SharedStore>) -> Result<Self, Failure> {
        let mut records = Self::default();
        let Some(store) = store else {
            return Ok(records);
        };
        for row in store.with(|store| store.list_infrastructures())? {
            let origin = store.with(|store| store.origin(&row.id))?;
            let state = world::read_shared(store, &row.id)?.state().clone();
            records.known.insert(row.id, Known { origin, state });
        }
        Ok(records)
    }

    /// Returns the infrastructure of this state that a thing is of.
    pub(super) fn infrastructure_of(&self, owned: &Owned) -> Option<InfrastructureId> {
        let (name, origin) = split_scoped(&owned.infrastructure)?;
        let known = self.known.get(&name)?;
        (known.origin.as_ref() == Some(&origin)).then_some(name)
    }

    /// Says what the state has to say of a thing.
    pub(super) fn standing(&self, owned: &Owned) -> Standing {
        let known = self
            .infrastructure_of(owned)
            .and_then(|name| self.known.get(&name));
        let Some(known) = known else {
            return Standing::Foreign;
        };
        if is_wanted(&known.state, owned) {
            Standing::Wanted
        } else {
            Standing::LeftOver
        }
    }
}

/// Says whether an infrastructure needs a thing that carries its tag.
fn is_wanted(state: &State, owned: &Owned) -> bool {
    let Some(tag) = &owned.instance else {
        // Networks and the like are for all of it, and go with it.
        let has_instances = !state.instances.is_empty();
        let is_up = state.intent.is_some() && !state.torn_down;
        return is_up || has_instances;
    };
    let instance = state.tags.get(tag).and_then(|key| state.instances.get(key));
    let Some(instance) = instance else {
        return false;
    };
    if owned.kind != OwnedKind::Instance {
        return true;
    }
    // A second machine with the same tag would be a duplicate. While the first
    // one's id is not known, each of them may be the one.
    instance
        .resource
        .as_ref()
        .is_none_or(|resource| *resource == owned.id)
}
