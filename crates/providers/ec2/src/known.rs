//! What was seen of instances lately, so that health checks and deletions need
//! no look of their own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use zenekar_base::{InfrastructureId, ResourceId, ResourceState};

use crate::instance::Seen;
use crate::limits::{KNOWN_MAX, TAG_FRESH};

/// What was seen of one instance.
#[derive(Clone, Debug)]
struct Entry {
    seen: Seen,
    at: Instant,
}

/// What was seen of instances lately.
#[derive(Debug, Default)]
pub(crate) struct Known {
    entries: Mutex<HashMap<ResourceId, Entry>>,
}

impl Known {
    fn entries(&self) -> MutexGuard<'_, HashMap<ResourceId, Entry>> {
        // Each entry is put in whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was seen.
    pub(crate) fn note(&self, seen: &Seen) {
        let mut entries = self.entries();
        if seen.view.state == ResourceState::Gone {
            entries.remove(&seen.view.resource);
            return;
        }
        if entries.len() >= KNOWN_MAX && !entries.contains_key(&seen.view.resource) {
            // It is only a shortcut: everything can be asked for again.
            entries.clear();
        }
        let entry = Entry {
            seen: seen.clone(),
            at: Instant::now(),
        };
        entries.insert(seen.view.resource.clone(), entry);
    }

    /// Returns what an infrastructure was shown of an instance, however long ago.
    pub(crate) fn get(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> Option<Seen> {
        let entries = self.entries();
        let entry = entries.get(resource)?;
        entry
            .seen
            .is_open_to(infrastructure)
            .then(|| entry.seen.clone())
    }

    /// Says whether an instance had the infrastructure's tag a moment ago.
    pub(crate) fn is_surely_of(
        &self,
        infrastructure: &InfrastructureId,
        resource: &ResourceId,
    ) -> bool {
        self.entries().get(resource).is_some_and(|entry| {
            entry.seen.is_of(infrastructure)
                && entry.seen.view.state != ResourceState::Deleting
                && entry.at.elapsed() < TAG_FRESH
        })
    }

    /// Forgets an instance.
    pub(crate) fn forget(&self, resource: &ResourceId) {
        self.entries().remove(resource);
    }
}
